//! The files beside the results: what did not end well, what was not tried, and the manifest.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};

use crate::model::{InputRecord, Records};

use super::atomic::AtomicWriter;
use super::cells::CellWriter;
use super::error::{OpenError, ReadError, WriteError};
use super::manifest::Manifest;
use super::reader::Reader;
use super::recorded_row::RecordedRow;

/// The header of the column that names the users, where the input has none.
const DEFAULT_HEADER: &str = "user_id";

/// The columns of `failed` behind the user's and the carried ones.
const OF_FAILED: [&str; 4] = ["line", "outcome", "error_code", "error_message"];

/// Where the files beside a results file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecars {
    /// The rows that did not end well.
    pub failed: PathBuf,
    /// The records without a row.
    pub unprocessed: PathBuf,
    /// What was run, when, and how it ended.
    pub manifest: PathBuf,
    /// What `verify` found.
    pub verify: PathBuf,
}

impl Sidecars {
    /// The files beside `NAME.csv`: `NAME.failed.csv` and so on.
    pub fn beside(results: &Path) -> Self {
        let is_csv = results.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"));
        let stem = if is_csv { results.file_stem() } else { results.file_name() };
        let named = |ending: &str| {
            let mut name = OsString::from(stem.unwrap_or_default());
            name.push(ending);
            results.with_file_name(name)
        };
        Self {
            failed: named(".failed.csv"),
            unprocessed: named(".unprocessed.csv"),
            manifest: named(".manifest.json"),
            verify: named(".verify.csv"),
        }
    }
}

/// Refuses a place beside the results where something stands that no run left there: another run's
/// results, or a file of somebody's own. `may_replace` takes all but results.
///
/// # Errors
///
/// [`OpenError::NotOurs`] with the first such file.
pub fn check_places(sidecars: &Sidecars, may_replace: bool) -> Result<(), OpenError> {
    let lists = [&sidecars.failed, &sidecars.unprocessed];
    let stranger = lists.into_iter().find(|path| {
        let is_results = Reader::open(path).is_ok();
        is_results || !may_replace && !is_list(path)
    });
    let is_manifest =
        |path: &&PathBuf| !matches!(Manifest::read(path), Err(ReadError::NotManifest { .. }));
    let manifest = Some(&sidecars.manifest).filter(|path| !may_replace && !is_manifest(path));
    match stranger.or(manifest) {
        Some(path) => Err(OpenError::NotOurs { path: path.clone() }),
        None => Ok(()),
    }
}

/// Whether a file is not there, is empty, or begins as these lists do.
fn is_list(path: &Path) -> bool {
    const LONGEST_HEADER: u64 = 1 << 20;
    let Ok(file) = File::open(path) else { return !path.exists() };
    let mut header = String::new();
    let read = BufReader::new(file.take(LONGEST_HEADER)).read_line(&mut header);
    let header = header.trim_end();
    let ends = [",line".to_owned(), format!(",{}", OF_FAILED.join(","))];
    read.is_ok() && (header.is_empty() || ends.iter().any(|end| header.ends_with(end.as_str())))
}

/// Why a file beside the results could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SidecarError {
    /// The results could not be read back.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Writes the rows of a results file that did not end well, as input for another run, and says
/// how many rows the results have in all. `header` is that of the input's column, where it had one.
///
/// # Errors
///
/// When the results can't be read or the file can't be written.
pub fn write_failed<R: Read>(
    mut results: Reader<R>,
    header: Option<&str>,
    path: &Path,
) -> Result<u64, SidecarError> {
    let carried = results.carried().to_vec();
    let mut table = TableWriter::create(path, header, &carried, &OF_FAILED)?;
    let mut n_rows = 0;
    for row in &mut results {
        let row = row?;
        n_rows += 1;
        if !row.outcome.ended_well() {
            table.write(|cells| failed_cells(&row, cells))?;
        }
    }
    table.finish()?;
    Ok(n_rows)
}

fn failed_cells(row: &RecordedRow, cells: &mut CellWriter<'_>) {
    cells.text(&row.input);
    cells.texts(&row.carried);
    cells.plain(row.line);
    cells.plain(row.outcome);
    cells.maybe_text(row.error_code.as_deref());
    cells.maybe_text(row.error_message.as_deref());
}

/// Writes the records that have no row, as input for another run, and says how many they are.
/// `unrecorded` are their places in [`Records::records`].
///
/// # Errors
///
/// When the file can't be written.
pub fn write_unprocessed(
    records: &Records,
    unrecorded: impl IntoIterator<Item = usize>,
    path: &Path,
) -> Result<u64, WriteError> {
    let header = records.header.as_deref();
    let mut table = TableWriter::create(path, header, &records.carried, &["line"])?;
    for record in unrecorded.into_iter().filter_map(|at| records.records.get(at)) {
        table.write(|cells| unprocessed_cells(record, cells))?;
    }
    table.finish()
}

fn unprocessed_cells(record: &InputRecord, cells: &mut CellWriter<'_>) {
    cells.text(&record.cell);
    cells.texts(&record.carried);
    cells.plain(record.line);
}

/// A CSV file that is there whole or not at all.
struct TableWriter {
    file: AtomicWriter,
    path: PathBuf,
    line: Vec<u8>,
    n_rows: u64,
}

impl TableWriter {
    fn create(
        path: &Path,
        header: Option<&str>,
        carried: &[String],
        more: &[&str],
    ) -> Result<Self, WriteError> {
        let file = AtomicWriter::create(path)?;
        let mut table = Self { file, path: path.to_owned(), line: Vec::new(), n_rows: 0 };
        table.write(|cells| {
            cells.text(header.unwrap_or(DEFAULT_HEADER));
            cells.texts(carried);
            cells.texts(more);
        })?;
        table.n_rows = 0;
        Ok(table)
    }

    fn write(&mut self, fill: impl FnOnce(&mut CellWriter<'_>)) -> Result<(), WriteError> {
        self.line.clear();
        let mut cells = CellWriter::new(&mut self.line);
        fill(&mut cells);
        cells.finish();
        self.n_rows += 1;
        self.file.write_all(&self.line).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &io::Error) -> WriteError {
        WriteError::new(&self.path, error)
    }

    fn finish(self) -> Result<u64, WriteError> {
        self.file.finish()?;
        Ok(self.n_rows)
    }
}

#[cfg(test)]
mod tests;
