//! Bytes into physical lines.

use std::io::{self, BufRead};

/// What came of asking for one more line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// It was read.
    Read,
    /// It was left off in the middle: it is longer than allowed.
    TooLong,
    /// There are no more.
    End,
}

/// Reads lines that end with `\n`, `\r\n` or, as on old Macs, a lone `\r`.
pub(super) struct LineReader<R> {
    input: R,
    n_lines: u64,
    is_after_cr: bool,
}

impl<R: BufRead> LineReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self { input, n_lines: 0, is_after_cr: false }
    }

    /// How many lines were read; so also the 1-based number of the last one.
    pub(super) fn n_lines(&self) -> u64 {
        self.n_lines
    }

    /// Puts the next line, without its end, in place of what `line` holds.
    pub(super) fn read(&mut self, line: &mut Vec<u8>, max_len: usize) -> io::Result<Line> {
        line.clear();
        loop {
            let chunk = self.input.fill_buf()?;
            if chunk.is_empty() {
                let is_last = !line.is_empty();
                self.n_lines += u64::from(is_last);
                return Ok(if is_last { Line::Read } else { Line::End });
            }
            if self.is_after_cr {
                self.is_after_cr = false;
                if chunk[0] == b'\n' {
                    self.input.consume(1);
                    continue;
                }
            }
            let end = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            line.extend_from_slice(&chunk[..end.unwrap_or(chunk.len())]);
            self.is_after_cr = end.is_some_and(|at| chunk[at] == b'\r');
            let n_read = end.map_or(chunk.len(), |at| at + 1);
            self.input.consume(n_read);
            if line.len() > max_len {
                self.n_lines += 1;
                return Ok(Line::TooLong);
            }
            if end.is_some() {
                self.n_lines += 1;
                return Ok(Line::Read);
            }
        }
    }

    /// What is behind the lines.
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
        let mut reader = LineReader::new(io::BufReader::with_capacity(1, bytes.as_bytes()));
        let (mut line, mut lines) = (Vec::new(), Vec::new());
        while reader.read(&mut line, 100).unwrap() == Line::Read {
            lines.push(String::from_utf8(line.clone()).unwrap());
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
    fn a_line_that_is_too_long_is_left_off() {
        let mut reader = LineReader::new(&b"a\nbcdef\n"[..]);
        let mut line = Vec::new();
        assert_eq!(reader.read(&mut line, 4).unwrap(), Line::Read);
        assert_eq!(reader.read(&mut line, 4).unwrap(), Line::TooLong);
        assert_eq!(reader.n_lines(), 2);
    }
}
