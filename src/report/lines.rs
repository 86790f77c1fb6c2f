//! Progress for a log: a line every ten seconds.

use std::time::Duration;

use super::{Listener, Scene, Screen, status_line};
use crate::model::Event;
use crate::tally::Tally;

/// Progress for a log: a line every ten seconds.
pub struct Lines<'a> {
    screen: Screen,
    scene: Scene<'a>,
    next: Duration,
}

const EVERY: Duration = Duration::from_secs(10);

impl<'a> Lines<'a> {
    /// Nothing is said for the first ten seconds.
    pub fn new(screen: Screen, scene: Scene<'a>) -> Self {
        Self { screen, scene, next: EVERY }
    }
}

impl Listener for Lines<'_> {
    fn hear(&mut self, event: &Event, tally: &Tally) {
        if !matches!(event, Event::Ticked { .. }) || tally.elapsed() < self.next {
            return;
        }
        self.next = tally.elapsed() + EVERY;
        self.screen.note(&status_line(tally, self.scene.command, self.scene.ceiling));
    }
}

#[cfg(test)]
mod tests {
    use super::super::screen::tests::Page;
    use super::*;
    use crate::model::Outcome;
    use crate::report::Voice;
    use crate::summary::CommandKind;
    use crate::tally::story::Story;

    #[test]
    fn one_line_every_ten_seconds() {
        let page = Page::default();
        let scene = Scene { command: CommandKind::Run, ceiling: None, records: &[] };
        let mut lines = Lines::new(page.screen(Voice::Normal), scene);
        let mut story = Story::of(50);
        for second in 0..25 {
            story = story.at(second * 1000).rows(1, Outcome::Unlocked).at(second * 1000 + 100);
            lines.hear(story.events.last().unwrap(), &story.tally);
        }
        insta::assert_snapshot!(page.text(), @"
            11 of 50 (22 %): 11 unlocked, 0 failed, 0 retries; 1.1/s, limited by latency; 36 s left
            21 of 50 (42 %): 21 unlocked, 0 failed, 0 retries; 1.1/s, limited by latency; 28 s left
            ");
    }
}
