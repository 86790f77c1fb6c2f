//! Files that are no UTF-8 text, known by their first bytes.

use std::fmt;

use super::Error;

/// What a file looks like that is no list of users.
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
            Self::Workbook => "an Excel workbook or another ZIP archive: export it as CSV (UTF-8)",
            Self::OldWorkbook => "an old Excel workbook: export it as CSV (UTF-8)",
            Self::Gzip => "a gzip file: unpack it first, with gunzip",
            Self::Pdf => "a PDF document: give the list as CSV or as plain text, one user a line",
            Self::Json => "JSON: make a list of it, for example with jq -r '.[].id'",
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
    /// One byte a character: Windows-1252, or Latin-1 which is nearly the same.
    Windows1252,
}

impl Encoding {
    /// Tells UTF-16 by its mark, or by every other byte being zero.
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

/// Refuses, by its first bytes, a file that can't be read as text.
pub(super) fn check(name: &str, head: &[u8]) -> Result<(), Error> {
    if let Some(foreign) = Foreign::of(head) {
        return Err(Error::Foreign { name: name.to_owned(), foreign });
    }
    match Encoding::utf16(head) {
        Some(encoding) => Err(Error::NotUtf8 { name: name.to_owned(), line: 1, encoding }),
        None => Ok(()),
    }
}

fn is_json(head: &[u8]) -> bool {
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
        assert_eq!(Foreign::of(b"{0f8fad5b-d9cb}\n"), None);
        assert_eq!(Foreign::of(b"PKI,name\n"), None);
        assert_eq!(Foreign::of(b""), None);
    }
}
