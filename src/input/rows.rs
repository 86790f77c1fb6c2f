//! Bytes into lines, and lines into rows of cells.

use std::borrow::Cow;
use std::io::BufRead;

use super::error::{Malformed, Refusal};
use super::source::WINDOWS_1252;
use crate::model::canonical_cell;

/// The most cells that one row may have.
const MAX_CELLS: usize = 1 << 20;

/// One row, and where it began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    /// Its first line, 1-based.
    pub(super) line: u64,
    text: &'a str,
    spans: &'a [(usize, usize)],
}

impl<'a> Row<'a> {
    /// How many cells it has.
    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    /// One cell, canonical; empty where the row is too short to have it.
    pub(super) fn cell(&self, index: usize) -> Cow<'a, str> {
        canonical_cell(self.raw(index))
    }

    /// All cells, canonical.
    pub(super) fn cells(&self) -> Vec<String> {
        (0..self.len()).map(|index| self.cell(index).into_owned()).collect()
    }

    /// The place of the last cell that is not blank.
    pub(super) fn last_filled(&self) -> Option<usize> {
        (0..self.len()).rfind(|&index| !self.raw(index).trim().is_empty())
    }

    /// The cells that hold a line break: the line on which each begins, and its text.
    pub(super) fn multi_line_cells(&self) -> impl Iterator<Item = (u64, &'a str)> {
        let is_on_one_line = !self.text.contains('\n');
        let (mut line, row) = (self.line, *self);
        let places = if is_on_one_line { 0..0 } else { 0..self.len() };
        places.filter_map(move |index| {
            let (first, cell) = (line, row.raw(index));
            line += cell.matches('\n').count() as u64;
            (line > first).then_some((first, cell))
        })
    }

    /// The cell as in the file, without its quotes; lines end with `\n`.
    fn raw(&self, index: usize) -> &'a str {
        let span = self.spans.get(index).and_then(|&(start, end)| self.text.get(start..end));
        span.unwrap_or_default()
    }
}

/// Reads rows one by one. Blank lines, rows of blank cells and comments (lines that begin with `#`)
/// are skipped, and counted as lines.
///
/// The `csv` crate is not used here because it accepts malformed input: text after a closing quote,
/// or an unclosed quote, would move users to other rows and columns unnoticed. It also does not
/// report the line on which a record begins after blank lines and comments.
pub(super) struct RowReader<R> {
    pub(super) lines: LineReader<R>,
    splitter: Splitter,
    max_len: usize,
    first_line: u64,
    is_held: bool,
    has_sep_line: bool,
    takes_comments: bool,
    pub(super) n_comments: u64,
}

impl<R: BufRead> RowReader<R> {
    /// Without a delimiter each line is one cell. With a `sep=` line the first line is skipped.
    pub(super) fn new(input: R, delimiter: Option<char>, has_sep_line: bool) -> Self {
        Self {
            lines: LineReader::new(input),
            splitter: Splitter::new(delimiter),
            max_len: MAX_LEN,
            first_line: 0,
            is_held: false,
            has_sep_line,
            takes_comments: true,
            n_comments: 0,
        }
    }

    /// From now on, a line that begins with `#` is a row.
    pub(super) fn end_comments(&mut self) {
        self.takes_comments = false;
    }

    /// The next row; `None` after the last.
    pub(super) fn read(&mut self) -> Result<Option<Row<'_>>, Refusal> {
        if !std::mem::take(&mut self.is_held) {
            loop {
                if !self.read_row()? {
                    return Ok(None);
                }
                if self.current().last_filled().is_some() {
                    break;
                }
            }
        }
        Ok(Some(self.current()))
    }

    /// The next read returns the last row again.
    pub(super) fn hold(&mut self) {
        self.is_held = true;
    }

    fn current(&self) -> Row<'_> {
        let Splitter { text, spans, .. } = &self.splitter;
        Row { line: self.first_line, text, spans }
    }

    fn read_row(&mut self) -> Result<bool, Refusal> {
        self.splitter.clear();
        let mut n_bytes = 0;
        loop {
            let line = self.lines.read(self.max_len - n_bytes).map_err(|error| match error {
                Refusal::TooLong { .. } if n_bytes > 0 => {
                    Refusal::TooLong { line: self.first_line }
                }
                error => error,
            })?;
            let Some((number, line)) = line else { break };
            if n_bytes == 0 {
                let is_comment = self.takes_comments && line.starts_with('#');
                self.n_comments += u64::from(is_comment);
                if is_comment || number == 1 && self.has_sep_line || line.trim().is_empty() {
                    continue;
                }
                self.first_line = number;
            }
            // Even empty lines add up inside a quote.
            n_bytes += line.len() + 1;
            if n_bytes > self.max_len {
                return Err(Refusal::TooLong { line: self.first_line });
            }
            let is_whole = self.splitter.take_line(number, line);
            if is_whole.map_err(|what| Refusal::Malformed { line: number, what })? {
                return Ok(true);
            }
        }
        self.splitter.open_cell.map_or(Ok(false), |(line, _)| {
            Err(Refusal::Malformed { line, what: Malformed::OpenQuote { line } })
        })
    }
}

/// Splits the lines of one row into cells, by RFC 4180 and no more. White space before and after a
/// quoted cell is accepted; a quote inside a cell without quotes is an ordinary character, unless
/// white space before it makes it look like the beginning of a quoted cell.
struct Splitter {
    delimiter: Option<char>,
    text: String,
    spans: Vec<(usize, usize)>,
    /// A quoted cell that is not closed yet: the line and the place in `text` where it begins.
    open_cell: Option<(u64, usize)>,
}

impl Splitter {
    fn new(delimiter: Option<char>) -> Self {
        Self { delimiter, text: String::new(), spans: Vec::new(), open_cell: None }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.spans.clear();
        self.open_cell = None;
    }

    /// Adds a line; `true` when the row ends with it.
    fn take_line(&mut self, number: u64, line: &str) -> Result<bool, Malformed> {
        let mut rest = Some(line);
        if let Some((first, start)) = self.open_cell {
            self.text.push('\n');
            match self.close(line, start) {
                None => return Ok(false),
                Some(behind) => rest = self.behind_quoted(behind, first, number)?,
            }
        }
        while let Some(text) = rest {
            if self.spans.len() >= MAX_CELLS {
                return Err(Malformed::TooManyCells);
            }
            let start = self.text.len();
            if let Some(quoted) = self.skip_blanks(text).strip_prefix('"') {
                self.open_cell = Some((number, start));
                match self.close(quoted, start) {
                    None => return Ok(false),
                    Some(behind) => rest = self.behind_quoted(behind, number, number)?,
                }
                continue;
            }
            let (cell, others) = match self.delimiter.and_then(|it| text.split_once(it)) {
                Some((cell, others)) => (cell, Some(others)),
                None => (text, None),
            };
            if self.delimiter.is_some() && has_quote_after_space(cell) {
                return Err(Malformed::SpaceBeforeQuote);
            }
            self.text.push_str(cell);
            self.spans.push((start, self.text.len()));
            rest = others;
        }
        Ok(true)
    }

    /// Adds the text of a quoted cell up to its closing quote, and gives the rest of the line;
    /// `None` where the line ends inside the quotes.
    fn close<'a>(&mut self, line: &'a str, start: usize) -> Option<&'a str> {
        let mut rest = line;
        while let Some((text, behind)) = rest.split_once('"') {
            self.text.push_str(text);
            let Some(doubled) = behind.strip_prefix('"') else {
                self.spans.push((start, self.text.len()));
                self.open_cell = None;
                return Some(behind);
            };
            self.text.push('"');
            rest = doubled;
        }
        self.text.push_str(rest);
        None
    }

    /// The next cells, behind the closing quote of a cell that began on line `first`; `None` where
    /// the row ends.
    fn behind_quoted<'a>(
        &self,
        rest: &'a str,
        first: u64,
        number: u64,
    ) -> Result<Option<&'a str>, Malformed> {
        let rest = self.skip_blanks(rest);
        if rest.is_empty() {
            return Ok(None);
        }
        match self.delimiter.and_then(|delimiter| rest.strip_prefix(delimiter)) {
            Some(others) => Ok(Some(others)),
            None => Err(Malformed::TextAfterQuote { first, last: number }),
        }
    }

    fn skip_blanks<'a>(&self, text: &'a str) -> &'a str {
        text.trim_start_matches(|c: char| c.is_whitespace() && Some(c) != self.delimiter)
    }
}

fn has_quote_after_space(cell: &str) -> bool {
    let mut quotes = cell.match_indices('"');
    quotes.any(|(at, _)| cell[..at].ends_with(char::is_whitespace))
}

/// The most bytes of one line, or of one record on several lines.
pub(super) const MAX_LEN: usize = 16 << 20;

/// Reads lines that end with `\n`, `\r\n` or, as on old Macs, a lone `\r`. Each is checked to be
/// UTF-8 without NUL; a byte order mark before the first is removed.
pub(super) struct LineReader<R> {
    pub(super) input: R,
    pub(super) n_lines: u64,
    is_after_cr: bool,
    line: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, n_lines: 0, is_after_cr: false, line: Vec::new() }
    }

    /// The next line, without its end, and its 1-based number; `None` after the last. A line of more
    /// than `max_len` bytes is an error.
    pub(super) fn read(&mut self, max_len: usize) -> Result<Option<(u64, &str)>, Refusal> {
        if !self.read_bytes(max_len)? {
            return Ok(None);
        }
        if self.n_lines == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        if self.line.contains(&0) {
            return Err(Refusal::Binary { line: self.n_lines });
        }
        match std::str::from_utf8(&self.line) {
            Ok(line) => Ok(Some((self.n_lines, line))),
            Err(_) => Err(Refusal::NotUtf8 { line: self.n_lines, encoding: WINDOWS_1252 }),
        }
    }

    fn read_bytes(&mut self, max_len: usize) -> Result<bool, Refusal> {
        self.line.clear();
        loop {
            let chunk = self.input.fill_buf().map_err(Refusal::Read)?;
            if chunk.is_empty() {
                let is_last = !self.line.is_empty();
                self.n_lines += u64::from(is_last);
                return Ok(is_last);
            }
            if std::mem::take(&mut self.is_after_cr) && chunk[0] == b'\n' {
                self.input.consume(1);
                continue;
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            self.line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            self.is_after_cr = end.is_some_and(|at| chunk[at] == b'\r');
            let n_read = end.map_or(chunk.len(), |at| at + 1);
            self.input.consume(n_read);
            if self.line.len() > max_len {
                return Err(Refusal::TooLong { line: self.n_lines + 1 });
            }
            if end.is_some() {
                self.n_lines += 1;
                return Ok(true);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::Error;
    use super::*;

    fn reader(text: &str, delimiter: Option<char>) -> RowReader<&[u8]> {
        RowReader::new(text.as_bytes(), delimiter, false)
    }

    /// The rows as `line: cell/cell`.
    fn rows_of(text: &str, delimiter: Option<char>) -> Result<Vec<String>, Refusal> {
        let (mut rows, mut shown) = (reader(text, delimiter), Vec::new());
        while let Some(row) = rows.read()? {
            shown.push(format!("{}: {}", row.line, row.cells().join("/")));
        }
        Ok(shown)
    }

    #[track_caller]
    fn check(text: &str, delimiter: char, expected: &[&str]) {
        assert_eq!(rows_of(text, Some(delimiter)).unwrap(), expected, "{text:?}");
    }

    #[track_caller]
    fn check_refused(text: &str, expected: &str) {
        assert_eq!(message(rows_of(text, Some(',')).unwrap_err()), expected, "{text:?}");
    }

    fn message(refusal: Refusal) -> String {
        Error { name: "users.csv".into(), refusal }.to_string()
    }

    #[test]
    fn cells_are_split_at_the_delimiter_and_unquoted() {
        check("a,b,c", ',', &["1: a/b/c"]);
        check("a;\"b;\"\"c\"\"\";\n", ';', &["1: a/b;\"c\"/"]);
        check("a\t\tb", '\t', &["1: a//b"]);
        check("x\n\"a\nb\",\"\n\nc\",d\ne\n", ',', &["1: x", "2: a b/c/d", "6: e"]);
        check("5\" pipe,=F(\"\"x\"\")", ',', &["1: 5\" pipe/=F(\"\"x\"\")"]);
        assert_eq!(rows_of("a,\"b", None).unwrap(), ["1: a,\"b"]);
        assert_eq!(rows_of("\"a,b\"\nc \"d\"", None).unwrap(), ["1: a,b", "2: c \"d\""]);
    }

    #[test]
    fn white_space_around_a_quoted_cell_is_ignored() {
        check("1, \"user_a\" , \"b, c\"", ',', &["1: 1/user_a/b, c"]);
        check("a\t \"b\tc\"", '\t', &["1: a/b\tc".replace('\t', " ").as_str()]);
        check("\"a\nb\", \"Doe, user_z, Jr.\", user_a", ',', &["1: a b/Doe, user_z, Jr./user_a"]);
    }

    #[test]
    fn blank_lines_and_rows_of_blank_cells_are_skipped() {
        check("\n ,\n\"\",\" \"\n\u{a0}\n,,x\n,\n", ',', &["5: //x"]);
        check("\t\na\tb\n\t \t\n", '\t', &["2: a/b"]);
    }

    #[test]
    fn text_after_a_closing_quote_is_refused() {
        check_refused(
            "\"a\"b,c",
            "users.csv:1: text after a closing quote; quote the whole cell or remove the quote",
        );
        check_refused(
            "a,\"b\nc\nd\"e",
            "users.csv:3: text after a closing quote, in the quoted cell on lines 1 to 3; quote the \
             whole cell or remove the quote",
        );
    }

    #[test]
    fn a_quote_that_is_never_closed_is_refused_with_the_line_of_its_cell() {
        let expected = "users.csv:3: unclosed quote: the quoted cell that begins on line 3 is \
                        never closed; close the quote or remove it";
        check_refused("a\n\"b\nc\",\"d\ne", expected);
        check_refused("a\n\nb,\"c\"\"\nd", expected);
    }

    #[test]
    fn white_space_before_a_quote_inside_a_cell_is_refused() {
        let expected = "users.csv:1: white space before a quote inside a cell; quote the whole cell \
                        and double the quotes inside it";
        check_refused("a \"b\",c", expected);
        check_refused("x,say \"hi, you\"", expected);
    }

    #[track_caller]
    fn check_too_long(text: &str) {
        let mut rows = RowReader { max_len: 20, ..reader(text, Some(',')) };
        rows.read().unwrap();
        let error = message(rows.read().unwrap_err());
        assert!(error.starts_with("users.csv:2: the record that begins here is longer"), "{error}");
    }

    #[test]
    fn a_record_without_end_is_not_read_to_its_end() {
        check_too_long(&format!("id\n{}", "x".repeat(21)));
        check_too_long(&format!("id\n\"{0}\n{0}\"", "x".repeat(12)));
        check_too_long(&format!("id\n\"{}", "\n".repeat(30)));
    }

    #[test]
    fn a_record_of_more_than_sixteen_mebibytes_is_an_error() {
        let text = "x".repeat((16 << 20) + 1);
        insta::assert_snapshot!(
            message(reader(&text, None).read().unwrap_err()),
            @"users.csv:1: the record that begins here is longer than 16 MiB; close an open quote, or give a CSV file"
        );
    }

    #[test]
    fn a_record_of_more_than_a_million_cells_is_an_error() {
        let text = format!("x{}", ",".repeat(MAX_CELLS - 1));
        assert_eq!(reader(&text, Some(',')).read().unwrap().unwrap().len(), MAX_CELLS);
        insta::assert_snapshot!(
            message(reader(&format!("{text},"), Some(',')).read().unwrap_err()),
            @"users.csv:1: more than a million cells; give a CSV file"
        );
    }

    #[test]
    fn a_row_of_many_long_cells_is_read_whole() {
        let cells: Vec<String> = (0..500).map(|n| "x".repeat(n)).collect();
        let text = cells.join(",");
        let mut rows = reader(&text, Some(','));
        assert_eq!(rows.read().unwrap().unwrap().cells(), cells);
        assert!(rows.read().unwrap().is_none());
    }

    #[track_caller]
    fn check_lines(bytes: &str, expected: &[&str]) {
        // A buffer of one byte, so that every line end is torn apart.
        let input = std::io::BufReader::with_capacity(1, bytes.as_bytes());
        let mut reader = LineReader::new(input);
        let mut lines = Vec::new();
        while let Some((number, line)) = reader.read(100).unwrap() {
            lines.push(line.to_owned());
            assert_eq!(number, lines.len() as u64);
        }
        assert_eq!(lines, expected, "{bytes:?}");
        assert_eq!(reader.n_lines, expected.len() as u64, "{bytes:?}");
    }

    #[test]
    fn each_of_three_line_ends_ends_one_line() {
        check_lines("a\nb\nc", &["a", "b", "c"]);
        check_lines("a\r\nb\r\nc\r\n", &["a", "b", "c"]);
        check_lines("a\rb\r", &["a", "b"]);
        check_lines("a\n\nb\r\n\r\nc\r\rd", &["a", "", "b", "", "c", "", "d"]);
        check_lines("\n\r", &["", ""]);
        check_lines("", &[]);
    }

    #[test]
    fn a_byte_order_mark_is_removed_from_the_first_line_only() {
        check_lines("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_before_it_is_read_to_its_end() {
        let mut reader = LineReader::new(&b"a\nbcdef\n"[..]);
        assert_eq!(reader.read(4).unwrap(), Some((1, "a")));
        assert!(matches!(reader.read(4), Err(Refusal::TooLong { line: 2 })));
    }
}
