//! The calls: a line for each pass, and charts of what happened when.

use std::time::Duration;

use super::chart::Chart;
use super::timeline::stretches;
use super::words::{self, moment};
use crate::report::page::{Facts, Pass};
use crate::report::text::{counted, duration, number};

/// The calls.
pub(super) struct Traffic {
    /// All of them in a sentence.
    pub(super) told: String,
    pub(super) charts: Vec<Chart>,
    /// How many charts were left out, in a sentence; empty where none was.
    pub(super) more: String,
    pub(super) passes: Vec<PassLine>,
}

/// One start of the program.
pub(super) struct PassLine {
    pub(super) began: String,
    pub(super) cells: [String; 6],
    pub(super) ended: String,
}

/// More charts make nobody wiser.
const MAX_CHARTS: usize = 6;
/// A chart of less shows nothing.
const MIN_COLUMNS: usize = 3;

pub(super) fn traffic(facts: &Facts) -> Traffic {
    let mut passes: Vec<&Pass> = facts.sources.iter().flat_map(|it| &it.passes).collect();
    passes.sort_by_key(|it| it.started_at);
    let stretches: Vec<_> =
        stretches(&passes).into_iter().filter(|it| it.columns.len() >= MIN_COLUMNS).collect();
    let more = match stretches.len().saturating_sub(MAX_CHARTS) as u64 {
        0 => String::new(),
        n => format!("{} not drawn.", counted(n, "later stretch is", "later stretches are")),
    };
    Traffic {
        told: told(&passes),
        charts: (1..).zip(&stretches).take(MAX_CHARTS).map(|(n, it)| Chart::new(n, it)).collect(),
        more,
        passes: passes.into_iter().map(pass_line).collect(),
    }
}

fn told(passes: &[&Pass]) -> String {
    let sum = |of: fn(&Pass) -> u64| passes.iter().map(|it| of(it)).fold(0, u64::saturating_add);
    let n_requests = sum(|it| it.n_requests);
    if n_requests == 0 {
        return "No request is recorded.".to_owned();
    }
    let paused = passes.iter().map(|it| it.paused).fold(Duration::ZERO, Duration::saturating_add);
    format!(
        "{} ({}), {}, {} answered 429, paused for {}.",
        counted(n_requests, "request", "requests"),
        counted(sum(|it| it.n_lookups), "look-up", "look-ups"),
        counted(sum(|it| it.n_retries), "retry", "retries"),
        number(sum(|it| it.n_throttled)),
        duration(paused),
    )
}

fn pass_line(pass: &Pass) -> PassLine {
    let took = pass.finished_at.and_then(|it| it.duration_since(pass.started_at).ok());
    PassLine {
        began: moment(pass.started_at),
        cells: [
            took.map(duration).unwrap_or_default(),
            number(pass.n_requests),
            number(pass.n_lookups),
            number(pass.n_retries),
            number(pass.n_throttled),
            duration(pass.paused),
        ],
        ended: words::told(&words::ending(&pass.ending)),
    }
}
