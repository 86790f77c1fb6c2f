//! Keeps count of what was asked and answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::window::BusiestWindow;

/// What the sandbox was asked and what it answered, up to now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Requests that arrived.
    pub n_requests: u64,
    /// Of them, those with the method `GET`.
    pub n_gets: u64,
    /// Of them, those with the method `POST`.
    pub n_posts: u64,
    /// Answers by status. A request whose client went away before its answer is in none.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests that were given no answer on purpose: closed connections, hangs.
    pub n_unanswered: u64,
    /// Requests turned away because the quota was used up; spurious 429s are not among them.
    pub n_throttled: u64,
    /// Unlocks done, whatever became of the answer.
    pub n_unlocks: u64,
    /// The most requests that arrived in any window of the quota's length (10 s without a quota),
    /// those turned away included.
    pub max_in_any_window: usize,
}

/// One request, as the log keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// When it arrived.
    pub at: Instant,
    /// `GET`, `POST` …
    pub method: String,
    /// Path and query, as sent.
    pub path_and_query: String,
    /// The users it names by id, in the path or by `user_id`.
    pub user_ids: Vec<String>,
    /// What it was answered; `None` where it was not, or not yet.
    pub status: Option<u16>,
}

/// More requests than this are counted but not logged.
const MAX_LOGGED: usize = 1_000_000;

/// Keeps count, and where wanted a log.
pub(super) struct Ledger {
    stats: Stats,
    busiest: BusiestWindow,
    log: Option<Vec<LoggedRequest>>,
}

impl Ledger {
    pub(super) fn new(window: Duration, keeps_log: bool) -> Self {
        Self {
            stats: Stats::default(),
            busiest: BusiestWindow::new(window),
            log: keeps_log.then(Vec::new),
        }
    }

    /// Counts a request that arrives and numbers it, from 0. `entry` is its line for the log.
    pub(super) fn arrived(
        &mut self,
        method: &str,
        now: Instant,
        entry: impl FnOnce() -> LoggedRequest,
    ) -> u64 {
        let serial = self.stats.n_requests;
        self.stats.n_requests += 1;
        match method {
            "GET" => self.stats.n_gets += 1,
            "POST" => self.stats.n_posts += 1,
            _ => {}
        }
        self.busiest.count(now);
        if let Some(log) = self.log.as_mut().filter(|log| log.len() < MAX_LOGGED) {
            log.push(entry());
        }
        serial
    }

    /// Counts an answer; `status` is `None` where none is sent.
    pub(super) fn answered(&mut self, serial: u64, status: Option<u16>) {
        match status {
            Some(status) => *self.stats.by_status.entry(status).or_default() += 1,
            None => self.stats.n_unanswered += 1,
        }
        let place = usize::try_from(serial).unwrap_or(usize::MAX);
        if let Some(entry) = self.log.as_mut().and_then(|log| log.get_mut(place)) {
            entry.status = status;
        }
    }

    pub(super) fn throttled(&mut self) {
        self.stats.n_throttled += 1;
    }

    pub(super) fn unlocked(&mut self) {
        self.stats.n_unlocks += 1;
    }

    pub(super) fn stats(&self) -> Stats {
        Stats { max_in_any_window: self.busiest.most(), ..self.stats.clone() }
    }

    pub(super) fn log(&self) -> Vec<LoggedRequest> {
        self.log.clone().unwrap_or_default()
    }
}
