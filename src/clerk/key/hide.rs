//! Taking a key out of what others wrote: a server may repeat what it was sent, and people put
//! keys where paths belong.

use std::borrow::Cow;

use secrecy::ExposeSecret;

use super::{KeyKind, SHORTEST_TO_SHOW, SecretKey};

impl SecretKey {
    /// The text with its fingerprint in place of the key; `None` where the key is not in it.
    ///
    /// A key too short to be a real one is not looked for: it would be found in any text.
    pub(in crate::clerk) fn hidden_in(&self, text: &str) -> Option<String> {
        let key = self.key.expose_secret();
        let is_real = key.len() - self.kind.prefix().len() >= SHORTEST_TO_SHOW;
        (is_real && text.contains(key)).then(|| text.replace(key, &self.fingerprint()))
    }
}

/// Clerk's keys have more than forty characters behind the prefix, file names seldom half of that
/// without a dot or a dash.
const SHORTEST_TO_MASK: usize = 20;

/// The text with a fingerprint in place of all that looks like a secret key.
pub fn mask_keys(text: &str) -> Cow<'_, str> {
    [KeyKind::Live, KeyKind::Test].into_iter().fold(Cow::Borrowed(text), |text, kind| {
        let masked = mask(&text, kind.prefix());
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

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(mask_keys(text), expected);
    }

    #[test]
    fn what_looks_like_a_key_is_masked_and_nothing_else() {
        let key = "0123456789abcdefghijXYZ1";
        check(&format!("can't open sk_live_{key}: no"), "can't open sk_live_…XYZ1: no");
        check(&format!("sk_test_{key}, sk_live_{key}é"), "sk_test_…XYZ1, sk_live_…XYZ1é");
        check("can't open sk_live_users.csv", "can't open sk_live_users.csv");
        check("a key starts with sk_live_ or sk_test_", "a key starts with sk_live_ or sk_test_");
    }

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
    fn a_key_of_a_few_letters_is_not_looked_for() {
        assert_eq!(SecretKey::parse("user").unwrap().hidden_in("user_a"), None);
    }
}
