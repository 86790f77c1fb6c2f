//! Output for people and monitors: progress, log lines, closing lines, the HTML and Markdown pages,
//! and metrics.
//!
//! During a run, a [`Listener`] receives each event with the statistics so far, after the event was
//! recorded and counted. Text from outside is cleaned before it is printed.

mod bar;
pub mod closing;
mod console;
mod events;
mod metrics;
pub mod page;
mod progress;
pub mod text;

pub use console::{Console, Level, LogFormat, LogType, Paint, Style, Verbosity};
pub use metrics::Metrics;
pub use text::stopped_by;

use bar::Bar;
use events::EventLog;
use progress::{Lines, print_status};

use crate::model::{Event, InputRecord};
use crate::stats::summary::CommandKind;
use crate::stats::{Ceiling, Stats};

/// Receives every event after it was recorded and counted.
pub trait Listener: Send {
    /// An event, and the statistics that include it.
    fn on_event(&mut self, event: &Event, stats: &Stats);

    /// No more events follow.
    fn finish(self: Box<Self>) {}
}

/// How progress is shown (`--progress`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Drawn in place, on a terminal.
    Bar,
    /// A line every ten seconds.
    Lines,
    /// Not at all.
    None,
}

/// The run that a listener reports.
#[derive(Clone, Copy, Debug)]
pub struct ReportContext<'a> {
    /// The command.
    pub command: CommandKind,
    /// The maximum rate of the job.
    pub ceiling: Option<Ceiling>,
    /// The records of the input.
    pub records: &'a [InputRecord],
}

/// All listeners that print to this console. A quiet console has no progress.
pub fn listeners<'a>(
    console: &Console,
    progress: Progress,
    context: ReportContext<'a>,
) -> Vec<Box<dyn Listener + 'a>> {
    let log = EventLog::new(console.clone(), context, progress);
    let mut listeners: Vec<Box<dyn Listener + 'a>> = vec![Box::new(log)];
    if console.is_enabled(Level::Note) {
        match progress {
            Progress::Bar => listeners.push(Box::new(Bar::new(console.clone(), context))),
            Progress::Lines => listeners.push(Box::new(Lines::new(console.clone(), context))),
            Progress::None => {}
        }
    }
    listeners
}
