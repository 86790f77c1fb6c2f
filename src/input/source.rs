//! Where the bytes come from: opened, recognised by their first part, and hashed as they are read.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::Error;
use crate::model::one_line;

/// The name of standard input in messages.
pub(super) const STDIN: &str = "standard input";

/// How much of an input is read before its form is decided.
const HEAD_LEN: u64 = 256 << 10;

/// Where an input comes from, with its name in messages. Nothing is opened before it is read.
pub struct Source<'a> {
    name: String,
    origin: Origin<'a>,
}

enum Origin<'a> {
    Path(PathBuf),
    Stdin,
    Reader(Box<dyn Read + 'a>),
}

impl<'a> Source<'a> {
    /// A file.
    pub fn path(path: &Path) -> Self {
        let name = one_line(&path.display().to_string()).into_owned();
        Self { name, origin: Origin::Path(path.to_owned()) }
    }

    /// Standard input, up to its end.
    pub fn stdin() -> Self {
        Self { name: STDIN.into(), origin: Origin::Stdin }
    }

    /// Bytes in memory.
    #[cfg(any(test, feature = "internals"))]
    pub fn bytes(name: &str, bytes: &'a [u8]) -> Self {
        Self::reader(name, bytes)
    }

    /// Anything else that can be read.
    pub fn reader(name: &str, reader: impl Read + 'a) -> Self {
        Self { name: one_line(name).into_owned(), origin: Origin::Reader(Box::new(reader)) }
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Opens it and reads its first part. What is not UTF-8 text by that is an error.
    pub(super) fn open(self) -> Result<Opened<'a>, Error> {
        let name = self.name;
        let (reader, modified): (Box<dyn Read + 'a>, _) = match self.origin {
            Origin::Path(path) => {
                let (file, modified) = open_file(&name, &path)?;
                (Box::new(file), modified)
            }
            Origin::Stdin => (Box::new(io::stdin()), time_of_redirected_file()),
            Origin::Reader(reader) => (reader, None),
        };
        let (mut rest, mut head) = (Hashed::new(reader), Vec::new());
        let read = rest.by_ref().take(HEAD_LEN).read_to_end(&mut head);
        read.map_err(|reason| Error::Read { name: name.clone(), reason })?;
        check(&name, &head)?;
        Ok(Opened { name, modified, head, rest })
    }
}

/// A source whose first part was read.
pub(super) struct Opened<'a> {
    pub(super) name: String,
    /// When the file was last changed; `None` for anything but a file.
    pub(super) modified: Option<SystemTime>,
    pub(super) head: Vec<u8>,
    rest: Hashed<'a>,
}

/// All bytes of an opened source.
pub(super) type Bytes<'a> = BufReader<Chain<Cursor<Vec<u8>>, Hashed<'a>>>;

impl<'a> Opened<'a> {
    pub(super) fn into_bytes(self) -> Bytes<'a> {
        BufReader::new(Cursor::new(self.head).chain(self.rest))
    }
}

/// The SHA-256 of bytes that were read to their end, in lower-case hexadecimal.
pub(super) fn sha256(bytes: Bytes<'_>) -> String {
    let (_, hashed) = bytes.into_inner().into_inner();
    hashed.hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn open_file(name: &str, path: &Path) -> Result<(File, Option<SystemTime>), Error> {
    let unopened = |reason| Error::Open { name: name.to_owned(), reason };
    let file = File::open(path).map_err(unopened)?;
    let metadata = file.metadata().map_err(unopened)?;
    if metadata.is_dir() {
        return Err(Error::Directory { name: name.to_owned() });
    }
    // The time of a pipe does not tell the age of its content.
    let modified = if metadata.is_file() { metadata.modified().ok() } else { None };
    Ok((file, modified))
}

/// When the file was last changed that the shell redirected to stdin, if it is one.
#[cfg(unix)]
fn time_of_redirected_file() -> Option<SystemTime> {
    use std::os::fd::AsFd as _;

    let file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok()?;
    if metadata.is_file() { metadata.modified().ok() } else { None }
}

/// Unknown where handles are not files.
#[cfg(not(unix))]
fn time_of_redirected_file() -> Option<SystemTime> {
    None
}

/// A reader that hashes all bytes read through it. It retries interrupted reads, and does not read
/// again after the end: on a terminal that would ask the user twice.
pub(super) struct Hashed<'a> {
    inner: Box<dyn Read + 'a>,
    hasher: Sha256,
    is_at_end: bool,
}

impl<'a> Hashed<'a> {
    fn new(inner: Box<dyn Read + 'a>) -> Self {
        Self { inner, hasher: Sha256::new(), is_at_end: false }
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end || buffer.is_empty() {
            return Ok(0);
        }
        let n_bytes = loop {
            match self.inner.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                answer => break answer?,
            }
        };
        self.is_at_end = n_bytes == 0;
        self.hasher.update(&buffer[..n_bytes]);
        Ok(n_bytes)
    }
}

/// A format other than text, and how to make a list of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// A ZIP archive, as `.xlsx`, `.ods` and `.numbers` files are.
    Workbook,
    /// The older Excel format.
    OldWorkbook,
    /// Compressed with gzip.
    Gzip,
    /// A PDF document.
    Pdf,
    /// JSON, such as the API answers.
    Json,
}

impl Foreign {
    fn of(head: &[u8]) -> Option<Self> {
        match head {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Some(Self::Workbook),
            [0xD0, 0xCF, 0x11, 0xE0, ..] => Some(Self::OldWorkbook),
            [0x1F, 0x8B, ..] => Some(Self::Gzip),
            [b'%', b'P', b'D', b'F', b'-', ..] => Some(Self::Pdf),
            _ => is_json(head).then_some(Self::Json),
        }
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workbook => "an Excel workbook or another ZIP archive; export it as CSV (UTF-8)",
            Self::OldWorkbook => "an old Excel workbook; export it as CSV (UTF-8)",
            Self::Gzip => "a gzip file; unpack it with gunzip",
            Self::Pdf => "a PDF document; give the list as CSV or as plain text, one user per line",
            Self::Json => "JSON; convert it to a list, for example with jq -r '.[].id'",
        })
    }
}

/// An encoding other than UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-16, little end first, as Windows programs write "Unicode".
    Utf16Le,
    /// UTF-16, big end first.
    Utf16Be,
    /// One byte per character: Windows-1252, or Latin-1, which is nearly the same.
    Windows1252,
}

impl Encoding {
    /// Recognises UTF-16 by its mark, or by every other byte being zero.
    fn utf16(head: &[u8]) -> Option<Self> {
        match head {
            [0xFF, 0xFE, ..] => return Some(Self::Utf16Le),
            [0xFE, 0xFF, ..] => return Some(Self::Utf16Be),
            _ => {}
        }
        let pairs = head.chunks_exact(2);
        let n_pairs = pairs.len();
        let (mut n_first, mut n_second) = (0, 0);
        for pair in pairs {
            n_first += usize::from(pair[0] == 0 && pair[1] != 0);
            n_second += usize::from(pair[0] != 0 && pair[1] == 0);
        }
        let is_most = |n: usize, other: usize| n > 1 && n * 2 > n_pairs && other * 20 <= n;
        if is_most(n_second, n_first) {
            Some(Self::Utf16Le)
        } else if is_most(n_first, n_second) {
            Some(Self::Utf16Be)
        } else {
            None
        }
    }

    /// Its name for `iconv -f`.
    pub fn iconv_name(self) -> &'static str {
        match self {
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Windows1252 => "WINDOWS-1252",
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Utf16Le => "UTF-16 (little endian)",
            Self::Utf16Be => "UTF-16 (big endian)",
            Self::Windows1252 => "Windows-1252 or Latin-1",
        })
    }
}

/// Refuses, by its first bytes, a file that is not text.
fn check(name: &str, head: &[u8]) -> Result<(), Error> {
    if let Some(foreign) = Foreign::of(head) {
        return Err(Error::Foreign { name: name.to_owned(), foreign });
    }
    match Encoding::utf16(head) {
        Some(encoding) => Err(Error::NotUtf8 { name: name.to_owned(), line: 1, encoding }),
        None => Ok(()),
    }
}

fn is_json(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let mut bytes = head.iter().copied().filter(|b| !b.is_ascii_whitespace());
    matches!(
        (bytes.next(), bytes.next()),
        (Some(b'{'), Some(b'"')) | (Some(b'['), Some(b'{' | b'"'))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_utf16(head: &[u8], expected: Option<Encoding>) {
        assert_eq!(Encoding::utf16(head), expected, "{head:?}");
    }

    #[test]
    fn utf16_is_known_by_its_mark_or_by_its_zeros() {
        check_utf16(b"\xff\xfeu\0", Some(Encoding::Utf16Le));
        check_utf16(b"\xfe\xff\0u", Some(Encoding::Utf16Be));
        check_utf16(b"u\0s\0e\0r\0_\0", Some(Encoding::Utf16Le));
        check_utf16(b"\0u\0s\0e\0r\0_", Some(Encoding::Utf16Be));
        check_utf16(b"user_a\0\0\0", None);
        check_utf16(b"user_a\nuser_b\n", None);
        check_utf16(b"\0\0\0\0\0\0", None);
        check_utf16(b"", None);
    }

    #[test]
    fn other_files_are_known_by_their_first_bytes() {
        assert_eq!(Foreign::of(b"PK\x03\x04rest"), Some(Foreign::Workbook));
        assert_eq!(Foreign::of(b"\x1f\x8b\x08"), Some(Foreign::Gzip));
        assert_eq!(Foreign::of(b"%PDF-1.7"), Some(Foreign::Pdf));
        assert_eq!(Foreign::of(b"[\n  {\"id\":\"user_a\"}]"), Some(Foreign::Json));
        assert_eq!(Foreign::of(b"{\"id\":\"user_a\"}\n"), Some(Foreign::Json));
        assert_eq!(Foreign::of(b"\xef\xbb\xbf[\"user_a\"]"), Some(Foreign::Json));
        assert_eq!(Foreign::of(b"{0f8fad5b-d9cb}\n"), None);
        assert_eq!(Foreign::of(b"PKI,name\n"), None);
        assert_eq!(Foreign::of(b""), None);
    }
}
