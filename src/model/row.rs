//! One line of the results: the last word on one record and the facts around it.

use std::time::{Duration, SystemTime};

use super::{ErrorCode, Outcome, UserId, UserView};

/// The last word on one record and the facts around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The place of its record in [`Records::records`](super::Records::records).
    pub record: usize,
    /// The user, where one is known.
    pub user_id: Option<UserId>,
    /// The last word.
    pub outcome: Outcome,
    /// The status of the last answer, where there was one.
    pub http_status: Option<u16>,
    /// What went wrong, as a stable code.
    pub error_code: Option<ErrorCode>,
    /// What went wrong, for people.
    pub error_message: Option<String>,
    /// How many calls were made for this record alone. A look-up serves a hundred and counts for
    /// none of them.
    pub attempts: u32,
    /// From the moment the first attempt left until the last answer, waits between included.
    pub duration: Duration,
    /// When the last word was said.
    pub finished_at: SystemTime,
    /// What Clerk's support can find the last answer by.
    pub trace_id: Option<String>,
    /// The last user object seen.
    pub user: Option<Box<UserView>>,
}

impl Row {
    /// A row for a record about which nothing was asked.
    pub fn unasked(record: usize, outcome: Outcome, finished_at: SystemTime) -> Self {
        Self {
            record,
            user_id: None,
            outcome,
            http_status: None,
            error_code: None,
            error_message: None,
            attempts: 0,
            duration: Duration::ZERO,
            finished_at,
            trace_id: None,
            user: None,
        }
    }
}
