//! How long the sandbox takes for an answer.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::duration;

/// How long the sandbox takes for an answer: each time some duration of the range, evenly.
///
/// Written `20ms..200ms`, `50ms` or `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    least: Duration,
    most: Duration,
}

impl Latency {
    /// A range, both ends included; in whichever order they are given.
    pub fn between(one: Duration, other: Duration) -> Self {
        Self { least: one.min(other), most: one.max(other) }
    }

    /// One of its durations; `chance` is in 0..1 and is rolled by the caller.
    pub(super) fn pick(self, chance: f64) -> Duration {
        self.least + self.most.saturating_sub(self.least).mul_f64(chance)
    }
}

impl FromStr for Latency {
    type Err = InvalidLatency;

    fn from_str(text: &str) -> Result<Self, InvalidLatency> {
        let invalid = || InvalidLatency(text.to_owned());
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let least = duration::parse(least).ok_or_else(invalid)?;
        let most = duration::parse(most).ok_or_else(invalid)?;
        if least > most { Err(invalid()) } else { Ok(Self { least, most }) }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration::write(self.least))?;
        if self.least < self.most {
            write!(f, "..{}", duration::write(self.most))?;
        }
        Ok(())
    }
}

/// A text that is no latency.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no latency: write 50ms, a range such as 20ms..200ms, or 0")]
pub struct InvalidLatency(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let written = text.parse::<Latency>().ok().map(|it| it.to_string());
        assert_eq!(written.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn a_latency_is_a_duration_or_a_range_of_them() {
        check("20ms..200ms", Some("20ms..200ms"));
        check("50ms", Some("50ms"));
        check("0", Some("0"));
        check("0..1s", Some("0..1s"));
    }

    #[test]
    fn what_is_no_latency_is_refused() {
        for text in ["", "fast", "200ms..20ms", "20ms..", "..", "20"] {
            check(text, None);
        }
    }

    #[test]
    fn the_refusal_says_what_to_write() {
        insta::assert_snapshot!(
            "fast".parse::<Latency>().unwrap_err(),
            @r#""fast" is no latency: write 50ms, a range such as 20ms..200ms, or 0"#
        );
    }

    #[test]
    fn picks_lie_in_the_range() {
        let latency: Latency = "20ms..200ms".parse().unwrap();
        assert_eq!(latency.pick(0.0), Duration::from_millis(20));
        assert_eq!(latency.pick(0.5), Duration::from_millis(110));
    }
}
