//! When a request may leave.
//!
//! Pure state machines, and one gate that combines them:
//!
//! - [`Ledger`]: at most the share in any window, whatever the latency, of all runs together.
//! - [`Throttle`]: a 429 sets a pause and a smaller share, which recovers slowly.
//! - [`Breaker`]: while the API does not answer, one probe at a time with growing pauses.
//! - [`Gate`]: the three together. It returns whether a request may leave or how long to wait.
//! - [`PaceRecord`]: what the runs with one key share, as it is stored in a file.

use std::num::NonZeroU32;
use std::time::Duration;

mod breaker;
mod gate;
mod ledger;
mod pace_record;
mod throttle;

pub use breaker::{Breaker, Miss};
pub use gate::{Change, Delivery, Gate, GateSettings, Report, Sent};
pub use ledger::{Entry, Ledger, Limits};
pub use pace_record::{Moment, PaceRecord};
pub use throttle::{Refusal, Throttle};

/// A number of requests per window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Requests.
    pub n: NonZeroU32,
    /// The length of the window.
    pub per: Duration,
}

impl Quota {
    /// `percent` of the requests, rounded down, and at least one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a u32 is a u32: percent is at most 100"
    )]
    #[must_use]
    pub fn share(self, percent: f64) -> Self {
        let n = (f64::from(self.n.get()) * percent.clamp(0.0, 100.0) / 100.0).floor() as u32;
        Self { n: NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN), per: self.per }
    }

    /// Requests per second, on average.
    pub fn per_second(self) -> f64 {
        f64::from(self.n.get()) / self.per.as_secs_f64()
    }
}

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Evenly spaced at this share of the quota, and at most the share in any window.
    Share(Quota),
    /// At most this share in any window, without even spacing (`--burst`).
    Burst(Quota),
    /// Evenly spaced at this rate, whatever the quota (`--rate`).
    Rate(Quota),
}

/// The window of Clerk's quota: what a rate is counted in where no quota is named.
const CLERK_WINDOW: Duration = Duration::from_secs(10);

/// Longer windows are cut to this: a time plus a window must be a valid time.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Pace {
    /// The requests and the time as they were configured.
    pub fn quota(self) -> Quota {
        match self {
            Self::Share(quota) | Self::Burst(quota) | Self::Rate(quota) => quota,
        }
    }

    /// The length of the server's window.
    pub fn window(self) -> Duration {
        match self {
            Self::Share(quota) | Self::Burst(quota) => quota.per,
            Self::Rate(quota) => quota.per.max(CLERK_WINDOW),
        }
        .min(LONGEST_WINDOW)
    }

    /// Requests per window.
    pub fn per_window(self) -> f64 {
        match self {
            Self::Share(quota) | Self::Burst(quota) => f64::from(quota.n.get()),
            Self::Rate(quota) => quota.per_second() * self.window().as_secs_f64(),
        }
    }

    /// The shortest time in which this many requests can be sent: the basis of "about 4 min".
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn duration_of(self, n_requests: u64) -> Duration {
        let quota = self.quota();
        let n = u64::from(quota.n.get());
        match self {
            // The first window's share takes about a second, each further one its window.
            Self::Burst(_) => {
                let n_windows = n_requests.saturating_sub(1) / n;
                let rest = n_requests - (n_windows * n).min(n_requests);
                let inside = Duration::from_secs_f64(rest as f64 / n as f64);
                let windows = u32::try_from(n_windows).unwrap_or(u32::MAX);
                quota.per.saturating_mul(windows).saturating_add(inside)
            }
            Self::Share(_) | Self::Rate(_) => {
                let seconds = n_requests as f64 / quota.per_second();
                Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(n: u32) -> Quota {
        Quota { n: NonZeroU32::new(n).unwrap(), per: Duration::from_secs(10) }
    }

    #[test]
    fn a_share_is_rounded_down_and_at_least_one() {
        assert_eq!(quota(1000).share(80.0), quota(800));
        assert_eq!(quota(99).share(50.0), quota(49));
        assert_eq!(quota(1).share(1.0), quota(1));
    }

    #[test]
    fn a_burst_takes_a_second_and_each_further_window_its_length() {
        let pace = Pace::Burst(quota(800));
        assert_eq!(pace.duration_of(0), Duration::ZERO);
        assert_eq!(pace.duration_of(400), Duration::from_millis(500));
        assert_eq!(pace.duration_of(800), Duration::from_secs(1));
        assert_eq!(pace.duration_of(1_600), Duration::from_secs(11));
    }

    #[test]
    fn an_even_pace_takes_the_same_time_for_each_request() {
        for pace in [Pace::Share(quota(800)), Pace::Rate(quota(800))] {
            assert_eq!(pace.duration_of(800), Duration::from_secs(10));
        }
        let slowest = Quota { n: NonZeroU32::MIN, per: Duration::MAX };
        assert_eq!(Pace::Share(slowest).duration_of(9), Duration::MAX);
    }

    #[test]
    fn a_rate_is_counted_in_windows_of_ten_seconds_at_least() {
        let rate = Quota { n: NonZeroU32::new(80).unwrap(), per: Duration::from_secs(1) };
        assert_eq!(Pace::Rate(rate).window(), Duration::from_secs(10));
        assert!((Pace::Rate(rate).per_window() - 800.0).abs() < 1e-9);
        assert_eq!(Pace::Share(rate).window(), Duration::from_secs(1));
    }
}
