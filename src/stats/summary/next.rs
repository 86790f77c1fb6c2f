//! What there is to do with a finished file: decided once, told by the closing lines and the page.

use super::CommandKind;
use crate::model::Outcome;
use crate::stats::Counts;

/// What there is to do with a finished file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Run the plan.
    Unlock,
    /// Try those again that may yet succeed.
    Retry,
    /// Read back whom the run unlocked.
    ReadBack,
}

impl Next {
    /// What to do with the file of that command, by what its rows say; `None`: nothing.
    pub fn of(command: CommandKind, counts: &Counts) -> Option<Self> {
        let has = |outcome| counts.get(outcome) > 0;
        match command {
            CommandKind::Plan => has(Outcome::WouldUnlock).then_some(Self::Unlock),
            CommandKind::Run => {
                let may_yet_succeed = |&outcome: &Outcome| outcome.may_yet_succeed();
                if Outcome::ALL.into_iter().filter(may_yet_succeed).any(has) {
                    Some(Self::Retry)
                } else {
                    has(Outcome::Unlocked).then_some(Self::ReadBack)
                }
            }
            CommandKind::Verify | CommandKind::Locked => None,
        }
    }

    /// What it is good for, without a full stop.
    pub fn why(self) -> &'static str {
        match self {
            Self::Unlock => "To unlock them",
            Self::Retry => "To try those again that may yet succeed",
            Self::ReadBack => "To read back whether they stay unlocked",
        }
    }

    /// The command that does it.
    pub fn command(self) -> &'static str {
        match self {
            Self::Unlock | Self::Retry => "run",
            Self::ReadBack => "verify",
        }
    }

    /// Its arguments that name the file.
    pub fn input(self, file: &str) -> Vec<&str> {
        match self {
            Self::Unlock => vec!["--plan", file],
            Self::Retry => vec![file, "--retry-failed"],
            Self::ReadBack => vec![file],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(command: CommandKind, outcomes: &[Outcome], expected: Option<Next>) {
        assert_eq!(Next::of(command, &outcomes.iter().copied().collect()), expected);
    }

    #[test]
    fn what_comes_next_follows_from_the_rows() {
        use Outcome::{AlreadyUnlocked, Failed, NotFound, StillLocked, Unlocked, WouldUnlock};
        check(CommandKind::Plan, &[WouldUnlock, NotFound], Some(Next::Unlock));
        check(CommandKind::Plan, &[AlreadyUnlocked], None);
        check(CommandKind::Run, &[Unlocked, Failed], Some(Next::Retry));
        check(CommandKind::Run, &[StillLocked], Some(Next::Retry));
        check(CommandKind::Run, &[Unlocked, NotFound], Some(Next::ReadBack));
        check(CommandKind::Run, &[NotFound], None);
        check(CommandKind::Verify, &[Failed], None);
    }
}
