//! Masks secret keys in texts: people paste them where paths, users and reasons belong.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

use crate::clerk::SecretKey;

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
