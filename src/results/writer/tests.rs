use std::fs;
use std::sync::{Arc, Mutex};

use crate::model::UserId;

use super::super::format::tests::{record, unlocked};
use super::super::reader::Reader;
use super::*;

/// A disk with so much room.
#[derive(Clone, Default)]
struct SmallDisk {
    bytes: Arc<Mutex<Vec<u8>>>,
    room: Arc<Mutex<usize>>,
    /// The disk takes no more than this many bytes at a time.
    mouthful: usize,
    can_cut: bool,
    is_gone: Arc<Mutex<bool>>,
    /// How many of the bytes would survive a power cut.
    n_safe: Arc<Mutex<usize>>,
}

impl SmallDisk {
    fn new(room: usize) -> Self {
        Self { room: Arc::new(Mutex::new(room)), mouthful: 7, can_cut: true, ..Self::default() }
    }

    fn text(&self) -> String {
        String::from_utf8(self.bytes.lock().unwrap().clone()).unwrap()
    }
}

impl Sink for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut disk = self.bytes.lock().unwrap();
        let left = *self.room.lock().unwrap() - disk.len();
        if left == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = bytes.len().min(left).min(self.mouthful);
        disk.extend_from_slice(&bytes[..n]);
        Ok(n)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        if !self.can_cut {
            return Err(io::ErrorKind::Other.into());
        }
        self.bytes.lock().unwrap().truncate(usize::try_from(len).unwrap());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        *self.n_safe.lock().unwrap() = self.bytes.lock().unwrap().len();
        Ok(())
    }

    fn is_in_place(&self) -> bool {
        !*self.is_gone.lock().unwrap()
    }
}

impl Writer {
    /// Over a sink of a test's own.
    pub(crate) fn on_sink(sink: Box<dyn Sink>) -> Self {
        Self::begin(sink, None, RowFormat::default(), 0).map_err(|(error, _)| error).unwrap()
    }
}

fn on(disk: &SmallDisk) -> Result<Writer, WriteError> {
    let sink = Box::new(disk.clone());
    Writer::begin(sink, Some("r.csv".into()), RowFormat::default(), 0).map_err(|(error, _)| error)
}

fn append(writer: &mut Writer, user: &str) {
    writer.append(&record(2, user, &[]), &unlocked(user));
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
fn a_committed_row_survives_a_power_cut_from_the_sync_on_and_at_the_latest_from_the_end_on() {
    let disk = SmallDisk::new(usize::MAX);
    let n_safe = || *disk.n_safe.lock().unwrap();
    let mut writer = on(&disk).unwrap();
    append(&mut writer, "user_0");
    writer.commit().unwrap();
    assert_eq!(n_safe(), whole(0).len());
    writer.sync().unwrap();
    assert_eq!(n_safe(), whole(1).len());
    append(&mut writer, "user_1");
    writer.finish().unwrap();
    assert_eq!(n_safe(), whole(2).len());
}

#[test]
fn a_disk_that_fills_up_at_any_byte_keeps_whole_rows_and_the_writer_knows_which() {
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
    assert_eq!(writer.finish().unwrap_err(), error);
    assert_eq!(disk.text(), whole(1));
}

#[test]
fn a_file_that_can_not_be_cut_keeps_a_torn_end_that_counts_as_no_row() {
    let disk = SmallDisk::new(usize::MAX);
    let mut writer = on(&disk).unwrap();
    let disk = SmallDisk { can_cut: false, ..disk };
    writer.sink = Box::new(disk.clone());
    *disk.room.lock().unwrap() = whole(1).len() + 3;
    append(&mut writer, "user_0");
    append(&mut writer, "user_1");
    writer.commit().unwrap_err();
    assert_eq!((disk.text().len(), writer.n_rows()), (whole(1).len() + 3, 1));
}

#[test]
fn a_header_that_does_not_fit_is_an_error() {
    let disk = SmallDisk::new(10);
    assert_eq!(on(&disk).err().unwrap().problem, Problem::DiskFull);
    assert_eq!(disk.text(), "");
}

#[test]
fn a_file_that_went_away_is_found_out() {
    let disk = SmallDisk::new(usize::MAX);
    let mut writer = on(&disk).unwrap();
    writer.sync().unwrap();
    *disk.is_gone.lock().unwrap() = true;
    assert_eq!(writer.sync().unwrap_err().problem, Problem::Removed);
}

#[test]
fn a_file_is_begun_and_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    let mut writer = Writer::create(&path, Existing::Refuse, RowFormat::default()).unwrap();
    append(&mut writer, "user_0");
    let journal = writer.finish().unwrap().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), whole(1));
    assert_eq!(journal.reader().unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_alone_even_if_it_was_not_before() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    let dir = tempfile::tempdir().unwrap();
    let (new, old) = (dir.path().join("new.csv"), dir.path().join("old.csv"));
    fs::write(&old, "old").unwrap();
    fs::set_permissions(&old, fs::Permissions::from_mode(0o644)).unwrap();
    let _new = Writer::create(&new, Existing::Refuse, RowFormat::default()).unwrap();
    let _old = Writer::create(&old, Existing::Replace, RowFormat::default()).unwrap();
    assert_eq!((mode(&new), mode(&old)), (0o600, 0o600));
}

#[test]
fn an_existing_file_is_untouched_unless_it_may_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    fs::write(&path, "precious").unwrap();
    let error = Writer::create(&path, Existing::Refuse, RowFormat::default()).err().unwrap();
    assert!(matches!(error, OpenError::Exists { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    drop(Writer::create(&path, Existing::Replace, RowFormat::default()).unwrap());
    assert_eq!(fs::read_to_string(&path).unwrap(), whole(0));
}

#[test]
fn a_file_in_use_is_refused_whoever_asks_and_untouched() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    let mut writer = Writer::create(&path, Existing::Refuse, RowFormat::default()).unwrap();
    append(&mut writer, "user_0");
    writer.commit().unwrap();
    for existing in [Existing::Refuse, Existing::Replace] {
        let error = Writer::create(&path, existing, RowFormat::default()).err().unwrap();
        assert!(matches!(error, OpenError::InUse { .. }), "{existing:?}: {error}");
    }
    let error = super::super::resume(&path, crate::model::IdentifierKind::UserId, &[]).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let error = super::super::refuse_existing(&path).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    let journal = writer.finish().unwrap();
    assert!(super::super::resume(&path, crate::model::IdentifierKind::UserId, &[]).is_err());
    drop(journal);
    assert!(
        super::super::resume(&path, crate::model::IdentifierKind::UserId, &[]).unwrap().is_some()
    );
    assert_eq!(users(&path).len(), 1);
}

#[test]
fn what_is_no_regular_file_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = Writer::create(dir.path(), Existing::Replace, RowFormat::default()).err().unwrap();
    assert!(matches!(error, OpenError::NotAFile { .. }), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_said_so() {
    let path = Path::new("no/such/dir/r.csv");
    let error = Writer::create(path, Existing::Refuse, RowFormat::default()).err().unwrap();
    insta::assert_snapshot!(error, @"no/such/dir/r.csv can't be opened for writing: its directory does not exist");
}

#[cfg(unix)]
#[test]
fn a_file_that_is_removed_or_replaced_meanwhile_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    let mut writer = Writer::create(&path, Existing::Refuse, RowFormat::default()).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "another").unwrap();
    assert_eq!(writer.sync().unwrap_err().problem, Problem::Removed);
}

#[cfg(target_os = "linux")]
#[test]
fn a_device_is_no_place_for_results() {
    for existing in [Existing::Refuse, Existing::Replace] {
        let path = Path::new("/dev/full");
        let error = Writer::create(path, existing, RowFormat::default()).err().unwrap();
        assert!(matches!(error, OpenError::NotAFile { .. }), "{error}");
    }
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
fn a_closed_pipe_is_an_error_of_its_own() {
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
    assert!(writer.finish().unwrap().is_none());
    assert_eq!(String::from_utf8(bytes.lock().unwrap().clone()).unwrap(), whole(1));
}
