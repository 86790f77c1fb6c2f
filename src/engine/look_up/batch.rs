//! Up to a hundred users a call.

use crate::clerk::request::n_that_fit;
use crate::model::{Identifier, IdentifierKind, Job, UserSnapshot};
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

/// Cuts the jobs into batches, in order.
pub fn batches(jobs: Vec<Job>) -> impl Iterator<Item = Batch> + 'static {
    let (records, targets): (Vec<usize>, Vec<Identifier>) =
        jobs.into_iter().map(|job| (job.record, job.target)).unzip();
    let mut first = 0;
    std::iter::from_fn(move || {
        let rest = &targets[first..];
        let n_jobs = rest.first().map_or(0, |target| n_in_one_request(target.kind(), rest));
        let (start, end) = (first, first + n_jobs);
        first = end;
        (n_jobs > 0)
            .then(|| Batch::new(start, records[start..end].to_vec(), targets[start..end].to_vec()))
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

    fn jobs(n: usize, length: usize) -> Vec<Job> {
        let target = |record| Identifier::ExternalId(format!("{record:0>length$}").into());
        (0..n).map(|record| Job { record, target: target(record) }).collect()
    }

    fn sizes(n: usize, length: usize) -> Vec<(usize, usize)> {
        batches(jobs(n, length)).map(|batch| (batch.first, batch.n_jobs())).collect()
    }

    #[test]
    fn a_hundred_go_into_one_call() {
        assert_eq!(sizes(250, 20), [(0, 100), (100, 100), (200, 50)]);
        assert_eq!(sizes(0, 20), []);
    }

    #[test]
    fn identifiers_of_different_kinds_are_not_mixed_in_one_request() {
        let mut jobs = jobs(6, 9);
        for job in &mut jobs[2..4] {
            job.target = Identifier::UserId("user_a".parse().unwrap());
        }
        let sizes: Vec<_> = batches(jobs).map(|batch| (batch.first, batch.n_jobs())).collect();
        assert_eq!(sizes, [(0, 2), (2, 2), (4, 2)]);
    }

    #[test]
    fn long_values_make_smaller_batches_and_none_is_lost() {
        let sizes = sizes(100, 250);
        assert!(sizes.len() > 1);
        assert_eq!(sizes.iter().map(|(_, n)| n).sum::<usize>(), 100);
    }

    #[test]
    fn halves_hold_the_same_jobs_in_order() {
        let batch = batches(jobs(5, 9)).next().unwrap();
        let mut halves = batch.clone().halves();
        halves.reverse();
        assert_eq!(halves.iter().map(|half| half.first).collect::<Vec<_>>(), [0, 2]);
        let targets: Vec<Identifier> = halves.into_iter().flat_map(|half| half.targets).collect();
        assert_eq!(targets, batch.targets);
    }
}
