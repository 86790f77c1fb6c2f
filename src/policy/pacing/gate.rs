//! The gate that every request passes: ledger, throttle and breaker in one.

use std::time::{Duration, Instant};

use super::breaker::Beat;
use super::{Breaker, Entry, Ledger, Limits, Miss, Moment, Pace, PaceRecord, Refusal, Throttle};
use crate::model::{Pause, PauseReason};

/// The settings of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// The pace of all shards together. The caller spaces requests evenly where the pace requires it.
    pub pace: Pace,
    /// The number of shards that divide the pace; this process is one of them.
    pub shards: u32,
    /// How long the API may be unreachable before the run gives up.
    pub give_up_after: Duration,
}

/// Decides when a request may leave, and learns from the reply to each.
#[derive(Clone, Debug)]
pub struct Gate {
    pace: Pace,
    shards: u32,
    ledger: Ledger,
    throttle: Throttle,
    breaker: Breaker,
    /// When a probe may follow a 429; set until a reply shows that the API takes requests again.
    throttled_until: Option<Instant>,
    /// The latest end of such a pause, over or not.
    latest_pause: Option<Instant>,
    /// When the next probe of an outage may leave; set as long as the outage lasts.
    silent_until: Option<Instant>,
    is_probing: bool,
    is_proven: bool,
}

/// One request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// When it left.
    pub at: Instant,
    is_probe: bool,
}

/// The result of one request, as far as pacing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The API replied, neither with a 429 nor with a failure of its own.
    Answered,
    /// It failed.
    Failed(Miss, Delivery),
    /// 429, with the value of `Retry-After`.
    Throttled(Option<Duration>),
    /// The caller was stopped before the reply.
    Abandoned,
}

/// What is known of a failed request's way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The server replied.
    Replied,
    /// The connection failed: nothing is on its way any more.
    Lost,
    /// It timed out: a stalled server may still read it.
    Unknown,
}

/// What a report changed for all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Nothing is sent before the end of the pause.
    Paused(Pause),
    /// The API answers again.
    Resumed,
    /// The outage has lasted too long.
    GiveUp,
}

/// The result of an exchange with the other runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// How many runs share the pace, this one included.
    pub n_active: u32,
    /// A pause that another run began.
    pub pause: Option<Pause>,
}

/// Added to the window, so that rounded timers on either side make no difference.
const MARGIN: Duration = Duration::from_millis(5);

/// Times lose less than this on their way through the record.
pub(super) const ROUNDING: Duration = Duration::from_millis(10);

impl Gate {
    /// An open gate.
    pub fn new(settings: GateSettings) -> Self {
        let GateSettings { pace, shards, give_up_after } = settings;
        Self {
            pace,
            shards: shards.max(1),
            ledger: Ledger::new(pace.window() + MARGIN),
            throttle: Throttle::new(pace.window(), pace.per_window()),
            breaker: Breaker::new(give_up_after),
            throttled_until: None,
            latest_pause: None,
            silent_until: None,
            is_probing: false,
            is_proven: false,
        }
    }

    /// As if the first request, which goes alone, had been answered long ago.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn proven(self) -> Self {
        Self { is_proven: true, ..self }
    }

    /// Whether one more request may leave.
    ///
    /// The first request goes alone, so that a wrong key costs one. So does the first one after a
    /// pause: if the API is still unwell, it is asked once and not by all workers.
    pub fn check(&mut self, now: Instant) -> Entry {
        if let Some(pause) = self.pause().filter(|pause| now < pause.until) {
            return Entry::At(pause.until);
        }
        if self.next_is_probe() && self.is_probing {
            return Entry::AfterReply;
        }
        self.ledger.room(now, self.places(now), self.next_is_probe())
    }

    /// Notes that a request leaves, after [`Gate::check`] found it ready.
    pub fn send(&mut self, now: Instant) -> Sent {
        let is_probe = self.next_is_probe();
        self.ledger.send(now, self.places(now));
        self.is_probing |= is_probe;
        Sent { at: now, is_probe }
    }

    /// Notes the result of a request. Any reply but a 429 ends an outage: a proxy that throttles
    /// may stand before an API that is down.
    pub fn report(&mut self, sent: Sent, now: Instant, report: Report) -> Change {
        let (n_held, before) = (self.ledger.held(), self.pause());
        if sent.is_probe {
            self.is_probing = false;
        }
        self.is_proven |= report != Report::Abandoned;
        match report {
            Report::Abandoned => self.ledger.on_given_up(sent.at, now),
            Report::Answered => {
                self.ledger.on_reply(sent.at, now);
                self.throttle.on_answered(sent.at, sent.is_probe);
                self.breaker.on_answered();
                self.silent_until = None;
                self.end_throttle(sent);
            }
            // Neither a good reply nor silence: it proves nothing about an outage.
            Report::Throttled(retry_after) => {
                self.ledger.on_reply(sent.at, now);
                let is_probe = sent.is_probe && is_over(self.throttled_until, sent);
                let refusal = Refusal { sent_at: sent.at, is_probe, n_held };
                let until = self.throttle.on_throttled(refusal, now, retry_after);
                self.pause_until(until);
            }
            Report::Failed(miss, delivery) => {
                match delivery {
                    Delivery::Replied => self.ledger.on_reply(sent.at, now),
                    Delivery::Lost => self.ledger.on_lost(now),
                    Delivery::Unknown => self.ledger.on_given_up(sent.at, now),
                }
                // Not by a 429, so the throttling is over.
                self.end_throttle(sent);
                let is_probe = sent.is_probe && is_over(self.silent_until, sent);
                match self.breaker.on_failed(miss, is_probe, now) {
                    Beat::Closed => {}
                    Beat::Pause(until) => self.silent_until = Some(until),
                    Beat::GiveUp => return Change::GiveUp,
                }
            }
        }
        match self.pause() {
            pause if pause == before => Change::None,
            Some(pause) => Change::Paused(pause),
            None => Change::Resumed,
        }
    }

    /// Exchanges places, pause and learned share with the runs that use the same key, and reserves
    /// up to `n` places. The caller holds the lock of the record and stores it afterwards.
    pub fn exchange(
        &mut self,
        record: &mut PaceRecord,
        id: &str,
        moment: Moment,
        n: u32,
    ) -> Exchanged {
        let window = self.pace.window() + MARGIN;
        record.refresh(moment, window);
        self.ledger.set_others(record.others(id, moment, window));
        if let Some(sent_at) = record.last_replied_to(moment) {
            self.ledger.on_replied_to(sent_at, moment.now);
        }
        if let Some(learned) = record.learned(moment, self.pace.window()) {
            self.throttle.adopt(learned);
        }
        let before = self.pause();
        let known = self.latest_pause.map(|until| until + ROUNDING);
        let later = record.paused_until(moment).filter(|&until| Some(until) > known);
        if let Some(until) = later {
            self.pause_until(until);
        }
        if let Some(until) = self.throttled_until {
            record.pause_until(until, moment);
        }
        if let Some(learned) = self.throttle.learned() {
            record.set_learned(learned, moment, self.pace.window());
        }
        let (places, is_probe) = (self.places(moment.now), self.next_is_probe());
        self.ledger.reserve(moment.now, places, is_probe, n);
        let shares = !matches!(self.pace, Pace::Rate(_));
        record.set_own(id, shares, &self.ledger.own(), moment, window);
        let n_active = if shares { record.n_active(id, moment) } else { 1 };
        let pause = self.pause().filter(|_| later.is_some() && self.pause() != before);
        Exchanged { n_active, pause }
    }

    /// Whether a place is reserved for the next request.
    pub fn has_reserved(&self) -> bool {
        self.ledger.n_reserved() > 0
    }

    /// Requests per second that may be sent now, by all runs together.
    pub fn per_second(&self, now: Instant) -> f64 {
        self.throttle.limit(now) / self.pace.window().as_secs_f64()
    }

    /// Whether the API is taken to be unreachable: failures in the meantime use up no retry.
    pub fn is_outage(&self) -> bool {
        self.breaker.is_outage()
    }

    /// The number of outages so far.
    pub fn n_outages(&self) -> u32 {
        self.breaker.n_outages()
    }

    /// The places that may be taken in a window, by all runs and by this one. At a named rate the
    /// spacing alone counts.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the limit is at most a share, which is a u32"
    )]
    fn places(&self, now: Instant) -> Limits {
        let all = match self.pace {
            Pace::Share(_) | Pace::Burst(_) => (self.throttle.limit(now).floor() as u32).max(1),
            Pace::Rate(_) => u32::MAX,
        };
        Limits { all, own: (all / self.shards).max(1) }
    }

    fn next_is_probe(&self) -> bool {
        !self.is_proven || self.pause().is_some()
    }

    /// The later of the two: nothing is sent before both are over.
    fn pause(&self) -> Option<Pause> {
        let of = |until: Option<Instant>, reason| until.map(|until| Pause { until, reason });
        let silent = of(self.silent_until, PauseReason::Outage);
        let throttled = of(self.throttled_until, PauseReason::Throttled);
        silent.into_iter().chain(throttled).max_by_key(|pause| pause.until)
    }

    fn pause_until(&mut self, until: Instant) {
        self.throttled_until = self.throttled_until.max(Some(until));
        self.latest_pause = self.latest_pause.max(Some(until));
    }

    /// A request that left before the end of the pause proves nothing about the API after it.
    fn end_throttle(&mut self, sent: Sent) {
        if sent.is_probe && is_over(self.throttled_until, sent) {
            self.throttled_until = None;
        }
    }
}

/// Whether that pause was over when the request left.
fn is_over(until: Option<Instant>, sent: Sent) -> bool {
    until.is_some_and(|until| until <= sent.at)
}

#[cfg(test)]
mod tests;
