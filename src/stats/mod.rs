//! The statistics of a run, computed from its events.
//!
//! Nothing here reads a clock: events carry the time.

mod pace;
mod rows;
pub mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod time;

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use crate::model::{Attempt, Event, Failure, Outcome, Row, StopReason};

pub use pace::{Ceiling, Limit, Pace};
use pace::{Recent, Stage};
pub use rows::{Counts, ErrorCounts, ErrorGroup, Example, Latency, RowStats};
pub use time::{Bucket, Timeline};
use time::{Clock, Pauses};

/// The size of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Number of records that must be accounted for, those of an earlier run included.
    pub n_records: u64,
    /// Number of those that became jobs of this run.
    pub n_jobs: u64,
}

/// The statistics of one run.
#[derive(Clone, Debug)]
pub struct Stats {
    /// The size of the job.
    pub size: Size,
    /// The rows, those of an earlier run included.
    pub rows: RowStats,
    earlier: Counts,
    /// Number of requests, look-ups and retries included.
    pub n_requests: u64,
    /// Number of requests by status; `None`: no response.
    pub requests_by_status: BTreeMap<Option<u16>, u64>,
    /// Number of requests that looked users up.
    pub n_lookups: u64,
    /// Number of attempts that failed and were retried, 429s not counted.
    pub n_retries: u64,
    /// The errors of those.
    pub retried: ErrorCounts,
    /// Number of requests that were cut off before their response came.
    pub n_given_up: u64,
    /// Number of requests that the API may have processed without a row: they were cut off, or
    /// failed without an answer that rules it out.
    pub n_unclear: u64,
    /// Number of rows of this run for which requests were made.
    pub n_asked: u64,
    /// Number of those that the API refused with 402 or 403.
    pub n_forbidden: u64,
    n_looked_up: u64,
    /// The latency of responses.
    pub latency: Latency,
    /// Requests and rows over time.
    pub timeline: Timeline,
    stage: Stage,
    recent: Recent,
    clock: Clock,
    pauses: Pauses,
    /// Why the run is stopping.
    pub stopping: Option<StopReason>,
}

impl Stats {
    /// The statistics of a run that starts at this time, given on both clocks.
    pub fn new(size: Size, at: Instant, wall: SystemTime) -> Self {
        Self {
            size,
            rows: RowStats::default(),
            earlier: Counts::default(),
            n_requests: 0,
            requests_by_status: BTreeMap::new(),
            n_lookups: 0,
            n_retries: 0,
            retried: ErrorCounts::default(),
            n_given_up: 0,
            n_unclear: 0,
            n_asked: 0,
            n_forbidden: 0,
            n_looked_up: 0,
            latency: Latency::default(),
            timeline: Timeline::default(),
            stage: Stage::default(),
            recent: Recent::default(),
            clock: Clock::new(at, wall),
            pauses: Pauses::default(),
            stopping: None,
        }
    }

    /// The same, continuing an earlier run with these rows.
    #[must_use]
    pub fn resuming(self, earlier: RowStats) -> Self {
        Self { earlier: earlier.counts, rows: earlier, ..self }
    }

    /// Replaces the counted rows with those of the results file, after another process removed some
    /// of them.
    pub fn replace_rows(&mut self, found: RowStats) {
        self.earlier = Counts::default();
        self.rows = found;
    }

    /// Counts an event.
    pub fn on_event(&mut self, event: &Event) {
        match event {
            Event::AttemptFailed { attempt, failure, .. } => {
                self.add_request(attempt);
                self.count_retry(attempt, failure);
                self.n_unclear += u64::from(may_be_processed(failure));
            }
            Event::BatchAnswered { attempt, n_records } => {
                self.add_request(attempt);
                self.n_lookups += 1;
                self.n_looked_up += *n_records as u64;
            }
            Event::JobFinished { row, attempt, .. } => {
                if let Some(attempt) = attempt {
                    self.add_request(attempt);
                }
                self.count_row(row, attempt.is_some());
            }
            Event::UsersListed { users } => {
                self.rows.add_listed(users);
                self.timeline.at(self.clock.elapsed()).n_finished += users.len() as u64;
            }
            Event::GivenUp => {
                self.n_requests += 1;
                self.n_given_up += 1;
                self.n_unclear += 1;
                self.timeline.at(self.clock.elapsed()).n_requests += 1;
            }
            Event::Paused(pause) => self.pauses.begin(*pause, self.clock.now()),
            Event::Resumed => self.pauses.end(self.clock.now()),
            Event::Ticked { at, wall } => self.clock.set(*at, *wall),
            Event::StatusAsked => {}
            Event::Stopping(reason) => self.stopping = self.stopping.max(Some(*reason)),
        }
    }

    /// Counts a request that was answered or failed. To be called only for a request whose row could
    /// not be written: all others come with an event.
    pub fn add_request(&mut self, attempt: &Attempt) {
        self.clock.reach(attempt.ended_at);
        let elapsed = self.elapsed();
        self.n_requests += 1;
        *self.requests_by_status.entry(attempt.status).or_default() += 1;
        self.latency.add(attempt.took);
        self.recent.add(elapsed, attempt.waited, attempt.took);
        let bucket = self.timeline.at(elapsed);
        bucket.n_requests += 1;
        bucket.n_throttled += u64::from(is_throttled(attempt));
    }

    fn count_retry(&mut self, attempt: &Attempt, failure: &Failure) {
        if is_throttled(attempt) {
            return;
        }
        self.timeline.at(self.clock.elapsed()).n_failed += 1;
        // A refused key ends the run, so it is not retried.
        if attempt.status != Some(401) {
            self.n_retries += 1;
            self.retried.add(&failure.code, Example::default);
        }
    }

    fn count_row(&mut self, row: &Row, was_asked: bool) {
        if let Some(finished_at) = row.finished_at {
            self.clock.reach(finished_at);
        }
        self.rows.add(row);
        self.n_asked += u64::from(row.attempts > 0);
        let is_forbidden = matches!(row.http_status, Some(402 | 403));
        self.n_forbidden += u64::from(is_forbidden && row.outcome == Outcome::Rejected);
        let bucket = self.timeline.at(self.clock.elapsed());
        bucket.n_finished += 1;
        bucket.n_failed += u64::from(was_asked && row.outcome == Outcome::Failed);
    }
}

/// Whether the API may have processed a request that failed this way.
fn may_be_processed(failure: &Failure) -> bool {
    match failure.status {
        Some(status) => !matches!(status, 401 | 403 | 407 | 429),
        None => !matches!(&*failure.code, "connection" | "untrusted_certificate" | "proxy_refused"),
    }
}

fn is_throttled(attempt: &Attempt) -> bool {
    attempt.status == Some(429)
}

/// Results.
impl Stats {
    /// Number of rows by outcome, those of an earlier run included.
    pub fn counts(&self) -> &Counts {
        &self.rows.counts
    }

    /// Number of rows with this outcome, those of an earlier run included.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.rows.counts.get(outcome)
    }

    /// Number of rows of this run with this outcome.
    pub fn count_now(&self, outcome: Outcome) -> u64 {
        self.count(outcome) - self.earlier.get(outcome)
    }

    /// Number of rows of an earlier run.
    pub fn n_earlier(&self) -> u64 {
        self.earlier.total()
    }

    /// Number of all rows, those of an earlier run included.
    pub fn n_rows(&self) -> u64 {
        self.rows.counts.total()
    }

    /// Number of records without a row.
    pub fn n_unprocessed(&self) -> u64 {
        self.size.n_records.saturating_sub(self.n_rows())
    }

    /// Number of jobs with a row.
    fn n_jobs_done(&self) -> u64 {
        // Records that became no job have their rows before any job has.
        self.size.n_jobs - self.n_unprocessed().min(self.size.n_jobs)
    }

    /// Number of requests that were answered 429.
    pub fn n_throttled(&self) -> u64 {
        self.requests_by_status.get(&Some(429)).copied().unwrap_or_default()
    }

    /// From the start to the latest event.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// How long all requests were paused.
    pub fn paused(&self) -> Duration {
        self.pauses.total(self.clock.now())
    }
}

#[cfg(test)]
mod tests;
