//! Records rows: in the results file, and those that did not end well in `NAME.failed.csv` too.

use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::model::Row;

use super::error::{OpenError, Problem, WriteError};
use super::format::RowFormat;
use super::journal::{JournalFile, Storage, Stream};
use super::lines::LineWriter;
use super::resume::Resumed;
use super::sidecars::{FailedList, Sidecars};

/// What to do with an existing results file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Refuse to start; the file is unchanged.
    #[default]
    Refuse,
    /// Write the new file under a temporary name; [`Writer::commit_staged`] replaces the old one.
    Replace,
}

/// Records rows. The results file is locked as long as this value lives.
///
/// [`append`](Self::append) keeps rows in memory, [`commit`](Self::commit) writes all of them at
/// once. Until then they are not recorded, and nothing may be reported about them.
pub struct Writer {
    storage: Box<dyn Storage>,
    /// `None` for a stream.
    path: Option<PathBuf>,
    format: RowFormat,
    /// Length of the whole lines that the file holds, in bytes.
    n_bytes: u64,
    /// The hasher after those; `None` if it is not known.
    hasher: Option<Sha256>,
    /// Whether another process changed or replaced the file.
    pub(super) is_disturbed: bool,
    /// Lines that are not written yet, and where each of them ends.
    lines: LineWriter,
    ends: Vec<usize>,
    spare: Vec<u8>,
    /// `None` for a stream.
    pub(super) failed: Option<FailedList>,
    n_rows: u64,
    failure: Option<WriteError>,
}

impl Writer {
    /// Starts a results file for its owner alone, locked, with its header. `header` is that of the
    /// users' column in the input, if it has one.
    ///
    /// # Errors
    ///
    /// When the file exists and may not be replaced, when another run holds it, when it cannot be
    /// created or written. An existing file is unchanged then.
    pub fn create(
        path: &Path,
        existing: Existing,
        format: RowFormat,
        header: Option<&str>,
    ) -> Result<Self, OpenError> {
        let file = match existing {
            Existing::Refuse => JournalFile::create(path)?,
            Existing::Replace => JournalFile::stage(path)?,
        };
        let failed = FailedList::create(&Sidecars::beside(path).failed, header, &format.carried);
        let begun = failed.and_then(|failed| {
            let path = Some(path.to_owned());
            Self::new(Box::new(file), path, Some(Sha256::new()), format, Some(failed)).begin()
        });
        begun.map_err(|error| {
            if existing == Existing::Refuse {
                // It was just created and has no row.
                let _ = std::fs::remove_file(path);
            }
            error.into()
        })
    }

    /// Continues a file that [`resume`](super::resume) read: cuts off its torn end, and writes the
    /// header where it is missing.
    ///
    /// # Errors
    ///
    /// When the file cannot be cut or written.
    pub fn resume(resumed: Resumed, format: RowFormat) -> Result<Self, WriteError> {
        let Resumed { file, n_whole_bytes, hasher, failed, .. } = resumed;
        let path = Some(file.path.clone());
        let mut writer = Self::new(Box::new(file), path, hasher, format, Some(failed));
        let cut = writer.storage.truncate(n_whole_bytes);
        writer.check(cut.map_err(|error| Problem::of(&error)))?;
        writer.n_bytes = n_whole_bytes;
        if n_whole_bytes == 0 { writer.begin() } else { Ok(writer) }
    }

    /// Writes to a stream, such as standard output, beginning with the header.
    ///
    /// # Errors
    ///
    /// When the stream takes no bytes.
    pub fn stream(
        stream: impl Write + Send + 'static,
        format: RowFormat,
    ) -> Result<Self, WriteError> {
        Self::new(Box::new(Stream(stream)), None, None, format, None).begin()
    }

    fn new(
        storage: Box<dyn Storage>,
        path: Option<PathBuf>,
        hasher: Option<Sha256>,
        format: RowFormat,
        failed: Option<FailedList>,
    ) -> Self {
        Self {
            storage,
            path,
            format,
            n_bytes: 0,
            hasher,
            is_disturbed: false,
            lines: LineWriter::new(),
            ends: Vec::new(),
            spare: Vec::new(),
            failed,
            n_rows: 0,
            failure: None,
        }
    }

    /// Writes the header.
    fn begin(mut self) -> Result<Self, WriteError> {
        let end = self.format.write_header(&mut self.lines);
        self.ends.push(end);
        self.commit()?;
        self.n_rows = 0;
        self.sync()?;
        Ok(self)
    }

    /// Adds a row to those that the next commit writes. After a failure it does nothing: the next
    /// commit reports that.
    pub fn append(&mut self, row: &Row) {
        if self.failure.is_some() {
            return;
        }
        if let Some(failed) = &mut self.failed {
            failed.add(self.ends.len(), row);
        }
        self.ends.push(self.format.write_row(row, &mut self.lines));
    }

    /// Writes all appended rows at once. They are recorded when this returns.
    ///
    /// # Errors
    ///
    /// When not all of them could be written: the file is cut back to its last whole row, and
    /// [`n_rows`](Self::n_rows) includes those that it kept, the first ones. Every later call
    /// returns the same error.
    pub fn commit(&mut self) -> Result<(), WriteError> {
        self.check_failure()?;
        if self.ends.is_empty() {
            return Ok(());
        }
        let lines = self.lines.take(std::mem::take(&mut self.spare));
        let (n_lines, result) = self.write_lines(&lines);
        if let Some(failed) = &mut self.failed {
            failed.commit(n_lines);
        }
        self.n_rows += n_lines as u64;
        self.spare = lines;
        self.ends.clear();
        self.check(result)
    }

    /// Writes lines at once, and gives how many of them the file holds now: the first ones. After
    /// an error the file is cut back to its last whole line.
    fn write_lines(&mut self, lines: &[u8]) -> (usize, Result<(), Problem>) {
        if let Err(problem) = self.check_length() {
            return (0, Err(problem));
        }
        let (n_written, result) = write_fully(self.storage.as_mut(), lines);
        let n_lines = self.ends.partition_point(|&end| end <= n_written);
        let n_whole = self.ends[..n_lines].last().copied().unwrap_or(0);
        self.n_bytes += n_whole as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&lines[..n_whole]);
        }
        // If cutting fails too, a torn end remains, and resuming cuts it.
        if n_whole < n_written
            && self.storage.truncate(self.n_bytes).is_err()
            && self.path.is_some()
        {
            self.set_disturbed();
        }
        (n_lines, result.map_err(|error| Problem::of(&error)))
    }

    fn set_disturbed(&mut self) {
        (self.is_disturbed, self.hasher) = (true, None);
    }

    /// Checks that the file still holds everything that was written. Rows appended by another
    /// process are left for the accounting at the end; anything else would cost rows of this run.
    fn check_length(&mut self) -> Result<(), Problem> {
        let len = self.storage.len().map_err(|error| Problem::of(&error))?;
        let Some(len) = len.filter(|&len| len != self.n_bytes) else { return Ok(()) };
        self.set_disturbed();
        if len < self.n_bytes || !self.ends_with_line(len) {
            return Err(Problem::Changed);
        }
        self.n_bytes = len;
        Ok(())
    }

    fn ends_with_line(&mut self, len: u64) -> bool {
        let Some(file) = self.storage.file() else { return false };
        let mut last = [0];
        let read = file.bytes_from(len - 1).and_then(|mut it| it.read_exact(&mut last));
        read.and_then(|()| file.bytes_from(len)).is_ok() && last == *b"\n"
    }

    fn check_place_and_length(&mut self) -> Result<(), Problem> {
        if !self.storage.is_in_place() {
            self.set_disturbed();
            return Err(Problem::Removed);
        }
        self.check_length()
    }

    /// Checks that the file is still in its place and holds all recorded rows.
    ///
    /// # Errors
    ///
    /// When another process removed, replaced or truncated it.
    pub fn check_in_place(&mut self) -> Result<(), WriteError> {
        self.check_failure()?;
        let result = self.check_place_and_length();
        self.check(result)
    }

    /// Returns when all recorded rows would survive a power cut.
    ///
    /// # Errors
    ///
    /// When the disk refuses, or as [`check_in_place`](Self::check_in_place).
    pub fn sync(&mut self) -> Result<(), WriteError> {
        self.check_failure()?;
        let synced = self.storage.sync().map_err(|error| Problem::of(&error));
        let result = synced.and_then(|()| self.check_place_and_length());
        self.check(result)
    }

    /// Number of rows that this writer recorded, without those of an earlier run.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Why rows can no longer be recorded.
    pub fn failure(&self) -> Option<&WriteError> {
        self.failure.as_ref()
    }

    /// Gives a file that [`Existing::Replace`] started its name, in place of the older one.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed.
    pub fn commit_staged(&mut self) -> Result<(), WriteError> {
        let result = self.storage.file().map_or(Ok(()), JournalFile::commit);
        self.check(result.map_err(|error| Problem::of(&error)))
    }

    /// Writes the list of rows that did not end well, as far as it goes.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn publish_failed(&mut self) -> Result<(), WriteError> {
        self.failed.as_mut().map_or(Ok(()), |failed| failed.publish().map(drop))
    }

    /// Commits, syncs and checks for the last time. A failure is kept in the writer.
    pub(super) fn close(&mut self) {
        let _ = self.commit().and_then(|()| self.sync());
    }

    /// The results file, if it is still in its place.
    pub(super) fn file(&mut self) -> Option<&JournalFile> {
        self.storage.file().filter(|file| file.is_in_place()).map(|file| &*file)
    }

    /// The digest of the file; `None` if it is not known.
    pub(super) fn take_digest(&mut self) -> Option<String> {
        self.hasher.take().map(|hasher| hex::encode(hasher.finalize()))
    }

    fn check_failure(&self) -> Result<(), WriteError> {
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn check(&mut self, result: Result<(), Problem>) -> Result<(), WriteError> {
        result.map_err(|problem| {
            let error = WriteError::of(self.path.clone(), problem);
            self.failure = Some(error.clone());
            error
        })
    }
}

/// Writes all bytes, or as many as possible; gives how many.
fn write_fully(storage: &mut dyn Storage, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut n_written = 0;
    while n_written < bytes.len() {
        match storage.write(&bytes[n_written..]) {
            Ok(0) => return (n_written, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => n_written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (n_written, Err(error)),
        }
    }
    (n_written, Ok(()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::{Arc, Mutex};

    use super::super::resume;
    use super::super::testing::{row, unlocked};
    use super::super::{Reader, refuse_existing};
    use super::*;
    use crate::model::{Outcome, Records, UserId};

    impl Writer {
        /// On a disk of a test.
        pub(in crate::results) fn on_storage(
            storage: Box<dyn Storage>,
            path: Option<PathBuf>,
        ) -> Result<Self, WriteError> {
            Self::new(storage, path, Some(Sha256::new()), RowFormat::default(), None).begin()
        }
    }

    /// A disk of limited size.
    #[derive(Clone, Default)]
    struct SmallDisk {
        bytes: Arc<Mutex<Vec<u8>>>,
        room: Arc<Mutex<usize>>,
        /// The most bytes that one write takes.
        max_write: usize,
        can_cut: Arc<Mutex<bool>>,
        is_gone: Arc<Mutex<bool>>,
        /// How many of the bytes would survive a power cut.
        n_safe: Arc<Mutex<usize>>,
    }

    impl SmallDisk {
        fn new(room: usize) -> Self {
            let can_cut = Arc::new(Mutex::new(true));
            Self { room: Arc::new(Mutex::new(room)), max_write: 7, can_cut, ..Self::default() }
        }

        fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
        }
    }

    impl Storage for SmallDisk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.bytes.lock().unwrap();
            let left = *self.room.lock().unwrap() - disk.len();
            if left == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let n = bytes.len().min(left).min(self.max_write);
            disk.extend_from_slice(&bytes[..n]);
            Ok(n)
        }

        fn truncate(&mut self, len: u64) -> io::Result<()> {
            if !*self.can_cut.lock().unwrap() {
                return Err(io::ErrorKind::Other.into());
            }
            self.bytes.lock().unwrap().truncate(usize::try_from(len).unwrap());
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            *self.n_safe.lock().unwrap() = self.bytes.lock().unwrap().len();
            Ok(())
        }

        fn len(&self) -> io::Result<Option<u64>> {
            Ok(Some(self.bytes.lock().unwrap().len() as u64))
        }

        fn is_in_place(&self) -> bool {
            !*self.is_gone.lock().unwrap()
        }
    }

    fn on(disk: &SmallDisk) -> Result<Writer, WriteError> {
        Writer::on_storage(Box::new(disk.clone()), Some("r.csv".into()))
    }

    fn append(writer: &mut Writer, user: &str) {
        writer.append(&unlocked(user));
    }

    fn whole(n_rows: usize) -> String {
        let disk = SmallDisk::new(usize::MAX);
        let mut writer = on(&disk).unwrap();
        (0..n_rows).for_each(|n| append(&mut writer, &format!("user_{n}")));
        writer.commit().unwrap();
        disk.text()
    }

    fn users(path: &Path) -> Vec<UserId> {
        Reader::open(path).unwrap().map(|row| row.unwrap().user_id.unwrap()).collect()
    }

    #[test]
    fn a_row_is_not_written_before_the_commit() {
        let disk = SmallDisk::new(usize::MAX);
        let mut writer = on(&disk).unwrap();
        append(&mut writer, "user_0");
        assert_eq!((disk.text(), writer.n_rows()), (whole(0), 0));
        writer.commit().unwrap();
        assert_eq!((disk.text(), writer.n_rows()), (whole(1), 1));
    }

    #[test]
    fn committed_rows_survive_a_power_cut_once_they_are_synced() {
        let disk = SmallDisk::new(usize::MAX);
        let n_safe = || *disk.n_safe.lock().unwrap();
        let mut writer = on(&disk).unwrap();
        append(&mut writer, "user_0");
        writer.commit().unwrap();
        assert_eq!(n_safe(), whole(0).len());
        writer.sync().unwrap();
        assert_eq!(n_safe(), whole(1).len());
        append(&mut writer, "user_1");
        writer.close();
        assert_eq!(n_safe(), whole(2).len());
    }

    #[test]
    fn a_disk_full_at_any_byte_keeps_whole_rows_and_counts_them() {
        let all = whole(3);
        for room in whole(0).len()..all.len() {
            let disk = SmallDisk::new(room);
            let mut writer = on(&disk).unwrap();
            (0..3).for_each(|n| append(&mut writer, &format!("user_{n}")));
            let error = writer.commit().unwrap_err();
            assert_eq!(error.problem, Problem::DiskFull, "room for {room}");
            let n_rows = usize::try_from(writer.n_rows()).unwrap();
            assert_eq!(disk.text(), whole(n_rows), "room for {room}");
            assert!(n_rows == 2 || whole(n_rows + 1).len() > room, "room for {room}");
            writer.close();
            assert_eq!((writer.failure(), writer.n_rows()), (Some(&error), n_rows as u64));
            assert!(!writer.is_disturbed);
            let sha256 = super::super::files::sha256(disk.text().as_bytes()).ok();
            assert_eq!(writer.take_digest(), sha256, "room for {room}");
        }
    }

    #[test]
    fn after_a_failure_every_call_gives_the_same_error_and_writes_nothing() {
        let disk = SmallDisk::new(whole(1).len() + 3);
        let mut writer = on(&disk).unwrap();
        append(&mut writer, "user_0");
        append(&mut writer, "user_1");
        let error = writer.commit().unwrap_err();
        *disk.room.lock().unwrap() = usize::MAX;
        append(&mut writer, "user_2");
        assert_eq!(writer.commit(), Err(error.clone()));
        assert_eq!(writer.sync(), Err(error.clone()));
        writer.close();
        assert_eq!(writer.failure(), Some(&error));
        assert_eq!(disk.text(), whole(1));
    }

    #[test]
    fn a_file_that_cannot_be_cut_keeps_a_torn_end_that_counts_as_no_row() {
        let disk = SmallDisk::new(usize::MAX);
        let mut writer = on(&disk).unwrap();
        *disk.can_cut.lock().unwrap() = false;
        *disk.room.lock().unwrap() = whole(1).len() + 3;
        append(&mut writer, "user_0");
        append(&mut writer, "user_1");
        writer.commit().unwrap_err();
        assert_eq!((disk.text().len(), writer.n_rows()), (whole(1).len() + 3, 1));
        writer.close();
        assert!(writer.is_disturbed, "the file must be read again");
    }

    #[test]
    fn a_header_that_does_not_fit_is_an_error() {
        let disk = SmallDisk::new(10);
        assert_eq!(on(&disk).err().unwrap().problem, Problem::DiskFull);
        assert_eq!(disk.text(), "");
    }

    #[test]
    fn a_file_that_is_no_longer_in_its_place_is_noticed() {
        let disk = SmallDisk::new(usize::MAX);
        let mut writer = on(&disk).unwrap();
        writer.check_in_place().unwrap();
        *disk.is_gone.lock().unwrap() = true;
        assert_eq!(writer.check_in_place().unwrap_err().problem, Problem::Removed);
    }

    #[test]
    fn a_file_that_shrinks_takes_no_further_row() {
        let disk = SmallDisk::new(usize::MAX);
        let mut writer = on(&disk).unwrap();
        append(&mut writer, "user_0");
        writer.commit().unwrap();
        disk.bytes.lock().unwrap().truncate(whole(0).len());
        append(&mut writer, "user_1");
        assert_eq!(writer.commit().unwrap_err().problem, Problem::Changed);
        assert_eq!((disk.text(), writer.n_rows()), (whole(0), 1));
        writer.close();
        assert!(writer.is_disturbed);
    }

    fn create(path: &Path, existing: Existing) -> Result<Writer, OpenError> {
        Writer::create(path, existing, RowFormat::default(), None)
    }

    #[test]
    fn rows_appended_by_another_process_are_left_for_the_accounting() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut writer = create(&path, Existing::Refuse).unwrap();
        append(&mut writer, "user_0");
        writer.commit().unwrap();
        let foreign = |bytes: &[u8]| {
            let mut file = fs::OpenOptions::new().append(true).open(&path).unwrap();
            file.write_all(bytes).unwrap();
        };
        foreign(b"a line\n");
        append(&mut writer, "user_1");
        writer.commit().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\na line\n2,user_1,"), "{text}");
        foreign(b"half a line");
        append(&mut writer, "user_2");
        assert_eq!(writer.commit().unwrap_err().problem, Problem::Changed);
        assert_eq!(writer.n_rows(), 2, "a row behind half a line would be lost");
    }

    #[test]
    fn a_file_and_its_failed_rows_are_written() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut writer = create(&path, Existing::Refuse).unwrap();
        append(&mut writer, "user_0");
        writer.append(&row(3, "user_1", Outcome::Invalid));
        writer.commit().unwrap();
        writer.publish_failed().unwrap();
        let failed = || fs::read_to_string(dir.path().join("r.failed.csv")).unwrap();
        assert_eq!(failed().lines().nth(1), Some("user_1,3,invalid,,"));
        writer.append(&row(4, "user_2", Outcome::NotFound));
        writer.close();
        assert_eq!(failed().lines().count(), 2);
        writer.failed.take().unwrap().finish().unwrap();
        assert_eq!(failed().lines().count(), 3);
        assert_eq!(Reader::open(&path).unwrap().count(), 3);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_alone_even_if_the_old_one_was_not() {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        let dir = tempfile::tempdir().unwrap();
        let (new, old) = (dir.path().join("new.csv"), dir.path().join("old.csv"));
        fs::write(&old, "old").unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
        let _new = create(&new, Existing::Refuse).unwrap();
        create(&old, Existing::Replace).unwrap().commit_staged().unwrap();
        assert_eq!((mode(&new), mode(&old)), (0o600, 0o600));
    }

    #[test]
    fn an_existing_file_is_replaced_only_by_a_commit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        fs::write(&path, "earlier").unwrap();
        let error = create(&path, Existing::Refuse).err().unwrap();
        assert!(matches!(error, OpenError::Exists { .. }), "{error}");
        let mut writer = create(&path, Existing::Replace).unwrap();
        append(&mut writer, "user_0");
        writer.commit().and_then(|()| writer.sync()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "earlier");
        drop(writer);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "refused, it leaves no trace");
        let mut writer = create(&path, Existing::Replace).unwrap();
        writer.commit_staged().unwrap();
        append(&mut writer, "user_0");
        writer.commit().and_then(|()| writer.sync()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole(1));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_remains_and_the_file_that_it_leads_to_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let (link, real) = (dir.path().join("link.csv"), dir.path().join("real.csv"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut writer = create(&link, Existing::Replace).unwrap();
        writer.commit_staged().unwrap();
        writer.check_in_place().unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&real).unwrap(), whole(0));
    }

    /// Two runs that both find no file: the second must not replace that of the first.
    #[test]
    fn a_file_that_appears_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut writer = create(&path, Existing::Replace).unwrap();
        fs::write(&path, "earlier").unwrap();
        assert!(writer.commit_staged().is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "earlier");
    }

    #[test]
    fn a_file_in_use_is_refused_and_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let check_in_use = || {
            for existing in [Existing::Refuse, Existing::Replace] {
                let error = create(&path, existing).err().unwrap();
                assert!(matches!(error, OpenError::InUse { .. }), "{existing:?}: {error}");
            }
            let error = resume(&path, &Records::default()).err().unwrap();
            assert!(matches!(error, OpenError::InUse { .. }), "{error}");
            let error = refuse_existing(&path).unwrap_err();
            assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        };
        let mut writer = create(&path, Existing::Refuse).unwrap();
        append(&mut writer, "user_0");
        writer.commit().unwrap();
        check_in_use();
        writer.close();
        check_in_use();
        drop(writer);
        let staged = create(&path, Existing::Replace).unwrap();
        // The file that it may replace is held, too.
        check_in_use();
        drop(staged);
        assert!(resume(&path, &Records::default()).unwrap().is_some());
        assert_eq!(users(&path).len(), 1);
    }

    #[test]
    fn a_directory_or_a_device_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for existing in [Existing::Refuse, Existing::Replace] {
            for path in [dir.path(), Path::new("/dev/full")] {
                if path.exists() {
                    let error = create(path, existing).err().unwrap();
                    assert!(matches!(error, OpenError::NotAFile { .. }), "{existing:?}: {error}");
                }
            }
        }
    }

    #[test]
    fn a_directory_that_does_not_exist_is_an_error() {
        let error = create(Path::new("no/such/dir/r.csv"), Existing::Refuse).err().unwrap();
        insta::assert_snapshot!(error, @"cannot open no/such/dir/r.csv for writing: its directory does not exist");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_removed_or_replaced_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.csv");
        let mut writer = create(&path, Existing::Refuse).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another").unwrap();
        assert_eq!(writer.sync().unwrap_err().problem, Problem::Removed);
    }

    struct ClosedPipe;

    impl Write for ClosedPipe {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_a_broken_pipe_error() {
        let error = Writer::stream(ClosedPipe, RowFormat::default()).err().unwrap();
        assert_eq!(error, WriteError::of(None, Problem::BrokenPipe));
    }

    #[test]
    fn a_stream_gets_the_same_bytes_as_a_file() {
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let mut writer = Writer::stream(Shared(Arc::clone(&bytes)), RowFormat::default()).unwrap();
        append(&mut writer, "user_0");
        writer.close();
        assert!(writer.failed.is_none());
        assert_eq!(String::from_utf8(bytes.lock().unwrap().clone()).unwrap(), whole(1));
    }
}
