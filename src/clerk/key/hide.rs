//! Taking a key out of what others wrote: a server may repeat what it was sent.

use std::borrow::Cow;

use secrecy::ExposeSecret;

use super::{KeyKind, SecretKey};

impl SecretKey {
    /// The text with its fingerprint in place of the key, also where JSON's escapes hide it; `None`
    /// where the key is not in it.
    ///
    /// A short key of a shape that is not known is not looked for: it would be found in any text.
    pub fn hidden_in(&self, text: &str) -> Option<String> {
        /// Many words are shorter.
        const SHORTEST_WITHOUT_PREFIX: usize = 12;
        let key = self.key.expose_secret();
        if self.kind == KeyKind::Other && key.len() < SHORTEST_WITHOUT_PREFIX {
            return None;
        }
        let plain = if text.contains(key) { Cow::Borrowed(text) } else { unescaped(text) };
        // Both in one text: what is left of an escaped one is hidden by the second look.
        let hidden = plain.contains(key).then(|| plain.replace(key, &self.fingerprint()))?;
        Some(self.hidden_in(&hidden).unwrap_or(hidden))
    }
}

/// The same JSON without escapes of printable ASCII, as far as it can do without them.
fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains("\\u00") && !text.contains("\\/") {
        return Cow::Borrowed(text);
    }
    let (mut plain, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain += before;
        if let Some((c, after)) = escaped_ascii(&escape[1..]) {
            plain.push(c);
            rest = after;
        } else {
            // With the character behind it: a backslash that is escaped itself begins nothing.
            let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            plain += &escape[..end];
            rest = &escape[end..];
        }
    }
    Cow::Owned(plain + rest)
}

/// The character that an escape stands for, without its backslash, and what comes behind it.
fn escaped_ascii(escape: &str) -> Option<(char, &str)> {
    if let Some(rest) = escape.strip_prefix('/') {
        return Some(('/', rest));
    }
    let (digits, rest) = escape.strip_prefix('u')?.split_at_checked(4)?;
    let byte = u8::from_str_radix(digits, 16).ok().filter(u8::is_ascii_graphic)?;
    (!matches!(byte, b'"' | b'\\')).then_some((char::from(byte), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_is_repeated_is_taken_out_whatever_its_shape() {
        for text in ["sk_live_0123456789a1b2", "0123456789a1b2"] {
            let key = SecretKey::parse(text).unwrap();
            let hidden = key.hidden_in(&format!("[{text}] {text}")).unwrap();
            assert_eq!(hidden, format!("[{0}] {0}", key.fingerprint()));
            assert_eq!(key.hidden_in("nothing here"), None);
        }
    }

    #[test]
    fn a_key_is_found_behind_the_escapes_of_json() {
        let key = SecretKey::parse("sk_live_0123456789a1b2").unwrap();
        let check = |json: &str, expected: Option<&str>| {
            assert_eq!(key.hidden_in(json).as_deref(), expected, "{json}");
        };
        let masked = Some(r#"{"a":"é\n \"sk_live_…a1b2\""}"#);
        check(r#"{"a":"é\n \"sk\u005flive_0123456789a1b2\""}"#, masked);
        check(r#"{"a":"é\n \"\u0073k_live_\u003012345678\u0039a1b\u0032\""}"#, masked);
        check(
            r#"["sk_live_0123456789a1b2","sk\u005Flive_0123456789a1b2"]"#,
            Some(r#"["sk_live_…a1b2","sk_live_…a1b2"]"#),
        );
        // Here the backslash is the text's own.
        check(r#"{"a":"sk\\u005flive_0123456789a1b2"}"#, None);
        check(r#"{"a":"\u0022\u005c\ud83d\u00e9\u00\u"}"#, None);
        check("\\", None);
    }

    #[test]
    fn a_key_of_a_few_letters_is_not_looked_for() {
        assert_eq!(SecretKey::parse("user").unwrap().hidden_in("user_a"), None);
    }
}
