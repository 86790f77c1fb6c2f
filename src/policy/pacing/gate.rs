//! The gate that every request passes: ledger, throttle and breaker in one.

use std::time::{Duration, Instant};

use super::breaker::Beat;
use super::{Breaker, Ledger, Miss, Pace, Room, Throttle};
use crate::model::{Pause, PauseReason};

/// What a gate is built from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GateSettings {
    /// The pace. An even one is spaced by the caller; the gate then keeps no ledger.
    pub pace: Pace,
    /// How long the API may be silent before the run is given up.
    pub give_up_after: Duration,
}

/// Decides when a request may leave, and learns from how each was answered.
#[derive(Clone, Debug)]
pub struct Gate {
    share: usize,
    ledger: Option<Ledger>,
    throttle: Throttle,
    breaker: Breaker,
    /// When a 429 lets a probe go; there until one has shown that the API takes requests again.
    throttled_until: Option<Instant>,
    /// When an outage lets its next probe go; there as long as the outage lasts.
    silent_until: Option<Instant>,
    is_probing: bool,
}

/// Whether a request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may, and has.
    Go(Ticket),
    /// Ask again then.
    At(Instant),
    /// Ask again when one of those in flight is answered.
    AfterAnswer,
}

/// One request in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// When it left.
    pub sent_at: Instant,
    is_probe: bool,
}

/// How one request was answered, as far as pacing cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// The API answered, well or not.
    Answered,
    /// It did not, or not to be trusted.
    Transient(Miss),
    /// 429, and what `Retry-After` said.
    Throttled(Option<Duration>),
    /// The caller was stopped before the answer came.
    GivenUp,
}

/// What a report changed for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// Nobody sends before its end.
    Paused(Pause),
    /// The API answers again.
    Resumed,
    /// The outage has lasted too long.
    GiveUp,
}

/// What the window is lengthened by, so that no rounding of a timer on either side can tell.
const MARGIN: Duration = Duration::from_millis(5);

/// No window is longer than this: what is added to a moment must stay a moment.
const LONGEST_WINDOW: Duration = Duration::from_secs(366 * 24 * 60 * 60);

impl Gate {
    /// An open gate.
    pub fn new(settings: GateSettings) -> Self {
        let quota = settings.pace.quota();
        let window = quota.per.min(LONGEST_WINDOW);
        let ledger = match settings.pace {
            Pace::Window(_) => Some(Ledger::new(window + MARGIN)),
            Pace::Even(_) => None,
        };
        Self {
            share: usize::try_from(quota.n.get()).unwrap_or(usize::MAX),
            ledger,
            throttle: Throttle::new(window),
            breaker: Breaker::new(settings.give_up_after),
            throttled_until: None,
            silent_until: None,
            is_probing: false,
        }
    }

    /// Asks whether one more request may leave. With [`Entry::Go`] it has left.
    ///
    /// After a pause the first one goes alone: if the API is still unwell, it is asked once and
    /// not by everybody.
    pub fn enter(&mut self, now: Instant) -> Entry {
        let is_probe = match self.pause() {
            Some(pause) if now < pause.until => return Entry::At(pause.until),
            Some(_) if self.is_probing => return Entry::AfterAnswer,
            Some(_) => true,
            None => false,
        };
        let share = self.share_now();
        match self.ledger.as_mut().map_or(Room::Now, |ledger| ledger.room(now, share)) {
            Room::At(then) => return Entry::At(then),
            Room::AfterAnswer => return Entry::AfterAnswer,
            Room::Now => {}
        }
        if let Some(ledger) = &mut self.ledger {
            ledger.leave();
        }
        self.is_probing |= is_probe;
        Entry::Go(Ticket { sent_at: now, is_probe })
    }

    /// Takes note of how a request was answered. Any answer but a 429 ends an outage: a proxy that
    /// throttles may stand before an API that is down.
    pub fn report(&mut self, ticket: Ticket, now: Instant, report: Report) -> Change {
        if let Some(ledger) = &mut self.ledger {
            ledger.come_back(now);
        }
        if ticket.is_probe {
            self.is_probing = false;
        }
        let before = self.pause();
        match report {
            Report::GivenUp => {}
            Report::Answered => self.on_answered(ticket, now),
            Report::Throttled(retry_after) => self.on_throttled(ticket, now, retry_after),
            Report::Transient(miss) => match self.on_transient(ticket, now, miss) {
                Beat::Closed => {}
                Beat::Pause(until) => self.silent_until = Some(until),
                Beat::GiveUp => return Change::GiveUp,
            },
        }
        match self.pause() {
            pause if pause == before => Change::None,
            Some(pause) => Change::Paused(pause),
            None => Change::Resumed,
        }
    }

    /// So many requests of an earlier run were answered that long ago: for the server they are in
    /// the same window. Told the oldest first, before any request leaves. An even pace is kept by
    /// its spacing alone.
    pub fn remember(&mut self, now: Instant, n_requests: usize, age: Duration) {
        let share = self.share;
        if let Some(ledger) = &mut self.ledger {
            // More than a window's worth says no more.
            ledger.remember(now, n_requests.min(share), age);
        }
    }

    /// How much of the full pace may be used now, above 0 and at most 1.
    pub fn fraction(&self) -> f64 {
        self.throttle.fraction()
    }

    /// Whether the API is taken to be silent now: what fails meanwhile uses up no retry.
    pub fn is_outage(&self) -> bool {
        self.breaker.is_outage()
    }

    /// How many outages there were.
    pub fn n_outages(&self) -> u32 {
        self.breaker.n_outages()
    }

    /// The later of the two: nobody sends before either is over.
    fn pause(&self) -> Option<Pause> {
        let of = |until: Option<Instant>, reason| until.map(|until| Pause { until, reason });
        let silent = of(self.silent_until, PauseReason::Outage);
        let throttled = of(self.throttled_until, PauseReason::Throttled);
        silent.into_iter().chain(throttled).max_by_key(|pause| pause.until)
    }

    fn on_answered(&mut self, ticket: Ticket, now: Instant) {
        self.throttle.on_answered(ticket.sent_at, now);
        self.breaker.on_answered();
        self.silent_until = None;
        self.end_throttle(ticket);
    }

    /// Neither good nor silence: it says nothing about an outage.
    fn on_throttled(&mut self, ticket: Ticket, now: Instant, retry_after: Option<Duration>) {
        let until = self.throttle.on_throttled(ticket.sent_at, now, retry_after);
        self.throttled_until = self.throttled_until.max(Some(until));
    }

    fn on_transient(&mut self, ticket: Ticket, now: Instant, miss: Miss) -> Beat {
        // Otherwise than by a 429: the throttling is over.
        self.end_throttle(ticket);
        let is_probe = ticket.is_probe && is_over(self.silent_until, ticket);
        self.breaker.on_transient(miss, is_probe, now)
    }

    /// What left before the pause was over says nothing about the API after it.
    fn end_throttle(&mut self, ticket: Ticket) {
        if ticket.is_probe && is_over(self.throttled_until, ticket) {
            self.throttled_until = None;
        }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share is a u32, and a fraction of it is at most as much"
    )]
    fn share_now(&self) -> usize {
        ((self.share as f64 * self.throttle.fraction()).floor() as usize).max(1)
    }
}

/// Whether that pause was over when the request left.
fn is_over(until: Option<Instant>, ticket: Ticket) -> bool {
    until.is_some_and(|until| until <= ticket.sent_at)
}

#[cfg(test)]
mod tests;
