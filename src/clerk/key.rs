//! The secret key, which is never shown.

use std::borrow::Cow;
use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use reqwest::header::HeaderValue;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

/// The kind of instance that a key belongs to, by the key's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `sk_live_…`
    Production,
    /// `sk_test_…`
    Development,
    /// Another prefix. Treat it as a production key.
    Unknown,
}

impl KeyKind {
    /// `production`, `development` or `unknown`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Development => "development",
            Self::Unknown => "unknown",
        }
    }

    /// The prefix of all keys of this kind.
    fn prefix(self) -> &'static str {
        match self {
            Self::Production => "sk_live_",
            Self::Development => "sk_test_",
            Self::Unknown => "",
        }
    }

    fn of(key: &str) -> Self {
        let kinds = [Self::Production, Self::Development];
        kinds.into_iter().find(|kind| key.starts_with(kind.prefix())).unwrap_or(Self::Unknown)
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A secret key of Clerk's Backend API.
///
/// `Debug` shows only the [fingerprint](SecretKey::fingerprint). The memory is zeroed when the key
/// is dropped, except in the `Authorization` header of a client.
#[derive(Clone)]
pub struct SecretKey {
    key: SecretString,
    kind: KeyKind,
}

/// The minimum length, without the prefix, of a key whose last four characters may be shown.
const MIN_TO_SHOW: usize = 12;

impl SecretKey {
    /// Parses a key. Trailing line breaks are removed.
    ///
    /// # Errors
    ///
    /// When the text cannot be a secret key. The error does not repeat any part of it.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let key = text.trim_end_matches(['\r', '\n']);
        if key.trim().is_empty() {
            return Err(KeyError::Empty);
        }
        if key.starts_with("pk_") {
            return Err(KeyError::Publishable);
        }
        if is_assignment(key) {
            return Err(KeyError::Assignment);
        }
        if key.contains(['"', '\'', '`', '‘', '’', '“', '”', '„', '«', '»']) {
            return Err(KeyError::Quotes);
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

    /// Reads a key from a file that contains only the key and trailing line breaks.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or does not contain a key. The error names the file and does not
    /// repeat any part of its content.
    pub fn from_file(path: &Path) -> Result<KeyFile, KeyFileError> {
        if path.as_os_str() == "-" {
            return Err(KeyFileError::Stdin);
        }
        let (text, readable_by_others) =
            read(path).map_err(|reason| KeyFileError::Read { path: path.to_owned(), reason })?;
        let no_key = |reason| KeyFileError::NoKey { path: path.to_owned(), reason };
        let text = std::str::from_utf8(&text).map_err(|_| no_key(KeyError::BadCharacter))?;
        // Some editors write a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(KeyFile { key: Self::parse(text).map_err(no_key)?, readable_by_others })
    }

    /// The kind of instance that the key belongs to.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// A text that identifies the key and does not reveal it: the prefix and the last four
    /// characters, `sk_live_…a1b2`; for a short key only the prefix, `sk_live_…`.
    pub fn fingerprint(&self) -> String {
        let prefix = self.kind.prefix();
        let secret = &self.key.expose_secret()[prefix.len()..];
        let is_long = secret.len() >= MIN_TO_SHOW;
        let end = if is_long { &secret[secret.len() - 4..] } else { "" };
        format!("{prefix}…{end}")
    }

    /// The text with the key replaced by its fingerprint, even if JSON escapes are in the key.
    ///
    /// A short key of an unknown kind is not replaced, as it may be a common word.
    pub fn hide_in<'t>(&self, text: &'t str) -> Cow<'t, str> {
        const MIN_WITHOUT_PREFIX: usize = 12;
        let key = self.key.expose_secret();
        if self.kind == KeyKind::Unknown && key.len() < MIN_WITHOUT_PREFIX {
            return Cow::Borrowed(text);
        }
        let mut hidden = Cow::Borrowed(text);
        if hidden.contains(key) {
            hidden = hidden.replace(key, &self.fingerprint()).into();
        }
        let plain = without_escapes(&hidden);
        if plain.contains(key) {
            hidden = plain.replace(key, &self.fingerprint()).into();
        }
        hidden
    }

    /// A SHA-256 digest of the context and the key.
    #[cfg(feature = "cli")]
    pub(crate) fn digest(&self, context: &[u8]) -> [u8; 32] {
        use sha2::{Digest as _, Sha256};

        let mut hasher = Sha256::new();
        // The length separates the context from the key.
        hasher.update(context.len().to_le_bytes());
        hasher.update(context);
        hasher.update(self.key.expose_secret());
        hasher.finalize().into()
    }

    /// The value of the `Authorization` header, marked as sensitive.
    pub(super) fn to_header(&self) -> Result<HeaderValue, KeyError> {
        let bearer = Zeroizing::new(format!("Bearer {}", self.key.expose_secret()));
        let mut value = HeaderValue::from_str(&bearer).map_err(|_| KeyError::BadCharacter)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SecretKey").field(&self.fingerprint()).finish()
    }
}

/// Why text is not a secret key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// The text is empty.
    #[error("the secret key is empty")]
    Empty,
    /// `pk_…`
    #[error(
        "this is a publishable key (pk_…), which cannot unlock users; use the secret key, which is \
         next to it in Clerk's dashboard and starts with sk_live_ or sk_test_"
    )]
    Publishable,
    /// `NAME=…`, as in an `.env` file.
    #[error("the secret key starts with NAME=; remove everything up to the \"=\"")]
    Assignment,
    /// Quotes around the key or in it.
    #[error("the secret key contains quotes; remove them")]
    Quotes,
    /// White space around the key or in it.
    #[error("the secret key contains white space; copy only the key")]
    WhiteSpace,
    /// A control character or a character beyond ASCII.
    #[error("the secret key contains a character that is not allowed in a key; copy it again")]
    BadCharacter,
    /// Only `sk_live_` or `sk_test_`.
    #[error("the secret key ends after its prefix; copy the whole key")]
    OnlyPrefix,
}

/// A key read from a file.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct KeyFile {
    /// The key.
    pub key: SecretKey,
    /// Whether users other than the owner can read the file. Always `false` on systems without Unix
    /// permissions.
    pub readable_by_others: bool,
}

/// Why a key cannot be read from a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The path is `-`. Stdin may be the list of users, and a piped key may be in the shell history.
    #[error("the secret key cannot be read from stdin (-); name a file, or set CLERK_SECRET_KEY")]
    Stdin,
    /// The file cannot be read.
    #[error("cannot read the secret key file {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// The content of the file is not a key.
    #[error("the secret key file {} does not hold a secret key: {reason}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The error in the key.
        reason: KeyError,
    },
}

/// Whether the text is a line of an `.env` file. A key of an unknown kind may end with `=`, the
/// padding of base64; the names of variables are in upper case.
fn is_assignment(text: &str) -> bool {
    let text = text.trim_start();
    let text = text.strip_prefix("export ").unwrap_or(text).trim_start();
    text.split_once('=').is_some_and(|(name, value)| {
        let name = name.trim_end();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let is_padding = value.bytes().all(|b| b == b'=');
        is_name && (!is_padding || name == name.to_ascii_uppercase())
    })
}

/// The maximum size of a key file, so that `/dev/zero` is refused. Keys have fewer than 100 bytes.
const MAX_FILE: u64 = 16 << 10;

fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    // The full capacity, as a vector that grows leaves copies of the key in memory.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_FILE + 1).unwrap_or(0)));
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large for a key"));
    }
    Ok((text, is_readable_by_others(&metadata)))
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    // A pipe, such as `<(…)` of a shell, has no other readers.
    metadata.is_file() && metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Metadata) -> bool {
    false
}

/// The JSON with escaped printable ASCII unescaped, except for quotes and backslashes.
fn without_escapes(json: &str) -> Cow<'_, str> {
    // Most bodies have no escapes, and a search for one byte is fastest.
    let has_backslash = json.as_bytes().contains(&b'\\');
    if !has_backslash || (!json.contains("\\u00") && !json.contains("\\/")) {
        return Cow::Borrowed(json);
    }
    let (mut plain, mut rest) = (String::with_capacity(json.len()), json);
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        plain += before;
        if let Some((c, after)) = escaped_ascii(&escape[1..]) {
            plain.push(c);
            rest = after;
        } else {
            // Skip the next character too: an escaped backslash does not begin an escape.
            let end = escape.char_indices().nth(2).map_or(escape.len(), |(end, _)| end);
            plain += &escape[..end];
            rest = &escape[end..];
        }
    }
    Cow::Owned(plain + rest)
}

/// The character of an escape (without its backslash), and the text after it.
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

    #[track_caller]
    fn refused(text: &str, expected: KeyError) {
        let why = SecretKey::parse(text).unwrap_err();
        assert_eq!(why, expected, "{text:?}");
        assert!(text.trim().is_empty() || !why.to_string().contains(text.trim()));
    }

    #[track_caller]
    fn shows(text: &str, kind: KeyKind, fingerprint: &str) {
        let key = SecretKey::parse(text).unwrap();
        assert_eq!((key.kind(), key.fingerprint().as_str()), (kind, fingerprint));
        assert_eq!(format!("{key:?}"), format!("SecretKey(\"{fingerprint}\")"));
    }

    #[test]
    fn a_fingerprint_is_the_prefix_and_the_last_four_characters() {
        shows("sk_live_0123456789a1b2", KeyKind::Production, "sk_live_…a1b2");
        shows("sk_test_0123456789a1b2\r\n", KeyKind::Development, "sk_test_…a1b2");
        shows("0123456789a1b2", KeyKind::Unknown, "…a1b2");
        shows("SK_LIVE_0123456789a1b2", KeyKind::Unknown, "…a1b2");
        shows("MDEyMzQ1Njc4OWFiYw==", KeyKind::Unknown, "…Yw==");
    }

    #[test]
    fn the_fingerprint_of_a_short_key_is_the_prefix() {
        shows("sk_live_0123456789a", KeyKind::Production, "sk_live_…");
        shows("sk_test_x", KeyKind::Development, "sk_test_…");
        shows("0123456789a", KeyKind::Unknown, "…");
    }

    #[test]
    fn each_invalid_key_has_its_own_error() {
        refused("", KeyError::Empty);
        refused(" \n", KeyError::Empty);
        refused("pk_live_0123456789", KeyError::Publishable);
        refused("sk_live_01 23456789", KeyError::WhiteSpace);
        refused(" sk_live_0123456789", KeyError::WhiteSpace);
        refused("sk_live_0123456789 \n", KeyError::WhiteSpace);
        refused("sk_live_01\n23456789", KeyError::WhiteSpace);
        refused("sk_live_0123\u{0}456789", KeyError::BadCharacter);
        refused("sk_live_0123\u{7f}456789", KeyError::BadCharacter);
        refused("sk_live_0123é456789", KeyError::BadCharacter);
        refused("sk_live_0123…a1b2", KeyError::BadCharacter);
        refused("sk_live_", KeyError::OnlyPrefix);
    }

    #[test]
    fn a_key_with_quotes_is_refused() {
        for key in ["\"sk_live_0123456789\"", "'sk_live_0123456789'", "sk_live_01234'56789"] {
            refused(key, KeyError::Quotes);
        }
        refused("“sk_live_0123456789”", KeyError::Quotes);
        refused("`sk_live_0123456789`", KeyError::Quotes);
    }

    #[test]
    fn a_line_of_an_env_file_is_refused() {
        for line in [
            "CLERK_SECRET_KEY=sk_live_0123456789",
            "export CLERK_SECRET_KEY=sk_live_0123456789",
            "CLERK_SECRET_KEY=\"sk_live_0123456789\"",
            "CLERK_SECRET_KEY = sk_live_0123456789",
            "key=0123456789abcdef",
            "CLERK_SECRET_KEY=",
        ] {
            refused(line, KeyError::Assignment);
        }
    }

    #[test]
    fn the_debug_output_of_the_header_does_not_contain_the_key() {
        let header = SecretKey::parse("sk_live_0123456789a1b2").unwrap().to_header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer sk_live_0123456789a1b2");
        assert_eq!(format!("{header:?}"), "Sensitive");
    }

    #[test]
    fn keys_of_all_kinds_are_hidden() {
        for text in ["sk_live_0123456789a1b2", "0123456789a1b2"] {
            let key = SecretKey::parse(text).unwrap();
            let hidden = key.hide_in(&format!("[{text}] {text}")).into_owned();
            assert_eq!(hidden, format!("[{0}] {0}", key.fingerprint()));
            assert!(matches!(key.hide_in("nothing here"), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn a_key_with_json_escapes_is_hidden() {
        let key = SecretKey::parse("sk_live_0123456789a1b2").unwrap();
        let check = |json: &str, expected: &str| assert_eq!(key.hide_in(json), expected);
        let masked = r#"{"a":"é\n \"sk_live_…a1b2\""}"#;
        check(r#"{"a":"é\n \"sk\u005flive_0123456789a1b2\""}"#, masked);
        check(r#"{"a":"é\n \"\u0073k_live_\u003012345678\u0039a1b\u0032\""}"#, masked);
        check(
            r#"["sk_live_0123456789a1b2","sk\u005Flive_0123456789a1b2"]"#,
            r#"["sk_live_…a1b2","sk_live_…a1b2"]"#,
        );
        for unchanged in [
            // The backslash is escaped: this is not the key.
            r#"{"a":"sk\\u005flive_0123456789a1b2"}"#,
            r#"{"a":"\u0022\u005c\ud83d\u00e9\u00\u"}"#,
            r#"{"a":"\u0061"}"#,
            "\\",
        ] {
            check(unchanged, unchanged);
        }
    }

    #[test]
    fn a_short_key_of_an_unknown_kind_is_not_hidden() {
        assert_eq!(SecretKey::parse("user").unwrap().hide_in("user_a"), "user_a");
    }

    fn file_with(text: &[u8]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[track_caller]
    fn holds(text: &[u8], expected: Result<&str, &str>) {
        let file = file_with(text);
        let read = SecretKey::from_file(file.path())
            .map(|it| it.key.fingerprint())
            .map_err(|why| why.to_string());
        match expected {
            Ok(fingerprint) => assert_eq!(read.unwrap(), fingerprint),
            Err(part) => {
                let why = read.unwrap_err();
                assert!(why.contains(part) && why.contains(file.path().to_str().unwrap()), "{why}");
            }
        }
    }

    #[test]
    fn a_key_is_read_from_a_file_without_byte_order_mark_and_line_breaks() {
        holds(b"sk_live_0123456789a1b2\n", Ok("sk_live_…a1b2"));
        holds(b"\xef\xbb\xbfsk_live_0123456789a1b2\r\n", Ok("sk_live_…a1b2"));
    }

    #[test]
    fn a_file_without_a_key_is_an_error_that_names_it() {
        holds(b"", Err("the secret key is empty"));
        holds(b"pk_live_0123456789", Err("publishable"));
        holds(b"CLERK_SECRET_KEY=sk_live_0123456789a1b2\nX=1", Err("NAME="));
        holds(b"sk_live_0123456789a1b2\nsk_live_0123456789a1b2", Err("white space"));
        holds(b"\xff\xfes\0k\0", Err("not allowed in a key"));
        holds(&vec![b'x'; 20_000], Err("too large"));
    }

    #[test]
    fn a_missing_file_and_a_directory_are_errors_that_name_them() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none"), folder.path().to_owned()] {
            let why = SecretKey::from_file(&path).unwrap_err();
            assert!(why.to_string().contains(path.to_str().unwrap()), "{why}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_marked() {
        use std::os::unix::fs::PermissionsExt;

        let file = file_with(b"sk_live_0123456789a1b2");
        for (mode, expected) in [(0o600, false), (0o640, true), (0o604, true), (0o611, false)] {
            let permissions = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), permissions).unwrap();
            let read = SecretKey::from_file(file.path()).unwrap();
            assert_eq!(read.readable_by_others, expected, "{mode:o}");
        }
    }

    #[test]
    fn error_messages() {
        use KeyError::{
            Assignment, BadCharacter, Empty, OnlyPrefix, Publishable, Quotes, WhiteSpace,
        };
        let path = || PathBuf::from("key.txt");
        let errors = [Empty, Publishable, Assignment, Quotes, WhiteSpace, BadCharacter, OnlyPrefix];
        let file_errors = [
            KeyFileError::Stdin,
            KeyFileError::Read { path: path(), reason: io::ErrorKind::PermissionDenied.into() },
            KeyFileError::NoKey { path: path(), reason: KeyError::Empty },
        ];
        let lines = errors.map(|it| it.to_string()).into_iter();
        let lines: Vec<String> = lines.chain(file_errors.map(|it| it.to_string())).collect();
        insta::assert_snapshot!(lines.join("\n"), @"
        the secret key is empty
        this is a publishable key (pk_…), which cannot unlock users; use the secret key, which is next to it in Clerk's dashboard and starts with sk_live_ or sk_test_
        the secret key starts with NAME=; remove everything up to the \"=\"
        the secret key contains quotes; remove them
        the secret key contains white space; copy only the key
        the secret key contains a character that is not allowed in a key; copy it again
        the secret key ends after its prefix; copy the whole key
        the secret key cannot be read from stdin (-); name a file, or set CLERK_SECRET_KEY
        cannot read the secret key file key.txt: permission denied
        the secret key file key.txt does not hold a secret key: the secret key is empty
        ");
    }
}
