//! The secret key: checked once, and never shown.

mod file;
mod hide;

pub use file::{KeyFile, KeyFileError};

use std::fmt;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest as _, Sha256};

/// What kind of instance a key opens, by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `sk_live_…`: a production instance.
    Live,
    /// `sk_test_…`: a development instance.
    Test,
    /// A shape that is not known: to be treated with the care of a live one.
    Other,
}

impl KeyKind {
    /// What keys of this kind begin with.
    fn prefix(self) -> &'static str {
        match self {
            Self::Live => "sk_live_",
            Self::Test => "sk_test_",
            Self::Other => "",
        }
    }

    fn of(key: &str) -> Self {
        let is_of = |kind: &Self| key.starts_with(kind.prefix());
        [Self::Live, Self::Test].into_iter().find(is_of).unwrap_or(Self::Other)
    }
}

/// A secret key. It shows itself as its [fingerprint](SecretKey::fingerprint) only, and its memory
/// is wiped when it is dropped (the header that is sent has a copy, held by the client).
#[derive(Clone)]
pub struct SecretKey {
    key: SecretString,
    kind: KeyKind,
}

/// A key with fewer characters after its prefix would be given away by its last four.
const SHORTEST_TO_SHOW: usize = 12;

impl SecretKey {
    /// Checks a key. A line break at its end, as a file or a shell leaves it, is taken off.
    ///
    /// # Errors
    ///
    /// When it can't be a secret key. The error never holds a part of it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = text.trim_end_matches(['\r', '\n']);
        if key.trim().is_empty() {
            return Err(KeyError::Empty);
        }
        if key.starts_with("pk_") {
            return Err(KeyError::Publishable);
        }
        if key.contains(char::is_whitespace) {
            return Err(KeyError::WhiteSpace);
        }
        if !key.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(KeyError::BadCharacter);
        }
        let kind = KeyKind::of(key);
        if key.len() == kind.prefix().len() {
            return Err(KeyError::OnlyPrefix);
        }
        Ok(Self { key: SecretString::from(key), kind })
    }

    /// What kind of instance it opens.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What people know it by: its kind and its last four characters, `sk_live_…a1b2`; of a short
    /// one the kind alone, `sk_live_…`.
    pub fn fingerprint(&self) -> String {
        let prefix = self.kind.prefix();
        let secret = &self.key.expose_secret()[prefix.len()..];
        let is_long = secret.len() >= SHORTEST_TO_SHOW;
        let end = if is_long { &secret[secret.len() - 4..] } else { "" };
        format!("{prefix}…{end}")
    }

    /// A SHA-256 of the context and the key: the same for the same key, and no way back to it.
    pub fn digest(&self, context: &[u8]) -> [u8; 32] {
        let mut hasher = Sha256::new();
        // The length separates the context from the key.
        hasher.update(context.len().to_le_bytes());
        hasher.update(context);
        hasher.update(self.key.expose_secret());
        hasher.finalize().into()
    }

    /// The value of the `Authorization` header; it does not show itself either.
    pub(super) fn to_header(&self) -> Result<HeaderValue, KeyError> {
        let bearer = format!("Bearer {}", self.key.expose_secret());
        let mut value = HeaderValue::try_from(bearer).map_err(|_| KeyError::BadCharacter)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretKey").field(&self.fingerprint()).finish()
    }
}

/// Why a text can't be a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Nothing there.
    #[error("the secret key is empty")]
    Empty,
    /// `pk_…`.
    #[error(
        "this is a publishable key (pk_…), which can't unlock anyone; the secret key stands \
         beside it in the dashboard and starts with sk_live_ or sk_test_"
    )]
    Publishable,
    /// White space inside.
    #[error("the secret key has white space in it; perhaps more than the key was copied")]
    WhiteSpace,
    /// A control character, or one beyond ASCII.
    #[error("the secret key has characters in it that no key has; copy it again")]
    BadCharacter,
    /// `sk_live_` and nothing behind it.
    #[error("the secret key ends after its prefix; copy it again, whole")]
    OnlyPrefix,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused(text: &str, expected: KeyError) {
        let why = SecretKey::parse(text).unwrap_err();
        assert_eq!(why, expected);
        assert!(text.trim().is_empty() || !why.to_string().contains(text.trim()));
    }

    #[track_caller]
    fn shows(text: &str, kind: KeyKind, fingerprint: &str) {
        let key = SecretKey::parse(text).unwrap();
        assert_eq!((key.kind(), key.fingerprint().as_str()), (kind, fingerprint));
        assert_eq!(format!("{key:?}"), format!("SecretKey(\"{fingerprint}\")"));
    }

    #[test]
    fn a_key_is_known_by_its_kind_and_its_last_four_characters() {
        shows("sk_live_0123456789a1b2", KeyKind::Live, "sk_live_…a1b2");
        shows("sk_test_0123456789a1b2\r\n", KeyKind::Test, "sk_test_…a1b2");
        shows("0123456789a1b2", KeyKind::Other, "…a1b2");
        shows("SK_LIVE_0123456789a1b2", KeyKind::Other, "…a1b2");
    }

    #[test]
    fn a_short_key_shows_nothing_of_its_secret_part() {
        shows("sk_live_0123456789a", KeyKind::Live, "sk_live_…");
        shows("sk_test_x", KeyKind::Test, "sk_test_…");
        shows("0123456789a", KeyKind::Other, "…");
    }

    #[test]
    fn what_can_not_be_a_secret_key_is_refused_with_its_own_reason() {
        refused("", KeyError::Empty);
        refused(" \n", KeyError::Empty);
        refused("pk_live_0123456789", KeyError::Publishable);
        refused("sk_live_01 23456789", KeyError::WhiteSpace);
        refused("sk_live_01\n23456789", KeyError::WhiteSpace);
        refused("sk_live_0123\u{0}456789", KeyError::BadCharacter);
        refused("sk_live_0123\u{7f}456789", KeyError::BadCharacter);
        refused("sk_live_0123é456789", KeyError::BadCharacter);
        refused("sk_live_0123…a1b2", KeyError::BadCharacter);
        refused("sk_live_", KeyError::OnlyPrefix);
    }

    #[test]
    fn the_header_does_not_show_the_key() {
        let header = SecretKey::parse("sk_live_0123456789a1b2").unwrap().to_header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer sk_live_0123456789a1b2");
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[test]
    fn each_refusal_is_told_in_these_words() {
        use KeyError::{BadCharacter, Empty, OnlyPrefix, Publishable, WhiteSpace};
        let told = [Empty, Publishable, WhiteSpace, BadCharacter, OnlyPrefix];
        let told = told.map(|it| format!("{it:?}: {it}")).join("\n");
        insta::assert_snapshot!(told, @"
        Empty: the secret key is empty
        Publishable: this is a publishable key (pk_…), which can't unlock anyone; the secret key stands beside it in the dashboard and starts with sk_live_ or sk_test_
        WhiteSpace: the secret key has white space in it; perhaps more than the key was copied
        BadCharacter: the secret key has characters in it that no key has; copy it again
        OnlyPrefix: the secret key ends after its prefix; copy it again, whole
        ");
    }
}
