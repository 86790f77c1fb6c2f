//! The exit codes: one table.

use crate::model::{Outcome, StopReason};
use crate::stats::summary::{CommandKind, Ending, Summary};

/// How the program ended, as its caller sees it. The codes are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Every row ended well, or the plan is complete.
    Success,
    /// Ran to the end; some rows did not end well.
    NotAllWell,
    /// Usage, configuration, address, input or plan; nothing was sent.
    Usage,
    /// A guard stopped the run; rows are left.
    Guard,
    /// The secret key is missing, malformed or refused.
    Key,
    /// Not confirmed.
    NotConfirmed,
    /// The results can't be written.
    Output,
    /// The accounting does not add up, or another internal fault.
    Internal,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Status {
    pub(super) fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::NotAllWell => 1,
            Self::Usage => 2,
            Self::Guard => 3,
            Self::Key => 4,
            Self::NotConfirmed => 5,
            Self::Output => 6,
            Self::Internal => 7,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// What follows from how a run ended and what it counted.
    pub(super) fn of(summary: &Summary) -> Self {
        match summary.ending {
            Ending::Unaccounted | Ending::Unfinished => Self::Internal,
            Ending::NotConfirmed => Self::NotConfirmed,
            // Settings that cannot work, found out by the first request.
            Ending::Stopped(StopReason::ProxyRefused | StopReason::UntrustedCertificate)
                if summary.counts.get(Outcome::Unlocked) == 0 =>
            {
                Self::Usage
            }
            Ending::Stopped(reason) => Self::of_stop(reason),
            Ending::Completed => match summary.command {
                CommandKind::Locked => Self::Success,
                CommandKind::Plan if is_complete(summary) => Self::Success,
                CommandKind::Run | CommandKind::Verify if summary.all_ended_well() => Self::Success,
                CommandKind::Plan | CommandKind::Run | CommandKind::Verify => Self::NotAllWell,
            },
        }
    }

    /// What follows from a stop that left something undone.
    pub(super) fn of_stop(reason: StopReason) -> Self {
        match reason {
            StopReason::MaxDuration
            | StopReason::Canary
            | StopReason::MaxFail
            | StopReason::Outage
            | StopReason::ProxyRefused
            | StopReason::UntrustedCertificate => Self::Guard,
            StopReason::Interrupted => Self::Interrupted,
            StopReason::Terminated => Self::Terminated,
            StopReason::Forbidden | StopReason::Unauthorized => Self::Key,
            StopReason::OutputFailed => Self::Output,
        }
    }
}

/// Whether a plan says of everybody what a run would do: a look-up that failed says nothing.
fn is_complete(plan: &Summary) -> bool {
    [Outcome::Failed, Outcome::Rejected].iter().all(|&outcome| plan.counts.get(outcome) == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Counts;

    #[track_caller]
    fn check(command: CommandKind, ending: Ending, outcomes: &[Outcome], expected: u8) {
        let counts: Counts = outcomes.iter().copied().collect();
        let summary = Summary { command, ending, counts, ..Summary::default() };
        assert_eq!(Status::of(&summary).code(), expected, "{command:?} {ending:?} {outcomes:?}");
    }

    #[test]
    fn a_run_to_the_end_is_judged_by_its_rows() {
        use CommandKind::{Plan, Run, Verify};
        check(Run, Ending::Completed, &[Outcome::Unlocked, Outcome::Duplicate], 0);
        check(Run, Ending::Completed, &[Outcome::Unlocked, Outcome::NotFound], 1);
        check(Plan, Ending::Completed, &[Outcome::WouldUnlock, Outcome::NotFound], 0);
        check(Plan, Ending::Completed, &[Outcome::WouldUnlock, Outcome::Failed], 1);
        check(Verify, Ending::Completed, &[Outcome::StillUnlocked], 0);
        check(Verify, Ending::Completed, &[Outcome::LockedAgain], 1);
    }

    #[test]
    fn a_setting_that_cannot_work_is_a_usage_error_while_nobody_is_unlocked() {
        for reason in [StopReason::ProxyRefused, StopReason::UntrustedCertificate] {
            check(CommandKind::Run, Ending::Stopped(reason), &[Outcome::Invalid], 2);
            check(CommandKind::Plan, Ending::Stopped(reason), &[Outcome::WouldUnlock], 2);
        }
    }

    #[test]
    fn a_stop_is_judged_by_its_reason() {
        for (reason, code) in [
            (StopReason::MaxDuration, 3),
            (StopReason::Canary, 3),
            (StopReason::MaxFail, 3),
            (StopReason::Outage, 3),
            (StopReason::ProxyRefused, 3),
            (StopReason::UntrustedCertificate, 3),
            (StopReason::Interrupted, 130),
            (StopReason::Terminated, 143),
            (StopReason::Forbidden, 4),
            (StopReason::Unauthorized, 4),
            (StopReason::OutputFailed, 6),
        ] {
            check(CommandKind::Run, Ending::Stopped(reason), &[Outcome::Unlocked], code);
        }
        check(CommandKind::Run, Ending::Unaccounted, &[], 7);
        check(CommandKind::Run, Ending::NotConfirmed, &[], 5);
    }
}
