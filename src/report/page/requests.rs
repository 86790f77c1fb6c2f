//! The requests on the page: a line for each start of the program, and charts over time.

use std::fmt::Write;
use std::time::{Duration, SystemTime};

use super::view::{cleaned, ending, hundredths, moment};
use super::{Facts, Source};
use crate::report::text::{counted, duration, number, utc};
use crate::results::manifest::{Pass, seconds};
use crate::stats::Bucket;

/// The requests of all files.
pub(super) struct Requests {
    /// The sums of each file, in a sentence.
    pub(super) sentences: Vec<String>,
    pub(super) charts: Vec<Chart>,
    /// Number of charts that were left out, in a sentence.
    pub(super) more: String,
    /// For each start of the program: when it began, its numbers, and how it ended.
    pub(super) passes: Vec<(String, [String; 9], String)>,
}

/// The maximum number of charts.
const MAX_CHARTS: usize = 6;
/// The minimum number of columns of a chart.
const MIN_COLUMNS: usize = 3;

impl Requests {
    pub(super) fn new(facts: &Facts) -> Self {
        let mut passes: Vec<&Pass> = facts.sources.iter().flat_map(passes_of).collect();
        passes.sort_by_key(|it| it.started_at);
        let mut stretches = stretches(&passes);
        stretches.retain(|it| it.columns.len() >= MIN_COLUMNS);
        let more = match stretches.len().saturating_sub(MAX_CHARTS) as u64 {
            0 => String::new(),
            n => format!("{} not drawn.", counted(n, "later interval is", "later intervals are")),
        };
        let charts = (1..).zip(&stretches).take(MAX_CHARTS);
        Self {
            sentences: facts.sources.iter().map(|source| sentence(facts, source)).collect(),
            charts: charts.map(|(n, stretch)| Chart::new(n, stretch)).collect(),
            more,
            passes: passes.into_iter().map(pass_line).collect(),
        }
    }
}

fn passes_of(source: &Source) -> &[Pass] {
    source.manifest.as_ref().map_or(&[], |it| &it.passes)
}

fn sentence(facts: &Facts, source: &Source) -> String {
    let of = match facts.sources.len() {
        1 => String::new(),
        _ => format!("{}: ", cleaned(&source.name)),
    };
    let passes = passes_of(source);
    let sum = |of: fn(&Pass) -> u64| passes.iter().map(of).fold(0, u64::saturating_add);
    let n_requests = sum(|it| it.requests);
    if n_requests == 0 {
        return of + "No requests recorded.";
    }
    let paused = passes.iter().map(|it| seconds(it.paused_seconds));
    let paused = paused.fold(Duration::ZERO, Duration::saturating_add);
    format!(
        "{of}{} ({}), {}, {} answered 429, paused for {}.",
        counted(n_requests, "request", "requests"),
        counted(sum(|it| it.look_ups), "look-up", "look-ups"),
        counted(sum(|it| it.retries), "retry", "retries"),
        number(sum(|it| it.throttled)),
        duration(paused),
    )
}

fn pass_line(pass: &Pass) -> (String, [String; 9], String) {
    let took = pass.finished_at.and_then(|it| it.duration_since(pass.started_at).ok());
    let latency = &pass.latency_ms;
    let [p50, p99, max] = match pass.requests {
        0 => Default::default(),
        _ => [latency.p50, latency.p99, latency.max].map(|ms| duration(seconds(ms / 1e3))),
    };
    let numbers = [
        took.map(duration).unwrap_or_default(),
        number(pass.requests),
        number(pass.look_ups),
        number(pass.retries),
        number(pass.throttled),
        duration(seconds(pass.paused_seconds)),
        p50,
        p99,
        max,
    ];
    (moment(pass.started_at), numbers, ending(&pass.ending))
}

/// An interval with requests, in few enough columns to draw.
struct Stretch {
    start: SystemTime,
    /// The length of each column.
    width: Duration,
    columns: Vec<Bucket>,
}

/// The requests in one interval of a pass.
struct TimedBucket {
    start: SystemTime,
    width: Duration,
    counts: Bucket,
}

fn timed_buckets(pass: &Pass) -> impl Iterator<Item = TimedBucket> {
    pass.timeline.iter().map(|bucket| TimedBucket {
        start: pass.started_at + seconds(bucket.at),
        width: seconds(bucket.bucket_seconds),
        counts: Bucket {
            n_requests: bucket.requests,
            n_throttled: bucket.throttled,
            n_failed: bucket.failed_attempts,
            n_finished: 0,
        },
    })
}

/// More could not be distinguished on a phone.
const MAX_COLUMNS: u128 = 120;
/// Passes this close to each other share a stretch.
const MAX_GAP: Duration = Duration::from_secs(60);

/// The stretches of all passes, in order of time. Passes that ran at the same time or soon after one
/// another share a stretch: they shared the quota, too.
fn stretches(passes: &[&Pass]) -> Vec<Stretch> {
    let mut buckets: Vec<TimedBucket> =
        passes.iter().flat_map(|pass| timed_buckets(pass)).collect();
    buckets.retain(|it| !it.width.is_zero());
    buckets.sort_by_key(|it| it.start);
    let mut groups: Vec<(SystemTime, Vec<TimedBucket>)> = Vec::new();
    for bucket in buckets {
        let Some(end) = bucket.start.checked_add(bucket.width) else { continue };
        match groups.last_mut() {
            Some((last_end, group))
                if bucket.start.duration_since(*last_end).unwrap_or_default() <= MAX_GAP =>
            {
                *last_end = end.max(*last_end);
                group.push(bucket);
            }
            _ => groups.push((end, vec![bucket])),
        }
    }
    groups.into_iter().filter_map(|(end, group)| Stretch::new(&group, end)).collect()
}

impl Stretch {
    /// The width of columns is that of the longest bucket times a power of two. Columns of two and
    /// three buckets by turns would show waves that did not exist.
    fn new(buckets: &[TimedBucket], end: SystemTime) -> Option<Self> {
        let start = buckets.first()?.start;
        let span = end.duration_since(start).ok()?;
        let n_columns = |width: Duration| span.as_nanos().div_ceil(width.as_nanos()).max(1);
        let mut width = buckets.iter().map(|it| it.width).max()?;
        while n_columns(width) > MAX_COLUMNS {
            width = width.checked_mul(2)?;
        }
        let mut columns = vec![Bucket::default(); usize::try_from(n_columns(width)).ok()?];
        for bucket in buckets {
            let middle = bucket.start.duration_since(start).ok()? + bucket.width / 2;
            let index = usize::try_from(middle.as_nanos() / width.as_nanos()).ok()?;
            columns.get_mut(index)?.add(bucket.counts);
        }
        Some(Self { start, width, columns })
    }

    /// The time at which a column begins. For the number of columns, the time at which the last one
    /// ends.
    fn time(&self, column: usize) -> String {
        let since = u32::try_from(column).ok().and_then(|it| self.width.checked_mul(it));
        let begin = since.and_then(|it| self.start.checked_add(it)).unwrap_or(self.start);
        utc(begin, "%H:%M:%S")
    }

    /// The rate of this number of requests in one column, in thousandths of a request per second.
    fn rate(&self, n: u64) -> u64 {
        let millis = self.width.as_millis().max(1);
        u64::try_from(u128::from(n) * 1_000_000 / millis).unwrap_or(u64::MAX)
    }
}

/// Requests over time. The drawing is as wide as the page: `x` is in per cent or in units of its own.
/// Heights are in pixels.
pub(super) struct Chart {
    /// Its number on the page.
    pub(super) n: usize,
    pub(super) title: String,
    pub(super) summary: String,
    /// The marks of the rate: `y` and a label.
    pub(super) marks: Vec<(u64, String)>,
    /// The marks of the time: `x`, a class, and a label.
    pub(super) times: Vec<(String, &'static str, String)>,
    /// The width of the drawing in its own units.
    pub(super) width: usize,
    pub(super) answered: String,
    pub(super) failed: String,
    pub(super) throttled: String,
    /// For each column: its begin, and the numbers of requests, of 429s and of failures.
    pub(super) lines: Vec<(String, [String; 3])>,
}

/// The maximum height of a column. Below are two lanes that flag each column with a 429 or a failure,
/// because one request in eighty is too small to see above.
const HEIGHT: u64 = 160;
const THROTTLED_LANE: u64 = 166;
const FAILED_LANE: u64 = 175;
const LANE_HEIGHT: u64 = 6;
/// The width of a column and the gap after it.
const STEP: usize = 10;
/// The classes of the marks of time but the last. On a phone, the minor ones are hidden.
const QUARTERS: [&str; 4] = ["start", "middle minor", "middle", "middle minor"];

impl Chart {
    fn new(n: usize, stretch: &Stretch) -> Self {
        let columns = &stretch.columns;
        let highest = columns.iter().map(|it| it.n_requests).max().unwrap_or_default();
        let axis = Axis::up_to(stretch.rate(highest));
        // Answered, failed and throttled requests, from below.
        let mut paths = [String::new(), String::new(), String::new()];
        for (index, column) in columns.iter().enumerate() {
            let mut below = 0;
            for (path, n) in paths.iter_mut().zip(layers(*column)) {
                let [bottom, top] = [below, below + n].map(|n| axis.y(stretch.rate(n)));
                if n > 0 {
                    append_box(path, index, top, (bottom - top).max(1));
                }
                below += n;
            }
        }
        let [answered, mut failed, mut throttled] = paths;
        for (index, column) in columns.iter().enumerate() {
            let [_, n_failed, n_throttled] = layers(*column);
            if n_failed > 0 {
                append_box(&mut failed, index, FAILED_LANE, LANE_HEIGHT);
            }
            if n_throttled > 0 {
                append_box(&mut throttled, index, THROTTLED_LANE, LANE_HEIGHT);
            }
        }
        let line = |(index, column): (usize, &Bucket)| {
            let counts = [column.n_requests, column.n_throttled, column.n_failed].map(number);
            (stretch.time(index), counts)
        };
        Self {
            n,
            title: format!("Requests per second, from {} UTC", moment(stretch.start)),
            summary: summary(stretch, highest),
            marks: axis.marks().map(|mark| (axis.y(mark), rate(mark))).collect(),
            times: times(stretch),
            width: columns.len() * STEP,
            answered,
            failed,
            throttled,
            lines: columns.iter().enumerate().map(line).collect(),
        }
    }
}

/// The numbers of answered, failed and throttled requests. Their sum is that of all requests, even if
/// the manifest has more failures than requests.
fn layers(column: Bucket) -> [u64; 3] {
    let throttled = column.n_throttled.min(column.n_requests);
    let failed = column.n_failed.min(column.n_requests - throttled);
    [column.n_requests - throttled - failed, failed, throttled]
}

fn append_box(path: &mut String, index: usize, y: u64, height: u64) {
    let (x, width) = (index * STEP, STEP - 1);
    // Writing to a string cannot fail.
    let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
}

fn summary(stretch: &Stretch, highest: u64) -> String {
    let sum = |of: fn(&Bucket) -> u64| stretch.columns.iter().map(of).fold(0, u64::saturating_add);
    format!(
        "From {} to {} UTC, in columns of {}: at most {} requests per second on average; {} answered \
         429, {} failed otherwise.",
        stretch.time(0),
        stretch.time(stretch.columns.len()),
        duration(stretch.width),
        rate(stretch.rate(highest)),
        number(sum(|it| it.n_throttled)),
        number(sum(|it| it.n_failed)),
    )
}

fn times(stretch: &Stretch) -> Vec<(String, &'static str, String)> {
    let n = stretch.columns.len();
    let time = |(quarter, class): (usize, &'static str)| {
        let column = quarter * n / QUARTERS.len();
        let x = hundredths(column as u128 * 10_000 / n.max(1) as u128);
        (x, class, stretch.time(column))
    };
    let mut times: Vec<_> = QUARTERS.into_iter().chain(["end"]).enumerate().map(time).collect();
    // With fewer than four columns, quarters coincide.
    times.dedup_by(|(later, ..), (earlier, ..)| later == earlier);
    times
}

/// The axis of rates, in thousandths of a request per second, from 0 to a round number.
struct Axis {
    step: u64,
    n_steps: u64,
}

impl Axis {
    /// An axis for this rate, with about four marks.
    fn up_to(max: u64) -> Self {
        let at_least = max.div_ceil(4).max(1);
        let magnitude = 10u64.saturating_pow(at_least.ilog10());
        // In tenths, because of the step 2.5.
        let steps = [10, 20, 25, 50, 100].map(|it: u64| it.saturating_mul(magnitude) / 10);
        let step = steps.into_iter().find(|it| *it >= at_least).unwrap_or(at_least);
        Self { step, n_steps: max.div_ceil(step).max(1) }
    }

    /// The highest mark.
    fn top(&self) -> u64 {
        self.step.saturating_mul(self.n_steps)
    }

    /// All marks, 0 included.
    fn marks(&self) -> impl Iterator<Item = u64> {
        (0..=self.n_steps).map(|it| self.step.saturating_mul(it))
    }

    /// The distance of a rate from the top, in pixels.
    fn y(&self, thousandths: u64) -> u64 {
        let up = u128::from(thousandths) * u128::from(HEIGHT) / u128::from(self.top());
        HEIGHT.saturating_sub(u64::try_from(up).unwrap_or(HEIGHT))
    }
}

/// A rate per second: `80`, `0.25`.
fn rate(thousandths: u64) -> String {
    let whole = number(thousandths / 1000);
    match thousandths % 1000 {
        0 => whole,
        part => format!("{whole}.{part:03}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::results::manifest;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second)
    }

    /// A pass that begins at this second, with buckets of this width.
    fn pass(start: u64, width: u32, requests: &[u64]) -> Pass {
        let width = f64::from(width);
        let bucket = |(index, requests): (u32, &u64)| manifest::Bucket {
            at: f64::from(index) * width,
            bucket_seconds: width,
            requests: *requests,
            throttled: 0,
            failed_attempts: 0,
        };
        Pass {
            started_at: at(start),
            finished_at: None,
            ending: "completed".to_owned(),
            requests: requests.iter().sum(),
            retries: 0,
            throttled: 0,
            given_up: 0,
            paused_seconds: 0.0,
            look_ups: 0,
            timeline: (0..).zip(requests).map(bucket).collect(),
            latency_ms: manifest::Latency::default(),
        }
    }

    fn columns(passes: &[Pass]) -> Vec<Vec<u64>> {
        let stretches = stretches(&passes.iter().collect::<Vec<_>>());
        let of = |it: Stretch| it.columns.iter().map(|column| column.n_requests).collect();
        stretches.into_iter().map(of).collect()
    }

    #[test]
    fn shards_that_ran_at_the_same_time_share_a_stretch() {
        let passes = [pass(0, 1, &[10, 10, 10, 10]), pass(1, 1, &[7, 7]), pass(2, 2, &[6, 6])];
        assert_eq!(columns(&passes), [[27, 33, 6]]);
    }

    #[test]
    fn a_resume_on_the_next_day_has_a_stretch_of_its_own() {
        assert_eq!(columns(&[pass(90_000, 1, &[5]), pass(0, 1, &[1, 2])]), [vec![1, 2], vec![5]]);
    }

    #[test]
    fn an_even_pace_gives_even_columns() {
        let found = columns(&[pass(0, 2, &[160; 600])]).remove(0);
        assert_eq!(found, [1280; 75]);
    }

    #[test]
    fn buckets_of_absurd_width_are_left_out() {
        let mut never = pass(0, 1, &[1, 1]);
        never.timeline[0].bucket_seconds = -1.0;
        never.timeline[1].bucket_seconds = f64::NAN;
        assert_eq!(columns(&[never]), Vec::<Vec<u64>>::new());
    }

    proptest! {
        #[test]
        fn no_request_is_lost_and_a_stretch_has_at_most_120_columns(
            passes in prop::collection::vec(
                (0u64..100_000, 0u32..8, prop::collection::vec(0u64..900, 1..80)), 0..6),
        ) {
            let passes: Vec<_> =
                passes.iter().map(|(start, k, n)| pass(*start, 1 << k, n)).collect();
            let found = columns(&passes);
            let n: u64 = found.iter().flatten().sum();
            prop_assert_eq!(n, passes.iter().map(|it| it.requests).sum::<u64>());
            prop_assert!(found.iter().all(|it| it.len() <= 120));
        }
    }

    fn chart(columns: &[(u64, u64, u64)]) -> Chart {
        let column = |&(n_requests, n_throttled, n_failed): &(u64, u64, u64)| Bucket {
            n_requests,
            n_throttled,
            n_failed,
            n_finished: 0,
        };
        let stretch = Stretch {
            start: SystemTime::UNIX_EPOCH + Duration::from_secs(1_769_829_165),
            width: Duration::from_secs(2),
            columns: columns.iter().map(column).collect(),
        };
        Chart::new(1, &stretch)
    }

    #[test]
    fn layers_are_stacked_and_rare_events_are_flagged() {
        let chart = chart(&[(160, 0, 0), (80, 20, 20), (0, 0, 0), (160, 1, 0)]);
        insta::assert_snapshot!(
            [chart.answered, chart.failed, chart.throttled, chart.summary].join("\n"), @"
            M0 0h9v160h-9zM10 120h9v40h-9zM30 1h9v159h-9z
            M10 100h9v20h-9zM10 175h9v6h-9z
            M10 80h9v20h-9zM30 0h9v1h-9zM10 166h9v6h-9zM30 166h9v6h-9z
            From 03:12:45 to 03:12:53 UTC, in columns of 2 s: at most 80 requests per second on average; 21 answered 429, 20 failed otherwise.
            ");
    }

    #[test]
    fn marks_of_time_are_at_the_begin_of_columns() {
        let times = chart(&[(1, 0, 0); 6]).times;
        let found: Vec<_> =
            times.iter().map(|(x, class, label)| format!("{x} {class} {label}")).collect();
        insta::assert_snapshot!(found.join("\n"), @"
            0.00 start 03:12:45
            16.66 middle minor 03:12:47
            50.00 middle 03:12:51
            66.66 middle minor 03:12:53
            100.00 end 03:12:57
            ");
    }

    #[test]
    fn more_failures_than_requests_are_drawn() {
        let chart = chart(&[(1, u64::MAX, u64::MAX), (u64::MAX, 1, 1), (0, 3, 3)]);
        assert!(chart.answered.starts_with('M'));
    }

    fn marks(max: u64) -> String {
        Axis::up_to(max).marks().map(rate).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_marks_of_the_rate_are_round_and_few() {
        assert_eq!(marks(0), "0 0.001");
        assert_eq!(marks(250), "0 0.1 0.2 0.3");
        assert_eq!(marks(7_000), "0 2 4 6 8");
        assert_eq!(marks(80_000), "0 20 40 60 80");
        assert_eq!(marks(92_000), "0 25 50 75 100");
        assert_eq!(marks(812_000), "0 250 500 750 1,000");
    }

    proptest! {
        #[test]
        fn the_highest_mark_is_not_below_the_rate_and_not_far_above(max in 1u64..u64::MAX / 16) {
            let axis = Axis::up_to(max);
            prop_assert!(axis.top() >= max);
            prop_assert!(axis.top() - max < axis.step);
            prop_assert!(axis.marks().count() <= 5);
        }
    }
}
