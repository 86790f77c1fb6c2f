//! Even spacing between requests: governor's, on the runtime's clock.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use super::clock::now;

/// Governor on the runtime's clock, so that tests can pause it.
#[derive(Clone, Copy, Debug, Default)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        now()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Instant>>;

/// Lets requests go one by one, evenly.
pub(super) struct Spacing {
    per_second: f64,
    fraction: f64,
    limiter: Limiter,
}

impl Spacing {
    /// So many requests a second.
    pub(super) fn new(per_second: f64) -> Self {
        Self { per_second, fraction: 1.0, limiter: limiter(per_second) }
    }

    /// From now on only this part of the pace.
    ///
    /// A limiter can't be slowed, only replaced. The new one starts with its burst spent: no change
    /// of the pace lets a request out early.
    pub(super) fn slow_to(&mut self, fraction: f64) {
        if (self.fraction - fraction).abs() > f64::EPSILON {
            self.fraction = fraction;
            let per_second = self.per_second * fraction;
            self.limiter = limiter(per_second);
            // A limiter has room for its own burst.
            let _ = self.limiter.check_n(burst(per_second));
        }
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

/// A burst is what goes at once after a rest. Timers wake up to a millisecond late, so without
/// any burst a thousand a second would become five hundred: twenty milliseconds' worth is allowed.
fn burst(per_second: f64) -> NonZeroU32 {
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
        spacing.slow_to(0.5);
        assert!((475..=502).contains(&n_in_ten_seconds(&spacing).await));
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_of_pace_lets_nothing_out_early() {
        for per_second in [0.5, 10.0, 1_000.0] {
            let mut spacing = Spacing::new(per_second);
            while spacing.take().is_none() {}
            for fraction in [0.5, 0.25, 1.0, 0.125] {
                spacing.slow_to(fraction);
                assert!(spacing.take().is_some(), "{fraction} of {per_second}/s");
            }
        }
    }
}
