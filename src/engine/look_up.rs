//! The look-up stage: up to a hundred users per request. Users named by ID are decided at once,
//! others in the order of the input, because the same user may stand on an earlier line under
//! another name.

mod batch;
mod order;

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, SystemTime};

pub use batch::{Batch, batches};
use order::InOrder;

use super::api::Api;
use super::unlock::{UnlockJob, with_failure};
use super::work::{Conclusion, End, Last, USERS_PER_FAILURE, Work};
use crate::clerk::{MAX_LOOK_UP, MAX_PAGE};
use crate::model::{
    Attempt, Event, Failure, Identifier, InputRecord, Outcome, Reply, Row, UserId, UserView,
};
use crate::policy::classify::{self, AdminLocked, Verdict, decide, decide_relock, read_back};
use crate::policy::exclude::ExcludeList;
use crate::policy::plan::duplicate_of;

/// What a look-up is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To say what a run would do: every record gets its row.
    Plan(AdminLocked),
    /// To find those who are to be unlocked: the others get their rows, these become jobs.
    Run(AdminLocked),
    /// To read back what was unlocked.
    ReadBack,
    /// To show who would be locked again: every record gets its row.
    PlanRelock,
    /// To find those who are to be locked again: the others get their rows, these become jobs.
    Relock,
}

impl Purpose {
    /// Whether users with this outcome become jobs.
    fn makes_jobs_of(self, outcome: Outcome) -> bool {
        match self {
            Self::Run(_) => outcome == Outcome::WouldUnlock,
            Self::Relock => outcome == Outcome::WouldRelock,
            Self::Plan(_) | Self::ReadBack | Self::PlanRelock => false,
        }
    }
}

/// Looks users up and decides about each.
pub struct LookUp<'a, A> {
    api: &'a A,
    purpose: Purpose,
    records: &'a [InputRecord],
    excluded: &'a ExcludeList,
    /// Users whom earlier read-backs found locked again, and when.
    locked_again: Option<&'a HashMap<UserId, SystemTime>>,
    decided: RefCell<Decided>,
}

/// So many users may be looked up ahead of one who is not answered yet, where the order counts: what
/// is found out about them is held in memory in the meantime.
const MOST_AHEAD: usize = 64 * MAX_LOOK_UP;

/// What has been decided so far.
struct Decided {
    in_order: InOrder<Found>,
    /// Each user found under another identifier, and the first line that named it.
    first_line: HashMap<UserId, u64>,
    to_unlock: Vec<UnlockJob>,
    /// How many bytes of the users to unlock are kept.
    n_kept: usize,
}

/// What a look-up found out about one record.
struct Found {
    record: usize,
    target: Identifier,
    facts: Facts,
    what: What,
}

/// The call that found it out.
#[derive(Clone)]
struct Facts {
    attempt: Attempt,
    n_attempts: u32,
    took: Duration,
    ray: Option<String>,
}

enum What {
    Users(Vec<UserView>),
    Failed(Outcome, Failure),
}

impl<'a, A: Api> LookUp<'a, A> {
    /// Looks up through this API. `known` are users that an earlier run found by another
    /// identifier, each with the line that named it.
    pub fn new(
        api: &'a A,
        purpose: Purpose,
        records: &'a [InputRecord],
        excluded: &'a ExcludeList,
        known: HashMap<UserId, u64>,
    ) -> Self {
        let decided = Decided {
            in_order: InOrder::default(),
            first_line: known,
            to_unlock: Vec::new(),
            n_kept: 0,
        };
        let decided = RefCell::new(decided);
        Self { api, purpose, records, excluded, locked_again: None, decided }
    }

    /// Keeps the outcome of users whom earlier read-backs found locked again, with the time at which
    /// they were first seen so: unlocked since, they may be under attack all the same.
    #[must_use]
    pub fn keeping(self, locked_again: &'a HashMap<UserId, SystemTime>) -> Self {
        Self { locked_again: Some(locked_again), ..self }
    }

    /// Those who are to be unlocked, in the order of the input.
    pub fn into_jobs(self) -> Vec<UnlockJob> {
        let mut jobs = self.decided.into_inner().to_unlock;
        jobs.sort_unstable_by_key(|job| job.record);
        jobs
    }

    /// Takes an answered batch in and gives the rows of all about whom nothing is open any more.
    fn settle(&self, first: usize, found: Vec<Found>) -> Vec<Event> {
        let mut decided = self.decided.borrow_mut();
        let n_places = found.len();
        // The plan has found the duplicates among ids.
        let (mut ready, in_line): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.target.user_id().is_some());
        decided.in_order.put(first, n_places, in_line);
        ready.extend(decided.in_order.take_ready());
        ready.into_iter().filter_map(|found| self.decide(found, &mut decided)).collect()
    }

    /// The row of one record, or a job in its place.
    fn decide(&self, found: Found, decided: &mut Decided) -> Option<Event> {
        let Found { record, target, facts, what } = found;
        let row = match what {
            What::Failed(outcome, failure) => {
                let row = facts.row(&self.records[record], outcome);
                let row = Row { user_id: target.user_id().cloned(), ..row };
                with_failure(row, Some(failure))
            }
            What::Users(users) => match <[UserView; 1]>::try_from(users) {
                Ok([user]) => self.one(record, &target, &facts, user, decided)?,
                Err(users) => self.none_or_many(record, &target, &facts, &users),
            },
        };
        let row = Box::new(self.as_first_seen(row));
        Some(Event::JobFinished { record, row, attempt: None })
    }

    fn as_first_seen(&self, row: Row) -> Row {
        let user = row.user_id.as_ref();
        let first_seen = self.locked_again.zip(user).and_then(|(users, user)| users.get(user));
        let Some(&first_seen) = first_seen else { return row };
        let is_locked = row.outcome == Outcome::LockedAgain;
        let message = format!("locked again when first seen; now: {}", row.outcome.meaning());
        Row {
            outcome: Outcome::LockedAgain,
            error_code: None,
            error_message: (!is_locked).then_some(message),
            finished_at: Some(first_seen),
            ..row
        }
    }

    fn one(
        &self,
        record: usize,
        target: &Identifier,
        facts: &Facts,
        user: UserView,
        decided: &mut Decided,
    ) -> Option<Row> {
        let input = &self.records[record];
        let Ok(id) = user.id.parse::<UserId>() else {
            return Some(facts.untrusted(input, "the user in the answer has no valid id"));
        };
        if self.purpose != Purpose::ReadBack && !self.excluded.can_check(&user) {
            let why = "the user in the answer has fields of an unknown type, so that the exclude \
                       list cannot be checked";
            return Some(Row { user_id: Some(id), ..facts.untrusted(input, why) });
        }
        if target.user_id().is_none() {
            if let Some(&first) = decided.first_line.get(&id) {
                let row = duplicate_of(input, first, facts.attempt.ended_at);
                return Some(Row { user_id: Some(id), attempts: facts.n_attempts, ..row });
            }
            decided.first_line.insert(id.clone(), input.line());
        }
        let exclusion = self.exclusion_of(&user);
        let Some(outcome) = self.outcome(&user, exclusion.is_some()) else {
            let row = with_failure(facts.row(input, Outcome::Failed), Some(undecided_failure()));
            return Some(Row { user_id: Some(id), user: Some(Box::new(user)), ..row });
        };
        let was_locked = user.locked.filter(|_| self.purpose != Purpose::ReadBack);
        if self.purpose.makes_jobs_of(outcome) {
            let seen = decided.room_for(&user).then(|| Box::new(user));
            decided.to_unlock.push(UnlockJob { record, user: id, seen, was_locked });
            return None;
        }
        let row = Row { error_message: exclusion, ..facts.row(input, outcome) };
        Some(Row { user_id: Some(id), user: Some(Box::new(user)), was_locked, ..row })
    }

    /// Why a run must leave this user alone, whatever identifier the exclude file names.
    fn exclusion_of(&self, user: &UserView) -> Option<String> {
        match self.purpose {
            Purpose::ReadBack => None,
            Purpose::Plan(_) | Purpose::Run(_) | Purpose::PlanRelock | Purpose::Relock => {
                self.excluded.find(user).map(|exclusion| exclusion.to_string())
            }
        }
    }

    /// What is decided about a user; `None` if the answer does not say whether they are locked.
    fn outcome(&self, user: &UserView, is_excluded: bool) -> Option<Outcome> {
        match self.purpose {
            Purpose::ReadBack => Some(read_back(Some(user))),
            _ if is_excluded => Some(Outcome::Excluded),
            Purpose::Plan(admin_locked) | Purpose::Run(admin_locked) => decide(user, admin_locked),
            Purpose::PlanRelock | Purpose::Relock => decide_relock(user),
        }
    }

    /// Those of the targets about whom this answer decides nothing.
    fn undecided(&self, targets: &[Identifier], users: &[UserView]) -> Vec<Identifier> {
        let is_undecided = |user: &UserView| {
            let is_excluded = || self.exclusion_of(user).is_some();
            user.locked.is_none()
                && user.id.parse::<UserId>().is_ok()
                && self.outcome(user, is_excluded()).is_none()
        };
        if !users.iter().any(is_undecided) {
            return Vec::new();
        }
        let decides_nothing = |target: &&Identifier| {
            let mut matching = users.iter().filter(|user| classify::matches(target, user));
            let user = matching.next();
            // Several users are ambiguous, locked or not.
            user.is_some_and(is_undecided) && matching.next().is_none()
        };
        targets.iter().filter(decides_nothing).cloned().collect()
    }

    fn none_or_many(
        &self,
        record: usize,
        target: &Identifier,
        facts: &Facts,
        users: &[UserView],
    ) -> Row {
        let noun = target.kind().noun();
        let (outcome, code, message) = match (self.purpose, users) {
            (Purpose::ReadBack, []) => {
                (read_back(None), "resource_not_found", "no such user any more".to_owned())
            }
            (_, []) => {
                (Outcome::NotFound, "resource_not_found", format!("no user has this {noun}"))
            }
            (_, users) => {
                // Nobody is called, but the entries did match users of the input.
                for user in users {
                    let _ = self.exclusion_of(user);
                }
                let mut ids: Vec<&str> = users.iter().map(|user| user.id.as_str()).collect();
                ids.sort_unstable();
                ids.truncate(5);
                let ids = ids.join(", ");
                let message = format!("{} users have this {noun}: {ids}", users.len());
                (Outcome::Ambiguous, "ambiguous_identifier", message)
            }
        };
        Row {
            user_id: target.user_id().cloned(),
            error_code: Some(code.into()),
            error_message: Some(message),
            ..facts.row(&self.records[record], outcome)
        }
    }
}

impl Decided {
    /// Whether this user may be kept until the unlock call was made, for the row of a call that
    /// shows nobody. Beyond this many bytes such a row has no snapshot: memory is bounded.
    fn room_for(&mut self, user: &UserView) -> bool {
        const MOST: usize = 64 << 20;
        let n_kept = self.n_kept.saturating_add(user.json.len());
        let is_room = n_kept <= MOST;
        if is_room {
            self.n_kept = n_kept;
        }
        is_room
    }
}

impl Facts {
    fn row(&self, record: &InputRecord, outcome: Outcome) -> Row {
        Row {
            http_status: self.attempt.status,
            attempts: self.n_attempts,
            duration: self.took,
            trace_id: self.ray.clone(),
            ..Row::new(record, outcome, self.attempt.ended_at)
        }
    }

    fn untrusted(&self, record: &InputRecord, why: &str) -> Row {
        let failure = Failure {
            code: "untrusted_answer".into(),
            message: why.to_owned(),
            status: self.attempt.status,
            trace_id: self.ray.clone(),
        };
        with_failure(self.row(record, Outcome::Failed), Some(failure))
    }
}

impl<A: Api> Work for LookUp<'_, A> {
    type Item = Batch;
    type Good = Vec<UserView>;

    async fn call(&self, batch: &Batch) -> Reply {
        self.api.look_up(&batch.pending).await
    }

    /// An answer that does not say of everybody whether they are locked decides about the others
    /// only.
    fn classify(&self, batch: &mut Batch, reply: Reply) -> Verdict<Vec<UserView>> {
        let verdict = classify::look_up(&batch.pending, usize::from(MAX_PAGE), reply);
        let Verdict::Good(users) = verdict else { return verdict };
        let undecided = self.undecided(&batch.pending, &users);
        if undecided.is_empty() {
            return Verdict::Good(users);
        }
        batch.narrow(undecided, users);
        Verdict::Transient { failure: undecided_failure(), at_least: None }
    }

    fn record(&self, batch: &Batch) -> usize {
        batch.records.first().copied().unwrap_or_default()
    }

    fn n_users(&self) -> u32 {
        USERS_PER_FAILURE
    }

    fn may_start(&self, batch: &Batch) -> bool {
        let is_by_id = batch.targets.first().is_some_and(|it| it.user_id().is_some());
        is_by_id || self.decided.borrow().in_order.n_ahead(batch.first) < MOST_AHEAD
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(&self, last: Last<Batch, Vec<UserView>>) -> Conclusion<Batch> {
        let Last { task, end, attempt, ray, answered_at } = last;
        let record = self.record(&task.item);
        let began = task.first_sent_at.unwrap_or(answered_at);
        let took = answered_at.saturating_duration_since(began);
        let facts = Facts { attempt, n_attempts: task.n_attempts, took, ray };
        match end {
            // One value that the API cannot stomach must not cost the ninety-nine beside it.
            End::Final(_, failure)
                if task.item.n_jobs() > 1
                    && !task.item.is_narrowed()
                    && is_about_a_value(&failure) =>
            {
                let wait = Duration::ZERO;
                let event = Event::AttemptFailed { record, attempt, failure, wait };
                Conclusion { events: vec![event], more: task.item.halves(), ended_well: true }
            }
            end => {
                let first = task.item.first;
                let mut events =
                    vec![Event::BatchAnswered { attempt, n_records: task.item.n_jobs() }];
                events.extend(self.settle(first, found(task.item, &facts, end)));
                Conclusion { events, more: Vec::new(), ended_well: true }
            }
        }
    }
}
/// What an answer that does not say whether a user is locked is recorded as.
fn undecided_failure() -> Failure {
    Failure {
        code: "untrusted_answer".into(),
        message: "the answer does not say whether the user is locked".into(),
        status: Some(200),
        trace_id: None,
    }
}

/// Whether a refusal may be about one of the values and not about the address or a redirect, which
/// would be met again by every half. A key that may not look users up is found out by five of them,
/// as it is by unlock calls: one refusal of a hundred is no evidence of all.
fn is_about_a_value(failure: &Failure) -> bool {
    matches!(failure.status, Some(400 | 402 | 403 | 406..=499))
}

fn found(batch: Batch, facts: &Facts, end: End<Vec<UserView>>) -> Vec<Found> {
    let Batch { records, targets, pending, mut found, .. } = batch;
    let failed = match end {
        End::Good(users) => {
            found.extend(users);
            None
        }
        // A 404 here is about the address, not about these users.
        End::Final(_, failure) => Some((Outcome::Rejected, failure)),
        End::Exhausted(failure) | End::StillLocked(failure) => Some((Outcome::Failed, failure)),
    };
    // What was decided was decided by an answer, even if a later attempt failed.
    let mut of_answer = facts.clone();
    of_answer.attempt.status = Some(200);
    let mut users_of = by_target(found);
    let one = |(record, target): (usize, Identifier)| match &failed {
        Some((outcome, failure)) if pending.contains(&target) => {
            let what = What::Failed(*outcome, failure.clone());
            Found { record, target, facts: facts.clone(), what }
        }
        _ => {
            let what = users_of(&target);
            Found { record, target, facts: of_answer.clone(), what }
        }
    };
    records.into_iter().zip(targets).map(one).collect()
}

/// Hands each target its users: by id at once, by anything else by looking.
fn by_target(users: Vec<UserView>) -> impl FnMut(&Identifier) -> What {
    let mut by_id: HashMap<String, UserView> =
        users.into_iter().map(|user| (user.id.clone(), user)).collect();
    move |target| {
        let users = match target.user_id() {
            Some(id) => by_id.remove(id.as_str()).into_iter().collect(),
            None => {
                by_id.values().filter(|user| classify::matches(target, user)).cloned().collect()
            }
        };
        What::Users(users)
    }
}

#[cfg(test)]
mod tests;
