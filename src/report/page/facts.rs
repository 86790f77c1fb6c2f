//! What the page is made of.

use std::time::{Duration, SystemTime};

use crate::model::Row;
use crate::stats::Bucket;
use crate::stats::summary::{CommandKind, Incident, LatencySummary};

/// What the page shows. Texts are as they came: they are cleaned when they are rendered.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When the page is made.
    pub made_at: Option<SystemTime>,
    /// The version of the program that makes it.
    pub made_by: String,
    /// What happened, in one sentence.
    pub result: String,
    /// What the files say, each and together.
    pub incident: Incident,
    /// The files, in the order of [`Incident::stages`]; [`FinalRow::source`] is an index into it.
    pub sources: Vec<Source>,
    /// The final state of each user; for a single file, all its rows.
    pub rows: Vec<FinalRow>,
    /// What the reader must know first, each a sentence without a full stop: that a file was
    /// changed since its manifest was written, say.
    pub warnings: Vec<String>,
}

/// The final state of one user.
#[derive(Clone, Debug)]
pub struct FinalRow {
    /// The index of its file.
    pub source: usize,
    /// The row, without the user's JSON.
    pub row: Row,
}

/// One finished file, and what its manifest says. Without a manifest only the name and the kind are
/// known.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The name of the results file.
    pub name: String,
    /// The command; `None` where it is not known.
    pub kind: Option<CommandKind>,
    /// The version of the program.
    pub program_version: Option<String>,
    /// The command line, without secrets.
    pub command: Option<String>,
    /// `production`, `development`, `sandbox` or `unknown`.
    pub instance: Option<String>,
    /// The API's host.
    pub host: Option<String>,
    /// The fingerprint of the key.
    pub key: Option<String>,
    /// The account of the operating system that ran it.
    pub operator: Option<String>,
    /// The reason (`--reason`).
    pub reason: Option<String>,
    /// How it ended, by the code in the manifest: `completed`, `running`, `max_fail`, ….
    pub ending: Option<String>,
    /// The exit code.
    pub exit_code: Option<u8>,
    /// SHA-256 of a plan as it is now, in lower-case hexadecimal; `None` for other files.
    pub plan_sha256: Option<String>,
    /// The input and the outputs.
    pub files: Vec<SourceFile>,
    /// One for each start of the program.
    pub passes: Vec<Pass>,
}

/// A file that the job read or wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Its purpose: `input`, `results`, ….
    pub role: String,
    /// Its name.
    pub name: String,
    /// SHA-256 of its contents, in lower-case hexadecimal; empty where it is not known.
    pub sha256: String,
}

/// One start of the program, and what it did.
#[derive(Clone, Debug)]
pub struct Pass {
    /// When it began.
    pub started_at: SystemTime,
    /// When it ended; `None` where it was killed.
    pub finished_at: Option<SystemTime>,
    /// How it ended, by the code in the manifest.
    pub ending: String,
    /// Number of requests.
    pub n_requests: u64,
    /// Number of those that looked users up.
    pub n_lookups: u64,
    /// Number of attempts that failed and were retried, 429s not counted.
    pub n_retries: u64,
    /// Number of requests that were answered 429.
    pub n_throttled: u64,
    /// How long all requests were paused.
    pub paused: Duration,
    /// The latency of responses; `None` where no request was sent.
    pub latency: Option<LatencySummary>,
    /// The requests over time.
    pub timeline: Vec<TimedBucket>,
}

/// The requests in one interval of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedBucket {
    /// When it begins.
    pub start: SystemTime,
    /// How long it is.
    pub width: Duration,
    /// Number of requests by result; rows are not shown.
    pub counts: Bucket,
}
