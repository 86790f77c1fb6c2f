//! The pace file, one for each key, host and port: all runs on this machine share their pace in it.
//!
//! A run reserves places before it sends requests, and locks the file for some microseconds
//! (`File::lock`). Therefore the file contains at least the requests that were sent, even if a run
//! is killed.
//!
//! Each run also keeps a lock on an empty file of its own. The operating system releases it when the
//! process ends in any way, so other runs detect at once that a run was killed. A heartbeat could be
//! late.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sha2::{Digest as _, Sha256};

use super::wall_clock;
use crate::policy::pacing::{Moment, PaceRecord};

/// An open pace file.
#[derive(Debug)]
pub struct PaceFile {
    path: PathBuf,
    file: File,
    id: String,
    /// The lock that shows other runs that this one is alive. Taken with the first exchange.
    alive: Option<File>,
    wall: fn() -> SystemTime,
}

/// Why a pace file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PaceFileError {
    /// An error of the operating system.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// The file has other content. It is not changed.
    #[error("{} is not a pace file of this version of bulk-unlock", .0.display())]
    Foreign(PathBuf),
}

/// The first word of a pace file. The next ones are version, checksum and length.
const MAGIC: &str = "bulk-unlock-pace";
const VERSION: &str = "1";

/// The maximum size of a pace file.
const MAX_BYTES: u64 = 4 << 20;

/// The age after which a file is stale. It is much longer than any window.
const STALE: Duration = Duration::from_secs(60 * 60);

impl PaceFile {
    /// Opens or creates the pace file with this name, and removes stale files from the directory.
    ///
    /// # Errors
    ///
    /// If the directory or the file cannot be created, written or locked. The first exchange detects
    /// a foreign file.
    pub fn open(dir: &Path, name: &str) -> Result<Self, PaceFileError> {
        Self::open_at(dir, name, wall_clock)
    }

    pub(super) fn open_at(
        dir: &Path,
        name: &str,
        wall: fn() -> SystemTime,
    ) -> Result<Self, PaceFileError> {
        let path = dir.join(format!("{name}.pace"));
        let with = |path: &Path| {
            let path = path.to_owned();
            move |source| PaceFileError::Io { path, source }
        };
        create_private_dir(dir).map_err(with(dir))?;
        remove_stale(dir, wall());
        let file = open_private(&path).map_err(with(&path))?;
        match file.try_lock() {
            Ok(()) => file.unlock().map_err(with(&path))?,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(PaceFileError::Io { path, source }),
        }
        let id = format!("{:016x}", fastrand::u64(..));
        Ok(Self { path, file, id, alive: None, wall })
    }

    /// Reads the record, changes it with `exchange`, and writes it back, all under the lock. Returns
    /// `Ok(None)` if another process holds the lock.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written, or is foreign. Then nothing was written.
    pub(super) fn exchange<T>(
        &mut self,
        now: Instant,
        exchange: impl FnOnce(&mut PaceRecord, &str, Moment) -> T,
    ) -> Result<Option<T>, PaceFileError> {
        if !self.lock().map_err(|source| self.io(source))? {
            return Ok(None);
        }
        let done = self.exchange_locked(now, exchange);
        // An error has no consequence: closing the file releases the lock too.
        let _ = self.file.unlock();
        done.map(Some)
    }

    /// Records the end of this run, after a last exchange.
    pub(super) fn leave(
        mut self,
        now: Instant,
        mut last: impl FnMut(&mut PaceRecord, &str, Moment),
    ) {
        const MAX_ATTEMPTS: u32 = 50;
        for _ in 0..MAX_ATTEMPTS {
            let done = self.exchange(now, |record, id, moment| {
                last(record, id, moment);
                record.end_run(id, moment);
            });
            match done {
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                // After an error, this run counts as killed, which is as safe.
                Ok(Some(())) | Err(_) => break,
            }
        }
        if self.alive.take().is_some() {
            let _ = fs::remove_file(self.alive_path(&self.id));
        }
    }

    /// Locks the file at the path. If another run removed and recreated it, opens the new one first.
    fn lock(&mut self) -> io::Result<bool> {
        for _ in 0..3 {
            match self.file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(error)) => return Err(error),
            }
            if is_named(&self.file, &self.path)? {
                return Ok(true);
            }
            self.file = open_private(&self.path)?;
        }
        Ok(false)
    }

    fn exchange_locked<T>(
        &mut self,
        now: Instant,
        exchange: impl FnOnce(&mut PaceRecord, &str, Moment) -> T,
    ) -> Result<T, PaceFileError> {
        let moment = Moment { now, wall_ms: unix_millis((self.wall)()) };
        let mut record = self.read(moment)?;
        if self.alive.is_none() {
            self.alive = Some(self.lock_alive_file().map_err(|source| self.io(source))?);
        }
        let others: Vec<String> =
            record.run_ids().filter(|id| *id != self.id).map(str::to_owned).collect();
        for id in others {
            if !self.is_alive(&id) {
                record.end_run(&id, moment);
            }
        }
        let done = exchange(&mut record, &self.id, moment);
        self.write(&record).map_err(|source| self.io(source))?;
        Ok(done)
    }

    fn read(&mut self, moment: Moment) -> Result<PaceRecord, PaceFileError> {
        let mut bytes = Vec::new();
        let read = self.file.seek(SeekFrom::Start(0));
        read.and_then(|_| (&self.file).take(MAX_BYTES).read_to_end(&mut bytes))
            .map_err(|source| self.io(source))?;
        parse(&bytes, moment).ok_or_else(|| PaceFileError::Foreign(self.path.clone()))
    }

    fn write(&mut self, record: &PaceRecord) -> io::Result<()> {
        let bytes = serialize(record)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&bytes)?;
        self.file.set_len(bytes.len() as u64)
    }

    fn lock_alive_file(&self) -> io::Result<File> {
        let file = open_private(&self.alive_path(&self.id))?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(file)
    }

    /// Whether a run is alive: it holds the lock on its own file.
    fn is_alive(&self, id: &str) -> bool {
        let path = self.alive_path(id);
        if !is_regular(&path) {
            return false;
        }
        let Ok(file) = File::open(&path) else { return false };
        match file.try_lock() {
            Ok(()) => {
                let _ = fs::remove_file(&path);
                false
            }
            Err(_) => true,
        }
    }

    fn alive_path(&self, id: &str) -> PathBuf {
        // An identifier from the pace file becomes a part of the path.
        let is_plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        self.path.with_extension(format!("{}.run", if is_plain { id } else { "unknown" }))
    }

    /// The error when another process does not release the lock.
    pub(super) fn held_by_others(&self) -> PaceFileError {
        self.io(io::Error::new(io::ErrorKind::WouldBlock, "another process keeps it locked"))
    }

    fn io(&self, source: io::Error) -> PaceFileError {
        PaceFileError::Io { path: self.path.clone(), source }
    }
}

/// The record in a pace file; `None` if the file is foreign. A torn record counts as a full window.
fn parse(bytes: &[u8], moment: Moment) -> Option<PaceRecord> {
    if bytes.is_empty() {
        return Some(PaceRecord::default());
    }
    let head = format!("{MAGIC} {VERSION} ");
    let record = match bytes.strip_prefix(head.as_bytes()) {
        Some(rest) => whole(rest),
        None if head.as_bytes().starts_with(bytes) || bytes.iter().all(|&it| it == 0) => None,
        None => return None,
    };
    Some(record.unwrap_or_else(|| PaceRecord::unknown(moment)))
}

/// The record after checksum and length, if it is complete.
fn whole(bytes: &[u8]) -> Option<PaceRecord> {
    let end = bytes.iter().position(|&byte| byte == b'\n')?;
    let (checksum, length) = std::str::from_utf8(&bytes[..end]).ok()?.split_once(' ')?;
    let body = bytes[end + 1..].get(..length.parse().ok()?)?;
    (checksum == checksum_of(body)).then(|| serde_json::from_slice(body).ok())?
}

fn serialize(record: &PaceRecord) -> io::Result<Vec<u8>> {
    let body = serde_json::to_vec(record)?;
    let head = format!("{MAGIC} {VERSION} {} {}\n", checksum_of(&body), body.len());
    Ok([head.as_bytes(), &body, b"\n"].concat())
}

fn checksum_of(body: &[u8]) -> String {
    hex::encode(&Sha256::digest(body)[..8])
}

fn unix_millis(wall: SystemTime) -> u64 {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Removes the files of this program that are stale and not locked.
fn remove_stale(dir: &Path, now: SystemTime) {
    let is_stale = |file: &File| {
        let modified = file.metadata().and_then(|it| it.modified()).ok();
        modified.and_then(|it| now.duration_since(it).ok()).is_some_and(|age| age > STALE)
    };
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        let extension = path.extension().unwrap_or_default();
        if !(extension == "pace" || extension == "run") || !is_regular(&path) {
            continue;
        }
        let Ok(file) = File::open(&path) else { continue };
        let is_ours = if extension == "run" { is_empty(&file) } else { is_pace_file(&file) };
        // Another process may have used the file before it was locked here.
        if is_ours && is_stale(&file) && file.try_lock().is_ok() && is_stale(&file) {
            let _ = fs::remove_file(&path);
        }
    }
}

/// Whether the path is a regular file and not a link. Opening a named pipe could block forever.
fn is_regular(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|it| it.is_file())
}

fn is_empty(file: &File) -> bool {
    file.metadata().is_ok_and(|it| it.is_file() && it.len() == 0)
}

fn is_pace_file(mut file: &File) -> bool {
    let mut begin = [0; MAGIC.len()];
    file.read_exact(&mut begin).is_ok() && begin == MAGIC.as_bytes()
}

fn create_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn open_private(path: &Path) -> io::Result<File> {
    if fs::metadata(path).is_ok_and(|it| !it.is_file()) {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the open file is the one at the path.
#[cfg(unix)]
fn is_named(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let open = file.metadata()?;
    Ok(fs::metadata(path).is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
}

/// On other systems, an open file cannot be removed.
#[cfg(not(unix))]
fn is_named(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

#[cfg(test)]
mod tests;
