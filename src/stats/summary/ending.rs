//! What was done, and how it ended.

use serde::{Deserialize, Serialize};

use crate::model::{Outcome, StopReason};

/// The command that wrote a file, in a manifest by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Users were unlocked.
    #[default]
    Run,
    /// Users were looked up, nothing was changed.
    Plan,
    /// Users unlocked by an earlier run were read back.
    Verify,
    /// The locked users of the instance were listed.
    Locked,
}

impl CommandKind {
    /// The command's name.
    pub fn code(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Plan => "plan",
            Self::Verify => "verify",
            Self::Locked => "locked",
        }
    }

    /// The outcome that it is after.
    pub fn aim(self) -> Outcome {
        match self {
            Self::Run => Outcome::Unlocked,
            Self::Plan | Self::Locked => Outcome::WouldUnlock,
            Self::Verify => Outcome::StillUnlocked,
        }
    }
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Every record has its row.
    #[default]
    Completed,
    /// It was stopped before the last record.
    Stopped(StopReason),
    /// The question was not answered with yes; nothing was sent.
    NotConfirmed,
    /// It was killed, or goes on: known of files alone.
    Unfinished,
    /// Records, rows and unprocessed do not add up.
    Unaccounted,
}

impl Ending {
    /// The ending that such a word tells; an unknown one is taken for the usual one.
    pub fn of_code(code: &str) -> Self {
        let stopped = StopReason::ALL.into_iter().find(|reason| reason.code() == code);
        if let Some(reason) = stopped {
            return Self::Stopped(reason);
        }
        let plain = [Self::Unfinished, Self::Unaccounted, Self::NotConfirmed];
        plain.into_iter().find(|ending| ending.code() == code).unwrap_or_default()
    }

    /// The stable word that the manifest and the JSON summary use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped(reason) => reason.code(),
            Self::NotConfirmed => "not_confirmed",
            Self::Unfinished => "running",
            Self::Unaccounted => "unaccounted",
        }
    }
}
