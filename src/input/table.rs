//! An opened input whose delimiter and columns are known.

use std::time::SystemTime;

use super::columns::Wanted;
use super::rows::{Row, RowReader};
use super::source::{Bytes, Opened, sha256};
use super::{ColumnChoice, Delimiter, Error, Malformed, Source, UserColumn, delimiter};
use crate::results::format::OwnFile;

/// How many records are looked at for a header below a title, and to tell a header from a user.
const N_LOOKED_AT: usize = 20;

/// An opened input whose delimiter and columns are known.
pub(super) struct Table<'a> {
    name: String,
    modified: Option<SystemTime>,
    rows: RowReader<Bytes<'a>>,
    pub(super) delimiter: Option<char>,
    has_sep_line: bool,
    /// The cells of the first record, the header where there is one; none in an empty input.
    pub(super) first: Vec<String>,
    pub(super) column: UserColumn,
    /// Which of this program's own files it is.
    pub(super) own: Option<OwnFile>,
    /// Each line is taken as one cell because no delimiter was found, not because one was given.
    pub(super) is_delimiter_guessed: bool,
    /// More columns than this would shift the users' column.
    max_columns: Option<usize>,
}

/// What is known of an input once it was read to its end.
pub(super) struct Finished {
    pub(super) n_lines: u64,
    pub(super) n_comments: u64,
    pub(super) has_sep_line: bool,
    pub(super) sha256: String,
    pub(super) modified: Option<SystemTime>,
}

impl<'a> Table<'a> {
    /// Opens it, and finds its delimiter and the column of the users.
    pub(super) fn open(
        source: Source<'a>,
        wanted: &Wanted<'_>,
        delimiter: Delimiter,
    ) -> Result<Self, Error> {
        let opened = source.open()?;
        let sep = delimiter::sep_line(&opened.head);
        let is_found = delimiter == Delimiter::Auto && sep.is_none();
        let delimiter = match (delimiter, sep) {
            (Delimiter::Auto, Some(sep)) if delimiter::CANDIDATES.contains(&sep) => Some(sep),
            (Delimiter::Auto, Some(sep)) => {
                return Err(Error::UnknownSeparator { name: opened.name, sep });
            }
            (Delimiter::Auto, None) => delimiter::find(&opened.name, &opened.head, wanted)?,
            (given, _) => given.char(),
        };
        let Opened { name, modified, head, .. } = &opened;
        let (name, modified, head) = (name.clone(), *modified, head.clone());
        let has_sep_line = sep.is_some();
        let rows = RowReader::new(&name, opened.into_bytes(), delimiter, has_sep_line);
        let mut table = Self {
            name,
            modified,
            rows,
            delimiter,
            has_sep_line,
            first: Vec::new(),
            column: UserColumn::PlainList,
            own: None,
            is_delimiter_guessed: is_found && delimiter.is_none() && !wanted.kind.has_shape(),
            max_columns: None,
        };
        table.read_first(&head, wanted)?;
        Ok(table)
    }

    /// Reads the first record, finds the column by it, and stands before the first row that is a
    /// record.
    fn read_first(&mut self, head: &[u8], wanted: &Wanted<'_>) -> Result<(), Error> {
        let Some(row) = self.rows.read()? else { return Ok(()) };
        let (line, first) = (row.line, row.cells());
        let is_user = wanted.kind.has_shape() && wanted.is_user(&first[0]);
        if wanted.column.is_none()
            && !is_user
            && !wanted.is_header_row(&self.name, &first)
            && let Some(header_line) = self.later_header(head, wanted)
        {
            let (name, text) = (self.name.clone(), first[0].clone());
            return Err(Error::TitleLine { name, line, text, header_line });
        }
        let others = match wanted.column {
            Some(&ColumnChoice::Number(number @ 1..)) => {
                let rows = self.rows_below(head, self.delimiter).into_iter();
                rows.filter_map(|(_, cells)| cells.get(number - 1).cloned()).collect()
            }
            _ => Vec::new(),
        };
        self.column = wanted.choose(&self.name, line, &first, &others)?;
        self.own = wanted.own_file(&self.name, &first);
        if self.column.header().is_none() {
            self.rows.hold();
        }
        if self.column != UserColumn::PlainList {
            self.rows.end_comments();
        }
        let can_shift = self.column.header().is_some() || self.column.index() > 0;
        self.max_columns = can_shift.then_some(first.len()).filter(|_| self.delimiter.is_some());
        self.first = first;
        Ok(())
    }

    /// The line of a record near the beginning that is a header.
    fn later_header(&self, head: &[u8], wanted: &Wanted<'_>) -> Option<u64> {
        let delimiters = delimiter::CANDIDATES.map(Some).into_iter().chain([None]);
        let rows = delimiters.flat_map(|delimiter| self.rows_below(head, delimiter));
        rows.filter(|(_, cells)| wanted.is_header_row(&self.name, cells))
            .map(|(line, _)| line)
            .min()
    }

    /// A few rows below the first, as far as they can be read: their lines and cells.
    fn rows_below(&self, head: &[u8], delimiter: Option<char>) -> Vec<(u64, Vec<String>)> {
        let mut rows = RowReader::new(&self.name, head, delimiter, self.has_sep_line);
        let mut below = Vec::new();
        while let Ok(Some(row)) = rows.read()
            && below.len() <= N_LOOKED_AT
        {
            below.push((row.line, row.cells()));
        }
        below.drain(..1.min(below.len()));
        below
    }

    /// The name in messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The next row; `None` after the last.
    pub(super) fn read(&mut self) -> Result<Option<Row<'_>>, Error> {
        let Some(row) = self.rows.read()? else { return Ok(None) };
        let n_cells = row.last_filled().map_or(0, |last| last + 1);
        match self.max_columns {
            Some(n_columns) if n_cells > n_columns => Err(Error::Malformed {
                name: self.name.clone(),
                line: row.line,
                what: Malformed::LongRow {
                    n_cells,
                    n_columns,
                    has_header: self.column.header().is_some(),
                },
            }),
            _ => Ok(Some(row)),
        }
    }

    /// Ends an input whose last row was read.
    pub(super) fn finish(self) -> Finished {
        Finished {
            n_lines: self.rows.n_lines(),
            n_comments: self.rows.n_comments(),
            has_sep_line: self.has_sep_line,
            sha256: sha256(self.rows.into_inner()),
            modified: self.modified,
        }
    }
}
