//! Numbers, durations and foreign texts, as people read them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::model::{mask_keys, one_line};

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
    match () {
        () if micros == 0 => "0 s".to_owned(),
        () if millis == 0 => "<1 ms".to_owned(),
        () if millis < 1000 => format!("{millis} ms"),
        () if tenths < 100 && tenths % 10 != 0 => format!("{}.{} s", tenths / 10, tenths % 10),
        () if seconds < 60 => format!("{seconds} s"),
        () if seconds < 3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        () => format!("{} h {:02} min", minutes / 60, minutes % 60),
    }
}

/// The time of day in UTC, `03:12:45Z`.
pub fn time_of_day(wall: SystemTime) -> String {
    match Timestamp::try_from(wall) {
        Ok(timestamp) => timestamp.strftime("%H:%M:%SZ").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// Date and time to the minute, `2026-01-31 03:12 UTC`.
pub fn minute(wall: SystemTime) -> String {
    match Timestamp::try_from(wall) {
        Ok(timestamp) => timestamp.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// A text from outside on one line, without anything that could move the cursor, color the
/// console, or turn the order of letters around.
pub fn clean(text: &str) -> Cow<'_, str> {
    match one_line(text) {
        line if line.contains(is_invisible) => Cow::Owned(line.replace(is_invisible, "\u{fffd}")),
        line => line,
    }
}

/// [`clean`], and at most so many characters of it: no part of a key either, which could not be told
/// for one any more.
pub fn clipped(text: &str, n_chars: usize) -> String {
    let text = mask_keys(text);
    let text = clean(&text);
    if text.chars().count() <= n_chars {
        return text.into_owned();
    }
    let kept: String = text.chars().take(n_chars.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

/// Marks that overrule the order of letters, breaks that are no control characters, and spaces
/// without width. Joiners stay: names need them.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn thousands_are_told_apart() {
        let told = [0, 999, 1000, 12_345, 1_234_567].map(number);
        assert_eq!(told, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }

    #[track_caller]
    fn check(millis: u64, expected: &str) {
        assert_eq!(duration(Duration::from_millis(millis)), expected, "{millis} ms");
    }

    #[test]
    fn a_duration_is_as_exact_as_anybody_wants_to_know() {
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
    fn a_duration_is_never_rounded_to_sixty_of_anything() {
        assert_eq!(duration(Duration::from_micros(999_600)), "1 s");
        check(9960, "10 s");
        check(59_700, "1 min 0 s");
        check(3_599_700, "1 h 00 min");
        check(7_199_000, "2 h 00 min");
    }

    #[test]
    fn one_is_one() {
        assert_eq!(counted(1, "retry", "retries"), "1 retry");
        assert_eq!(counted(0, "retry", "retries"), "0 retries");
        assert_eq!(counted(1200, "retry", "retries"), "1,200 retries");
    }

    #[test]
    fn the_time_of_day_says_that_it_is_utc() {
        assert_eq!(time_of_day(SystemTime::UNIX_EPOCH + Duration::from_secs(11_565)), "03:12:45Z");
    }

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        assert_eq!(clipped("no such user", 12), "no such user");
        assert_eq!(clipped("no such user", 8), "no such…");
        assert_eq!(clipped("no sk_live_0123456789abcdefghijXYZ1", 30), "no sk_live_…XYZ1");
    }

    proptest! {
        #[test]
        fn a_clean_text_is_one_line_that_a_terminal_takes_as_it_is(text in "\\PC*|[\\x00-\\x9f\u{2028}-\u{202e}]*") {
            let cleaned = clean(&text);
            prop_assert!(!cleaned.chars().any(|c| c.is_control() || is_invisible(c)), "{cleaned:?}");
            prop_assert!(clipped(&text, 5).chars().count() <= 5);
        }
    }
}
