//! Progress for a log: a line every ten seconds.

use std::time::Duration;

use super::{Console, Listener, ReportContext, status_line};
use crate::model::Event;
use crate::stats::Stats;

/// Progress for a log: a line every ten seconds.
pub struct Lines<'a> {
    console: Console,
    scene: ReportContext<'a>,
    next: Duration,
}

const EVERY: Duration = Duration::from_secs(10);

impl<'a> Lines<'a> {
    /// Nothing is said for the first ten seconds.
    pub fn new(console: Console, scene: ReportContext<'a>) -> Self {
        Self { console, scene, next: EVERY }
    }
}

impl Listener for Lines<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if !matches!(event, Event::Ticked { .. }) || stats.elapsed() < self.next {
            return;
        }
        self.next = stats.elapsed() + EVERY;
        self.console.note(&status_line(stats, self.scene.command, self.scene.ceiling));
    }
}

#[cfg(test)]
mod tests {
    use super::super::console::tests::Page;
    use super::*;
    use crate::model::Outcome;
    use crate::report::Verbosity;
    use crate::stats::story::Story;
    use crate::stats::summary::CommandKind;

    #[test]
    fn one_line_every_ten_seconds() {
        let page = Page::default();
        let scene = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let mut lines = Lines::new(page.console(Verbosity::Normal), scene);
        let mut story = Story::of(50);
        for second in 0..25 {
            story = story.at(second * 1000).rows(1, Outcome::Unlocked).at(second * 1000 + 100);
            lines.on_event(story.events.last().unwrap(), &story.stats);
        }
        insta::assert_snapshot!(page.text(), @"
            11 of 50 (22 %): 11 unlocked, 0 failed, 0 retries; 1.1/s, limited by latency; 36 s left
            21 of 50 (42 %): 21 unlocked, 0 failed, 0 retries; 1.1/s, limited by latency; 28 s left
            ");
    }
}
