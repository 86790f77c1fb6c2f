//! How long users took, as a small histogram.

use std::time::Duration;

/// How long users took, from the first attempt to the last answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durations {
    counts: [u64; LIMITS_MS.len() + 1],
    max: Duration,
}

/// Durations from one limit up to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval {
    /// The shortest of them.
    pub(crate) from: Duration,
    /// What all of them are shorter than; `None` in the last one.
    pub(crate) below: Option<Duration>,
    /// How many there are.
    pub(crate) n: u64,
}

/// What people would cut at: fine where answers are usual, coarse where retries are.
const LIMITS_MS: [u64; 16] =
    [10, 20, 50, 75, 100, 150, 200, 300, 500, 1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 300_000];

impl Durations {
    pub(super) fn add(&mut self, took: Duration) {
        let at = LIMITS_MS.partition_point(|limit| Duration::from_millis(*limit) <= took);
        self.counts[at] += 1;
        self.max = self.max.max(took);
    }

    pub(crate) fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The longest; zero where there was none.
    pub(crate) fn max(&self) -> Duration {
        self.max
    }

    /// From the first interval with anything in it to the last.
    pub(crate) fn intervals(&self) -> Vec<Interval> {
        let is_filled = |n: &u64| *n > 0;
        let Some(first) = self.counts.iter().position(is_filled) else { return Vec::new() };
        let last = self.counts.iter().rposition(is_filled).unwrap_or(first);
        let limit = |at: usize| LIMITS_MS.get(at).copied().map(Duration::from_millis);
        let interval = |at: usize| Interval {
            from: at.checked_sub(1).and_then(limit).unwrap_or_default(),
            below: limit(at),
            n: self.counts[at],
        };
        (first..=last).map(interval).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn of(millis: &[u64]) -> Durations {
        let mut durations = Durations::default();
        for it in millis {
            durations.add(ms(*it));
        }
        durations
    }

    #[test]
    fn empty_ends_are_left_out_and_gaps_are_kept() {
        let told: Vec<_> =
            of(&[12, 19, 60]).intervals().into_iter().map(|it| (it.from, it.n)).collect();
        assert_eq!(told, [(ms(10), 2), (ms(20), 0), (ms(50), 1)]);
        assert_eq!(of(&[]).intervals(), []);
    }

    proptest! {
        #[test]
        fn every_duration_is_in_one_interval(millis in prop::collection::vec(0u64..2_000_000, 0..50)) {
            let durations = of(&millis);
            for it in durations.intervals() {
                let is_inside = |at: &&u64| it.from <= ms(**at) && it.below.is_none_or(|end| ms(**at) < end);
                prop_assert_eq!(it.n, millis.iter().filter(is_inside).count() as u64);
            }
            prop_assert_eq!(durations.n(), millis.len() as u64);
        }
    }
}
