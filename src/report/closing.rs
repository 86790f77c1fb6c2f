//! The closing lines: what happened, where the files are, and the next step.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::text::{aim, ceiling, clean, clipped, counted, duration, number, stopped_by, utc};
use super::{Console, Level, LogFormat, LogType, Paint, Style, Verbosity};
use crate::model::{Outcome, StopReason};
use crate::stats::summary::{CommandKind, Ending, Incident, Stage, Summary};
use crate::stats::{Counts, ErrorGroup};

/// The maximum number of error codes. The results have all.
const MAX_ERRORS: usize = 5;
/// The maximum number of error codes of retried attempts.
const MAX_RETRIED: usize = 3;
/// No shorter duration is forecast: responses take time, too.
const SHORTEST_FORECAST: Duration = Duration::from_secs(1);
const MAX_CODE: usize = 40;
const MAX_MESSAGE: usize = 120;

/// Prints the closing lines: all of them, or only the headline on a quiet console or in a JSON log.
pub fn print(summary: &Summary, console: &Console) {
    if console.format == LogFormat::Json || console.verbosity <= Verbosity::Quiet {
        let fields = json!({ "summary": summary });
        console.log_as(LogType::Summary, Level::Answer, &headline(summary), fields);
    } else {
        console.print(Level::Note, &text(summary, console.style));
    }
}

/// The closing lines, with a newline at the end of each.
pub fn text(summary: &Summary, style: Style) -> String {
    let paint = match summary.ending {
        Ending::Completed if summary.all_ended_well() => Paint::Good,
        Ending::Completed | Ending::NotConfirmed => Paint::Bold,
        Ending::Stopped(_) | Ending::Unaccounted | Ending::Unfinished => Paint::Bad,
    };
    let earlier = match summary.n_earlier {
        0 => String::new(),
        n => counted(n, "row is", "rows are") + " from an earlier run.\n",
    };
    join([
        format!("{}\n{earlier}", style.paint(paint, &headline(summary))),
        counts(summary, style),
        warnings(summary, style),
        errors(summary, style),
        requests(summary),
        files(summary, style),
        forecast(summary),
        next(summary, style),
    ])
}

/// The closing lines of a report of finished files.
pub fn incident(incident: &Incident) -> String {
    let style = Style { color: false };
    let summary = &incident.summary;
    if incident.stages.len() == 1 {
        return text(summary, style);
    }
    join([
        incident_headline(incident) + "\n",
        incident.stages.iter().map(stage).collect(),
        format!("Final state of each user:\n{}", counts(summary, style)),
        banned(summary, style),
        errors(summary, style),
        files(summary, style),
        next_commands(&incident.next_commands),
    ])
}

/// The sections that are not empty, with an empty line between them.
fn join<const N: usize>(sections: [String; N]) -> String {
    sections.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n")
}

/// What happened, in one line.
pub fn headline(summary: &Summary) -> String {
    let records = counted(summary.n_records, "record", "records");
    let n_rows = summary.n_rows();
    match summary.ending {
        Ending::Completed if summary.n_records == 0 => "Done: the input has no records.".to_owned(),
        Ending::Completed => completed(summary),
        Ending::Stopped(reason) => stopped(summary, reason, &records),
        Ending::NotConfirmed => "Not confirmed: nothing was sent.".to_owned(),
        Ending::Unaccounted => match summary.n_rows_found {
            Some(n_found) if n_found != n_rows => format!(
                "The accounting does not add up: {} recorded, but the results file has {}. Another \
                 process changed the file, or this is a bug.",
                counted(n_rows, "row was", "rows were"),
                number(n_found),
            ),
            _ => format!(
                "The accounting does not add up: {records}, but {} and {} unprocessed. This is a bug.",
                counted(n_rows, "row", "rows"),
                number(summary.n_unprocessed),
            ),
        },
        Ending::Unfinished => format!(
            "Not finished: {} of {records} have a row; the run was killed or is still running.",
            number(n_rows),
        ),
    }
}

fn completed(summary: &Summary) -> String {
    let n = summary.counts.get(summary.command.aim());
    let are = if n == 1 { "is" } else { "are" };
    let n = number(n);
    let of = counted(summary.n_records, "user", "users");
    let took = duration(summary.elapsed);
    match summary.command {
        CommandKind::Run => format!("Done: unlocked {n} of {of} in {took}."),
        CommandKind::Plan => {
            format!("Planned: `run` would unlock {n} of {of}. Nothing was changed.")
        }
        CommandKind::Verify => format!("Verified: {n} of {of} {are} still unlocked."),
        CommandKind::Relock => format!("Done: locked {n} of {of} again in {took}."),
        CommandKind::RelockPlan => {
            format!("Planned: `relock` would lock {n} of {of} again. Nothing was changed.")
        }
        CommandKind::Locked => format!("Listed: {n} of {of} are locked."),
    }
}

fn stopped(summary: &Summary, reason: StopReason, records: &str) -> String {
    let by = stopped_by(reason);
    if summary.n_unprocessed == 0 {
        return format!("Stopped {by}; all {records} have a row.");
    }
    let (n_rows, n_left) = (number(summary.n_rows()), number(summary.n_unprocessed));
    format!("Stopped {by} after {n_rows} of {records}: {n_left} not processed.")
}

/// The result in one sentence. For a single file, it is that of its command.
pub(super) fn incident_headline(incident: &Incident) -> String {
    let summary = &incident.summary;
    if let [stage] = incident.stages.as_slice() {
        return headline(&stage.summary);
    }
    let of = counted(summary.n_records, "user", "users");
    let n = |outcome| summary.counts.get(outcome);
    if incident.is_plan() {
        let n = number(n(CommandKind::Plan.aim()));
        return format!("Planned: `run` would unlock {n} of {of}. Nothing was changed.");
    }
    let n_unlocked = n(Outcome::Unlocked) + n(Outcome::AlreadyUnlocked) + n(Outcome::StillUnlocked);
    let n_locked_again = n(Outcome::LockedAgain);
    let others = [
        (n_locked_again, "locked again"),
        (n(Outcome::WouldUnlock), "planned but not unlocked"),
        (summary.n_unprocessed, "not processed"),
        (n(Outcome::Excluded), "excluded"),
        (summary.counts.n_not_well() - n_locked_again, "not unlocked"),
    ];
    let others = others.into_iter().filter(|(n, _)| *n > 0);
    let others: Vec<String> = others.map(|(n, what)| format!("{} {what}", number(n))).collect();
    let others = if others.is_empty() { String::new() } else { format!("; {}", others.join(", ")) };
    let are = if n_unlocked == 1 { "is" } else { "are" };
    format!("{} of {of} {are} unlocked{others}.", number(n_unlocked))
}

/// `2026-01-31 03:12 UTC  ids.plan.csv: Planned: …`
fn stage(stage: &Stage) -> String {
    let began = stage.started_at.map(|at| utc(at, "%Y-%m-%d %H:%M UTC"));
    let began = began.unwrap_or_else(|| "time unknown".to_owned());
    format!("  {began}  {}: {}\n", clean(&stage.file), headline(&stage.summary))
}

/// A line of a table: the name, the count and its color, and a remark.
type Line = (String, u64, Paint, String);

/// The lines in columns: names to the left, counts to the right.
fn table(lines: &[Line], style: Style) -> String {
    let name_width = lines.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or_default();
    let n_width = lines.iter().map(|(_, n, ..)| number(*n).len()).max().unwrap_or_default();
    let line = |(name, n, paint, remark): &Line| {
        let count = style.paint(*paint, &format!("{:>n_width$}", number(*n)));
        let remark = style.paint(Paint::Dim, remark);
        format!("  {name:<name_width$}  {count}  {remark}\n")
    };
    lines.iter().map(line).collect()
}

fn counts(summary: &Summary, style: Style) -> String {
    let line = |(outcome, n): (Outcome, u64)| {
        let paint = if outcome.ended_well() { Paint::Good } else { Paint::Bad };
        (outcome.code().to_owned(), n, paint, outcome.meaning().to_owned())
    };
    let mut lines: Vec<Line> = summary.counts.iter().map(line).collect();
    if summary.n_unprocessed > 0 {
        let remark = "not attempted or interrupted".to_owned();
        lines.push(("unprocessed".to_owned(), summary.n_unprocessed, Paint::Warn, remark));
    }
    table(&lines, style)
}

fn warnings(summary: &Summary, style: Style) -> String {
    let mut text = canary(summary);
    for line in &summary.lines_of_walk {
        text += &format!("{line}\n");
    }
    let excluded = summary.excluded;
    if excluded.entries > 0 {
        text += &format!(
            "Exclude files: {}, {} matched listed users, {} matched nobody.\n",
            counted(excluded.entries, "entry", "entries"),
            number(excluded.matched),
            number(excluded.unmatched),
        );
    }
    text += &banned(summary, style);
    if let Some(remark) = relocked_remark(&summary.counts) {
        text += &format!("{remark}\n");
    }
    text
}

fn banned(summary: &Summary, style: Style) -> String {
    if summary.n_banned == 0 {
        return String::new();
    }
    let warning = style.paint(Paint::Warn, "warning: ");
    let users = counted(summary.n_banned, "user is", "users are");
    format!("{warning}{users} banned; unlocking does not lift a ban.\n")
}

/// The state of users that were locked again, or would be.
pub(super) fn relocked_remark(counts: &Counts) -> Option<&'static str> {
    if counts.get(Outcome::Relocked) > 0 {
        Some(
            "The users that were locked again look locked on purpose (admin_locked) from now on: \
             after a look-up, `run` leaves them alone unless --include-admin-locked is given.",
        )
    } else if counts.get(Outcome::WouldRelock) > 0 {
        Some("Users that `relock` locks again look locked on purpose (admin_locked) afterwards.")
    } else {
        None
    }
}

/// Whether a run continues after its canary.
fn canary(summary: &Summary) -> String {
    let Some(canary) = summary.canary else { return String::new() };
    match summary.command {
        CommandKind::Plan if summary.counts.get(Outcome::WouldUnlock) > canary => format!(
            "The run unlocks {} first (--canary), and continues by itself if all succeed.\n",
            counted(canary, "user", "users")
        ),
        CommandKind::Run
            if summary.ending == Ending::Completed
                && summary.counts.get(Outcome::Unlocked) > canary =>
        {
            let users = counted(canary, "user was", "users were");
            format!("{users} unlocked first (--canary); then the run continued by itself.\n")
        }
        _ => String::new(),
    }
}

fn errors(summary: &Summary, style: Style) -> String {
    let lines = summary.errors.iter().take(MAX_ERRORS).map(|error| {
        let user = clipped(&error.example.user, MAX_CODE);
        let message = clipped(&error.example.message, MAX_MESSAGE);
        let example = format!("line {} {user}: {message}", error.example.line);
        (clipped(&error.code, MAX_CODE), error.n, Paint::Plain, example)
    });
    let lines: Vec<Line> = lines.collect();
    if lines.is_empty() {
        return String::new();
    }
    let more = match summary.errors.len() - lines.len() {
        0 => String::new(),
        n => format!("  and {} more\n", counted(n as u64, "code", "codes")),
    };
    format!("Most frequent errors, each with its first example:\n{}{more}", table(&lines, style))
}

fn requests(summary: &Summary) -> String {
    if summary.n_requests == 0 {
        return String::new();
    }
    let mut text = counted(summary.n_requests, "request", "requests");
    if summary.n_lookups > 0 {
        text += &format!(" ({})", counted(summary.n_lookups, "look-up", "look-ups"));
    }
    text += &format!(", {}", counted(summary.n_retries, "retry", "retries"));
    text += &retried(&summary.retried);
    text += &match summary.n_throttled {
        0 => ", no 429".to_owned(),
        n => format!(", {} answered 429", number(n)),
    };
    if !summary.paused.is_zero() {
        text += &format!(", paused for {}", duration(summary.paused));
    }
    text += ".\n";
    if summary.n_given_up > 0 {
        let requests = counted(summary.n_given_up, "request was", "requests were");
        text += &format!("{requests} cut off before the response came; their result is unknown.\n");
    }
    if let Some(latency) = summary.latency {
        let [p50, p99, max] = [latency.p50, latency.p99, latency.max].map(duration);
        text += &format!("Latency: p50 {p50}, p99 {p99}, max {max}.\n");
    }
    text
}

/// ` (http_503 20, timeout 17)`
fn retried(errors: &[ErrorGroup]) -> String {
    if errors.is_empty() {
        return String::new();
    }
    let shown = errors.iter().take(MAX_RETRIED);
    let shown: Vec<_> =
        shown.map(|it| format!("{} {}", clipped(&it.code, MAX_CODE), number(it.n))).collect();
    let more = if errors.len() > MAX_RETRIED { ", …" } else { "" };
    format!(" ({}{more})", shown.join(", "))
}

fn files(summary: &Summary, style: Style) -> String {
    let files = &summary.files;
    let line = |name: &str, path: Option<&Path>, count: Option<String>| {
        let count = count.map(|it| style.paint(Paint::Dim, &format!("  ({it})")));
        let path = path?.display().to_string();
        Some(format!("  {name:<11}  {}{}\n", clean(&path), count.unwrap_or_default()))
    };
    let results = if summary.command.is_plan() { "plan" } else { "results" };
    let n_failed = counted(summary.counts.n_not_well(), "row", "rows");
    let n_unprocessed = counted(summary.n_unprocessed, "record", "records");
    let lines = [
        line(results, files.results.as_deref(), None),
        line("sha256", summary.plan_sha256.as_deref().map(Path::new), None),
        line("failed", files.failed.as_deref(), Some(n_failed)),
        line("unprocessed", files.unprocessed.as_deref(), Some(n_unprocessed)),
        line("manifest", files.manifest.as_deref(), None),
        line("report", files.report.as_deref(), None),
    ];
    lines.into_iter().flatten().collect()
}

fn forecast(summary: &Summary) -> String {
    let n_users = summary.counts.get(summary.command.aim());
    // The cost of a run is not known from an incomplete plan.
    let is_shown = summary.ending == Ending::Completed && n_users > 0;
    let Some(forecast) = summary.forecast.filter(|_| is_shown) else { return String::new() };
    format!(
        "Forecast: {} {}, {}, about {} at {}.\n",
        counted(n_users, "user", "users"),
        aim(summary.command),
        counted(forecast.n_requests, "request", "requests"),
        duration(forecast.takes.max(SHORTEST_FORECAST)),
        ceiling(forecast.ceiling),
    )
}

fn next(summary: &Summary, style: Style) -> String {
    let Some(next) = &summary.next else { return String::new() };
    let look_first = next.look_first.as_deref().map(|path| {
        format!("Look at the failures first: {}\n", clean(&path.display().to_string()))
    });
    // The command is quoted, which makes it safe to print.
    let command = style.paint(Paint::Bold, &next.command);
    format!("{}{}:\n  {command}\n", look_first.unwrap_or_default(), clean(&next.why))
}

fn next_commands(commands: &[String]) -> String {
    let title = match commands.len() {
        0 => return String::new(),
        1 => "Next step:\n",
        _ => "Next steps:\n",
    };
    commands.iter().fold(title.to_owned(), |text, command| text + "  " + command + "\n")
}

#[cfg(test)]
mod tests;
