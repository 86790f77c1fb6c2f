//! The pacer: the gate and the spacing, and a fair line before them.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify};
use tokio::time::sleep_until;

use super::clock::now;
use super::spacing::Spacing;
use crate::policy::pacing::{Change, Entry, Gate, GateSettings, Pace, Report, Ticket};

/// Lets requests go at the allowed pace. All requests of a run pass one pacer.
pub struct Pacer {
    is_even: bool,
    gate: RefCell<Gate>,
    spacing: RefCell<Spacing>,
    line: Mutex<()>,
    answered: Notify,
}

impl Pacer {
    /// A pacer that nobody has passed yet.
    pub fn new(settings: GateSettings) -> Self {
        let quota = settings.pace.quota();
        let (is_even, per_second) = match settings.pace {
            Pace::Even(_) => (true, quota.per_second()),
            Pace::Window(_) => (false, f64::from(quota.n.get())),
        };
        Self {
            is_even,
            gate: RefCell::new(Gate::new(settings)),
            spacing: RefCell::new(Spacing::new(per_second)),
            line: Mutex::new(()),
            answered: Notify::new(),
        }
    }

    /// So many requests of an earlier run were answered that long ago. Told the oldest first, before
    /// the first turn.
    pub fn remember(&self, n_requests: usize, age: Duration) {
        self.gate.borrow_mut().remember(now(), n_requests, age);
    }

    /// Waits for a turn. First come, first served; dropping the future gives up the place.
    pub async fn turn(&self) -> Turn<'_> {
        let asked_at = now();
        let _place = self.line.lock().await;
        let ticket = loop {
            self.wait_for_spacing().await;
            if let Some(ticket) = self.pass_gate().await {
                break ticket;
            }
        };
        Turn { pacer: self, ticket: Some(ticket), sent_at: ticket.sent_at, asked_at }
    }

    /// Whether the API is taken to be silent now.
    pub fn is_outage(&self) -> bool {
        self.gate.borrow().is_outage()
    }

    /// How many outages there were.
    pub fn n_outages(&self) -> u32 {
        self.gate.borrow().n_outages()
    }

    async fn wait_for_spacing(&self) {
        loop {
            let Some(at) = self.spacing.borrow().take() else { return };
            sleep_until(at.into()).await;
        }
    }

    /// `None` where a pause was waited for at an even pace: the spacing that was waited for before
    /// it is long over, and others may have gone just now.
    async fn pass_gate(&self) -> Option<Ticket> {
        let mut has_waited = false;
        loop {
            if has_waited && self.is_even {
                return None;
            }
            let entry = self.gate.borrow_mut().enter(now());
            has_waited = true;
            match entry {
                Entry::Go(ticket) => return Some(ticket),
                // An answer may end a pause or an outage before its time.
                Entry::At(at) => tokio::select! {
                    () = sleep_until(at.into()) => {}
                    () = self.answered.notified() => {}
                },
                Entry::AfterAnswer => self.answered.notified().await,
            }
        }
    }

    fn report(&self, ticket: Ticket, report: Report) -> Change {
        let mut gate = self.gate.borrow_mut();
        let change = gate.report(ticket, now(), report);
        if self.is_even {
            self.spacing.borrow_mut().slow_to(gate.fraction());
        }
        drop(gate);
        // One at most waits here: the head of the line.
        self.answered.notify_waiters();
        change
    }
}

/// The right to send one request. Dropped without a report, it counts as given up.
pub struct Turn<'a> {
    pacer: &'a Pacer,
    ticket: Option<Ticket>,
    sent_at: Instant,
    asked_at: Instant,
}

impl Turn<'_> {
    /// When it was given.
    pub fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.sent_at.saturating_duration_since(self.asked_at)
    }

    /// Says how the request was answered. Gives what that changed for everybody.
    pub fn report(mut self, report: Report) -> Change {
        self.ticket.take().map_or(Change::None, |ticket| self.pacer.report(ticket, report))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.pacer.report(ticket, Report::GivenUp);
        }
    }
}

#[cfg(test)]
mod tests;
