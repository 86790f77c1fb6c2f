//! For tests: the events of a run, with their own time.

use std::time::{Duration, Instant, SystemTime};

use crate::model::{
    Attempt, Event, Failure, InputRecord, Outcome, Pause, PauseReason, Row, StopReason, UserView,
};

use super::{Size, Stats};

/// A run, event by event. It starts at 03:12:33 UTC.
pub(crate) struct Story {
    pub(crate) stats: Stats,
    pub(crate) events: Vec<Event>,
    start: (Instant, SystemTime),
    now: Duration,
    waited: Duration,
    took: Duration,
    n_rows: usize,
}

const START: Duration =
    Duration::from_secs(1_700_000_000 - 1_700_000_000 % 86_400 + 3 * 3600 + 12 * 60 + 33);

impl Story {
    /// A run in which every record is a job.
    pub(crate) fn of(n_records: u64) -> Self {
        Self::with(Size { n_records, n_jobs: n_records })
    }

    pub(crate) fn with(size: Size) -> Self {
        let start = (Instant::now(), SystemTime::UNIX_EPOCH + START);
        Self {
            stats: Stats::new(size, start.0, start.1),
            events: Vec::new(),
            start,
            now: Duration::ZERO,
            waited: Duration::ZERO,
            took: Duration::from_millis(80),
            n_rows: 0,
        }
    }

    pub(crate) fn on_event(mut self, event: Event) -> Self {
        self.stats.on_event(&event);
        self.events.push(event);
        self
    }

    /// Sets the time to this many milliseconds after the start.
    pub(crate) fn at(mut self, millis: u64) -> Self {
        self.now = Duration::from_millis(millis);
        let event = Event::Ticked { at: self.start.0 + self.now, wall: self.wall() };
        self.on_event(event)
    }

    /// The time this many milliseconds after the start, on both clocks.
    pub(crate) fn moment(&self, millis: u64) -> (Instant, SystemTime) {
        let after = Duration::from_millis(millis);
        (self.start.0 + after, self.start.1 + after)
    }

    /// Sets how many milliseconds each attempt waits and takes.
    pub(crate) fn attempts_take(mut self, waited: u64, took: u64) -> Self {
        (self.waited, self.took) = (Duration::from_millis(waited), Duration::from_millis(took));
        self
    }

    pub(crate) fn attempt(&self, status: u16) -> Attempt {
        let status = (status != 0).then_some(status);
        Attempt { status, took: self.took, waited: self.waited, ended_at: self.wall() }
    }

    pub(crate) fn rows(self, n: usize, outcome: Outcome) -> Self {
        (0..n).fold(self, |story, _| story.row(outcome, 200, None))
    }

    pub(crate) fn failed_row(
        self,
        outcome: Outcome,
        status: u16,
        code: &'static str,
        message: &str,
    ) -> Self {
        self.row(outcome, status, Some((code, message)))
    }

    /// Rows without requests.
    pub(crate) fn unasked_rows(mut self, n: usize, outcome: Outcome) -> Self {
        for _ in 0..n {
            let row = self.next_row(outcome);
            self = self.finished(row, None);
        }
        self
    }

    pub(crate) fn banned_row(self) -> Self {
        let mut row = self.next_row(Outcome::WouldUnlock);
        row.user = Some(Box::new(UserView { banned: Some(true), ..UserView::default() }));
        self.finished(row, None)
    }

    /// A cell that cannot be a user.
    pub(crate) fn invalid_row(self) -> Self {
        let mut row = self.next_row(Outcome::Invalid);
        row.error_code = Some("invalid_user_id".into());
        row.error_message = Some("a user id starts with \"user_\"".to_owned());
        self.finished(row, None)
    }

    fn row(self, outcome: Outcome, status: u16, error: Option<(&'static str, &str)>) -> Self {
        let mut row = self.next_row(outcome);
        row.user_id = format!("user_{}", self.n_rows + 1).parse().ok();
        row.http_status = (status != 0).then_some(status);
        row.attempts = 1;
        row.duration = self.took;
        row.error_code = error.map(|(code, _)| code.into());
        row.error_message = error.map(|(_, message)| message.to_owned());
        let attempt = Some(self.attempt(status));
        self.finished(row, attempt)
    }

    /// A row of the next record; the records are those of [`records`].
    fn next_row(&self, outcome: Outcome) -> Box<Row> {
        Box::new(Row::new(&record(self.n_rows), outcome, self.wall()))
    }

    fn finished(mut self, row: Box<Row>, attempt: Option<Attempt>) -> Self {
        let record = self.n_rows;
        self.n_rows += 1;
        self.on_event(Event::JobFinished { record, row, attempt })
    }

    pub(crate) fn retries(mut self, n: usize, status: u16, code: &'static str) -> Self {
        for _ in 0..n {
            let failure = Failure {
                code: code.into(),
                message: format!("the message of {code}"),
                status: (status != 0).then_some(status),
                trace_id: None,
            };
            let (record, attempt) = (self.n_rows, self.attempt(status));
            let wait = Duration::from_millis(1200);
            self = self.on_event(Event::AttemptFailed { record, attempt, failure, wait });
        }
        self
    }

    pub(crate) fn lookups(mut self, n: usize) -> Self {
        for _ in 0..n {
            let attempt = self.attempt(200);
            self = self.on_event(Event::BatchAnswered { attempt, n_records: 100 });
        }
        self
    }

    /// A pause of this many milliseconds.
    pub(crate) fn paused(self, reason: PauseReason, millis: u64) -> Self {
        let until = self.start.0 + self.now + Duration::from_millis(millis);
        self.on_event(Event::Paused(Pause { until, reason }))
    }

    pub(crate) fn resumed(self) -> Self {
        self.on_event(Event::Resumed)
    }

    pub(crate) fn stopping(self, reason: StopReason) -> Self {
        self.on_event(Event::Stopping(reason))
    }

    fn wall(&self) -> SystemTime {
        self.start.1 + self.now
    }
}

/// The records of the rows of a story, on the lines 2, 3, ….
pub(crate) fn records(n: usize) -> Vec<InputRecord> {
    (0..n).map(record).collect()
}

fn record(at: usize) -> InputRecord {
    InputRecord::new(at as u64 + 2, &format!("user_{}", at + 1))
}
