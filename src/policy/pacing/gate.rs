//! The gate that every request passes: ledger, throttle and breaker in one.

use std::time::{Duration, Instant};

use super::breaker::Beat;
use super::{Breaker, Ledger, Pace, Room, Throttle};
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
    pause: Option<Pause>,
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
    /// It did not, or not to be trusted; `user` is any number that tells users apart.
    Transient {
        /// Whom the request was about.
        user: usize,
    },
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

impl Gate {
    /// An open gate.
    pub fn new(settings: GateSettings) -> Self {
        let quota = settings.pace.quota();
        let ledger = match settings.pace {
            Pace::Window(quota) => Some(Ledger::new(quota.per + MARGIN)),
            Pace::Even(_) => None,
        };
        Self {
            share: usize::try_from(quota.n.get()).unwrap_or(usize::MAX),
            ledger,
            throttle: Throttle::new(quota.per),
            breaker: Breaker::new(settings.give_up_after),
            pause: None,
            is_probing: false,
        }
    }

    /// Asks whether one more request may leave. With [`Entry::Go`] it has left.
    ///
    /// After a pause the first one goes alone: if the API is still unwell, it is asked once and
    /// not by everybody.
    pub fn enter(&mut self, now: Instant) -> Entry {
        let is_probe = match self.pause {
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

    /// Takes note of how a request was answered.
    pub fn report(&mut self, ticket: Ticket, now: Instant, report: Report) -> Change {
        if let Some(ledger) = &mut self.ledger {
            ledger.come_back(now);
        }
        if ticket.is_probe {
            self.is_probing = false;
        }
        match report {
            Report::GivenUp => Change::None,
            Report::Answered => self.on_answered(now, ticket),
            Report::Throttled(retry_after) => {
                self.breaker.on_answered();
                let until = self.throttle.on_throttled(ticket.sent_at, now, retry_after);
                self.pause_until(until, PauseReason::Throttled)
            }
            Report::Transient { user } => {
                match self.breaker.on_transient(user, ticket.is_probe, now) {
                    Beat::Closed => self.end_of_throttle(ticket),
                    Beat::Pause(until) => self.pause_until(until, PauseReason::Outage),
                    Beat::GiveUp => Change::GiveUp,
                }
            }
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

    fn on_answered(&mut self, now: Instant, ticket: Ticket) -> Change {
        self.throttle.on_answered(now);
        let ended_outage = self.breaker.on_answered();
        // A straggler of before a 429 says nothing about the API now; any answer ends an outage.
        if self.pause.is_some() && (ticket.is_probe || ended_outage) {
            self.pause = None;
            return Change::Resumed;
        }
        Change::None
    }

    /// A probe after a 429 that fails otherwise has shown that the throttling is over.
    fn end_of_throttle(&mut self, ticket: Ticket) -> Change {
        if ticket.is_probe && self.pause.take().is_some() { Change::Resumed } else { Change::None }
    }

    fn pause_until(&mut self, until: Instant, reason: PauseReason) -> Change {
        let until = self.pause.map_or(until, |pause| pause.until.max(until));
        let pause = Pause { until, reason };
        if self.pause == Some(pause) {
            return Change::None;
        }
        self.pause = Some(pause);
        Change::Paused(pause)
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

#[cfg(test)]
mod tests;
