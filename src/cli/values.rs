//! Parsers for the values of flags.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo, Timestamp};

use crate::policy::pacing::Quota;
use crate::policy::stop_rule::MaxFail;

/// `30s`, `500ms`, `1h30m`, `7d` (days of 24 hours). Never zero.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let hint = "a duration is written with its unit, such as 500ms, 30s, 15m, 2h or 7d";
    let span: Span = text.parse().map_err(|_| hint.to_owned())?;
    let days = SpanRelativeTo::days_are_24_hours();
    let signed = span.to_duration(days).map_err(|_| hint.to_owned())?;
    match Duration::try_from(signed) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a duration is longer than zero".to_owned()),
    }
}

/// A time of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// In Unix milliseconds.
    At(i64),
    /// Before now.
    Ago(Duration),
}

impl Moment {
    /// In Unix milliseconds, at this time since the epoch; not before the epoch, as the API takes no
    /// negative numbers.
    pub(super) fn unix_ms(self, now: Duration) -> i64 {
        let ms = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        match self {
            Self::At(at) => at.max(0),
            Self::Ago(age) => ms(now.saturating_sub(age)),
        }
    }
}

/// `2026-07-06T22:00:00Z`, `2026-07-06T22:00:00+02:00`, or an age such as `7d`. A time without a
/// zone and a number without a unit could be read in several ways.
pub(super) fn moment(text: &str) -> Result<Moment, String> {
    let hint = "a time is written with its zone, such as 2026-07-06T22:00:00Z, or as an age with \
                its unit, such as 36h or 7d";
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(Moment::At(at.as_millisecond()));
    }
    duration(text).map(Moment::Ago).map_err(|_| hint.to_owned())
}

/// `org_…`. A sign in front of it would mean something else to the API.
pub(super) fn organization(text: &str) -> Result<String, String> {
    let id = text.strip_prefix("org_").unwrap_or_default();
    let is_id = (1..=64).contains(&id.len()) && id.bytes().all(|it| it.is_ascii_alphanumeric());
    let hint = "the ID of an organization is org_ and 1 to 64 letters and digits";
    if is_id { Ok(text.to_owned()) } else { Err(hint.to_owned()) }
}

/// `acme.com`, also `@acme.com`; in lower case.
pub(super) fn email_domain(text: &str) -> Result<String, String> {
    let domain = text.strip_prefix('@').unwrap_or(text);
    let is_part =
        |part: &str| !part.is_empty() && part.chars().all(|it| it.is_alphanumeric() || it == '-');
    let hint = "a domain is written as in an email address, such as acme.com";
    if domain.split('.').all(is_part) { Ok(domain.to_lowercase()) } else { Err(hint.to_owned()) }
}

/// A SHA-256 hash in hexadecimal; in lower case.
pub(super) fn sha256(text: &str) -> Result<String, String> {
    let is_hash = text.len() == 64 && text.bytes().all(|it| it.is_ascii_hexdigit());
    let hint = "a SHA-256 hash is 64 hexadecimal digits, as `plan` and sha256sum print it";
    if is_hash { Ok(text.to_ascii_lowercase()) } else { Err(hint.to_owned()) }
}

/// `1000/10s`: requests per window.
pub(super) fn quota(text: &str) -> Result<Quota, String> {
    per_time(text, "a quota is written as requests per window, such as 1000/10s")
}

/// `80/s`, `6000/m`: evenly spaced requests.
pub(super) fn rate(text: &str) -> Result<Quota, String> {
    per_time(text, "a rate is written as requests per time, such as 80/s or 6000/m")
}

fn per_time(text: &str, hint: &str) -> Result<Quota, String> {
    let (n, time) = text.split_once('/').ok_or(hint)?;
    let n: NonZeroU32 = n.trim().parse().map_err(|_| hint.to_owned())?;
    let time = time.trim();
    let is_bare_unit = time.starts_with(|c: char| c.is_ascii_alphabetic());
    let per = if is_bare_unit { duration(&format!("1{time}")) } else { duration(time) };
    Ok(Quota { n, per: per.map_err(|_| hint.to_owned())? })
}

/// `80%` or `80`: above 0, at most 100.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let hint = "a share is a percentage above 0 and at most 100, such as 80%";
    let number: f64 = text.trim_end_matches('%').trim().parse().map_err(|_| hint.to_owned())?;
    if number > 0.0 && number <= 100.0 { Ok(number) } else { Err(hint.to_owned()) }
}

/// `25` users or `5%` of them.
pub(super) fn max_fail(text: &str) -> Result<MaxFail, String> {
    if text.ends_with('%') {
        return percent(text).map(MaxFail::Percent);
    }
    match text.parse() {
        Ok(n) if n > 0 => Ok(MaxFail::Count(n)),
        _ => Err("a number of users, at least 1, or a percentage, such as 25 or 5%".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duration_requires_a_unit() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h30m"), Ok(Duration::from_secs(5_400)));
        assert_eq!(duration("2d"), Ok(Duration::from_secs(2 * 86_400)));
        for text in ["30", "", "0s", "-3s", "fast"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn moment_requires_a_zone_or_a_unit() {
        assert_eq!(moment("1970-01-01T00:00:01Z"), Ok(Moment::At(1_000)));
        assert_eq!(moment("1970-01-01T02:00:00.5+02:00"), Ok(Moment::At(500)));
        assert_eq!(moment("7d"), Ok(Moment::Ago(Duration::from_secs(7 * 86_400))));
        for text in ["2026-07-06T22:00:00", "2026-07-06", "22:00", "7", "1783375200", "-7d", ""] {
            assert!(moment(text).is_err(), "{text}");
        }
        let hour = Duration::from_secs(3_600);
        assert_eq!(Moment::Ago(hour).unix_ms(hour * 2), 3_600_000);
        assert_eq!(Moment::Ago(Duration::MAX).unix_ms(hour), 0);
        assert_eq!([5, -5].map(|at| Moment::At(at).unix_ms(hour)), [5, 0]);
    }

    #[test]
    fn ids_domains_and_hashes_are_checked() {
        assert_eq!(organization("org_2abC"), Ok("org_2abC".to_owned()));
        for text in ["", "org_", "-org_a", "+org_a", "user_a", "org_a&b", "org_a,org_b", " org_a"] {
            assert!(organization(text).is_err(), "{text}");
        }
        for text in ["acme.com", "@acme.com", "ACME.com"] {
            assert_eq!(email_domain(text), Ok("acme.com".to_owned()));
        }
        for text in ["", "@", "a@acme.com", "*.acme.com", "acme..com", "acme.com ", ".com"] {
            assert!(email_domain(text).is_err(), "{text}");
        }
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(sha256(&hash.to_uppercase()), Ok(hash.clone()));
        for text in ["", "abc", &hash[1..], &hash.replace('a', "g"), &format!("{hash}0")] {
            assert!(sha256(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quota_and_rate_require_a_time() {
        let of = |n, secs| Quota { n: NonZeroU32::new(n).unwrap(), per: Duration::from_secs(secs) };
        assert_eq!(quota("1000/10s"), Ok(of(1000, 10)));
        assert_eq!(rate("80/s"), Ok(of(80, 1)));
        assert_eq!(rate("6000/m"), Ok(of(6000, 60)));
        for text in ["1000", "0/10s", "x/s", "10/", "10/0s", "-5/s"] {
            assert!(quota(text).is_err(), "{text}");
        }
    }

    #[test]
    fn share_is_above_0_and_at_most_100() {
        assert_eq!(percent("80%"), Ok(80.0));
        assert_eq!(percent("12.5"), Ok(12.5));
        for text in ["0%", "101%", "-1", "NaN", "all"] {
            assert!(percent(text).is_err(), "{text}");
        }
    }

    #[test]
    fn max_fail_is_a_count_or_a_percentage() {
        assert_eq!(max_fail("25"), Ok(MaxFail::Count(25)));
        assert_eq!(max_fail("5%"), Ok(MaxFail::Percent(5.0)));
        assert!(max_fail("0").is_err());
    }
}
