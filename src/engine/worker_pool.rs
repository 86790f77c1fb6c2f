//! The pool: each worker takes a task, waits for a permit, sends the request, and finishes the task or
//! puts it back.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::pacer::{Pacer, Permit};
use super::queue::{Next, Queue, Task};
use super::recorder::EventSender;
use super::work::{Conclusion, End, Last, Work};
use super::{now, wall_clock};
use crate::model::{Attempt, Event, Failure, Fault, Reply, StopReason};
use crate::policy::classify::{Verdict, is_silence};
use crate::policy::pacing::{Change, Delivery, Miss, Report};
use crate::policy::retry::{RetryBudget, RetryPolicy};
use crate::stop::Stop;

/// The settings of a worker pool.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSettings {
    /// The maximum number of concurrent requests.
    pub concurrency: usize,
    /// How often and when to retry.
    pub retry: RetryPolicy,
    /// Retries per second while no request succeeds.
    pub retries_per_second: f64,
    /// The number of tasks that must succeed before the others start.
    pub canary: Option<usize>,
}

/// Workers on one thread. They are joined instead of spawned, so that they can borrow.
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
    /// A worker pool for these items.
    pub fn new(
        work: &'a W,
        items: impl IntoIterator<Item = W::Item, IntoIter: 'a>,
        settings: PoolSettings,
        pacer: &'a Pacer,
        stop: &'a Stop,
        events: EventSender,
    ) -> Self {
        /// The number of retries before the budget limits them.
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

    /// Works until no task is left or a stop is requested. Requests in flight end first.
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

    /// One attempt at one task. After a stop that comes before the request is sent, the task is not
    /// done.
    async fn attempt(&self, mut task: Task<W::Item>) {
        let permit = tokio::select! {
            biased;
            () = self.stop.asked() => return,
            permit = self.pacer.permit() => permit,
        };
        if self.pacer.is_outage() {
            // The probe must not fail because of a broken connection.
            self.work.use_fresh_connections();
        }
        task.n_attempts += 1;
        task.first_sent_at.get_or_insert(permit.sent_at());
        let reply = tokio::select! {
            // A reply that has arrived is recorded, even during an abort.
            biased;
            reply = self.work.call(&task.item) => reply,
            () = self.aborted() => return self.emit(Event::GivenUp).await,
        };
        self.on_reply(task, permit, reply).await;
    }

    /// Waits until requests in flight must be cut off. Replies that have arrived are read first.
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
        // No await between the report and a stop, so that no other request is sent.
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
                    // The run may end before the session sends this event.
                    self.emit(Event::Stopping(reason)).await;
                }
                self.queue.borrow_mut().put_back(task, answered_at + wait);
            }
        }
        self.changed.notify_waiters();
    }

    /// The effect of the verdict on the pace of all requests.
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

    /// Whether to finish the task, or when to retry.
    fn step(&self, mut task: Task<W::Item>, verdict: Verdict<W::Good>, now: Instant) -> Step<W> {
        match verdict {
            Verdict::Good(good) => {
                self.budget.borrow_mut().deposit();
                Step::Finish(task, End::Good(good))
            }
            Verdict::Final(outcome, failure) => Step::Finish(task, End::Final(outcome, failure)),
            Verdict::StillLocked(user, failure) => {
                task.seen = Some(user);
                self.retry(task, failure, None, End::StillLocked, now)
            }
            Verdict::Transient { failure, at_least } => {
                // Failures during an outage do not use up the retries of a user.
                let n_outages = self.pacer.n_outages();
                if task.n_outages != n_outages {
                    task.n_outages = n_outages;
                    task.n_retries = 0;
                }
                self.retry(task, failure, at_least, End::Exhausted, now)
            }
            // The pacer delays all requests.
            Verdict::Throttled { failure, .. } => Step::Again(task, failure, Duration::ZERO),
            Verdict::Fatal(reason, failure) => {
                self.stop.ask(reason);
                Step::Again(task, failure, Duration::ZERO)
            }
        }
    }

    /// Retries the task, or ends it with `exhausted` if no retries are left.
    fn retry(
        &self,
        mut task: Task<W::Item>,
        failure: Failure,
        at_least: Option<Duration>,
        exhausted: fn(Failure) -> End<W::Good>,
        now: Instant,
    ) -> Step<W> {
        if self.pacer.is_outage() {
            return Step::Again(task, failure, Duration::ZERO);
        }
        match self.settings.retry.wait(task.n_retries, fastrand::f64(), at_least) {
            Some(wait) => {
                task.n_retries += 1;
                let paid_for = self.budget.borrow_mut().withdraw(now);
                Step::Again(task, failure, wait.max(paid_for))
            }
            None => Step::Finish(task, exhausted(failure)),
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
        // The recorder outlives the pool, unless it failed and can record nothing more.
        if self.events.send(event).await.is_err() {
            self.stop.ask(StopReason::OutputFailed);
        }
    }
}

/// Whether the request may still reach the server.
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

enum Step<W: Work> {
    Finish(Task<W::Item>, End<W::Good>),
    Again(Task<W::Item>, Failure, Duration),
}

#[cfg(test)]
mod tests;
