//! Requests and rows over time, in buckets of equal width, few enough to draw.

use std::time::Duration;

/// What happened in one bucket of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Number of requests that ended.
    pub n_requests: u64,
    /// Number of those that were answered 429.
    pub n_throttled: u64,
    /// Number of those that failed otherwise.
    pub n_failed: u64,
    /// Number of rows.
    pub n_finished: u64,
}

impl Bucket {
    fn plus(self, other: Self) -> Self {
        Self {
            n_requests: self.n_requests + other.n_requests,
            n_throttled: self.n_throttled + other.n_throttled,
            n_failed: self.n_failed + other.n_failed,
            n_finished: self.n_finished + other.n_finished,
        }
    }
}

/// What happened when. Starts with buckets of a second; when there are too many, neighbors merge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    width: Duration,
    buckets: Vec<Bucket>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: Duration::from_secs(1), buckets: Vec::new() }
    }
}

impl Timeline {
    /// The maximum number of buckets.
    pub const MAX_BUCKETS: usize = 600;

    /// The bucket of this moment, counted from the start of the run.
    pub(super) fn at(&mut self, elapsed: Duration) -> &mut Bucket {
        let index = loop {
            match usize::try_from(elapsed.as_millis() / self.width.as_millis()) {
                Ok(index) if index < Self::MAX_BUCKETS => break index,
                _ => self.merge(),
            }
        };
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Bucket::default());
        }
        &mut self.buckets[index]
    }

    fn merge(&mut self) {
        let merged = self
            .buckets
            .chunks(2)
            .map(|pair| pair.iter().copied().fold(Bucket::default(), Bucket::plus));
        self.buckets = merged.collect();
        self.width *= 2;
    }

    /// The length of each bucket.
    pub fn width(&self) -> Duration {
        self.width
    }

    /// The buckets, from the start of the run.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn buckets_merge_and_lose_nothing(moments in prop::collection::vec(0u64..1_000_000, 1..200)) {
            let mut timeline = Timeline::default();
            for &second in &moments {
                timeline.at(Duration::from_secs(second)).n_requests += 1;
            }
            let width = timeline.width().as_secs();
            prop_assert!(timeline.buckets().len() <= Timeline::MAX_BUCKETS);
            for (number, bucket) in (0..).zip(timeline.buckets()) {
                let n = moments.iter().filter(|second| *second / width == number).count() as u64;
                prop_assert_eq!(bucket.n_requests, n);
            }
        }
    }

    #[test]
    fn ten_minutes_are_drawn_by_the_second_and_eleven_by_two() {
        let mut timeline = Timeline::default();
        timeline.at(Duration::from_secs(599)).n_finished += 1;
        assert_eq!(timeline.width(), Duration::from_secs(1));
        timeline.at(Duration::from_secs(600)).n_finished += 1;
        assert_eq!(timeline.width(), Duration::from_secs(2));
        assert_eq!(timeline.buckets().len(), 301);
    }
}
