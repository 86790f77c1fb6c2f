//! Reads the users who must stay as they are.

use std::path::Path;

use super::lines::{LineReader, MAX_LEN};
use super::source::sha256;
use super::{Error, Source};
use crate::policy::exclude::ExcludeList;

/// An exclude file, read whole.
#[derive(Debug)]
pub struct ReadExcludeList {
    /// Its entries.
    pub list: ExcludeList,
    /// The SHA-256 of all bytes of the file, in lower-case hexadecimal: taken while it is read, as
    /// a pipe cannot be read twice.
    pub sha256: String,
}

/// Reads an exclude file: any text, such as a list, a CSV, or a file of this program.
///
/// # Errors
///
/// When it cannot be read to its end, is not UTF-8 text, or contains no entry: a list that is not
/// read whole would leave users unprotected.
pub fn read_exclude_list(path: &Path) -> Result<ReadExcludeList, Error> {
    read_list(Source::path(path))
}

pub(super) fn read_list(source: Source<'_>) -> Result<ReadExcludeList, Error> {
    let opened = source.open()?;
    let name = opened.name.clone();
    let mut list = ExcludeList::new(&name);
    let mut lines = LineReader::new(&name, opened.into_bytes());
    while let Some((number, line)) = lines.read(MAX_LEN)? {
        list.add_line(number, line);
    }
    if list.is_empty() {
        return Err(Error::NoEntries { name });
    }
    Ok(ReadExcludeList { list, sha256: sha256(lines.into_inner()) })
}
