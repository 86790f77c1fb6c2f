//! Whole lines of a file that a crash may have torn, and the cells of one of them.

use std::io::{self, BufRead, BufReader, Read};

use csv_core::{ReadRecordResult, Reader};

/// The longest line that is taken for a row: an answer has at most 4 MiB, and quoting at most
/// doubles it. Carried columns leave room enough in the rest.
const MAX_LINE: u64 = 64 << 20;

/// Reads whole lines; what is torn at the end is counted and not given.
pub(super) struct LineReader<R> {
    input: BufReader<R>,
    line: Vec<u8>,
    /// The number of the line read last, 1-based.
    pub(super) n_lines: u64,
    /// How many bytes the whole lines take.
    pub(super) n_whole: u64,
    /// How many bytes follow them.
    pub(super) n_torn: u64,
}

impl<R: Read> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input: BufReader::with_capacity(64 * 1024, input),
            line: Vec::new(),
            n_lines: 0,
            n_whole: 0,
            n_torn: 0,
        }
    }

    /// Goes to the next whole line; `false` after the last one.
    ///
    /// A row never holds a NUL: a power cut leaves runs of them where data did not reach the disk,
    /// so that the rest from there on is torn too.
    pub(super) fn advance(&mut self) -> io::Result<bool> {
        if self.n_torn > 0 {
            return Ok(false);
        }
        self.line.clear();
        let n_read = (&mut self.input).take(MAX_LINE).read_until(b'\n', &mut self.line)? as u64;
        if self.line.ends_with(b"\n") && !self.line.contains(&0) {
            self.n_lines += 1;
            self.n_whole += n_read;
            return Ok(true);
        }
        if n_read == MAX_LINE {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long for a row"));
        }
        self.n_torn = n_read + io::copy(&mut self.input, &mut io::sink())?;
        Ok(false)
    }

    /// The line that [`advance`](Self::advance) went to, or the torn bytes it stopped at; without
    /// its line break.
    pub(super) fn line(&self) -> &[u8] {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        line.strip_suffix(b"\r").unwrap_or(line)
    }
}

/// Takes lines of CSV apart, in memory that is used again for the next one.
pub(super) struct CellParser {
    core: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl CellParser {
    pub(super) fn new() -> Self {
        Self { core: Reader::new(), text: Vec::new(), ends: Vec::new() }
    }

    /// The cells of one line without its line break; the reason when it can't be one record.
    pub(super) fn parse(&mut self, line: &[u8]) -> Result<Cells<'_>, &'static str> {
        if line.is_empty() {
            return Err("the line is empty");
        }
        self.core.reset();
        // One more of each than is needed: the parser stops where one of them is full.
        self.text.resize(line.len() + 1, 0);
        let n_commas = line.iter().map(|&b| usize::from(b == b',')).sum::<usize>();
        self.ends.resize(n_commas + 2, 0);
        let (result, n_in, n_out, n_ends) =
            self.core.read_record(line, &mut self.text, &mut self.ends);
        if n_in < line.len() || result != ReadRecordResult::InputEmpty {
            return Err("there is a line break inside");
        }
        let (result, _, _, n_more_ends) =
            self.core.read_record(b"\n", &mut self.text[n_out..], &mut self.ends[n_ends..]);
        if result != ReadRecordResult::Record {
            return Err("a quote is not closed");
        }
        let text = std::str::from_utf8(&self.text[..n_out]).map_err(|_| "it is not UTF-8")?;
        Ok(Cells { text, ends: &self.ends[..n_ends + n_more_ends] })
    }
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

    /// One cell; empty where there is none.
    pub(super) fn get(self, at: usize) -> &'a str {
        let start = if at == 0 { Some(0) } else { self.ends.get(at - 1).copied() };
        let cell = start.zip(self.ends.get(at)).and_then(|(start, &end)| self.text.get(start..end));
        cell.unwrap_or_default()
    }

    pub(super) fn iter(self) -> impl Iterator<Item = &'a str> {
        (0..self.len()).map(move |at| self.get(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> (Vec<String>, u64, u64) {
        let mut reader = LineReader::new(bytes);
        let mut lines = Vec::new();
        while reader.advance().unwrap() {
            lines.push(String::from_utf8(reader.line().to_vec()).unwrap());
        }
        (lines, reader.n_whole, reader.n_torn)
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: &[&str], n_torn: u64) {
        let (lines, n_whole, torn) = lines(bytes);
        assert_eq!((lines.as_slice(), torn), (expected.map_owned().as_slice(), n_torn));
        assert_eq!(n_whole + torn, bytes.len() as u64);
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for &[&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|&it| it.to_owned()).collect()
        }
    }

    #[test]
    fn a_row_torn_by_a_crash_is_not_given_and_the_rows_before_it_are() {
        check(b"user_a,unlocked\nuser_b,unlo", &["user_a,unlocked"], 11);
        check(b"user_a,unlocked\n", &["user_a,unlocked"], 0);
        check(b"user_a", &[], 6);
        check(b"", &[], 0);
    }

    #[test]
    fn what_follows_a_hole_of_a_power_cut_is_torn() {
        check(b"a\n\0\0\0\nb\n", &["a"], 6);
        check(b"a\nb\0\nc\n", &["a"], 5);
    }

    #[test]
    fn a_line_may_have_been_given_a_carriage_return() {
        check(b"a\r\nb\n", &["a", "b"], 0);
    }

    fn cells(line: &str) -> Result<Vec<String>, &'static str> {
        let mut parser = CellParser::new();
        parser.parse(line.as_bytes()).map(|cells| cells.iter().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn cells_are_unquoted() {
        assert_eq!(cells(r#"a,"b,""c""",,é"#).unwrap(), ["a", "b,\"c\"", "", "é"]);
        assert_eq!(cells(",").unwrap(), ["", ""]);
    }

    #[test]
    fn what_is_not_one_record_is_refused_with_its_reason() {
        assert_eq!(cells("a,\"b"), Err("a quote is not closed"));
        assert_eq!(cells("a\rb"), Err("there is a line break inside"));
        assert_eq!(cells(""), Err("the line is empty"));
        assert_eq!(CellParser::new().parse(b"a,\xFF").err(), Some("it is not UTF-8"));
    }

    #[test]
    fn one_parser_reads_many_lines() {
        let mut parser = CellParser::new();
        assert!(parser.parse(b"a,\"b").is_err());
        assert_eq!(parser.parse(b"a,b").unwrap().iter().collect::<Vec<_>>(), ["a", "b"]);
    }
}
