//! The headline: what happened, in one line.

use crate::model::StopReason;
use crate::report::text::{counted, duration, number};
use crate::report::words;
use crate::stats::summary::{CommandKind, Ending, Summary};

/// What happened, in one line.
pub fn headline(summary: &Summary) -> String {
    match summary.ending {
        Ending::Completed if summary.n_records == 0 => "Done: the input has no records.".to_owned(),
        Ending::Completed => completed(summary),
        Ending::Stopped(reason) => stopped(summary, reason),
        Ending::NotConfirmed => "Not confirmed: nothing was sent.".to_owned(),
        Ending::Unaccounted => unaccounted(summary),
        Ending::Unfinished => format!(
            "Not finished: {} of {} have a row; the run was killed or is still running.",
            number(summary.n_rows()),
            counted(summary.n_records, "record", "records"),
        ),
    }
}

fn completed(summary: &Summary) -> String {
    let n = number(summary.counts.get(summary.command.aim()));
    let of = counted(summary.n_records, "user", "users");
    let takes = duration(summary.elapsed);
    match summary.command {
        CommandKind::Run => format!("Done: unlocked {n} of {of} in {takes}."),
        CommandKind::Plan => {
            format!("Planned: `run` would unlock {n} of {of}. Nothing was changed.")
        }
        CommandKind::Verify => {
            let are = if summary.counts.get(summary.command.aim()) == 1 { "is" } else { "are" };
            format!("Verified: {n} of {of} {are} still unlocked.")
        }
        CommandKind::Relock => format!("Done: locked {n} of {of} again in {takes}."),
        CommandKind::RelockPlan => {
            format!("Planned: `relock` would lock {n} of {of} again. Nothing was changed.")
        }
        CommandKind::Locked => format!("Listed: {n} of {of} are locked."),
    }
}

fn stopped(summary: &Summary, reason: StopReason) -> String {
    if summary.n_unprocessed == 0 {
        let records = counted(summary.n_records, "record", "records");
        return format!("Stopped {}; all {records} have a row.", words::stopped_by(reason));
    }
    format!(
        "Stopped {} after {} of {}: {} not processed.",
        words::stopped_by(reason),
        number(summary.n_rows()),
        counted(summary.n_records, "record", "records"),
        number(summary.n_unprocessed),
    )
}

fn unaccounted(summary: &Summary) -> String {
    if let Some(n_found) = summary.n_rows_found.filter(|&n_found| n_found != summary.n_rows()) {
        return format!(
            "The accounting does not add up: {} recorded, but the results file has {}. Another \
             process changed the file, or this is a bug.",
            counted(summary.n_rows(), "row was", "rows were"),
            number(n_found),
        );
    }
    format!(
        "The accounting does not add up: {}, but {} and {} unprocessed. This is a bug.",
        counted(summary.n_records, "record", "records"),
        counted(summary.n_rows(), "row", "rows"),
        number(summary.n_unprocessed),
    )
}
