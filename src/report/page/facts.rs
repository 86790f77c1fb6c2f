//! What the page is made of: typed facts, handed in by the command line.

use std::time::{Duration, SystemTime};

use super::Rows;
use crate::model::{Outcome, UserId};
use crate::stats::Bucket;
use crate::stats::summary::{CommandKind, LatencySummary, NextStep};

/// All that the page tells. Texts are as they came: they are cleaned on their way to the page.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When the page is made.
    pub made_at: Option<SystemTime>,
    /// The version of the program that makes it.
    pub made_by: String,
    /// The results files it tells of, with what their manifests say; [`TableRow::source`] is a
    /// place in here.
    pub sources: Vec<Source>,
    /// The rows of all of them.
    pub rows: Rows,
    /// What the reader must know before anything else, each a sentence: that a file was changed
    /// since its manifest was written, say.
    pub warnings: Vec<String>,
    /// The commands that go on from here, the most useful first.
    pub next: Vec<NextStep>,
}

/// One finished results file, and what its manifest says. Without a manifest only the name and
/// the kind are known.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The name of the results file.
    pub name: String,
    /// What was done; `None` where nobody knows.
    pub kind: Option<CommandKind>,
    /// The version of the program that did it.
    pub program_version: Option<String>,
    /// The command line, without secrets.
    pub command: Option<String>,
    /// `live`, `test`, `other` or `sandbox`.
    pub instance: Option<String>,
    /// The API's host.
    pub host: Option<String>,
    /// The fingerprint of the key.
    pub key: Option<String>,
    /// Why it was done (`--reason`).
    pub reason: Option<String>,
    /// When it began.
    pub started_at: Option<SystemTime>,
    /// When it ended.
    pub finished_at: Option<SystemTime>,
    /// How it ended, as the manifest's stable word: `completed`, `running`, `max_fail`, ….
    pub ending: Option<String>,
    /// The exit code.
    pub exit_code: Option<u8>,
    /// The records that had to be accounted for.
    pub n_records: Option<u64>,
    /// Those of them without a row.
    pub n_unprocessed: Option<u64>,
    /// The input and the outputs.
    pub files: Vec<SourceFile>,
    /// One for each start of the program.
    pub passes: Vec<Pass>,
}

/// A file that the job read or wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// What it was for: `input`, `results`, ….
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
    /// How it ended, as the manifest's stable word.
    pub ending: String,
    /// All calls.
    pub n_requests: u64,
    /// Those of them that looked users up.
    pub n_lookups: u64,
    /// The attempts that failed and were not the last of their user, throttles left out.
    pub n_retries: u64,
    /// The attempts that were answered 429.
    pub n_throttled: u64,
    /// How long everybody paused.
    pub paused: Duration,
    /// How long answers took; `None` where nothing was asked.
    pub latency: Option<LatencySummary>,
    /// What happened when.
    pub timeline: Vec<TimedBucket>,
}

/// What happened in one stretch of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedBucket {
    /// When it begins.
    pub start: SystemTime,
    /// How long it is.
    pub width: Duration,
    /// How often what happened; the page does not tell the rows.
    pub counts: Bucket,
}

/// One row of a results file, as far as the page tells it.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// The place of its file in [`Facts::sources`].
    pub source: usize,
    /// The record's first line in the input, 1-based.
    pub line: u64,
    /// The cell of the input.
    pub input: String,
    /// The user, where one is known.
    pub user_id: Option<UserId>,
    /// The last word.
    pub outcome: Outcome,
    /// What went wrong, as a stable code.
    pub error_code: Option<String>,
    /// What went wrong, for people. May quote addresses.
    pub error_message: Option<String>,
    /// How many calls were made for this record alone.
    pub attempts: u32,
    /// From the first attempt to the last answer.
    pub duration: Duration,
    /// When the last word was said.
    pub finished_at: Option<SystemTime>,
    /// `locked` of the last user object seen; the next fields are from there too.
    pub locked: Option<bool>,
    /// `banned`.
    pub banned: Option<bool>,
    /// `lockout_expires_in_seconds`; `None` on a locked user: never.
    pub lockout_expires_in_seconds: Option<i64>,
    /// `verification_attempts_remaining`.
    pub verification_attempts_remaining: Option<i64>,
    /// `username`.
    pub username: Option<String>,
    /// The primary email address.
    pub email: Option<String>,
    /// `first_name`.
    pub first_name: Option<String>,
    /// `last_name`.
    pub last_name: Option<String>,
}

impl TableRow {
    /// A row of which nothing is known but its place and its outcome.
    pub fn new(source: usize, line: u64, outcome: Outcome) -> Self {
        Self {
            source,
            line,
            input: String::new(),
            user_id: None,
            outcome,
            error_code: None,
            error_message: None,
            attempts: 0,
            duration: Duration::ZERO,
            finished_at: None,
            locked: None,
            banned: None,
            lockout_expires_in_seconds: None,
            verification_attempts_remaining: None,
            username: None,
            email: None,
            first_name: None,
            last_name: None,
        }
    }
}
