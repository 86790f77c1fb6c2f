//! The sidecar files of results: their names, the list of rows that did not end well, and the list of
//! records without a row.

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::model::{InputRecord, Records, Row};

use super::error::{OpenError, ReadError, WriteError};
use super::files::{AtomicWriter, first_line};
use super::format::{FAILED_COLUMNS, UNPROCESSED_COLUMNS};
use super::lines::{LineWriter, unguarded};
use super::manifest::Manifest;
use super::reader::Reader;

/// The header of the users' column, where the input has none.
const DEFAULT_HEADER: &str = "user_id";

/// The paths of the sidecar files of a results file.
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
    /// The users whom a walk found, where that is the input.
    pub input: PathBuf,
    /// What `relock` did.
    pub relock: PathBuf,
}

impl Sidecars {
    /// `NAME.failed.csv` and so on, for `NAME.csv`.
    pub fn beside(results: &Path) -> Self {
        Self {
            failed: sibling(results, ".failed.csv"),
            unprocessed: sibling(results, ".unprocessed.csv"),
            manifest: sibling(results, ".manifest.json"),
            verify: sibling(results, ".verify.csv"),
            input: sibling(results, ".input.csv"),
            relock: sibling(results, ".relock.csv"),
        }
    }
}

/// `NAME` and this ending, for a file called `NAME.csv`.
pub(super) fn sibling(path: &Path, ending: &str) -> PathBuf {
    let is_csv = path.extension().is_some_and(|it| it.eq_ignore_ascii_case("csv"));
    let stem = if is_csv { path.file_stem() } else { path.file_name() };
    let mut name = OsString::from(stem.unwrap_or_default());
    name.push(ending);
    path.with_file_name(name)
}

/// Refuses to replace sidecar files that no run wrote: the results of another run, or a file of the
/// user. With `may_replace`, only results are refused.
///
/// # Errors
///
/// [`OpenError::NotOurs`] with the first such file.
pub fn check_places(sidecars: &Sidecars, may_replace: bool) -> Result<(), OpenError> {
    for path in [&sidecars.failed, &sidecars.unprocessed] {
        if Reader::open(path).is_ok() || !may_replace && !is_list(path) {
            return Err(OpenError::NotOurs(path.clone()));
        }
    }
    match Manifest::read(&sidecars.manifest) {
        Err(ReadError::NotManifest { path, .. }) if !may_replace => Err(OpenError::NotOurs(path)),
        _ => Ok(()),
    }
}

/// Whether a file does not exist, is empty, or has the header of such a list.
fn is_list(path: &Path) -> bool {
    let Ok(header) = first_line(path) else { return !path.exists() };
    let header = header.trim_end();
    let has_end = |columns: &[&str]| {
        header.strip_suffix(&columns.join(",")).is_some_and(|users| users.ends_with(','))
    };
    header.is_empty() || has_end(&FAILED_COLUMNS) || has_end(&UNPROCESSED_COLUMNS)
}

/// `NAME.failed.csv` while it is written, row by row as the rows are recorded. It has its name once
/// it is finished.
pub(super) struct FailedList {
    file: AtomicWriter,
    lines: LineWriter,
    /// Rows that are not recorded yet: the index of each in its batch, and where its line ends.
    pending: Vec<(usize, usize)>,
    /// Why it is not complete.
    failure: Option<WriteError>,
}

impl FailedList {
    /// `header` is that of the users' column, where the input has one.
    pub(super) fn create(
        path: &Path,
        header: Option<&str>,
        carried: &[String],
    ) -> Result<Self, WriteError> {
        let mut lines = LineWriter::new();
        write_header(header, carried, &FAILED_COLUMNS, &mut lines);
        let mut list =
            Self { file: AtomicWriter::create(path)?, lines, pending: Vec::new(), failure: None };
        let header = list.lines.take(Vec::new());
        list.write(&header);
        list.failure.take().map_or(Ok(list), Err)
    }

    /// Adds the row with this index in its batch, if it did not end well.
    pub(super) fn add(&mut self, index: usize, row: &Row) {
        if row.outcome.ended_well() {
            return;
        }
        self.lines.text(&row.input);
        self.lines.texts(&row.carried);
        self.lines.plain(row.line);
        self.lines.plain(row.outcome);
        self.lines.maybe_text(row.error_code.as_deref());
        self.lines.maybe_text(row.error_message.as_deref());
        self.pending.push((index, self.lines.end_line()));
    }

    /// Adds a row that is recorded, if it did not end well. The last such call is followed by a
    /// commit of one row.
    pub(super) fn add_recorded(&mut self, row: &Row) {
        const BATCH: usize = 256;
        self.add(0, row);
        if self.pending.len() >= BATCH {
            self.commit(1);
        }
    }

    /// Keeps the first `n_recorded` rows of the batch; the others were not recorded.
    pub(super) fn commit(&mut self, n_recorded: usize) {
        if self.pending.is_empty() {
            return;
        }
        let kept = self.pending.iter().rfind(|(index, _)| *index < n_recorded);
        let n_bytes = kept.map_or(0, |(_, end)| *end);
        let lines = self.lines.take(Vec::new());
        self.write(&lines[..n_bytes]);
        self.pending.clear();
    }

    fn write(&mut self, lines: &[u8]) {
        if let Err(error) = self.file.write_all(lines) {
            self.failure.get_or_insert(WriteError::new(&self.file.path, &error));
        }
    }

    /// A copy of the rows so far, under the list's name. Gives its SHA-256.
    pub(super) fn publish(&mut self) -> Result<String, WriteError> {
        self.failure.clone().map_or_else(|| self.file.publish(), Err)
    }

    /// Completes the list. Gives its SHA-256.
    pub(super) fn finish(self) -> Result<String, WriteError> {
        self.failure.map_or_else(|| self.file.finish(), Err)
    }
}

/// The users' cells of a `NAME.unprocessed.csv`; `None` where the file cannot be read.
pub fn read_unprocessed(path: &Path) -> Option<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).ok()?;
    let cell = |row: csv::StringRecord| unguarded(row.get(0).unwrap_or_default()).to_owned();
    reader.records().map(|row| row.ok().map(cell)).collect()
}

/// Writes the records that have no row, as input for another run. `recorded` holds for each record
/// whether it has one. The file has its name once it is finished.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn write_unprocessed(
    records: &Records,
    recorded: &[bool],
    path: &Path,
) -> Result<AtomicWriter, WriteError> {
    let mut file = AtomicWriter::create(path)?;
    let mut lines = LineWriter::new();
    write_header(records.header.as_deref(), &records.carried, &UNPROCESSED_COLUMNS, &mut lines);
    let mut chunk = Vec::new();
    let mut write = |lines: &mut LineWriter| {
        chunk = lines.take(std::mem::take(&mut chunk));
        file.write_all(&chunk).map_err(|error| WriteError::new(path, &error))
    };
    let unrecorded = records.records.iter().zip(recorded).filter(|(_, is_recorded)| !**is_recorded);
    for (record, _) in unrecorded {
        if write_record(record, &mut lines) >= 1 << 16 {
            write(&mut lines)?;
        }
    }
    write(&mut lines)?;
    file.flush().map_err(|error| WriteError::new(path, &error))?;
    Ok(file)
}

fn write_record(record: &InputRecord, lines: &mut LineWriter) -> usize {
    lines.text(&record.cell());
    lines.texts(record.carried());
    lines.plain(record.line());
    lines.end_line()
}

fn write_header(header: Option<&str>, carried: &[String], more: &[&str], lines: &mut LineWriter) {
    lines.text(header.unwrap_or(DEFAULT_HEADER));
    lines.texts(carried);
    lines.texts(more);
    lines.end_line();
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::files::sha256_file;
    use super::super::testing::{record, row, unlocked};
    use super::*;
    use crate::model::Outcome;

    #[track_caller]
    fn check_name(results: &str, failed: &str) {
        assert_eq!(Sidecars::beside(Path::new(results)).failed, Path::new(failed));
    }

    #[test]
    fn the_files_are_named_after_the_results() {
        check_name("out/a.results.csv", "out/a.results.failed.csv");
        check_name("a.csv", "a.failed.csv");
        check_name("out/plain", "out/plain.failed.csv");
        check_name("a.txt", "a.txt.failed.csv");
        let all = Sidecars::beside(Path::new("a.csv"));
        assert_eq!(all.unprocessed, Path::new("a.unprocessed.csv"));
        assert_eq!(all.manifest, Path::new("a.manifest.json"));
        assert_eq!(all.verify, Path::new("a.verify.csv"));
        assert_eq!(all.relock, Path::new("a.relock.csv"));
    }

    fn carrying(row: Row, carried: &[&str]) -> Row {
        Row { carried: carried.iter().map(|&it| it.into()).collect(), ..row }
    }

    fn rows() -> Vec<Row> {
        let failed = Row {
            line: 3,
            outcome: Outcome::Failed,
            error_code: Some("timeout".into()),
            error_message: Some("no answer within 30 s, nine times".into()),
            ..unlocked("user_b")
        };
        vec![
            carrying(unlocked("user_a"), &["red", "1"]),
            carrying(failed, &["-red", "\"2\""]),
            carrying(row(4, "#=x", Outcome::Invalid), &["", ""]),
            carrying(row(5, "=x", Outcome::Invalid), &["", ""]),
        ]
    }

    /// The list of these rows, of which the first `n_recorded` are recorded.
    fn failed(header: Option<&str>, rows: &[Row], n_recorded: usize) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.failed.csv");
        let carried = ["team".to_owned(), "ticket".to_owned()];
        let mut list = FailedList::create(&path, header, &carried).unwrap();
        rows.iter().enumerate().for_each(|(index, row)| list.add(index, row));
        list.commit(n_recorded);
        let sha256 = list.publish().unwrap();
        assert_eq!(sha256, sha256_file(&path).unwrap());
        assert_eq!(list.finish().unwrap(), sha256);
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn rows_that_did_not_end_well_can_be_read_as_input() {
        insta::assert_snapshot!(failed(Some("=clerk id"), &rows(), 4), @r##"
        '=clerk id,team,ticket,line,outcome,error_code,error_message
        user_b,'-red,"""2""",3,failed,timeout,"no answer within 30 s, nine times"
        "#=x",,,4,invalid,,
        '=x,,,5,invalid,,
        "##);
    }

    #[test]
    fn rows_that_could_not_be_recorded_are_not_listed() {
        let all = failed(None, &rows(), 4);
        for n_recorded in 0..4 {
            let n_lines = n_recorded.max(1);
            let expected: String = all.split_inclusive('\n').take(n_lines).collect();
            assert_eq!(failed(None, &rows(), n_recorded), expected);
        }
    }

    #[test]
    fn without_failures_the_list_has_only_a_header() {
        let expected = "user_id,team,ticket,line,outcome,error_code,error_message\n";
        assert_eq!(failed(None, &[], 0), expected);
    }

    #[test]
    fn a_list_that_is_not_finished_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        drop(FailedList::create(&dir.path().join("r.failed.csv"), None, &[]).unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    fn records() -> Records {
        Records {
            records: vec![
                record(2, "user_a", &["red"]),
                record(3, "", &["blue"]),
                record(5, "+1555", &["a,b"]),
            ],
            header: Some("Clerk ID".into()),
            carried: vec!["team".into()],
            ..Records::default()
        }
    }

    fn unprocessed(records: &Records, recorded: &[bool]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.unprocessed.csv");
        let sha256 = write_unprocessed(records, recorded, &path).unwrap().finish().unwrap();
        assert_eq!(sha256, sha256_file(&path).unwrap());
        fs::read_to_string(&path).unwrap()
    }

    #[test]
    fn records_without_a_row_can_be_read_as_input() {
        insta::assert_snapshot!(unprocessed(&records(), &[true, false, false]), @r#"
        Clerk ID,team,line
        ,blue,3
        '+1555,"a,b",5
        "#);
    }

    #[test]
    fn without_such_records_the_list_has_only_a_header() {
        let records = Records { header: None, carried: vec![], ..records() };
        assert_eq!(unprocessed(&records, &[true; 3]), "user_id,line\n");
    }

    #[test]
    fn a_long_list_is_written_in_chunks() {
        let records = Records {
            records: (0..9_000).map(|n| record(n, "user_abcdefghij", &[])).collect(),
            ..Records::default()
        };
        assert_eq!(unprocessed(&records, &[false; 9_000]).lines().count(), 9_001);
    }

    #[test]
    fn only_files_of_a_run_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let sidecars = Sidecars::beside(&dir.path().join("r.csv"));
        let check = |failed: &str, may_replace| {
            fs::write(&sidecars.failed, failed).unwrap();
            check_places(&sidecars, may_replace).is_ok()
        };
        let results = super::super::format::COLUMNS.join(",") + "\n";
        assert!(check("", false));
        assert!(check("user_id,line,outcome,error_code,error_message\n", false));
        assert!(check("Clerk ID,team,line\n", false));
        assert!(!check("precious\n", false) && check("precious\n", true));
        assert!(!check("outline\n", false));
        assert!(!check(&results, false) && !check(&results, true));
    }
}
