//! Progress on a terminal, drawn in place.

mod model;
mod terminal;

pub use model::BarModel;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Console, Listener, ReportContext};
use crate::model::Event;
use crate::stats::Stats;
use terminal::Terminal;

/// Progress on a terminal, drawn in place at most ten times a second.
///
/// indicatif draws the lines and clears them; [`BarModel`] makes them.
pub struct Bar<'a> {
    console: Console,
    context: ReportContext<'a>,
    progress: ProgressBar,
    term: Term,
}

const REDRAWS_PER_SECOND: u8 = 10;
const USUAL_WIDTH: u16 = 80;

impl<'a> Bar<'a> {
    /// Draws at the lower end of the console from now on.
    pub fn new(console: Console, context: ReportContext<'a>) -> Self {
        let progress = ProgressBar::with_draw_target(None, target());
        // This template is valid; if it were not, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            progress.set_style(style);
        }
        console.set_bar(Some(progress.clone()));
        Self { console, context, progress, term: Term::stderr() }
    }

    fn width(&self) -> usize {
        let columns = self.term.size_checked().map(|(_, columns)| columns);
        columns.filter(|it| *it > 0).unwrap_or(USUAL_WIDTH).into()
    }
}

fn target() -> ProgressDrawTarget {
    let term = Term::buffered_stderr();
    if !term.is_term() {
        return ProgressDrawTarget::hidden();
    }
    ProgressDrawTarget::term_like_with_hz(Box::new(Terminal::new(term)), REDRAWS_PER_SECOND)
}

impl Listener for Bar<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if matches!(event, Event::Ticked { .. }) {
            let model = BarModel::new(stats, self.context.command, self.context.ceiling);
            self.progress.set_message(model.render(self.width(), self.console.style()).join("\n"));
        }
    }
}

/// However the run ends, the bar is gone before the closing text.
impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.console.set_bar(None);
        self.progress.finish_and_clear();
    }
}
