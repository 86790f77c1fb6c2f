//! Files: replaced completely or not at all, hashed, and compared.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use same_file::Handle;
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::error::{Problem, WriteError};

/// Replaces a file, with mode 0600; a reader sees the old file or the new one. Gives the SHA-256 of
/// the new one.
///
/// # Errors
///
/// When it cannot be written; the old file is unchanged then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<String, WriteError> {
    stage(path, bytes)?.finish()
}

/// The same, but the old file is replaced only when the new one is [finished](AtomicWriter::finish).
pub(super) fn stage(path: &Path, bytes: &[u8]) -> Result<AtomicWriter, WriteError> {
    let mut writer = AtomicWriter::create(path)?;
    let written = writer.write_all(bytes).and_then(|()| writer.flush());
    written.map_err(|error| WriteError::new(path, &error))?;
    Ok(writer)
}

/// Writes a file under a temporary name; [`finish`](Self::finish) gives it its own. Dropped before
/// that, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicWriter {
    file: BufWriter<NamedTempFile>,
    pub(super) path: PathBuf,
    hasher: Sha256,
}

impl AtomicWriter {
    /// Begins a file that will be at `path`, mode 0600.
    ///
    /// # Errors
    ///
    /// When nothing can be created in its directory, or what is at `path` is not a regular file: a
    /// device or a pipe would be replaced and not written to.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            let problem = Problem::Other("it is not a regular file".to_owned());
            return Err(WriteError::of(Some(path.to_owned()), problem));
        }
        let file = temporary(path).map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned(), hasher: Sha256::new() })
    }

    /// Writes the rest, syncs, and renames the file. Gives its SHA-256 in lower-case hexadecimal.
    ///
    /// # Errors
    ///
    /// When the system refuses; an older file at the path is unchanged then.
    pub fn finish(self) -> Result<String, WriteError> {
        let Self { file, path, hasher } = self;
        rename(file, &path).map_err(|error| WriteError::new(&path, &error))?;
        Ok(hex::encode(hasher.finalize()))
    }

    /// Opens what was written so far, to read it from its beginning.
    ///
    /// # Errors
    ///
    /// When the system refuses.
    pub fn reopen(&mut self) -> io::Result<File> {
        self.file.flush()?;
        self.file.get_ref().reopen()
    }

    /// A copy of what was written so far, as a file of its own at the path.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub(super) fn publish(&mut self) -> Result<String, WriteError> {
        let error = |error| WriteError::new(&self.path, &error);
        self.file.flush().map_err(error)?;
        let mut copy = Self::create(&self.path)?;
        // What is written next is appended all the same.
        let mut written = self.file.get_ref().as_file();
        written.rewind().and_then(|()| io::copy(&mut written, &mut copy)).map_err(error)?;
        copy.finish()
    }
}

impl Write for AtomicWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n_written]);
        Ok(n_written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn rename(file: BufWriter<NamedTempFile>, path: &Path) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|refused| refused.error)?;
    sync_directory(path);
    Ok(())
}

/// A new file in the directory of `path`, for appending. It is locked, so another run does not
/// remove it as the leftover of a killed one.
pub(super) fn temporary(path: &Path) -> io::Result<NamedTempFile> {
    let file = tempfile::Builder::new()
        .prefix(&temporary_prefix(path))
        .suffix(TEMPORARY_SUFFIX)
        .append(true)
        .tempfile_in(directory(path))?;
    // A file system without locks keeps leftovers; see `remove_stale`.
    let _ = file.as_file().try_lock();
    Ok(file)
}

const TEMPORARY_SUFFIX: &str = ".tmp";

/// Hidden, and recognizable if a killed run leaves the file behind: `.NAME.XXXXXX.tmp`.
fn temporary_prefix(path: &Path) -> OsString {
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    prefix.push(".");
    prefix
}

/// Removes temporary files of this name that killed runs left behind. Those of a live run are
/// locked and stay.
pub(super) fn remove_stale(path: &Path) {
    let prefix = temporary_prefix(path);
    let Ok(entries) = fs::read_dir(directory(path)) else { return };
    for entry in entries.flatten() {
        if is_temporary(&entry.file_name(), &prefix) && is_abandoned(&entry.path()) {
            // It is hidden and harmless.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_temporary(name: &OsStr, prefix: &OsStr) -> bool {
    let rest = name.as_encoded_bytes().strip_prefix(prefix.as_encoded_bytes());
    let middle = rest.and_then(|rest| rest.strip_suffix(TEMPORARY_SUFFIX.as_bytes()));
    // Versions before 0.1 moved files to `.NAME.set-aside`.
    rest == Some(b"set-aside")
        || middle.is_some_and(|it| it.len() == 6 && it.iter().all(u8::is_ascii_alphanumeric))
}

fn is_abandoned(path: &Path) -> bool {
    let is_file = path.symlink_metadata().is_ok_and(|it| it.is_file());
    is_file && File::open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Makes a new name in the file's directory survive a power cut, where the system can.
pub(super) fn sync_directory(path: &Path) {
    // Not every file system can, and the file itself is safe.
    let _ = File::open(directory(path)).and_then(|it| it.sync_all());
}

/// The first line of a text file, or the first MiB of it.
pub(super) fn first_line(path: &Path) -> io::Result<String> {
    let mut line = String::new();
    BufReader::new(File::open(path)?.take(1 << 20)).read_line(&mut line)?;
    Ok(line)
}

/// SHA-256 of everything that can be read, in lower-case hexadecimal.
///
/// # Errors
///
/// When reading fails.
pub fn sha256(mut input: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(n) => hasher.update(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
///
/// When it cannot be opened or read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    sha256(File::open(path)?)
}

/// Hashes a file while it is read. A thread of its own does so, as hashing takes as long as reading.
pub(super) struct HashThread {
    chunk: Vec<u8>,
    /// `None` when the thread could not be started.
    thread: Option<(SyncSender<Vec<u8>>, JoinHandle<Sha256>)>,
}

impl HashThread {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS_IN_FLIGHT: usize = 2;

    pub(super) fn start() -> Self {
        let (sender, chunks) = sync_channel::<Vec<u8>>(Self::CHUNKS_IN_FLIGHT);
        let hash = move || {
            let mut hasher = Sha256::new();
            for chunk in chunks {
                hasher.update(&chunk);
            }
            hasher
        };
        let thread = Builder::new().name("digest".into()).spawn(hash);
        Self { chunk: Vec::new(), thread: thread.ok().map(|thread| (sender, thread)) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= Self::CHUNK {
            self.send();
        }
    }

    fn send(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let is_sent = self.thread.as_ref().is_some_and(|(chunks, _)| chunks.send(chunk).is_ok());
        if !is_sent {
            self.thread = None;
        }
    }

    /// The hasher after all bytes so far; `None` if the thread failed, so the file must be read.
    pub(super) fn finish(mut self) -> Option<Sha256> {
        self.send();
        let (chunks, thread) = self.thread?;
        drop(chunks);
        thread.join().ok()
    }
}

/// Whether two paths lead to the same file, by any name or link. Files that do not
/// exist yet are compared by the directory in which they would be.
pub fn same_file(a: &Path, b: &Path) -> bool {
    let is_file = |path: &Path| path.metadata().ok().map(|it| it.is_file());
    match (is_file(a), is_file(b)) {
        // A pipe or a device is not opened: that might block.
        (Some(true), Some(true)) => {
            same_file::is_same_file(a, b).unwrap_or_else(|_| same_place(a, b))
        }
        (Some(_), Some(_)) | (None, None) => same_place(a, b),
        _ => false,
    }
}

/// Whether standard output is redirected to this file.
pub fn is_stdout(path: &Path) -> bool {
    is_handle_of(Handle::stdout(), path)
}

/// Whether standard input is redirected from this file.
pub fn is_stdin(path: &Path) -> bool {
    is_handle_of(Handle::stdin(), path)
}

fn is_handle_of(handle: io::Result<Handle>, path: &Path) -> bool {
    let is_file = path.metadata().is_ok_and(|it| it.is_file());
    is_file && matches!((handle, Handle::from_path(path)), (Ok(a), Ok(b)) if a == b)
}

/// Whether standard input and output are redirected to the same regular file.
pub fn is_stdin_stdout() -> bool {
    let (Ok(stdin), Ok(stdout)) = (Handle::stdin(), Handle::stdout()) else { return false };
    stdin == stdout && stdin.as_file().metadata().is_ok_and(|it| it.is_file())
}

/// Whether the open file is still the one at this path. Needs no further descriptor: connections
/// may have taken all of them.
pub(super) fn is_in_place(file: &File, path: &Path) -> bool {
    match (path.metadata(), file.metadata()) {
        (Ok(named), Ok(open)) => same_identity(&named, &open),
        _ => false,
    }
}

#[cfg(unix)]
fn same_identity(a: &Metadata, b: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (a.dev(), a.ino()) == (b.dev(), b.ino())
}

/// Other systems do not let an open file be replaced.
#[cfg(not(unix))]
fn same_identity(_: &Metadata, _: &Metadata) -> bool {
    true
}

fn same_place(a: &Path, b: &Path) -> bool {
    a == b || matches!((place(a), place(b)), (Some(a), Some(b)) if a == b)
}

/// The path without links and detours, as far as it exists.
fn place(path: &Path) -> Option<PathBuf> {
    if let Ok(whole) = path.canonicalize() {
        return Some(whole);
    }
    Some(directory(path).canonicalize().ok()?.join(path.file_name()?))
}

/// The directory that holds a file; `.` for a bare name.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn an_old_file_is_replaced_and_nothing_else_remains() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"old").unwrap();
        let sha256 = write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(sha256, sha256_file(&path).unwrap());
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[test]
    fn an_unfinished_file_leaves_the_old_one_and_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"old").unwrap();
        let mut writer = AtomicWriter::create(&path).unwrap();
        writer.write_all(b"half").unwrap();
        drop(writer);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[test]
    fn a_published_copy_holds_what_was_written_so_far() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let mut writer = AtomicWriter::create(&path).unwrap();
        writer.write_all(b"one\n").unwrap();
        assert_eq!(writer.publish().unwrap(), sha256_file(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one\n");
        writer.write_all(b"two\n").unwrap();
        assert_eq!(writer.finish().unwrap(), sha256_file(&path).unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"one\ntwo\n");
        assert_eq!(names(dir.path()), ["a.csv"]);
    }

    #[test]
    fn two_writers_of_one_file_do_not_mix() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.html");
        let (mut one, mut other) =
            (AtomicWriter::create(&path).unwrap(), AtomicWriter::create(&path).unwrap());
        one.write_all(b"one").unwrap();
        other.write_all(b"other").unwrap();
        one.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"one");
        other.finish().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"other");
        assert_eq!(names(dir.path()), ["a.html"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_a_regular_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(write(&path, b"x").unwrap_err().to_string().contains("not a regular file"));
        assert!(write(dir.path(), b"x").is_err());
        assert_eq!(names(dir.path()), ["socket"]);
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"x").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_error_names_the_file() {
        let error = write(Path::new("no/such/dir/a.json"), b"x").unwrap_err();
        assert_eq!(error.path.as_deref(), Some(Path::new("no/such/dir/a.json")));
    }

    #[cfg(unix)]
    #[test]
    fn leftovers_of_killed_runs_are_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        let live = temporary(&path).unwrap();
        let live_name = live.path().file_name().unwrap().to_str().unwrap().to_owned();
        for name in [".a.csv.Ab12Cd.tmp", ".a.csv.set-aside"] {
            fs::write(dir.path().join(name), "stale").unwrap();
        }
        let others =
            [".a.csv.backup2.tmp", ".a.csv.tmp", ".b.csv.Ab12Cd.tmp", "a.csv", "a.csv.Ab12Cd.tmp"];
        for name in others {
            fs::write(dir.path().join(name), "kept").unwrap();
        }
        std::os::unix::fs::symlink(&path, dir.path().join(".a.csv.Link12.tmp")).unwrap();
        remove_stale(&path);
        let mut expected: Vec<&str> = others.to_vec();
        expected.extend([".a.csv.Link12.tmp", &live_name]);
        expected.sort_unstable();
        assert_eq!(names(dir.path()), expected);
    }

    #[test]
    fn the_digest_is_the_one_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&b"abc"[..]).unwrap(), expected);
    }

    #[test]
    fn a_hash_of_many_chunks_is_that_of_the_whole() {
        let hash = |chunks: &mut dyn Iterator<Item = &[u8]>| {
            let mut thread = HashThread::start();
            chunks.for_each(|chunk| thread.update(chunk));
            thread.finish().map(|hasher| hex::encode(hasher.finalize()))
        };
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        assert_eq!(hash(&mut bytes.chunks(70_001)), sha256(bytes.as_slice()).ok());
        assert_eq!(hash(&mut bytes[..10].chunks(3)), sha256(&bytes[..10]).ok());
        assert_eq!(hash(&mut std::iter::empty()), sha256(io::empty()).ok());
    }

    #[test]
    fn detours_lead_to_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.csv"), dir.path().join("b.csv"));
        fs::write(&a, "x").unwrap();
        fs::write(&b, "x").unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        assert!(same_file(&a, &a));
        assert!(same_file(&a, &dir.path().join("sub/../a.csv")));
        assert!(!same_file(&a, &b));
        assert!(same_file(dir.path(), &dir.path().join("sub/..")));
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_the_same_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.csv");
        fs::write(&file, "x").unwrap();
        fs::hard_link(&file, dir.path().join("hard.csv")).unwrap();
        std::os::unix::fs::symlink(&file, dir.path().join("soft.csv")).unwrap();
        assert!(same_file(&file, &dir.path().join("hard.csv")));
        assert!(same_file(&file, &dir.path().join("soft.csv")));
    }

    #[test]
    fn files_that_do_not_exist_are_compared_by_their_place() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let new = dir.path().join("new.csv");
        assert!(same_file(&new, &dir.path().join("sub/../new.csv")));
        assert!(!same_file(&new, &dir.path().join("sub/new.csv")));
        assert!(!same_file(&new, dir.path()));
    }

    #[cfg(unix)]
    #[test]
    fn a_replaced_file_is_not_in_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.csv");
        fs::write(&path, "x").unwrap();
        let file = File::open(&path).unwrap();
        assert!(is_in_place(&file, &path));
        fs::remove_file(&path).unwrap();
        assert!(!is_in_place(&file, &path));
        fs::write(&path, "x").unwrap();
        assert!(!is_in_place(&file, &path));
    }
}
