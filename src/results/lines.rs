//! Lines of CSV: cells are made safe when they are written, and whole lines are found when a file
//! is read that a crash may have torn.

use std::fmt::{self, Display, Write as _};
use std::io::{self, BufRead, BufReader, Read};
use std::time::SystemTime;

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use jiff::Timestamp;
use memchr::memchr;

use crate::model::{is_formula_start, is_guarded, one_line};

/// Writes lines of CSV into memory. No cell contains a line break, and no text cell is a formula.
pub(super) struct LineWriter {
    csv: csv::Writer<Vec<u8>>,
    scratch: String,
}

impl LineWriter {
    pub(super) fn new() -> Self {
        Self { csv: csv_writer(Vec::new()), scratch: String::new() }
    }

    /// A text from outside: on one line, and guarded where a spreadsheet would run it as a formula.
    pub(super) fn text(&mut self, text: &str) {
        // Most texts, snapshots above all, need no change.
        if is_printable_ascii(text) && !text.starts_with(is_formula_start) {
            return self.cell(text);
        }
        let line = one_line(text);
        // A leading tab or carriage return is a space by now and is guarded all the same.
        if text.starts_with(is_formula_start) || line.starts_with(is_formula_start) {
            self.cell(&format!("'{line}"));
        } else {
            self.cell(&line);
        }
    }

    pub(super) fn texts(&mut self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            self.text(text.as_ref());
        }
    }

    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    /// A number, a time, a code: a value that needs no guard.
    pub(super) fn plain(&mut self, value: impl Display) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Writing to memory does not fail.
        let _ = write!(scratch, "{value}");
        self.cell(&scratch);
        self.scratch = scratch;
    }

    pub(super) fn maybe_plain(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.plain(value),
            None => self.cell(""),
        }
    }

    pub(super) fn empty(&mut self, n_cells: usize) {
        (0..n_cells).for_each(|_| self.cell(""));
    }

    fn cell(&mut self, text: &str) {
        // Writing to memory does not fail.
        let _ = self.csv.write_field(text);
    }

    /// Ends the line and gives the length of all lines so far, in bytes.
    pub(super) fn end_line(&mut self) -> usize {
        // As above.
        let _ = self.csv.write_record(None::<&[u8]>);
        let _ = self.csv.flush();
        self.csv.get_ref().len()
    }

    /// Takes the lines out, and `spare` as memory for the next ones.
    pub(super) fn take(&mut self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        let full = std::mem::replace(&mut self.csv, csv_writer(spare));
        // As above.
        full.into_inner().unwrap_or_default()
    }
}

fn csv_writer(memory: Vec<u8>) -> csv::Writer<Vec<u8>> {
    csv::WriterBuilder::new()
        .flexible(true)
        // An unquoted "#" in front of a header would make a comment of it.
        .comment(Some(b'#'))
        .terminator(csv::Terminator::Any(b'\n'))
        .from_writer(memory)
}

/// Whole chunks are checked at once: the compiler makes vector code of it.
fn is_printable_ascii(text: &str) -> bool {
    let is_printable = |byte: &u8| matches!(byte, b' '..=b'~');
    text.as_bytes()
        .chunks(64)
        .all(|chunk| chunk.iter().fold(true, |all, it| all & is_printable(it)))
}

/// A text cell as it was before it was guarded.
pub(super) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_guarded(text) => text,
        _ => cell,
    }
}

/// The maximum length of a row: a response has at most 4 MiB, and quoting at most doubles it.
/// Carried columns have room enough in the rest.
const MAX_LINE: usize = 64 << 20;

/// Reads whole lines. The torn end of a file is counted and not returned.
///
/// Rows are single lines, so a fast search for line breaks finds them. A CSV parser would read each
/// byte and could not distinguish a torn row from a quoted line break.
pub(super) struct LineReader<R> {
    input: BufReader<R>,
    /// The last line with its line break, or the torn bytes after it.
    pub(super) bytes: Vec<u8>,
    /// The number of the last line, 1-based.
    pub(super) n_lines: u64,
    /// Length of all whole lines so far.
    pub(super) n_whole_bytes: u64,
    /// Length of the torn end; known after the last line.
    pub(super) n_torn_bytes: u64,
}

impl<R: Read> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            bytes: Vec::new(),
            n_lines: 0,
            n_whole_bytes: 0,
            n_torn_bytes: 0,
        }
    }

    /// Reads the next whole line; `false` after the last one.
    ///
    /// A row never holds a NUL. A power cut leaves runs of them where data did not reach the disk,
    /// so everything from there on counts as torn.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        if self.n_torn_bytes > 0 {
            return Ok(false);
        }
        self.bytes.clear();
        let is_whole = self.read_line()?;
        let n_read = self.bytes.len() as u64;
        if is_whole && memchr(0, &self.bytes).is_none() {
            self.n_lines += 1;
            self.n_whole_bytes += n_read;
            return Ok(true);
        }
        self.n_torn_bytes = n_read + io::copy(&mut self.input, &mut io::sink())?;
        Ok(false)
    }

    /// Reads up to and including the next line break; `false` at the end. As
    /// [`BufRead::read_until`], with a search that is four times as fast.
    fn read_line(&mut self) -> io::Result<bool> {
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffer => buffer?,
            };
            let end = memchr(b'\n', buffer).map(|at| at + 1);
            let n_read = end.unwrap_or(buffer.len());
            self.bytes.extend_from_slice(&buffer[..n_read]);
            self.input.consume(n_read);
            if end.is_some() || n_read == 0 {
                return Ok(end.is_some());
            }
            if self.bytes.len() > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
        }
    }

    /// The same without the line break.
    pub(super) fn line(&self) -> &[u8] {
        let line = self.bytes.strip_suffix(b"\n").unwrap_or(&self.bytes);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// Splits lines of CSV into cells, in memory that is used again for the next line.
pub(super) struct CellParser {
    core: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl CellParser {
    pub(super) fn new(delimiter: u8) -> Self {
        let core = ReaderBuilder::new().delimiter(delimiter).build();
        Self { core, text: Vec::new(), ends: Vec::new() }
    }

    /// The first `max_cells` cells of one line without its line break. Cells beyond that are only
    /// checked for an open quote and for UTF-8.
    pub(super) fn parse(
        &mut self,
        line: &[u8],
        max_cells: usize,
    ) -> Result<Cells<'_>, &'static str> {
        if line.is_empty() {
            return Err("the line is empty");
        }
        self.core.reset();
        // One byte more than it can need: the parser stops where an output is full.
        self.text.resize(line.len() + 1, 0);
        self.ends.resize(max_cells, 0);
        let (result, n_in, n_out, mut n_cells) =
            self.core.read_record(line, &mut self.text, &mut self.ends);
        let is_cut = match result {
            ReadRecordResult::OutputEndsFull => true,
            ReadRecordResult::InputEmpty if n_in == line.len() => n_cells == max_cells,
            _ => return Err("there is a line break inside a row"),
        };
        if is_cut && has_open_quote(line) {
            return Err("a quote is not closed");
        }
        if is_cut && std::str::from_utf8(line).is_err() {
            return Err("it is not UTF-8");
        }
        if !is_cut {
            let (text, ends) = (&mut self.text[n_out..], &mut self.ends[n_cells..]);
            match self.core.read_record(b"\n", text, ends) {
                (ReadRecordResult::Record, _, _, n_more) => n_cells += n_more,
                _ => return Err("a quote is not closed"),
            }
        }
        let ends = &self.ends[..n_cells];
        let text = &self.text[..ends.last().copied().unwrap_or(0)];
        let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
        Ok(Cells { text, ends })
    }
}

/// Whether the number of quotes is odd. Summed in small chunks, the compiler makes vector code of
/// it.
fn has_open_quote(line: &[u8]) -> bool {
    let is_odd = |chunk: &[u8]| {
        chunk.iter().map(|&byte| u8::from(byte == b'"')).fold(0_u8, u8::wrapping_add) % 2 == 1
    };
    line.chunks(4096).filter(|chunk| is_odd(chunk)).count() % 2 == 1
}

/// The cells of one line.
#[derive(Clone, Copy)]
pub(super) struct Cells<'a> {
    text: &'a str,
    ends: &'a [usize],
}

impl<'a> Cells<'a> {
    pub(super) fn len(self) -> usize {
        self.ends.len()
    }

    /// One cell; empty if the line has fewer.
    pub(super) fn get(self, at: usize) -> &'a str {
        let start = if at == 0 { Some(0) } else { self.ends.get(at - 1).copied() };
        let cell = start.zip(self.ends.get(at)).and_then(|(start, &end)| self.text.get(start..end));
        cell.unwrap_or_default()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(move |at| self.get(at))
    }
}

/// Unix milliseconds of the start of year 0. Earlier times have no RFC 3339 form.
const YEAR_ZERO_MS: i64 = -62_167_219_200_000;

/// A time that can be written, in whole milliseconds.
#[derive(Clone, Copy)]
pub(super) struct Moment(Timestamp);

impl Moment {
    /// `None` outside of the years 0 to 9999.
    pub(super) fn from_unix_ms(ms: i64) -> Option<Self> {
        if ms < YEAR_ZERO_MS { None } else { Timestamp::from_millisecond(ms).ok().map(Self) }
    }

    /// `None` as above.
    pub(super) fn from_system(time: SystemTime) -> Option<Self> {
        Self::from_unix_ms(Timestamp::try_from(time).ok()?.as_millisecond())
    }

    pub(super) fn to_unix_ms(self) -> i64 {
        self.0.as_millisecond()
    }

    /// `None` where the system's clock does not reach.
    pub(super) fn to_system(self) -> Option<SystemTime> {
        self.0.try_into().ok()
    }

    /// Parses any RFC 3339 time.
    pub(super) fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn written(cells: &[&str]) -> String {
        let mut writer = LineWriter::new();
        writer.texts(cells);
        let n_bytes = writer.end_line();
        let line = String::from_utf8(writer.take(Vec::new())).unwrap();
        assert_eq!(line.len(), n_bytes);
        line
    }

    #[track_caller]
    fn check_cell(cell: &str, expected: &str) {
        assert_eq!(written(&[cell, "x"]), format!("{expected},x\n"), "{cell:?}");
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_guarded() {
        check_cell("=1+1", "'=1+1");
        check_cell("+1", "'+1");
        check_cell("-1", "'-1");
        check_cell("@x", "'@x");
        check_cell("=A1,B1", "\"'=A1,B1\"");
        check_cell("\t=1", "' =1");
        check_cell("\r\nx", "' x");
        check_cell(" =1", " =1");
        check_cell("\nx", " x");
        check_cell("a=1", "a=1");
    }

    #[test]
    fn line_breaks_and_control_characters_become_spaces() {
        check_cell("a\r\nb\nc", "a b c");
        check_cell("a\u{2028}b\u{2029}c", "a b c");
        check_cell("a\u{85}b\u{7f}c\u{0}d", "a b c d");
        check_cell("é\u{a0}", "é\u{a0}");
    }

    #[test]
    fn a_cell_is_quoted_only_where_it_must_be() {
        check_cell("a,b", "\"a,b\"");
        check_cell("say \"hi\"", "\"say \"\"hi\"\"\"");
        check_cell("\"", "\"\"\"\"");
        check_cell("# no comment", "\"# no comment\"");
        check_cell("", "");
    }

    #[test]
    fn memory_of_written_lines_is_used_again() {
        let mut writer = LineWriter::new();
        writer.text("a");
        writer.plain(1);
        assert_eq!(writer.end_line(), 4);
        writer.empty(2);
        assert_eq!(writer.end_line(), 6);
        let first = writer.take(Vec::new());
        assert_eq!(first, b"a,1\n,\n");
        writer.maybe_plain(Some('b'));
        writer.maybe_plain(None::<u8>);
        assert_eq!(writer.end_line(), 3);
        assert_eq!(writer.take(first), b"b,\n");
    }

    #[test]
    fn only_the_guard_of_a_formula_is_removed() {
        assert_eq!(unguarded("'=x"), "=x");
        assert_eq!(unguarded("' =x"), " =x");
        assert_eq!(unguarded("'x"), "'x");
        assert_eq!(unguarded("''=x"), "''=x");
    }

    proptest! {
        #[test]
        fn any_csv_reader_reads_the_texts_back(cells in proptest::collection::vec(any::<String>(), 2..6)) {
            let line = written(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            prop_assert_eq!(line.matches('\n').count(), 1);
            let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
            let read = reader.records().next().unwrap().unwrap();
            prop_assert_eq!(read.len(), cells.len());
            for (read, cell) in read.iter().zip(&cells) {
                prop_assert!(!read.starts_with(is_formula_start));
                let expected = one_line(cell);
                prop_assert_eq!(unguarded(read), unguarded(&expected));
            }
        }

        #[test]
        fn the_first_cells_are_those_of_the_whole_line(
            cells in proptest::collection::vec("[a\",é\u{7f} ]{0,5}", 2..9), n in 1..9_usize,
        ) {
            let line = written(&cells.iter().map(String::as_str).collect::<Vec<_>>());
            let (mut some, mut all) = (CellParser::new(b','), CellParser::new(b','));
            let line = line.strip_suffix('\n').unwrap().as_bytes();
            let some = some.parse(line, n).unwrap();
            let all = all.parse(line, 9).unwrap();
            prop_assert_eq!(all.len(), cells.len());
            prop_assert!(some.iter().eq(all.iter().take(n)));
        }
    }

    fn lines(bytes: &[u8]) -> (Vec<String>, u64, u64) {
        let mut reader = LineReader::new(bytes);
        let mut lines = Vec::new();
        while reader.advance().unwrap() {
            lines.push(String::from_utf8(reader.line().to_vec()).unwrap());
        }
        (lines, reader.n_whole_bytes, reader.n_torn_bytes)
    }

    #[track_caller]
    fn check_lines(bytes: &[u8], expected: &[&str], n_torn: u64) {
        let (lines, n_whole, torn) = lines(bytes);
        assert!(lines.iter().eq(expected), "{lines:?}");
        assert_eq!((torn, n_whole + torn), (n_torn, bytes.len() as u64));
    }

    #[test]
    fn a_row_torn_by_a_crash_is_left_out() {
        check_lines(b"user_a,unlocked\nuser_b,unlo", &["user_a,unlocked"], 11);
        check_lines(b"user_a,unlocked\n", &["user_a,unlocked"], 0);
        check_lines(b"user_a", &[], 6);
        check_lines(b"", &[], 0);
    }

    #[test]
    fn everything_after_a_hole_of_a_power_cut_is_torn() {
        check_lines(b"a\n\0\0\0\nb\n", &["a"], 6);
        check_lines(b"a\nb\0\nc\n", &["a"], 5);
    }

    #[test]
    fn a_line_may_end_with_a_carriage_return() {
        check_lines(b"a\r\nb\n", &["a", "b"], 0);
    }

    fn cells(line: &str) -> Result<Vec<String>, &'static str> {
        let mut parser = CellParser::new(b',');
        parser.parse(line.as_bytes(), 9).map(|cells| cells.iter().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn cells_are_unquoted() {
        assert_eq!(cells(r#"a,"b,""c""",,é"#).unwrap(), ["a", "b,\"c\"", "", "é"]);
        assert_eq!(cells(",").unwrap(), ["", ""]);
    }

    #[test]
    fn a_line_that_is_not_one_record_is_refused_with_the_reason() {
        assert_eq!(cells("a,\"b"), Err("a quote is not closed"));
        assert_eq!(cells("a\rb"), Err("there is a line break inside a row"));
        assert_eq!(cells(""), Err("the line is empty"));
        let first = |line: &[u8]| CellParser::new(b',').parse(line, 1).map(Cells::len);
        assert_eq!(first(b"a,\"b"), Err("a quote is not closed"));
        assert_eq!(first(b"a,b\",\""), Ok(1));
        assert_eq!(first(b"a,\"b\",\"\"\"\""), Ok(1));
        assert_eq!(CellParser::new(b',').parse(b"a,\xFF", 2).err(), Some("it is not UTF-8"));
    }

    #[test]
    fn one_parser_reads_many_lines() {
        let mut parser = CellParser::new(b';');
        assert!(parser.parse(b"a;\"b", 9).is_err());
        assert_eq!(parser.parse(b"a;b,c", 9).unwrap().iter().collect::<Vec<_>>(), ["a", "b,c"]);
    }

    #[track_caller]
    fn check_time(ms: i64, expected: Option<&str>) {
        assert_eq!(Moment::from_unix_ms(ms).map(|it| it.to_string()).as_deref(), expected, "{ms}");
    }

    #[test]
    fn a_time_is_written_in_utc_with_milliseconds() {
        check_time(0, Some("1970-01-01T00:00:00.000Z"));
        check_time(1_700_000_000_123, Some("2023-11-14T22:13:20.123Z"));
        check_time(-1, Some("1969-12-31T23:59:59.999Z"));
        check_time(YEAR_ZERO_MS, Some("0000-01-01T00:00:00.000Z"));
    }

    #[test]
    fn a_time_without_a_year_of_four_digits_is_not_written() {
        check_time(YEAR_ZERO_MS - 1, None);
        check_time(i64::MAX, None);
        check_time(i64::MIN, None);
    }

    #[test]
    fn a_written_time_is_read_back_to_the_millisecond() {
        let time = UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_999_999);
        let text = Moment::from_system(time).unwrap().to_string();
        let read = Moment::parse(&text).unwrap();
        assert_eq!(read.to_system(), Some(UNIX_EPOCH + Duration::from_millis(1_700_000_000_123)));
        assert_eq!(read.to_unix_ms(), 1_700_000_000_123);
    }
}
