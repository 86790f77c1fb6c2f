//! Up to a hundred users a call.

use crate::clerk::request::{MAX_LOOK_UP, n_that_fit};
use crate::model::{Identifier, IdentifierKind, Records, UserSnapshot};
use crate::policy::classify::matches;

/// The users of one look-up.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// The place of its first job among all jobs.
    pub first: usize,
    /// The places of the records in the input; never none.
    pub records: Vec<usize>,
    /// Whom to look up, one for each record.
    pub targets: Vec<Identifier>,
    /// Those of them who are still to be asked for; never none.
    pub(super) pending: Vec<Identifier>,
    /// The users found by the targets that are no longer pending.
    pub(super) found: Vec<UserSnapshot>,
}

/// Cuts the jobs, which are the records at these places, into batches, in order.
pub fn batches(records: &Records, jobs: Vec<u32>) -> impl Iterator<Item = Batch> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = jobs[first..].iter().take(MAX_LOOK_UP).map(|&place| place as usize);
        // Only records that name a user become jobs.
        let named = rest.filter_map(|place| Some((place, records.target(place).ok()?)));
        let (mut places, mut targets): (Vec<usize>, Vec<Identifier>) = named.unzip();
        let n_jobs = n_in_one_request(targets.first()?.kind(), &targets);
        places.truncate(n_jobs);
        targets.truncate(n_jobs);
        first += n_jobs;
        Some(Batch::new(first - n_jobs, places, targets))
    })
}

/// How many of these identifiers, from the first on, one request can look up: those of another
/// kind would narrow the answer to users who have both.
fn n_in_one_request(kind: IdentifierKind, targets: &[Identifier]) -> usize {
    let same_kind = targets.iter().take_while(|target| target.kind() == kind);
    n_that_fit(kind.query_parameter(), same_kind.map(Identifier::as_str))
}

impl Batch {
    /// A batch of which nobody was asked for yet.
    pub fn new(first: usize, records: Vec<usize>, targets: Vec<Identifier>) -> Self {
        Self { first, records, pending: targets.clone(), targets, found: Vec::new() }
    }

    /// How many jobs it holds.
    pub fn n_jobs(&self) -> usize {
        self.records.len()
    }

    /// Whether an answer decided about some of the targets, so that only the others are pending.
    pub(super) fn is_narrowed(&self) -> bool {
        self.pending.len() < self.targets.len()
    }

    /// Takes the users of an answer that decided about all targets but these, which are asked for
    /// again.
    pub(super) fn narrow(&mut self, undecided: Vec<Identifier>, users: Vec<UserSnapshot>) {
        let is_decided = |user: &UserSnapshot| !undecided.iter().any(|it| matches(it, user));
        self.found.extend(users.into_iter().filter(is_decided));
        self.pending = undecided;
    }

    /// The same jobs in two batches, of which nobody was asked for yet.
    pub(super) fn halves(mut self) -> Vec<Self> {
        let middle = self.n_jobs() / 2;
        let records = self.records.split_off(middle);
        let targets = self.targets.split_off(middle);
        let second = Self::new(self.first + middle, records, targets);
        vec![second, Self::new(self.first, self.records, self.targets)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InputRecord;

    /// Records that name their users by external IDs of this length.
    fn records(n: u32, length: usize) -> Records {
        let record = |n| InputRecord::new(1, &format!("{n:0>length$}"));
        let records = (0..n).map(record).collect();
        Records { records, kind: IdentifierKind::ExternalId, ..Records::default() }
    }

    fn batches_of(records: &Records) -> Vec<Batch> {
        batches(records, (0..).take(records.records.len()).collect()).collect()
    }

    fn sizes(records: &Records) -> Vec<(usize, usize)> {
        batches_of(records).iter().map(|batch| (batch.first, batch.n_jobs())).collect()
    }

    #[test]
    fn a_hundred_go_into_one_call() {
        assert_eq!(sizes(&records(250, 20)), [(0, 100), (100, 100), (200, 50)]);
        assert_eq!(sizes(&records(0, 20)), []);
    }

    #[test]
    fn identifiers_of_different_kinds_are_not_mixed_in_one_request() {
        let mut records = records(6, 9);
        for record in &mut records.records[2..4] {
            *record = record.clone().with_user("user_a".parse().ok());
        }
        assert_eq!(sizes(&records), [(0, 2), (2, 2), (4, 2)]);
    }

    #[test]
    fn long_values_make_smaller_batches_and_none_is_lost() {
        let sizes = sizes(&records(100, 250));
        assert!(sizes.len() > 1);
        assert_eq!(sizes.iter().map(|(_, n)| n).sum::<usize>(), 100);
    }

    #[test]
    fn halves_hold_the_same_jobs_in_order() {
        let batch = batches_of(&records(5, 9)).remove(0);
        let mut halves = batch.clone().halves();
        halves.reverse();
        assert_eq!(halves.iter().map(|half| half.first).collect::<Vec<_>>(), [0, 2]);
        let targets: Vec<Identifier> = halves.into_iter().flat_map(|half| half.targets).collect();
        assert_eq!(targets, batch.targets);
    }
}
