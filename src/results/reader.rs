//! Reads a results, plan or verify file, row by row.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::model::one_line;

use super::error::ReadError;
use super::header::Header;
use super::lines::{CellParser, LineReader};
use super::recorded_row::RecordedRow;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads a results, plan or verify file, row by row, in little memory. A torn end is left out and
/// counted; anything else that is no row is an error that names its line.
pub struct Reader<R = File> {
    lines: LineReader<R>,
    cells: CellParser,
    header: Header,
    path: PathBuf,
}

impl Reader {
    /// Opens a file and checks its header.
    ///
    /// # Errors
    ///
    /// When it can't be read, or is no results file of this program.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let file =
            File::open(path).map_err(|reason| ReadError::Io { path: path.to_owned(), reason })?;
        Self::new(file, path)
    }
}

impl<R: Read> Reader<R> {
    /// Reads from anything; `path` is its name in errors.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn new(input: R, path: &Path) -> Result<Self, ReadError> {
        let mut lines = LineReader::new(input);
        let mut cells = CellParser::new();
        let is_whole = lines.advance().map_err(|error| io_error(path, error))?;
        let line = lines.line().strip_prefix(BYTE_ORDER_MARK).unwrap_or(lines.line());
        if !is_whole && Header::is_torn(line) {
            return Err(ReadError::NoHeader { path: path.to_owned() });
        }
        let header = cells.parse(line).map_err(ToOwned::to_owned).and_then(Header::check);
        let header = header.map_err(|why| ReadError::NotResults {
            path: path.to_owned(),
            why: one_line(&why).into_owned(),
        })?;
        Ok(Self { lines, cells, header, path: path.to_owned() })
    }

    /// The headers of the carried columns, without their prefix.
    pub fn carried(&self) -> &[String] {
        &self.header.carried
    }

    /// Columns that a later version of this program appended.
    pub fn unknown_columns(&self) -> &[String] {
        &self.header.unknown
    }

    /// How many bytes the whole lines read so far take, the header included.
    pub fn n_whole_bytes(&self) -> u64 {
        self.lines.n_whole
    }

    /// How many bytes were torn by a crash; known after the last row.
    pub fn n_torn_bytes(&self) -> u64 {
        self.lines.n_torn
    }

    /// What the row read last is, where it stands in the file already.
    pub(super) fn repeated_row(&self) -> ReadError {
        ReadError::BadRow {
            path: self.path.clone(),
            line: self.lines.n_lines,
            why: "this row stands in the file already; take one of them out".to_owned(),
        }
    }

    fn read_row(&mut self) -> Result<Option<RecordedRow>, ReadError> {
        if !self.lines.advance().map_err(|error| io_error(&self.path, error))? {
            return Ok(None);
        }
        let cells = self.cells.parse(self.lines.line()).map_err(ToOwned::to_owned);
        match cells.and_then(|cells| RecordedRow::parse(cells, &self.header)) {
            Ok(row) => Ok(Some(row)),
            Err(why) => Err(ReadError::BadRow {
                path: self.path.clone(),
                line: self.lines.n_lines,
                why: one_line(&why).into_owned(),
            }),
        }
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<RecordedRow, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_row().transpose()
    }
}

fn io_error(path: &Path, reason: io::Error) -> ReadError {
    ReadError::Io { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests;
