//! Numbers, durations, rates and text from outside, formatted for people.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::model::{PauseReason, StopReason, mask_keys, one_line};
use crate::stats::summary::CommandKind;
use crate::stats::{Ceiling, Limit, Pace};

/// `1,234,567`.
pub fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 retry`, `1,234 retries`.
pub fn counted(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", number(n), if n == 1 { one } else { many })
}

/// `<1 ms`, `850 ms`, `4.2 s`, `42 s`, `3 min 12 s`, `1 h 05 min`.
pub fn duration(duration: Duration) -> String {
    let micros = duration.as_micros();
    let rounded = |unit: u128| (micros + unit / 2) / unit;
    let (millis, tenths, seconds) = (rounded(1_000), rounded(100_000), rounded(1_000_000));
    let minutes = rounded(60_000_000);
    match micros {
        0 => "0 s".to_owned(),
        _ if millis == 0 => "<1 ms".to_owned(),
        _ if millis < 1000 => format!("{millis} ms"),
        _ if tenths < 100 && tenths % 10 != 0 => format!("{}.{} s", tenths / 10, tenths % 10),
        _ if seconds < 60 => format!("{seconds} s"),
        _ if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// A time in UTC, in this `strftime` format.
pub fn utc(wall: SystemTime, format: &str) -> String {
    match Timestamp::try_from(wall) {
        Ok(timestamp) => timestamp.strftime(format).to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// A text from outside on one line, without characters that move the cursor, color the console, or
/// reverse the order of letters.
pub fn clean(text: &str) -> Cow<'_, str> {
    match one_line(text) {
        line if line.contains(is_invisible) => Cow::Owned(line.replace(is_invisible, "\u{fffd}")),
        line => line,
    }
}

/// [`clean`], and at most `n_chars` characters. Keys are masked first: a part of a key could not be
/// recognized later.
pub fn clipped(text: &str, n_chars: usize) -> String {
    let text = mask_keys(text);
    let text = clean(&text);
    if text.chars().count() <= n_chars {
        return text.into_owned();
    }
    let kept: String = text.chars().take(n_chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Marks that reverse the order of letters, line breaks that are not control characters, and spaces
/// without width. Joiners are allowed: names need them.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The current rate and its ceiling in one unit, `48/s of 50/s`, and without the ceiling, `48/s`.
/// Before the first reply: `up to 50/s`.
pub(super) fn rate(pace: &Pace, ceiling: Option<Ceiling>) -> [String; 2] {
    let rate = pace.per_second.map(|per_second| in_unit_of(ceiling, per_second));
    let top = ceiling.map(|it| in_unit_of(ceiling, it.per_second()));
    let with_ceiling = match (&rate, top) {
        (Some(rate), Some(top)) => format!("{rate} of {top}"),
        (Some(rate), None) => rate.clone(),
        (None, Some(top)) => format!("up to {top}"),
        (None, None) => String::new(),
    };
    [with_ceiling, rate.unwrap_or_default()]
}

/// The pace of a forecast: `50/s`, or `800 per 10 s` for a burst.
pub(super) fn ceiling(ceiling: Ceiling) -> String {
    if ceiling.is_spaced {
        return in_unit_of(Some(ceiling), ceiling.per_second());
    }
    format!("{} per {}", number(ceiling.n_requests.into()), duration(ceiling.per))
}

/// The rate per second, minute or hour: the shortest time in which the ceiling is at least one
/// request.
fn in_unit_of(ceiling: Option<Ceiling>, per_second: f64) -> String {
    let (seconds, unit) = match ceiling.map_or(1.0, Ceiling::per_second) {
        top if top >= 1.0 => (1.0, "s"),
        top if top * 60.0 >= 1.0 => (60.0, "min"),
        _ => (3600.0, "h"),
    };
    let n = per_second * seconds;
    if n < 9.95 {
        let n = format!("{n:.1}");
        return format!("{}/{unit}", n.strip_suffix(".0").unwrap_or(&n));
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    let n = n.round() as u64;
    format!("{}/{unit}", number(n))
}

/// `18 s left`, in whole seconds, rounded up.
pub(super) fn left(left: Duration) -> String {
    let begun = u64::from(left.subsec_nanos() > 0);
    format!("{} left", duration(Duration::from_secs(left.as_secs().saturating_add(begun))))
}

/// What limits the pace, in a long form and in a short one for narrow terminals.
pub(super) fn limit(limit: &Limit) -> [String; 2] {
    match limit {
        Limit::Pace => ["limited by the pace", "at the pace"].map(str::to_owned),
        Limit::Latency => ["limited by latency", "latency"].map(str::to_owned),
        Limit::Pause { reason: PauseReason::Throttled, until, left } => {
            let until = utc(*until, "%H:%M:%SZ");
            let left = duration(*left);
            [format!("paused by a 429 until {until} ({left})"), format!("429 until {until}")]
        }
        Limit::Pause { reason: PauseReason::Outage, left, .. } => {
            let probe = match duration(*left) {
                _ if left.is_zero() => ["waiting for a probe"; 2].map(str::to_owned),
                left => [format!("next probe in {left}"), format!("probe in {left}")],
            };
            let [long, short] = probe;
            [format!("the API does not answer; {long}"), format!("no answer; {short}")]
        }
    }
}

/// The users for whom a command succeeded: "3 unlocked".
pub(super) fn aim(command: CommandKind) -> &'static str {
    match command {
        CommandKind::Run => "unlocked",
        CommandKind::Plan => "to unlock",
        CommandKind::Verify => "still unlocked",
        CommandKind::Locked => "locked",
        CommandKind::Relock => "locked again",
        CommandKind::RelockPlan => "to lock again",
    }
}

/// The end of "Stopped …" and "Stopping …".
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_grouped_by_thousands() {
        let grouped = [0, 999, 1000, 12_345, 1_234_567].map(number);
        assert_eq!(grouped, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[track_caller]
    fn check(millis: u64, expected: &str) {
        assert_eq!(duration(Duration::from_millis(millis)), expected, "{millis} ms");
    }

    #[test]
    fn durations_have_two_or_three_digits() {
        check(0, "0 s");
        check(850, "850 ms");
        check(1000, "1 s");
        check(4217, "4.2 s");
        check(9949, "9.9 s");
        check(12_400, "12 s");
        check(192_000, "3 min 12 s");
        check(3_900_000, "1 h 05 min");
        check(90_000_000, "25 h 00 min");
        assert_eq!(duration(Duration::from_micros(300)), "<1 ms");
    }

    #[test]
    fn a_duration_is_not_rounded_up_to_60_seconds_or_60_minutes() {
        assert_eq!(duration(Duration::from_micros(999_600)), "1 s");
        check(9960, "10 s");
        check(59_700, "1 min 0 s");
        check(3_599_700, "1 h 00 min");
        check(7_199_000, "2 h 00 min");
    }

    #[test]
    fn a_count_of_one_is_singular() {
        assert_eq!(counted(1, "retry", "retries"), "1 retry");
        assert_eq!(counted(0, "retry", "retries"), "0 retries");
        assert_eq!(counted(1200, "retry", "retries"), "1,200 retries");
    }

    #[test]
    fn times_are_in_utc() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_829_165);
        assert_eq!(utc(wall, "%Y-%m-%d %H:%M:%S"), "2026-01-31 03:12:45");
    }

    #[test]
    fn a_clipped_text_ends_in_an_ellipsis_and_contains_no_key() {
        assert_eq!(clipped("no such user", 12), "no such user");
        assert_eq!(clipped("no such user", 8), "no such…");
        assert_eq!(clipped("no sk_live_0123456789abcdefghijXYZ1", 30), "no sk_live_…XYZ1");
    }

    proptest! {
        #[test]
        fn a_clean_text_is_one_line_without_control_characters(text in "\\PC*|[\\x00-\\x9f\u{2028}-\u{202e}]*") {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_invisible(c)), "{cleaned:?}");
            prop_assert!(clipped(&text, 5).chars().count() <= 5);
        }
    }

    #[track_caller]
    fn check_rate(per_second: Option<f64>, n_requests: u32, secs: u64, expected: &str) {
        let per = Duration::from_secs(secs);
        let ceiling = Ceiling { n_requests, per, is_spaced: true };
        let pace = Pace { per_second, limit: None, left: None };
        assert_eq!(rate(&pace, Some(ceiling))[0], expected);
    }

    #[test]
    fn rate_and_ceiling_have_one_unit() {
        check_rate(Some(48.4), 500, 10, "48/s of 50/s");
        check_rate(Some(4.96), 50, 10, "5/s of 5/s");
        check_rate(Some(1234.0), 20_000, 10, "1,234/s of 2,000/s");
        check_rate(Some(0.4), 1, 2, "24/min of 30/min");
        check_rate(Some(0.01), 40, 3600, "36/h of 40/h");
        check_rate(None, 500, 10, "up to 50/s");
        let pace = Pace { per_second: Some(9.97), limit: None, left: None };
        assert_eq!(rate(&pace, None), ["10/s", "10/s"]);
    }
}
