//! Reads the users who must stay as they are.

use std::path::Path;

use super::lines::{LineReader, MAX_LEN};
use super::source::sha256;
use super::{Error, Source};
use crate::policy::exclude::ExcludeList;

/// Adds an exclude file: any text, such as a list, a CSV, or a file of this program. Returns the
/// SHA-256 of its bytes in lower-case hexadecimal, taken while it is read: a pipe cannot be read
/// twice.
///
/// # Errors
///
/// When it cannot be read to its end, is not UTF-8 text, or contains no entry: a list that is not
/// read whole would leave users unprotected.
pub fn read_exclude_file(path: &Path, list: &mut ExcludeList) -> Result<String, Error> {
    read_exclude_source(Source::path(path), list)
}

pub(super) fn read_exclude_source(
    source: Source<'_>,
    list: &mut ExcludeList,
) -> Result<String, Error> {
    let opened = source.open()?;
    let name = opened.name.clone();
    list.begin_file(&name);
    let mut lines = LineReader::new(&name, opened.into_bytes());
    let mut has_entry = false;
    while let Some((number, line)) = lines.read(MAX_LEN)? {
        has_entry |= list.add_line(number, line);
    }
    if has_entry {
        return Ok(sha256(lines.into_inner()));
    }
    Err(Error::NoEntries { name })
}
