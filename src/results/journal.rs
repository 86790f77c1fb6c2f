//! The results file: created for its owner alone, held by one run at a time, appended to in whole
//! lines.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::TempPath;

use super::error::{OpenError, Problem, ReadError, WriteError};
use super::files::RunningDigest;
use super::files::is_in_place;
use super::files::{sync_directory, temporary};
use super::reader::Reader;

/// Where rows go. The tests' failing disks implement it too.
pub(super) trait Storage: Send {
    /// As [`Write::write`].
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Drops all but the first this many bytes. A stream cannot do that.
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

    /// The file behind it.
    fn file(&mut self) -> Option<&mut JournalFile> {
        None
    }
}

/// Standard output, or any other stream.
struct Stream<W>(W);

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
    path: PathBuf,
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
        // Otherwise a power cut could remove the name, whatever is synced behind it.
        sync_directory(path);
        Ok(journal)
    }

    /// Creates a file under a temporary name; [`commit`](Self::commit) gives it its own. A file
    /// that it will replace is unchanged until then, and locked.
    pub(super) fn stage(path: &Path) -> Result<Self, OpenError> {
        // A link remains; the file that it leads to is replaced.
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if real.metadata().is_ok_and(|it| !it.is_file()) {
            return Err(OpenError::NotAFile { path: path.to_owned() });
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

    /// Opens and locks an existing file; `None` where there is none.
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
            return Err(OpenError::NotAFile { path: owned() });
        }
        match file.try_lock() {
            // The run that held it may just have replaced it.
            Ok(()) if !is_in_place(&file, path) => Err(OpenError::InUse { path: owned() }),
            Ok(()) => Ok(Self { file, path: owned(), staged: None }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: owned() }),
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

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the file is now.
    fn place(&self) -> &Path {
        self.staged.as_ref().map_or(&self.path, |staged| &staged.temporary)
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
        is_in_place(&self.file, self.place())
    }

    fn file(&mut self) -> Option<&mut JournalFile> {
        Some(self)
    }
}

/// Appends whole lines to the results and keeps account of what the file holds.
pub(super) struct Journal {
    storage: Box<dyn Storage>,
    /// `None`: standard output.
    path: Option<PathBuf>,
    /// Length of the whole lines that the file holds, in bytes.
    n_bytes: u64,
    /// The digest of those; `None` once it is not known.
    digest: Option<RunningDigest>,
    /// Whether another process changed or replaced the file.
    is_disturbed: bool,
}

impl Journal {
    /// A journal on a file or a disk of a test that holds nothing yet.
    pub(super) fn empty(storage: Box<dyn Storage>, path: Option<PathBuf>) -> Self {
        Self { storage, path, n_bytes: 0, digest: Some(RunningDigest::new()), is_disturbed: false }
    }

    /// A journal on a stream.
    pub(super) fn stream(stream: impl Write + Send + 'static) -> Self {
        let storage = Box::new(Stream(stream));
        Self { storage, path: None, n_bytes: 0, digest: None, is_disturbed: false }
    }

    /// Continues a file that holds so many bytes of whole lines with this digest; cuts off the rest.
    pub(super) fn resume(
        file: JournalFile,
        n_bytes: u64,
        digest: RunningDigest,
    ) -> Result<Self, WriteError> {
        let path = file.path().to_owned();
        let mut journal = Self::empty(Box::new(file), Some(path));
        journal.storage.truncate(n_bytes).map_err(|error| journal.error(Problem::of(&error)))?;
        Ok(Self { n_bytes, digest: Some(digest), ..journal })
    }

    /// Appends lines, which end at these indices, at once. Gives how many of them the file holds
    /// now: the first ones. After an error the file is cut back to its last whole line.
    pub(super) fn append(&mut self, lines: &[u8], ends: &[usize]) -> (usize, Result<(), Problem>) {
        if let Err(problem) = self.check_length() {
            return (0, Err(problem));
        }
        let (n_written, result) = write_fully(self.storage.as_mut(), lines);
        let n_lines = ends.partition_point(|&end| end <= n_written);
        let n_whole = ends[..n_lines].last().copied().unwrap_or(0);
        self.n_bytes += n_whole as u64;
        if let Some(digest) = &mut self.digest {
            digest.update(&lines[..n_whole]);
        }
        if n_whole < n_written {
            // If this fails too, a torn end remains, and resuming cuts it.
            if self.storage.truncate(self.n_bytes).is_err() && self.path.is_some() {
                (self.is_disturbed, self.digest) = (true, None);
            }
        }
        (n_lines, result.map_err(|error| Problem::of(&error)))
    }

    /// Whether the file still holds everything that was appended. Rows appended by another process
    /// are left for the accounting at the end; anything else would cost rows of this run.
    fn check_length(&mut self) -> Result<(), Problem> {
        let len = self.storage.len().map_err(|error| Problem::of(&error))?;
        let Some(len) = len.filter(|&len| len != self.n_bytes) else { return Ok(()) };
        (self.is_disturbed, self.digest) = (true, None);
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
        read.and_then(|()| file.file.seek(SeekFrom::Start(len))).is_ok() && last == *b"\n"
    }

    /// Whether the file is still where it was and holds everything that was appended.
    pub(super) fn check(&mut self) -> Result<(), Problem> {
        if !self.storage.is_in_place() {
            (self.is_disturbed, self.digest) = (true, None);
            return Err(Problem::Removed);
        }
        self.check_length()
    }

    /// Returns when everything appended would survive a power cut.
    pub(super) fn sync(&mut self) -> Result<(), Problem> {
        self.storage.sync().map_err(|error| Problem::of(&error))?;
        self.check()
    }

    /// Gives a staged file its name.
    pub(super) fn commit(&mut self) -> Result<(), Problem> {
        match self.storage.file() {
            Some(file) => file.commit().map_err(|error| Problem::of(&error)),
            None => Ok(()),
        }
    }

    /// Whether another process changed or replaced the file.
    pub(super) fn is_disturbed(&self) -> bool {
        self.is_disturbed
    }

    /// The file; `None` for a stream.
    pub(super) fn file(&mut self) -> Option<&mut JournalFile> {
        self.storage.file()
    }

    /// The digest of the file; `None` when it is not known.
    pub(super) fn take_digest(&mut self) -> Option<String> {
        self.digest.take().and_then(RunningDigest::finish)
    }

    /// A problem with this file.
    pub(super) fn error(&self, problem: Problem) -> WriteError {
        WriteError::of(self.path.clone(), problem)
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
        return OpenError::NotAFile { path: path.to_owned() };
    }
    let is_held = File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
    let path = path.to_owned();
    if is_held { OpenError::InUse { path } } else { OpenError::Exists { path } }
}

fn cannot_open(path: &Path, error: &io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::IsADirectory => OpenError::NotAFile { path },
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
