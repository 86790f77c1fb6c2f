//! What people are told: the bar, the lines, the log, the closing text. All of it goes to stderr,
//! through one door, the [`Screen`]. What is kept is the [`page`].
//!
//! Whatever is said while a run goes on is said by a [`Listener`]: it hears each event and the
//! counts up to it, so it keeps almost no state and never asks the time.

mod bar;
pub mod closing;
mod details;
mod lines;
mod notices;
pub mod page;
mod screen;
mod status;
mod style;
pub mod text;
mod words;

pub use bar::{Bar, BarModel};
pub use details::Details;
pub use lines::Lines;
pub use notices::Notices;
pub use screen::{Level, LogFormat, Screen, ScreenWriter, Voice};
pub use status::status_line;
pub use style::{Paint, Style};
pub use words::stopped_by;

use crate::model::{Event, InputRecord};
use crate::summary::CommandKind;
use crate::tally::{Ceiling, Tally};

/// Somebody who tells what happens. Hears every event after it was recorded and counted.
pub trait Listener: Send {
    /// One event, and the counts up to and with it.
    fn hear(&mut self, event: &Event, tally: &Tally);

    /// There are no more events: takes down what must not stay on the screen.
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
pub struct Scene<'a> {
    /// What is done.
    pub command: CommandKind,
    /// What the job allows itself.
    pub ceiling: Option<Ceiling>,
    /// The records of the input, for their lines and cells.
    pub records: &'a [InputRecord],
}

/// Everybody who tells about the run on this screen. A quiet screen has no progress.
pub fn listeners<'a>(
    screen: &Screen,
    progress: Progress,
    scene: Scene<'a>,
) -> Vec<Box<dyn Listener + 'a>> {
    let mut listeners: Vec<Box<dyn Listener + 'a>> = Vec::new();
    if screen.may_speak(Level::Detail) {
        listeners.push(Box::new(Details::new(screen.clone(), scene.records)));
    }
    listeners.push(Box::new(Notices::new(screen.clone(), scene, progress)));
    if screen.may_speak(Level::Note) {
        match progress {
            Progress::Bar => listeners.push(Box::new(Bar::new(screen.clone(), scene))),
            Progress::Lines => listeners.push(Box::new(Lines::new(screen.clone(), scene))),
            Progress::None => {}
        }
    }
    listeners
}
