//! The state of a run in one line: every ten seconds in a log, and on SIGUSR1.

use std::time::Duration;

use super::text::{counted, number};
use serde_json::json;

use super::{Console, Level, Listener, LogType, ReportContext, words};
use crate::model::{Event, Outcome};
use crate::stats::summary::CommandKind;
use crate::stats::{Ceiling, Pace, Stats};

/// The state of a run, in the words of the command.
pub(super) struct Standing {
    pub(super) n_done: u64,
    pub(super) n_records: u64,
    pub(super) percent: u64,
    pub(super) n_aimed: u64,
    pub(super) aimed: String,
    pub(super) n_failed: u64,
    pub(super) failed: String,
    pub(super) retries: String,
    pub(super) pace: Pace,
}

impl Standing {
    pub(super) fn of(stats: &Stats, command: CommandKind, ceiling: Option<Ceiling>) -> Self {
        let (n_done, n_records) = (stats.n_rows(), stats.size.n_records);
        let n_aimed = stats.count(command.aim());
        let n_failed = stats.counts().n_where(|outcome| is_failure(outcome, command));
        Self {
            n_done,
            n_records,
            percent: (n_done * 100).checked_div(n_records).unwrap_or(100),
            n_aimed,
            aimed: format!("{} {}", number(n_aimed), aim(command)),
            n_failed,
            failed: format!("{} {}", number(n_failed), failure(command)),
            retries: counted(stats.n_retries, "retry", "retries"),
            pace: stats.pace(ceiling),
        }
    }
}

/// A user who was left alone did not fail; `verify` leaves none alone.
fn is_failure(outcome: Outcome, command: CommandKind) -> bool {
    match command {
        CommandKind::Verify => !outcome.ended_well(),
        _ => outcome.counts_as_failure(),
    }
}

fn aim(command: CommandKind) -> &'static str {
    match command {
        CommandKind::Run => "unlocked",
        CommandKind::Plan => "to unlock",
        CommandKind::Verify => "still unlocked",
        CommandKind::Locked => "locked",
        CommandKind::Relock => "locked again",
        CommandKind::RelockPlan => "to lock again",
    }
}

fn failure(command: CommandKind) -> &'static str {
    match command {
        CommandKind::Verify => "locked or gone",
        _ => "failed",
    }
}

/// The state of a run in one line, without a full stop.
pub fn status_line(stats: &Stats, command: CommandKind, ceiling: Option<Ceiling>) -> String {
    let standing = Standing::of(stats, command, ceiling);
    let limit = match stats.stopping {
        Some(_) => Some("stopping".to_owned()),
        None => standing.pace.limit.as_ref().map(words::limit),
    };
    let rate = Some(words::rate(&standing.pace, ceiling)).filter(|rate| !rate.is_empty());
    let pace: Vec<String> = rate.into_iter().chain(limit).collect();
    let left = standing.pace.left.map(words::left);
    let counts = format!(
        "{} of {} ({} %): {}, {}, {}",
        number(standing.n_done),
        number(standing.n_records),
        standing.percent,
        standing.aimed,
        standing.failed,
        standing.retries,
    );
    let pace = Some(pace.join(", ")).filter(|pace| !pace.is_empty());
    [Some(counts), pace, left].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// Prints the state of a run in one line.
pub fn print_status(console: &Console, level: Level, context: ReportContext<'_>, stats: &Stats) {
    let ReportContext { command, ceiling, .. } = context;
    let standing = Standing::of(stats, command, ceiling);
    let fields = json!({
        "command": command.code(),
        "done": standing.n_done,
        "total": standing.n_records,
        "succeeded": standing.n_aimed,
        "failed": standing.n_failed,
        "retries": stats.n_retries,
    });
    let line = status_line(stats, command, ceiling);
    console.log_as(LogType::Progress, level, &line, fields);
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
    use super::super::console::tests::Page;
    use super::*;
    use crate::model::{PauseReason, StopReason};
    use crate::report::Verbosity;
    use crate::stats::story::Story;

    fn line(story: &Story, command: CommandKind) -> String {
        let per = Duration::from_secs(10);
        let ceiling = Ceiling { n_requests: 800, per, is_spaced: true };
        status_line(&story.stats, command, Some(ceiling))
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
    fn nothing_to_do_is_done() {
        insta::assert_snapshot!(status_line(&Story::of(0).stats, CommandKind::Run, None), @"0 of 0 (100 %): 0 unlocked, 0 failed, 0 retries");
    }

    #[test]
    fn a_log_has_a_line_every_ten_seconds() {
        let page = Page::default();
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let mut lines = Lines::new(page.console(Verbosity::Normal), context);
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
