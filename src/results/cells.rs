//! The cells of one CSV line: on one line, safe in a spreadsheet, quoted where they must be.

use std::fmt::Display;
use std::io::Write;

use crate::model::{is_formula_start, is_guarded, one_line};

/// One line of CSV at the end of a buffer. Each cell leaves a comma behind it; the last one
/// becomes the line's end.
pub(super) struct CellWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> CellWriter<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// A text from outside: on one line, and never a formula.
    pub(super) fn text(&mut self, text: &str) {
        let line = one_line(text);
        // A tab or a line break in front is a space by now, and is guarded all the same.
        if text.starts_with(is_formula_start) || line.starts_with(is_formula_start) {
            self.cell(&format!("'{line}"));
        } else {
            self.cell(&line);
        }
    }

    /// Several texts.
    pub(super) fn texts(&mut self, texts: impl IntoIterator<Item = impl AsRef<str>>) {
        for text in texts {
            self.text(text.as_ref());
        }
    }

    /// A text that may be absent.
    pub(super) fn maybe_text(&mut self, text: Option<&str>) {
        self.text(text.unwrap_or_default());
    }

    /// A number, a time, a truth, a code: holds nothing that would have to be quoted.
    pub(super) fn plain(&mut self, value: impl Display) {
        // Writing to memory does not fail.
        let _ = write!(self.out, "{value},");
    }

    /// A plain value that may be absent.
    pub(super) fn maybe_plain(&mut self, value: Option<impl Display>) {
        match value {
            Some(value) => self.plain(value),
            None => self.out.push(b','),
        }
    }

    /// So many cells with nothing in them.
    pub(super) fn empty(&mut self, n_cells: usize) {
        self.out.extend(std::iter::repeat_n(b',', n_cells));
    }

    /// Ends the line.
    pub(super) fn finish(self) {
        if self.out.last() == Some(&b',') {
            self.out.pop();
        }
        self.out.push(b'\n');
    }

    fn cell(&mut self, text: &str) {
        if must_be_quoted(text) {
            self.quoted(text);
        } else {
            self.out.extend_from_slice(text.as_bytes());
        }
        self.out.push(b',');
    }

    fn quoted(&mut self, text: &str) {
        self.out.reserve(text.len() + text.len() / 4);
        self.out.push(b'"');
        for part in text.split_inclusive('"') {
            self.out.extend_from_slice(part.as_bytes());
            if part.ends_with('"') {
                self.out.push(b'"');
            }
        }
        self.out.push(b'"');
    }
}

/// A `#` in front would make a comment of the line when it is read as input.
fn must_be_quoted(text: &str) -> bool {
    text.starts_with('#') || text.bytes().any(|b| matches!(b, b',' | b'"' | b'\n' | b'\r'))
}

/// A text cell as it was before it was made safe: the guard of a formula taken off.
pub(super) fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if is_guarded(text) => text,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(cells: &[&str]) -> String {
        let mut out = Vec::new();
        let mut writer = CellWriter::new(&mut out);
        writer.texts(cells);
        writer.finish();
        String::from_utf8(out).unwrap()
    }

    #[track_caller]
    fn check(cell: &str, expected: &str) {
        assert_eq!(line(&[cell, "x"]), format!("{expected},x\n"), "{cell:?}");
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_guarded() {
        check("=1+1", "'=1+1");
        check("+1", "'+1");
        check("-1", "'-1");
        check("@x", "'@x");
        check("=A1,B1", "\"'=A1,B1\"");
        check("\t=1", "' =1");
        check("\r\nx", "' x");
        check(" =1", " =1");
        check("\nx", " x");
        check("a=1", "a=1");
    }

    #[test]
    fn a_line_break_becomes_a_space_and_other_control_characters_too() {
        check("a\r\nb\nc", "a b c");
        check("a\u{2028}b\u{2029}c", "a b c");
        check("a\u{85}b\u{7f}c\u{0}d", "a b c d");
        check("é\u{a0}", "é\u{a0}");
    }

    #[test]
    fn a_cell_is_quoted_where_it_must_be() {
        check("a,b", "\"a,b\"");
        check("say \"hi\"", "\"say \"\"hi\"\"\"");
        check("\"", "\"\"\"\"");
        check("# no comment", "\"# no comment\"");
        check("", "");
    }

    #[test]
    fn only_the_guard_of_a_formula_is_taken_off() {
        assert_eq!(unguarded("'=x"), "=x");
        assert_eq!(unguarded("' =x"), " =x");
        assert_eq!(unguarded("'x"), "'x");
        assert_eq!(unguarded("''=x"), "''=x");
    }

    proptest! {
        #[test]
        fn any_csv_reader_reads_the_texts_back(cells in proptest::collection::vec(any::<String>(), 2..6)) {
            let line = line(&cells.iter().map(String::as_str).collect::<Vec<_>>());
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
    }
}
