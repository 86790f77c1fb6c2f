//! The command that continues from a finished or stopped job.

use std::ffi::OsStr;
use std::path::Path;

use super::command_line::CommandLine;
use crate::model::{Outcome, StopReason};
use crate::policy::shard::Shard;
use crate::stats::Counts;
use crate::stats::summary::{CommandKind, Ending, NextStep};

/// What the next step depends on.
pub(crate) struct Finished<'a> {
    pub(crate) command: CommandKind,
    /// The command with its effective settings.
    pub(crate) line: &'a CommandLine,
    pub(crate) ending: Ending,
    pub(crate) counts: &'a Counts,
    pub(crate) n_unprocessed: u64,
    pub(crate) results: &'a Path,
    /// The rows that did not end well, to look at before anything else.
    pub(crate) failed: &'a Path,
    /// The users came from a pipe.
    pub(crate) is_piped: bool,
    /// The users of the run were looked up because a plan or a walk named them.
    pub(crate) is_looked_up: bool,
    /// The hash of the plan that was made.
    pub(crate) sha256: Option<&'a str>,
    /// The server ended with the job: nothing can be read back.
    pub(crate) is_sandbox: bool,
    /// The unlocked users were read back already.
    pub(crate) is_verified: bool,
}

/// Flags that select users of the instance, which no list of users allows.
pub(super) const FILTERS: [&str; 9] = [
    "organization",
    "email-domain",
    "last-sign-in-after",
    "last-sign-in-before",
    "created-after",
    "created-before",
    "password-changed-after",
    "lock-ends-after",
    "skip-banned",
];

/// Flags that belong to one input: the next command reads another one.
const OF_INPUT: [&str; 14] = [
    "column",
    "by",
    "delimiter",
    "lenient",
    "limit",
    "skip",
    "carry",
    "if-empty",
    "max-input-age",
    "retry-failed",
    "plan",
    "plan-max-age",
    "plan-sha256",
    "all-locked",
];

/// Flags that belong to one job: where it writes, and how many users it expects.
const OF_JOB: [&str; 9] = [
    "dry-run",
    "expect-count",
    "output",
    "resume",
    "force",
    "report",
    "report-pii",
    "metrics-file",
    "metrics-job",
];

/// The command that continues, if there is anything to continue with.
pub(crate) fn next_step(finished: &Finished<'_>) -> Option<NextStep> {
    if finished.n_unprocessed > 0 {
        return Some(resume(finished));
    }
    let has = |outcome| finished.counts.get(outcome) > 0;
    match finished.command {
        CommandKind::Plan if has(Outcome::WouldUnlock) => Some(run_plan(finished)),
        CommandKind::RelockPlan if has(Outcome::WouldRelock) => Some(relock(finished)),
        CommandKind::Relock if finished.counts.n_where(Outcome::may_yet_succeed) > 0 => {
            Some(relock_again(finished))
        }
        CommandKind::Run if finished.counts.n_where(Outcome::may_yet_succeed) > 0 => {
            Some(retry(finished))
        }
        CommandKind::Run if has(Outcome::Unlocked) => {
            (!finished.is_sandbox && !finished.is_verified).then(|| verify(finished))
        }
        _ => None,
    }
}

/// The same command, for the records that have no row.
fn resume(finished: &Finished<'_>) -> NextStep {
    let is_of_failures =
        matches!(finished.ending, Ending::Stopped(StopReason::Canary | StopReason::MaxFail));
    let look_first = is_of_failures.then(|| finished.failed.to_owned());
    let why = match finished.ending {
        Ending::Stopped(StopReason::Unauthorized) => "To resume with a valid key",
        Ending::Stopped(StopReason::Forbidden) => {
            "To resume with a key that has permission (the failed file lists the refused users)"
        }
        Ending::Stopped(StopReason::OutputFailed) => "To resume when there is room to write",
        _ if finished.is_piped => "To resume, with the same users on stdin",
        _ => "To resume",
    };
    let command = finished.line.clone().without(&["force"]).switch("resume").to_shell();
    NextStep { look_first, why: why.to_owned(), command }
}

fn run_plan(finished: &Finished<'_>) -> NextStep {
    let line = of_another_input(finished.line).without(&["only-locked"]).without_operands();
    let mut line = line.for_command("run").value("plan", finished.results);
    // The plan and its run expect the same number; a retry does not.
    if let Some(expected) = finished.line.value_of("expect-count") {
        line = line.value("expect-count", expected);
    }
    if let Some(sha256) = finished.sha256 {
        line = line.value("plan-sha256", sha256);
    }
    let command = line.to_shell();
    NextStep { look_first: None, why: "To unlock them".to_owned(), command }
}

fn retry(finished: &Finished<'_>) -> NextStep {
    let mut line = of_another_input(finished.line).operand(finished.results);
    if let Some(by) = finished.line.value_of("by") {
        line = line.value("by", by);
    }
    if finished.is_looked_up {
        line = line.switch("only-locked");
    }
    let command = line.switch("retry-failed").to_shell();
    NextStep { look_first: None, why: "To retry the users that failed".to_owned(), command }
}

fn verify(finished: &Finished<'_>) -> NextStep {
    let line = of_another_input(finished.line).without(&["max-fail", "max-duration", "json"]);
    let line = with_divided_share(line).for_command("verify");
    let command = line.operand(finished.results).to_shell();
    let why = "To check that they stay unlocked".to_owned();
    NextStep { look_first: None, why, command }
}

/// Without the flags that belong to one input or one job.
pub(super) fn of_another_input(line: &CommandLine) -> CommandLine {
    line.clone().without(&OF_INPUT).without(&FILTERS).without(&OF_JOB)
}

/// `verify` has no shards: the results of all of them may be read back at once.
fn with_divided_share(line: CommandLine) -> CommandLine {
    let text = |name| line.value_of(name).and_then(OsStr::to_str);
    let shard: Option<Shard> = text("shard").and_then(|it| it.parse().ok());
    let percent: Option<f64> =
        text("quota-share").and_then(|it| it.trim_end_matches('%').trim().parse().ok());
    match (shard, percent) {
        (Some(shard), Some(percent)) => {
            let percent = percent / f64::from(shard.count().get());
            line.value("quota-share", format!("{percent}%"))
        }
        _ => line,
    }
}

/// The same command without `--dry-run`, in place of its file.
fn relock(finished: &Finished<'_>) -> NextStep {
    let line = finished.line.clone().without(&["dry-run", "resume"]).switch("force");
    NextStep { look_first: None, why: "To lock them again".to_owned(), command: line.to_shell() }
}

/// The same command into another file: this one is the record of what was done.
fn relock_again(finished: &Finished<'_>) -> NextStep {
    let output = finished.results.with_extension("again.csv");
    let line = finished.line.clone().without(&OF_JOB).value("output", output);
    let why = "To try the users that failed again".to_owned();
    NextStep { look_first: None, why, command: line.to_shell() }
}
