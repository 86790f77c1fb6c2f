//! Files that are written completely or not at all: under a temporary name, then renamed.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::error::{Problem, WriteError};
use super::identity::directory;

/// Replaces a file, with mode 0600; a reader sees the old file or the new one. Gives the SHA-256 of
/// the new one.
///
/// # Errors
///
/// When it cannot be written; the old file is unchanged then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<String, WriteError> {
    let mut writer = AtomicWriter::create(path)?;
    writer.write_all(bytes).map_err(|error| WriteError::new(path, &error))?;
    writer.finish()
}

/// Writes a file under a temporary name; [`finish`](Self::finish) gives it its own. Dropped before
/// that, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicWriter {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
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

    /// The same under another name.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub(super) fn finish_as(mut self, path: &Path) -> Result<String, WriteError> {
        path.clone_into(&mut self.path);
        self.finish()
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

/// A new file beside `path`, for appending. It is locked, so that no other run takes it for the
/// leftover of a killed one.
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

#[cfg(test)]
mod tests {
    use super::super::digest::sha256_file;
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
}
