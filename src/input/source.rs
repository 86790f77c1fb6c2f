//! Where the bytes come from, and what is remembered of all of them.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};

use super::Error;
use crate::model::one_line;

/// The name of standard input.
pub(super) const STDIN: &str = "standard input";

/// Where an input comes from, with the name by which messages speak of it. Nothing is opened
/// before it is read.
pub struct Source<'a> {
    name: String,
    origin: Origin<'a>,
}

enum Origin<'a> {
    Path(PathBuf),
    Stdin,
    Reader(Box<dyn Read + 'a>),
}

impl<'a> Source<'a> {
    /// A file.
    pub fn path(path: &Path) -> Self {
        let name = one_line(&path.display().to_string()).into_owned();
        Self { name, origin: Origin::Path(path.to_owned()) }
    }

    /// Standard input, up to its end.
    pub fn stdin() -> Self {
        Self { name: STDIN.into(), origin: Origin::Stdin }
    }

    /// Bytes that are there already.
    pub fn bytes(name: &str, bytes: &'a [u8]) -> Self {
        Self::reader(name, bytes)
    }

    /// Anything else that can be read.
    pub fn reader(name: &str, reader: impl Read + 'a) -> Self {
        Self { name: one_line(name).into_owned(), origin: Origin::Reader(Box::new(reader)) }
    }

    /// The name by which messages speak of it.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn open(self) -> Result<Opened<'a>, Error> {
        let (reader, modified): (Box<dyn Read + 'a>, _) = match self.origin {
            Origin::Path(path) => {
                let (file, modified) = open_file(&self.name, &path)?;
                (Box::new(file), modified)
            }
            Origin::Stdin => (Box::new(io::stdin()), redirected_since()),
            Origin::Reader(reader) => (reader, None),
        };
        Ok(Opened { name: self.name, modified, bytes: Hashed::new(reader) })
    }
}

/// A source that is ready to be read.
pub(super) struct Opened<'a> {
    pub(super) name: String,
    pub(super) modified: Option<SystemTime>,
    pub(super) bytes: Hashed<'a>,
}

fn open_file(name: &str, path: &Path) -> Result<(File, Option<SystemTime>), Error> {
    let unopened = |reason| Error::Open { name: name.to_owned(), reason };
    let file = File::open(path).map_err(unopened)?;
    let metadata = file.metadata().map_err(unopened)?;
    if metadata.is_dir() {
        return Err(Error::Directory { name: name.to_owned() });
    }
    // A pipe has a time too, and it says nothing about the age of what comes through it.
    let modified = if metadata.is_file() { metadata.modified().ok() } else { None };
    Ok((file, modified))
}

/// When the file was last changed that the shell redirected to stdin, if it is one.
#[cfg(unix)]
fn redirected_since() -> Option<SystemTime> {
    use std::os::fd::AsFd as _;

    let file = File::from(io::stdin().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok()?;
    if metadata.is_file() { metadata.modified().ok() } else { None }
}

/// Where handles are no files this is not known.
#[cfg(not(unix))]
fn redirected_since() -> Option<SystemTime> {
    None
}

/// A reader that remembers the hash of all that was read through it. An interrupted read is tried
/// again, and after the end it is not asked again: on a terminal that would ask the user twice.
pub(super) struct Hashed<'a> {
    inner: Box<dyn Read + 'a>,
    hasher: Sha256,
    is_at_end: bool,
}

impl<'a> Hashed<'a> {
    fn new(inner: Box<dyn Read + 'a>) -> Self {
        Self { inner, hasher: Sha256::new(), is_at_end: false }
    }

    /// The SHA-256 of what was read, in lower-case hexadecimal.
    pub(super) fn finish(self) -> String {
        self.hasher.finalize().iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string can't fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }
}

impl Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.is_at_end || buffer.is_empty() {
            return Ok(0);
        }
        let n_bytes = loop {
            match self.inner.read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                answer => break answer?,
            }
        };
        self.is_at_end = n_bytes == 0;
        self.hasher.update(&buffer[..n_bytes]);
        Ok(n_bytes)
    }
}
