//! What `-v` and `-vv` add: failed attempts and bad rows, then each request and each row.

use super::text::{clean, clipped, duration};
use super::{Console, Level, Listener};
use crate::model::{Attempt, Event, Failure, InputRecord, Row};
use crate::stats::Stats;

use std::time::Duration;

/// What `-v` and `-vv` add. The console knows which of it may be said.
pub struct Details<'a> {
    console: Console,
    records: &'a [InputRecord],
}

/// A message longer than this belongs into the results, not on a console.
const MAX_MESSAGE: usize = 200;

impl<'a> Details<'a> {
    /// The records are named by line and cell.
    pub fn new(console: Console, records: &'a [InputRecord]) -> Self {
        Self { console, records }
    }

    fn attempt_failed(&self, record: usize, attempt: &Attempt, failure: &Failure, wait: Duration) {
        self.console.log(
            Level::Detail,
            &format!(
                "{}: {} after {}: {}{}",
                self.name(record),
                clean(&failure.code),
                duration(attempt.took),
                clipped(&failure.message, MAX_MESSAGE),
                again(attempt, wait),
            ),
        );
    }

    fn job_finished(&self, row: &Row, attempt: Option<&Attempt>) {
        let level = if row.outcome.ended_well() { Level::Trace } else { Level::Detail };
        if !self.console.is_enabled(level) {
            return;
        }
        let why = [row.error_code.as_deref(), row.error_message.as_deref()];
        let why: Vec<_> = why.into_iter().flatten().map(|it| clipped(it, MAX_MESSAGE)).collect();
        let parts = [why.join(": "), attempt.map(call).unwrap_or_default()];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let tail =
            if parts.is_empty() { String::new() } else { format!(" ({})", parts.join("; ")) };
        let name = name(row.line, &row.input);
        self.console.log(level, &format!("{name}: {}{tail}", row.outcome));
    }

    fn name(&self, record: usize) -> String {
        match self.records.get(record) {
            Some(record) => name(record.line(), &record.cell()),
            None => format!("record {}", record + 1),
        }
    }
}

fn name(line: u64, input: &str) -> String {
    format!("line {line} {}", clipped(input, 100))
}

/// `; again in 1.2 s`; nothing where the run ends with the refusal of its key.
fn again(attempt: &Attempt, wait: Duration) -> String {
    match attempt.status {
        Some(401) => String::new(),
        Some(429) => "; again after the pause".to_owned(),
        _ if wait.is_zero() => "; again at once".to_owned(),
        _ => format!("; again in {}", duration(wait)),
    }
}

/// `200 in 80 ms, waited 12 ms`.
fn call(attempt: &Attempt) -> String {
    let status = attempt.status.map_or("no answer".to_owned(), |it| it.to_string());
    format!("{status} in {}, waited {}", duration(attempt.took), duration(attempt.waited))
}

impl Listener for Details<'_> {
    fn on_event(&mut self, event: &Event, _tally: &Stats) {
        match event {
            Event::AttemptFailed { record, attempt, failure, wait } => {
                self.attempt_failed(*record, attempt, failure, *wait);
            }
            Event::BatchAnswered { attempt, n_records } => {
                let text = format!("look-up of {n_records}: {}", call(attempt));
                self.console.log(Level::Trace, &text);
            }
            Event::JobFinished { row, attempt, .. } => self.job_finished(row, attempt.as_ref()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::console::tests::Page;
    use super::*;
    use crate::model::Outcome;
    use crate::report::Verbosity;
    use crate::stats::story::{Story, records};

    fn said(verbosity: Verbosity) -> String {
        let page = Page::default();
        let records = records(3);
        let mut details = Details::new(page.console(verbosity), &records);
        let story = Story::of(4)
            .attempts_take(12, 80)
            .lookups(1)
            .retries(1, 503, "http_503")
            .retries(1, 0, "timeout")
            .rows(1, Outcome::Unlocked)
            .failed_row(Outcome::NotFound, 404, "resource_not_found", "No user\n\u{1b}[31mfound.")
            .unasked_rows(1, Outcome::Excluded)
            .unasked_rows(1, Outcome::Invalid);
        story.events.iter().for_each(|event| details.on_event(event, &story.stats));
        page.text()
    }

    #[test]
    fn verbose_tells_what_went_wrong() {
        insta::assert_snapshot!(said(Verbosity::Verbose), @"
        line 2 user_1: http_503 after 80 ms: the message of http_503; again in 1.2 s
        line 2 user_1: timeout after 80 ms: the message of timeout; again in 1.2 s
        line 3 user_2: not_found (resource_not_found: No user  [31mfound.; 404 in 80 ms, waited 12 ms)
        line 5 user_4: invalid
        ");
    }

    #[test]
    fn what_follows_is_told_as_it_is() {
        let told = |status, millis| {
            let attempt = Story::of(1).attempt(status);
            again(&attempt, Duration::from_millis(millis))
        };
        assert_eq!(told(503, 1200), "; again in 1.2 s");
        assert_eq!(told(414, 0), "; again at once");
        assert_eq!(told(429, 0), "; again after the pause");
        assert_eq!(told(401, 0), "");
    }

    #[test]
    fn very_verbose_tells_everything() {
        insta::assert_snapshot!(said(Verbosity::VeryVerbose), @"
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
    fn otherwise_nothing_is_told() {
        assert_eq!(said(Verbosity::Normal), "");
    }
}
