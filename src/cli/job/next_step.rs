//! The exact command that goes on from here.

use super::close::Context;
use crate::cli::connection::Instance;
use crate::model::StopReason;
use crate::stats::summary::{Ending, Next, NextStep, Summary};

/// Arguments that belong to one input or one output.
const OF_THIS_JOB: [&str; 17] = [
    "input",
    "column",
    "limit",
    "skip",
    "carry",
    "if_empty",
    "max_input_age",
    "exclude",
    "dry_run",
    "plan",
    "plan_max_age",
    "expect_count",
    "output",
    "resume",
    "force",
    "retry_failed",
    "report",
];

/// What to do next, where there is something to do.
pub(super) fn next_step(context: &Context<'_>, summary: &Summary) -> Option<NextStep> {
    let results = summary.files.results.as_ref()?.display().to_string();
    let invocation = context.around.invocation.clone();
    if summary.n_unprocessed > 0 {
        return Some(resume(context, summary));
    }
    let is_rehearsal = context.around.connection.instance == Instance::Sandbox;
    let what = Next::of(summary.command, &summary.counts)?;
    if what == Next::ReadBack && (is_rehearsal || context.spec.verify) {
        return None;
    }
    let of_run_alone = [
        "yes",
        "only_locked",
        "include_admin_locked",
        "max_users",
        "max_fail",
        "canary",
        "verify",
        "reason",
    ];
    let mut next = invocation.without(&OF_THIS_JOB).into_command(what.command());
    // A user who was not found out is named in the results as in the input.
    if what != Next::Retry {
        next = next.without(&["by"]);
    }
    // The users of a plan were to be looked up first, and they still are.
    if context.spec.input.is_recorded() && what != Next::ReadBack {
        next = next.with("only_locked", &["--only-locked"]);
    }
    if what == Next::ReadBack {
        next = next.without(&of_run_alone);
    }
    let command = next.with("input", &what.input(&results)).text();
    Some(NextStep { why: what.why().to_owned(), command })
}

/// The same command, to go on with the records that have no row.
fn resume(context: &Context<'_>, summary: &Summary) -> NextStep {
    let why = match summary.ending {
        Ending::Stopped(StopReason::Unauthorized) => "To go on, with a key that is taken",
        Ending::Stopped(StopReason::Forbidden) => {
            "To go on, with a key that may (who was refused stands in the failed file, an input \
             like any other)"
        }
        Ending::Stopped(StopReason::OutputFailed) => "To go on, once there is room to write",
        _ if context.spec.input.path().is_none() => {
            "To go on from here, with the same users piped in again"
        }
        _ => "To go on from here",
    };
    // Fewer are left than were expected at first.
    let command = context.around.invocation.clone().without(&["force", "expect_count"]);
    let command = command.with("resume", &["--resume"]);
    NextStep { why: why.to_owned(), command: command.text() }
}
