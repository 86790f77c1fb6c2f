//! A run-wide budget, so that an outage can't multiply the load.

use std::time::{Duration, Instant};

/// Lets retries be at most as many as good answers, and a trickle more.
///
/// A retry that finds the budget empty is not refused, it waits: no user fails because others did.
/// So the load stays below twice that of a run without faults, and when nothing succeeds it falls
/// to the trickle.
#[derive(Clone, Debug)]
pub struct RetryBudget {
    balance: f64,
    cap: f64,
    per_second: f64,
    at: Instant,
}

impl RetryBudget {
    /// A full budget. `cap` retries may go at once; `per_second` is the trickle.
    pub fn new(cap: f64, per_second: f64, now: Instant) -> Self {
        Self { balance: cap, cap, per_second, at: now }
    }

    /// A good answer pays for one retry.
    pub fn deposit(&mut self) {
        self.balance = (self.balance + 1.0).min(self.cap);
    }

    /// Takes one retry out and says how long it has to wait until it is paid for.
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

    #[test]
    fn a_full_budget_lets_its_cap_go_at_once_and_then_a_trickle() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(3.0, 2.0, now);
        let waits: Vec<u128> = (0..5).map(|_| budget.withdraw(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 500, 1_000]);
    }

    #[test]
    fn each_good_answer_pays_for_one_retry() {
        let now = Instant::now();
        let mut budget = RetryBudget::new(1.0, 1.0, now);
        for _ in 0..100 {
            assert_eq!(budget.withdraw(now), Duration::ZERO);
            budget.deposit();
        }
    }

    #[test]
    fn when_nothing_succeeds_only_the_trickle_goes() {
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
