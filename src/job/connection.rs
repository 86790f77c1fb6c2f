//! The instance that a job calls.

use crate::clerk::{Client, KeyKind};
use crate::engine::Pacer;
use crate::policy::pacing::{Pace, Quota};
use crate::sandbox::Sandbox;
use crate::stats::Ceiling;

/// The kind of instance that is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instance {
    /// `sk_live_…`.
    Production,
    /// `sk_test_…`.
    Development,
    /// A key with another prefix: the care of production, the quota of development.
    Unknown,
    /// A server inside this program.
    Sandbox,
}

impl Instance {
    /// The word in manifests and summaries.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Production => KeyKind::Production.as_str(),
            Self::Development => KeyKind::Development.as_str(),
            Self::Unknown => KeyKind::Unknown.as_str(),
            Self::Sandbox => "sandbox",
        }
    }
}

/// A client of one instance and its pace. Nothing was sent yet.
pub(crate) struct Connection {
    pub(crate) instance: Instance,
    /// The host as results and plans name it.
    pub(crate) host: String,
    /// The fingerprint of the key; none in the sandbox.
    pub(crate) fingerprint: Option<String>,
    pub(crate) client: Client,
    pub(crate) pace: Pace,
    /// Shared by all jobs of this process: what a run sent counts for its read-back.
    pub(crate) pacer: Pacer,
    /// The quota that the pace is a part of, and the part in percent; `None` under `--rate`.
    pub(crate) share_of: Option<(f64, Quota)>,
    /// The embedded sandbox, which ends with the connection.
    #[expect(dead_code, reason = "it is dropped with the connection")]
    pub(crate) sandbox: Option<Sandbox>,
}

impl Connection {
    /// The pace as the progress bar shows it.
    pub(crate) fn ceiling(&self) -> Ceiling {
        let quota = self.pace.quota();
        let is_spaced = !matches!(self.pace, Pace::Burst(_));
        Ceiling { n_requests: quota.n.get(), per: quota.per, is_spaced }
    }

    /// "key `sk_live`_…a1b2 at api.clerk.com", for messages about a refused key.
    pub(crate) fn key_and_host(&self) -> String {
        let key = self.fingerprint.as_deref().unwrap_or("of the sandbox");
        format!("key {key} at {}", self.host)
    }
}
