//! What several files say: the commands in order, and the final state of each user.

use super::sections;
use crate::model::Outcome;
use crate::report::text::{clean, counted, minute, number};
use crate::report::{Paint, Style};
use crate::stats::summary::{CommandKind, Incident, Stage, Summary};

/// The report of finished files, with a newline at the end of each line.
pub fn incident(incident: &Incident, style: Style) -> String {
    if incident.stages.len() == 1 {
        return super::text(&incident.summary, style);
    }
    let summary = &incident.summary;
    let sections = [
        incident_headline(incident) + "\n",
        incident.stages.iter().map(stage).collect(),
        format!("Final state of each user:\n{}", sections::counts(summary, style)),
        banned(summary),
        sections::errors(summary, style),
        sections::files(summary, style),
        next(incident, style),
    ];
    sections.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("\n")
}

/// `2026-01-31 03:12  ids.plan.csv: Plan: a run would unlock 9 of 12 users.`
fn stage(stage: &Stage) -> String {
    let when = stage.started_at.map_or_else(|| "time unknown".to_owned(), minute);
    format!("  {when}  {}: {}\n", clean(&stage.file), super::headline(&stage.summary))
}

fn banned(summary: &Summary) -> String {
    match summary.n_banned {
        0 => String::new(),
        n => format!(
            "warning: {} banned; unlocking does not lift a ban.\n",
            counted(n, "user is", "users are")
        ),
    }
}

fn next(incident: &Incident, style: Style) -> String {
    let title = match incident.next_commands.len() {
        0 => return String::new(),
        1 => "Next step:\n",
        _ => "Next steps:\n",
    };
    // The commands are quoted so that they are safe to print.
    let commands = incident.next_commands.iter().map(|it| style.paint(Paint::Bold, it));
    commands.fold(title.to_owned(), |text, command| text + "  " + &command + "\n")
}

/// The result in one sentence. For a single file it is that of its command.
pub fn incident_headline(incident: &Incident) -> String {
    let summary = &incident.summary;
    if let [stage] = incident.stages.as_slice() {
        return super::headline(&stage.summary);
    }
    let of = counted(summary.n_records, "user", "users");
    let n = |outcome| summary.counts.get(outcome);
    if incident.is_plan() {
        let n = number(n(CommandKind::Plan.aim()));
        return format!("Planned: `run` would unlock {n} of {of}. Nothing was changed.");
    }
    let n_unlocked = [Outcome::Unlocked, Outcome::AlreadyUnlocked, Outcome::StillUnlocked].map(n);
    let n_unlocked: u64 = n_unlocked.iter().sum();
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
