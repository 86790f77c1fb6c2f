//! Files that are there whole or not at all: written beside their place, then moved into it.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

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

/// Writes a file under a temporary name; [`finish`](Self::finish) gives it its own. Dropped before
/// that, it leaves nothing behind.
#[derive(Debug)]
pub struct AtomicWriter {
    /// `None` once it is finished.
    file: Option<BufWriter<File>>,
    temporary: PathBuf,
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
        let temporary = temporary_name(path);
        let file = create_anew(&temporary).map_err(|error| WriteError::new(path, &error))?;
        Ok(Self { file: Some(BufWriter::new(file)), temporary, path: path.to_owned() })
    }

    /// Writes the rest, syncs, and moves the file into its place.
    ///
    /// # Errors
    ///
    /// When the disk refuses; what was at its place before is untouched then.
    pub fn finish(mut self) -> Result<(), WriteError> {
        self.move_into_place().map_err(|error| WriteError::new(&self.path, &error))
    }

    fn move_into_place(&mut self) -> io::Result<()> {
        let Some(writer) = &mut self.file else { return Ok(()) };
        writer.flush()?;
        writer.get_ref().sync_all()?;
        fs::rename(&self.temporary, &self.path)?;
        self.file = None;
        sync_directory(&self.path);
        Ok(())
    }
}

impl Write for AtomicWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for AtomicWriter {
    fn drop(&mut self) {
        if self.file.is_some() {
            // The next writer of this file removes it otherwise.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

fn temporary_name(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".tmp");
    path.with_file_name(name)
}

/// What a crash left there is removed first: it may be a link, or somebody else may read it.
fn create_anew(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Makes a new name in the file's directory survive a power cut, where the system can.
pub(super) fn sync_directory(path: &Path) {
    // Not every file system can, and the file itself is safe.
    let _ = File::open(directory(path)).and_then(|it| it.sync_all());
}

#[cfg(test)]
mod tests {
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
    fn a_temporary_file_of_a_crash_is_no_obstacle() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".a.json.tmp"), "left behind").unwrap();
        write(&dir.path().join("a.json"), b"new").unwrap();
        assert_eq!(names(dir.path()), ["a.json"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_stale_temporary_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let victim = dir.path().join("victim");
        fs::write(&victim, "untouched").unwrap();
        std::os::unix::fs::symlink(&victim, dir.path().join(".a.json.tmp")).unwrap();
        write(&dir.path().join("a.json"), b"new").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"untouched");
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
