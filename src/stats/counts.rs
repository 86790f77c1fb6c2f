//! How many rows ended how.

use crate::model::Outcome;

/// How many rows ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    /// Counts one more row.
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// The rows that ended so.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// All rows.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The rows whose outcome is one of those: `counts.n_where(Outcome::counts_as_failure)`.
    pub fn n_where(&self, is_meant: impl Fn(Outcome) -> bool) -> u64 {
        self.iter().filter(|(outcome, _)| is_meant(*outcome)).map(|(_, n)| n).sum()
    }

    /// The rows that did not end well.
    pub fn n_not_well(&self) -> u64 {
        self.n_where(|outcome| !outcome.ended_well())
    }

    /// The outcomes that occurred, in the order in which summaries name them.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().map(|outcome| (outcome, self.get(outcome))).filter(|(_, n)| *n > 0)
    }
}

impl FromIterator<Outcome> for Counts {
    fn from_iter<T: IntoIterator<Item = Outcome>>(outcomes: T) -> Self {
        let mut counts = Self::default();
        outcomes.into_iter().for_each(|outcome| counts.add(outcome));
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_a_place_of_its_own() {
        let counts: Counts = Outcome::ALL.into_iter().collect();
        assert!(Outcome::ALL.into_iter().all(|outcome| counts.get(outcome) == 1));
        assert_eq!(counts.total(), 16);
        assert_eq!(counts.n_not_well() + counts.n_where(Outcome::ended_well), 16);
    }

    #[test]
    fn only_what_occurred_is_named() {
        let counts: Counts =
            [Outcome::Failed, Outcome::Unlocked, Outcome::Failed].into_iter().collect();
        let named: Vec<_> = counts.iter().collect();
        assert_eq!(named, [(Outcome::Unlocked, 1), (Outcome::Failed, 2)]);
    }
}
