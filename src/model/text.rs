//! Text from outside: made safe for a cell or a console, masked, and compared.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use crate::clerk::SecretKey;

/// Breaks a line and is no control character: Unicode's line and paragraph separators.
pub fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Takes no room on a screen, or changes the direction of the text around it: zero-width
/// characters, bidirectional controls, fillers, variation selectors, tags.
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
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

/// A text from outside as a message repeats it: on one line, at most 80 characters, and without
/// anything that looks like a secret key.
pub fn excerpt(text: &str) -> String {
    const MAX_CHARS: usize = 80;
    let line = mask_keys(text);
    let line = one_line(&line);
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

/// The name of a character in a message, recognizable even if the character is invisible.
pub fn name_of_char(c: char) -> String {
    match c {
        ' ' => "a space".to_owned(),
        c if c.is_ascii_graphic() => format!("\"{c}\""),
        c if is_invisible(c) => format!("U+{:04X} (an invisible character)", u32::from(c)),
        c if c.is_whitespace() => format!("U+{:04X} (white space)", u32::from(c)),
        c if c.is_alphanumeric() || !c.is_control() => format!("\"{c}\" (U+{:04X})", u32::from(c)),
        c => format!("U+{:04X} (a control character)", u32::from(c)),
    }
}

/// Whether a spreadsheet would run a cell that starts with this character as a formula.
pub fn is_formula_start(c: char) -> bool {
    matches!(c, '=' | '+' | '-' | '@' | '\t' | '\r')
}

/// Whether a `'` before this text is the guard of a formula. A space may be a replaced tab or line
/// break.
pub fn is_guarded(text: &str) -> bool {
    text.starts_with(is_formula_start) || text.starts_with(' ')
}

/// An input cell as the program reads it: on one line, without the white space around it, and
/// without the `'` that guards a formula or keeps a spreadsheet from changing a user ID.
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

/// A header in the form in which headers are compared: lower case, without white space, `-`, `_`
/// and a byte order mark.
pub fn normalized_header(header: &str) -> String {
    header_chars(header).collect()
}

/// Whether a header reads the same as a [`normalized_header`].
pub fn is_header(header: &str, normalized: &str) -> bool {
    header_chars(header).eq(normalized.chars())
}

fn header_chars(header: &str) -> impl Iterator<Item = char> {
    let is_kept =
        |c: &char| !(c.is_whitespace() || c.is_control() || matches!(c, '-' | '_' | '\u{feff}'));
    let header = header.trim();
    let header = header.strip_prefix('\'').unwrap_or(header);
    header.chars().filter(is_kept).flat_map(char::to_lowercase)
}

/// The prefixes of Clerk's secret keys.
const PREFIXES: [&str; 2] = ["sk_live_", "sk_test_"];

/// Clerk's keys have more than forty characters after the prefix; file names seldom have half of
/// that without a dot or a dash.
const SHORTEST_TO_MASK: usize = 20;

/// The keys that this process uses.
static IN_USE: RwLock<Vec<SecretKey>> = RwLock::new(Vec::new());

/// Makes [`mask_keys`] mask this key too, whatever its kind.
pub fn mask_also(key: SecretKey) {
    IN_USE.write().unwrap_or_else(PoisonError::into_inner).push(key);
}

/// The text with a fingerprint in place of everything that looks like a secret key, and of the keys
/// in use.
pub fn mask_keys(text: &str) -> Cow<'_, str> {
    let in_use = IN_USE.read().unwrap_or_else(PoisonError::into_inner);
    let text = in_use.iter().fold(Cow::Borrowed(text), |text, key| {
        let hidden = match key.hide_in(&text) {
            Cow::Owned(hidden) => Some(hidden),
            Cow::Borrowed(_) => None,
        };
        hidden.map_or(text, Cow::Owned)
    });
    PREFIXES.iter().fold(text, |text, prefix| {
        if !text.contains(prefix) {
            return text;
        }
        let masked = mask(&text, prefix);
        if masked == text { text } else { Cow::Owned(masked) }
    })
}

fn mask(text: &str, prefix: &str) -> String {
    let mut parts = text.split(prefix);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |masked, part| {
        let end = part.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(part.len());
        let (secret, rest) = part.split_at(end);
        if secret.len() < SHORTEST_TO_MASK {
            return masked + prefix + part;
        }
        masked + prefix + "…" + &secret[secret.len() - 4..] + rest
    })
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
    fn only_padding_and_formula_guards_are_removed_from_a_cell() {
        assert_eq!(canonical_cell("  user_a \t"), "user_a");
        assert_eq!(canonical_cell("'+15551234"), "+15551234");
        assert_eq!(canonical_cell("' =1"), "=1");
        assert_eq!(canonical_cell(" 'user_a"), "user_a");
        assert_eq!(canonical_cell("'o'brien"), "'o'brien");
        assert_eq!(canonical_cell("''=x"), "''=x");
        assert_eq!(canonical_cell(" \u{feff} "), "\u{feff}");
    }

    #[test]
    fn an_excerpt_has_at_most_eighty_characters_and_no_key() {
        assert_eq!(excerpt(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(excerpt(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
        let key = format!("{}sk_live_0123456789abcdefghijXYZ1", "é".repeat(60));
        assert_eq!(excerpt(&key), format!("{}sk_live_…XYZ1", "é".repeat(60)));
        assert_eq!(excerpt("a\u{1b}[31m\nb"), "a [31m b");
    }

    #[test]
    fn invisible_characters_have_names() {
        let names = [' ', ';', '\u{200b}', '\u{202e}', '\u{a0}', '“', '\u{7}'].map(name_of_char);
        assert_eq!(
            names,
            [
                "a space",
                "\";\"",
                "U+200B (an invisible character)",
                "U+202E (an invisible character)",
                "U+00A0 (white space)",
                "\"“\" (U+201C)",
                "U+0007 (a control character)",
            ]
        );
    }

    #[test]
    fn headers_are_compared_without_case_spaces_hyphens_and_underscores() {
        for header in ["user_id", "userId", " User ID", "USER-ID", "\u{feff}user id", "'user_id"] {
            assert_eq!(normalized_header(header), "userid", "{header:?}");
            assert!(is_header(header, "userid"), "{header:?}");
        }
        assert!(!is_header("user_ids", "userid") && !is_header("user", "userid"));
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(mask_keys(text), expected);
    }

    #[test]
    fn only_text_that_looks_like_a_key_is_masked() {
        let key = "0123456789abcdefghijXYZ1";
        check(&format!("cannot open sk_live_{key}: no"), "cannot open sk_live_…XYZ1: no");
        check(&format!("sk_test_{key}, sk_live_{key}é"), "sk_test_…XYZ1, sk_live_…XYZ1é");
        check("cannot open sk_live_users.csv", "cannot open sk_live_users.csv");
        check("a key starts with sk_live_ or sk_test_", "a key starts with sk_live_ or sk_test_");
    }
}
