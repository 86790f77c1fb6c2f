//! How long answers and users took.

use std::time::Duration;

use super::Bar;
use super::words::moment;
use crate::report::page::collect::Interval;
use crate::report::page::{Facts, Pass};
use crate::report::text::duration;
use crate::stats::summary::LatencySummary;

/// How long answers and users took.
pub(super) struct Latency {
    pub(super) lines: Vec<LatencyLine>,
    pub(super) bars: Vec<Bar>,
    pub(super) slowest: String,
}

/// The answers of one pass.
pub(super) struct LatencyLine {
    pub(super) began: String,
    pub(super) figures: [String; 4],
}

pub(super) fn latency(facts: &Facts) -> Latency {
    let mut passes: Vec<&Pass> = facts.sources.iter().flat_map(|it| &it.passes).collect();
    passes.sort_by_key(|it| it.started_at);
    let line = |pass: &&Pass| {
        let LatencySummary { p50, p90, p99, max } = pass.latency?;
        let began = moment(pass.started_at);
        Some(LatencyLine { began, figures: [p50, p90, p99, max].map(duration) })
    };
    Latency {
        lines: passes.iter().filter_map(line).collect(),
        bars: bars(facts),
        slowest: duration(facts.rows.durations.max()),
    }
}

fn bars(facts: &Facts) -> Vec<Bar> {
    let durations = &facts.rows.durations;
    let intervals = durations.intervals();
    let longest = intervals.iter().map(|it| it.n).max().unwrap_or_default();
    let bar = |it: Interval| {
        let label = match it.below {
            Some(below) if it.from.is_zero() => format!("below {}", limit(below)),
            Some(below) => format!("{} – {}", limit(it.from), limit(below)),
            None => format!("{} and more", limit(it.from)),
        };
        Bar::new(label, it.n, durations.n(), longest)
    };
    intervals.into_iter().map(bar).collect()
}

/// A round duration, without what is nought of it.
fn limit(it: Duration) -> String {
    let told = duration(it);
    told.strip_suffix(" 0 s").map(ToOwned::to_owned).unwrap_or(told)
}
