//! Counts and the log of requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::SandboxConfig;
use super::quota::FullestWindow;

/// What a sandbox was asked and answered so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that arrived.
    pub n_requests: u64,
    /// Requests with the method `GET`.
    pub n_gets: u64,
    /// Requests with the method `POST`.
    pub n_posts: u64,
    /// Responses by status. A request whose client disconnected before the response is in none.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests left unanswered on purpose: closed connections and hangs.
    pub n_unanswered: u64,
    /// Requests refused because the quota was used up; injected 429s are not included.
    pub n_throttled: u64,
    /// Unlocks carried out, whether or not the response arrived.
    pub n_unlocks: u64,
    /// Requests in the fullest window of the quota's length (10 s without a quota), refused ones
    /// included, calls of the live application not included.
    pub max_in_any_window: usize,
    /// Calls of the live application.
    pub n_live_calls: u64,
    /// Calls of the live application refused because the quota was used up.
    pub n_live_refused: u64,
}

/// A request in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// Time of arrival.
    pub at: Instant,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent, without an empty query.
    pub path_and_query: String,
    /// IDs of the users in the path or in `user_id`.
    pub user_ids: Vec<String>,
    /// Status of the response; `None` if none was sent, or not yet.
    pub status: Option<u16>,
}

/// Further requests are counted but not logged.
const MAX_LOGGED: usize = 1_000_000;
/// Window in which requests are counted when there is no quota: the length of Clerk's own.
const DEFAULT_WINDOW: Duration = Duration::from_secs(10);

pub(super) struct RequestLog {
    pub(super) stats: Stats,
    fullest: FullestWindow,
    pub(super) requests: Option<Vec<LoggedRequest>>,
}

impl RequestLog {
    pub(super) fn new(config: &SandboxConfig) -> Self {
        let window = config.quota.map_or(DEFAULT_WINDOW, super::Rate::per);
        Self {
            stats: Stats::default(),
            fullest: FullestWindow::new(window),
            requests: config.log_requests.then(Vec::new),
        }
    }

    /// Counts and logs a request, and returns its serial number, from 0.
    pub(super) fn arrived(
        &mut self,
        method: &str,
        now: Instant,
        request: impl FnOnce() -> LoggedRequest,
    ) -> u64 {
        let serial = self.stats.n_requests;
        self.stats.n_requests += 1;
        self.stats.n_gets += u64::from(method == "GET");
        self.stats.n_posts += u64::from(method == "POST");
        self.fullest.count(now);
        self.stats.max_in_any_window = self.fullest.n_max;
        if let Some(requests) = self.requests.as_mut().filter(|it| it.len() < MAX_LOGGED) {
            requests.push(request());
        }
        serial
    }

    /// Counts a response; `status` is `None` if none is sent.
    pub(super) fn answered(&mut self, serial: u64, status: Option<u16>) {
        match status {
            Some(status) => *self.stats.by_status.entry(status).or_default() += 1,
            None => self.stats.n_unanswered += 1,
        }
        let index = usize::try_from(serial).unwrap_or(usize::MAX);
        if let Some(request) = self.requests.as_mut().and_then(|it| it.get_mut(index)) {
            request.status = status;
        }
    }
}
