//! The closing lines: what happened, where the files are, and the next step.

mod headline;
mod incident;
mod sections;
mod table;
#[cfg(test)]
mod tests;

pub use headline::headline;
pub use incident::{incident, incident_headline};

use serde_json::json;

use super::{Console, Level, LogFormat, LogType, Style, Verbosity};
use crate::stats::summary::{CommandKind, Summary};

/// The closing lines, with a newline at the end of each.
pub fn text(summary: &Summary, style: Style) -> String {
    let sections = [
        sections::headline(summary, style),
        sections::counts(summary, style),
        sections::warnings(summary, style),
        sections::errors(summary, style),
        sections::traffic(summary),
        sections::files(summary, style),
        sections::forecast(summary),
        sections::next(summary, style),
    ];
    let sections: Vec<_> = sections.into_iter().filter(|it| !it.is_empty()).collect();
    sections.join("\n")
}

/// Prints the closing lines: all of them, or only the headline on a quiet console or in a JSON log.
pub fn print(summary: &Summary, console: &Console) {
    if console.format() == LogFormat::Json || console.verbosity() <= Verbosity::Quiet {
        let fields = json!({ "summary": summary });
        console.log_as(LogType::Summary, Level::Answer, &headline(summary), fields);
    } else {
        console.print(Level::Note, &text(summary, console.style()));
    }
}

/// What the command aims at.
fn done(command: CommandKind) -> &'static str {
    match command {
        CommandKind::Run => "unlocked",
        CommandKind::Plan => "to unlock",
        CommandKind::Verify => "still unlocked",
        CommandKind::Locked => "locked",
        CommandKind::Relock => "locked again",
        CommandKind::RelockPlan => "to lock again",
    }
}
