//! Unlocks users, or locks them again: one request per user.

use super::queue::{Task, canaries_first};
use super::work::{Api, Conclusion, End, Last, Work};
use crate::model::{
    Event, Failure, Identifier, InputRecord, Outcome, Records, Reply, Row, UserId, UserSnapshot,
};
use crate::policy::classify::{self, Verdict};

/// Unlocks users, or locks them again, one request per user.
pub struct Unlock<'a, A> {
    api: &'a A,
    records: &'a [InputRecord],
    /// Locks users again instead of unlocking them.
    relocks: bool,
}

/// One user to unlock, or to lock again.
#[derive(Clone, Debug, PartialEq)]
pub struct UnlockJob {
    /// The index of the record in the input.
    pub record: usize,
    /// The user.
    pub user: UserId,
    /// The user object of a look-up, unless it was dropped to save memory.
    pub seen: Option<Box<UserSnapshot>>,
    /// `locked` in that look-up.
    pub was_locked: Option<bool>,
}

/// The users to unlock. Their number may be millions, so waiting jobs need little memory.
#[derive(Clone, Debug, PartialEq)]
pub enum UnlockJobs {
    /// The indices of records with user IDs.
    Planned(Vec<u32>),
    /// Users that a look-up selected.
    LookedUp(Vec<UnlockJob>),
}

impl UnlockJobs {
    /// The number of users.
    pub fn n_jobs(&self) -> usize {
        match self {
            Self::Planned(places) => places.len(),
            Self::LookedUp(jobs) => jobs.len(),
        }
    }

    /// Moves the canaries to the front; see [`canaries_first`].
    #[must_use]
    pub fn canaries_first(self, canary: Option<usize>) -> Self {
        match self {
            Self::Planned(places) => Self::Planned(canaries_first(places, canary)),
            Self::LookedUp(jobs) => Self::LookedUp(canaries_first(jobs, canary)),
        }
    }

    /// The jobs, created one by one. A record without a user ID has none.
    pub fn into_jobs(self, records: &Records) -> Box<dyn Iterator<Item = UnlockJob> + '_> {
        let planned = |place: u32| match records.target(place as usize) {
            Ok(Identifier::UserId(user)) => {
                let record = place as usize;
                Some(UnlockJob { record, user, seen: None, was_locked: None })
            }
            _ => None,
        };
        match self {
            Self::Planned(places) => Box::new(places.into_iter().filter_map(planned)),
            Self::LookedUp(jobs) => Box::new(jobs.into_iter()),
        }
    }
}

impl<'a, A: Api> Unlock<'a, A> {
    /// Unlocks the users of these records.
    pub fn new(api: &'a A, records: &'a [InputRecord]) -> Self {
        Self { api, records, relocks: false }
    }

    /// Locks the users of these records again.
    pub fn undo(api: &'a A, records: &'a [InputRecord]) -> Self {
        Self { api, records, relocks: true }
    }
}

impl<A: Api> Work for Unlock<'_, A> {
    type Item = UnlockJob;
    type Good = Box<UserSnapshot>;

    async fn call(&self, job: &UnlockJob) -> Reply {
        if self.relocks { self.api.lock(&job.user).await } else { self.api.unlock(&job.user).await }
    }

    fn classify(&self, job: &mut UnlockJob, reply: Reply) -> Verdict<Box<UserSnapshot>> {
        if self.relocks {
            classify::lock(&job.user, reply)
        } else {
            classify::unlock(&job.user, reply)
        }
    }

    fn record(&self, job: &UnlockJob) -> usize {
        job.record
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(&self, last: Last<UnlockJob, Box<UserSnapshot>>) -> Conclusion<UnlockJob> {
        let (attempt, record) = (last.attempt, last.task.item.record);
        let done = if self.relocks { Outcome::Relocked } else { Outcome::Unlocked };
        let row = Box::new(row(&self.records[record], done, last));
        let ended_well = row.outcome.ended_well();
        let event = Event::JobFinished { record, row, attempt: Some(attempt) };
        Conclusion { events: vec![event], more: Vec::new(), ended_well }
    }
}

/// The row of a record; `done` is the outcome of a successful request.
fn row(record: &InputRecord, done: Outcome, last: Last<UnlockJob, Box<UserSnapshot>>) -> Row {
    let Last { task, end, attempt, ray, answered_at } = last;
    let (outcome, answered, failure) = match end {
        End::Good(user) => (done, Some(user), None),
        End::StillLocked(failure) => (Outcome::StillLocked, None, Some(failure)),
        End::Final(outcome, failure) => (outcome, None, Some(failure)),
        End::Exhausted(failure) => (Outcome::Failed, None, Some(failure)),
    };
    let Task { item, n_attempts, first_sent_at, seen, .. } = task;
    let began = first_sent_at.unwrap_or(answered_at);
    let row = Row {
        user_id: Some(item.user),
        http_status: attempt.status,
        attempts: n_attempts,
        duration: answered_at.saturating_duration_since(began),
        trace_id: ray,
        user: answered.or(seen).or(item.seen),
        was_locked: item.was_locked,
        ..Row::new(record, outcome, attempt.ended_at)
    };
    with_failure(row, failure)
}

/// The row with a failure in its columns.
pub(super) fn with_failure(row: Row, failure: Option<Failure>) -> Row {
    let Some(failure) = failure else { return row };
    Row {
        http_status: failure.status,
        error_code: Some(failure.code),
        error_message: Some(failure.message),
        trace_id: failure.trace_id.or(row.trace_id),
        ..row
    }
}
