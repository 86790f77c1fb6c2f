//! The instance's quota and the part of it that this job may use.

use std::num::NonZeroU32;
use std::time::Duration;

/// So many requests in such a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// How many requests.
    pub n: NonZeroU32,
    /// In how long a window.
    pub per: Duration,
}

impl Quota {
    /// The part of it that `percent` of a hundred leaves, and at least one request.
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

    /// Requests in a second, on average.
    pub fn per_second(self) -> f64 {
        f64::from(self.n.get()) / self.per.as_secs_f64()
    }
}

/// How requests are paced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// At most this share in any window; inside the window as fast as a window's worth a second.
    Window(Quota),
    /// Evenly spaced (`--rate`).
    Even(Quota),
}

impl Pace {
    /// The numbers, whichever way they are kept.
    pub fn quota(self) -> Quota {
        match self {
            Self::Window(quota) | Self::Even(quota) => quota,
        }
    }

    /// How long so many requests take at the least when all goes well: what "N users will take
    /// about …" is reckoned from.
    pub fn duration_of(self, n_requests: u64) -> Duration {
        let quota = self.quota();
        let n = u64::from(quota.n.get());
        match self {
            Self::Window(_) => {
                let n_windows = n_requests.saturating_sub(1) / n;
                let rest = n_requests - (n_windows * n).min(n_requests);
                #[expect(clippy::cast_precision_loss, reason = "an estimate")]
                let inside = Duration::from_secs_f64(rest as f64 / n as f64);
                quota.per.saturating_mul(u32::try_from(n_windows).unwrap_or(u32::MAX)) + inside
            }
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            Self::Even(_) => Duration::from_secs_f64(n_requests as f64 / quota.per_second()),
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
    fn a_share_is_rounded_down_and_is_never_nothing() {
        assert_eq!(quota(1000).share(80.0), quota(800));
        assert_eq!(quota(99).share(50.0), quota(49));
        assert_eq!(quota(1).share(1.0), quota(1));
    }

    #[test]
    fn the_first_window_costs_a_second_and_each_further_one_its_length() {
        let pace = Pace::Window(quota(800));
        assert_eq!(pace.duration_of(0), Duration::ZERO);
        assert_eq!(pace.duration_of(400), Duration::from_millis(500));
        assert_eq!(pace.duration_of(800), Duration::from_secs(1));
        assert_eq!(pace.duration_of(1_600), Duration::from_secs(11));
    }

    #[test]
    fn an_even_pace_costs_the_same_for_each() {
        assert_eq!(Pace::Even(quota(800)).duration_of(800), Duration::from_secs(10));
    }
}
