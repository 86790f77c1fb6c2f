//! Finished files become the facts of a page and a summary: the one road of `report` and `--report`.

mod advice;
mod gather;
mod merge;
mod overlap;
mod source;

pub(super) use gather::gather;

use std::io::Write as _;
use std::path::Path;

use super::failure::Failure;
use crate::report::page::{Facts, render};
use crate::results::WriteError;
use crate::results::atomic::AtomicWriter;

/// Fills a page that was begun when its place was checked.
pub(super) fn write(
    mut begun: AtomicWriter,
    path: &Path,
    facts: &Facts,
    pii: bool,
) -> Result<(), Failure> {
    let html = render(facts, pii).map_err(Failure::internal)?;
    begun.write_all(html.as_bytes()).map_err(|error| WriteError::new(path, &error))?;
    Ok(begun.finish()?)
}
