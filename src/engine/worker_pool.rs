//! The pool: workers that take a task, wait for a permit, send, and finish or put back.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::clock::{now, wall_clock};
use super::pacer::{Pacer, Permit};
use super::queue::{Next, Queue, Task};
use super::recorder::EventSender;
use super::work::{Conclusion, End, Last, Work};
use crate::model::{Attempt, Event, Failure, Fault, Reply, StopReason};
use crate::policy::classify::{Verdict, is_silence};
use crate::policy::pacing::{Change, Delivery, Miss, Report};
use crate::policy::retry::{RetryBudget, RetryPolicy};
use crate::stop::Stop;

/// The settings of a worker pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSettings {
    /// The maximum of concurrent requests.
    pub concurrency: usize,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Retries per second while no request succeeds.
    pub retries_per_second: f64,
    /// This many tasks go first; the others start only if all of them succeed.
    pub canary: Option<usize>,
}

/// Workers on one thread, joined and not spawned: they borrow what they need.
pub struct WorkerPool<'a, W: Work> {
    work: &'a W,
    settings: PoolSettings,
    pacer: &'a Pacer,
    stop: &'a Stop,
    events: EventSender,
    queue: RefCell<Queue<'a, W::Item>>,
    budget: RefCell<RetryBudget>,
    changed: Notify,
}

impl<'a, W: Work> WorkerPool<'a, W> {
    /// A worker pool that will work on these items.
    pub fn new(
        work: &'a W,
        items: impl IntoIterator<Item = W::Item, IntoIter: 'a>,
        settings: PoolSettings,
        pacer: &'a Pacer,
        stop: &'a Stop,
        events: EventSender,
    ) -> Self {
        /// Retries that may go before the budget counts.
        const BURST: f64 = 100.0;
        let queue = Queue::new(items, settings.canary);
        let budget = RetryBudget::new(BURST, settings.retries_per_second.max(1.0), now());
        Self {
            work,
            settings,
            pacer,
            stop,
            events,
            queue: RefCell::new(queue),
            budget: RefCell::new(budget),
            changed: Notify::new(),
        }
    }

    /// Works until no task is left or a stop is requested. Attempts in flight end first.
    pub async fn run(self) {
        let workers = join_all((0..self.settings.concurrency.max(1)).map(|_| self.worker()));
        tokio::select! {
            _ = workers => {}
            never = self.emit_pauses_of_others() => match never {},
        }
    }

    async fn worker(&self) {
        while !self.stop.is_asked() {
            let may_start = |item: &W::Item| self.work.may_start(item);
            let next = self.queue.borrow_mut().next(now(), may_start);
            match next {
                Next::Task(task) => self.attempt(task).await,
                Next::At(at) => tokio::select! {
                    () = sleep_until(at.into()) => {}
                    () = self.changed.notified() => {}
                    () = self.stop.asked() => {}
                },
                Next::AfterOthers => tokio::select! {
                    () = self.changed.notified() => {}
                    () = self.stop.asked() => {}
                },
                Next::Done => return,
            }
        }
    }

    /// One attempt at one task. If the stop comes before the request leaves, the task is simply
    /// not done.
    async fn attempt(&self, mut task: Task<W::Item>) {
        let permit = tokio::select! {
            biased;
            () = self.stop.asked() => return,
            permit = self.pacer.permit() => permit,
        };
        if self.pacer.is_outage() {
            // A probe: the open connections may be what is wrong.
            self.work.use_fresh_connections();
        }
        task.n_attempts += 1;
        task.first_sent_at.get_or_insert(permit.sent_at());
        let reply = tokio::select! {
            // A reply is recorded, however the run ends.
            biased;
            reply = self.work.call(&task.item) => reply,
            () = self.aborted() => return self.emit(Event::GivenUp).await,
        };
        self.on_reply(task, permit, reply).await;
    }

    /// Returns once requests in flight are to be cut off; replies that came by then are read first.
    async fn aborted(&self) {
        self.stop.aborted().await;
        tokio::task::yield_now().await;
    }

    async fn on_reply(&self, mut task: Task<W::Item>, permit: Permit<'_>, reply: Reply) {
        let answered_at = now();
        let (status, ray) = match &reply {
            Reply::Answer(answer) => (Some(answer.status), answer.ray.clone()),
            Reply::Broken(head, _) => (Some(head.status), head.ray.clone()),
            Reply::Fault(_) => (None, None),
        };
        let attempt = Attempt {
            status,
            took: answered_at.saturating_duration_since(permit.sent_at()),
            waited: permit.waited(),
            ended_at: wall_clock(),
        };
        let delivery = delivery(&reply);
        let verdict = self.work.classify(&mut task.item, reply);
        // Nothing else runs between the report and a stop, so that no other request leaves.
        let change = permit.report(self.report(&verdict, &task.item, delivery));
        let fatal = match &verdict {
            Verdict::Fatal(reason, _) => Some(*reason),
            _ => None,
        };
        let step = self.step(task, verdict, answered_at);
        self.emit_change(change).await;
        match step {
            Step::Finish(task, end) => {
                let last = Last { task, end, attempt, ray, answered_at };
                self.finish(self.work.conclude(last)).await;
            }
            Step::Again(task, failure, wait) => {
                let record = self.work.record(&task.item);
                self.emit(Event::AttemptFailed { record, attempt, failure, wait }).await;
                if let Some(reason) = fatal {
                    // The run may end before the session sends it, and after this failure.
                    self.emit(Event::Stopping(reason)).await;
                }
                self.queue.borrow_mut().put_back(task, answered_at + wait);
            }
        }
        self.changed.notify_waiters();
    }

    /// What the verdict means for the pace of all requests.
    fn report(&self, verdict: &Verdict<W::Good>, item: &W::Item, delivery: Delivery) -> Report {
        match verdict {
            Verdict::Throttled { retry_after, .. } => Report::Throttled(*retry_after),
            Verdict::Transient { failure, .. } => {
                let miss = Miss {
                    subject: self.work.subject(item),
                    n_users: self.work.n_users(),
                    is_silence: is_silence(failure),
                };
                Report::Failed(miss, delivery)
            }
            Verdict::Good(_)
            | Verdict::StillLocked(..)
            | Verdict::Final(..)
            | Verdict::Fatal(..) => Report::Answered,
        }
    }

    /// Whether to finish, or when to try again.
    fn step(&self, mut task: Task<W::Item>, verdict: Verdict<W::Good>, now: Instant) -> Step<W> {
        match verdict {
            Verdict::Good(good) => {
                self.budget.borrow_mut().deposit();
                Step::Finish(task, End::Good(good))
            }
            Verdict::Final(outcome, failure) => Step::Finish(task, End::Final(outcome, failure)),
            Verdict::StillLocked(user, failure) => {
                task.seen = Some(user);
                self.retry(task, failure, None, Whole::Yes, now)
            }
            Verdict::Transient { failure, at_least } => {
                self.retry(task, failure, at_least, Whole::No, now)
            }
            // The gate makes all requests wait; the task itself need not.
            Verdict::Throttled { failure, .. } => Step::Again(task, failure, Duration::ZERO),
            Verdict::Fatal(reason, failure) => {
                self.stop.ask(reason);
                Step::Again(task, failure, Duration::ZERO)
            }
        }
    }

    fn retry(
        &self,
        mut task: Task<W::Item>,
        failure: Failure,
        at_least: Option<Duration>,
        whole: Whole,
        now: Instant,
    ) -> Step<W> {
        let n_outages = self.pacer.n_outages();
        // A failure in an outage says nothing about this user; a whole answer does.
        if task.n_outages != n_outages && whole == Whole::No {
            task.n_outages = n_outages;
            task.n_retries = 0;
        }
        if self.pacer.is_outage() {
            return Step::Again(task, failure, Duration::ZERO);
        }
        match self.settings.retry.wait(task.n_retries, fastrand::f64(), at_least) {
            Some(wait) => {
                task.n_retries += 1;
                let paid_for = self.budget.borrow_mut().withdraw(now);
                Step::Again(task, failure, wait.max(paid_for))
            }
            None => match whole {
                Whole::Yes => Step::Finish(task, End::StillLocked(failure)),
                Whole::No => Step::Finish(task, End::Exhausted(failure)),
            },
        }
    }

    async fn finish(&self, conclusion: Conclusion<W::Item>) {
        let Conclusion { events, more, ended_well } = conclusion;
        for event in events {
            self.emit(event).await;
        }
        self.events.recorded().await;
        if self.queue.borrow_mut().on_ended(ended_well, more) {
            self.stop.ask(StopReason::Canary);
        }
    }

    async fn emit_change(&self, change: Change) {
        match change {
            Change::None => {}
            Change::Paused(pause) => self.emit(Event::Paused(pause)).await,
            Change::Resumed => self.emit(Event::Resumed).await,
            Change::GiveUp => self.stop.ask(StopReason::Outage),
        }
    }

    async fn emit_pauses_of_others(&self) -> Infallible {
        let mut pauses = self.pacer.pauses_of_others();
        loop {
            let pause = *pauses.borrow_and_update();
            if let Some(pause) = pause.filter(|pause| pause.until > now()) {
                self.emit(Event::Paused(pause)).await;
            }
            if pauses.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn emit(&self, event: Event) {
        // The recorder outlives the worker pool. If it is gone, nothing more can be recorded.
        if self.events.send(event).await.is_err() {
            self.stop.ask(StopReason::OutputFailed);
        }
    }
}

/// Whether the request may still be on its way to the server.
fn delivery(reply: &Reply) -> Delivery {
    match reply {
        Reply::Answer(_)
        | Reply::Broken(..)
        | Reply::Fault(Fault::Truncated(_) | Fault::TooLarge(_)) => Delivery::Replied,
        Reply::Fault(Fault::Timeout(_)) => Delivery::Unknown,
        Reply::Fault(
            Fault::Connection(_) | Fault::UntrustedCertificate(_) | Fault::ProxyAuthentication,
        ) => Delivery::Lost,
    }
}

/// Whether an attempt that must be repeated got a whole and trustworthy answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whole {
    Yes,
    No,
}

enum Step<W: Work> {
    Finish(Task<W::Item>, End<W::Good>),
    Again(Task<W::Item>, Failure, Duration),
}

#[cfg(test)]
mod tests;
