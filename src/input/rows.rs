//! Lines into rows of cells.

use std::borrow::Cow;
use std::io::BufRead;

use csv_core::ReadRecordResult;

use super::Error;
use super::foreign::Encoding;
use super::lines::{Line, LineReader};
use crate::model::canonical_cell;

/// No byte of UTF-8: with this delimiter each line is one cell.
pub(super) const NO_DELIMITER: u8 = 0xFF;
/// The most bytes that one row may have, with its quotes and delimiters.
const MAX_ROW_LEN: usize = 16 << 20;
/// The most cells that one row may have.
const MAX_CELLS: usize = 1 << 20;

/// One row, and where it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// Its first line, 1-based.
    pub(super) line: u64,
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Row<'a> {
    /// How many cells it has.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// One cell, canonical; empty where the row is too short to have it.
    pub(super) fn cell(&self, index: usize) -> Cow<'a, str> {
        let start = if index == 0 { 0 } else { self.ends.get(index - 1).copied().unwrap_or(0) };
        let end = self.ends.get(index).copied().unwrap_or(start);
        canonical_cell(self.text.get(start..end).unwrap_or_default())
    }

    /// All cells, canonical.
    pub(super) fn cells(&self) -> Vec<String> {
        (0..self.len()).map(|index| self.cell(index).into_owned()).collect()
    }
}

/// Reads rows one by one. Blank lines and lines that start with `#` are skipped, and counted as
/// lines; inside quotes there is no such thing.
///
/// The lines are split here and handed to `csv_core` one by one: so the line on which a row begins
/// is known exactly, and so is a quote that is never closed, neither of which `csv::Reader` tells.
pub(super) struct RowReader<R> {
    name: String,
    lines: LineReader<R>,
    delimiter: u8,
    max_row_len: usize,
    parser: csv_core::Reader,
    line: Vec<u8>,
    text: Vec<u8>,
    ends: Vec<usize>,
    row: RowEnd,
    is_held: bool,
}

/// How far the row that is being read has come.
#[derive(Clone, Copy, Default)]
struct RowEnd {
    first_line: u64,
    n_bytes: usize,
    text_len: usize,
    n_cells: usize,
}

impl<R: BufRead> RowReader<R> {
    pub(super) fn new(name: String, input: R, delimiter: u8) -> Self {
        Self {
            name,
            lines: LineReader::new(input),
            delimiter,
            max_row_len: MAX_ROW_LEN,
            parser: csv_core::ReaderBuilder::new().delimiter(delimiter).build(),
            line: Vec::new(),
            text: vec![0; 512],
            ends: vec![0; 32],
            row: RowEnd::default(),
            is_held: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How many lines were read.
    pub(super) fn n_lines(&self) -> u64 {
        self.lines.n_lines()
    }

    /// The next row; `None` after the last.
    pub(super) fn read(&mut self) -> Result<Option<Row<'_>>, Error> {
        let is_held = std::mem::take(&mut self.is_held);
        if is_held || self.read_row()? { self.current().map(Some) } else { Ok(None) }
    }

    /// The row that was read last is given once more.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    /// What is behind the rows.
    pub(super) fn into_inner(self) -> R {
        self.lines.into_inner()
    }

    fn current(&self) -> Result<Row<'_>, Error> {
        let RowEnd { first_line: line, text_len, n_cells, .. } = self.row;
        // Each line was checked before. What the parser takes out is ASCII, so this holds.
        let text = std::str::from_utf8(&self.text[..text_len]).map_err(|_| self.not_utf8(line))?;
        Ok(Row { line, text, ends: &self.ends[..n_cells] })
    }

    fn read_row(&mut self) -> Result<bool, Error> {
        loop {
            if !self.read_line(0)? {
                return Ok(false);
            }
            if !self.is_between_rows() {
                break;
            }
        }
        self.row = RowEnd { first_line: self.lines.n_lines(), ..RowEnd::default() };
        while !self.parse_line()? {
            if !self.read_line(self.row.n_bytes)? {
                return Err(Error::OpenQuote {
                    name: self.name.clone(),
                    line: self.row.first_line,
                });
            }
        }
        Ok(true)
    }

    /// Reads and checks one line of a row that has `n_before` bytes already; `false` at the end.
    fn read_line(&mut self, n_before: usize) -> Result<bool, Error> {
        let unread = |reason| Error::Read { name: self.name.clone(), reason };
        let max_len = self.max_row_len.saturating_sub(n_before);
        let read = self.lines.read(&mut self.line, max_len).map_err(unread)?;
        // Even empty lines add up inside a quote.
        if read == Line::TooLong || n_before > self.max_row_len {
            let line = if n_before == 0 { self.lines.n_lines() } else { self.row.first_line };
            return Err(Error::TooLong { name: self.name.clone(), line });
        }
        if read == Line::End {
            return Ok(false);
        }
        let line = self.lines.n_lines();
        if line == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        if self.line.contains(&0) {
            return Err(Error::Binary { name: self.name.clone(), line });
        }
        std::str::from_utf8(&self.line).map_err(|_| self.not_utf8(line))?;
        Ok(true)
    }

    /// A line that is no row: a comment, or nothing but white space. After the first row, tabs that
    /// separate cells are more than white space, as commas are: they make a row of blank cells.
    fn is_between_rows(&self) -> bool {
        let Ok(line) = std::str::from_utf8(&self.line) else { return false };
        let is_tab_a_cell = self.delimiter == b'\t' && self.row.first_line > 0;
        let is_blank = |c: char| c.is_whitespace() && !(c == '\t' && is_tab_a_cell);
        line.starts_with('#') || line.chars().all(is_blank)
    }

    /// Hands the line to the parser; `true` when the row ends with it.
    fn parse_line(&mut self) -> Result<bool, Error> {
        if self.row.n_bytes == 0 {
            quotes_first(&mut self.line, self.delimiter);
        }
        self.line.push(b'\n');
        self.row.n_bytes += self.line.len();
        let mut rest = &self.line[..];
        loop {
            let RowEnd { text_len, n_cells, .. } = self.row;
            let (result, n_in, n_out, n_ends) = self.parser.read_record(
                rest,
                &mut self.text[text_len..],
                &mut self.ends[n_cells..],
            );
            rest = &rest[n_in..];
            self.row.text_len += n_out;
            self.row.n_cells += n_ends;
            match result {
                ReadRecordResult::Record => return Ok(true),
                ReadRecordResult::InputEmpty | ReadRecordResult::End => return Ok(false),
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull if self.ends.len() >= MAX_CELLS => {
                    let (name, line) = (self.name.clone(), self.row.first_line);
                    return Err(Error::TooManyCells { name, line });
                }
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
            }
        }
    }

    fn not_utf8(&self, line: u64) -> Error {
        Error::NotUtf8 { name: self.name.clone(), line, encoding: Encoding::Windows1252 }
    }
}

/// Takes off the white space before a quote that opens a cell: with it the quote would be a part of
/// the cell, and a delimiter behind it would end the cell.
fn quotes_first(line: &mut Vec<u8>, delimiter: u8) {
    if !line.windows(2).any(|pair| matches!(pair, [b' ' | b'\t', b'"'])) {
        return;
    }
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t') && byte != delimiter;
    let (mut kept, mut is_quoted, mut cell_start) = (Vec::with_capacity(line.len()), false, 0);
    for &byte in line.iter() {
        let is_blank_before = || kept[cell_start..].iter().all(|&byte| is_space(byte));
        match byte {
            b'"' if !is_quoted && is_blank_before() => {
                kept.truncate(cell_start);
                is_quoted = true;
            }
            b'"' if is_quoted => is_quoted = false,
            // The second of a doubled one: the cell goes on.
            b'"' if kept[cell_start..].starts_with(b"\"") && kept.ends_with(b"\"") => {
                is_quoted = true;
            }
            _ => {}
        }
        kept.push(byte);
        if byte == delimiter && !is_quoted {
            cell_start = kept.len();
        }
    }
    *line = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_quotes(line: &str, delimiter: u8, expected: &str) {
        let mut bytes = line.as_bytes().to_vec();
        quotes_first(&mut bytes, delimiter);
        assert_eq!(String::from_utf8(bytes).unwrap(), expected, "{line}");
    }

    #[test]
    fn white_space_before_an_opening_quote_is_taken_off_and_nothing_else() {
        check_quotes(r#"1, "user_a", "b, c""#, b',', r#"1,"user_a","b, c""#);
        check_quotes(r#"  "user_a""#, NO_DELIMITER, r#""user_a""#);
        check_quotes("a\t \"b\tc\"", b'\t', "a\t\"b\tc\"");
        check_quotes(r#""a ""b"" c", "d""#, b',', r#""a ""b"" c","d""#);
        check_quotes(r#"a "b", c "d""#, b',', r#"a "b", c "d""#);
        check_quotes(r#""a, ""b", "c""#, b',', r#""a, ""b","c""#);
    }

    fn reader(text: &str) -> RowReader<&[u8]> {
        RowReader::new("users.csv".into(), text.as_bytes(), b',')
    }

    #[track_caller]
    fn check_too_long(text: &str) {
        let mut rows = RowReader { max_row_len: 20, ..reader(text) };
        rows.read().unwrap();
        let error = rows.read().unwrap_err().to_string();
        assert!(error.contains("line 2: the record that begins here is longer"), "{error}");
    }

    #[test]
    fn a_record_without_end_is_left_off() {
        check_too_long(&format!("id\n{}", "x".repeat(21)));
        check_too_long(&format!("id\n\"{0}\n{0}\"", "x".repeat(12)));
        check_too_long(&format!("id\n\"{}", "\n".repeat(30)));
    }

    #[test]
    fn a_record_of_more_than_sixteen_mebibytes_is_an_error() {
        let text = "x".repeat((16 << 20) + 1);
        insta::assert_snapshot!(
            reader(&text).read().unwrap_err(),
            @"users.csv, line 1: the record that begins here is longer than 16 MiB; is a quote not closed, or is this no CSV file?"
        );
    }

    #[test]
    fn a_record_of_more_than_a_million_cells_is_an_error() {
        let text = ",".repeat(MAX_CELLS - 1);
        assert_eq!(reader(&text).read().unwrap().unwrap().len(), MAX_CELLS);
        insta::assert_snapshot!(
            reader(&format!("{text},")).read().unwrap_err(),
            @"users.csv, line 1: the record that begins here has more than a million cells; is this a CSV file?"
        );
    }

    #[test]
    fn a_row_of_many_long_cells_is_read_whole() {
        let cells: Vec<String> = (0..500).map(|n| "x".repeat(n)).collect();
        let text = cells.join(",");
        let mut rows = reader(&text);
        assert_eq!(rows.read().unwrap().unwrap().cells(), cells);
        assert!(rows.read().unwrap().is_none());
    }
}
