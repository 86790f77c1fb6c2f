//! How fast it goes, what keeps it from going faster, and how long it will still take.

use std::time::{Duration, SystemTime};

use crate::model::PauseReason;

use super::Stats;
use super::recent::Recent;

/// The most requests that the job allows itself in any window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// How many requests.
    pub n_requests: u32,
    /// In how long.
    pub per: Duration,
}

/// How fast it goes at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Requests that ended, a second, over the last five.
    pub per_second: f64,
    /// What keeps it from going faster; `None` before the first answer.
    pub limit: Option<Limit>,
    /// How long it will still take; `None` when nobody can say.
    pub left: Option<Duration>,
}

/// What keeps a run from going faster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The ceiling: workers wait for their turn.
    Rate,
    /// The server: workers wait for answers.
    Latency,
    /// Everybody pauses.
    Pause {
        /// Why.
        reason: PauseReason,
        /// When the next request may go.
        until: SystemTime,
        /// How long that is from now.
        left: Duration,
    },
}

/// So few jobs done say little of how long the others will take.
const FEW_JOBS: u64 = 20;

const RATE_SPAN: Duration = Duration::from_secs(5);

impl Stats {
    /// How fast it goes at the moment of the latest event.
    pub fn pace(&self, ceiling: Option<Ceiling>) -> Pace {
        Pace {
            per_second: self.per_second(),
            limit: self.limit(ceiling),
            left: self.time_left(ceiling),
        }
    }

    fn per_second(&self) -> f64 {
        let elapsed = self.elapsed();
        let n = self.recent.within(RATE_SPAN, elapsed).n;
        real(n) / Recent::covered(RATE_SPAN, elapsed).as_secs_f64()
    }

    fn limit(&self, ceiling: Option<Ceiling>) -> Option<Limit> {
        if let Some(pause) = self.pauses.current(self.clock.now()) {
            let left = pause.until.saturating_duration_since(self.clock.now());
            return Some(Limit::Pause {
                reason: pause.reason,
                until: self.clock.wall() + left,
                left,
            });
        }
        let flow = self.recent.within(Recent::SPAN, self.elapsed());
        // A spent window is the ceiling at work even while no attempt ends that could say so.
        if flow.waited > flow.took || ceiling.is_some_and(|it| self.room(it) * 20 < it.n_requests) {
            Some(Limit::Rate)
        } else {
            (flow.n > 0).then_some(Limit::Latency)
        }
    }

    /// How many requests the present window still takes; all of them where the window is longer
    /// than memory goes.
    fn room(&self, ceiling: Ceiling) -> u32 {
        let spent = u32::try_from(self.spent(ceiling)).unwrap_or(u32::MAX);
        ceiling.n_requests.saturating_sub(spent)
    }

    /// How many requests of the present window are spent.
    fn spent(&self, ceiling: Ceiling) -> u64 {
        let is_known = ceiling.per <= Recent::SPAN;
        if is_known { self.recent.within(ceiling.per, self.elapsed()).n } else { 0 }
    }

    /// The longer of two guesses: as the jobs went so far, and as fast as the ceiling allows. The
    /// first alone would promise too much while a window is full, or was spent at once.
    fn time_left(&self, ceiling: Option<Ceiling>) -> Option<Duration> {
        let now = self.clock.now();
        let pause = self.pauses.current(now);
        let nobody_knows = pause.is_some_and(|it| it.reason == PauseReason::Outage);
        let (n_left, n_done) = (self.n_jobs_left(), self.n_jobs_done());
        if n_left == 0 || n_done == 0 || nobody_knows || self.stopping.is_some() {
            return None;
        }
        let pause = pause.map(|it| it.until.saturating_duration_since(now)).unwrap_or_default();
        let active = self.elapsed().saturating_sub(self.paused());
        let as_before = active.as_secs_f64() * real(n_left) / real(n_done);
        let as_before = Duration::try_from_secs_f64(as_before).ok()?.checked_add(pause)?;
        let n_requests = n_left.saturating_mul(self.n_requests).div_ceil(n_done);
        let at_most = ceiling.map_or(pause, |it| self.until_sent(n_requests, it, pause));
        // A few jobs of the first window are no measure: a canary goes alone.
        let is_first = ceiling.is_some_and(|it| it.per <= Recent::SPAN && self.elapsed() < it.per);
        let is_early = is_first && n_done < FEW_JOBS;
        Some(if is_early { at_most } else { as_before.max(at_most) })
    }

    /// How long until the last of so many requests may leave. Each takes the place of one that has
    /// left the window by then, and gives it to another one window later.
    fn until_sent(&self, n_requests: u64, ceiling: Ceiling, pause: Duration) -> Duration {
        let n_places = u64::from(ceiling.n_requests.max(1));
        let last = n_requests.saturating_sub(1);
        let (n_windows, place) = (last / n_places, last % n_places);
        // The places that are free come first, then those of the spent requests, the oldest first.
        let free = match (place + self.spent(ceiling)).checked_sub(n_places) {
            Some(nth) => self.recent.until_older(ceiling.per, self.elapsed(), nth),
            None => Duration::ZERO,
        };
        let n_windows = u32::try_from(n_windows).unwrap_or(u32::MAX);
        ceiling.per.saturating_mul(n_windows).saturating_add(free.max(pause))
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count for an estimate")]
fn real(n: u64) -> f64 {
    n as f64
}
