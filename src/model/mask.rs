//! Taking keys out of texts: people put them where paths, users and reasons belong.

use std::borrow::Cow;
use std::sync::{PoisonError, RwLock};

/// What Clerk's secret keys begin with.
const PREFIXES: [&str; 2] = ["sk_live_", "sk_test_"];

/// Clerk's keys have more than forty characters behind the prefix, file names seldom half of that
/// without a dot or a dash.
const SHORTEST_TO_MASK: usize = 20;

/// Takes one known key out of a text; `None` where it is not in it.
type Hide = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Those of the keys in use.
static IN_USE: RwLock<Vec<Hide>> = RwLock::new(Vec::new());

/// From here on a key in use is masked too, whatever its shape. Whoever holds it says how.
pub fn mask_also(hide: impl Fn(&str) -> Option<String> + Send + Sync + 'static) {
    IN_USE.write().unwrap_or_else(PoisonError::into_inner).push(Box::new(hide));
}

/// The text with a fingerprint in place of all that looks like a secret key, and of those in use.
pub fn mask_keys(text: &str) -> Cow<'_, str> {
    let in_use = IN_USE.read().unwrap_or_else(PoisonError::into_inner);
    let text = in_use.iter().fold(Cow::Borrowed(text), |text, hide| match hide(&text) {
        Some(hidden) => Cow::Owned(hidden),
        None => text,
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
    fn what_looks_like_a_key_is_masked_and_nothing_else() {
        let key = "0123456789abcdefghijXYZ1";
        check(&format!("can't open sk_live_{key}: no"), "can't open sk_live_…XYZ1: no");
        check(&format!("sk_test_{key}, sk_live_{key}é"), "sk_test_…XYZ1, sk_live_…XYZ1é");
        check("can't open sk_live_users.csv", "can't open sk_live_users.csv");
        check("a key starts with sk_live_ or sk_test_", "a key starts with sk_live_ or sk_test_");
    }
}
