//! The phrases that several texts share.

use std::time::Duration;

use super::text::{duration, number, time_of_day};
use crate::model::{PauseReason, StopReason};
use crate::stats::{Ceiling, Limit, Pace};

/// `412/s of 800/10 s`, without ceiling `412/s`.
pub(super) fn rate(pace: &Pace, ceiling: Option<Ceiling>) -> String {
    let Some(ceiling) = ceiling else { return rate_alone(pace) };
    format!("{} of {}", rate_alone(pace), window(ceiling))
}

/// `412/s`; slow ones with a digit behind the point, `0.4/s`.
pub(super) fn rate_alone(pace: &Pace) -> String {
    let rate = format!("{:.1}", pace.per_second);
    match rate.strip_suffix(".0") {
        Some(whole) => format!("{whole}/s"),
        None if pace.per_second < 10.0 => format!("{rate}/s"),
        None => format!("{:.0}/s", pace.per_second),
    }
}

/// `800/10 s`, `80/s`, `6,000/min`.
pub(super) fn window(ceiling: Ceiling) -> String {
    let n = number(ceiling.n_requests.into());
    match ceiling.per {
        per if per == Duration::from_secs(1) => format!("{n}/s"),
        per if per == Duration::from_secs(60) => format!("{n}/min"),
        per => format!("{n}/{}", duration(per)),
    }
}

/// `18 s left`, in whole seconds at least.
pub(super) fn left(left: Duration) -> String {
    let begun = u64::from(left.subsec_nanos() > 0);
    format!("{} left", duration(Duration::from_secs(left.as_secs().saturating_add(begun))))
}

/// What keeps the run from going faster.
pub(super) fn limit(limit: &Limit) -> String {
    match limit {
        Limit::Rate => "limited by the rate".to_owned(),
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
        Limit::Rate => "rate-limited".to_owned(),
        Limit::Latency => "latency-bound".to_owned(),
        Limit::Pause { reason: PauseReason::Throttled, left, .. } => {
            format!("429: pause {}", duration(*left))
        }
        Limit::Pause { reason: PauseReason::Outage, left, .. } => {
            format!("no answer; {}", probe(*left, "probe"))
        }
    }
}

fn probe(left: Duration, noun: &str) -> String {
    if left.is_zero() {
        "a probe is out".to_owned()
    } else {
        format!("{noun} in {}", duration(left))
    }
}

/// What stopped the run: goes on after "stopped".
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
