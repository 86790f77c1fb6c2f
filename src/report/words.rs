//! Phrases that several texts share.

use std::time::Duration;

use super::text::{duration, number, time_of_day};
use crate::model::{Outcome, PauseReason, StopReason};
use crate::stats::{Ceiling, Limit, Pace};

/// What users who were locked again, or would be, look like afterwards. `count` gives the number of
/// rows by outcome.
pub(super) fn relocked_remark(count: impl Fn(Outcome) -> u64) -> Option<&'static str> {
    if count(Outcome::Relocked) > 0 {
        Some(
            "The users that were locked again look locked on purpose (admin_locked) from now on: \
             after a look-up, `run` leaves them alone unless --include-admin-locked is given.",
        )
    } else if count(Outcome::WouldRelock) > 0 {
        Some("Users that `relock` locks again look locked on purpose (admin_locked) afterwards.")
    } else {
        None
    }
}

/// `48/s of 50/s`: the present rate and its ceiling in one unit. `up to 50/s` before the first
/// reply, `48/s` without a ceiling.
pub(super) fn rate(pace: &Pace, ceiling: Option<Ceiling>) -> String {
    let unit = Unit::of(ceiling);
    let rate = pace.per_second.map(|per_second| unit.write(per_second));
    let ceiling = ceiling.map(|it| unit.write(it.per_second()));
    match (rate, ceiling) {
        (Some(rate), Some(ceiling)) => format!("{rate} of {ceiling}"),
        (Some(rate), None) => rate,
        (None, Some(ceiling)) => format!("up to {ceiling}"),
        (None, None) => String::new(),
    }
}

/// `48/s`: the same without the ceiling, for a narrow terminal.
pub(super) fn short_rate(pace: &Pace, ceiling: Option<Ceiling>) -> String {
    let unit = Unit::of(ceiling);
    pace.per_second.map(|per_second| unit.write(per_second)).unwrap_or_default()
}

/// The pace of a forecast: `50/s`, `800 per 10 s` where they may be sent at once.
pub(super) fn ceiling(ceiling: Ceiling) -> String {
    if ceiling.is_spaced {
        return Unit::of(Some(ceiling)).write(ceiling.per_second());
    }
    format!("{} per {}", number(ceiling.n_requests.into()), duration(ceiling.per))
}

/// The unit in which a ceiling is at least one request.
#[derive(Clone, Copy)]
enum Unit {
    Second,
    Minute,
    Hour,
}

impl Unit {
    fn of(ceiling: Option<Ceiling>) -> Self {
        match ceiling.map_or(1.0, Ceiling::per_second) {
            per_second if per_second >= 1.0 => Self::Second,
            per_second if per_second * 60.0 >= 1.0 => Self::Minute,
            _ => Self::Hour,
        }
    }

    /// Whole numbers, and one digit behind the point below ten.
    fn write(self, per_second: f64) -> String {
        let (seconds, name) = match self {
            Self::Second => (1.0, "s"),
            Self::Minute => (60.0, "min"),
            Self::Hour => (3600.0, "h"),
        };
        let n = per_second * seconds;
        if n < 9.95 {
            let n = format!("{n:.1}");
            return format!("{}/{name}", n.strip_suffix(".0").unwrap_or(&n));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let n = n.round() as u64;
        format!("{}/{name}", number(n))
    }
}

/// `18 s left`, in whole seconds, rounded up.
pub(super) fn left(left: Duration) -> String {
    let begun = u64::from(left.subsec_nanos() > 0);
    format!("{} left", duration(Duration::from_secs(left.as_secs().saturating_add(begun))))
}

/// What limits the pace.
pub(super) fn limit(limit: &Limit) -> String {
    match limit {
        Limit::Pace => "limited by the pace".to_owned(),
        Limit::Latency => "limited by latency".to_owned(),
        Limit::Pause { reason: PauseReason::Throttled, until, left } => {
            format!("paused by a 429 until {} ({})", time_of_day(*until), duration(*left))
        }
        Limit::Pause { reason: PauseReason::Outage, left, .. } => {
            format!("the API does not answer; {}", probe(*left, "next probe"))
        }
    }
}

/// The same for a narrow terminal.
pub(super) fn short_limit(limit: &Limit) -> String {
    match limit {
        Limit::Pace => "at the pace".to_owned(),
        Limit::Latency => "latency".to_owned(),
        Limit::Pause { reason: PauseReason::Throttled, until, .. } => {
            format!("429 until {}", time_of_day(*until))
        }
        Limit::Pause { reason: PauseReason::Outage, left, .. } => {
            format!("no answer; {}", probe(*left, "probe"))
        }
    }
}

fn probe(left: Duration, noun: &str) -> String {
    if left.is_zero() {
        "waiting for a probe".to_owned()
    } else {
        format!("{noun} in {}", duration(left))
    }
}

/// What stopped the run: continues "Stopped …" and "Stopping …".
pub fn stopped_by(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxDuration => "by --max-duration",
        StopReason::Canary => "by --canary (not all of the first users ended well)",
        StopReason::MaxFail => "by --max-fail",
        StopReason::Outage => "by an outage of the API",
        StopReason::Interrupted => "by Ctrl-C",
        StopReason::Terminated => "by SIGTERM",
        StopReason::ProxyRefused => {
            "because the proxy requires authentication, or refused it (407)"
        }
        StopReason::UntrustedCertificate => "because the server's certificate is not trusted",
        StopReason::Forbidden => "because the key may not do this (402 or 403 for every user)",
        StopReason::Unauthorized => "because the secret key was refused (401)",
        StopReason::OutputFailed => "because the results can't be written",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(per_second: Option<f64>, n_requests: u32, secs: u64, expected: &str) {
        let per = Duration::from_secs(secs);
        let ceiling = Ceiling { n_requests, per, is_spaced: true };
        let pace = Pace { per_second, limit: None, left: None };
        assert_eq!(rate(&pace, Some(ceiling)), expected);
    }

    #[test]
    fn rate_and_ceiling_have_one_unit() {
        check(Some(48.4), 500, 10, "48/s of 50/s");
        check(Some(4.96), 50, 10, "5/s of 5/s");
        check(Some(1234.0), 20_000, 10, "1,234/s of 2,000/s");
        check(Some(0.4), 1, 2, "24/min of 30/min");
        check(Some(0.01), 40, 3600, "36/h of 40/h");
        check(None, 500, 10, "up to 50/s");
        let pace = Pace { per_second: Some(9.97), limit: None, left: None };
        assert_eq!((rate(&pace, None), short_rate(&pace, None)), ("10/s".into(), "10/s".into()));
    }
}
