//! What was run, on what, when, by which version, and how it ended: `NAME.manifest.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::model::IdentifierKind;
use crate::stats::summary::CommandKind;

use super::atomic;
use super::error::{ReadError, WriteError};
use super::format::SCHEMA_VERSION;
use super::time::{as_text, as_text_or_null};
use crate::model::mask_keys;

mod counts;

/// What was run and how it ended. The order of the fields is that of the file; fields that a later
/// version added are passed over when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the results' format.
    pub schema_version: u32,
    /// The version of this program.
    pub program_version: String,
    /// The command line, without secrets.
    pub command: String,
    /// The command that wrote the file.
    pub kind: CommandKind,
    /// `live`, `test`, `other` or `sandbox`.
    pub instance: String,
    /// The API's host.
    pub host: String,
    /// The fingerprint of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// Why it was run (`--reason`).
    #[serde(default)]
    pub reason: Option<String>,
    /// When the job began; its first pass, where it was resumed.
    #[serde(with = "as_text")]
    pub started_at: SystemTime,
    /// When it ended; `None` while it runs, or was killed.
    #[serde(default, with = "as_text_or_null")]
    pub finished_at: Option<SystemTime>,
    /// How it ended: [`Manifest::RUNNING`] at first.
    pub ending: String,
    /// The exit code; `None` while it runs, or was killed.
    #[serde(default)]
    pub exit_code: Option<u8>,
    /// How many rows have each outcome.
    #[serde(default, with = "counts")]
    pub counts: Counts,
    /// How many records the input has.
    #[serde(default)]
    pub records: u64,
    /// How many rows the results have.
    #[serde(default)]
    pub rows: u64,
    /// How many records have no row.
    #[serde(default)]
    pub unprocessed: u64,
    /// What every row depends on, so that a later pass must ask for the same.
    #[serde(default)]
    pub settings: Option<Settings>,
    /// Whether users who look locked on purpose are unlocked too.
    #[serde(default)]
    pub include_admin_locked: bool,
    /// The input and the outputs.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// One for each start: resuming adds another.
    #[serde(default)]
    pub passes: Vec<Pass>,
}

/// What every row of a file depends on, in the words of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// What the input's column holds: `user-id`, `email`, ….
    pub by: String,
    /// How much of the returned user is recorded: `full`, `summary`, `none`.
    pub snapshot: String,
    /// The fields of it that nobody is to see.
    #[serde(default)]
    pub redact: Vec<String>,
}

/// How many rows have each outcome.
pub type Counts = BTreeMap<crate::model::Outcome, u64>;

/// What is read first: the rest may mean something else in a later version.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

/// A file that the job read or wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// What it was for: `input`, `results`, `failed`, `unprocessed`, `exclude`, `plan`, ….
    pub role: String,
    /// Its name, as the command line gave it.
    pub name: String,
    /// SHA-256 of its contents, in lower-case hexadecimal.
    pub sha256: String,
}

/// One start of the program, and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began.
    #[serde(with = "as_text")]
    pub started_at: SystemTime,
    /// When it ended; `None` while it runs, or was killed.
    #[serde(default, with = "as_text_or_null")]
    pub finished_at: Option<SystemTime>,
    /// How it ended: [`Manifest::RUNNING`] at first.
    pub ending: String,
    /// How many calls were answered or given up.
    #[serde(default)]
    pub requests: u64,
    /// How many of them were further attempts.
    #[serde(default)]
    pub retries: u64,
    /// How many were answered 429.
    #[serde(default)]
    pub throttled: u64,
    /// How many of them were given up before an answer came: what they did is not known.
    #[serde(default)]
    pub given_up: u64,
    /// How long everybody paused, in seconds.
    #[serde(default)]
    pub paused_seconds: f64,
    /// How many of the calls were look-ups.
    #[serde(default)]
    pub look_ups: u64,
    /// What happened when.
    #[serde(default)]
    pub timeline: Vec<Bucket>,
    /// How long calls took.
    #[serde(default)]
    pub latency_ms: Latency,
}

/// A stretch of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// When it begins, in seconds since the pass began.
    pub at: f64,
    /// How long it is.
    pub bucket_seconds: f64,
    /// How many calls ended in it.
    pub requests: u64,
    /// How many of them were answered 429.
    pub throttled: u64,
    /// How many of them failed otherwise.
    pub failed_attempts: u64,
}

/// How long calls took, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Half of them took at most this long.
    pub p50: f64,
    /// Nine in ten took at most this long.
    pub p90: f64,
    /// Ninety-nine in a hundred took at most this long.
    pub p99: f64,
    /// The longest.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

impl Manifest {
    /// What the input's column held.
    pub fn named_by(&self) -> IdentifierKind {
        let by = self.settings.as_ref().map(|settings| settings.by.as_str());
        let is_it = |kind: &IdentifierKind| Some(kind.flag_value()) == by;
        IdentifierKind::ALL.into_iter().find(is_it).unwrap_or_default()
    }

    /// The ending of a job that has not ended, or that was killed.
    pub const RUNNING: &str = "running";

    /// Reads a manifest; `None` where there is none.
    ///
    /// # Errors
    ///
    /// When it can't be read or understood, or when a later version of this program made it.
    pub fn read(path: &Path) -> Result<Option<Self>, ReadError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(reason) => return Err(ReadError::Io { path: path.to_owned(), reason }),
        };
        let not_manifest = |error: serde_json::Error| ReadError::NotManifest {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let Versioned { schema_version } = serde_json::from_slice(&bytes).map_err(not_manifest)?;
        if schema_version > SCHEMA_VERSION {
            return Err(ReadError::Newer { path: path.to_owned(), schema_version });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(not_manifest)
    }

    /// Writes it, in place of an older one.
    ///
    /// # Errors
    ///
    /// When the file can't be written; an older one is untouched then.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        let json = serde_json::to_string_pretty(self);
        let json = json.map_err(|error| WriteError::new(path, &error.into()))?;
        // People put keys into reasons, and where paths belong.
        atomic::write(path, (mask_keys(&json).into_owned() + "\n").as_bytes())
    }
}

#[cfg(test)]
mod tests;
