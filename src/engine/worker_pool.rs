//! The pool: workers that take a task, wait for their turn, ask, judge, and finish or put back.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::sync::Notify;
use tokio::time::sleep_until;

use super::canary::Canary;
use super::clock::{now, wall_clock};
use super::pacer::{Pacer, Turn};
use super::queue::{Next, Queue, Task};
use super::recorder::EventSender;
use super::work::{Conclusion, End, Last, Work};
use crate::model::{Attempt, Event, Failure, Reply, StopReason};
use crate::policy::classify::{Verdict, is_silence};
use crate::policy::pacing::{Change, Miss, Report};
use crate::policy::retry::{RetryBudget, RetryPolicy};
use crate::stop::Stop;

/// How a worker pool works.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolSettings {
    /// Requests in flight at most.
    pub concurrency: usize,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Retries a second that an API that never succeeds still gets.
    pub retries_per_second: f64,
    /// So many tasks first; the rest only if they end well.
    pub canary: Option<usize>,
}

/// Workers on one thread, joined and not spawned: they borrow what they need.
pub struct WorkerPool<'a, W: Work> {
    work: &'a W,
    settings: PoolSettings,
    pacer: &'a Pacer,
    stop: &'a Stop,
    events: EventSender,
    queue: RefCell<Queue<W::Item>>,
    budget: RefCell<RetryBudget>,
    changed: Notify,
}

impl<'a, W: Work> WorkerPool<'a, W> {
    /// A worker pool with its work before it.
    pub fn new(
        work: &'a W,
        items: impl IntoIterator<Item = W::Item> + 'static,
        settings: PoolSettings,
        pacer: &'a Pacer,
        stop: &'a Stop,
        events: EventSender,
    ) -> Self {
        /// Retries that may go at once, before the budget is asked to pay.
        const BURST: f64 = 100.0;
        let queue = Queue::new(items, Canary::new(settings.canary));
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

    /// Works until nothing is left or a stop is asked for. Attempts in flight end first.
    pub async fn run(self) {
        join_all((0..self.settings.concurrency.max(1)).map(|_| self.worker())).await;
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
                Next::Dry => return,
            }
        }
    }

    /// One attempt at one task. Stopped before it was sent, the task is simply outstanding.
    async fn attempt(&self, mut task: Task<W::Item>) {
        let turn = tokio::select! {
            biased;
            () = self.stop.asked() => return,
            turn = self.pacer.turn() => turn,
        };
        task.n_attempts += 1;
        task.first_sent_at.get_or_insert(turn.sent_at());
        let reply = tokio::select! {
            // What was answered is recorded, however the run ends.
            biased;
            reply = self.work.call(&task.item) => reply,
            () = self.stop.aborted() => return self.tell(Event::GivenUp).await,
        };
        self.judge(task, turn, reply).await;
    }

    async fn judge(&self, task: Task<W::Item>, turn: Turn<'_>, reply: Reply) {
        let answered_at = now();
        let (status, ray) = match &reply {
            Reply::Answer(answer) => (Some(answer.status), answer.ray.clone()),
            Reply::Broken(head, _) => (Some(head.status), head.ray.clone()),
            Reply::Fault(_) => (None, None),
        };
        let attempt = Attempt {
            status,
            took: answered_at.saturating_duration_since(turn.sent_at()),
            waited: turn.waited(),
            ended_at: wall_clock(),
        };
        let verdict = self.work.classify(&task.item, reply);
        let change = turn.report(self.report(&verdict, &task.item));
        let step = self.step(task, verdict, answered_at);
        self.announce(change).await;
        match step {
            Step::Finish(task, end) => {
                let last = Last { task, end, attempt, ray, answered_at };
                self.finish(self.work.conclude(last)).await;
            }
            Step::Again(task, failure, wait) => {
                self.tell_again(&task, attempt, failure, wait).await;
                self.queue.borrow_mut().put_back(task, answered_at + wait);
            }
        }
        self.changed.notify_waiters();
    }

    /// What the verdict means for the pace of all.
    fn report(&self, verdict: &Verdict<W::Good>, item: &W::Item) -> Report {
        match verdict {
            Verdict::Throttled { retry_after, .. } => Report::Throttled(*retry_after),
            Verdict::Transient { failure, .. } => Report::Transient(Miss {
                subject: self.work.subject(item),
                n_users: self.work.n_users(),
                is_silence: is_silence(failure),
            }),
            Verdict::Good(_)
            | Verdict::StillLocked(..)
            | Verdict::Final(..)
            | Verdict::Fatal(_) => Report::Answered,
        }
    }

    /// The second question: finish, or try again and when?
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
            // The gate holds everybody back; the task itself need not wait.
            Verdict::Throttled { failure, .. } => Step::Again(task, failure, Duration::ZERO),
            Verdict::Fatal(failure) => {
                self.stop.ask(StopReason::Unauthorized);
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
        // What failed in an outage says nothing about this user; a whole answer does.
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
            self.tell(event).await;
        }
        self.events.recorded().await;
        if self.queue.borrow_mut().ended(ended_well, more) {
            self.stop.ask(StopReason::Canary);
        }
    }

    async fn tell_again(
        &self,
        task: &Task<W::Item>,
        attempt: Attempt,
        failure: Failure,
        wait: Duration,
    ) {
        let record = self.work.record(&task.item);
        self.tell(Event::AttemptFailed { record, attempt, failure, wait }).await;
    }

    async fn announce(&self, change: Change) {
        match change {
            Change::None => {}
            Change::Paused(pause) => self.tell(Event::Paused(pause)).await,
            Change::Resumed => self.tell(Event::Resumed).await,
            Change::GiveUp => self.stop.ask(StopReason::Outage),
        }
    }

    async fn tell(&self, event: Event) {
        // The recorder outlives the worker pool. If it is gone, nothing that is done can be recorded.
        if self.events.send(event).await.is_err() {
            self.stop.ask(StopReason::OutputFailed);
        }
    }
}

/// Whether an attempt that is to be repeated was answered as it should be, but for what it says.
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
