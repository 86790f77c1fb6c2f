//! The progress of a run in one line: every ten seconds in a log, and on SIGUSR1.

use std::time::Duration;

use serde_json::json;

use super::text::{self, counted, number};
use super::{Console, Level, Listener, LogType, ReportContext};
use crate::model::{Event, Outcome};
use crate::stats::summary::CommandKind;
use crate::stats::{Pace, Stats};

/// The progress of a run.
pub(super) struct Status {
    pub(super) n_done: u64,
    pub(super) n_records: u64,
    pub(super) percent: u64,
    pub(super) n_aimed: u64,
    /// `3,590 unlocked`
    pub(super) aimed: String,
    pub(super) n_failed: u64,
    /// `1 failed`
    pub(super) failed: String,
    /// `12 retries`
    pub(super) retries: String,
    pub(super) pace: Pace,
    /// With and without the ceiling.
    pub(super) rate: [String; 2],
    /// `18 s left`
    pub(super) left: Option<String>,
    pub(super) is_stopping: bool,
}

impl Status {
    pub(super) fn new(stats: &Stats, context: ReportContext<'_>) -> Self {
        let ReportContext { command, ceiling, .. } = context;
        let (n_done, n_records) = (stats.n_rows(), stats.size.n_records);
        let n_aimed = stats.count(command.aim());
        // `verify` has no users that were left alone on purpose.
        let (n_failed, failed) = match command {
            CommandKind::Verify => (stats.counts().n_not_well(), "locked or gone"),
            _ => (stats.counts().n_where(Outcome::counts_as_failure), "failed"),
        };
        let pace = stats.pace(ceiling);
        Self {
            n_done,
            n_records,
            percent: (n_done * 100).checked_div(n_records).unwrap_or(100),
            n_aimed,
            aimed: format!("{} {}", number(n_aimed), text::aim(command)),
            n_failed,
            failed: format!("{} {failed}", number(n_failed)),
            retries: counted(stats.n_retries, "retry", "retries"),
            rate: text::rate(&pace, ceiling),
            left: pace.left.map(text::left),
            pace,
            is_stopping: stats.stopping.is_some(),
        }
    }

    /// The status in one line, without a full stop.
    fn line(&self) -> String {
        let limit = match &self.pace.limit {
            _ if self.is_stopping => "stopping".to_owned(),
            Some(limit) => text::limit(limit)[0].clone(),
            None => String::new(),
        };
        let counts = format!(
            "{} of {} ({} %): {}, {}, {}",
            number(self.n_done),
            number(self.n_records),
            self.percent,
            self.aimed,
            self.failed,
            self.retries,
        );
        let pace = joined([self.rate[0].clone(), limit], ", ");
        joined([counts, pace, self.left.clone().unwrap_or_default()], "; ")
    }
}

/// The parts that are not empty.
fn joined<const N: usize>(parts: [String; N], separator: &str) -> String {
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(separator)
}

/// Prints the status in one line.
pub fn print_status(console: &Console, level: Level, context: ReportContext<'_>, stats: &Stats) {
    let progress = Status::new(stats, context);
    let fields = json!({
        "command": context.command.code(),
        "done": progress.n_done,
        "total": progress.n_records,
        "succeeded": progress.n_aimed,
        "failed": progress.n_failed,
        "retries": stats.n_retries,
    });
    console.log_as(LogType::Progress, level, &progress.line(), fields);
}

/// Progress for a log: a line every ten seconds.
pub struct Lines<'a> {
    console: Console,
    context: ReportContext<'a>,
    next: Duration,
}

const EVERY: Duration = Duration::from_secs(10);

impl<'a> Lines<'a> {
    /// The first line follows after ten seconds.
    pub fn new(console: Console, context: ReportContext<'a>) -> Self {
        Self { console, context, next: EVERY }
    }
}

impl Listener for Lines<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if !matches!(event, Event::Ticked { .. }) || stats.elapsed() < self.next {
            return;
        }
        self.next = stats.elapsed() + EVERY;
        print_status(&self.console, Level::Note, self.context, stats);
    }
}

#[cfg(test)]
mod tests {
    use super::super::console::tests::Sink;
    use super::*;
    use crate::model::{PauseReason, StopReason};
    use crate::report::Verbosity;
    use crate::stats::Ceiling;
    use crate::stats::testing::Story;

    fn line(story: &Story, command: CommandKind) -> String {
        let per = Duration::from_secs(10);
        let ceiling = Ceiling { n_requests: 800, per, is_spaced: true };
        let context = ReportContext { command, ceiling: Some(ceiling), records: &[] };
        Status::new(&story.stats, context).line()
    }

    #[test]
    fn the_status_of_a_run() {
        let story = Story::of(5000)
            .attempts_take(500, 80)
            .at(4900)
            .rows(360, Outcome::Unlocked)
            .retries(1, 503, "http_503")
            .failed_row(Outcome::NotFound, 404, "resource_not_found", "")
            .unasked_rows(1, Outcome::Invalid);
        insta::assert_snapshot!(line(&story, CommandKind::Run), @"362 of 5,000 (7 %): 360 unlocked, 1 failed, 1 retry; 74/s of 80/s, limited by the pace; 1 min 3 s left");
    }

    #[test]
    fn the_status_of_a_run_that_pauses_or_stops() {
        let story = || Story::of(10).at(1000).rows(5, Outcome::Unlocked);
        insta::assert_snapshot!(line(&story().paused(PauseReason::Throttled, 11_000), CommandKind::Run), @"5 of 10 (50 %): 5 unlocked, 0 failed, 0 retries; 5/s of 80/s, paused by a 429 until 03:12:45Z (11 s); 12 s left");
        insta::assert_snapshot!(line(&story().paused(PauseReason::Outage, 4_000), CommandKind::Run), @"5 of 10 (50 %): 5 unlocked, 0 failed, 0 retries; 5/s of 80/s, the API does not answer; next probe in 4 s");
        insta::assert_snapshot!(line(&story().paused(PauseReason::Outage, 4_000).at(5100), CommandKind::Run), @"5 of 10 (50 %): 5 unlocked, 0 failed, 0 retries; 1.1/s of 80/s, the API does not answer; waiting for a probe");
        insta::assert_snapshot!(line(&story().stopping(StopReason::MaxFail), CommandKind::Run), @"5 of 10 (50 %): 5 unlocked, 0 failed, 0 retries; 5/s of 80/s, stopping");
    }

    #[test]
    fn the_status_of_the_other_commands() {
        let story = Story::of(200).lookups(1).unasked_rows(90, Outcome::WouldUnlock).at(100);
        insta::assert_snapshot!(line(&story, CommandKind::Plan), @"90 of 200 (45 %): 90 to unlock, 0 failed, 0 retries; 2/s of 80/s, limited by latency; 1 s left");
        let story = Story::of(200)
            .lookups(1)
            .unasked_rows(90, Outcome::StillUnlocked)
            .unasked_rows(2, Outcome::LockedAgain)
            .at(100);
        insta::assert_snapshot!(line(&story, CommandKind::Verify), @"92 of 200 (46 %): 90 still unlocked, 2 locked or gone, 0 retries; 2/s of 80/s, limited by latency; 1 s left");
    }

    #[test]
    fn a_run_without_records_is_at_100_percent() {
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        insta::assert_snapshot!(Status::new(&Story::of(0).stats, context).line(), @"0 of 0 (100 %): 0 unlocked, 0 failed, 0 retries");
    }

    #[test]
    fn a_log_has_a_line_every_ten_seconds() {
        let sink = Sink::default();
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let mut lines = Lines::new(sink.console(Verbosity::Normal), context);
        let mut story = Story::of(50);
        for second in 0..25 {
            story = story.at(second * 1000).rows(1, Outcome::Unlocked).at(second * 1000 + 100);
            lines.on_event(story.events.last().unwrap(), &story.stats);
        }
        insta::assert_snapshot!(sink.text(), @"
            11 of 50 (22 %): 11 unlocked, 0 failed, 0 retries; 1.1/s, limited by latency; 36 s left
            21 of 50 (42 %): 21 unlocked, 0 failed, 0 retries; 1.1/s, limited by latency; 28 s left
            ");
    }
}
