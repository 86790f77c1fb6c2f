//! Whether to try again, and when. Chance and time are parameters.

use std::time::{Duration, Instant};

/// Exponential backoff with full jitter, capped, for the attempts of one user.
///
/// Full jitter (a wait drawn evenly between zero and the ceiling) spreads simultaneous retries best;
/// see "Exponential Backoff And Jitter" in the AWS Architecture Blog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub max_retries: u32,
    /// The ceiling of the first wait.
    pub first_delay: Duration,
    /// The ceiling of all waits.
    pub longest_delay: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_retries: 8,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(20),
        }
    }
}

/// The longest wait that a `Retry-After` can impose on one user.
const LONGEST_HINT: Duration = Duration::from_secs(600);

impl RetryPolicy {
    /// How long to wait before the next attempt; `None` if the retries are used up.
    ///
    /// `n_retries` counts those already used. `chance` is between 0 and 1 and is drawn by the caller.
    pub fn wait(
        &self,
        n_retries: u32,
        chance: f64,
        at_least: Option<Duration>,
    ) -> Option<Duration> {
        if n_retries >= self.max_retries {
            return None;
        }
        let doublings = 1_u32.checked_shl(n_retries).unwrap_or(u32::MAX);
        let ceiling = self.first_delay.saturating_mul(doublings).min(self.longest_delay);
        let hint = at_least.unwrap_or_default().min(LONGEST_HINT);
        Some(ceiling.mul_f64(chance.clamp(0.0, 1.0)).max(hint))
    }
}

/// The retries of a whole run, so that an outage cannot multiply the load.
///
/// Each good reply adds one retry, and a few more accrue per second. A retry beyond the budget is
/// not refused but waits: no user fails because others did. So the load stays below twice that
/// of a run without faults, and falls to the few retries per second when nothing succeeds.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    balance: f64,
    cap: f64,
    per_second: f64,
    at: Instant,
}

impl RetryBudget {
    /// A full budget: `cap` retries may go at once, and `per_second` more accrue.
    pub fn new(cap: f64, per_second: f64, now: Instant) -> Self {
        Self { balance: cap, cap, per_second, at: now }
    }

    /// A good reply pays for one retry.
    pub fn deposit(&mut self) {
        self.balance = (self.balance + 1.0).min(self.cap);
    }

    /// Takes one retry out and returns how long it must wait until it is paid for.
    pub fn withdraw(&mut self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.balance = (self.balance + elapsed * self.per_second).min(self.cap) - 1.0;
        Duration::try_from_secs_f64(-self.balance / self.per_second).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(n_retries: u32, chance: f64, at_least: Option<u64>, expected_ms: Option<u64>) {
        let policy = RetryPolicy::default();
        let wait = policy.wait(n_retries, chance, at_least.map(Duration::from_secs));
        assert_eq!(wait, expected_ms.map(Duration::from_millis), "retry {n_retries}");
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        check(0, 1.0, None, Some(250));
        check(1, 1.0, None, Some(500));
        check(6, 1.0, None, Some(16_000));
        check(7, 1.0, None, Some(20_000));
    }

    #[test]
    fn the_wait_is_drawn_between_zero_and_the_ceiling() {
        check(3, 0.0, None, Some(0));
        check(3, 0.5, None, Some(1_000));
    }

    #[test]
    fn the_last_retry_has_no_wait() {
        check(8, 1.0, None, None);
    }

    #[test]
    fn retry_after_is_the_least_wait_up_to_ten_minutes() {
        check(0, 1.0, Some(3), Some(3_000));
        check(0, 1.0, Some(86_400), Some(600_000));
    }

    #[test]
    fn the_cap_holds_after_many_retries() {
        let policy = RetryPolicy { max_retries: u32::MAX, ..RetryPolicy::default() };
        for n_retries in [31, 32, 64, u32::MAX - 1] {
            assert_eq!(policy.wait(n_retries, 1.0, None), Some(policy.longest_delay));
        }
    }

    #[test]
    fn a_full_budget_allows_its_cap_at_once_and_then_a_few_per_second() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(3.0, 2.0, now);
        let waits: Vec<u128> = (0..5).map(|_| budget.withdraw(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1_000]);
    }

    #[test]
    fn each_good_reply_pays_for_one_retry() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(1.0, 1.0, now);
        for _ in 0..100 {
            assert_eq!(budget.withdraw(now), Duration::ZERO);
            budget.deposit();
        }
    }

    #[test]
    fn a_few_retries_per_second_are_allowed_without_success() {
        let start = Instant::now();
        let mut budget = RetryBudget::new(10.0, 5.0, start);
        let mut now = start;
        let mut n_retries = 0;
        while now < start + Duration::from_secs(100) {
            now += budget.withdraw(now);
            n_retries += 1;
        }
        assert!((500..=512).contains(&n_retries), "{n_retries}");
    }
}
