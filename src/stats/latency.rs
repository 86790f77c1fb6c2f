//! Latency of responses, or durations of records.

use std::time::Duration;

use hdrhistogram::Histogram;

/// A histogram of durations, to two significant digits, in constant memory.
#[derive(Clone, Debug)]
pub struct Latency {
    micros: Histogram<u64>,
    sum: Duration,
    max: Duration,
}

/// An hour; anything longer counts as an hour.
const LONGEST_MICROS: u64 = 3_600_000_000;

impl Default for Latency {
    fn default() -> Self {
        match Histogram::new_with_bounds(1, LONGEST_MICROS, 2) {
            Ok(micros) => Self { micros, sum: Duration::ZERO, max: Duration::ZERO },
            Err(why) => unreachable!("the bounds are constants that hdrhistogram takes: {why}"),
        }
    }
}

impl Latency {
    /// Adds a duration.
    pub fn add(&mut self, took: Duration) {
        self.micros.saturating_record(micros(took));
        self.sum = self.sum.saturating_add(took);
        self.max = self.max.max(took);
    }

    /// Number of durations.
    pub fn n(&self) -> u64 {
        self.micros.len()
    }

    /// Their sum.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// Number of durations up to this limit.
    pub fn n_up_to(&self, limit: Duration) -> u64 {
        self.micros.count_between(0, micros(limit))
    }

    /// The quantile of this share (0 to 1); zero where there are no durations.
    pub fn quantile(&self, share: f64) -> Duration {
        // The histogram rounds up, to the end of a bin that nothing may have reached.
        Duration::from_micros(self.micros.value_at_quantile(share)).min(self.max)
    }

    /// The maximum; zero where there are no durations.
    pub fn max(&self) -> Duration {
        self.max
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(LONGEST_MICROS).min(LONGEST_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_two_digits() {
        let mut latency = Latency::default();
        (1..=100).for_each(|n| latency.add(Duration::from_millis(n)));
        let is_near = |is: Duration, millis: u64| {
            is.abs_diff(Duration::from_millis(millis)) <= Duration::from_micros(millis * 10)
        };
        assert!(is_near(latency.quantile(0.5), 50), "{:?}", latency.quantile(0.5));
        assert!(is_near(latency.quantile(0.99), 99), "{:?}", latency.quantile(0.99));
        assert_eq!(latency.max(), Duration::from_millis(100));
        assert_eq!((latency.n(), latency.sum()), (100, Duration::from_millis(5050)));
        assert_eq!(latency.n_up_to(Duration::from_millis(25)), 25);
    }

    #[test]
    fn zero_and_the_longest_duration_are_counted() {
        let mut latency = Latency::default();
        assert_eq!(latency.max(), Duration::ZERO);
        latency.add(Duration::ZERO);
        latency.add(Duration::MAX);
        assert_eq!(latency.n(), 2);
        assert_eq!(latency.n_up_to(Duration::MAX), 2);
    }
}
