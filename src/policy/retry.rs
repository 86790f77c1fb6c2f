//! The second question: shall we try again, and when? Chance and time come in as numbers.

mod budget;

use std::time::Duration;

pub use budget::RetryBudget;

/// Exponential backoff with full jitter, capped, for one user's attempts.
///
/// Full jitter (a wait drawn evenly from zero up to the ceiling) spreads a crowd of failures best;
/// see "Exponential Backoff And Jitter" in the AWS Architecture Blog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Further attempts after the first.
    pub max_retries: u32,
    /// The ceiling of the first wait.
    pub first_delay: Duration,
    /// The ceiling of every wait.
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

/// The longest time that one server's `Retry-After` can make one user wait.
const LONGEST_HINT: Duration = Duration::from_secs(600);

impl RetryPolicy {
    /// How long to wait before the next attempt; `None` when the retries are used up.
    ///
    /// `n_retries` counts those already used. `chance` is in 0..1 and is rolled by the caller.
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
    fn the_wait_is_drawn_from_zero_up() {
        check(3, 0.0, None, Some(0));
        check(3, 0.5, None, Some(1_000));
    }

    #[test]
    fn after_the_last_retry_there_is_none() {
        check(8, 1.0, None, None);
    }

    #[test]
    fn what_the_server_asks_for_is_granted_up_to_ten_minutes() {
        check(0, 1.0, Some(3), Some(3_000));
        check(0, 1.0, Some(86_400), Some(600_000));
    }

    #[test]
    fn many_retries_overflow_into_the_cap() {
        let policy = RetryPolicy { max_retries: u32::MAX, ..RetryPolicy::default() };
        for n_retries in [31, 32, 64, u32::MAX - 1] {
            assert_eq!(policy.wait(n_retries, 1.0, None), Some(policy.longest_delay));
        }
    }
}
