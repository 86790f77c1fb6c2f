//! Reads finished files for a page and a summary: used by `report` and `--report`.

mod final_states;
mod gather;
mod source;
mod stages;

pub(crate) use gather::{Detail, gather};

use std::io::Write as _;
use std::path::Path;

use super::Failure;
use crate::model::mask_keys;
use crate::report::page::{Facts, render, render_markdown};
use crate::results::AtomicWriter;
use crate::results::WriteError;

/// Writes the page of a job to a file that was opened before. Returns its SHA-256.
pub(crate) fn write(
    begun: AtomicWriter,
    path: &Path,
    facts: &Facts,
    pii: bool,
) -> Result<String, Failure> {
    Ok(fill(begun, path, &html(facts, pii)?)?)
}

/// The page as text, without any secret key.
pub(crate) fn html(facts: &Facts, pii: bool) -> Result<String, Failure> {
    let html = render(facts, pii).map_err(Failure::internal)?;
    Ok(mask_keys(&html).into_owned())
}

/// The page as Markdown, without any secret key.
pub(crate) fn markdown(facts: &Facts) -> Result<String, Failure> {
    let markdown = render_markdown(facts).map_err(Failure::internal)?;
    Ok(mask_keys(&markdown).into_owned())
}

/// Writes this text to a file that was opened before.
pub(crate) fn fill(mut begun: AtomicWriter, path: &Path, text: &str) -> Result<String, WriteError> {
    begun.write_all(text.as_bytes()).map_err(|error| WriteError::new(path, &error))?;
    begun.finish()
}
