//! The columns that an input has, as a message names them.

use std::fmt;

use crate::model::{mask_keys, one_line};

/// How many columns a message names before it only counts them.
const MAX_SHOWN: usize = 30;
/// The most characters of a text from outside that a message repeats.
const MAX_CHARS: usize = 80;

/// The columns that an input has; shows as `1 "id", 2 "email"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns(Vec<String>);

impl Columns {
    pub(super) fn of(headers: &[String]) -> Self {
        Self(headers.to_vec())
    }

    /// Their headers, in the order of the input.
    pub fn headers(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Columns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, header) in self.0.iter().take(MAX_SHOWN).enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} \"{}\"", index + 1, shortened(header))?;
        }
        match self.0.len().checked_sub(MAX_SHOWN) {
            Some(n_more @ 1..) => write!(f, " and {n_more} more"),
            _ => Ok(()),
        }
    }
}

/// A text from outside as a message repeats it: on one line, not too long, and no part of a key.
pub(super) fn shortened(text: &str) -> String {
    let line = mask_keys(text);
    let line = one_line(&line);
    match line.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_numbered_and_not_too_many_are_named() {
        let headers = |n: usize| (1..=n).map(|i| format!("c{i}")).collect::<Vec<_>>();
        assert_eq!(Columns::of(&headers(2)).to_string(), r#"1 "c1", 2 "c2""#);
        assert!(Columns::of(&headers(30)).to_string().ends_with(r#"30 "c30""#));
        assert!(Columns::of(&headers(1000)).to_string().ends_with(r#"30 "c30" and 970 more"#));
    }

    #[test]
    fn a_long_text_is_shortened_to_eighty_characters() {
        assert_eq!(shortened(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(shortened(&"é".repeat(81)), format!("{}…", "é".repeat(80)));
        let key = format!("{}sk_live_0123456789abcdefghijXYZ1", "é".repeat(60));
        assert_eq!(shortened(&key), format!("{}sk_live_…XYZ1", "é".repeat(60)));
        assert_eq!(shortened("a\u{1b}[31m\nb"), "a [31m b");
    }
}
