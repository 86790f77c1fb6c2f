//! The parts of the closing text; a part without content is empty.

use std::path::Path;
use std::time::Duration;

use super::done;
use super::table::{Line, table};
use crate::model::Outcome;
use crate::report::text::{clean, clipped, counted, duration, number};
use crate::report::{Paint, Style, words};
use crate::stats::ErrorGroup;
use crate::stats::summary::{CommandKind, Ending, LatencySummary, Summary};

/// Number of error codes shown; the results have all.
const MAX_ERRORS: usize = 5;
/// Number of error codes of retried attempts shown.
const MAX_RETRIED: usize = 3;
/// Responses take time too: no shorter duration is forecast.
const SHORTEST_FORECAST: Duration = Duration::from_secs(1);
const MAX_CODE: usize = 40;
const MAX_MESSAGE: usize = 120;

pub(super) fn headline(summary: &Summary, style: Style) -> String {
    let paint = match summary.ending {
        Ending::Completed if summary.all_ended_well() => Paint::Good,
        Ending::Completed | Ending::NotConfirmed => Paint::Bold,
        Ending::Stopped(_) | Ending::Unaccounted | Ending::Unfinished => Paint::Bad,
    };
    let earlier = match summary.n_earlier {
        0 => String::new(),
        n => counted(n, "row is", "rows are") + " from an earlier run.\n",
    };
    format!("{}\n{earlier}", style.paint(paint, &super::headline(summary)))
}

pub(super) fn counts(summary: &Summary, style: Style) -> String {
    let row = |(outcome, n): (Outcome, u64)| Line {
        name: outcome.code().to_owned(),
        n,
        paint: if outcome.ended_well() { Paint::Good } else { Paint::Bad },
        remark: outcome.meaning().to_owned(),
    };
    let unprocessed = Line {
        name: "unprocessed".to_owned(),
        n: summary.n_unprocessed,
        paint: Paint::Warn,
        remark: "not attempted or interrupted".to_owned(),
    };
    let unprocessed = Some(unprocessed).filter(|line| line.n > 0);
    table(&summary.counts.iter().map(row).chain(unprocessed).collect::<Vec<_>>(), style)
}

pub(super) fn warnings(summary: &Summary, style: Style) -> String {
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
    if summary.n_banned > 0 {
        let n = summary.n_banned;
        let who = counted(n, "user is banned", "users are banned");
        let warning = style.paint(Paint::Warn, "warning: ");
        text += &format!("{warning}{who}; unlocking does not lift a ban.\n");
    }
    if let Some(remark) = words::relocked_remark(|outcome| summary.counts.get(outcome)) {
        text += &format!("{remark}\n");
    }
    text
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

pub(super) fn errors(summary: &Summary, style: Style) -> String {
    let shown = summary.errors.iter().take(MAX_ERRORS).map(|error| Line {
        name: clipped(&error.code, MAX_CODE),
        n: error.n,
        paint: Paint::Plain,
        remark: example(error),
    });
    let shown: Vec<_> = shown.collect();
    if shown.is_empty() {
        return String::new();
    }
    let more = match (summary.errors.len() - shown.len()) as u64 {
        0 => String::new(),
        n => format!("  and {} more\n", counted(n, "code", "codes")),
    };
    let lines = table(&shown, style);
    format!("Most frequent errors, each with its first example:\n{lines}{more}")
}

/// `line 17 user_abc: No user was found.`
fn example(error: &ErrorGroup) -> String {
    let user = clipped(&error.example.user, MAX_CODE);
    let message = clipped(&error.example.message, MAX_MESSAGE);
    format!("line {} {user}: {message}", error.example.line)
}

pub(super) fn traffic(summary: &Summary) -> String {
    if summary.n_requests == 0 {
        return String::new();
    }
    let parts = [
        counted(summary.n_requests, "request", "requests") + &lookups(summary.n_lookups),
        counted(summary.n_retries, "retry", "retries") + &retried(&summary.retried),
        match summary.n_throttled {
            0 => "no 429".to_owned(),
            n => format!("{} answered 429", number(n)),
        },
    ];
    let paused = match duration(summary.paused) {
        _ if summary.paused.is_zero() => String::new(),
        paused => format!(", paused for {paused}"),
    };
    let latency = summary.latency.map(latency).unwrap_or_default();
    let given_up = match summary.n_given_up {
        0 => String::new(),
        n => {
            let requests = counted(n, "request was", "requests were");
            format!("{requests} cut off before the response came; their result is unknown.\n")
        }
    };
    format!("{}{paused}.\n{given_up}{latency}", parts.join(", "))
}

fn lookups(n: u64) -> String {
    if n == 0 { String::new() } else { format!(" ({})", counted(n, "look-up", "look-ups")) }
}

/// ` (http_503 20, timeout 17)`
fn retried(codes: &[(String, u64)]) -> String {
    let shown = codes.iter().take(MAX_RETRIED);
    let shown: Vec<_> =
        shown.map(|(code, n)| format!("{} {}", clipped(code, MAX_CODE), number(*n))).collect();
    let more = if codes.len() > MAX_RETRIED { ", …" } else { "" };
    if shown.is_empty() { String::new() } else { format!(" ({}{more})", shown.join(", ")) }
}

fn latency(latency: LatencySummary) -> String {
    format!(
        "Latency: p50 {}, p99 {}, max {}.\n",
        duration(latency.p50),
        duration(latency.p99),
        duration(latency.max),
    )
}

pub(super) fn files(summary: &Summary, style: Style) -> String {
    let files = &summary.files;
    let n_failed = (summary.counts.n_not_well(), "row", "rows");
    let n_unprocessed = (summary.n_unprocessed, "record", "records");
    let line = |name: &str, path: Option<&Path>, n: Option<(u64, &str, &str)>| {
        let count = n.map(|(n, one, many)| format!("  ({})", counted(n, one, many)));
        let count = style.paint(Paint::Dim, &count.unwrap_or_default());
        let path = path?.display().to_string();
        Some(format!("  {name:<11}  {}{count}\n", clean(&path)))
    };
    let results = if summary.command.is_plan() { "plan" } else { "results" };
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

pub(super) fn forecast(summary: &Summary) -> String {
    let n_users = summary.counts.get(summary.command.aim());
    // An incomplete plan does not show what its run would cost.
    let is_shown = summary.ending == Ending::Completed && n_users > 0;
    let Some(forecast) = summary.forecast.filter(|_| is_shown) else { return String::new() };
    format!(
        "Forecast: {} {}, {}, about {} at {}.\n",
        counted(n_users, "user", "users"),
        done(summary.command),
        counted(forecast.n_requests, "request", "requests"),
        duration(forecast.takes.max(SHORTEST_FORECAST)),
        words::ceiling(forecast.ceiling),
    )
}

pub(super) fn next(summary: &Summary, style: Style) -> String {
    let Some(next) = &summary.next else { return String::new() };
    let look_first = next.look_first.as_deref().map(|path| {
        format!("Look at the failures first: {}\n", clean(&path.display().to_string()))
    });
    // The command is quoted so that it is safe to print.
    let command = style.paint(Paint::Bold, &next.command);
    format!("{}{}:\n  {command}\n", look_first.unwrap_or_default(), clean(&next.why))
}
