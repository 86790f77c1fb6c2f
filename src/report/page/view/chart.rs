//! Requests over time, as the coordinates of a drawing.

use std::fmt::Write;

use super::axis::{Axis, rate};
use super::timeline::Stretch;
use super::words::{hour, hundredths, moment};
use crate::report::text::{duration, number};
use crate::stats::Bucket;

/// A chart of a stretch of time. Across, the drawing stretches with the page: `x` is in per cent
/// or in units of its own. Down, everything is in pixels.
pub(super) struct Chart {
    /// Its number on the page.
    pub(super) n: usize,
    pub(super) title: String,
    pub(super) summary: String,
    pub(super) marks: Vec<Mark>,
    pub(super) times: Vec<Time>,
    /// The width of the drawing, in its own units.
    pub(super) width: usize,
    pub(super) answered: String,
    pub(super) failed: String,
    pub(super) throttled: String,
    pub(super) lines: Vec<ColumnLine>,
}

/// A mark of the upright axis.
pub(super) struct Mark {
    pub(super) y: u64,
    pub(super) label: String,
}

/// A mark of the axis of time.
pub(super) struct Time {
    pub(super) x: String,
    pub(super) class: &'static str,
    pub(super) label: String,
}

/// A column of the chart, in digits.
pub(super) struct ColumnLine {
    pub(super) time: String,
    pub(super) cells: [String; 3],
}

/// How high the columns may grow. Below are two lanes that flag each column with a 429 or a
/// failure in it, because one in eighty is too small to see above.
const HEIGHT: u64 = 160;
const THROTTLED_LANE: u64 = 166;
const FAILED_LANE: u64 = 175;
const LANE_HEIGHT: u64 = 6;
/// The width of a column and the gap after it.
const STEP: usize = 10;
/// The classes of the marks of time up to the last. A phone has no room for all.
const QUARTERS: [&str; 4] = ["start", "middle minor", "middle", "middle minor"];

impl Chart {
    pub(super) fn new(n: usize, stretch: &Stretch) -> Self {
        let highest = stretch.columns.iter().map(|it| it.n_requests).max().unwrap_or_default();
        let drawing = Drawing { stretch, axis: Axis::for_rates_up_to(stretch.rate(highest)) };
        let mark = |at: u64| Mark { y: drawing.y(at), label: rate(at) };
        let [answered, failed, throttled] = [0, 1, 2].map(|layer| drawing.layer(layer));
        Self {
            n,
            title: format!("Requests per second, from {} UTC", moment(stretch.start)),
            summary: summary(stretch, highest),
            marks: drawing.axis.marks().map(mark).collect(),
            times: times(stretch),
            width: stretch.columns.len() * STEP,
            answered,
            failed: failed + &drawing.flags(1, FAILED_LANE),
            throttled: throttled + &drawing.flags(2, THROTTLED_LANE),
            lines: (0..).zip(&stretch.columns).map(|(at, it)| line(stretch, at, *it)).collect(),
        }
    }
}

struct Drawing<'a> {
    stretch: &'a Stretch,
    axis: Axis,
}

impl Drawing<'_> {
    /// The height of a rate, from above.
    fn y(&self, thousandths: u64) -> u64 {
        let up = u128::from(thousandths) * u128::from(HEIGHT) / u128::from(self.axis.top());
        HEIGHT.saturating_sub(u64::try_from(up).unwrap_or(HEIGHT))
    }

    /// The part of each column that belongs to a layer, as one path.
    fn layer(&self, layer: usize) -> String {
        let mut path = String::new();
        for (at, column) in self.stretch.columns.iter().enumerate() {
            let upto = |end: usize| layers(*column)[..end].iter().sum();
            let [below, above] = [upto(layer), upto(layer + 1)];
            let [bottom, top] = [below, above].map(|it| self.y(self.stretch.rate(it)));
            if below < above {
                append_box(&mut path, at, top, (bottom - top).max(1));
            }
        }
        path
    }

    /// A flag for each column in which the layer has anything, as one path.
    fn flags(&self, layer: usize, y: u64) -> String {
        let mut path = String::new();
        for (at, column) in self.stretch.columns.iter().enumerate() {
            if layers(*column)[layer] > 0 {
                append_box(&mut path, at, y, LANE_HEIGHT);
            }
        }
        path
    }
}

/// Answered, failed and throttled, from below; together they are all requests.
fn layers(column: Bucket) -> [u64; 3] {
    let throttled = column.n_throttled.min(column.n_requests);
    let failed = column.n_failed.min(column.n_requests - throttled);
    [column.n_requests - throttled - failed, failed, throttled]
}

fn append_box(path: &mut String, at: usize, y: u64, height: u64) {
    let (x, width) = (at * STEP, STEP - 1);
    // Writing to a string cannot fail.
    let _ = write!(path, "M{x} {y}h{width}v{height}h-{width}z");
}

fn summary(stretch: &Stretch, highest: u64) -> String {
    let sum = |of: fn(&Bucket) -> u64| stretch.columns.iter().map(of).fold(0, u64::saturating_add);
    format!(
        "From {} to {} UTC, in columns of {}: at most {} requests per second on average; {} answered 429, {} \
         failed otherwise.",
        hour(stretch.start),
        hour(stretch.begin_of(stretch.columns.len())),
        duration(stretch.width),
        rate(stretch.rate(highest)),
        number(sum(|it| it.n_throttled)),
        number(sum(|it| it.n_failed)),
    )
}

fn times(stretch: &Stretch) -> Vec<Time> {
    let n = stretch.columns.len();
    let time = |(quarter, class): (usize, &'static str)| {
        let at = quarter * n / QUARTERS.len();
        let x = hundredths(at as u128 * 10_000 / n.max(1) as u128);
        Time { x, class, label: hour(stretch.begin_of(at)) }
    };
    let mut times: Vec<_> = QUARTERS.into_iter().chain(["end"]).enumerate().map(time).collect();
    // Fewer than four columns have no quarters.
    times.dedup_by(|later, earlier| later.x == earlier.x);
    times
}

fn line(stretch: &Stretch, at: usize, column: Bucket) -> ColumnLine {
    let cells = [column.n_requests, column.n_throttled, column.n_failed].map(number);
    ColumnLine { time: hour(stretch.begin_of(at)), cells }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

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
    fn layers_stand_on_one_another_and_rare_events_are_flagged() {
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
    fn times_stand_under_the_columns_that_begin_then() {
        let times = chart(&[(1, 0, 0); 6]).times;
        let found: Vec<_> =
            times.iter().map(|it| format!("{} {} {}", it.x, it.class, it.label)).collect();
        insta::assert_snapshot!(found.join("\n"), @"
            0.00 start 03:12:45
            16.66 middle minor 03:12:47
            50.00 middle 03:12:51
            66.66 middle minor 03:12:53
            100.00 end 03:12:57
            ");
    }

    #[test]
    fn more_failures_than_requests_break_nothing() {
        let chart = chart(&[(1, u64::MAX, u64::MAX), (u64::MAX, 1, 1), (0, 3, 3)]);
        assert!(chart.answered.starts_with('M'));
    }
}
