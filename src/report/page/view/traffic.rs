//! The requests: a line for each pass, and charts over time.

use std::time::Duration;

use super::chart::Chart;
use super::timeline::stretches;
use super::words::{self, moment};
use crate::report::page::{Facts, Pass, Source};
use crate::report::text::{counted, duration, number};
use crate::stats::summary::LatencySummary;

/// The requests.
pub(super) struct Traffic {
    /// Those of each file, in a sentence.
    pub(super) sentences: Vec<String>,
    pub(super) charts: Vec<Chart>,
    /// How many charts were left out, in a sentence; empty where none was.
    pub(super) more: String,
    pub(super) passes: Vec<PassLine>,
}

/// One start of the program.
pub(super) struct PassLine {
    pub(super) began: String,
    pub(super) cells: [String; 9],
    pub(super) ended: String,
}

/// The maximum number of charts.
const MAX_CHARTS: usize = 6;
/// The minimum number of columns of a chart.
const MIN_COLUMNS: usize = 3;

pub(super) fn traffic(facts: &Facts) -> Traffic {
    let mut passes: Vec<&Pass> = facts.sources.iter().flat_map(|it| &it.passes).collect();
    passes.sort_by_key(|it| it.started_at);
    let stretches: Vec<_> =
        stretches(&passes).into_iter().filter(|it| it.columns.len() >= MIN_COLUMNS).collect();
    let more = match stretches.len().saturating_sub(MAX_CHARTS) as u64 {
        0 => String::new(),
        n => format!("{} not drawn.", counted(n, "later interval is", "later intervals are")),
    };
    Traffic {
        sentences: facts.sources.iter().map(|source| sentence(facts, source)).collect(),
        charts: (1..).zip(&stretches).take(MAX_CHARTS).map(|(n, it)| Chart::new(n, it)).collect(),
        more,
        passes: passes.into_iter().map(pass_line).collect(),
    }
}

fn sentence(facts: &Facts, source: &Source) -> String {
    let of = match facts.sources.len() {
        1 => String::new(),
        _ => format!("{}: ", words::cleaned(&source.name)),
    };
    let passes = &source.passes;
    let sum = |of: fn(&Pass) -> u64| passes.iter().map(of).fold(0, u64::saturating_add);
    let n_requests = sum(|it| it.n_requests);
    if n_requests == 0 {
        return of + "No requests recorded.";
    }
    let paused = passes.iter().map(|it| it.paused).fold(Duration::ZERO, Duration::saturating_add);
    format!(
        "{of}{} ({}), {}, {} answered 429, paused for {}.",
        counted(n_requests, "request", "requests"),
        counted(sum(|it| it.n_lookups), "look-up", "look-ups"),
        counted(sum(|it| it.n_retries), "retry", "retries"),
        number(sum(|it| it.n_throttled)),
        duration(paused),
    )
}

fn pass_line(pass: &Pass) -> PassLine {
    let took = pass.finished_at.and_then(|it| it.duration_since(pass.started_at).ok());
    let latency = |of: fn(&LatencySummary) -> Duration| {
        pass.latency.as_ref().map(|it| duration(of(it))).unwrap_or_default()
    };
    PassLine {
        began: moment(pass.started_at),
        cells: [
            took.map(duration).unwrap_or_default(),
            number(pass.n_requests),
            number(pass.n_lookups),
            number(pass.n_retries),
            number(pass.n_throttled),
            duration(pass.paused),
            latency(|it| it.p50),
            latency(|it| it.p99),
            latency(|it| it.max),
        ],
        ended: words::cleaned(&words::ending(&pass.ending)),
    }
}
