//! What is done to a text from outside before it stands in a cell or on a console.

use std::borrow::Cow;

/// Breaks a line and is no control character: Unicode's line and paragraph separators.
pub fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// The text on one line: each control character (line breaks, escapes, NUL) and each separator
/// becomes one space.
pub fn one_line(text: &str) -> Cow<'_, str> {
    let is_odd = |c: char| c.is_control() || is_separator(c);
    if text.contains(is_odd) {
        Cow::Owned(text.replace("\r\n", " ").replace(is_odd, " "))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether a spreadsheet would run a cell that starts with this character as a formula.
pub fn is_formula_start(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r')
}

/// Whether this, behind a `'`, makes it the guard of a formula. The space is what became of a tab or
/// a line break.
pub fn is_guarded(text: &str) -> bool {
    text.starts_with(is_formula_start) || text.starts_with(' ')
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
        .is_some_and(|rest| self::is_guarded(rest) || rest.starts_with("user_"));
    match line {
        line if !is_guarded => line,
        Cow::Borrowed(line) => Cow::Borrowed(line[1..].trim_start()),
        Cow::Owned(line) => Cow::Owned(line[1..].trim_start().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_break_becomes_one_space() {
        assert_eq!(one_line("a\nb\r\nc\rd"), "a b c d");
        assert_eq!(one_line("\u{1b}[31mred"), " [31mred");
        assert_eq!(one_line("a\u{2028}b\u{2029}\u{2028}c"), "a b  c");
        assert_eq!(one_line("plain"), "plain");
    }

    #[test]
    fn a_cell_loses_its_padding_and_its_formula_guard_and_nothing_else() {
        assert_eq!(canonical_cell("  user_a \t"), "user_a");
        assert_eq!(canonical_cell("'+15551234"), "+15551234");
        assert_eq!(canonical_cell("' =1"), "=1");
        assert_eq!(canonical_cell(" 'user_a"), "user_a");
        assert_eq!(canonical_cell("'o'brien"), "'o'brien");
        assert_eq!(canonical_cell("''=x"), "''=x");
        assert_eq!(canonical_cell(" \u{feff} "), "\u{feff}");
    }
}
