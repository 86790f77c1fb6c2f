//! The tasks that are still to be done: the fresh ones in order, and those waiting for a retry.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::canary::Canary;
use crate::model::UserView;

/// One thing to be asked, and what was tried so far.
#[derive(Clone, Debug)]
pub struct Task<T> {
    /// What to ask about.
    pub item: T,
    /// Calls made so far.
    pub n_attempts: u32,
    /// Retries used up so far: 429s, and what failed in an outage, are not counted.
    pub n_retries: u32,
    /// When the first call left.
    pub first_sent_at: Option<Instant>,
    /// How many outages the run had seen when this task last failed.
    pub n_outages: u32,
    /// The user as an answer last showed them: still locked.
    pub seen: Option<Box<UserView>>,
}

impl<T> Task<T> {
    fn new(item: T) -> Self {
        Self { item, n_attempts: 0, n_retries: 0, first_sent_at: None, n_outages: 0, seen: None }
    }
}

/// What a worker should do next.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// This.
    Task(Task<T>),
    /// Ask again then, or when something changes.
    At(Instant),
    /// Ask again when something changes.
    AfterOthers,
    /// Go home.
    Dry,
}

/// Hands out tasks. A task that waits for its retry holds no worker.
pub(super) struct Queue<T> {
    fresh: Box<dyn Iterator<Item = T>>,
    next_fresh: Option<T>,
    more: Vec<Task<T>>,
    waiting: BinaryHeap<Reverse<Waiting<T>>>,
    n_waited: u64,
    n_out: usize,
    canary: Canary,
}

struct Waiting<T> {
    ready_at: Instant,
    place: u64,
    task: Task<T>,
}

impl<T: 'static> Queue<T> {
    pub(super) fn new(fresh: impl IntoIterator<Item = T> + 'static, canary: Canary) -> Self {
        let mut fresh = Box::new(fresh.into_iter());
        let next_fresh = fresh.next();
        Self {
            fresh,
            next_fresh,
            more: Vec::new(),
            waiting: BinaryHeap::new(),
            n_waited: 0,
            n_out: 0,
            canary,
        }
    }

    /// What to do next. Retries that are due go before fresh tasks, and a fresh one that may not
    /// start yet waits for others.
    pub(super) fn next(&mut self, now: Instant, may_start: impl FnOnce(&T) -> bool) -> Next<T> {
        let task = self.due(now).or_else(|| self.more.pop()).or_else(|| self.fresh(may_start));
        if let Some(task) = task {
            self.n_out += 1;
            return Next::Task(task);
        }
        match self.waiting.peek() {
            Some(Reverse(first)) => Next::At(first.ready_at),
            None if self.n_out > 0 => Next::AfterOthers,
            None => Next::Dry,
        }
    }

    /// The task is to be tried again, not before `ready_at`.
    pub(super) fn put_back(&mut self, task: Task<T>, ready_at: Instant) {
        self.n_out -= 1;
        self.n_waited += 1;
        self.waiting.push(Reverse(Waiting { ready_at, place: self.n_waited, task }));
    }

    /// The task has ended. Whether the run should stop, because it was a canary.
    #[must_use]
    pub(super) fn ended(&mut self, well: bool, more: Vec<T>) -> bool {
        self.n_out -= 1;
        self.more.extend(more.into_iter().map(Task::new));
        self.canary.on_ended(well)
    }

    fn due(&mut self, now: Instant) -> Option<Task<T>> {
        let is_due = |first: &Reverse<Waiting<T>>| first.0.ready_at <= now;
        if self.waiting.peek().is_some_and(is_due) {
            return self.waiting.pop().map(|first| first.0.task);
        }
        None
    }

    fn fresh(&mut self, may_start: impl FnOnce(&T) -> bool) -> Option<Task<T>> {
        if !self.next_fresh.as_ref().is_some_and(may_start) || !self.canary.may_start() {
            return None;
        }
        self.canary.on_started();
        let item = self.next_fresh.take()?;
        self.next_fresh = self.fresh.next();
        Some(Task::new(item))
    }
}

impl<T> PartialEq for Waiting<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Waiting<T> {}

impl<T> PartialOrd for Waiting<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Waiting<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.ready_at, self.place).cmp(&(other.ready_at, other.place))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn queue(items: &[u32], canary: Option<usize>) -> Queue<u32> {
        Queue::new(items.to_vec(), Canary::new(canary))
    }

    fn next(queue: &mut Queue<u32>, now: Instant) -> Next<u32> {
        queue.next(now, |_| true)
    }

    #[track_caller]
    fn take(queue: &mut Queue<u32>, now: Instant) -> Task<u32> {
        match next(queue, now) {
            Next::Task(task) => task,
            next => panic!("expected a task, was told {next:?}"),
        }
    }

    #[test]
    fn a_retry_that_is_due_goes_before_a_fresh_task() {
        let now = Instant::now();
        let mut queue = queue(&[1, 2, 3], None);
        let first = take(&mut queue, now);
        queue.put_back(first, now + Duration::from_secs(1));
        assert_eq!(take(&mut queue, now).item, 2);
        assert_eq!(take(&mut queue, now + Duration::from_secs(1)).item, 1);
        assert_eq!(take(&mut queue, now).item, 3);
    }

    #[test]
    fn it_is_dry_only_when_nobody_can_bring_anything_back() {
        let now = Instant::now();
        let mut queue = queue(&[1], None);
        let task = take(&mut queue, now);
        assert!(matches!(next(&mut queue, now), Next::AfterOthers));
        let later = now + Duration::from_secs(9);
        queue.put_back(task, later);
        assert!(matches!(next(&mut queue, now), Next::At(at) if at == later));
        take(&mut queue, later);
        assert!(!queue.ended(true, vec![7]));
        assert_eq!(take(&mut queue, now).item, 7);
        assert!(!queue.ended(true, vec![]));
        assert!(matches!(next(&mut queue, now), Next::Dry));
    }

    #[test]
    fn a_fresh_task_that_may_not_start_yet_waits_for_others() {
        let now = Instant::now();
        let mut queue = queue(&[1, 2], None);
        let first = take(&mut queue, now);
        assert!(matches!(queue.next(now, |&item| item < 2), Next::AfterOthers));
        let later = now + Duration::from_secs(1);
        queue.put_back(first, later);
        assert!(matches!(queue.next(now, |&item| item < 2), Next::At(at) if at == later));
        assert_eq!(take(&mut queue, now).item, 2);
    }

    #[test]
    fn behind_a_canary_nobody_starts_until_it_ended() {
        let now = Instant::now();
        let mut queue = queue(&[1, 2], Some(1));
        take(&mut queue, now);
        assert!(matches!(next(&mut queue, now), Next::AfterOthers));
        assert!(!queue.ended(true, vec![]));
        assert_eq!(take(&mut queue, now).item, 2);
    }
}
