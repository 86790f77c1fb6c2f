//! Progress on a terminal, drawn in place.

mod fit;
mod model;
mod terminal;

pub use model::BarModel;

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Listener, Scene, Screen};
use crate::model::Event;
use crate::tally::Tally;
use terminal::Terminal;

/// Progress on a terminal, drawn in place at most ten times a second.
///
/// indicatif is the brush alone: which lines there are is [`BarModel`]'s matter.
pub struct Bar<'a> {
    screen: Screen,
    scene: Scene<'a>,
    brush: ProgressBar,
    term: Term,
}

const REDRAWS_PER_SECOND: u8 = 10;
const USUAL_WIDTH: u16 = 80;

impl<'a> Bar<'a> {
    /// Takes its place at the lower end of the screen.
    pub fn new(screen: Screen, scene: Scene<'a>) -> Self {
        let brush = ProgressBar::with_draw_target(None, target());
        // A template of this one word can't be refused; if it were, indicatif's own would do.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            brush.set_style(style);
        }
        screen.set_bar(Some(brush.clone()));
        Self { screen, scene, brush, term: Term::stderr() }
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
    fn hear(&mut self, event: &Event, tally: &Tally) {
        if matches!(event, Event::Ticked { .. }) {
            let model = BarModel::new(tally, self.scene.command, self.scene.ceiling);
            self.brush.set_message(model.render(self.width(), self.screen.style()).join("\n"));
        }
    }
}

/// However the run ends, the closing text finds a clear screen.
impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.screen.set_bar(None);
        self.brush.finish_and_clear();
    }
}
