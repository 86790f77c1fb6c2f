//! Settings of a sandbox and their text forms.

use std::collections::{HashMap, VecDeque};
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;

use crate::clerk::UserId;

use super::{FaultKind, Faults, Rate};

/// Settings of a sandbox.
///
/// ```
/// use bulk_unlock::sandbox::{Faults, Sandbox, SandboxConfig};
///
/// let config = SandboxConfig::default().faults(Faults::mix(0.2)).n_users(500);
/// let sandbox = Sandbox::start(config, 0)?;
/// assert!(sandbox.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SandboxConfig {
    pub(super) quota: Option<Rate>,
    pub(super) live_app: Option<Rate>,
    pub(super) latency: Latency,
    pub(super) faults: Faults,
    pub(super) n_users: u32,
    pub(super) seed: u64,
    pub(super) key: String,
    pub(super) script: Script,
    pub(super) log_requests: bool,
}

impl Default for SandboxConfig {
    /// No quota, no live application, no latency, no faults, 1,000 users, seed 1, the key of a
    /// development instance, no script, no request log.
    fn default() -> Self {
        Self {
            quota: None,
            live_app: None,
            latency: Latency::default(),
            faults: Faults::default(),
            n_users: 1_000,
            seed: 1,
            key: Self::DEVELOPMENT_KEY.to_owned(),
            script: Script::new(),
            log_requests: false,
        }
    }
}

impl SandboxConfig {
    /// A secret key of the shape that production instances have.
    pub const PRODUCTION_KEY: &str = "sk_live_sandbox_only";
    /// A secret key of the shape that development instances have.
    pub const DEVELOPMENT_KEY: &str = "sk_test_sandbox_only";

    /// Limits the requests in any window; `None` means no limit.
    pub fn quota(mut self, quota: Option<Rate>) -> Self {
        self.quota = quota;
        self
    }

    /// Plays a live application whose evenly spaced calls draw on the same quota. [`Stats`] counts
    /// the calls that were refused. At most a million calls per second.
    ///
    /// [`Stats`]: super::Stats
    pub fn live_app(mut self, rate: Option<Rate>) -> Self {
        self.live_app = rate;
        self
    }

    /// Delays each response.
    pub fn latency(mut self, latency: Latency) -> Self {
        self.latency = latency;
        self
    }

    /// Injects faults at random.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Number of users that the instance lists, at most [`Population::MAX_LISTED`]. Other
    /// well-formed user IDs are users too, except 2 % of them.
    ///
    /// [`Population::MAX_LISTED`]: super::Population::MAX_LISTED
    pub fn n_users(mut self, n_users: u32) -> Self {
        self.n_users = n_users;
        self
    }

    /// Seed for the generated users, the faults and the latency.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The only secret key that is accepted.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = key.into();
        self
    }

    /// Responses to the first unlock and lock requests of some users.
    pub fn script(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// Keeps all requests for [`Sandbox::requests`](super::Sandbox::requests).
    pub fn log_requests(mut self, log_requests: bool) -> Self {
        self.log_requests = log_requests;
        self
    }
}

/// Responses to the first unlock requests of a user, in order. Later requests are answered as usual.
pub type Script = HashMap<UserId, VecDeque<Scripted>>;

/// Scripted response to one unlock request. Key, quota and latency apply as usual.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scripted {
    /// A response with this status.
    Answer {
        /// HTTP status.
        status: u16,
        /// Response body. `None` with a 2xx status unlocks the user and sends the user object;
        /// with any other status it sends an error body as Clerk does.
        body: Option<String>,
        /// Headers, in place of the usual ones of the same name. Headers that HTTP does not allow
        /// are left out.
        headers: Vec<(String, String)>,
    },
    /// A fault.
    Fault(FaultKind),
}

impl Scripted {
    /// A response with this status and the usual body.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, body: None, headers: Vec::new() }
    }

    /// Replaces the body. A fault is left as it is.
    #[must_use]
    pub fn with_body(mut self, text: impl Into<String>) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = Some(text.into());
        }
        self
    }

    /// Adds a header. A fault is left as it is.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// How the sandbox treats all requests. In every mode except `Normal`, requests change nothing and
/// do not count towards the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Answers as Clerk does.
    #[default]
    Normal,
    /// Answers every request with this status, as in an outage.
    AllStatus(u16),
    /// Closes each connection at its next request.
    Refuse,
    /// Answers every request with 401, as if the key had been revoked.
    Revoked,
}

/// Range of the delay before each response; each delay in it is equally likely.
///
/// Written `20ms..200ms`, `50ms` or `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    min: Duration,
    max: Duration,
}

impl Latency {
    /// The delay at `chance`, which is in 0..1.
    pub(super) fn pick(self, chance: f64) -> Duration {
        self.min + self.max.saturating_sub(self.min).mul_f64(chance)
    }
}

impl FromStr for Latency {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let (min, max) = text.split_once("..").unwrap_or((text, text));
        match (parse_duration(min), parse_duration(max)) {
            (Some(min), Some(max)) if min <= max => Ok(Self { min, max }),
            _ => Err(InvalidSetting(format!(
                "invalid latency {text:?}: expected 50ms, a range such as 20ms..200ms, or 0"
            ))),
        }
    }
}

/// A text that is not a rate, a latency or a list of faults. The message names what is expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidSetting(pub(super) String);

/// Parses `200ms`, `10s`, `2m` or `0`; a bare unit means one of it.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let one = if text.starts_with(|c: char| c.is_ascii_alphabetic()) { "1" } else { "" };
    Duration::try_from(format!("{one}{text}").parse::<SignedDuration>().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Option<(u64, u64)>) {
        let latency = text.parse::<Latency>().ok().map(|it| (it.min, it.max));
        let expected = millis.map(|(min, max)| [min, max].map(Duration::from_millis).into());
        assert_eq!(latency, expected, "{text:?}");
    }

    #[test]
    fn a_latency_is_a_duration_or_a_range() {
        check("20ms..200ms", Some((20, 200)));
        check("50ms", Some((50, 50)));
        check("0", Some((0, 0)));
        check(" 1.5s .. 1m ", Some((1_500, 60_000)));
        for text in ["", "fast", "200ms..20ms", "20ms..", "..", "20", "-1s", "1e999s", "s5"] {
            check(text, None);
        }
    }

    #[test]
    fn the_error_names_what_is_expected() {
        insta::assert_snapshot!(
            "fast".parse::<Latency>().unwrap_err(),
            @r#"invalid latency "fast": expected 50ms, a range such as 20ms..200ms, or 0"#
        );
    }

    #[test]
    fn picked_delays_are_in_the_range() {
        let latency: Latency = "20ms..200ms".parse().unwrap();
        assert_eq!(latency.pick(0.0), Duration::from_millis(20));
        assert_eq!(latency.pick(0.5), Duration::from_millis(110));
    }
}
