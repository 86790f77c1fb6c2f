//! How a record, an attempt, and a run ended.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// How a record ended: the `outcome` column. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The request was answered 200 with this user's object, without `locked: true`.
    Unlocked,
    /// A plan: the run would unlock this user.
    WouldUnlock,
    /// Looked up and not locked; no unlock request was sent.
    AlreadyUnlocked,
    /// The same user as on an earlier line, whose row has the outcome.
    Duplicate,
    /// Listed in the `--exclude` file.
    Excluded,
    /// Looks locked on purpose; not changed.
    AdminLocked,
    /// The user does not exist.
    NotFound,
    /// An identifier matched several users.
    Ambiguous,
    /// The cell cannot name a user; nothing was sent.
    Invalid,
    /// A final response other than "not found": 400, 402, 403, 409, 422, a redirect.
    Rejected,
    /// The request was answered 200, yet `locked: true`.
    StillLocked,
    /// All retries failed.
    Failed,
    /// `verify`: not locked.
    StillUnlocked,
    /// `verify`: locked again.
    LockedAgain,
    /// `verify`: the user no longer exists.
    Gone,
    /// `verify`: the response does not show whether the user is locked.
    Unknown,
    /// `relock`: the request was answered 200 with this user's object, with `locked: true`.
    Relocked,
    /// `relock --dry-run`: the command would lock this user again.
    WouldRelock,
    /// `relock`: looked up and locked; no lock request was sent.
    AlreadyLocked,
}

impl Outcome {
    /// Every outcome, in the order in which summaries list them.
    pub const ALL: [Self; 19] = [
        Self::Unlocked,
        Self::WouldUnlock,
        Self::AlreadyUnlocked,
        Self::StillUnlocked,
        Self::Relocked,
        Self::WouldRelock,
        Self::AlreadyLocked,
        Self::Duplicate,
        Self::Excluded,
        Self::AdminLocked,
        Self::NotFound,
        Self::Ambiguous,
        Self::Invalid,
        Self::Rejected,
        Self::StillLocked,
        Self::Failed,
        Self::LockedAgain,
        Self::Gone,
        Self::Unknown,
    ];

    /// Code, whether nothing is left to do, and meaning.
    fn facts(self) -> (&'static str, bool, &'static str) {
        match self {
            Self::Unlocked => ("unlocked", true, "unlocked by this run"),
            Self::WouldUnlock => ("would_unlock", true, "locked; the run would unlock this user"),
            Self::AlreadyUnlocked => {
                ("already_unlocked", true, "not locked; no unlock request was sent")
            }
            Self::StillUnlocked => ("still_unlocked", true, "read back: not locked"),
            Self::Relocked => ("relocked", true, "locked again by this command"),
            Self::WouldRelock => {
                ("would_relock", true, "not locked; `relock` would lock this user again")
            }
            Self::AlreadyLocked => ("already_locked", true, "locked; no lock request was sent"),
            Self::Duplicate => ("duplicate", true, "same user as on an earlier line"),
            Self::Excluded => ("excluded", true, "listed in the exclude file; not changed"),
            Self::AdminLocked => ("admin_locked", false, "looks locked on purpose; not changed"),
            Self::NotFound => ("not_found", false, "user does not exist"),
            Self::Ambiguous => ("ambiguous", false, "matches several users; not changed"),
            Self::Invalid => ("invalid", false, "not a valid user; nothing was sent"),
            Self::Rejected => ("rejected", false, "refused by the API"),
            Self::StillLocked => ("still_locked", false, "answered 200, but still locked"),
            Self::Failed => ("failed", false, "all retries failed; a later retry may succeed"),
            Self::LockedAgain => ("locked_again", false, "read back: locked again"),
            Self::Gone => ("gone", false, "read back: user no longer exists"),
            Self::Unknown => ("unknown", false, "read back: the response does not say"),
        }
    }

    /// The stable code of the `outcome` column.
    pub fn code(self) -> &'static str {
        self.facts().0
    }

    /// Whether nothing is left to do for this record.
    pub fn ended_well(self) -> bool {
        self.facts().1
    }

    /// The meaning in a few words.
    pub fn meaning(self) -> &'static str {
        self.facts().2
    }

    /// Whether a retry may still succeed (`--retry-failed`).
    pub fn may_yet_succeed(self) -> bool {
        matches!(self, Self::Failed | Self::StillLocked)
    }

    /// Whether the user is unlocked because of this tool, or would be.
    pub fn is_unlocked(self) -> bool {
        matches!(self, Self::Unlocked | Self::WouldUnlock | Self::StillUnlocked)
    }

    /// Whether `--max-fail` counts it.
    pub fn counts_as_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Rejected | Self::StillLocked | Self::NotFound)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that is not an outcome's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a known outcome")]
pub struct UnknownOutcome(pub String);

impl FromStr for Outcome {
    type Err = UnknownOutcome;

    fn from_str(code: &str) -> Result<Self, UnknownOutcome> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.code() == code)
            .ok_or_else(|| UnknownOutcome(code.to_owned()))
    }
}

/// A code of the `error_code` column: one of this program's, or Clerk's own.
pub type ErrorCode = Cow<'static, str>;

/// What went wrong with one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `error_code`.
    pub code: ErrorCode,
    /// `error_message`: for people.
    pub message: String,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// `clerk_trace_id` of the error body, else `CF-Ray`.
    pub trace_id: Option<String>,
}

/// Why a run ended before its last job. A stronger reason (a later one) replaces a weaker one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StopReason {
    /// `--max-duration` is over.
    MaxDuration,
    /// `--canary`: not all of the first users ended well.
    Canary,
    /// `--max-fail`: too many users did not end well.
    MaxFail,
    /// The API was unreachable for too long.
    Outage,
    /// SIGINT, Ctrl-C.
    Interrupted,
    /// SIGTERM.
    Terminated,
    /// The proxy requires authentication, or refused it (407).
    ProxyRefused,
    /// The server's certificate is not trusted.
    UntrustedCertificate,
    /// 402 or 403 for each of the first users: the key lacks the permission.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_is_parsed_from_its_code() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.code().parse(), Ok(outcome));
        }
    }

    #[test]
    fn outcomes_worth_a_retry_did_not_end_well() {
        assert!(Outcome::ALL.into_iter().all(|o| !(o.may_yet_succeed() && o.ended_well())));
    }
}
