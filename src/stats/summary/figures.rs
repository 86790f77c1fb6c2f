//! The parts of a summary.

use std::path::PathBuf;
use std::time::Duration;

use crate::stats::{Ceiling, Latency};

/// How long answers took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencyFigures {
    /// Half of them took no longer.
    pub p50: Duration,
    /// 90 % of them took no longer.
    pub p90: Duration,
    /// 99 % of them took no longer.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

impl LatencyFigures {
    /// The figures, where there was any answer.
    pub fn of(latency: &Latency) -> Option<Self> {
        (latency.n() > 0).then(|| Self {
            p50: latency.quantile(0.5),
            p90: latency.quantile(0.9),
            p99: latency.quantile(0.99),
            max: latency.max(),
        })
    }
}

/// All rows that did not end well under one code. The texts are as they came from outside: not
/// clean for a console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFigures {
    /// The code.
    pub code: String,
    /// How many.
    pub n: u64,
    /// The line of the first of them, where the input has lines.
    pub line: Option<u64>,
    /// The user of the first of them: the id where it is known, else the cell.
    pub user: String,
    /// The message of the first of them.
    pub message: String,
}

/// What was written; `None` where there is no such file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The results, or the plan.
    pub results: Option<PathBuf>,
    /// The rows that did not end well.
    pub failed: Option<PathBuf>,
    /// The records without a row.
    pub unprocessed: Option<PathBuf>,
    /// The manifest.
    pub manifest: Option<PathBuf>,
    /// The HTML page.
    pub report: Option<PathBuf>,
}

/// What the run that was planned would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Calls, look-ups included.
    pub n_requests: u64,
    /// How long that takes at this ceiling.
    pub takes: Duration,
    /// The ceiling it was reckoned with.
    pub ceiling: Ceiling,
}

/// The command that goes on from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// A file to look at before that: the rows that did not end well.
    pub look_first: Option<PathBuf>,
    /// What it is good for, without a full stop: "To unlock them".
    pub why: String,
    /// The exact command, quoted for a shell.
    pub command: String,
}
