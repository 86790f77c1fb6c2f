//! The pacer: gate, spacing and pace file, behind a fair queue.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, sleep_until};

use super::clock::now;
use super::pace_file::{PaceFile, PaceFileError};
use super::spacing::{Spacing, burst};
use crate::model::Pause;
use crate::policy::pacing::{Change, Entry, Gate, GateSettings, Pace, Report, Sent};

/// Grants permits at the allowed pace. All requests of a process pass one pacer.
pub struct Pacer {
    pace: Pace,
    shards: u32,
    gate: RefCell<Gate>,
    spacing: RefCell<Spacing>,
    shared: RefCell<Option<Shared>>,
    queue: Mutex<()>,
    reported: Notify,
    pauses: watch::Sender<Option<Pause>>,
}

/// The pace as it is shared with other runs.
struct Shared {
    file: PaceFile,
    /// Called with the reason when the file cannot be used any more.
    on_lost: Box<dyn Fn(&PaceFileError)>,
    n_active: u32,
    exchanged_at: Option<Instant>,
}

/// Places are reserved for this long ahead, so that the pace file is used fifty times per second
/// at most.
const BATCH: Duration = Duration::from_millis(20);

/// How often a run that waits looks at what the others do.
const POLL: Duration = Duration::from_millis(50);

/// The shortest time between two exchanges, however many replies come.
const PATIENCE: Duration = Duration::from_millis(2);

impl Pacer {
    /// A pacer that shares its pace with no other process.
    pub fn new(settings: GateSettings) -> Self {
        let gate = Gate::new(settings);
        let GateSettings { pace, shards, .. } = settings;
        let per_second = per_second(pace, gate.per_second(now()), shards);
        Self {
            pace,
            shards,
            gate: RefCell::new(gate),
            spacing: RefCell::new(Spacing::new(per_second)),
            shared: RefCell::new(None),
            queue: Mutex::new(()),
            reported: Notify::new(),
            pauses: watch::Sender::new(None),
        }
    }

    /// As if the first request, which goes alone, had been answered long ago: most tests are about
    /// the requests after it.
    #[cfg(test)]
    pub(super) fn proven(settings: GateSettings) -> Self {
        let pacer = Self::new(settings);
        pacer.gate.replace(Gate::new(settings).proven());
        pacer
    }

    /// Shares the pace with all runs that use this file. If it cannot be used any more, the pacer
    /// continues alone and calls `on_lost`.
    #[must_use]
    pub fn shared_through(
        mut self,
        file: PaceFile,
        on_lost: impl Fn(&PaceFileError) + 'static,
    ) -> Self {
        let on_lost = Box::new(on_lost);
        let shared = Shared { file, on_lost, n_active: 1, exchanged_at: None };
        self.shared = RefCell::new(Some(shared));
        self
    }

    /// Waits for a permit to send one request. Permits are granted in FIFO order; dropping the
    /// future gives up the place in the queue.
    pub async fn permit(&self) -> Permit<'_> {
        let asked_at = now();
        let _place = self.queue.lock().await;
        let sent = loop {
            self.exchange_if_due().await;
            let entry = self.gate.borrow_mut().check(now());
            match entry {
                Entry::Ready if self.is_without_place() => sleep(PATIENCE).await,
                Entry::Ready => {
                    self.adjust_spacing();
                    let next = self.spacing.borrow().take();
                    match next {
                        None => break self.gate.borrow_mut().send(now()),
                        Some(at) => sleep_until(self.sooner(Some(at)).into()).await,
                    }
                }
                // A reply may end a pause or an outage before its time.
                Entry::At(at) => self.wait(Some(at)).await,
                Entry::AfterReply => self.wait(None).await,
            }
        };
        Permit { pacer: self, sent: Some(sent), sent_at: sent.at, asked_at }
    }

    /// The latest pause that another run began.
    pub(super) fn pauses_of_others(&self) -> watch::Receiver<Option<Pause>> {
        self.pauses.subscribe()
    }

    /// Whether the API is taken to be unreachable.
    pub fn is_outage(&self) -> bool {
        self.gate.borrow().is_outage()
    }

    /// The number of outages so far.
    pub fn n_outages(&self) -> u32 {
        self.gate.borrow().n_outages()
    }

    async fn wait(&self, at: Option<Instant>) {
        let reported = self.reported.notified();
        if at.is_none() && self.shared.borrow().is_none() {
            return reported.await;
        }
        tokio::select! {
            () = sleep_until(self.sooner(at).into()) => {}
            () = reported => {}
        }
    }

    /// A run that shares its pace looks at the others every now and then while it waits.
    fn sooner(&self, at: Option<Instant>) -> Instant {
        let poll = self.shared.borrow().as_ref().map(|_| now() + POLL);
        at.into_iter().chain(poll).min().unwrap_or_else(now)
    }

    /// Exchanges places with the other runs if the next request needs it. The lock is held for
    /// microseconds, so waiting for it takes a few short sleeps at most.
    async fn exchange_if_due(&self) {
        const MOST_ATTEMPTS: u32 = 10_000;
        for _ in 0..MOST_ATTEMPTS {
            if !self.is_exchange_due() || self.try_exchange() {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        if let Some(shared) = self.shared.take() {
            (shared.on_lost)(&shared.file.held_by_others());
        }
    }

    fn is_exchange_due(&self) -> bool {
        let shared = self.shared.borrow();
        let Some(shared) = shared.as_ref() else { return false };
        let wait = if self.gate.borrow().has_reserved() { BATCH } else { PATIENCE };
        shared.exchanged_at.is_none_or(|at| at + wait <= now())
    }

    /// Whether the pace is shared and no place is reserved for the next request.
    fn is_without_place(&self) -> bool {
        self.shared.borrow().is_some() && !self.gate.borrow().has_reserved()
    }

    /// One attempt at an exchange. `false`: another process holds the lock.
    fn try_exchange(&self) -> bool {
        let mut shared = self.shared.borrow_mut();
        let Some(it) = shared.as_mut() else { return true };
        let (now, n) = (now(), self.batch());
        let exchanged = it.file.exchange(now, |record, id, moment| {
            self.gate.borrow_mut().exchange(record, id, moment, n)
        });
        match exchanged {
            Ok(None) => return false,
            Ok(Some(exchanged)) => {
                it.n_active = exchanged.n_active;
                it.exchanged_at = Some(now);
                if exchanged.pause.is_some() {
                    self.pauses.send_replace(exchanged.pause);
                }
            }
            Err(error) => {
                (it.on_lost)(&error);
                *shared = None;
            }
        }
        true
    }

    fn batch(&self) -> u32 {
        burst(self.spacing.borrow().per_second()).get()
    }

    fn adjust_spacing(&self) {
        let n_active = self.shared.borrow().as_ref().map_or(1, |shared| shared.n_active);
        // Other shards may run on this machine or on others.
        let n_runs = n_active.max(self.shards);
        let per_second = per_second(self.pace, self.gate.borrow().per_second(now()), n_runs);
        self.spacing.borrow_mut().set(per_second);
    }

    fn report(&self, sent: Sent, report: Report) -> Change {
        let change = self.gate.borrow_mut().report(sent, now(), report);
        if let Report::Throttled(_) = report {
            // The other runs learn of it now, or with the next exchange if one of them is at it.
            self.try_exchange();
        }
        // At most one waits here: the head of the queue.
        self.reported.notify_waiters();
        change
    }
}

/// The pace of one of several runs. Under `--burst` a window's share may go in a second.
fn per_second(pace: Pace, allowed: f64, n_runs: u32) -> f64 {
    let allowed = match pace {
        Pace::Share(_) | Pace::Rate(_) => allowed,
        Pace::Burst(_) => allowed * pace.window().as_secs_f64().max(1.0),
    };
    allowed / f64::from(n_runs.max(1))
}

impl Drop for Pacer {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            let gate = self.gate.get_mut();
            shared.file.leave(now(), |record, id, moment| {
                gate.exchange(record, id, moment, 0);
            });
        }
    }
}

/// The right to send one request. Dropped without a report it counts as given up.
pub struct Permit<'a> {
    pacer: &'a Pacer,
    sent: Option<Sent>,
    sent_at: Instant,
    asked_at: Instant,
}

impl Permit<'_> {
    /// When it was granted.
    pub fn sent_at(&self) -> Instant {
        self.sent_at
    }

    /// How long it was waited for.
    pub fn waited(&self) -> Duration {
        self.sent_at.saturating_duration_since(self.asked_at)
    }

    /// Reports the result of the request, and returns what that changed for all requests.
    pub fn report(mut self, report: Report) -> Change {
        self.sent.take().map_or(Change::None, |sent| self.pacer.report(sent, report))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if let Some(sent) = self.sent.take() {
            self.pacer.report(sent, Report::Abandoned);
        }
    }
}

#[cfg(test)]
mod tests;
