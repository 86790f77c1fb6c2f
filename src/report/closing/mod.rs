//! The closing lines: what happened, where it is written, and what goes on from here.

mod headline;
mod incident;
mod sections;
mod table;
#[cfg(test)]
mod tests;

pub use headline::headline;
pub use incident::{incident, incident_headline};

use super::{Console, Level, LogFormat, Style, Verbosity};
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

/// Says the closing lines on this console: all of them, or the headline alone where it is quiet or
/// writes a log for machines.
pub fn say(summary: &Summary, console: &Console) {
    if console.format() == LogFormat::Json || console.voice() <= Verbosity::Quiet {
        console.say(Level::Answer, &headline(summary));
    } else {
        console.print(Level::Note, &text(summary, console.style()));
    }
}

/// How the command speaks of what it is after.
fn done(command: CommandKind) -> &'static str {
    match command {
        CommandKind::Run => "unlocked",
        CommandKind::Plan => "to unlock",
        CommandKind::Verify => "still unlocked",
        CommandKind::Locked => "locked",
    }
}
