//! The last word on one record.

use std::fmt;
use std::str::FromStr;

/// The last word on one record, as the `outcome` column says it. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The call answered 200 with this user's object, and that does not say `locked: true`.
    Unlocked,
    /// A plan would make the unlock call for this user.
    WouldUnlock,
    /// Looked up, not locked; no unlock call made.
    AlreadyUnlocked,
    /// The same user stood on an earlier line; that line's row tells the end.
    Duplicate,
    /// Named in the `--exclude` file.
    Excluded,
    /// Looks locked on purpose; left alone.
    AdminLocked,
    /// There is no such user.
    NotFound,
    /// An identifier matched several users.
    Ambiguous,
    /// The cell can't be a user; nothing was sent.
    Invalid,
    /// A final answer other than "not found": 400, 402, 403, 409, 422, a redirect.
    Rejected,
    /// 200, and yet `locked: true`.
    StillLocked,
    /// Retries used up.
    Failed,
    /// `verify`: read back, and not locked.
    StillUnlocked,
    /// `verify`: read back, and locked again.
    LockedAgain,
    /// `verify`: no longer there.
    Gone,
    /// `verify`: the answer does not say whether the user is locked.
    Unknown,
}

impl Outcome {
    /// Every outcome, in the order in which summaries name them.
    pub const ALL: [Self; 16] = [
        Self::Unlocked,
        Self::WouldUnlock,
        Self::AlreadyUnlocked,
        Self::StillUnlocked,
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
        }
    }

    /// Whether nothing more is wanted for this record.
    pub fn ended_well(self) -> bool {
        match self {
            Self::Unlocked
            | Self::WouldUnlock
            | Self::AlreadyUnlocked
            | Self::Duplicate
            | Self::Excluded
            | Self::StillUnlocked => true,
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

    /// Whether a later run may yet succeed with this record (`--retry-failed`).
    pub fn may_yet_succeed(self) -> bool {
        matches!(self, Self::Failed | Self::StillLocked)
    }

    /// Whether `--max-fail` counts it.
    pub fn counts_as_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Rejected | Self::StillLocked | Self::NotFound)
    }

    /// The meaning in a few words, for people.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Unlocked => "unlocked by this job",
            Self::WouldUnlock => "locked; a run would unlock it",
            Self::AlreadyUnlocked => "was not locked; no unlock call made",
            Self::Duplicate => "the same user stands on an earlier line",
            Self::Excluded => "named in the exclude file; left alone",
            Self::AdminLocked => "looks locked on purpose; left alone",
            Self::NotFound => "no such user",
            Self::Ambiguous => "matches several users; left alone",
            Self::Invalid => "can't be a user; nothing was sent",
            Self::Rejected => "the API gave a final refusal",
            Self::StillLocked => "the API answered, yet the user is still locked",
            Self::Failed => "retries used up; may yet succeed",
            Self::StillUnlocked => "read back: not locked",
            Self::LockedAgain => "read back: locked again",
            Self::Gone => "read back: no such user any more",
            Self::Unknown => "read back: the answer does not say whether the user is locked",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

/// A text that is no outcome's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no outcome of this program")]
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
    fn every_outcome_is_read_back_from_its_code() {
        for outcome in Outcome::ALL {
            assert_eq!(outcome.code().parse(), Ok(outcome));
        }
    }

    #[test]
    fn what_may_yet_succeed_did_not_end_well() {
        assert!(Outcome::ALL.into_iter().all(|o| !(o.may_yet_succeed() && o.ended_well())));
    }
}
