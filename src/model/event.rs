//! What happened in a run: everything that the engine reports to the rest of the program.

use std::time::{Duration, Instant, SystemTime};

use super::{Failure, Row, StopReason, UserView};

/// What happened in a run. The recorder receives every event, in the order in which they were sent.
#[derive(Clone, Debug)]
pub enum Event {
    /// An attempt failed and is not the last one: a retry follows after `wait`, unless the run is
    /// stopped before.
    AttemptFailed {
        /// The index of the record in the input.
        record: usize,
        /// The attempt.
        attempt: Attempt,
        /// What went wrong.
        failure: Failure,
        /// How long this user waits for the retry.
        wait: Duration,
    },
    /// A look-up of up to a hundred users was answered. The rows that it decides follow.
    BatchAnswered {
        /// The attempt.
        attempt: Attempt,
        /// Number of records in the look-up.
        n_records: usize,
    },
    /// A record ended. Exactly one event for each row.
    JobFinished {
        /// The index of the record in the input.
        record: usize,
        /// The row to record.
        row: Box<Row>,
        /// The last request; `None` where none was made for this record alone.
        attempt: Option<Attempt>,
    },
    /// A page of the user list was read.
    UsersListed {
        /// The users on the page.
        users: Vec<UserView>,
    },
    /// A request was cut off before its response came. What it did is not known.
    GivenUp,
    /// No request is sent before `until`.
    Paused(Pause),
    /// The API answered again after a pause.
    Resumed,
    /// Time passed: listeners redraw, the results file is checked and synced. The same moment on
    /// both clocks, so that listeners need none.
    Ticked {
        /// The moment, for durations.
        at: Instant,
        /// The moment, for people.
        wall: SystemTime,
    },
    /// A status line was requested (SIGUSR1).
    StatusAsked,
    /// No new jobs are started; requests in flight may still end.
    Stopping(StopReason),
}

/// One request, as seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The HTTP status; `None` without a response.
    pub status: Option<u16>,
    /// From sending to the response.
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
