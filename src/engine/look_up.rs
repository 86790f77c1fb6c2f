//! The look-up stage: up to 100 users per request.
//!
//! A user who is named by ID is decided at once. Others are decided in the order of the input,
//! because an earlier line may name the same user by another identifier.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, SystemTime};

use super::unlock::{UnlockJob, with_failure};
use super::work::{Api, Conclusion, End, Last, USERS_PER_FAILURE, Work};
use crate::clerk::request::n_that_fit;
use crate::clerk::{MAX_LOOK_UP, MAX_PAGE};
use crate::model::{
    Attempt, Event, Failure, Identifier, InputRecord, Outcome, Records, Reply, Row, UserId,
    UserSnapshot,
};
use crate::policy::classify::{self, AdminLocked, Verdict, decide, decide_relock, read_back};
use crate::policy::exclude::ExcludeList;
use crate::policy::plan::duplicate_of;

/// The purpose of a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Show what a run would do: a row for every record.
    Plan(AdminLocked),
    /// Select the users to unlock: a job for each, and rows for the others.
    Run(AdminLocked),
    /// Read back the users that were unlocked.
    ReadBack,
    /// Show which users would be locked again: a row for every record.
    PlanRelock,
    /// Select the users to lock again: a job for each, and rows for the others.
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

/// Looks users up and decides what to do with each.
pub struct LookUp<'a, A> {
    api: &'a A,
    purpose: Purpose,
    records: &'a [InputRecord],
    excluded: &'a ExcludeList,
    /// Users that an earlier read-back found locked again, and when.
    locked_again: Option<&'a HashMap<UserId, SystemTime>>,
    decided: RefCell<Decided>,
}

/// How many users may be looked up ahead of one without an answer, where the order matters. Their
/// answers are kept in memory.
const MAX_AHEAD: usize = 64 * MAX_LOOK_UP;

/// The decisions so far.
struct Decided {
    /// The place of the first job that is not decided.
    next: usize,
    /// Answers that wait for earlier ones: by the place of the first job, the number of jobs and the
    /// answers for those that are not named by ID.
    early: BTreeMap<usize, (usize, Vec<Found>)>,
    /// Each user that was found by an identifier other than the ID, and the first line with it.
    first_line: HashMap<UserId, u64>,
    to_unlock: Vec<UnlockJob>,
    /// The size of the user objects in `to_unlock`, in bytes.
    n_kept: usize,
}

/// The answer for one record: its users, or why the look-up failed.
struct Found {
    record: usize,
    target: Identifier,
    facts: Facts,
    users: Result<Vec<UserSnapshot>, (Outcome, Failure)>,
}

/// The request for an answer.
#[derive(Clone)]
struct Facts {
    attempt: Attempt,
    n_attempts: u32,
    took: Duration,
    ray: Option<String>,
}

impl<'a, A: Api> LookUp<'a, A> {
    /// A look-up. `known` are the users that an earlier run found by an identifier other than the ID,
    /// each with the line of it.
    pub fn new(
        api: &'a A,
        purpose: Purpose,
        records: &'a [InputRecord],
        excluded: &'a ExcludeList,
        known: HashMap<UserId, u64>,
    ) -> Self {
        let decided = RefCell::new(Decided {
            next: 0,
            early: BTreeMap::new(),
            first_line: known,
            to_unlock: Vec::new(),
            n_kept: 0,
        });
        Self { api, purpose, records, excluded, locked_again: None, decided }
    }

    /// Keeps the outcome of users that an earlier read-back found locked again, with the time of that
    /// read-back. A user who was unlocked since may still be under attack.
    #[must_use]
    pub fn keeping(self, locked_again: &'a HashMap<UserId, SystemTime>) -> Self {
        Self { locked_again: Some(locked_again), ..self }
    }

    /// The users to unlock, in the order of the input.
    pub fn into_jobs(self) -> Vec<UnlockJob> {
        let mut jobs = self.decided.into_inner().to_unlock;
        jobs.sort_unstable_by_key(|job| job.record);
        jobs
    }

    /// Adds the answers for a batch and returns the rows that can be decided now.
    fn settle(&self, first: usize, found: Vec<Found>) -> Vec<Event> {
        let decided = &mut *self.decided.borrow_mut();
        let n_found = found.len();
        // The plan contains no duplicate IDs.
        let (mut ready, in_order): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|found| found.target.user_id().is_some());
        decided.early.insert(first, (n_found, in_order));
        while let Some((n_found, in_order)) = decided.early.remove(&decided.next) {
            decided.next += n_found;
            ready.extend(in_order);
        }
        ready.into_iter().filter_map(|found| self.decide(found, decided)).collect()
    }

    /// The row of one record; `None` if it becomes a job.
    fn decide(&self, found: Found, decided: &mut Decided) -> Option<Event> {
        let Found { record, target, facts, users } = found;
        let row = match users {
            Ok(users) => match <[UserSnapshot; 1]>::try_from(users) {
                Ok([user]) => self.one(record, &target, &facts, user, decided)?,
                Err(users) => self.none_or_many(record, &target, &facts, &users),
            },
            Err((outcome, failure)) => {
                let row = facts.row(&self.records[record], outcome);
                let row = Row { user_id: target.user_id().cloned(), ..row };
                with_failure(row, Some(failure))
            }
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
        user: UserSnapshot,
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

    /// Why the user is excluded, if the exclude list has any identifier of the user.
    fn exclusion_of(&self, user: &UserSnapshot) -> Option<String> {
        if self.purpose == Purpose::ReadBack {
            return None;
        }
        self.excluded.find(user).map(|exclusion| exclusion.to_string())
    }

    /// The outcome for a user; `None` if the user object does not show enough of the lock.
    fn outcome(&self, user: &UserSnapshot, is_excluded: bool) -> Option<Outcome> {
        match self.purpose {
            Purpose::ReadBack => Some(read_back(Some(user))),
            _ if is_excluded => Some(Outcome::Excluded),
            Purpose::Plan(admin_locked) | Purpose::Run(admin_locked) => decide(user, admin_locked),
            Purpose::PlanRelock | Purpose::Relock => decide_relock(user),
        }
    }

    /// The targets for which this answer decides nothing.
    fn undecided(&self, targets: &[Identifier], users: &[UserSnapshot]) -> Vec<Identifier> {
        let is_undecided = |user: &UserSnapshot| {
            let is_excluded = || self.exclusion_of(user).is_some();
            user.is_admin_locked().is_none()
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
        users: &[UserSnapshot],
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
                // No user is unlocked, but the entries of the exclude list count as matched.
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
    /// Whether to keep the user object for the row of an unlock whose answer has none. Memory is
    /// bounded: beyond this size, such a row has no snapshot.
    fn room_for(&mut self, user: &UserSnapshot) -> bool {
        const MAX_KEPT: usize = 64 << 20;
        let n_kept = self.n_kept.saturating_add(user.json.len());
        let is_room = n_kept <= MAX_KEPT;
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
    type Good = Vec<UserSnapshot>;

    async fn call(&self, batch: &Batch) -> Reply {
        self.api.look_up(&batch.pending).await
    }

    /// If some user objects in an answer do not show whether the user is locked, the answer decides
    /// the others only.
    fn classify(&self, batch: &mut Batch, reply: Reply) -> Verdict<Vec<UserSnapshot>> {
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
        is_by_id || batch.first.saturating_sub(self.decided.borrow().next) < MAX_AHEAD
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(&self, last: Last<Batch, Vec<UserSnapshot>>) -> Conclusion<Batch> {
        let Last { task, end, attempt, ray, answered_at } = last;
        let batch = task.item;
        let (record, first, n_records) = (self.record(&batch), batch.first, batch.records.len());
        // One value that the API refuses must not affect the other 99.
        if let End::Final(_, failure) = &end
            && n_records > 1
            && !batch.is_narrowed()
            && is_about_a_value(failure)
        {
            let (failure, wait) = (failure.clone(), Duration::ZERO);
            let event = Event::AttemptFailed { record, attempt, failure, wait };
            return Conclusion { events: vec![event], more: batch.halves(), ended_well: true };
        }
        let took = answered_at.saturating_duration_since(task.first_sent_at.unwrap_or(answered_at));
        let facts = Facts { attempt, n_attempts: task.n_attempts, took, ray };
        let mut events = vec![Event::BatchAnswered { attempt, n_records }];
        events.extend(self.settle(first, found(batch, &facts, end)));
        Conclusion { events, more: Vec::new(), ended_well: true }
    }
}

/// The failure of a user whose object does not show whether the user is locked, or whether on
/// purpose.
fn undecided_failure() -> Failure {
    Failure {
        code: "untrusted_answer".into(),
        message: "the answer does not say whether the user is locked, or whether on purpose".into(),
        status: Some(200),
        trace_id: None,
    }
}

/// Whether a refusal may be caused by one of the values. A wrong address or a redirect would affect
/// both halves in the same way. A 403 may be about one user; a key without permission stops the run
/// after five users.
fn is_about_a_value(failure: &Failure) -> bool {
    matches!(failure.status, Some(400 | 402 | 403 | 406..=499))
}

fn found(batch: Batch, facts: &Facts, end: End<Vec<UserSnapshot>>) -> Vec<Found> {
    let Batch { records, targets, pending, mut found, .. } = batch;
    let failed = match end {
        End::Good(users) => {
            found.extend(users);
            None
        }
        // A 404 means a wrong address, as a missing user is not an error.
        End::Final(_, failure) => Some((Outcome::Rejected, failure)),
        End::Exhausted(failure) | End::StillLocked(failure) => Some((Outcome::Failed, failure)),
    };
    // An earlier answer decided these users, even if a later attempt failed.
    let mut of_answer = facts.clone();
    of_answer.attempt.status = Some(200);
    let mut users_of = by_target(found);
    let one = |(record, target): (usize, Identifier)| match &failed {
        Some(failed) if pending.contains(&target) => {
            Found { record, target, facts: facts.clone(), users: Err(failed.clone()) }
        }
        _ => {
            let users = users_of(&target);
            Found { record, target, facts: of_answer.clone(), users: Ok(users) }
        }
    };
    records.into_iter().zip(targets).map(one).collect()
}

/// A function that returns the users of a target: by ID with a map, otherwise with a search.
fn by_target(users: Vec<UserSnapshot>) -> impl FnMut(&Identifier) -> Vec<UserSnapshot> {
    let mut by_id: HashMap<String, UserSnapshot> =
        users.into_iter().map(|user| (user.id.clone(), user)).collect();
    move |target| match target.user_id() {
        Some(id) => by_id.remove(id.as_str()).into_iter().collect(),
        None => by_id.values().filter(|user| classify::matches(target, user)).cloned().collect(),
    }
}

/// The users of one look-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The place of its first job among all jobs.
    pub first: usize,
    /// The indices of the records in the input; not empty.
    pub records: Vec<usize>,
    /// The identifiers to look up, one for each record.
    pub targets: Vec<Identifier>,
    /// The targets that are not decided; not empty.
    pending: Vec<Identifier>,
    /// The users of the targets that are no longer pending.
    found: Vec<UserSnapshot>,
}

/// Divides the jobs, which are the records with these indices, into batches in the same order.
pub fn batches(records: &Records, jobs: Vec<u32>) -> impl Iterator<Item = Batch> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = jobs[first..].iter().take(MAX_LOOK_UP).map(|&place| place as usize);
        // All jobs are records with a valid identifier.
        let named = rest.filter_map(|place| Some((place, records.target(place).ok()?)));
        let (mut places, mut targets): (Vec<usize>, Vec<Identifier>) = named.unzip();
        // The API would combine kinds by *and*.
        let kind = targets.first()?.kind();
        let same_kind = targets.iter().take_while(|target| target.kind() == kind);
        let n_jobs = n_that_fit(kind.query_parameter(), same_kind.map(Identifier::as_str));
        places.truncate(n_jobs);
        targets.truncate(n_jobs);
        first += n_jobs;
        Some(Batch::new(first - n_jobs, places, targets))
    })
}

impl Batch {
    /// A batch before its first request.
    pub fn new(first: usize, records: Vec<usize>, targets: Vec<Identifier>) -> Self {
        Self { first, records, pending: targets.clone(), targets, found: Vec::new() }
    }

    /// Whether an answer decided some of the targets, so that only the others are pending.
    fn is_narrowed(&self) -> bool {
        self.pending.len() < self.targets.len()
    }

    /// Adds the users of an answer that decided all targets except for these, which stay pending.
    fn narrow(&mut self, undecided: Vec<Identifier>, users: Vec<UserSnapshot>) {
        let is_decided =
            |user: &UserSnapshot| !undecided.iter().any(|it| classify::matches(it, user));
        self.found.extend(users.into_iter().filter(is_decided));
        self.pending = undecided;
    }

    /// Divides the batch into two.
    fn halves(mut self) -> Vec<Self> {
        let middle = self.records.len() / 2;
        let records = self.records.split_off(middle);
        let targets = self.targets.split_off(middle);
        let second = Self::new(self.first + middle, records, targets);
        vec![second, Self::new(self.first, self.records, self.targets)]
    }
}

#[cfg(test)]
mod tests;
