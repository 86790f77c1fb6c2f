//! The pacer: gate, even spacing and pace file, behind a fair queue.

use std::cell::RefCell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::RateLimiter;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::{sleep, sleep_until};

use super::now;
use super::pace_file::{PaceFile, PaceFileError};
use crate::model::Pause;
use crate::policy::pacing::{Change, Entry, Gate, GateSettings, Pace, Report, Sent};

/// Grants permits at the allowed pace. All requests of a process share one pacer.
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

/// The pace file, which other runs use too.
struct Shared {
    file: PaceFile,
    /// Called with the error when the file can no longer be used.
    on_lost: Box<dyn Fn(&PaceFileError)>,
    n_active: u32,
    exchanged_at: Option<Instant>,
}

/// How far ahead places are reserved. Limits the use of the pace file to 50 times per second.
const BATCH: Duration = Duration::from_millis(20);

/// How often a run that waits reads the pace file.
const POLL: Duration = Duration::from_millis(50);

/// The minimum time between two exchanges.
const MIN_BETWEEN_EXCHANGES: Duration = Duration::from_millis(2);

impl Pacer {
    /// A pacer that does not share its pace with other processes.
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

    /// A pacer after the first request, which is sent alone.
    #[cfg(test)]
    pub(super) fn proven(settings: GateSettings) -> Self {
        let pacer = Self::new(settings);
        pacer.gate.replace(Gate::new(settings).proven());
        pacer
    }

    /// Shares the pace with all runs that use this file. When it can no longer be used, the pacer
    /// calls `on_lost` and continues alone.
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
                // No place is reserved in the pace file yet.
                Entry::Ready if self.is_shared() && !self.gate.borrow().has_reserved() => {
                    sleep(MIN_BETWEEN_EXCHANGES).await;
                }
                Entry::Ready => {
                    self.adjust_spacing();
                    let next = self.spacing.borrow().take();
                    match next {
                        None => break self.gate.borrow_mut().send(now()),
                        Some(at) => sleep_until(self.sooner(Some(at)).into()).await,
                    }
                }
                // A reply may end a pause or an outage early.
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

    /// Whether the API counts as unreachable.
    pub fn is_outage(&self) -> bool {
        self.gate.borrow().is_outage()
    }

    /// The number of outages so far.
    pub fn n_outages(&self) -> u32 {
        self.gate.borrow().n_outages()
    }

    async fn wait(&self, at: Option<Instant>) {
        let reported = self.reported.notified();
        if at.is_none() && !self.is_shared() {
            return reported.await;
        }
        tokio::select! {
            () = sleep_until(self.sooner(at).into()) => {}
            () = reported => {}
        }
    }

    fn is_shared(&self) -> bool {
        self.shared.borrow().is_some()
    }

    /// The time until which to wait: `at`, or earlier to read the pace file.
    fn sooner(&self, at: Option<Instant>) -> Instant {
        let poll = self.is_shared().then(|| now() + POLL);
        at.into_iter().chain(poll).min().unwrap_or_else(now)
    }

    /// Exchanges places with other runs if the next request needs it. The lock is held for
    /// microseconds, so a few short sleeps are enough.
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
        let wait = if self.gate.borrow().has_reserved() { BATCH } else { MIN_BETWEEN_EXCHANGES };
        shared.exchanged_at.is_none_or(|at| at + wait <= now())
    }

    /// One attempt at an exchange; `false` if another process holds the lock.
    fn try_exchange(&self) -> bool {
        let mut shared = self.shared.borrow_mut();
        let Some(it) = shared.as_mut() else { return true };
        let (now, n) = (now(), burst(self.spacing.borrow().per_second).get());
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

    fn adjust_spacing(&self) {
        let n_active = self.shared.borrow().as_ref().map_or(1, |shared| shared.n_active);
        // The other shards may run on other machines.
        let n_runs = n_active.max(self.shards);
        let per_second = per_second(self.pace, self.gate.borrow().per_second(now()), n_runs);
        self.spacing.borrow_mut().set(per_second);
    }

    fn report(&self, sent: Sent, report: Report) -> Change {
        let change = self.gate.borrow_mut().report(sent, now(), report);
        if let Report::Throttled(_) = report {
            // If another run holds the lock, the next exchange shares the pause.
            self.try_exchange();
        }
        // At most one request waits for this: the first in the queue.
        self.reported.notify_waiters();
        change
    }
}

/// The pace of one of several runs. With `--burst`, the share of a window may be sent in one second.
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

/// The right to send one request. If it is dropped without a report, the request counts as given up.
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

    /// How long the request waited for it.
    pub fn waited(&self) -> Duration {
        self.sent_at.saturating_duration_since(self.asked_at)
    }

    /// Reports the result of the request and returns the change for all requests.
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

/// The clock of the runtime, for governor.
#[derive(Clone, Copy, Debug, Default)]
struct RuntimeClock;

impl Clock for RuntimeClock {
    type Instant = Instant;

    fn now(&self) -> Instant {
        now()
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, RuntimeClock, NoOpMiddleware<Instant>>;

/// Even spacing between requests.
struct Spacing {
    per_second: f64,
    limiter: Limiter,
}

/// The minimum relative change of the pace that takes effect.
const MIN_CHANGE: f64 = 0.02;

impl Spacing {
    fn new(per_second: f64) -> Self {
        Self { per_second, limiter: limiter(per_second) }
    }

    /// Changes the pace. A limiter cannot be changed, so it is replaced by one whose burst is used up:
    /// no request is sent early because of a change.
    fn set(&mut self, per_second: f64) {
        if (self.per_second - per_second).abs() > self.per_second * MIN_CHANGE {
            self.per_second = per_second;
            self.limiter = limiter(per_second);
            // The burst always fits into a new limiter.
            let _ = self.limiter.check_n(burst(per_second));
        }
    }

    /// `None` if a request may be sent now, otherwise when to call this again.
    fn take(&self) -> Option<Instant> {
        let refused = self.limiter.check().err()?;
        Some(now() + refused.wait_time_from(now()))
    }
}

fn limiter(per_second: f64) -> Limiter {
    let period = Duration::from_secs_f64(1.0 / clamped(per_second)).max(Duration::from_nanos(1));
    let quota = governor::Quota::with_period(period)
        .unwrap_or_else(|| governor::Quota::per_second(NonZeroU32::MAX))
        .allow_burst(burst(per_second));
    RateLimiter::direct_with_clock(quota, RuntimeClock)
}

/// The number of requests that may be sent at once: those of 20 ms. Timers fire up to a millisecond
/// late, so without a burst, 1,000 requests per second would become 500.
fn burst(per_second: f64) -> NonZeroU32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2e7")]
    let n = (clamped(per_second) / 50.0).ceil() as u32;
    NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN)
}

/// The pace, limited to what a limiter supports.
fn clamped(per_second: f64) -> f64 {
    per_second.clamp(1e-6, 1e9)
}

#[cfg(test)]
mod tests;
