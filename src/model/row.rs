//! One row of the results: the outcome of one record.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{ErrorCode, InputRecord, Outcome, UserId, UserView};

/// The outcome of one record, as a run records it and as a results file is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The record's first line in the input, 1-based.
    pub line: u64,
    /// The cell that names the user (see [`InputRecord::cell`]).
    pub input: Arc<str>,
    /// The user's ID, where it is known.
    pub user_id: Option<UserId>,
    /// How the record ended.
    pub outcome: Outcome,
    /// The HTTP status of the last response.
    pub http_status: Option<u16>,
    /// What went wrong, as a stable code.
    pub error_code: Option<ErrorCode>,
    /// What went wrong, for people.
    pub error_message: Option<String>,
    /// Number of requests made for this record alone. A look-up serves a hundred records and
    /// counts for none of them.
    pub attempts: u32,
    /// From sending the first request to the last response, waits between retries included.
    pub duration: Duration,
    /// When the record ended; `None` only where a file does not say.
    pub finished_at: Option<SystemTime>,
    /// The ID by which Clerk's support can find the last response.
    pub trace_id: Option<String>,
    /// The last user object received.
    pub user: Option<Box<UserView>>,
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
