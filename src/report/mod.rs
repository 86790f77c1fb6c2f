//! What people read: the progress bar, log lines, the closing text, the HTML and Markdown pages, and
//! metrics.
//!
//! During a run, a [`Listener`] receives each event together with the statistics so far, after the
//! event was recorded and counted. Text from outside is cleaned before it is printed.

mod bar;
pub mod closing;
mod console;
mod details;
mod metrics;
mod notices;
pub mod page;
mod status;
mod style;
pub mod text;
mod words;

pub use bar::Bar;
pub use console::{Console, Level, LogFormat, LogType, Verbosity};
pub use details::Details;
pub use metrics::Metrics;
pub use notices::Notices;
pub use status::{Lines, print_status};
pub use style::{Paint, Style};
pub use words::stopped_by;

use crate::model::{Event, InputRecord};
use crate::stats::summary::CommandKind;
use crate::stats::{Ceiling, Stats};

/// Receives every event after it was recorded and counted.
pub trait Listener: Send {
    /// One event, and the counts up to and with it.
    fn on_event(&mut self, event: &Event, stats: &Stats);

    /// There are no more events: takes down what must not stay on the console.
    fn finish(self: Box<Self>) {}
}

/// How progress is shown (`--progress`); "auto" was decided before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Drawn in place, on a terminal.
    Bar,
    /// A line every ten seconds.
    Lines,
    /// Not at all.
    None,
}

/// What a listener must know of the run beforehand.
#[derive(Clone, Copy, Debug)]
pub struct ReportContext<'a> {
    /// What is done.
    pub command: CommandKind,
    /// What the job allows itself.
    pub ceiling: Option<Ceiling>,
    /// The records of the input, for their lines and cells.
    pub records: &'a [InputRecord],
}

/// All listeners that print to this console. A quiet console has no progress.
pub fn listeners<'a>(
    console: &Console,
    progress: Progress,
    scene: ReportContext<'a>,
) -> Vec<Box<dyn Listener + 'a>> {
    let mut listeners: Vec<Box<dyn Listener + 'a>> = Vec::new();
    if console.is_enabled(Level::Detail) {
        listeners.push(Box::new(Details::new(console.clone(), scene.records)));
    }
    listeners.push(Box::new(Notices::new(console.clone(), scene, progress)));
    if console.is_enabled(Level::Note) {
        match progress {
            Progress::Bar => listeners.push(Box::new(Bar::new(console.clone(), scene))),
            Progress::Lines => listeners.push(Box::new(Lines::new(console.clone(), scene))),
            Progress::None => {}
        }
    }
    listeners
}
