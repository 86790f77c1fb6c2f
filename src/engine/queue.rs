//! The queue of tasks: new ones in order, canaries first, and those that wait for a retry.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::time::Instant;

use crate::model::UserSnapshot;

/// An item of work and its attempts so far.
#[derive(Clone, Debug)]
pub struct Task<T> {
    /// The subject of the request.
    pub item: T,
    /// Number of requests so far.
    pub n_attempts: u32,
    /// Number of retries so far, without those after a 429 or during an outage.
    pub n_retries: u32,
    /// When the first request was sent.
    pub first_sent_at: Option<Instant>,
    /// The number of outages of the run at the last failure of this task.
    pub n_outages: u32,
    /// The user object in the last reply, if the user was still locked.
    pub seen: Option<Box<UserSnapshot>>,
}

impl<T> Task<T> {
    fn new(item: T) -> Self {
        Self { item, n_attempts: 0, n_retries: 0, first_sent_at: None, n_outages: 0, seen: None }
    }
}

/// What a worker does next.
#[derive(Debug)]
pub(super) enum Next<T> {
    /// Attempt this task.
    Task(Task<T>),
    /// Wait until then or until a task ends.
    At(Instant),
    /// Wait until a task ends.
    AfterOthers,
    /// Return, as no task is left.
    Done,
}

/// Hands out tasks. A task that waits for its retry occupies no worker.
pub(super) struct Queue<'a, T> {
    fresh: Peekable<Box<dyn Iterator<Item = T> + 'a>>,
    more: Vec<Task<T>>,
    /// By the time of the retry and a number that keeps the order.
    waiting: BTreeMap<(Instant, u64), Task<T>>,
    n_waited: u64,
    n_out: usize,
    canary: Canary,
}

impl<'a, T> Queue<'a, T> {
    /// The first `canary` tasks must all succeed before the others start.
    pub(super) fn new(
        fresh: impl IntoIterator<Item = T, IntoIter: 'a>,
        canary: Option<usize>,
    ) -> Self {
        let fresh: Box<dyn Iterator<Item = T> + 'a> = Box::new(fresh.into_iter());
        Self {
            fresh: fresh.peekable(),
            more: Vec::new(),
            waiting: BTreeMap::new(),
            n_waited: 0,
            n_out: 0,
            canary: Canary::new(canary),
        }
    }

    /// What to do next. Retries that are due come before new tasks. A new task that may not start
    /// yet waits for others.
    pub(super) fn next(&mut self, now: Instant, may_start: impl FnOnce(&T) -> bool) -> Next<T> {
        let task = self.due(now).or_else(|| self.more.pop()).or_else(|| self.fresh(may_start));
        if let Some(task) = task {
            self.n_out += 1;
            return Next::Task(task);
        }
        match self.waiting.first_key_value() {
            Some((&(ready_at, _), _)) => Next::At(ready_at),
            None if self.n_out > 0 => Next::AfterOthers,
            None => Next::Done,
        }
    }

    /// Puts a task back for another attempt, not before `ready_at`.
    pub(super) fn put_back(&mut self, task: Task<T>, ready_at: Instant) {
        self.n_out -= 1;
        self.n_waited += 1;
        self.waiting.insert((ready_at, self.n_waited), task);
    }

    /// Records the end of a task and adds more. Returns whether the run must stop because a canary
    /// failed.
    #[must_use]
    pub(super) fn on_ended(&mut self, well: bool, more: Vec<T>) -> bool {
        self.n_out -= 1;
        self.more.extend(more.into_iter().map(Task::new));
        self.canary.on_ended(well)
    }

    fn due(&mut self, now: Instant) -> Option<Task<T>> {
        let first = self.waiting.first_entry().filter(|first| first.key().0 <= now)?;
        Some(first.remove())
    }

    fn fresh(&mut self, may_start: impl FnOnce(&T) -> bool) -> Option<Task<T>> {
        let item = self.fresh.next_if(|item| may_start(item) && self.canary.may_start())?;
        self.canary.n_started += 1;
        Some(Task::new(item))
    }
}

/// `--canary N`: the first tasks, all of which must succeed before the others start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Canary {
    n_wanted: usize,
    n_started: usize,
    n_ended: usize,
    all_well: bool,
}

impl Canary {
    fn new(n_wanted: Option<usize>) -> Self {
        Self { n_wanted: n_wanted.unwrap_or(0), n_started: 0, n_ended: 0, all_well: true }
    }

    fn may_start(&self) -> bool {
        self.n_started < self.n_wanted || self.n_ended >= self.n_wanted
    }

    /// Whether the run must stop: all canaries have ended, and not all of them well.
    fn on_ended(&mut self, well: bool) -> bool {
        let is_canary = self.n_ended < self.n_wanted;
        self.n_ended += 1;
        self.all_well &= well || !is_canary;
        !self.all_well && self.n_ended >= self.n_wanted
    }
}

/// Moves the canaries to the front: the first job, the last, and others evenly between them.
/// Otherwise, the order is unchanged.
pub(super) fn canaries_first<T>(jobs: Vec<T>, canary: Option<usize>) -> Vec<T> {
    let places = spread(jobs.len(), canary.unwrap_or(0));
    let mut places = places.into_iter().peekable();
    let (mut first, mut rest) = (Vec::new(), Vec::with_capacity(jobs.len()));
    for (place, job) in jobs.into_iter().enumerate() {
        if places.next_if_eq(&place).is_some() { first.push(job) } else { rest.push(job) }
    }
    first.append(&mut rest);
    first
}

/// `n` of the places `0..n_jobs`: the first, the last, and others evenly between them.
fn spread(n_jobs: usize, n: usize) -> Vec<usize> {
    let n = n.min(n_jobs);
    match n {
        0 => Vec::new(),
        1 => vec![0],
        // The product of two lengths cannot overflow `u128`.
        _ => (0..n as u128)
            .map(|place| place * (n_jobs as u128 - 1) / (n as u128 - 1))
            .filter_map(|place| usize::try_from(place).ok())
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn queue(items: &[u32], canary: Option<usize>) -> Queue<'static, u32> {
        Queue::new(items.to_vec(), canary)
    }

    fn next(queue: &mut Queue<u32>, now: Instant) -> Next<u32> {
        queue.next(now, |_| true)
    }

    #[track_caller]
    fn take(queue: &mut Queue<u32>, now: Instant) -> Task<u32> {
        match next(queue, now) {
            Next::Task(task) => task,
            next => panic!("expected a task, found {next:?}"),
        }
    }

    #[test]
    fn a_retry_that_is_due_comes_before_a_new_task() {
        let now = Instant::now();
        let mut queue = queue(&[1, 2, 3], None);
        let first = take(&mut queue, now);
        queue.put_back(first, now + Duration::from_secs(1));
        assert_eq!(take(&mut queue, now).item, 2);
        assert_eq!(take(&mut queue, now + Duration::from_secs(1)).item, 1);
        assert_eq!(take(&mut queue, now).item, 3);
    }

    #[test]
    fn the_queue_is_done_when_no_task_can_come_back() {
        let now = Instant::now();
        let mut queue = queue(&[1], None);
        let task = take(&mut queue, now);
        assert!(matches!(next(&mut queue, now), Next::AfterOthers));
        let later = now + Duration::from_secs(9);
        queue.put_back(task, later);
        assert!(matches!(next(&mut queue, now), Next::At(at) if at == later));
        take(&mut queue, later);
        assert!(!queue.on_ended(true, vec![7]));
        assert_eq!(take(&mut queue, now).item, 7);
        assert!(!queue.on_ended(true, vec![]));
        assert!(matches!(next(&mut queue, now), Next::Done));
    }

    #[test]
    fn a_new_task_that_may_not_start_yet_waits_for_others() {
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
    fn other_tasks_start_after_all_canaries_ended() {
        let now = Instant::now();
        let mut queue = queue(&[1, 2, 3], Some(2));
        take(&mut queue, now);
        take(&mut queue, now);
        assert!(matches!(next(&mut queue, now), Next::AfterOthers));
        assert!(!queue.on_ended(true, vec![]));
        assert!(matches!(next(&mut queue, now), Next::AfterOthers));
        assert!(!queue.on_ended(true, vec![]));
        assert_eq!(take(&mut queue, now).item, 3);
        assert!(!queue.on_ended(false, vec![]), "not a canary");
    }

    #[test]
    fn a_failed_canary_stops_the_run_after_all_canaries_ended() {
        let mut canary = Canary::new(Some(3));
        assert_eq!([true, false, true].map(|well| canary.on_ended(well)), [false, false, true]);
    }

    #[test]
    fn without_canaries_tasks_start_at_once() {
        let mut canary = Canary::new(None);
        assert!(canary.may_start());
        assert!(!canary.on_ended(false));
    }

    #[test]
    fn canaries_are_spread_over_the_list() {
        assert_eq!(spread(100, 3), [0, 49, 99]);
        assert_eq!(spread(10, 4), [0, 3, 6, 9]);
        assert_eq!(spread(10, 1), [0]);
        assert_eq!(spread(3, 9), [0, 1, 2]);
        assert_eq!(spread(0, 3), [0; 0]);
        assert_eq!(
            canaries_first(vec!['a', 'b', 'c', 'd', 'e'], Some(3)),
            ['a', 'c', 'e', 'b', 'd']
        );
        assert_eq!(canaries_first(vec!['a', 'b'], None), ['a', 'b']);
    }

    proptest! {
        #[test]
        fn a_spread_has_n_places_from_the_first_to_the_last(n_jobs in 1_usize..500, n in 2_usize..600) {
            let places = spread(n_jobs, n);
            prop_assert_eq!(places.len(), n.min(n_jobs));
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!((places[0], places[places.len() - 1]), (0, n_jobs - 1));
        }
    }
}
