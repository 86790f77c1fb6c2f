//! Messages about single events: pauses, outages, the stop, and the answer to SIGUSR1; with `-v` also
//! failed attempts and rows that did not end well; with `-vv` each request and each row.

use std::time::Duration;

use super::text::{self, clean, clipped, duration};
use super::{Console, Level, Listener, Progress, ReportContext, print_status};
use crate::model::{Attempt, Event, Failure, PauseReason, Row, StopReason};
use crate::stats::Stats;

/// Prints messages about single events.
pub struct EventLog<'a> {
    console: Console,
    context: ReportContext<'a>,
    progress: Progress,
    pause: Option<PauseReason>,
    /// ` (connection: the host was not found)`
    last_failure: String,
    stopping: Option<StopReason>,
}

/// The maximum length of the last failure, in characters.
const MAX_LAST_FAILURE: usize = 120;
/// The maximum length of a message under `-v`, in characters.
const MAX_MESSAGE: usize = 200;
/// The maximum length of a cell, in characters.
const MAX_CELL: usize = 100;

impl<'a> EventLog<'a> {
    /// The messages that go with this kind of progress: a bar shows pauses by a 429 itself.
    pub fn new(console: Console, context: ReportContext<'a>, progress: Progress) -> Self {
        let last_failure = String::new();
        Self { console, context, progress, pause: None, last_failure, stopping: None }
    }

    /// Each 429 and each failed probe prolongs a pause; only the first is printed.
    fn begin_pause(&mut self, reason: PauseReason, stats: &Stats) {
        if self.pause.replace(reason) == Some(reason) {
            return;
        }
        match reason {
            PauseReason::Outage => {
                let why = &self.last_failure;
                self.console
                    .warning(&format!("the API does not answer{why}; sending one probe at a time"));
            }
            PauseReason::Throttled if self.progress == Progress::Lines => {
                if let Some(limit) = stats.pace(self.context.ceiling).limit {
                    self.console.note(&text::limit(&limit)[0]);
                }
            }
            PauseReason::Throttled => {}
        }
    }

    fn end_pause(&mut self, stats: &Stats) {
        let what = match self.pause.take() {
            Some(PauseReason::Outage) => "the API answers again",
            Some(PauseReason::Throttled) if self.progress == Progress::Lines => {
                "continuing after the pause"
            }
            Some(PauseReason::Throttled) | None => return,
        };
        let paused = duration(stats.paused());
        self.console.note(&format!("{what} (paused for {paused} so far)"));
    }

    fn begin_stop(&mut self, reason: StopReason) {
        if self.stopping.replace(reason) == Some(reason) {
            return;
        }
        if let StopReason::ProxyRefused | StopReason::UntrustedCertificate = reason {
            // Only the failure has the reason, and it must be printed under `-q`, too.
            self.console.error(&format!("the API cannot be reached{}", self.last_failure));
        }
        let text = match reason {
            StopReason::Interrupted => {
                "Stopping: waiting for requests in flight (Ctrl-C again to stop now)".to_owned()
            }
            _ => format!("Stopping {}: waiting for requests in flight", text::stopped_by(reason)),
        };
        self.console.note(&text);
    }

    fn log_attempt(&self, record: usize, attempt: &Attempt, failure: &Failure, wait: Duration) {
        let name = match self.context.records.get(record) {
            Some(record) => name(record.line(), &record.cell()),
            None => format!("record {}", record + 1),
        };
        let text = format!(
            "{name}: {} after {}: {}{}",
            clean(&failure.code),
            duration(attempt.took),
            clipped(&failure.message, MAX_MESSAGE),
            next_attempt(attempt, wait),
        );
        self.console.log(Level::Detail, &text);
    }

    fn log_row(&self, row: &Row, attempt: Option<&Attempt>) {
        let level = if row.outcome.ended_well() { Level::Trace } else { Level::Detail };
        if !self.console.is_enabled(level) {
            return;
        }
        let why = [row.error_code.as_deref(), row.error_message.as_deref()];
        let why: Vec<_> = why.into_iter().flatten().map(|it| clipped(it, MAX_MESSAGE)).collect();
        let parts = [why.join(": "), attempt.map(response).unwrap_or_default()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let details =
            if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) };
        let name = name(row.line, &row.input);
        self.console.log(level, &format!("{name}: {}{details}", row.outcome));
    }
}

fn name(line: u64, cell: &str) -> String {
    format!("line {line} {}", clipped(cell, MAX_CELL))
}

/// `; again in 1.2 s`; empty if the key was refused, which ends the run.
fn next_attempt(attempt: &Attempt, wait: Duration) -> String {
    match attempt.status {
        Some(401) => String::new(),
        Some(429) => "; again after the pause".to_owned(),
        _ if wait.is_zero() => "; again at once".to_owned(),
        _ => format!("; again in {}", duration(wait)),
    }
}

/// `200 in 80 ms, waited 12 ms`
fn response(attempt: &Attempt) -> String {
    let status = attempt.status.map_or("no answer".to_owned(), |it| it.to_string());
    format!("{status} in {}, waited {}", duration(attempt.took), duration(attempt.waited))
}

impl Listener for EventLog<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        match event {
            Event::AttemptFailed { record, attempt, failure, wait } => {
                let message = clipped(&failure.message, MAX_LAST_FAILURE);
                self.last_failure = format!(" ({}: {message})", clean(&failure.code));
                if self.console.is_enabled(Level::Detail) {
                    self.log_attempt(*record, attempt, failure, *wait);
                }
            }
            Event::BatchAnswered { attempt, n_records } => {
                if self.console.is_enabled(Level::Trace) {
                    let text = format!("look-up of {n_records}: {}", response(attempt));
                    self.console.log(Level::Trace, &text);
                }
            }
            Event::JobFinished { row, attempt, .. } => self.log_row(row, attempt.as_ref()),
            Event::Paused(pause) => self.begin_pause(pause.reason, stats),
            Event::Resumed => self.end_pause(stats),
            Event::Stopping(reason) => self.begin_stop(*reason),
            Event::StatusAsked => {
                // An answer: it is printed under `-q`, too.
                print_status(&self.console, Level::Answer, self.context, stats);
            }
            Event::UsersListed { .. } | Event::GivenUp | Event::Ticked { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::console::tests::Sink;
    use super::*;
    use crate::model::Outcome;
    use crate::report::Verbosity;
    use crate::stats::summary::CommandKind;
    use crate::stats::testing::{Story, records};

    /// What is printed during a run with a 429, an outage, and two reasons to stop.
    fn notices(verbosity: Verbosity, progress: Progress) -> String {
        let sink = Sink::default();
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let mut log = EventLog::new(sink.console(verbosity), context, progress);
        let mut n_sent = 0;
        let mut send = |story: Story| {
            story.events[n_sent..].iter().for_each(|event| log.on_event(event, &story.stats));
            n_sent = story.events.len();
            story
        };
        let story = send(Story::of(9).at(1000).rows(2, Outcome::Unlocked));
        let story = send(story.paused(PauseReason::Throttled, 12_000));
        let story = send(story.paused(PauseReason::Throttled, 12_000));
        let story = send(story.at(13_000).resumed());
        let story = send(story.retries(1, 0, "timeout"));
        let story = send(story.at(20_000).paused(PauseReason::Outage, 1000));
        let story = send(story.at(21_000).paused(PauseReason::Outage, 2000));
        let story = send(story.on_event(Event::StatusAsked));
        let story = send(story.at(25_000).resumed());
        let story = send(story.stopping(StopReason::MaxFail));
        send(story.stopping(StopReason::Interrupted));
        sink.text()
    }

    #[test]
    fn with_lines_each_change_is_printed_once() {
        insta::assert_snapshot!(notices(Verbosity::Normal, Progress::Lines), @"
            paused by a 429 until 03:12:46Z (12 s)
            continuing after the pause (paused for 12 s so far)
            warning: the API does not answer (timeout: the message of timeout); sending one probe at a time
            2 of 9 (22 %): 2 unlocked, 0 failed, 1 retry; 0.4/s, the API does not answer; next probe in 2 s
            the API answers again (paused for 17 s so far)
            Stopping by --max-fail: waiting for requests in flight
            Stopping: waiting for requests in flight (Ctrl-C again to stop now)
            ");
    }

    #[test]
    fn with_a_bar_pauses_by_a_429_are_not_printed() {
        insta::assert_snapshot!(notices(Verbosity::Normal, Progress::Bar), @"
            warning: the API does not answer (timeout: the message of timeout); sending one probe at a time
            2 of 9 (22 %): 2 unlocked, 0 failed, 1 retry; 0.4/s, the API does not answer; next probe in 2 s
            the API answers again (paused for 17 s so far)
            Stopping by --max-fail: waiting for requests in flight
            Stopping: waiting for requests in flight (Ctrl-C again to stop now)
            ");
    }

    #[test]
    fn a_setting_that_cannot_work_is_an_error_with_its_reason() {
        let sink = Sink::default();
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &[] };
        let console = sink.console(Verbosity::Quiet);
        let mut log = EventLog::new(console, context, Progress::None);
        let story = Story::of(9).retries(1, 0, "untrusted_certificate");
        let story = story.stopping(StopReason::UntrustedCertificate);
        story.events.iter().for_each(|event| log.on_event(event, &story.stats));
        insta::assert_snapshot!(sink.text(), @"error: the API cannot be reached (untrusted_certificate: the message of untrusted_certificate)");
    }

    #[test]
    fn a_quiet_run_prints_the_status_on_request() {
        insta::assert_snapshot!(notices(Verbosity::Quiet, Progress::None), @"2 of 9 (22 %): 2 unlocked, 0 failed, 1 retry; 0.4/s, the API does not answer; next probe in 2 s");
    }

    /// What is printed about attempts and rows.
    fn details(verbosity: Verbosity) -> String {
        let sink = Sink::default();
        let records = records(3);
        let context = ReportContext { command: CommandKind::Run, ceiling: None, records: &records };
        let mut log = EventLog::new(sink.console(verbosity), context, Progress::None);
        let story = Story::of(4)
            .attempts_take(12, 80)
            .lookups(1)
            .retries(1, 503, "http_503")
            .retries(1, 0, "timeout")
            .rows(1, Outcome::Unlocked)
            .failed_row(Outcome::NotFound, 404, "resource_not_found", "No user\n\u{1b}[31mfound.")
            .unasked_rows(1, Outcome::Excluded)
            .unasked_rows(1, Outcome::Invalid);
        story.events.iter().for_each(|event| log.on_event(event, &story.stats));
        sink.text()
    }

    #[test]
    fn verbose_prints_failed_attempts_and_rows_that_did_not_end_well() {
        insta::assert_snapshot!(details(Verbosity::Verbose), @"
        line 2 user_1: http_503 after 80 ms: the message of http_503; again in 1.2 s
        line 2 user_1: timeout after 80 ms: the message of timeout; again in 1.2 s
        line 3 user_2: not_found (resource_not_found: No user  [31mfound.; 404 in 80 ms, waited 12 ms)
        line 5 user_4: invalid
        ");
    }

    #[test]
    fn a_failed_attempt_names_the_next_one() {
        let next = |status, millis| {
            let attempt = Story::of(1).attempt(status);
            next_attempt(&attempt, Duration::from_millis(millis))
        };
        assert_eq!(next(503, 1200), "; again in 1.2 s");
        assert_eq!(next(414, 0), "; again at once");
        assert_eq!(next(429, 0), "; again after the pause");
        assert_eq!(next(401, 0), "");
    }

    #[test]
    fn very_verbose_prints_every_request_and_row() {
        insta::assert_snapshot!(details(Verbosity::VeryVerbose), @"
        look-up of 100: 200 in 80 ms, waited 12 ms
        line 2 user_1: http_503 after 80 ms: the message of http_503; again in 1.2 s
        line 2 user_1: timeout after 80 ms: the message of timeout; again in 1.2 s
        line 2 user_1: unlocked (200 in 80 ms, waited 12 ms)
        line 3 user_2: not_found (resource_not_found: No user  [31mfound.; 404 in 80 ms, waited 12 ms)
        line 4 user_3: excluded
        line 5 user_4: invalid
        ");
    }

    #[test]
    fn attempts_and_rows_are_printed_only_if_verbose() {
        assert_eq!(details(Verbosity::Normal), "");
    }
}
