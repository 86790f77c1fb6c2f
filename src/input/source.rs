//! Where the bytes come from: opened, recognised by their first part, and hashed as they are read.

use std::fs::{File, Metadata};
use std::io::{self, BufReader, Chain, Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::error::Refusal;
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
    pub(super) fn open(self) -> Result<Opened<'a>, Refusal> {
        let (reader, modified): (Box<dyn Read + 'a>, _) = match self.origin {
            Origin::Path(path) => {
                let (file, modified) = open_file(&path)?;
                (Box::new(file), modified)
            }
            Origin::Stdin => (Box::new(io::stdin()), time_of_redirected_file()),
            Origin::Reader(reader) => (reader, None),
        };
        let mut rest = Hashed { inner: reader, hasher: Sha256::new(), is_at_end: false };
        let mut head = Vec::new();
        rest.by_ref().take(HEAD_LEN).read_to_end(&mut head).map_err(Refusal::Read)?;
        if let Some(format) = foreign_format(&head) {
            return Err(Refusal::Foreign(format));
        }
        if let Some(encoding) = utf16(&head) {
            return Err(Refusal::NotUtf8 { line: 1, encoding });
        }
        Ok(Opened { modified, head, rest })
    }
}

/// A source whose first part was read.
pub(super) struct Opened<'a> {
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
    hex::encode(hashed.hasher.finalize())
}

fn open_file(path: &Path) -> Result<(File, Option<SystemTime>), Refusal> {
    let file = File::open(path).map_err(Refusal::Open)?;
    let metadata = file.metadata().map_err(Refusal::Open)?;
    if metadata.is_dir() {
        return Err(Refusal::Directory);
    }
    Ok((file, time_of_file(&metadata)))
}

/// When a file was last changed. The time of a pipe is not that of its content.
fn time_of_file(metadata: &Metadata) -> Option<SystemTime> {
    if metadata.is_file() { metadata.modified().ok() } else { None }
}

/// When the file was last changed that the shell redirected to stdin, if it is one.
#[cfg(unix)]
fn time_of_redirected_file() -> Option<SystemTime> {
    use std::os::fd::AsFd as _;

    let file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    time_of_file(&file.metadata().ok()?)
}

/// Unknown where handles are not files.
#[cfg(not(unix))]
fn time_of_redirected_file() -> Option<SystemTime> {
    None
}

/// A reader that hashes all bytes read through it. It retries interrupted reads, and does not read
/// again after the end: on a terminal, the user would have to end the input twice.
pub(super) struct Hashed<'a> {
    inner: Box<dyn Read + 'a>,
    hasher: Sha256,
    is_at_end: bool,
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end || buffer.is_empty() {
            return Ok(0);
        }
        let n_bytes = loop {
            match self.inner.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.is_at_end = n_bytes == 0;
        self.hasher.update(&buffer[..n_bytes]);
        Ok(n_bytes)
    }
}

/// Recognizes a format other than text by its first bytes: what it is, and how to make a list of it.
fn foreign_format(head: &[u8]) -> Option<&'static str> {
    match head {
        // `.xlsx`, `.ods`, and `.numbers` files are ZIP archives.
        [b'P', b'K', 3 | 5, 4 | 6, ..] => {
            Some("an Excel workbook or another ZIP archive; export it as CSV (UTF-8)")
        }
        [0xD0, 0xCF, 0x11, 0xE0, ..] => Some("an old Excel workbook; export it as CSV (UTF-8)"),
        [0x1F, 0x8B, ..] => Some("a gzip file; unpack it with gunzip"),
        [b'%', b'P', b'D', b'F', b'-', ..] => {
            Some("a PDF document; give the list as CSV or as plain text, one user per line")
        }
        _ if is_json(head) => Some("JSON; convert it to a list, for example with jq -r '.[].id'"),
        _ => None,
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

/// An encoding other than UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub name: &'static str,
    /// Its name for `iconv -f`.
    pub iconv_name: &'static str,
}

/// As Windows programs write "Unicode".
const UTF_16_LE: Encoding = Encoding { name: "UTF-16 (little endian)", iconv_name: "UTF-16LE" };
const UTF_16_BE: Encoding = Encoding { name: "UTF-16 (big endian)", iconv_name: "UTF-16BE" };
/// Latin-1 is nearly the same.
pub(super) const WINDOWS_1252: Encoding =
    Encoding { name: "Windows-1252 or Latin-1", iconv_name: "WINDOWS-1252" };

/// Recognizes UTF-16 by its mark, or by every other byte being zero.
fn utf16(head: &[u8]) -> Option<Encoding> {
    match head {
        [0xFF, 0xFE, ..] => return Some(UTF_16_LE),
        [0xFE, 0xFF, ..] => return Some(UTF_16_BE),
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
        Some(UTF_16_LE)
    } else if is_most(n_first, n_second) {
        Some(UTF_16_BE)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_utf16(head: &[u8], expected: Option<Encoding>) {
        assert_eq!(utf16(head), expected, "{head:?}");
    }

    #[test]
    fn utf16_is_known_by_its_mark_or_by_its_zeros() {
        check_utf16(b"\xff\xfeu\0", Some(UTF_16_LE));
        check_utf16(b"\xfe\xff\0u", Some(UTF_16_BE));
        check_utf16(b"u\0s\0e\0r\0_\0", Some(UTF_16_LE));
        check_utf16(b"\0u\0s\0e\0r\0_", Some(UTF_16_BE));
        check_utf16(b"user_a\0\0\0", None);
        check_utf16(b"user_a\nuser_b\n", None);
        check_utf16(b"\0\0\0\0\0\0", None);
        check_utf16(b"", None);
    }

    #[track_caller]
    fn check_foreign(head: &[u8], expected: Option<&str>) {
        let found = foreign_format(head).map(|format| format.split(';').next().unwrap());
        assert_eq!(found, expected, "{head:?}");
    }

    #[test]
    fn other_formats_are_recognized_by_their_first_bytes() {
        check_foreign(b"PK\x03\x04rest", Some("an Excel workbook or another ZIP archive"));
        check_foreign(b"\xd0\xcf\x11\xe0rest", Some("an old Excel workbook"));
        check_foreign(b"\x1f\x8b\x08", Some("a gzip file"));
        check_foreign(b"%PDF-1.7", Some("a PDF document"));
        check_foreign(b"[\n  {\"id\":\"user_a\"}]", Some("JSON"));
        check_foreign(b"{\"id\":\"user_a\"}\n", Some("JSON"));
        check_foreign(b"\xef\xbb\xbf[\"user_a\"]", Some("JSON"));
        check_foreign(b"{0f8fad5b-d9cb}\n", None);
        check_foreign(b"PKI,name\n", None);
        check_foreign(b"", None);
    }
}
