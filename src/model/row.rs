//! One row of the results.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{ErrorCode, InputRecord, Outcome, UserId, UserSnapshot};

/// The outcome of one record: a row of a results file.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The record's first line in the input, 1-based.
    pub line: u64,
    /// The cell that names the user (see [`InputRecord::cell`]).
    pub input: Arc<str>,
    /// The ID of the user, if known.
    pub user_id: Option<UserId>,
    /// How the record ended.
    pub outcome: Outcome,
    /// The HTTP status of the last response.
    pub http_status: Option<u16>,
    /// The code of the last failure.
    pub error_code: Option<ErrorCode>,
    /// The message of the last failure.
    pub error_message: Option<String>,
    /// Number of requests for this record alone, without look-ups of several records.
    pub attempts: u32,
    /// The time from the first request to the last response, including waits.
    pub duration: Duration,
    /// When the record ended; `None` only in a row of a file without it.
    pub finished_at: Option<SystemTime>,
    /// The ID by which Clerk's support can find the last response.
    pub trace_id: Option<String>,
    /// The last user object received.
    pub user: Option<Box<UserSnapshot>>,
    /// `locked` in the look-up before the unlock; `None` without a look-up.
    pub was_locked: Option<bool>,
    /// The carried cells, in the order of the columns.
    pub carried: Box<[Box<str>]>,
}

impl Row {
    /// A row of this record for which no request was made.
    pub fn new(record: &InputRecord, outcome: Outcome, finished_at: SystemTime) -> Self {
        Self {
            line: record.line(),
            input: record.cell().into(),
            user_id: None,
            outcome,
            http_status: None,
            error_code: None,
            error_message: None,
            attempts: 0,
            duration: Duration::ZERO,
            finished_at: Some(finished_at),
            trace_id: None,
            user: None,
            was_locked: None,
            carried: record.carried().into(),
        }
    }
}
