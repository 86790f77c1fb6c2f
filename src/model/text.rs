//! What is done to a text from outside before it stands in a cell or on a screen.

use std::borrow::Cow;

/// The text on one line: each control character (line breaks, escapes, NUL) becomes one space.
pub fn one_line(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        Cow::Owned(text.replace("\r\n", " ").replace(char::is_control, " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a spreadsheet would run a cell that starts with this character as a formula.
pub fn is_formula_start(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r')
}

/// An input cell as the program speaks of it: on one line, white space around it taken off, and
/// without the `'` that guards a formula, or with which people make a spreadsheet leave a user id
/// alone.
pub fn canonical_cell(text: &str) -> Cow<'_, str> {
    let line = match one_line(text) {
        Cow::Borrowed(line) => Cow::Borrowed(line.trim()),
        Cow::Owned(line) => Cow::Owned(line.trim().to_owned()),
    };
    let is_guarded = line
        .strip_prefix('\'')
        .is_some_and(|rest| rest.starts_with(is_formula_start) || rest.starts_with("user_"));
    match line {
        Cow::Borrowed(line) if is_guarded => Cow::Borrowed(&line[1..]),
        Cow::Owned(mut line) if is_guarded => {
            line.remove(0);
            Cow::Owned(line)
        }
        line => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_break_becomes_one_space() {
        assert_eq!(one_line("a\nb\r\nc\rd"), "a b c d");
        assert_eq!(one_line("\u{1b}[31mred"), " [31mred");
        assert_eq!(one_line("plain"), "plain");
    }

    #[test]
    fn a_cell_loses_its_padding_and_its_formula_guard_and_nothing_else() {
        assert_eq!(canonical_cell("  user_a \t"), "user_a");
        assert_eq!(canonical_cell("'+15551234"), "+15551234");
        assert_eq!(canonical_cell(" 'user_a"), "user_a");
        assert_eq!(canonical_cell("'o'brien"), "'o'brien");
        assert_eq!(canonical_cell("''=x"), "''=x");
        assert_eq!(canonical_cell(" \u{feff} "), "\u{feff}");
    }
}
