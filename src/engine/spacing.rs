//! Even spacing between requests: governor's, on the runtime's clock.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::clock::now;

/// The runtime's clock, so that tests can pause it.
#[derive(Clone, Copy, Debug, Default)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        now()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Instant>>;

/// Lets requests leave one by one, evenly.
pub(super) struct Spacing {
    per_second: f64,
    limiter: Limiter,
}

/// A pace that differs by less than this part is the same.
const SAME: f64 = 0.02;

impl Spacing {
    /// Spacing at this many requests per second.
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, limiter: limiter(per_second) }
    }

    /// Changes the pace.
    ///
    /// A limiter cannot be changed, only replaced. The new one starts with its burst used up, so
    /// that no change of the pace lets a request leave early.
    pub(super) fn set(&mut self, per_second: f64) {
        if (self.per_second - per_second).abs() > self.per_second * SAME {
            self.per_second = per_second;
            self.limiter = limiter(per_second);
            // A limiter has room for its own burst.
            let _ = self.limiter.check_n(burst(per_second));
        }
    }

    /// The pace that is kept at the moment.
    pub(super) fn per_second(&self) -> f64 {
        self.per_second
    }

    /// Takes the next moment: `None` if that is now, else when to ask again.
    pub(super) fn take(&self) -> Option<Instant> {
        let refused = self.limiter.check().err()?;
        Some(now() + refused.wait_time_from(now()))
    }
}

fn limiter(per_second: f64) -> Limiter {
    let period = Duration::from_secs_f64(1.0 / possible(per_second)).max(Duration::from_nanos(1));
    let quota = Quota::with_period(period)
        .unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX))
        .allow_burst(burst(per_second));
    RateLimiter::direct_with_clock(quota, RuntimeClock)
}

/// How many requests may leave at once: 20 ms worth. Timers fire up to a millisecond late, so
/// without any burst a thousand requests per second would become five hundred.
pub(super) fn burst(per_second: f64) -> NonZeroU32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2e7")]
    let n = (possible(per_second) / 50.0).ceil() as u32;
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

/// The paces that a limiter can keep.
fn possible(per_second: f64) -> f64 {
    per_second.clamp(1e-6, 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn n_in_ten_seconds(spacing: &Spacing) -> u32 {
        let end = now() + Duration::from_secs(10);
        let mut n = 0;
        while now() < end {
            match spacing.take() {
                None => n += 1,
                Some(at) => tokio::time::sleep_until(at.into()).await,
            }
        }
        n
    }

    #[tokio::test(start_paused = true)]
    async fn the_pace_is_kept_and_used_in_spite_of_coarse_timers() {
        for per_second in [10.0, 80.0, 1_000.0] {
            let n = f64::from(n_in_ten_seconds(&Spacing::new(per_second)).await);
            assert!(n <= per_second * 10.0 + per_second / 50.0 + 1.0, "{n} at {per_second}/s");
            assert!(n >= per_second * 9.5, "{n} at {per_second}/s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn half_the_pace_is_half_as_many() {
        let mut spacing = Spacing::new(100.0);
        spacing.set(50.0);
        assert!((475..=502).contains(&n_in_ten_seconds(&spacing).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_pace_lets_nothing_leave_early() {
        for per_second in [0.5, 10.0, 1_000.0] {
            let mut spacing = Spacing::new(per_second);
            while spacing.take().is_none() {}
            for part in [0.5, 0.25, 1.0, 0.125] {
                spacing.set(per_second * part);
                assert!(spacing.take().is_some(), "{part} of {per_second}/s");
            }
        }
    }

    /// Each replacement costs a period, so small changes must not add up to a standstill.
    #[tokio::test(start_paused = true)]
    async fn a_pace_that_creeps_up_is_kept_and_used() {
        let mut spacing = Spacing::new(100.0);
        let (mut n, start) = (0.0, now());
        while now() < start + Duration::from_secs(100) {
            spacing.set(50.0 + (now() - start).as_secs_f64() / 2.0);
            match spacing.take() {
                None => n += 1.0,
                Some(at) => tokio::time::sleep_until(at.into()).await,
            }
        }
        assert!((7_000.0..7_501.0).contains(&n), "{n} of 7,500");
    }
}
