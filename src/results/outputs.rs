//! All files of one job, from before its first request to after its last, however it ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::model::Records;
use crate::policy::exclude::ExcludeList;
use crate::policy::plan::{Done, Plan};
use crate::stats::summary::Summary;
use crate::stats::{RowStats, Stats};

use super::error::{OpenError, ReadError, WriteError};
use super::files::{self, AtomicWriter, remove_stale, sha256};
use super::format::RowFormat;
use super::manifest::{FileEntry, Manifest};
use super::resume::Resumed;
use super::sidecars::{FailedList, Sidecars, write_unprocessed};
use super::writer::{Existing, Writer};

/// All files of one job. A job whose results go to a stream has none.
///
/// The results file and its manifest exist before the first request. The sidecar lists exist
/// once [`write_unprocessed`](Self::write_unprocessed) and [`Writer::publish_failed`] were called,
/// and are complete once the job is [finalized](Self::finalize). Each file is complete or as it was
/// before.
///
/// A job that may still be refused, because a guard or the user decides after its look-up, does not
/// touch files of an earlier run: its results have a temporary name until [`commit`](Self::commit)
/// replaces them. Refused, it is [rolled back](Self::rollback); killed, it leaves a temporary file
/// that the next run removes. `--resume` after that continues the earlier run, which is unchanged.
pub struct Outputs {
    /// What was run.
    pub manifest: Manifest,
    files: Option<Files>,
}

struct Files {
    results: PathBuf,
    sidecars: Sidecars,
    state: State,
    /// The manifest and the unprocessed list, until they are at their paths.
    staged: Option<[AtomicWriter; 2]>,
    /// The list of a walk, until it is at its path.
    list: Option<AtomicWriter>,
    /// This job wrote the list of a walk.
    has_list: bool,
    /// Descriptors for the end of the job: connections may take all others.
    reserve: Vec<File>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// The files are new, and so refusing the job removes them.
    New,
    /// The results have a temporary name.
    Staged,
    /// The files are those of an earlier run that is resumed, or of a committed job.
    Kept,
}

/// What the files of a job hold at its end, before the last of them is written.
pub struct Totals {
    /// The statistics. Where rows are missing from the results file, they are not in here.
    pub stats: Stats,
    /// Number of records that must be accounted for.
    pub n_records: u64,
    /// Number of records without a row.
    pub n_unprocessed: u64,
    /// Number of rows in the results file.
    pub n_rows_found: u64,
    /// The SHA-256 of the results file; `None` for a stream, or if it cannot be read.
    pub sha256: Option<String>,
    /// The first thing that went wrong with the files.
    pub failure: Option<OutputError>,
    recorded: Vec<bool>,
    /// The rows of a file that was read again.
    found: Option<RowStats>,
}

/// A job whose files are complete. The lock on the results file is held as long as this value lives.
pub struct Finalized {
    /// The summary.
    pub summary: Summary,
    /// The first thing that went wrong with the files.
    pub failure: Option<OutputError>,
    manifest: Option<(Manifest, PathBuf)>,
    _lock: Writer,
}

/// Something that went wrong with the files of a job.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The results could not be read back after another process changed them.
    #[error("{0}; another process changed the results file during the run")]
    Read(#[from] ReadError),
}

impl Outputs {
    /// Files of a new job on this input.
    ///
    /// With `may_be_refused`, files of an earlier run are unchanged until
    /// [`commit`](Self::commit). `list` is the list of a walk, where that is the input: it is at its
    /// path before the first row is.
    ///
    /// # Errors
    ///
    /// As [`Writer::create`], and when the manifest cannot be written. Files of an earlier run are
    /// unchanged then.
    pub fn create(
        results: &Path,
        existing: Existing,
        may_be_refused: bool,
        format: RowFormat,
        records: &Records,
        list: Option<AtomicWriter>,
        manifest: Manifest,
    ) -> Result<(Self, Writer), OpenError> {
        let sidecars = Sidecars::beside(results);
        let is_there = |path: &Path| path.symlink_metadata().is_ok();
        let replaces = existing == Existing::Replace && is_there(results);
        let beside = [&sidecars.failed, &sidecars.unprocessed, &sidecars.manifest];
        let is_refused = existing == Existing::Refuse && is_there(results);
        let replaces_list = list.is_some() && is_there(&sidecars.input);
        let touches = replaces || replaces_list || beside.into_iter().any(|path| is_there(path));
        let is_staged = !is_refused && (replaces || may_be_refused && touches);
        let mode = if is_staged { Existing::Replace } else { Existing::Refuse };
        let mut writer = Writer::create(results, mode, format, records.header.as_deref())?;
        let state = if is_staged { State::Staged } else { State::New };
        let mut outputs = Self::over(results, sidecars, state, list, manifest);
        if is_staged && !may_be_refused {
            let recorded = vec![false; records.records.len()];
            outputs.commit(records, &recorded, || writer.commit_staged())?;
            writer.publish_failed()?;
        } else if !is_staged {
            outputs.publish_list().and_then(|()| outputs.write_manifest()).inspect_err(|_| {
                // They were just created, and the results have no row.
                let _ = outputs.rollback();
            })?;
        }
        Ok((outputs, writer))
    }

    /// Files of a job that an earlier run began.
    ///
    /// # Errors
    ///
    /// As [`Writer::resume`], and when the manifest cannot be written.
    pub fn resume(
        results: &Path,
        resumed: Resumed,
        format: RowFormat,
        manifest: Manifest,
    ) -> Result<(Self, Writer), WriteError> {
        resumed.keep_cut()?;
        let writer = Writer::resume(resumed, format)?;
        let outputs = Self::over(results, Sidecars::beside(results), State::Kept, None, manifest);
        outputs.write_manifest()?;
        Ok((outputs, writer))
    }

    /// A job whose results go to a stream.
    pub fn none(manifest: Manifest) -> Self {
        Self { manifest, files: None }
    }

    /// The lock is held by now, so that leftovers are those of killed runs.
    fn over(
        results: &Path,
        sidecars: Sidecars,
        state: State,
        list: Option<AtomicWriter>,
        manifest: Manifest,
    ) -> Self {
        let Sidecars { failed, unprocessed, manifest: of_manifest, input, .. } = &sidecars;
        [results, failed, unprocessed, of_manifest, input].into_iter().for_each(remove_stale);
        let (results, reserve) = (results.to_owned(), reserve(results));
        let has_list = list.is_some();
        let files = Files { results, sidecars, state, staged: None, list, has_list, reserve };
        Self { manifest, files: Some(files) }
    }

    fn publish_list(&mut self) -> Result<(), WriteError> {
        let list = self.files.as_mut().and_then(|files| files.list.take());
        list.map_or(Ok(()), |list| list.finish().map(drop))
    }

    fn write_manifest(&self) -> Result<(), WriteError> {
        let Some(files) = &self.files else { return Ok(()) };
        self.manifest.write(&files.sidecars.manifest)
    }

    /// Writes the list of records without a row as it is now: if the program is killed, it lists
    /// all users that remain. [`Writer::publish_failed`] does the same for rows. Until
    /// the job is committed, both would replace files of an earlier run.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_unprocessed(
        &self,
        records: &Records,
        recorded: &[bool],
    ) -> Result<(), WriteError> {
        let Some(files) = &self.files else { return Ok(()) };
        write_unprocessed(records, recorded, &files.sidecars.unprocessed)?.finish().map(drop)
    }

    /// Whether this job created all its files: refusing it removes them.
    pub fn is_new(&self) -> bool {
        self.files.as_ref().is_none_or(|files| files.state == State::New)
    }

    /// Whether files of an earlier run are still in place and would be replaced by a commit.
    pub fn is_staged(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.state == State::Staged)
    }

    /// Writes what [`commit`](Self::commit) puts beside the results under temporary names, so that
    /// a full disk is noticed before users are changed. Does nothing a second time, or if no files
    /// of an earlier run would be replaced.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn stage(&mut self, records: &Records, recorded: &[bool]) -> Result<(), WriteError> {
        let Some(files) = &mut self.files else { return Ok(()) };
        if files.state == State::Staged && files.staged.is_none() {
            let path = &files.sidecars.manifest;
            let manifest = files::stage(path, self.manifest.to_json(path)?.as_bytes())?;
            let unprocessed = write_unprocessed(records, recorded, &files.sidecars.unprocessed)?;
            files.staged = Some([manifest, unprocessed]);
        }
        Ok(())
    }

    /// The job may continue: its files replace those of an earlier run. `commit_writer` calls
    /// [`Writer::commit_staged`] wherever the writer is; [`Writer::publish_failed`] is to follow.
    ///
    /// # Errors
    ///
    /// When a file cannot be renamed or written.
    pub fn commit(
        &mut self,
        records: &Records,
        recorded: &[bool],
        commit_writer: impl FnOnce() -> Result<(), WriteError>,
    ) -> Result<(), WriteError> {
        self.stage(records, recorded)?;
        let Some(files) = &mut self.files else { return Ok(()) };
        if let Some([manifest, unprocessed]) = files.staged.take() {
            // Even after a kill, no manifest is beside the results of another run.
            let _ = files.sidecars.manifest.canonicalize().and_then(fs::remove_file);
            // No results without their list: resuming compares its hash with the manifest.
            if let Some(list) = files.list.take() {
                list.finish()?;
            }
            commit_writer()?;
            files.state = State::Kept;
            unprocessed.finish()?;
            manifest.finish()?;
            files.reserve = reserve(&files.results);
        }
        files.state = State::Kept;
        Ok(())
    }

    /// The job was refused before it changed anything: removes its files if they are new, and
    /// leaves those of an earlier run unchanged. Returns `false` for a resumed job, which must be
    /// finalized instead.
    #[must_use]
    pub fn rollback(&self) -> bool {
        let Some(Files { results, sidecars, state, has_list, .. }) = &self.files else {
            return true;
        };
        if *state == State::New {
            let Sidecars { failed, unprocessed, manifest, input, .. } = sidecars;
            let list = has_list.then_some(input);
            for path in [results, failed, unprocessed, manifest].into_iter().chain(list) {
                // A link remains. A file that cannot be removed is harmless: its manifest shows that
                // it is not finished.
                let _ = path.canonicalize().and_then(fs::remove_file);
            }
        }
        *state != State::Kept
    }

    /// Ends the job: closes the results, and writes the sidecar lists and the manifest. A failed
    /// step does not prevent the others.
    ///
    /// `recorded` holds for each record whether it has a row. `conclude` sums up the files.
    ///
    /// Where another process changed the results file, it is read again, and rows that are not in
    /// it do not count.
    pub fn finalize(
        mut self,
        mut writer: Writer,
        stats: Stats,
        recorded: Vec<bool>,
        records: &Records,
        now: SystemTime,
        conclude: impl FnOnce(&Totals) -> Summary,
    ) -> Finalized {
        writer.close();
        let mut totals = Totals {
            n_records: stats.size.n_records,
            n_unprocessed: n_without_row(&recorded),
            n_rows_found: stats.n_earlier() + writer.n_rows(),
            sha256: None,
            failure: writer.failure().cloned().map(Into::into),
            found: None,
            recorded,
            stats,
        };
        // A job that was not committed leaves the files of the earlier run unchanged.
        let files = self.files.take().filter(|files| files.state != State::Staged);
        let Some(Files { results, sidecars, reserve, .. }) = files else {
            let summary = conclude(&totals);
            return Finalized { summary, failure: totals.failure, manifest: None, _lock: writer };
        };
        drop(reserve);
        if writer.is_disturbed {
            totals.recount(&mut writer, records);
        }
        let failed = totals.note(finish_failed(&mut writer, records, &sidecars.failed));
        let unprocessed = write_unprocessed(records, &totals.recorded, &sidecars.unprocessed);
        let unprocessed = totals.note(unprocessed.and_then(AtomicWriter::finish));
        totals.sha256 = writer.take_digest().or_else(|| digest_of(&mut writer));
        let mut summary = conclude(&totals);
        // The closing lines name only files that were written.
        summary.files.failed.take_if(|_| failed.is_none());
        summary.files.unprocessed.take_if(|_| unprocessed.is_none());
        let outputs = [
            ("results", &results, totals.sha256.take()),
            ("failed", &sidecars.failed, failed),
            ("unprocessed", &sidecars.unprocessed, unprocessed),
        ];
        for (role, path, digest) in outputs {
            self.manifest.files.extend(digest.map(|sha256| entry(role, path, sha256)));
        }
        self.manifest.end_pass(&summary, &totals.stats, now);
        if let Some(found) = &totals.found {
            (self.manifest.counts, self.manifest.rows) = (found.counts, found.counts.total());
        }
        totals.note(self.manifest.write(&sidecars.manifest));
        summary.files.manifest.take_if(|path| !path.exists());
        summary.files.results.take_if(|path| !path.exists());
        Finalized {
            summary,
            failure: totals.failure,
            manifest: Some((self.manifest, sidecars.manifest)),
            _lock: writer,
        }
    }
}

impl Totals {
    /// The first failure counts.
    fn note<T, E: Into<OutputError>>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.failure.get_or_insert(error.into())).ok()
    }

    /// Counts the rows that are in the file.
    fn recount(&mut self, writer: &mut Writer, records: &Records) {
        let mut rows = RowStats::default();
        let mut done = Done::default();
        let read = each_row(writer, |row| {
            rows.add(&row);
            done.note(records, row.line, &row.input, row.user_id.as_ref(), row.outcome);
        });
        self.note(read);
        self.n_rows_found = rows.counts.total();
        if self.failure.is_some() {
            let plan = Plan::build(records, &ExcludeList::default(), done, SystemTime::UNIX_EPOCH);
            self.recorded = vec![false; records.records.len()];
            plan.recorded.iter().for_each(|&it| self.recorded[it as usize] = true);
            self.n_unprocessed = n_without_row(&self.recorded);
            self.n_records = records.records.len() as u64 + plan.n_rows_without_record;
            self.stats.replace_rows(rows.clone());
        }
        self.found = Some(rows);
    }
}

fn n_without_row(recorded: &[bool]) -> u64 {
    recorded.iter().filter(|has_row| !**has_row).count() as u64
}

impl Finalized {
    /// Adds the page to the manifest. The page shows the manifest, so it is written last.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be written.
    pub fn add_report(&mut self, path: &Path, sha256: String) -> Result<(), WriteError> {
        self.amend(|manifest| manifest.files.push(entry("report", path, sha256)))
    }

    /// Writes another exit code into the manifest and the summary: something went wrong after them.
    ///
    /// # Errors
    ///
    /// When the manifest cannot be written.
    pub fn set_exit_code(&mut self, exit_code: u8) -> Result<(), WriteError> {
        self.summary.exit_code = exit_code;
        self.amend(|manifest| manifest.exit_code = Some(exit_code))
    }

    fn amend(&mut self, change: impl FnOnce(&mut Manifest)) -> Result<(), WriteError> {
        let Some((manifest, path)) = &mut self.manifest else { return Ok(()) };
        change(manifest);
        manifest.write(path)
    }
}

/// Completes the list of rows that did not end well; writes it again where the file changed.
fn finish_failed(
    writer: &mut Writer,
    records: &Records,
    path: &Path,
) -> Result<String, WriteError> {
    let list = writer.failed.take().filter(|_| !writer.is_disturbed);
    if let Some(Ok(digest)) = list.map(FailedList::finish) {
        return Ok(digest);
    }
    let mut list = FailedList::create(path, records.header.as_deref(), &records.carried)?;
    // What cannot be read was reported by the recount.
    let _ = each_row(writer, |row| list.add_recorded(&row));
    list.commit(1);
    list.finish()
}

/// Opens a few descriptors.
fn reserve(results: &Path) -> Vec<File> {
    const N_RESERVED: usize = 8;
    std::iter::from_fn(|| File::open(results).ok()).take(N_RESERVED).collect()
}

/// Reads all rows of the file, those after a line that is not a row too. A file that is no longer in
/// its place has none.
fn each_row(
    writer: &mut Writer,
    mut on_row: impl FnMut(crate::model::Row),
) -> Result<(), ReadError> {
    let Some(file) = writer.file() else { return Ok(()) };
    let reader = match file.reader() {
        Ok(reader) => reader.without_users(),
        Err(ReadError::NoHeader { .. }) => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut first = Ok(());
    for row in reader {
        match row {
            Ok(row) => on_row(row),
            Err(error @ ReadError::Io { .. }) => return Err(error),
            Err(error) => first = first.and(Err(error)),
        }
    }
    first
}

/// The digest of a file that was not hashed while it was written.
fn digest_of(writer: &mut Writer) -> Option<String> {
    sha256(writer.file()?.bytes_from(0).ok()?).ok()
}

fn entry(role: &str, path: &Path, sha256: String) -> FileEntry {
    FileEntry { role: role.to_owned(), name: path.display().to_string(), sha256 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::time::Instant;

    use super::super::testing::{moment, record, row, unlocked};
    use super::super::{format, resume, sha256_file};
    use super::*;
    use crate::model::{Outcome, Row};
    use crate::stats::summary::{CommandKind, Ending, ExcludeCounts};
    use crate::stats::{Counts, Size};

    /// Three records, of which the first two get rows: one that ended well and one that did not.
    struct TestRun {
        dir: tempfile::TempDir,
        records: Records,
    }

    fn manifest() -> Manifest {
        let mut manifest = Manifest {
            schema_version: format::SCHEMA_VERSION,
            program_version: String::new(),
            command: "bulk-unlock run ids.csv".into(),
            kind: CommandKind::Run,
            settings: serde_json::Map::new(),
            instance: "production".into(),
            host: "api.clerk.com".into(),
            key: None,
            operator: None,
            reason: None,
            started_at: moment(0),
            finished_at: None,
            ending: String::new(),
            counts: Counts::default(),
            excluded: ExcludeCounts::default(),
            exit_code: None,
            records: 3,
            rows: 0,
            unprocessed: 3,
            next: None,
            files: vec![entry("input", Path::new("ids.csv"), "00ff".into())],
            passes: vec![],
        };
        manifest.begin_pass(moment(0));
        manifest
    }

    impl TestRun {
        fn new() -> Self {
            let records = ["user_a", "user_b", "user_c"];
            let records = records.into_iter().zip(2..).map(|(id, line)| record(line, id, &[]));
            let records = Records { records: records.collect(), ..Records::default() };
            Self { dir: tempfile::tempdir().unwrap(), records }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        fn create(
            &self,
            existing: Existing,
            may_be_refused: bool,
        ) -> Result<(Outputs, Writer), OpenError> {
            let (path, format) = (self.path("r.csv"), RowFormat::default());
            Outputs::create(
                &path,
                existing,
                may_be_refused,
                format,
                &self.records,
                None,
                manifest(),
            )
        }

        fn rows() -> [Row; 2] {
            [unlocked("user_a"), Row { line: 3, ..row(3, "user_b", Outcome::Rejected) }]
        }

        fn append(writer: &mut Writer) {
            for row in Self::rows() {
                writer.append(&row);
            }
        }

        fn finalize(&self, outputs: Outputs, writer: Writer) -> Finalized {
            let size = Size { n_records: 3, n_jobs: 3 };
            let mut rows = RowStats::default();
            for row in Self::rows() {
                rows.add(&row);
            }
            let mut stats = Stats::new(size, Instant::now(), moment(0));
            stats.replace_rows(rows);
            let recorded = vec![true, true, false];
            outputs.finalize(writer, stats, recorded, &self.records, moment(9_000), |totals| {
                let ending = match totals.failure {
                    Some(_) => Ending::Stopped(crate::model::StopReason::OutputFailed),
                    None => Ending::Completed,
                };
                let mut summary = Summary::new(&totals.stats, CommandKind::Run, ending);
                summary.n_records = totals.n_records;
                summary.n_unprocessed = totals.n_unprocessed;
                summary.n_rows_found = Some(totals.n_rows_found);
                summary.exit_code = if totals.failure.is_some() { 6 } else { 1 };
                summary
            })
        }

        /// A finished run.
        fn finished() -> Self {
            let run = Self::new();
            let (outputs, mut writer) = run.create(Existing::Refuse, false).unwrap();
            Self::append(&mut writer);
            assert!(run.finalize(outputs, writer).failure.is_none());
            run
        }

        fn contents(&self) -> BTreeMap<String, String> {
            let entries = fs::read_dir(self.dir.path()).unwrap().map(Result::unwrap);
            let content = |entry: fs::DirEntry| {
                (
                    entry.file_name().into_string().unwrap(),
                    fs::read_to_string(entry.path()).unwrap(),
                )
            };
            entries.map(content).collect()
        }

        fn manifest(&self) -> Manifest {
            Manifest::read(&self.path("r.manifest.json")).unwrap().unwrap()
        }
    }

    const NAMES: [&str; 4] = ["r.csv", "r.failed.csv", "r.manifest.json", "r.unprocessed.csv"];

    #[test]
    fn a_finished_job_has_all_files_and_the_manifest_has_their_digests() {
        let run = TestRun::finished();
        assert_eq!(run.contents().keys().collect::<Vec<_>>(), NAMES);
        let manifest = run.manifest();
        assert_eq!((manifest.rows, manifest.unprocessed, manifest.exit_code), (2, 1, Some(1)));
        assert_eq!(manifest.counts.get(Outcome::Rejected), 1);
        let roles: Vec<_> = manifest.files.iter().map(|it| it.role.as_str()).collect();
        assert_eq!(roles, ["input", "results", "failed", "unprocessed"]);
        for file in &manifest.files[1..] {
            assert_eq!(file.sha256, sha256_file(Path::new(&file.name)).unwrap(), "{}", file.role);
        }
        let contents = run.contents();
        assert!(contents["r.failed.csv"].ends_with("\nuser_b,3,rejected,,\n"));
        assert!(contents["r.unprocessed.csv"].ends_with("\nuser_c,4\n"));
    }

    #[test]
    fn a_new_job_has_a_running_manifest_and_leaves_nothing_when_it_is_refused() {
        let run = TestRun::new();
        let (outputs, writer) = run.create(Existing::Refuse, true).unwrap();
        assert_eq!(run.manifest().ending, Manifest::RUNNING);
        assert!(outputs.rollback());
        drop(writer);
        assert_eq!(run.contents().len(), 0);
    }

    #[test]
    fn a_job_that_may_be_refused_changes_nothing_of_an_earlier_run_before_it_is_committed() {
        let run = TestRun::finished();
        let before = run.contents();
        let (outputs, mut writer) = run.create(Existing::Replace, true).unwrap();
        TestRun::append(&mut writer);
        writer.commit().unwrap();
        assert!(outputs.is_staged() && outputs.rollback());
        drop((outputs, writer));
        assert!(run.contents() == before, "refused");

        let (outputs, writer) = run.create(Existing::Replace, true).unwrap();
        run.finalize(outputs, writer);
        assert!(run.contents() == before, "ended before it was committed");

        let (mut outputs, mut writer) = run.create(Existing::Replace, true).unwrap();
        outputs.stage(&run.records, &[false; 3]).unwrap();
        let mut visible = run.contents();
        visible.retain(|name, _| !name.starts_with('.'));
        assert!(visible == before, "staged");
        let commit_writer = || {
            assert!(!run.path("r.manifest.json").exists(), "it is not that of these results");
            writer.commit_staged()
        };
        outputs.commit(&run.records, &[true; 3], commit_writer).unwrap();
        assert_eq!(run.manifest().ending, Manifest::RUNNING);
        assert_eq!(run.contents()["r.unprocessed.csv"].lines().count(), 4);
        assert_eq!(fs::read_to_string(run.path("r.csv")).unwrap().lines().count(), 1);
        TestRun::append(&mut writer);
        assert!(run.finalize(outputs, writer).failure.is_none());
        assert_eq!(run.contents().keys().collect::<Vec<_>>(), NAMES);
    }

    #[test]
    fn files_beside_results_that_were_moved_away_are_an_earlier_runs_too() {
        let run = TestRun::finished();
        fs::remove_file(run.path("r.csv")).unwrap();
        let before = run.contents();
        let (outputs, writer) = run.create(Existing::Refuse, true).unwrap();
        assert!(outputs.rollback());
        drop(writer);
        assert!(run.contents() == before);
    }

    #[test]
    fn a_job_that_cannot_be_refused_replaces_an_earlier_run_at_once() {
        let run = TestRun::finished();
        let (outputs, writer) = run.create(Existing::Replace, false).unwrap();
        assert!(!outputs.is_staged());
        assert_eq!(run.manifest().ending, Manifest::RUNNING);
        assert_eq!(fs::read_to_string(run.path("r.csv")).unwrap().lines().count(), 1);
        drop(writer);
    }

    #[test]
    fn leftovers_of_killed_runs_are_removed() {
        let run = TestRun::finished();
        for name in ["r.csv", "r.failed.csv", "r.unprocessed.csv", "r.manifest.json"] {
            fs::write(run.path(&format!(".{name}.Ab12Cd.tmp")), "left behind").unwrap();
        }
        let resumed = resume(&run.path("r.csv"), &run.records).unwrap().unwrap();
        let results = run.path("r.csv");
        let format = RowFormat::default();
        let (outputs, writer) = Outputs::resume(&results, resumed, format, manifest()).unwrap();
        run.finalize(outputs, writer);
        assert_eq!(run.contents().keys().collect::<Vec<_>>(), NAMES);
    }

    /// The files of a run whose results are disturbed after two rows were recorded.
    fn disturbed(disturb: impl Fn(&Path)) -> (TestRun, Finalized) {
        let run = TestRun::new();
        let (outputs, mut writer) = run.create(Existing::Refuse, false).unwrap();
        TestRun::append(&mut writer);
        writer.commit().unwrap();
        disturb(&run.path("r.csv"));
        let finalized = run.finalize(outputs, writer);
        (run, finalized)
    }

    #[track_caller]
    fn check_disturbed(disturb: impl Fn(&Path), n_rows: u64, n_unprocessed: u64) -> TestRun {
        let (run, finalized) = disturbed(disturb);
        assert!(finalized.failure.is_some());
        assert!(finalized.summary.adds_up());
        let manifest = run.manifest();
        assert_eq!((manifest.ending.as_str(), manifest.exit_code), ("output_failed", Some(6)));
        assert_eq!((manifest.rows, manifest.unprocessed), (n_rows, n_unprocessed));
        assert_eq!(manifest.counts.total(), n_rows);
        let n_listed = run.contents()["r.unprocessed.csv"].lines().count() as u64 - 1;
        assert_eq!(n_listed, n_unprocessed);
        run
    }

    fn set_len(path: &Path, len: u64) {
        fs::OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
    }

    #[test]
    fn rows_that_another_process_removed_do_not_count() {
        check_disturbed(|path| set_len(path, 0), 0, 3);
        check_disturbed(|path| set_len(path, 10), 0, 3);
        let run = check_disturbed(
            |path| {
                let text = fs::read_to_string(path).unwrap();
                set_len(path, (text.len() - text.lines().last().unwrap().len() - 1) as u64);
            },
            1,
            2,
        );
        assert_eq!(run.contents()["r.failed.csv"].lines().count(), 1, "its row is gone");
    }

    #[cfg(unix)]
    #[test]
    fn a_results_file_that_is_gone_or_another_one_has_no_rows() {
        let run = check_disturbed(|path| fs::remove_file(path).unwrap(), 0, 3);
        let roles: Vec<_> = run.manifest().files.into_iter().map(|it| it.role).collect();
        assert_eq!(roles, ["input", "failed", "unprocessed"], "there is no file to hash");
        check_disturbed(
            |path| {
                let text = fs::read_to_string(path).unwrap();
                fs::remove_file(path).unwrap();
                fs::write(path, text).unwrap();
            },
            0,
            3,
        );
    }

    #[test]
    fn a_foreign_line_is_an_error_and_the_rows_around_it_count() {
        let append = |path: &Path| {
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            file.write_all(b"not a row\n").unwrap();
        };
        let run = check_disturbed(append, 2, 1);
        assert_eq!(run.contents()["r.failed.csv"].lines().count(), 2);
    }

    #[test]
    fn a_copied_row_does_not_add_up() {
        let (run, finalized) = disturbed(|path| {
            let text = fs::read_to_string(path).unwrap();
            let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
            writeln!(file, "{}", text.lines().last().unwrap()).unwrap();
        });
        assert!(finalized.failure.is_none());
        assert!(!finalized.summary.adds_up());
        assert_eq!((run.manifest().rows, run.manifest().unprocessed), (3, 1));
    }

    #[cfg(unix)]
    #[test]
    fn one_file_that_cannot_be_written_does_not_cost_the_others() {
        for blocked in ["r.unprocessed.csv", "r.failed.csv", "r.manifest.json"] {
            let run = TestRun::new();
            let (outputs, mut writer) = run.create(Existing::Refuse, false).unwrap();
            TestRun::append(&mut writer);
            // A directory blocks the path.
            let _ = fs::remove_file(run.path(blocked));
            fs::create_dir(run.path(blocked)).unwrap();
            let finalized = run.finalize(outputs, writer);
            assert!(finalized.failure.unwrap().to_string().contains(blocked));
            for name in NAMES.into_iter().filter(|name| *name != blocked) {
                assert!(run.path(name).is_file(), "{name} beside {blocked}");
            }
            if blocked != "r.manifest.json" {
                assert_eq!(run.manifest().exit_code, Some(6));
            }
        }
    }

    #[test]
    fn a_report_is_added_to_the_manifest() {
        let run = TestRun::new();
        let (outputs, mut writer) = run.create(Existing::Refuse, false).unwrap();
        TestRun::append(&mut writer);
        let mut finalized = run.finalize(outputs, writer);
        finalized.add_report(Path::new("page.html"), "00".into()).unwrap();
        assert_eq!(run.manifest().files[4].role, "report");
        finalized.set_exit_code(6).unwrap();
        assert_eq!(run.manifest().exit_code, Some(6));
        assert_eq!(run.manifest().files.len(), 5);
    }
}
