//! The results file on disk: created for its owner alone, locked by one run at a time, and staged
//! under a temporary name while its run may still be refused.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::error::{OpenError, ReadError};
use super::files::{is_in_place, sync_directory, temporary};
use super::reader::Reader;

/// Where rows go. The tests' failing disks implement it too.
pub(super) trait Storage: Send {
    /// As [`Write::write`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts the file to this length. A stream returns an error.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Returns when everything written would survive a power cut.
    fn sync(&mut self) -> io::Result<()>;

    /// The length as the system sees it; `None` for a stream.
    fn len(&self) -> io::Result<Option<u64>> {
        Ok(None)
    }

    /// Whether the file is still the one at its path.
    fn is_in_place(&self) -> bool {
        true
    }

    /// The file; `None` for a stream.
    fn file(&mut self) -> Option<&mut JournalFile> {
        None
    }
}

/// Standard output, or any other stream.
pub(super) struct Stream<W>(pub(super) W);

impl<W: Write + Send> Storage for Stream<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n_written = self.0.write(bytes)?;
        self.0.flush().map(|()| n_written)
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// A results file, locked against every other run as long as this value lives.
#[derive(Debug)]
pub(super) struct JournalFile {
    file: File,
    /// Its name, now or once it is committed.
    pub(super) path: PathBuf,
    staged: Option<Staged>,
}

/// A file that has a temporary name until its run may continue. Dropped before that, it is deleted.
#[derive(Debug)]
struct Staged {
    temporary: TempPath,
    /// Where the file that it replaces really is. That file stays locked.
    replaces: Option<(PathBuf, File)>,
}

impl JournalFile {
    /// Creates a file that does not exist yet.
    pub(super) fn create(path: &Path) -> Result<Self, OpenError> {
        let file = match for_writing().create_new(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(why_refused(path));
            }
            Err(error) => return Err(cannot_open(path, &error)),
        };
        let journal = Self::lock(file, path)?;
        // Otherwise a power cut could remove the name of a file that is synced.
        sync_directory(path);
        Ok(journal)
    }

    /// Creates a file under a temporary name; [`commit`](Self::commit) gives it its own. A file
    /// that it will replace is unchanged until then, and locked.
    pub(super) fn stage(path: &Path) -> Result<Self, OpenError> {
        // A link remains; the file that it leads to is replaced.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if real.metadata().is_ok_and(|it| !it.is_file()) {
            return Err(OpenError::NotAFile(path.to_owned()));
        }
        let replaces = match File::open(&real) {
            Ok(old) => Some((real.clone(), Self::lock(old, path)?.file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(cannot_open(path, &error)),
        };
        let temporary = temporary(&real).map_err(|error| cannot_open(path, &error))?;
        let (file, temporary) = temporary.into_parts();
        let staged = Some(Staged { temporary, replaces });
        Ok(Self { file, path: path.to_owned(), staged })
    }

    /// Opens and locks an existing file; `None` if it does not exist.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, OpenError> {
        match for_writing().open(path) {
            Ok(file) => Self::lock(file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot_open(path, &error)),
        }
    }

    fn lock(file: File, path: &Path) -> Result<Self, OpenError> {
        let owned = || path.to_owned();
        if !file.metadata().is_ok_and(|it| it.is_file()) {
            return Err(OpenError::NotAFile(owned()));
        }
        match file.try_lock() {
            // The run that held it may just have replaced it.
            Ok(()) if !is_in_place(&file, path) => Err(OpenError::InUse(owned())),
            Ok(()) => Ok(Self { file, path: owned(), staged: None }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(owned())),
            Err(TryLockError::Error(error)) => {
                Err(OpenError::CannotLock { path: owned(), reason: error.to_string() })
            }
        }
    }

    /// Gives a staged file its name, in place of an older one.
    pub(super) fn commit(&mut self) -> io::Result<()> {
        let Some(Staged { temporary, replaces }) = self.staged.take() else { return Ok(()) };
        let renamed = match &replaces {
            Some((real, _)) => temporary.persist(real),
            None => temporary.persist_noclobber(&self.path),
        };
        renamed.map_err(|refused| refused.error)?;
        sync_directory(&self.path);
        Ok(())
    }

    /// Reads the file from its beginning, without a further descriptor.
    pub(super) fn reader(&self) -> Result<Reader<&File>, ReadError> {
        let error = |reason| ReadError::Io { path: self.path.clone(), reason };
        Reader::new(self.bytes_from(0).map_err(error)?, &self.path)
    }

    /// The file, to be read from this byte on.
    pub(super) fn bytes_from(&self, start: u64) -> io::Result<&File> {
        (&self.file).seek(SeekFrom::Start(start))?;
        Ok(&self.file)
    }
}

impl Storage for JournalFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        // Setting the same length would change the time of the last write.
        if self.file.metadata()?.len() != len {
            self.file.set_len(len)?;
        }
        self.file.seek(SeekFrom::Start(len)).map(drop)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> io::Result<Option<u64>> {
        self.file.metadata().map(|it| Some(it.len()))
    }

    fn is_in_place(&self) -> bool {
        let path = self.staged.as_ref().map_or(self.path.as_path(), |staged| &staged.temporary);
        is_in_place(&self.file, path)
    }

    fn file(&mut self) -> Option<&mut JournalFile> {
        Some(self)
    }
}

/// Checks early that a run may create its results file; changes nothing.
///
/// # Errors
///
/// [`OpenError::Exists`] when it exists, [`OpenError::InUse`] when a run is writing it.
pub fn refuse_existing(path: &Path) -> Result<(), OpenError> {
    // A link that leads nowhere is in the way too.
    if path.symlink_metadata().is_ok() { Err(why_refused(path)) } else { Ok(()) }
}

/// Why an existing file is not taken: best of all, because another run holds it.
fn why_refused(path: &Path) -> OpenError {
    // Opening a pipe would wait for its other end.
    if path.metadata().is_ok_and(|it| !it.is_file()) {
        return OpenError::NotAFile(path.to_owned());
    }
    let is_held = File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
    let path = path.to_owned();
    if is_held { OpenError::InUse(path) } else { OpenError::Exists(path) }
}

fn cannot_open(path: &Path, error: &io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::IsADirectory => OpenError::NotAFile(path),
        io::ErrorKind::NotFound => {
            OpenError::CannotOpen { path, reason: "its directory does not exist".to_owned() }
        }
        _ => OpenError::CannotOpen { path, reason: error.to_string() },
    }
}

#[cfg(unix)]
pub(super) fn for_writing() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    // Appending, so that rows remain rows even when another process truncates the file.
    options.read(true).append(true).mode(0o600);
    options
}

#[cfg(not(unix))]
pub(super) fn for_writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Windows does not truncate a file that is open for appending alone.
    options.read(true).write(true);
    options
}
