//! Requests over time, in columns few enough to draw. Passes that ran at the same time, or soon after
//! one another, share a chart: they shared the quota, too.

use std::time::{Duration, SystemTime};

use crate::report::page::{Pass, TimedBucket};
use crate::stats::Bucket;

/// A stretch of time with requests.
pub(super) struct Stretch {
    pub(super) start: SystemTime,
    /// How long each column is.
    pub(super) width: Duration,
    pub(super) columns: Vec<Bucket>,
}

/// More cannot be distinguished on a phone.
const MAX_COLUMNS: u128 = 120;
/// Passes this close to each other share a stretch.
const GAP: Duration = Duration::from_secs(60);

/// The stretches of all passes, in order of time.
pub(super) fn stretches(passes: &[&Pass]) -> Vec<Stretch> {
    let mut buckets: Vec<TimedBucket> =
        passes.iter().flat_map(|it| &it.timeline).copied().collect();
    buckets.retain(|it| !it.width.is_zero() && end(it).is_some());
    buckets.sort_by_key(|it| it.start);
    let mut groups: Vec<(SystemTime, Vec<TimedBucket>)> = Vec::new();
    for bucket in buckets {
        let Some(end) = end(&bucket) else { continue };
        match groups.last_mut() {
            Some((latest, group)) if is_near(*latest, bucket.start) => {
                *latest = end.max(*latest);
                group.push(bucket);
            }
            _ => groups.push((end, vec![bucket])),
        }
    }
    groups.into_iter().filter_map(|(end, group)| stretch(&group, end)).collect()
}

fn end(bucket: &TimedBucket) -> Option<SystemTime> {
    bucket.start.checked_add(bucket.width)
}

fn is_near(earlier: SystemTime, later: SystemTime) -> bool {
    later.duration_since(earlier).is_ok_and(|gap| gap <= GAP) || later <= earlier
}

/// Columns are as long as the longest bucket times a power of two: columns of now two and now three
/// buckets would show waves that did not exist.
fn stretch(buckets: &[TimedBucket], end: SystemTime) -> Option<Stretch> {
    let start = buckets.first()?.start;
    let span = end.duration_since(start).ok()?;
    let mut width = buckets.iter().map(|it| it.width).max()?;
    while n_columns(span, width) > MAX_COLUMNS {
        width = width.checked_mul(2)?;
    }
    let mut columns = vec![Bucket::default(); usize::try_from(n_columns(span, width)).ok()?];
    for bucket in buckets {
        let middle = bucket.start.duration_since(start).ok()? + bucket.width / 2;
        let at = usize::try_from(middle.as_nanos() / width.as_nanos()).ok()?;
        let column = columns.get_mut(at)?;
        column.n_requests = column.n_requests.saturating_add(bucket.counts.n_requests);
        column.n_throttled = column.n_throttled.saturating_add(bucket.counts.n_throttled);
        column.n_failed = column.n_failed.saturating_add(bucket.counts.n_failed);
    }
    Some(Stretch { start, width, columns })
}

fn n_columns(span: Duration, width: Duration) -> u128 {
    span.as_nanos().div_ceil(width.as_nanos()).max(1)
}

impl Stretch {
    /// When a column begins; for the number of columns, when the last one ends.
    pub(super) fn begin_of(&self, column: usize) -> SystemTime {
        let since = u32::try_from(column).ok().and_then(|it| self.width.checked_mul(it));
        since.and_then(|it| self.start.checked_add(it)).unwrap_or(self.start)
    }

    /// The rate of this number of requests in one column, in thousandths of a request per second.
    pub(super) fn rate(&self, n: u64) -> u64 {
        let millis = self.width.as_millis().max(1);
        u64::try_from(u128::from(n) * 1_000_000 / millis).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second)
    }

    /// A pass that begins at this second, with buckets of this width.
    fn pass(start: u64, width: u64, requests: &[u64]) -> Pass {
        let bucket = |(number, n): (u64, &u64)| TimedBucket {
            start: at(start + number * width),
            width: Duration::from_secs(width),
            counts: Bucket { n_requests: *n, ..Bucket::default() },
        };
        Pass {
            started_at: at(start),
            finished_at: None,
            ending: "completed".to_owned(),
            n_requests: requests.iter().sum(),
            n_lookups: 0,
            n_retries: 0,
            n_throttled: 0,
            paused: Duration::ZERO,
            latency: None,
            timeline: (0..).zip(requests).map(bucket).collect(),
        }
    }

    fn columns(passes: &[Pass]) -> Vec<Vec<u64>> {
        let stretches = stretches(&passes.iter().collect::<Vec<_>>());
        let of = |it: Stretch| it.columns.iter().map(|column| column.n_requests).collect();
        stretches.into_iter().map(of).collect()
    }

    #[test]
    fn shards_that_ran_side_by_side_are_one_stretch() {
        let passes = [pass(0, 1, &[10, 10, 10, 10]), pass(1, 1, &[7, 7]), pass(2, 2, &[6, 6])];
        assert_eq!(columns(&passes), [[27, 33, 6]]);
    }

    #[test]
    fn a_resume_on_the_next_day_is_a_stretch_of_its_own() {
        assert_eq!(columns(&[pass(90_000, 1, &[5]), pass(0, 1, &[1, 2])]), [vec![1, 2], vec![5]]);
    }

    #[test]
    fn an_even_pace_is_drawn_even() {
        let found = columns(&[pass(0, 2, &[160; 600])]).remove(0);
        assert_eq!(found, [1280; 75]);
    }

    #[test]
    fn absurd_times_break_nothing() {
        let mut never = pass(0, 1, &[1, 1]);
        never.timeline[0].width = Duration::ZERO;
        never.timeline[1].width = Duration::MAX;
        assert_eq!(columns(&[never]), Vec::<Vec<u64>>::new());
    }

    proptest! {
        #[test]
        fn no_request_is_lost_and_there_are_never_too_many_columns(
            passes in prop::collection::vec(
                (0u64..100_000, 0u32..8, prop::collection::vec(0u64..900, 1..80)), 0..6),
        ) {
            let passes: Vec<_> =
                passes.iter().map(|(start, k, n)| pass(*start, 1 << k, n)).collect();
            let found = columns(&passes);
            let n: u64 = found.iter().flatten().sum();
            prop_assert_eq!(n, passes.iter().map(|it| it.n_requests).sum::<u64>());
            prop_assert!(found.iter().all(|it| it.len() <= 120));
        }
    }
}
