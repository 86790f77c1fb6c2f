//! The exit codes, and errors on their way to one of them.

use std::fmt;

use crate::engine::RecorderGone;
use crate::model::{Outcome, StopReason, mask_keys};
use crate::results::{OpenError, ReadError, WriteError};
use crate::stats::summary::{CommandKind, Ending, Summary};

/// The stable exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitStatus {
    /// Every row ended well, or the plan is complete.
    Success = 0,
    /// The command ran to its end; some rows did not end well.
    NotAllWell = 1,
    /// Usage, configuration, address, input, or plan; no user was changed.
    Usage = 2,
    /// A guard stopped the run; records are left.
    Guard = 3,
    /// The secret key is missing, malformed, or refused.
    Key = 4,
    /// Not confirmed.
    NotConfirmed = 5,
    /// The results cannot be written.
    Output = 6,
    /// The accounting does not add up, or another internal error.
    Internal = 7,
    /// SIGINT.
    Interrupted = 130,
    /// SIGTERM.
    Terminated = 143,
}

impl ExitStatus {
    /// The exit code.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The stable word for it in JSON.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NotAllWell => "not_all_well",
            Self::Usage => "usage",
            Self::Guard => "guard",
            Self::Key => "key",
            Self::NotConfirmed => "not_confirmed",
            Self::Output => "output",
            Self::Internal => "internal",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// What to do after an error of this kind.
    pub(crate) fn hint(self) -> Option<&'static str> {
        match self {
            Self::Success | Self::NotAllWell | Self::Usage => None,
            Self::Guard => Some("find out what went wrong before you continue with --resume"),
            Self::Key => Some("check CLERK_SECRET_KEY or --secret-key-file, and the address"),
            Self::NotConfirmed => Some(
                "use --yes to skip the question, with --expect-count or --max-users as a guard",
            ),
            Self::Output => {
                Some("check the path, its permissions, and free space; see --resume and --force")
            }
            Self::Internal => Some("report this error"),
            Self::Interrupted | Self::Terminated => Some("continue with --resume"),
        }
    }

    /// The exit status of a job that ended like this.
    pub(crate) fn of(summary: &Summary) -> Self {
        let n = |outcome| summary.counts.get(outcome);
        match summary.ending {
            Ending::Unaccounted | Ending::Unfinished => Self::Internal,
            Ending::NotConfirmed => Self::NotConfirmed,
            // A guard that trips on the last record stops nothing.
            Ending::Stopped(StopReason::MaxFail | StopReason::Canary)
                if summary.n_unprocessed == 0 =>
            {
                Self::NotAllWell
            }
            Ending::Stopped(reason) if n(Outcome::Unlocked) + n(Outcome::Relocked) == 0 => {
                Self::of_early_stop(reason)
            }
            Ending::Stopped(reason) => Self::of_stop(reason),
            Ending::Completed => {
                let is_success = match summary.command {
                    CommandKind::Locked => true,
                    // A failed look-up does not show what a run would do.
                    CommandKind::Plan | CommandKind::RelockPlan => {
                        n(Outcome::Failed) == 0 && n(Outcome::Rejected) == 0
                    }
                    CommandKind::Run | CommandKind::Relock | CommandKind::Verify => {
                        summary.all_ended_well()
                    }
                };
                if is_success { Self::Success } else { Self::NotAllWell }
            }
        }
    }

    /// The exit status of a job that was stopped for this reason before it changed a user.
    pub(super) fn of_early_stop(reason: StopReason) -> Self {
        match reason {
            // The first request showed that a setting cannot work.
            StopReason::ProxyRefused | StopReason::UntrustedCertificate => Self::Usage,
            reason => Self::of_stop(reason),
        }
    }

    /// The same where an earlier job of the command changed users: a usage error would deny that.
    pub(crate) fn after_changes(self) -> Self {
        if self == Self::Usage { Self::Guard } else { self }
    }

    /// The exit status of a job that was stopped for this reason and left something undone.
    pub(crate) fn of_stop(reason: StopReason) -> Self {
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

/// An error that ends a command, and its exit status.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: ExitStatus,
    pub(crate) error: anyhow::Error,
}

impl Failure {
    /// An error with this exit status.
    pub(crate) fn new(status: ExitStatus, error: impl Into<anyhow::Error>) -> Self {
        Self { status, error: error.into() }
    }

    /// An error with this text.
    pub(crate) fn text(status: ExitStatus, text: impl fmt::Display) -> Self {
        Self::new(status, anyhow::anyhow!("{text}"))
    }

    /// An error in the arguments, the input, or an earlier run's files.
    pub(crate) fn usage(text: impl fmt::Display) -> Self {
        Self::text(ExitStatus::Usage, text)
    }

    /// An error with the results or another output.
    pub(crate) fn output(text: impl fmt::Display) -> Self {
        Self::text(ExitStatus::Output, text)
    }

    /// An error that should not happen.
    pub(crate) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self::new(ExitStatus::Internal, error)
    }
}

impl fmt::Display for Failure {
    /// The error and its causes, each once, without any secret key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            if text.is_empty() {
                text = cause;
            } else if !text.ends_with(&cause) {
                text = text + ": " + &cause;
            }
        }
        f.write_str(&mask_keys(&text))
    }
}

impl From<RecorderGone> for Failure {
    fn from(error: RecorderGone) -> Self {
        Self::internal(error)
    }
}

impl From<crate::input::Error> for Failure {
    fn from(error: crate::input::Error) -> Self {
        Self::new(ExitStatus::Usage, error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(ExitStatus::Output, error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(ExitStatus::Output, error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(ExitStatus::Output, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clerk::SecretKey;
    use crate::stats::Counts;

    #[track_caller]
    fn check(command: CommandKind, ending: Ending, outcomes: &[Outcome], expected: u8) {
        let counts: Counts = outcomes.iter().copied().collect();
        let n_unprocessed = u64::from(matches!(ending, Ending::Stopped(_)));
        let summary = Summary { command, ending, counts, n_unprocessed, ..Summary::default() };
        assert_eq!(
            ExitStatus::of(&summary).code(),
            expected,
            "{command:?} {ending:?} {outcomes:?}"
        );
    }

    #[test]
    fn a_completed_run_is_judged_by_its_rows() {
        use CommandKind::{Plan, Relock, RelockPlan, Run, Verify};
        check(Run, Ending::Completed, &[Outcome::Unlocked, Outcome::Duplicate], 0);
        check(Run, Ending::Completed, &[Outcome::Unlocked, Outcome::NotFound], 1);
        check(Plan, Ending::Completed, &[Outcome::WouldUnlock, Outcome::NotFound], 0);
        check(Plan, Ending::Completed, &[Outcome::WouldUnlock, Outcome::Failed], 1);
        check(Verify, Ending::Completed, &[Outcome::StillUnlocked], 0);
        check(Verify, Ending::Completed, &[Outcome::LockedAgain], 1);
        check(Relock, Ending::Completed, &[Outcome::Relocked, Outcome::AlreadyLocked], 0);
        check(Relock, Ending::Completed, &[Outcome::Relocked, Outcome::NotFound], 1);
        check(RelockPlan, Ending::Completed, &[Outcome::WouldRelock, Outcome::NotFound], 0);
        check(RelockPlan, Ending::Completed, &[Outcome::WouldRelock, Outcome::Failed], 1);
    }

    #[test]
    fn a_setting_that_cannot_work_is_a_usage_error_while_no_user_is_unlocked() {
        for reason in [StopReason::ProxyRefused, StopReason::UntrustedCertificate] {
            check(CommandKind::Run, Ending::Stopped(reason), &[Outcome::Invalid], 2);
            check(CommandKind::Plan, Ending::Stopped(reason), &[Outcome::WouldUnlock], 2);
            check(CommandKind::Relock, Ending::Stopped(reason), &[Outcome::AlreadyLocked], 2);
            check(CommandKind::Relock, Ending::Stopped(reason), &[Outcome::Relocked], 3);
        }
    }

    #[test]
    fn a_stopped_run_is_judged_by_the_reason() {
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

    #[test]
    fn a_guard_that_trips_on_the_last_record_leaves_a_completed_run() {
        for reason in [StopReason::MaxFail, StopReason::Canary] {
            let ending = Ending::Stopped(reason);
            let counts = [Outcome::Failed].into_iter().collect();
            let summary = Summary { ending, counts, ..Summary::default() };
            assert_eq!(ExitStatus::of(&summary), ExitStatus::NotAllWell);
        }
    }

    #[test]
    fn a_cause_is_shown_once_and_a_key_given_as_a_path_is_masked() {
        let path = "/no/such/sk_live_0123456789abcdefghijXYZ1";
        let error = SecretKey::from_file(path.as_ref()).unwrap_err();
        let text = Failure::new(ExitStatus::Key, error).to_string();
        assert!(
            text.contains("cannot read the secret key file /no/such/sk_live_…XYZ1: "),
            "{text}"
        );
        assert_eq!(text.matches("os error").count(), 1, "{text}");
    }
}
