//! JSON by the piece: faster than a tree of values, and the order of the fields is ours.

use std::fmt::{self, Display, Formatter};

/// A text as a JSON string.
pub(super) struct Text<'a>(pub(super) &'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let needs_escape = |c: char| c.is_ascii_control() || matches!(c, '"' | '\\');
        f.write_str("\"")?;
        let mut rest = self.0;
        while let Some(at) = rest.find(needs_escape) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            match special.as_bytes()[0] {
                b'\n' => f.write_str("\\n")?,
                byte @ (b'"' | b'\\') => write!(f, "\\{}", char::from(byte))?,
                byte => write!(f, "\\u{byte:04x}")?,
            }
            rest = &special[1..];
        }
        f.write_str(rest)?;
        f.write_str("\"")
    }
}

/// A value or `null`.
pub(super) struct OrNull<T>(pub(super) Option<T>);

impl<T: Display> Display for OrNull<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_read_back(text: String) {
            let json = Text(&text).to_string();
            prop_assert_eq!(serde_json::from_str::<String>(&json).ok(), Some(text));
        }
    }
}
