//! Finished files become the facts of a page and a summary: the one road of `report` and `--report`.

mod gather;
mod merge;
mod overlap;
mod source;

pub(crate) use gather::gather;

use std::io::Write as _;
use std::path::Path;

use super::Failure;
use crate::model::mask_keys;
use crate::report::page::{Facts, render};
use crate::results::WriteError;
use crate::results::atomic::AtomicWriter;

/// Fills a page that was begun when its place was checked, at the end of a job. Gives its SHA-256.
pub(crate) fn write(
    begun: AtomicWriter,
    path: &Path,
    facts: &Facts,
    pii: bool,
) -> Result<String, Failure> {
    Ok(fill(begun, path, &html(facts, pii)?)?)
}

/// The page as text, and no key in it.
pub(crate) fn html(facts: &Facts, pii: bool) -> Result<String, Failure> {
    let html = render(facts, pii).map_err(Failure::internal)?;
    Ok(mask_keys(&html).into_owned())
}

/// Fills a page that was begun with that text.
pub(crate) fn fill(mut begun: AtomicWriter, path: &Path, html: &str) -> Result<String, WriteError> {
    begun.write_all(html.as_bytes()).map_err(|error| WriteError::new(path, &error))?;
    begun.finish()
}
