//! The time of events: the clock, the pauses, and the timeline.

use std::time::{Duration, Instant, SystemTime};

use crate::model::{Pause, PauseReason};

/// The latest moment of any event, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    started: Instant,
    ticked: (Instant, SystemTime),
    at: Instant,
}

/// Attempts carry wall time, which may jump: it is used only up to this long after a tick.
const MAX_LEAD: Duration = Duration::from_secs(2);

impl Clock {
    pub(super) fn new(at: Instant, wall: SystemTime) -> Self {
        Self { started: at, ticked: (at, wall), at }
    }

    /// A tick sets both clocks.
    pub(super) fn set(&mut self, at: Instant, wall: SystemTime) {
        self.ticked = (at, wall);
        self.at = at;
    }

    /// Between ticks both clocks run equally fast.
    pub(super) fn reach(&mut self, wall: SystemTime) {
        let lead = wall.duration_since(self.ticked.1).unwrap_or_default();
        self.at = self.at.max(self.ticked.0 + lead.min(MAX_LEAD));
    }

    pub(super) fn now(&self) -> Instant {
        self.at
    }

    pub(super) fn wall(&self) -> SystemTime {
        self.ticked.1 + self.at.saturating_duration_since(self.ticked.0)
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.at.saturating_duration_since(self.started)
    }
}

/// How long all workers paused; overlapping pauses count once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pauses {
    ended: Duration,
    ended_at: Option<Instant>,
    current: Option<Current>,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    since: Instant,
    pause: Pause,
}

impl Current {
    /// A pause by a 429 ends at its time, an outage when the API responds.
    fn is_on(&self, now: Instant) -> bool {
        self.pause.reason == PauseReason::Outage || now < self.pause.until
    }

    fn lasted(&self, now: Instant) -> Duration {
        let end = if self.is_on(now) { now } else { self.pause.until };
        end.saturating_duration_since(self.since)
    }
}

impl Pauses {
    pub(super) fn begin(&mut self, pause: Pause, now: Instant) {
        let since = match self.current {
            Some(current) if current.is_on(now) => current.since,
            _ => {
                self.end(now);
                now
            }
        };
        self.current = Some(Current { since, pause });
    }

    pub(super) fn end(&mut self, now: Instant) {
        if let Some(current) = self.current.take() {
            let lasted = current.lasted(now);
            self.ended += lasted;
            self.ended_at = self.ended_at.max(Some(current.since + lasted));
        }
    }

    /// Whether the last `span` contains no pause.
    pub(super) fn is_over_for(&self, span: Duration, now: Instant) -> bool {
        let current = self.current.map(|it| it.since + it.lasted(now));
        let ended_at = current.max(self.ended_at);
        ended_at.is_none_or(|at| now.saturating_duration_since(at) >= span)
    }

    pub(super) fn current(&self, now: Instant) -> Option<Pause> {
        self.current.filter(|current| current.is_on(now)).map(|current| current.pause)
    }

    pub(super) fn total(&self, now: Instant) -> Duration {
        self.ended + self.current.map_or(Duration::ZERO, |current| current.lasted(now))
    }
}

/// Counts of one bucket of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// Number of requests that ended.
    pub n_requests: u64,
    /// Number of those that were answered 429.
    pub n_throttled: u64,
    /// Number of those that failed otherwise.
    pub n_failed: u64,
    /// Number of rows.
    pub n_finished: u64,
}

impl Bucket {
    /// Adds the counts of another bucket.
    pub fn add(&mut self, other: Self) {
        self.n_requests = self.n_requests.saturating_add(other.n_requests);
        self.n_throttled = self.n_throttled.saturating_add(other.n_throttled);
        self.n_failed = self.n_failed.saturating_add(other.n_failed);
        self.n_finished = self.n_finished.saturating_add(other.n_finished);
    }
}

/// Requests and rows over time. Buckets are one second wide; beyond the maximum number, neighbors
/// merge and the width doubles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The length of each bucket.
    pub width: Duration,
    /// The buckets, from the start of the run.
    pub buckets: Vec<Bucket>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: Duration::from_secs(1), buckets: Vec::new() }
    }
}

impl Timeline {
    /// The maximum number of buckets.
    pub const MAX_BUCKETS: usize = 600;

    /// The bucket of this moment, counted from the start of the run.
    pub(super) fn at(&mut self, elapsed: Duration) -> &mut Bucket {
        let index = loop {
            match usize::try_from(elapsed.as_millis() / self.width.as_millis()) {
                Ok(index) if index < Self::MAX_BUCKETS => break index,
                _ => self.merge(),
            }
        };
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, Bucket::default());
        }
        &mut self.buckets[index]
    }

    fn merge(&mut self) {
        let merged = self.buckets.chunks(2).map(|pair| {
            let mut sum = Bucket::default();
            for bucket in pair {
                sum.add(*bucket);
            }
            sum
        });
        self.buckets = merged.collect();
        self.width *= 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    /// Pauses as (begins, until, reason) in seconds; the total as seen after 100 s.
    #[track_caller]
    fn check(begun: &[(u64, u64, PauseReason)], resumed: Option<u64>, expected: u64) {
        let zero = Instant::now();
        let mut pauses = Pauses::default();
        for &(begins, until, reason) in begun {
            pauses.begin(Pause { until: zero + secs(until), reason }, zero + secs(begins));
        }
        if let Some(at) = resumed {
            pauses.end(zero + secs(at));
        }
        assert_eq!(pauses.total(zero + secs(100)), secs(expected), "{begun:?}");
    }

    #[test]
    fn overlapping_pauses_are_counted_once() {
        use PauseReason::{Outage, Throttled};
        check(&[(1, 5, Throttled)], None, 4);
        check(&[(1, 5, Throttled), (2, 6, Throttled)], None, 5);
        check(&[(1, 5, Throttled), (10, 12, Throttled)], None, 6);
        check(&[(1, 5, Throttled)], Some(7), 4);
        check(&[(1, 5, Throttled)], Some(3), 2);
        check(&[(1, 5, Outage), (7, 9, Outage)], Some(20), 19);
        check(&[(1, 5, Outage)], None, 99);
    }

    #[test]
    fn wall_time_advances_the_clock_by_at_most_two_seconds_after_a_tick() {
        let (at, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + secs(1000));
        let mut clock = Clock::new(at, wall);
        clock.reach(wall + secs(1));
        assert_eq!((clock.elapsed(), clock.wall()), (secs(1), wall + secs(1)));
        clock.reach(wall - secs(1));
        assert_eq!(clock.elapsed(), secs(1));
        clock.reach(wall + secs(3600));
        assert_eq!(clock.elapsed(), secs(2));
        clock.set(at + secs(9), wall);
        assert_eq!((clock.elapsed(), clock.wall()), (secs(9), wall));
    }

    proptest! {
        #[test]
        fn buckets_merge_and_lose_nothing(moments in prop::collection::vec(0u64..1_000_000, 1..200)) {
            let mut timeline = Timeline::default();
            for &second in &moments {
                timeline.at(Duration::from_secs(second)).n_requests += 1;
            }
            let width = timeline.width.as_secs();
            prop_assert!(timeline.buckets.len() <= Timeline::MAX_BUCKETS);
            for (number, bucket) in (0..).zip(timeline.buckets) {
                let n = moments.iter().filter(|second| *second / width == number).count() as u64;
                prop_assert_eq!(bucket.n_requests, n);
            }
        }
    }

    #[test]
    fn after_ten_minutes_buckets_are_two_seconds_wide() {
        let mut timeline = Timeline::default();
        timeline.at(Duration::from_secs(599)).n_finished += 1;
        assert_eq!(timeline.width, Duration::from_secs(1));
        timeline.at(Duration::from_secs(600)).n_finished += 1;
        assert_eq!(timeline.width, Duration::from_secs(2));
        assert_eq!(timeline.buckets.len(), 301);
    }
}
