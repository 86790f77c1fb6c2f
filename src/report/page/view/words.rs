//! Texts and numbers that several parts of the page use.

use std::borrow::Cow;
use std::time::SystemTime;

use jiff::Timestamp;

use crate::model::{Outcome, StopReason};
use crate::report::stopped_by;
use crate::report::text::{clean, clipped};
use crate::stats::summary::Ending;

/// The maximum length of a text from a manifest, in characters.
const MAX_TEXT: usize = 2_000;

/// A text from outside, safe to show.
pub(super) fn cleaned(text: &str) -> String {
    clipped(text, MAX_TEXT)
}

/// `2026-01-31 03:12:45`, in UTC.
pub(super) fn moment(wall: SystemTime) -> String {
    formatted(wall, "%Y-%m-%d %H:%M:%S")
}

/// `03:12:45`, in UTC.
pub(super) fn hour(wall: SystemTime) -> String {
    formatted(wall, "%H:%M:%S")
}

fn formatted(wall: SystemTime, format: &str) -> String {
    match Timestamp::try_from(wall) {
        Ok(timestamp) => timestamp.strftime(format).to_string(),
        Err(_) => "an unknown time".to_owned(),
    }
}

/// `12.3 %`. A share that is not 0 is never shown as 0, and one that is not all never as 100.
pub(super) fn share(n: u64, of: u64) -> String {
    let (n, of) = (u128::from(n), u128::from(of));
    let tenths = (n * 1000 + of / 2).checked_div(of).unwrap_or_default();
    match (n, tenths) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => "<0.1 %".to_owned(),
        (_, 1000) if n < of => "99.9 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10).replace(".0 %", " %"),
    }
}

/// A length in hundredths of the longest, with two digits, at least long enough to be seen.
pub(super) fn length(n: u64, longest: u64) -> String {
    const SHORTEST: u128 = 50;
    if n == 0 || longest == 0 {
        return "0".to_owned();
    }
    hundredths((u128::from(n) * 10_000 / u128::from(longest)).clamp(SHORTEST, 10_000))
}

/// `1234` as `12.34`.
pub(super) fn hundredths(n: u128) -> String {
    format!("{}.{:02}", n / 100, n % 100)
}

/// The class that colors an outcome.
pub(super) fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Unlocked
        | Outcome::WouldUnlock
        | Outcome::StillUnlocked
        | Outcome::Relocked
        | Outcome::WouldRelock => "good",
        Outcome::AlreadyUnlocked
        | Outcome::AlreadyLocked
        | Outcome::Duplicate
        | Outcome::Excluded => "done",
        Outcome::AdminLocked
        | Outcome::NotFound
        | Outcome::Ambiguous
        | Outcome::Invalid
        | Outcome::Gone
        | Outcome::Unknown => "warn",
        Outcome::Rejected | Outcome::StillLocked | Outcome::Failed | Outcome::LockedAgain => "bad",
    }
}

/// How a job ended, by its code in the manifest.
pub(super) fn ending(word: &str) -> Cow<'_, str> {
    if let Some(reason) = StopReason::ALL.into_iter().find(|it| it.code() == word) {
        return format!("stopped {}", stopped_by(reason)).into();
    }
    match word {
        RUNNING => "killed, or still running".into(),
        it if it == Ending::Completed.code() => "completed".into(),
        it if it == Ending::NotConfirmed.code() => "not confirmed; nothing was sent".into(),
        it if it == Ending::Unaccounted.code() => "the accounting does not add up".into(),
        other => clean(other),
    }
}

/// The code of a job that is running or was killed.
pub(super) const RUNNING: &str = "running";

/// A code as the page shows it. Where no personal data may be shown, neither may a code that
/// looks like a message: it comes from outside.
pub(super) fn code(code: &str, pii: bool) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if pii || code.chars().all(is_word) { cleaned(code) } else { "(unusual code)".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_moment_is_told_to_the_second() {
        let moments = [0, 1_769_829_165].map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s));
        assert_eq!(moments.map(moment), ["1970-01-01 00:00:00", "2026-01-31 03:12:45"]);
    }

    #[test]
    fn a_share_is_neither_rounded_to_nothing_nor_to_all() {
        let found = [(0, 9), (1, 100_000), (1, 8), (99_999, 100_000), (7, 7), (0, 0)];
        let found = found.map(|(n, of)| share(n, of));
        assert_eq!(found, ["0 %", "<0.1 %", "12.5 %", "99.9 %", "100 %", "0 %"]);
    }

    #[test]
    fn a_bar_is_as_long_as_its_share_and_never_too_short_to_see() {
        let found = [(0, 9), (1, 100_000), (1, 3), (9, 9)].map(|(n, of)| length(n, of));
        assert_eq!(found, ["0", "0.50", "33.33", "100.00"]);
    }

    #[test]
    fn every_ending_has_words() {
        let words = ["completed", "running", "not_confirmed", "unaccounted", "max_fail", "eaten\n"];
        insta::assert_snapshot!(words.map(ending).join("\n"), @"
            completed
            killed, or still running
            not confirmed; nothing was sent
            the accounting does not add up
            stopped by --max-fail
            eaten 
            ");
    }

    #[test]
    fn a_code_that_reads_like_a_message_is_personal_data() {
        assert_eq!(code("http_503", false), "http_503");
        assert_eq!(code("taken by a@x.org", false), "(unusual code)");
        assert_eq!(code("taken by a@x.org", true), "taken by a@x.org");
    }
}
