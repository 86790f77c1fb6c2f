//! A file that holds the secret key (`--secret-key-file`).

use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::zeroize::Zeroizing;

use super::{KeyError, SecretKey};

/// A key read from a file.
#[derive(Clone, Debug)]
pub struct KeyFile {
    /// The key.
    pub key: SecretKey,
    /// Others than the file's owner can read it: worth a warning. Always `false` where there are
    /// no Unix permissions.
    pub readable_by_others: bool,
}

/// Keys are below 100 bytes; this leaves room for white space, and none for `/dev/zero`.
const MAX_LEN: u64 = 16 << 10;

impl SecretKey {
    /// Reads a file that holds a key and nothing else but white space around it.
    ///
    /// # Errors
    ///
    /// When the file can't be read or holds no key. The error names the file and never holds a
    /// part of what stands in it.
    pub fn from_file(path: &Path) -> Result<KeyFile, KeyFileError> {
        if path.as_os_str() == "-" {
            return Err(KeyFileError::Stdin);
        }
        let (text, readable_by_others) =
            read(path).map_err(|reason| KeyFileError::Read { path: path.to_owned(), reason })?;
        let no_key = |reason| KeyFileError::NoKey { path: path.to_owned(), reason };
        let text = std::str::from_utf8(&text).map_err(|_| no_key(KeyError::BadCharacter))?;
        // An editor's byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(KeyFile { key: Self::parse(text).map_err(no_key)?, readable_by_others })
    }
}

/// Why no key came out of a file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// `-`: stdin may hold the users, and a key that is piped is one that was typed.
    #[error("no key is read from stdin (-); name a file that holds it, or set CLERK_SECRET_KEY")]
    Stdin,
    /// It can't be read.
    #[error("the secret key file {} can't be read: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: io::Error,
    },
    /// What stands in it is no key.
    #[error("the secret key file {} holds no secret key: {reason}", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: KeyError,
    },
}

fn read(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, bool)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::Error::from(io::ErrorKind::IsADirectory));
    }
    // Room for all from the start: a vector that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_LEN + 1).unwrap_or(0)));
    file.take(MAX_LEN + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_LEN {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is far too large for a key"));
    }
    Ok((text, is_readable_by_others(&metadata)))
}

#[cfg(unix)]
fn is_readable_by_others(metadata: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;

    // A pipe, such as a shell's `<(…)`, has no readers but this one.
    metadata.is_file() && metadata.permissions().mode() & 0o044 != 0
}

#[cfg(not(unix))]
fn is_readable_by_others(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_key_is_read_without_what_editors_put_around_it() {
        holds(b"sk_live_0123456789a1b2\n", Ok("sk_live_…a1b2"));
        holds(b"\xef\xbb\xbfsk_live_0123456789a1b2\r\n", Ok("sk_live_…a1b2"));
    }

    #[test]
    fn what_holds_no_key_is_refused_by_name() {
        holds(b"", Err("the secret key is empty"));
        holds(b"pk_live_0123456789", Err("publishable"));
        holds(b"CLERK_SECRET_KEY=sk_live_0123456789a1b2\nX=1", Err("white space"));
        holds(b"\xff\xfes\0k\0", Err("characters in it that no key has"));
        holds(&vec![b'x'; 20_000], Err("far too large"));
    }

    #[test]
    fn a_missing_file_and_a_directory_are_named() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("none"), folder.path().to_owned()] {
            let why = SecretKey::from_file(&path).unwrap_err();
            assert!(why.to_string().contains(path.to_str().unwrap()), "{why}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_told() {
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
    fn each_refusal_is_told_in_these_words() {
        let path = || PathBuf::from("key.txt");
        let told = [
            KeyFileError::Stdin,
            KeyFileError::Read { path: path(), reason: io::ErrorKind::PermissionDenied.into() },
            KeyFileError::NoKey { path: path(), reason: KeyError::Empty },
        ];
        let told = told.map(|it| it.to_string()).join("\n");
        insta::assert_snapshot!(told, @"
        no key is read from stdin (-); name a file that holds it, or set CLERK_SECRET_KEY
        the secret key file key.txt can't be read: permission denied
        the secret key file key.txt holds no secret key: the secret key is empty
        ");
    }
}
