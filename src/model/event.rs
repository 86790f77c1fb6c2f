//! What happened, in the past tense: all that the engine says to the rest of the program.

use std::time::{Duration, Instant, SystemTime};

use super::{Failure, Row, StopReason};

/// What happened in a run. The recorder hears every event, in the order in which they were sent.
#[derive(Clone, Debug)]
pub enum Event {
    /// One attempt was answered or given up, and it is not the last word on its user: another
    /// follows after `wait`, or the run was stopped before it.
    AttemptFailed {
        /// The place of the record in the input.
        record: usize,
        /// The attempt.
        attempt: Attempt,
        /// What went wrong.
        failure: Failure,
        /// How long this user waits before the next attempt.
        wait: Duration,
    },
    /// A look-up of up to a hundred users was answered. The rows that it decides follow.
    BatchAnswered {
        /// The attempt.
        attempt: Attempt,
        /// How many records it was about.
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
        /// Number of users on it who were not listed before.
        n_users: u64,
        /// Number of those who are locked.
        n_locked: u64,
    },
    /// A request was cut off before its response came. What it did is not known.
    GivenUp,
    /// Nobody sends before `until`.
    Paused(Pause),
    /// The API answered again after a pause.
    Resumed,
    /// Time passed: listeners draw, the journal is synced. The same moment on both clocks, so
    /// that whoever listens needs none.
    Ticked {
        /// The moment, for durations.
        at: Instant,
        /// The moment, for people.
        wall: SystemTime,
    },
    /// Somebody asked for a line about how things stand (SIGUSR1).
    StatusAsked,
    /// No new jobs are taken; attempts in flight may still end.
    Stopping(StopReason),
}

/// One call, seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// From sending to the answer.
    pub took: Duration,
    /// How long it waited for its turn before it was sent.
    pub waited: Duration,
    /// When it ended.
    pub ended_at: SystemTime,
}

/// A pause for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When the next call may go.
    pub until: Instant,
    /// Why.
    pub reason: PauseReason,
}

/// Why everybody pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PauseReason {
    /// The API answered 429.
    Throttled,
    /// The API stopped answering; one probe at a time goes out.
    Outage,
}
