//! The `Retry-After` header.

use std::time::{Duration, SystemTime};

/// How long a `Retry-After` asks to wait, not yet clamped.
///
/// Accepts seconds, with or without a fraction, and HTTP dates, from which `now` is subtracted: a
/// date in the past means no wait. `None` for anything else, such as a negative number. What is too
/// large for a [`Duration`] becomes [`Duration::MAX`].
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use bulk_unlock::clerk::retry_after::parse;
///
/// let now = SystemTime::UNIX_EPOCH;
/// assert_eq!(parse("1.5", now), Some(Duration::from_millis(1500)));
/// assert_eq!(parse("Thu, 01 Jan 1970 00:01:00 GMT", now), Some(Duration::from_secs(60)));
/// assert_eq!(parse("soon", now), None);
/// ```
pub fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if value.starts_with(|c: char| c.is_ascii_digit()) {
        return seconds(value);
    }
    let until = httpdate::parse_http_date(value).ok()?;
    Some(until.duration_since(now).unwrap_or_default())
}

/// Digits and at most one point: Rust's parser would also accept exponents.
fn seconds(value: &str) -> Option<Duration> {
    if !value.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return None;
    }
    let seconds: f64 = value.parse().ok()?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const NOW: u64 = 784_111_777;

    #[track_caller]
    fn check(value: &str, expected: Option<Duration>) {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        assert_eq!(parse(value, now), expected, "{value:?}");
    }

    #[test]
    fn seconds_may_have_a_fraction_and_surrounding_white_space() {
        check("0", Some(Duration::ZERO));
        check("10", Some(Duration::from_secs(10)));
        check(" 007 ", Some(Duration::from_secs(7)));
        check("0.25", Some(Duration::from_millis(250)));
        check("3.", Some(Duration::from_secs(3)));
    }

    #[test]
    fn a_date_counts_from_now_and_is_never_negative() {
        check("Sun, 06 Nov 1994 08:49:47 GMT", Some(Duration::from_secs(10)));
        check("Sunday, 06-Nov-94 08:49:47 GMT", Some(Duration::from_secs(10)));
        check("Sun Nov  6 08:49:47 1994", Some(Duration::from_secs(10)));
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(Duration::ZERO));
        check("Sun, 06 Nov 1994 08:49:27 GMT", Some(Duration::ZERO));
    }

    #[test]
    fn a_huge_number_is_the_longest_duration() {
        check(&"9".repeat(30), Some(Duration::MAX));
        check(&"9".repeat(500), Some(Duration::MAX));
    }

    #[test]
    fn anything_else_counts_as_absent() {
        for value in ["", " ", "soon", "-1", "-0", "+1", "1e3", "0x10", "1,5", "1.2.3", ".", "٣"] {
            check(value, None);
        }
        for value in ["NaN", "nan", "inf", "infinity", "-inf", "1 s", "10, 20", "1\0"] {
            check(value, None);
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(value: String, digits in "[-+0-9.eEnNaAiIfF, ]{0,40}") {
            let _ = (parse(&value, SystemTime::now()), parse(&digits, SystemTime::UNIX_EPOCH));
        }

        #[test]
        fn whole_seconds_are_read_exactly(n in 0u32..) {
            let wait = Duration::from_secs(n.into());
            prop_assert_eq!(parse(&n.to_string(), SystemTime::UNIX_EPOCH), Some(wait));
        }

        #[test]
        fn a_date_is_as_far_away_as_it_says(now in 0u64..1 << 40, wait in 0u64..1 << 30) {
            let now = SystemTime::UNIX_EPOCH + Duration::from_secs(now % (1 << 36));
            let wait = Duration::from_secs(wait);
            prop_assert_eq!(parse(&httpdate::fmt_http_date(now + wait), now), Some(wait));
        }
    }
}
