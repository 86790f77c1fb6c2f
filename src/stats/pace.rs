//! The current rate, what limits it, and the time left.

use std::collections::VecDeque;
use std::time::{Duration, Instant, SystemTime};

use crate::model::PauseReason;

use super::Stats;

/// The maximum rate of the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// Number of requests per `per`.
    pub n_requests: u32,
    /// The time in which that many requests may be sent.
    pub per: Duration,
    /// Whether requests are evenly spaced. Otherwise, all of them may be sent at once.
    pub is_spaced: bool,
}

impl Ceiling {
    /// Requests per second, on average.
    pub fn per_second(self) -> f64 {
        f64::from(self.n_requests) / self.per.as_secs_f64()
    }
}

/// The current pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pace {
    /// Requests per second over the last seconds. If none ended in these, the average of the run.
    /// `None` before the first reply.
    pub per_second: Option<f64>,
    /// What limits it; `None` before the first reply.
    pub limit: Option<Limit>,
    /// The time left for the current stage; `None` if it is not known.
    pub left: Option<Duration>,
}

/// What limits the pace of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// The ceiling: workers wait for permits.
    Pace,
    /// The server: workers wait for replies.
    Latency,
    /// A pause of all workers.
    Pause {
        /// The reason.
        reason: PauseReason,
        /// When the next request may be sent.
        until: SystemTime,
        /// The time until then.
        left: Duration,
    },
}

/// A part of a run with one kind of request, such as the look-ups or the unlocks. The time left is
/// that of the current stage.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stage {
    /// The counts of the run when the stage began.
    began: Duration,
    paused: Duration,
    n_rows: u64,
    n_looked_up: u64,
    n_requests: u64,
    /// `None` before the first stage begins: all jobs of the run.
    n_jobs: Option<u64>,
}

/// The span of the average rate of evenly spaced requests.
const RATE_SPAN: Duration = Duration::from_secs(5);

/// The span from which the time left is estimated, unless it contains a pause.
const PRESENT: Duration = Duration::from_secs(30);

/// Fewer jobs than this are no basis for an estimate.
const FEW_JOBS: u64 = 20;

impl Stats {
    /// Begins a stage with this number of jobs. The time since the last event, in which a question
    /// may have been open, counts for neither stage.
    pub fn begin_stage(&mut self, n_jobs: u64, at: Instant, wall: SystemTime) {
        self.clock.set(at, wall);
        self.stage = Stage {
            began: self.elapsed(),
            paused: self.paused(),
            n_rows: self.n_rows(),
            n_looked_up: self.n_looked_up,
            n_requests: self.n_requests,
            n_jobs: (n_jobs > 0).then_some(n_jobs),
        };
    }

    /// The pace at the moment of the latest event.
    pub fn pace(&self, ceiling: Option<Ceiling>) -> Pace {
        Pace {
            per_second: self.per_second(ceiling),
            limit: self.limit(ceiling),
            left: self.time_left(ceiling),
        }
    }

    fn per_second(&self, ceiling: Option<Ceiling>) -> Option<f64> {
        let elapsed = self.elapsed();
        // Within a window, a burst exceeds its ceiling first and is idle then.
        let span = ceiling.filter(|it| !it.is_spaced).map_or(RATE_SPAN, |it| it.per);
        let span = span.clamp(RATE_SPAN, Recent::SPAN);
        let n = self.recent.within(span, elapsed).n;
        if n > 0 {
            return Some(real(n) / Recent::covered(span, elapsed).as_secs_f64());
        }
        let active = elapsed.saturating_sub(self.paused()).as_secs_f64();
        (self.n_requests > 0).then(|| real(self.n_requests) / active.max(0.5))
    }

    fn limit(&self, ceiling: Option<Ceiling>) -> Option<Limit> {
        const SPAN: Duration = Duration::from_secs(12);
        if let Some(pause) = self.pauses.current(self.clock.now()) {
            let left = pause.until.saturating_duration_since(self.clock.now());
            let until = self.clock.wall() + left;
            return Some(Limit::Pause { reason: pause.reason, until, left });
        }
        let flow = self.recent.within(SPAN, self.elapsed());
        // A window of which 95 % is used limits the pace, also while no attempt ends that waited for it.
        let is_spent = ceiling
            .is_some_and(|it| self.n_sent_in_window(it) * 20 > u64::from(it.n_requests) * 19);
        if flow.waited > flow.took || is_spent {
            return Some(Limit::Pace);
        }
        (flow.n > 0).then_some(Limit::Latency)
    }

    /// Number of requests in the current window; 0 if the window is longer than the recorded span.
    fn n_sent_in_window(&self, ceiling: Ceiling) -> u64 {
        let is_known = !ceiling.is_spaced && ceiling.per <= Recent::SPAN;
        if is_known { self.recent.within(ceiling.per, self.elapsed()).n } else { 0 }
    }

    /// The longer of two estimates: at the current pace, and as fast as the ceiling allows.
    fn time_left(&self, ceiling: Option<Ceiling>) -> Option<Duration> {
        let now = self.clock.now();
        let pause = self.pauses.current(now);
        let is_outage = pause.is_some_and(|it| it.reason == PauseReason::Outage);
        let (n_done, n_jobs) = self.stage_progress();
        let n_left = n_jobs.saturating_sub(n_done);
        let n_requests = self.n_requests - self.stage.n_requests;
        if n_left == 0 || n_done == 0 || n_requests == 0 || is_outage || self.stopping.is_some() {
            return None;
        }
        let pause = pause.map(|it| it.until.saturating_duration_since(now)).unwrap_or_default();
        let n_left = n_left.saturating_mul(n_requests).div_ceil(n_done);
        let at_most = ceiling.map_or(pause, |it| self.until_sent(n_left, it, pause));
        // The first jobs of a burst may be a canary, which is sent alone.
        let is_early = n_done < FEW_JOBS
            && ceiling.is_some_and(|it| !it.is_spaced && self.elapsed() < it.per.min(Recent::SPAN));
        if is_early {
            return Some(at_most);
        }
        let at_this_pace = Duration::try_from_secs_f64(real(n_left) / self.stage_rate(n_requests));
        Some(at_this_pace.ok()?.checked_add(pause)?.max(at_most))
    }

    /// Requests per second in the last half minute, or else in the stage without its pauses.
    fn stage_rate(&self, n_requests: u64) -> f64 {
        let in_stage = self.elapsed().saturating_sub(self.stage.began);
        let paused = self.paused().saturating_sub(self.stage.paused);
        if in_stage > PRESENT && self.pauses.is_over_for(PRESENT, self.clock.now()) {
            let n = self.recent.within(PRESENT, self.elapsed()).n;
            if n > 0 {
                return real(n) / Recent::covered(PRESENT, self.elapsed()).as_secs_f64();
            }
        }
        real(n_requests) / in_stage.saturating_sub(paused).as_secs_f64().max(0.001)
    }

    /// Number of jobs of the stage that have a row or were looked up, and of all its jobs.
    fn stage_progress(&self) -> (u64, u64) {
        let stage = &self.stage;
        let Some(n_jobs) = stage.n_jobs else { return (self.n_jobs_done(), self.size.n_jobs) };
        let n_rows = self.n_rows() - stage.n_rows;
        (n_rows.max(self.n_looked_up - stage.n_looked_up).min(n_jobs), n_jobs)
    }

    /// The time until the last of this many requests may be sent. In a burst, each request takes
    /// the place of one that has left the window, and frees it one window later.
    fn until_sent(&self, n_requests: u64, ceiling: Ceiling, pause: Duration) -> Duration {
        let n_places = u64::from(ceiling.n_requests.max(1));
        let last = n_requests.saturating_sub(1);
        if ceiling.is_spaced {
            let evenly = Duration::try_from_secs_f64(real(last) / ceiling.per_second());
            return evenly.unwrap_or(Duration::MAX).saturating_add(pause);
        }
        let (n_windows, place) = (last / n_places, last % n_places);
        // Free places are used first, then those of earlier requests, the oldest first.
        let free = match (place + self.n_sent_in_window(ceiling)).checked_sub(n_places) {
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

const N_SLOTS: u64 = 128;
const SLOT: Duration = Duration::from_millis(500);

/// Number of attempts in a span, and the sums of their waits and durations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) n: u64,
    pub(super) waited: Duration,
    pub(super) took: Duration,
}

/// The attempts of the last minute, in numbered slots of half a second; empty ones are left out.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    slots: VecDeque<(u64, Flow)>,
}

impl Recent {
    /// The span of all slots.
    pub(super) const SPAN: Duration = Duration::from_secs(64);

    pub(super) fn add(&mut self, elapsed: Duration, waited: Duration, took: Duration) {
        let number = slot_number(elapsed);
        if self.slots.back().is_none_or(|(newest, _)| *newest < number) {
            self.slots.push_back((number, Flow::default()));
            self.slots.retain(|(kept, _)| kept + N_SLOTS > number);
        }
        if let Some((_, slot)) = self.slots.back_mut() {
            slot.n += 1;
            slot.waited += waited;
            slot.took += took;
        }
    }

    /// The attempts of the last `span`, to half a second.
    pub(super) fn within(&self, span: Duration, elapsed: Duration) -> Flow {
        self.slots_within(span, elapsed).fold(Flow::default(), |sum, (_, slot)| Flow {
            n: sum.n + slot.n,
            waited: sum.waited + slot.waited,
            took: sum.took + slot.took,
        })
    }

    /// The time until the `nth` oldest attempt of the last `span`, counted from 0, has left it.
    pub(super) fn until_older(&self, span: Duration, elapsed: Duration, nth: u64) -> Duration {
        let mut n_ended = 0;
        let slot = self.slots_within(span, elapsed).find(|(_, slot)| {
            n_ended += slot.n;
            n_ended > nth
        });
        slot.map(|(number, _)| (begin(*number) + span).saturating_sub(elapsed)).unwrap_or_default()
    }

    /// The slots of the last `span`, the oldest first.
    fn slots_within(
        &self,
        span: Duration,
        elapsed: Duration,
    ) -> impl Iterator<Item = &(u64, Flow)> {
        let n_slots = slot_number(span).clamp(1, N_SLOTS);
        let oldest = (slot_number(elapsed) + 1).saturating_sub(n_slots);
        self.slots.iter().filter(move |(number, _)| *number >= oldest)
    }

    /// How much of the last `span` has passed since the start: the divisor of a rate. At least one
    /// slot, so that the first attempts do not give a high rate.
    pub(super) fn covered(span: Duration, elapsed: Duration) -> Duration {
        let in_newest = elapsed.saturating_sub(begin(slot_number(elapsed)));
        (span.saturating_sub(SLOT) + in_newest).min(elapsed).max(SLOT)
    }
}

fn slot_number(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX / 2)
}

/// When a slot begins.
fn begin(number: u64) -> Duration {
    SLOT.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    proptest! {
        /// Against a list that forgets nothing.
        #[test]
        fn the_attempts_of_the_last_slots_are_counted_and_no_others(
            steps in prop::collection::vec(0u64..4000, 0..90), after in 0u64..80_000, span in 1u64..129
        ) {
            let (mut recent, mut ends, mut now) = (Recent::default(), Vec::new(), 0);
            for step in steps {
                now += step;
                recent.add(ms(now), ms(1), ms(2));
                ends.push(now);
            }
            now += after;
            let oldest = (now / 500 + 1).saturating_sub(span);
            let n = ends.iter().filter(|end| *end / 500 >= oldest).count() as u64;
            let flow = recent.within(ms(span * 500), ms(now));
            prop_assert_eq!(flow, Flow { n, waited: ms(n), took: ms(2 * n) });
        }
    }

    #[test]
    fn the_oldest_attempts_leave_a_span_first() {
        let mut recent = Recent::default();
        for at in [100, 200, 2_600] {
            recent.add(ms(at), ms(0), ms(0));
        }
        for (nth, expected) in [(0, 7_000), (1, 7_000), (2, 9_500), (3, 0)] {
            let left = recent.until_older(ms(10_000), ms(3_000), nth);
            assert_eq!(left, ms(expected), "{nth}");
        }
        assert_eq!(recent.until_older(ms(10_000), ms(10_500), 0), ms(2_000));
    }

    #[test]
    fn a_rate_counts_only_the_time_since_the_start() {
        assert_eq!(Recent::covered(ms(5000), ms(100)), ms(500));
        assert_eq!(Recent::covered(ms(5000), ms(2000)), ms(2000));
        assert_eq!(Recent::covered(ms(5000), ms(60_200)), ms(4700));
    }
}
