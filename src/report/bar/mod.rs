//! Progress on a terminal, drawn in place.

mod fit;
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
/// indicatif is the brush alone: which lines there are is [`BarModel`]'s matter.
pub struct Bar<'a> {
    console: Console,
    scene: ReportContext<'a>,
    brush: ProgressBar,
    term: Term,
}

const REDRAWS_PER_SECOND: u8 = 10;
const USUAL_WIDTH: u16 = 80;

impl<'a> Bar<'a> {
    /// Takes its place at the lower end of the console.
    pub fn new(console: Console, scene: ReportContext<'a>) -> Self {
        let brush = ProgressBar::with_draw_target(None, target());
        // A template of this one word can't be refused; if it were, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            brush.set_style(style);
        }
        console.set_bar(Some(brush.clone()));
        Self { console, scene, brush, term: Term::stderr() }
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
            let model = BarModel::new(stats, self.scene.command, self.scene.ceiling);
            self.brush.set_message(model.render(self.width(), self.console.style()).join("\n"));
        }
    }
}

/// However the run ends, the closing text finds a clear console.
impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.console.set_bar(None);
        self.brush.finish_and_clear();
    }
}
