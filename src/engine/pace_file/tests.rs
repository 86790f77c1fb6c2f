use super::*;
use crate::policy::pacing::{Gate, GateSettings, Pace, Quota};

/// Exchanges once, and returns the number of other runs in the file.
fn visit(file: &mut PaceFile) -> usize {
    let id = file.id.clone();
    let visit = |record: &mut PaceRecord, own: &str, _: Moment| {
        assert_eq!(own, id);
        record.run_ids().filter(|it| *it != own).count()
    };
    file.exchange(Instant::now(), visit).unwrap().expect("the lock is free")
}

fn pace_path(dir: &Path) -> PathBuf {
    dir.join("key.pace")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|it| it.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_directory_and_its_files_are_private() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state/bulk-unlock");
    let mut file = PaceFile::open(&state, "key").unwrap();
    visit(&mut file);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state), 0o700);
        for name in names(&state) {
            assert_eq!(mode(&state.join(&name)), 0o600, "{name}");
        }
    }
    assert_eq!(names(&state).len(), 2, "the pace file and the lock");
    file.leave(Instant::now(), |_, _, _| ());
    assert_eq!(names(&state), ["key.pace"]);
}

#[test]
fn an_unusable_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "").unwrap();
    let error = PaceFile::open(&path, "key").unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
}

fn moment(wall_ms: u64) -> Moment {
    Moment { now: Instant::now(), wall_ms }
}

const WRITTEN: u64 = 1_700_000_000_000;
const READ: u64 = WRITTEN + 1_000;

#[test]
fn a_record_is_parsed_as_it_was_written() {
    let record = PaceRecord::unknown(moment(WRITTEN));
    let bytes = serialize(&record).unwrap();
    assert_eq!(parse(&bytes, moment(READ)).as_ref(), Some(&record));
    let longer = [bytes.as_slice(), b"the rest of a longer record"].concat();
    assert_eq!(parse(&longer, moment(READ)), Some(record));
    assert_eq!(parse(b"", moment(READ)), Some(PaceRecord::default()));
}

#[test]
fn a_torn_record_counts_as_a_full_window() {
    let (record, read_at) = (PaceRecord::unknown(moment(WRITTEN)), moment(READ));
    let unknown = PaceRecord::unknown(read_at);
    assert_ne!(record, unknown);
    let bytes = serialize(&record).unwrap();
    for length in 1..bytes.len() - 1 {
        assert_eq!(parse(&bytes[..length], read_at).as_ref(), Some(&unknown), "{length} bytes");
    }
    for length in MAGIC.len() + VERSION.len() + 2..bytes.len() {
        let mut half_old = bytes.clone();
        half_old[length..].fill(b'0');
        let parsed = parse(&half_old, read_at).unwrap();
        assert!(parsed == record || parsed == unknown, "{length} bytes");
    }
    assert_eq!(parse(&[0; 4096], read_at), Some(unknown), "after a power cut");
}

#[test]
fn a_torn_file_is_replaced_and_counts_as_a_full_window() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = PaceFile::open(dir.path(), "key").unwrap();
    visit(&mut file);
    let bytes = fs::read(pace_path(dir.path())).unwrap();
    fs::write(pace_path(dir.path()), &bytes[..bytes.len() / 2]).unwrap();
    let read = |record: &mut PaceRecord, _: &str, moment: Moment| {
        assert_eq!(*record, PaceRecord::unknown(moment));
    };
    file.exchange(Instant::now(), read).unwrap().unwrap();
    let head = format!("{MAGIC} {VERSION} ");
    let content = fs::read(pace_path(dir.path())).unwrap();
    assert!(whole(content.strip_prefix(head.as_bytes()).unwrap()).is_some());
}

#[test]
fn a_foreign_file_is_refused_and_not_changed() {
    for content in ["shopping list", "{}", "bulk-unlock-pace 2 of a later version\n"] {
        let dir = tempfile::tempdir().unwrap();
        fs::write(pace_path(dir.path()), content).unwrap();
        let mut file = PaceFile::open(dir.path(), "key").unwrap();
        let exchanged = file.exchange(Instant::now(), |_, _, _| ());
        assert!(matches!(exchanged, Err(PaceFileError::Foreign(_))), "{content}");
        file.leave(Instant::now(), |_, _, _| ());
        assert_eq!(fs::read_to_string(pace_path(dir.path())).unwrap(), content);
    }
}

/// Adds this run to the record, as a gate does.
fn join(file: &mut PaceFile) {
    let quota = Quota { n: std::num::NonZeroU32::MIN, per: Duration::from_secs(10) };
    let pace = Pace::Share(quota);
    let mut gate =
        Gate::new(GateSettings { pace, shards: 1, give_up_after: Duration::from_secs(900) });
    let exchange = |record: &mut PaceRecord, id: &str, moment: Moment| {
        gate.exchange(record, id, moment, 0);
    };
    file.exchange(Instant::now(), exchange).unwrap().unwrap();
}

#[test]
fn a_run_is_alive_while_its_process_holds_its_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) =
        (PaceFile::open(dir.path(), "key").unwrap(), PaceFile::open(dir.path(), "key").unwrap());
    join(&mut one);
    assert_eq!(visit(&mut other), 1);
    // As when the process is killed.
    drop(one);
    assert_eq!(visit(&mut other), 0);
    assert_eq!(names(dir.path()).len(), 2, "the lock file is removed");
}

#[test]
fn an_exchange_does_not_wait_for_a_lock() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = PaceFile::open(dir.path(), "key").unwrap();
    let other = File::open(pace_path(dir.path())).unwrap();
    other.lock().unwrap();
    assert!(file.exchange(Instant::now(), |_, _, _| ()).unwrap().is_none());
    other.unlock().unwrap();
    assert!(file.exchange(Instant::now(), |_, _, _| ()).unwrap().is_some());
}

#[test]
fn a_removed_file_is_created_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut one, mut other) =
        (PaceFile::open(dir.path(), "key").unwrap(), PaceFile::open(dir.path(), "key").unwrap());
    join(&mut one);
    fs::remove_file(pace_path(dir.path())).unwrap();
    join(&mut one);
    assert_eq!(visit(&mut other), 1, "both use the new file");
}

#[test]
fn only_stale_files_of_this_program_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let old = |name: &str, content: &str| {
        fs::write(dir.path().join(name), content).unwrap();
        let file = OpenOptions::new().write(true).open(dir.path().join(name)).unwrap();
        file.set_modified(SystemTime::now() - STALE * 2).unwrap();
        file
    };
    let pace = format!("{MAGIC} {VERSION} and so on");
    old("stale.pace", &pace);
    old("stale.0f0f.run", "");
    let held = old("held.pace", &pace);
    held.lock().unwrap();
    old("foreign.pace", "shopping list");
    old("notes.txt", "");
    fs::write(dir.path().join("fresh.pace"), &pace).unwrap();
    PaceFile::open(dir.path(), "key").unwrap();
    let expected = ["foreign.pace", "fresh.pace", "held.pace", "key.pace", "notes.txt"];
    assert_eq!(names(dir.path()), expected);
}

/// Opening a named pipe for reading blocks until another process opens it for writing.
#[cfg(unix)]
#[test]
fn a_named_pipe_in_the_directory_is_not_opened() {
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

    let dir = tempfile::tempdir().unwrap();
    let pipes = ["other.pace", "other.0f0f.run", "notes.txt", "used.pace", "key.0f0f.run"];
    for name in pipes {
        let made = std::process::Command::new("mkfifo").arg(dir.path().join(name)).status();
        assert!(made.unwrap().success(), "{name}");
    }
    std::os::unix::fs::symlink("other.pace", dir.path().join("link.pace")).unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let path = dir.path().to_owned();
    std::thread::spawn(move || {
        let refused = PaceFile::open(&path, "used").unwrap_err().to_string();
        let mut file = PaceFile::open(&path, "key").unwrap();
        let is_alive = file.is_alive("0f0f");
        sender.send((refused, visit(&mut file), is_alive)).unwrap();
    });
    let (refused, n_others, is_alive) = receiver.recv_timeout(PATIENCE).expect("it does not block");
    assert!(refused.ends_with("it is not a regular file"), "{refused}");
    assert_eq!((n_others, is_alive), (0, false));
    assert!(pipes.iter().all(|name| names(dir.path()).iter().any(|it| it == name)));
}
