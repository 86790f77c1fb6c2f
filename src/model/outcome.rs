//! How a record ended.

use std::fmt;
use std::str::FromStr;

/// How a record ended: the `outcome` column. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The request was answered 200 with this user's object, which does not say `locked: true`.
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
    /// `verify`: the response does not say whether the user is locked.
    Unknown,
    /// `relock`: the request was answered 200 with this user's object, which says `locked: true`.
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

    /// The stable code of the `outcome` column.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked",
            Self::WouldUnlock => "would_unlock",
            Self::AlreadyUnlocked => "already_unlocked",
            Self::Duplicate => "duplicate",
            Self::Excluded => "excluded",
            Self::AdminLocked => "admin_locked",
            Self::NotFound => "not_found",
            Self::Ambiguous => "ambiguous",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::StillLocked => "still_locked",
            Self::Failed => "failed",
            Self::StillUnlocked => "still_unlocked",
            Self::LockedAgain => "locked_again",
            Self::Gone => "gone",
            Self::Unknown => "unknown",
            Self::Relocked => "relocked",
            Self::WouldRelock => "would_relock",
            Self::AlreadyLocked => "already_locked",
        }
    }

    /// Whether nothing is left to do for this record.
    pub fn ended_well(self) -> bool {
        match self {
            Self::Unlocked
            | Self::WouldUnlock
            | Self::AlreadyUnlocked
            | Self::Duplicate
            | Self::Excluded
            | Self::StillUnlocked
            | Self::Relocked
            | Self::WouldRelock
            | Self::AlreadyLocked => true,
            Self::AdminLocked
            | Self::NotFound
            | Self::Ambiguous
            | Self::Invalid
            | Self::Rejected
            | Self::StillLocked
            | Self::Failed
            | Self::LockedAgain
            | Self::Gone
            | Self::Unknown => false,
        }
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

    /// The meaning in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked by this run",
            Self::WouldUnlock => "locked; the run would unlock this user",
            Self::AlreadyUnlocked => "not locked; no unlock request was sent",
            Self::Duplicate => "same user as on an earlier line",
            Self::Excluded => "listed in the exclude file; not changed",
            Self::AdminLocked => "looks locked on purpose; not changed",
            Self::NotFound => "user does not exist",
            Self::Ambiguous => "matches several users; not changed",
            Self::Invalid => "not a valid user; nothing was sent",
            Self::Rejected => "refused by the API",
            Self::StillLocked => "answered 200, but still locked",
            Self::Failed => "all retries failed; a later retry may succeed",
            Self::StillUnlocked => "read back: not locked",
            Self::LockedAgain => "read back: locked again",
            Self::Unknown => "read back: the response does not say",
            Self::Gone => "read back: user no longer exists",
            Self::Relocked => "locked again by this command",
            Self::WouldRelock => "not locked; `relock` would lock this user again",
            Self::AlreadyLocked => "locked; no lock request was sent",
        }
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
