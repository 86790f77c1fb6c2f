//! How many requests the sandbox lets through in a window.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use super::duration;

/// So many requests in any window of this length. Written `1000/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// How many.
    pub n: NonZeroU32,
    /// The length of the window; above zero.
    pub per: Duration,
}

/// A rate limit or none: the value of a flag. Written `1000/10s` or `none`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota(pub Option<RateLimit>);

impl FromStr for RateLimit {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        let invalid = || InvalidRateLimit(text.to_owned());
        let (n, per) = text.split_once('/').ok_or_else(invalid)?;
        let n = n.trim().parse().map_err(|_| invalid())?;
        let per = duration::parse(per).filter(|per| !per.is_zero()).ok_or_else(invalid)?;
        Ok(Self { n, per })
    }
}

impl FromStr for Quota {
    type Err = InvalidRateLimit;

    fn from_str(text: &str) -> Result<Self, InvalidRateLimit> {
        if text.trim() == "none" { Ok(Self(None)) } else { Ok(Self(Some(text.parse()?))) }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.n, duration::write(self.per))
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(limit) => limit.fmt(f),
            None => f.write_str("none"),
        }
    }
}

/// A text that is no rate limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no quota: write requests per window, such as 1000/10s, or none")]
pub struct InvalidRateLimit(String);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let written = text.parse::<Quota>().ok().map(|it| it.to_string());
        assert_eq!(written.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn a_quota_is_requests_per_window_or_none() {
        check("100/10s", Some("100/10s"));
        check(" 5 / 500ms", Some("5/500ms"));
        check("100/s", Some("100/1s"));
        check("none", Some("none"));
    }

    #[test]
    fn what_is_no_quota_is_refused() {
        for text in ["", "100", "0/10s", "-1/10s", "100/0", "100/", "/10s", "many/10s"] {
            check(text, None);
        }
    }

    #[test]
    fn the_refusal_says_what_to_write() {
        insta::assert_snapshot!(
            "fast".parse::<Quota>().unwrap_err(),
            @r#""fast" is no quota: write requests per window, such as 1000/10s, or none"#
        );
    }
}
