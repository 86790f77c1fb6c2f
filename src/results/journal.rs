//! The results file itself: created for its owner alone, and held by one run at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::atomic::sync_directory;
use super::error::{OpenError, ReadError};
use super::reader::Reader;
use super::same_file::same_identity;
use super::sink::Sink;

/// What to do with a file that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// Leave it untouched and say so.
    #[default]
    Refuse,
    /// Overwrite it (`--force`).
    Replace,
}

/// A results file, locked against every other run until this value is dropped.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// How many of its bytes are whole rows.
    pub(super) n_whole: u64,
}

impl Journal {
    /// Creates the file, or empties it once the lock is had.
    pub(super) fn create(path: &Path, existing: Existing) -> Result<Self, OpenError> {
        let mut options = for_writing();
        match existing {
            Existing::Refuse => options.create_new(true),
            Existing::Replace => options.create(true),
        };
        let file = match options.open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(why_refused(path));
            }
            Err(error) => return Err(cant_open(path, &error)),
        };
        let journal = Self::lock(file, path)?;
        if existing == Existing::Replace {
            journal.file.set_len(0).map_err(|error| cant_open(path, &error))?;
            make_private(&journal.file);
        }
        // Without it a power cut could take the name away, whatever is synced behind it.
        sync_directory(path);
        Ok(journal)
    }

    /// Opens and locks a file that is there; `None` where there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, OpenError> {
        match for_writing().open(path) {
            Ok(file) => Self::lock(file, path).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cant_open(path, &error)),
        }
    }

    fn lock(file: File, path: &Path) -> Result<Self, OpenError> {
        if !file.metadata().is_ok_and(|it| it.is_file()) {
            return Err(OpenError::NotAFile { path: path.to_owned() });
        }
        match file.try_lock() {
            Ok(()) => Ok(Self { file, path: path.to_owned(), n_whole: 0 }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => {
                Err(OpenError::CantLock { path: path.to_owned(), reason: error.to_string() })
            }
        }
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file from its beginning, through the handle that holds the lock.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn reader(&self) -> Result<Reader, ReadError> {
        let rewound = || {
            let mut file = self.file.try_clone()?;
            file.seek(SeekFrom::Start(0))?;
            Ok(file)
        };
        let file = rewound().map_err(|reason| ReadError::Io { path: self.path.clone(), reason })?;
        Reader::new(file, &self.path)
    }

    /// Where what is cut off is kept, if more than one torn row is: behind a hole that a power cut
    /// left there may be whole rows.
    pub fn cut_place(&self) -> Option<PathBuf> {
        let cut = self.torn().ok()?;
        let mut name = self.path.clone().into_os_string();
        name.push(".cut");
        cut.contains(&b'\n').then(|| name.into())
    }

    /// Keeps aside what will be cut off.
    pub(super) fn keep_cut(&self) -> io::Result<()> {
        let Some(place) = self.cut_place() else { return Ok(()) };
        let mut kept = for_writing();
        kept.create(true).open(place)?.write_all(&self.torn()?)
    }

    /// What stands behind the whole rows.
    fn torn(&self) -> io::Result<Vec<u8>> {
        let (mut file, mut bytes) = (self.file.try_clone()?, Vec::new());
        file.seek(SeekFrom::Start(self.n_whole))?;
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// When it was last written to, as far as the system tells.
    pub fn modified(&self) -> Option<SystemTime> {
        self.file.metadata().and_then(|it| it.modified()).ok()
    }

    /// How many bytes the file has, as far as the system tells.
    pub(super) fn len(&self) -> u64 {
        self.file.metadata().map_or(0, |it| it.len())
    }

    /// Takes the file away again: for one that was just created and could not be begun.
    pub(super) fn remove(self) {
        // It is empty: should it stay, the next run says so.
        let _ = std::fs::remove_file(&self.path);
    }
}

impl Sink for Journal {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        // Cutting nothing would still change when the file was last written to.
        if self.file.metadata()?.len() != len {
            self.file.set_len(len)?;
        }
        self.file.seek(SeekFrom::Start(len))?;
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn is_in_place(&self) -> bool {
        match (self.path.metadata(), self.file.metadata()) {
            (Ok(named), Ok(open)) => same_identity(&named, &open).unwrap_or(true),
            _ => false,
        }
    }

    fn into_journal(self: Box<Self>) -> Option<Journal> {
        Some(*self)
    }
}

/// Says early that a run would be refused its results file; changes nothing.
///
/// # Errors
///
/// [`OpenError::Exists`] when it is there, [`OpenError::InUse`] when a run writes it right now.
pub fn refuse_existing(path: &Path) -> Result<(), OpenError> {
    // A link that leads nowhere is in the way too.
    if path.symlink_metadata().is_ok() { Err(why_refused(path)) } else { Ok(()) }
}

/// Says whether a run writes that file right now; changes nothing.
///
/// # Errors
///
/// [`OpenError::InUse`] when one does.
pub fn check_not_in_use(path: &Path) -> Result<(), OpenError> {
    match why_refused(path) {
        refusal @ OpenError::InUse { .. } => Err(refusal),
        _ => Ok(()),
    }
}

/// Why a file that is there is not taken: best of all, that another run holds it.
fn why_refused(path: &Path) -> OpenError {
    // A pipe is not even opened: that would wait for its other end.
    if path.metadata().is_ok_and(|it| !it.is_file()) {
        return OpenError::NotAFile { path: path.to_owned() };
    }
    let is_held = File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)));
    let path = path.to_owned();
    if is_held { OpenError::InUse { path } } else { OpenError::Exists { path } }
}

fn cant_open(path: &Path, error: &io::Error) -> OpenError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::IsADirectory => OpenError::NotAFile { path },
        io::ErrorKind::NotFound => {
            OpenError::CantOpen { path, reason: "its directory does not exist".to_owned() }
        }
        _ => OpenError::CantOpen { path, reason: error.to_string() },
    }
}

#[cfg(unix)]
fn for_writing() -> OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = OpenOptions::new();
    // Appending, so that rows stay rows even when somebody else cuts the file.
    options.read(true).append(true).mode(0o600);
    options
}

#[cfg(not(unix))]
fn for_writing() -> OpenOptions {
    let mut options = OpenOptions::new();
    // Windows cuts no file that is open for appending alone.
    options.read(true).write(true);
    options
}

#[cfg(unix)]
fn make_private(file: &File) {
    use std::os::unix::fs::PermissionsExt;
    // Only its owner may; a file of somebody else that we may write keeps the mode they gave it.
    let _ = file.set_permissions(std::fs::Permissions::from_mode(0o600));
}

#[cfg(not(unix))]
fn make_private(_: &File) {}
