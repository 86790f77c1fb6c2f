//! Reads back what an earlier run recorded, so that another can continue it.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, Hash, RandomState};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};

use crate::model::{Outcome, Records, Row, one_line};
use crate::policy::plan::Done;
use crate::stats::RowStats;
use crate::stats::summary::CommandKind;

use super::error::{OpenError, ReadError, WriteError};
use super::files::HashThread;
use super::format::{COLUMNS, kind_of_outcome};
use super::journal::{JournalFile, Storage as _, for_writing};
use super::manifest::Manifest;
use super::reader::Reader;
use super::sidecars::{FailedList, Sidecars};

/// An existing results file, read and locked; nothing in it is changed yet.
pub struct Resumed {
    /// What is recorded.
    pub done: Done,
    /// Statistics of the rows.
    pub rows: RowStats,
    /// When the latest unlock requests were answered, and the number of requests of each row;
    /// oldest first.
    pub latest_calls: VecDeque<(SystemTime, u32)>,
    /// Length of the torn end that will be cut off, in bytes.
    pub n_torn_bytes: u64,
    /// Where that end will be kept, if it is more than one torn row: whole rows may follow a hole
    /// that a power cut left.
    pub cut_path: Option<PathBuf>,
    pub(super) file: JournalFile,
    pub(super) n_whole_bytes: u64,
    /// The hasher after the whole lines; `None` if it failed.
    pub(super) hasher: Option<Sha256>,
    pub(super) failed: FailedList,
}

impl Resumed {
    /// The command that wrote the rows, if they show it. The manifest is more reliable.
    pub fn kind(&self) -> Option<CommandKind> {
        self.rows.counts.iter().find_map(|(outcome, _)| kind_of_outcome(outcome))
    }

    fn torn_end(&self) -> io::Result<Vec<u8>> {
        let mut torn = Vec::new();
        if self.n_torn_bytes > 0 {
            self.file.bytes_from(self.n_whole_bytes)?.read_to_end(&mut torn)?;
        }
        Ok(torn)
    }

    /// Copies the torn end to [`cut_path`](Self::cut_path).
    pub(super) fn keep_cut(&self) -> Result<(), WriteError> {
        let Some(path) = &self.cut_path else { return Ok(()) };
        let keep = || for_writing().create(true).open(path)?.write_all(&self.torn_end()?);
        keep().map_err(|error| WriteError::new(path, &error))
    }
}

/// Locks and reads an existing results file; `None` if it does not exist. A file that was cut off
/// before its first row is continued as if it were new. `records` is the input.
///
/// # Errors
///
/// When another run holds the file, when it is not a results file of this program or cannot be
/// read, and when its columns are not those that this run would write.
pub fn resume(path: &Path, records: &Records) -> Result<Option<Resumed>, OpenError> {
    let Some(file) = JournalFile::open(path)? else { return Ok(None) };
    let failed = &Sidecars::beside(path).failed;
    let failed = FailedList::create(failed, records.header.as_deref(), &records.carried)?;
    let mut resumed = Resumed {
        done: Done::default(),
        rows: RowStats::default(),
        latest_calls: VecDeque::new(),
        n_torn_bytes: 0,
        cut_path: None,
        file,
        n_whole_bytes: 0,
        hasher: Some(Sha256::new()),
        failed,
    };
    resumed.read(records)?;
    if resumed.torn_end().is_ok_and(|torn| torn.contains(&b'\n')) {
        let mut cut = path.as_os_str().to_owned();
        cut.push(".cut");
        resumed.cut_path = Some(cut.into());
    }
    Ok(Some(resumed))
}

impl Resumed {
    fn read(&mut self, records: &Records) -> Result<(), OpenError> {
        let Self { file, done, rows, failed, latest_calls, .. } = self;
        let mut reader = match file.reader() {
            Ok(reader) if reader.n_whole_bytes() > 0 => reader.without_users(),
            // The header is torn.
            Ok(_) | Err(ReadError::NoHeader { .. }) => {
                self.n_torn_bytes = file.len().ok().flatten().unwrap_or(0);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        check_columns(&reader, &records.carried, &file.path)?;
        let mut hash_thread = HashThread::start();
        hash_thread.update(&reader.lines.bytes);
        let (hasher, mut identities) = (RandomState::new(), Vec::new());
        while let Some(row) = reader.next().transpose()? {
            identities.push(hasher.hash_one(identity_of(&row)));
            hash_thread.update(&reader.lines.bytes);
            rows.add(&row);
            failed.add_recorded(&row);
            if let Some(call) = requests_of(&row) {
                if latest_calls.len() == MAX_CALLS {
                    latest_calls.pop_front();
                }
                latest_calls.push_back(call);
            }
            done.note(records, row.line, &row.input, row.user_id.as_ref(), row.outcome);
            let message = row.error_message.as_deref();
            if let Some(message) = message.filter(|_| row.outcome == Outcome::Excluded) {
                done.note_exclusion(message);
            }
        }
        failed.commit(1);
        if has_copies(identities) {
            check_copies(file, &hasher)?;
        }
        self.hasher = hash_thread.finish();
        (self.n_whole_bytes, self.n_torn_bytes) = (reader.n_whole_bytes(), reader.n_torn_bytes());
        Ok(())
    }
}

fn check_columns(reader: &Reader<&File>, carried: &[String], path: &Path) -> Result<(), OpenError> {
    let (header, path) = (&reader.header, path.to_owned());
    if header.delimiter != b',' {
        return Err(OpenError::Resaved(path));
    }
    if let Some(column) = header.unknown.first() {
        return Err(OpenError::OtherVersion {
            path,
            version: "a later version",
            column: column.clone(),
        });
    }
    if !header.has_was_locked {
        let column = COLUMNS[COLUMNS.len() - 1].to_owned();
        return Err(OpenError::OtherVersion { path, version: "an earlier version", column });
    }
    // The header is written on one line.
    if header.carried.iter().map(String::as_str).eq(carried.iter().map(|it| one_line(it))) {
        return Ok(());
    }
    let (recorded, asked) = (header.carried.clone(), carried.to_vec());
    Err(OpenError::OtherCarried { path, recorded, asked })
}

/// Sorted, copies are neighbors: several times faster than a set, and without its memory.
fn has_copies(mut identities: Vec<u64>) -> bool {
    identities.sort_unstable();
    identities.windows(2).any(|pair| pair[0] == pair[1])
}

/// Refuses the first row that is a copy of an earlier one: it would be counted twice.
fn check_copies(file: &JournalFile, hasher: &RandomState) -> Result<(), ReadError> {
    let mut reader = file.reader()?.without_users();
    let mut seen = HashSet::new();
    while let Some(row) = reader.next().transpose()? {
        if !seen.insert(hasher.hash_one(identity_of(&row))) {
            let (path, line) = (file.path.clone(), reader.lines.n_lines);
            let why = "this row is already in the file; remove one of the two".to_owned();
            return Err(ReadError::BadRow { path, line, why });
        }
    }
    Ok(())
}

/// What only a copy of a row shares with it. Rows of two runs have different times. Those of one run
/// have different lines, or, where its input was put together from several files, different cells.
fn identity_of(row: &Row) -> impl Hash {
    (row.line, Arc::clone(&row.input), row.finished_at, row.outcome, row.attempts, row.duration)
}

/// More rows than any quota lets through in a window.
const MAX_CALLS: usize = 10_000;

/// The number of requests of a row, counted at the time of the last response. Look-ups are left out:
/// one look-up serves a hundred rows.
fn requests_of(row: &Row) -> Option<(SystemTime, u32)> {
    let has_own_request = match row.outcome {
        Outcome::Unlocked | Outcome::StillLocked | Outcome::Failed | Outcome::Rejected => true,
        Outcome::NotFound => row.http_status == Some(404),
        _ => false,
    };
    row.finished_at.filter(|_| has_own_request).map(|at| (at, row.attempts))
}

/// Why a results file is not complete. `--resume` finishes its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// A crash tore its last row, so it can only be read by this module.
    Torn,
    /// Its run was killed, or is still running.
    Running,
    /// Its run left this many records without a row.
    Unprocessed(u64),
}

impl Unfinished {
    /// Checks a results file and its manifest; `None` when nothing shows that it is not complete.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn check(results: &Path, manifest: Option<&Manifest>) -> Result<Option<Self>, ReadError> {
        let is_torn = || {
            let mut file = File::open(results)?;
            let mut last = [b'\n'];
            if file.metadata()?.is_file() && file.seek(SeekFrom::End(0))? > 0 {
                file.seek(SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
            }
            Ok(last != *b"\n")
        };
        let is_torn =
            is_torn().map_err(|reason| ReadError::Io { path: results.to_owned(), reason })?;
        Ok(match manifest {
            _ if is_torn => Some(Self::Torn),
            Some(manifest) if manifest.ending == Manifest::RUNNING => Some(Self::Running),
            Some(manifest) if manifest.unprocessed > 0 => {
                Some(Self::Unprocessed(manifest.unprocessed))
            }
            _ => None,
        })
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Torn => f.write_str("a crash tore its last row"),
            Self::Running => f.write_str("its run was killed or is still running"),
            Self::Unprocessed(1) => f.write_str("its run left 1 record unprocessed"),
            Self::Unprocessed(n) => write!(f, "its run left {n} records unprocessed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::exclude::ExcludeList;
    use std::fs;

    use super::super::testing::{carrying, moment, record, row, unlocked};
    use super::super::{Existing, RowFormat, Writer, sha256_file};
    use super::*;

    fn resume(path: &Path) -> Result<Option<Resumed>, OpenError> {
        super::resume(path, &Records::default())
    }

    fn of(outcome: Outcome, input: &str, user: Option<&str>) -> Row {
        Row { user_id: user.map(|it| it.parse().unwrap()), ..row(2, input, outcome) }
    }

    fn rows() -> Vec<Row> {
        let mut rows = vec![
            unlocked("user_a"),
            of(Outcome::Duplicate, "user_a", Some("user_a")),
            of(Outcome::Duplicate, "user_a", Some("user_a")),
            of(Outcome::Invalid, "bad", None),
            of(Outcome::Invalid, "bad", None),
            of(Outcome::Failed, "b@x.org", Some("user_b")),
            of(Outcome::NotFound, "=c@x.org", None),
        ];
        (2..).zip(&mut rows).for_each(|(line, row)| row.line = line);
        rows
    }

    fn file(dir: &tempfile::TempDir, rows: &[Row]) -> PathBuf {
        let path = dir.path().join("r.csv");
        let format = RowFormat::default();
        let mut writer = Writer::create(&path, Existing::Replace, format, None).unwrap();
        writer.commit_staged().unwrap();
        for row in rows {
            writer.append(row);
        }
        writer.close();
        assert_eq!(writer.failure(), None);
        path
    }

    #[test]
    fn recorded_records_are_known_by_their_user_or_else_by_their_cell() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records {
            records: ["user_a", "user_a", "user_b", "bad"].map(|cell| record(2, cell, &[])).into(),
            ..Records::default()
        };
        let resumed = super::resume(&file(&dir, &rows()), &records).unwrap().unwrap();
        let done = resumed.done.clone();
        let plan =
            crate::policy::plan::Plan::build(&records, &ExcludeList::default(), done, moment(0));
        assert_eq!(plan.recorded, [0, 1, 2, 3]);
        assert_eq!(resumed.done.n_rows(), 7);
        assert_eq!(resumed.rows.counts.total(), 7);
        assert_eq!(resumed.rows.counts.get(Outcome::Duplicate), 2);
    }

    #[test]
    fn a_file_torn_at_any_byte_is_continued_as_if_it_were_not() {
        let dir = tempfile::tempdir().unwrap();
        let rows = rows();
        let path = file(&dir, &rows);
        let whole = fs::read(&path).unwrap();
        let sha256 = sha256_file(&path).unwrap();
        for end in 0..=whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let resumed = resume(&path).unwrap().unwrap();
            assert_eq!(fs::read(&path).unwrap().len(), end, "nothing is changed yet");
            let n_done = usize::try_from(resumed.done.n_rows()).unwrap();
            let n_kept = whole[..end].iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1);
            assert_eq!(resumed.n_torn_bytes, (end - n_kept) as u64, "cut at {end}");
            assert_eq!(resumed.cut_path, None);
            let mut writer = Writer::resume(resumed, RowFormat::default()).unwrap();
            rows.iter().skip(n_done).for_each(|row| writer.append(row));
            writer.close();
            assert_eq!(fs::read(&path).unwrap(), whole, "cut at {end}");
            assert_eq!(writer.take_digest().as_ref(), Some(&sha256), "cut at {end}");
            if end % 20 == 0 {
                writer.failed.take().unwrap().finish().unwrap();
                let failed = fs::read_to_string(dir.path().join("r.failed.csv")).unwrap();
                assert_eq!(failed.lines().count(), 1 + 4, "cut at {end}");
            }
        }
    }

    #[test]
    fn rows_after_a_hole_left_by_a_power_cut_are_cut_off_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &rows());
        let whole = fs::read(&path).unwrap();
        fs::write(&path, [&whole[..], b"3,user_\0\0\0\0\n4,user_d,user_d\n"].concat()).unwrap();
        let resumed = resume(&path).unwrap().unwrap();
        assert_eq!((resumed.done.n_rows(), resumed.n_torn_bytes), (7, 28));
        let kept = dir.path().join("r.csv.cut");
        assert_eq!(resumed.cut_path.as_ref(), Some(&kept));
        resumed.keep_cut().unwrap();
        Writer::resume(resumed, RowFormat::default()).unwrap();
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert_eq!(fs::read(kept).unwrap(), b"3,user_\0\0\0\0\n4,user_d,user_d\n");
    }

    #[test]
    fn a_missing_file_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(resume(&dir.path().join("r.csv")).unwrap().is_none());
    }

    #[test]
    fn another_kind_of_file_is_refused_and_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        for text in ["user_a\nuser_b\n", "user_a", "line,input,id\n", "\0\0\0"] {
            fs::write(&path, text).unwrap();
            let error = resume(&path).err().unwrap();
            let is_right = matches!(error, OpenError::Read(ReadError::NotResults { .. }));
            assert!(is_right, "{text}: {error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }

    #[test]
    fn a_line_that_is_not_a_row_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &rows());
        let text = fs::read_to_string(&path).unwrap().replace("bad,,invalid", "bad,,dreadful");
        fs::write(&path, text).unwrap();
        let error = resume(&path).err().unwrap();
        assert!(matches!(error, OpenError::Read(ReadError::BadRow { line: 5, .. })), "{error}");
    }

    /// A retry of the results of two runs, put together, has two rows with the line of each.
    #[test]
    fn rows_of_different_users_on_one_line_are_not_copies() {
        let dir = tempfile::tempdir().unwrap();
        let rows = ["user_a", "user_b"].map(|user| of(Outcome::Excluded, user, Some(user)));
        assert_eq!(resume(&file(&dir, &rows)).unwrap().unwrap().done.n_rows(), 2);
    }

    #[test]
    fn a_torn_header_in_quotes_is_not_hashed() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &[]);
        let header = fs::read_to_string(&path).unwrap();
        let quoted = header.trim_end().split(',').map(|name| format!("\"{name}\""));
        fs::write(&path, quoted.collect::<Vec<_>>().join(",")).unwrap();
        let resumed = resume(&path).unwrap().unwrap();
        let mut writer = Writer::resume(resumed, RowFormat::default()).unwrap();
        writer.close();
        assert_eq!(fs::read_to_string(&path).unwrap(), header);
        assert_eq!(writer.take_digest(), sha256_file(&path).ok());
    }

    /// A copied row would be counted twice.
    #[test]
    fn a_copied_row_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &rows());
        let text = fs::read_to_string(&path).unwrap();
        let copied = text.lines().nth(1).unwrap();
        fs::write(&path, format!("{text}{copied}\n")).unwrap();
        let error = resume(&path).err().unwrap();
        assert!(matches!(error, OpenError::Read(ReadError::BadRow { line: 9, .. })), "{error}");
    }

    #[test]
    fn carried_columns_must_be_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        drop(Writer::create(&path, Existing::Refuse, carrying(), None).unwrap());
        let with = |names: &[&str]| {
            let carried = names.iter().map(|&it| it.to_owned()).collect();
            let records = Records { carried, ..Records::default() };
            super::resume(&path, &records).map(|it| it.is_some()).map_err(|error| match error {
                OpenError::OtherCarried { recorded, asked, .. } => {
                    (recorded.join(" "), asked.join(" "))
                }
                error => panic!("{error}"),
            })
        };
        assert_eq!(with(&["team", "ticket"]), Ok(true));
        assert_eq!(with(&["ticket", "team"]), Err(("team ticket".into(), "ticket team".into())));
        assert_eq!(with(&[]), Err(("team ticket".into(), String::new())));
    }

    #[test]
    fn a_file_of_another_version_or_another_program_is_not_continued() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &[]);
        let header = fs::read_to_string(&path).unwrap();
        let refused = |header: String| {
            fs::write(&path, header).unwrap();
            resume(&path).err().unwrap().to_string()
        };
        let later = refused(header.replace(",was_locked\n", ",was_locked,mood\n"));
        assert!(later.contains("a later version of this program (the column mood)"), "{later}");
        let earlier = refused(header.replace(",was_locked\n", "\n"));
        assert!(earlier.contains("an earlier version"), "{earlier}");
        let resaved = refused(header.replace(',', ";"));
        assert!(resaved.contains("another delimiter"), "{resaved}");
    }

    #[test]
    fn rows_show_which_command_wrote_them() {
        let dir = tempfile::tempdir().unwrap();
        let kind = |outcomes: &[Outcome]| {
            let rows: Vec<_> =
                outcomes.iter().map(|&it| of(it, "user_a", Some("user_a"))).collect();
            resume(&file(&dir, &rows)).unwrap().unwrap().kind()
        };
        assert_eq!(kind(&[Outcome::Invalid, Outcome::WouldUnlock]), Some(CommandKind::Plan));
        assert_eq!(kind(&[Outcome::Failed, Outcome::Unlocked]), Some(CommandKind::Run));
        assert_eq!(kind(&[Outcome::Gone]), Some(CommandKind::Verify));
        assert_eq!(kind(&[Outcome::Failed, Outcome::AlreadyUnlocked]), None);
        assert_eq!(kind(&[]), None);
    }

    #[test]
    fn a_file_whose_last_line_is_cut_off_is_unfinished() {
        let dir = tempfile::tempdir().unwrap();
        let path = file(&dir, &rows());
        assert_eq!(Unfinished::check(&path, None).unwrap(), None);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        assert_eq!(Unfinished::check(&path, None).unwrap(), Some(Unfinished::Torn));
        fs::write(&path, "").unwrap();
        assert_eq!(Unfinished::check(&path, None).unwrap(), None);
        assert!(Unfinished::check(&dir.path().join("none.csv"), None).is_err());
    }
}
