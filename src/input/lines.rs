//! Bytes into checked lines of text.

use std::io::BufRead;

use super::{Encoding, Error};

/// The most bytes of one line, or of one record on several lines.
pub(super) const MAX_LEN: usize = 16 << 20;

/// Reads lines that end with `\n`, `\r\n` or, as on old Macs, a lone `\r`. Each is checked to be
/// UTF-8 without NUL; a byte order mark before the first is removed.
pub(super) struct LineReader<R> {
    name: String,
    input: R,
    n_lines: u64,
    is_after_cr: bool,
    line: Vec<u8>,
}

impl<R: BufRead> LineReader<R> {
    /// `name` is what messages call the input.
    pub(super) fn new(name: &str, input: R) -> Self {
        let name = name.to_owned();
        Self { name, input, n_lines: 0, is_after_cr: false, line: Vec::new() }
    }

    /// How many lines were read.
    pub(super) fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// The next line, without its end, and its 1-based number; `None` after the last. A line of more
    /// than `max_len` bytes is an error.
    pub(super) fn read(&mut self, max_len: usize) -> Result<Option<(u64, &str)>, Error> {
        if !self.read_bytes(max_len)? {
            return Ok(None);
        }
        if self.n_lines == 1 && self.line.starts_with(b"\xef\xbb\xbf") {
            self.line.drain(..3);
        }
        if self.line.contains(&0) {
            return Err(Error::Binary { name: self.name.clone(), line: self.n_lines });
        }
        match std::str::from_utf8(&self.line) {
            Ok(line) => Ok(Some((self.n_lines, line))),
            Err(_) => Err(Error::NotUtf8 {
                name: self.name.clone(),
                line: self.n_lines,
                encoding: Encoding::Windows1252,
            }),
        }
    }

    fn read_bytes(&mut self, max_len: usize) -> Result<bool, Error> {
        self.line.clear();
        loop {
            let chunk = self.input.fill_buf();
            let chunk = chunk.map_err(|reason| Error::Read { name: self.name.clone(), reason })?;
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
                return Err(Error::TooLong { name: self.name.clone(), line: self.n_lines + 1 });
            }
            if end.is_some() {
                self.n_lines += 1;
                return Ok(true);
            }
        }
    }

    /// The input behind the lines.
    pub(super) fn into_inner(self) -> R {
        self.input
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &str, expected: &[&str]) {
        // A buffer of one byte, so that every line end is torn apart.
        let input = std::io::BufReader::with_capacity(1, bytes.as_bytes());
        let mut reader = LineReader::new("users.csv", input);
        let mut lines = Vec::new();
        while let Some((number, line)) = reader.read(100).unwrap() {
            lines.push(line.to_owned());
            assert_eq!(number, lines.len() as u64);
        }
        assert_eq!(lines, expected, "{bytes:?}");
        assert_eq!(reader.n_lines(), expected.len() as u64, "{bytes:?}");
    }

    #[test]
    fn each_of_three_line_ends_ends_one_line() {
        check("a\nb\nc", &["a", "b", "c"]);
        check("a\r\nb\r\nc\r\n", &["a", "b", "c"]);
        check("a\rb\r", &["a", "b"]);
        check("a\n\nb\r\n\r\nc\r\rd", &["a", "", "b", "", "c", "", "d"]);
        check("\n\r", &["", ""]);
        check("", &[]);
    }

    #[test]
    fn a_byte_order_mark_is_removed_from_the_first_line_only() {
        check("\u{feff}a\n\u{feff}b", &["a", "\u{feff}b"]);
    }

    #[test]
    fn a_line_that_is_too_long_is_an_error_before_it_is_read_to_its_end() {
        let mut reader = LineReader::new("users.csv", &b"a\nbcdef\n"[..]);
        assert_eq!(reader.read(4).unwrap(), Some((1, "a")));
        assert!(matches!(reader.read(4), Err(Error::TooLong { line: 2, .. })));
    }
}
