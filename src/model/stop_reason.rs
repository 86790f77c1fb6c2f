//! Why a run ended before its last job.

use std::fmt;

/// Why a run ended before its last job. A stronger reason (a later one) replaces a weaker one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopReason {
    /// `--max-duration` is over.
    MaxDuration,
    /// `--canary`: not all of the first users ended well.
    Canary,
    /// `--max-fail`: too many users did not end well.
    MaxFail,
    /// The API stopped answering and did not come back in time.
    Outage,
    /// SIGINT, Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// The proxy requires authentication, or refused it (407).
    ProxyRefused,
    /// The server's certificate is not trusted.
    UntrustedCertificate,
    /// 402 or 403 for each of the first users: the key may not do this.
    Forbidden,
    /// 401: the key is wrong or was revoked.
    Unauthorized,
    /// The results cannot be written any more.
    OutputFailed,
}

impl StopReason {
    /// Every reason, the weakest first.
    pub const ALL: [Self; 11] = [
        Self::MaxDuration,
        Self::Canary,
        Self::MaxFail,
        Self::Outage,
        Self::Interrupted,
        Self::Terminated,
        Self::ProxyRefused,
        Self::UntrustedCertificate,
        Self::Forbidden,
        Self::Unauthorized,
        Self::OutputFailed,
    ];

    /// The stable word that the manifest and the JSON summary use.
    pub fn code(self) -> &'static str {
        match self {
            Self::MaxDuration => "max_duration",
            Self::Canary => "canary",
            Self::MaxFail => "max_fail",
            Self::Outage => "outage",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
            Self::ProxyRefused => "proxy_refused",
            Self::UntrustedCertificate => "untrusted_certificate",
            Self::Forbidden => "forbidden",
            Self::Unauthorized => "unauthorized",
            Self::OutputFailed => "output_failed",
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}
