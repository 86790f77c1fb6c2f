//! Files that are there whole or not at all: written beside their place, then moved into it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::error::{Problem, WriteError};
use super::same_file::directory;

/// Replaces the file by these bytes, for its owner alone; a reader sees the old file or the new.
///
/// # Errors
///
/// When it can't be written; the old file is untouched then.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), WriteError> {
    let mut writer = AtomicWriter::create(path)?;
    writer.write_all(bytes).map_err(|error| WriteError::new(path, &error))?;
    writer.finish()
}

/// Writes a file under a temporary name of its own; [`finish`](Self::finish) gives it its right one.
/// Dropped before that, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicWriter {
    file: BufWriter<NamedTempFile>,
    path: PathBuf,
}

impl AtomicWriter {
    /// Begins a file that will be at `path`, mode 0600.
    ///
    /// # Errors
    ///
    /// When nothing can be created in its directory, or what is at `path` is no regular file: a
    /// device or a pipe would be replaced and not written to.
    pub fn create(path: &Path) -> Result<Self, WriteError> {
        if path.metadata().is_ok_and(|it| !it.is_file()) {
            let problem = Problem::Other("it is no regular file".to_owned());
            return Err(WriteError::of(Some(path.to_owned()), problem));
        }
        // Hidden, and recognised should a kill leave it behind.
        let mut prefix = OsString::from(".");
        prefix.push(path.file_name().unwrap_or_default());
        prefix.push(".");
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".tmp")
            .tempfile_in(directory(path))
            .map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { file: BufWriter::new(file), path: path.to_owned() })
    }

    /// Writes the rest, syncs, and moves the file into its place.
    ///
    /// # Errors
    ///
    /// When the disk refuses; what was at its place before is untouched then.
    pub fn finish(self) -> Result<(), WriteError> {
        let Self { file, path } = self;
        move_into_place(file, &path).map_err(|error| WriteError::new(&path, &error))
    }
}

fn move_into_place(file: BufWriter<NamedTempFile>, path: &Path) -> io::Result<()> {
    let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|refused| refused.error)?;
    sync_directory(path);
    Ok(())
}

impl Write for AtomicWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Makes a new name in the file's directory survive a power cut, where the system can.
pub(super) fn sync_directory(path: &Path) {
    // Not every file system can, and the file itself is safe.
    let _ = File::open(directory(path)).and_then(|it| it.sync_all());
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn an_old_file_is_replaced_and_nothing_else_is_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"old").unwrap();
        write(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
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
    fn what_is_no_regular_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(write(&path, b"x").unwrap_err().to_string().contains("no regular file"));
        assert!(write(dir.path(), b"x").is_err());
        assert_eq!(names(dir.path()), ["socket"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_for_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write(&path, b"x").unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_that_names_the_file() {
        let error = write(Path::new("no/such/dir/a.json"), b"x").unwrap_err();
        assert_eq!(error.path.as_deref(), Some(Path::new("no/such/dir/a.json")));
    }
}
