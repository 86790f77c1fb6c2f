//! The events of a run.

use std::time::{Duration, Instant, SystemTime};

use super::{Failure, Row, StopReason, UserSnapshot};

/// An event of a run. The recorder receives all events in the order in which they were sent.
#[derive(Clone, Debug)]
pub enum Event {
    /// An attempt failed. A retry follows after `wait`, unless the run stops before.
    AttemptFailed {
        /// The index of the record in the input.
        record: usize,
        /// The attempt.
        attempt: Attempt,
        /// The failure.
        failure: Failure,
        /// The wait until the retry.
        wait: Duration,
    },
    /// A look-up of up to 100 users was answered. Its rows follow.
    BatchAnswered {
        /// The attempt.
        attempt: Attempt,
        /// Number of records in the look-up.
        n_records: usize,
    },
    /// A record ended, with one row.
    JobFinished {
        /// The index of the record in the input.
        record: usize,
        /// The row to record.
        row: Box<Row>,
        /// The last request; `None` if no request was for this record alone.
        attempt: Option<Attempt>,
    },
    /// A page of the user list was read.
    UsersListed {
        /// The users on the page.
        users: Vec<UserSnapshot>,
    },
    /// A request was cut off before its response. The API may have processed it.
    GivenUp,
    /// No request is sent before `until`.
    Paused(Pause),
    /// The API answered again after a pause.
    Resumed,
    /// Time passed: listeners redraw, and the results file is checked or synced.
    Ticked {
        /// The time of the runtime, for durations.
        at: Instant,
        /// The same time of the wall clock.
        wall: SystemTime,
    },
    /// A status line was requested (SIGUSR1).
    StatusAsked,
    /// No new jobs are started; requests in flight may still end.
    Stopping(StopReason),
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// The time from sending to the response.
    pub took: Duration,
    /// How long it waited for its permit before it was sent.
    pub waited: Duration,
    /// When it ended.
    pub ended_at: SystemTime,
}

/// A pause of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When the next request may be sent.
    pub until: Instant,
    /// The reason.
    pub reason: PauseReason,
}

/// Why all requests pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// The API answered 429.
    Throttled,
    /// The API stopped answering; one probe at a time is sent.
    Outage,
}
