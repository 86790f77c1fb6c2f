//! The summary of a finished run. Closing text, JSON, manifest, metrics and page all use it.

mod incident;
mod json;

pub use json::ErrorReport;

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Ceiling, Counts, ErrorCounts, ErrorGroup, Latency, Stats};
use crate::model::{Outcome, StopReason};

pub use incident::{Incident, Stage};

/// The summary of a finished run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The command.
    pub command: CommandKind,
    /// Whether it covers files of several commands: their requests are not summed up.
    pub is_mixed: bool,
    /// `production`, `development`, `sandbox` or `unknown`.
    pub instance: String,
    /// The host that was called.
    pub host: String,
    /// How the run ended.
    pub ending: Ending,
    /// The exit code.
    pub exit_code: u8,
    /// Number of rows by outcome, those of an earlier run included.
    pub counts: Counts,
    /// Number of rows by outcome that the read-back at the end found (`--verify`).
    pub verified: Option<Counts>,
    /// The entries of the exclude files.
    pub excluded: ExcludeCounts,
    /// How many users a walk listed, and how many each filter left out.
    pub lines_of_walk: Vec<String>,
    /// Number of users who are unlocked first (`--canary`).
    pub canary: Option<u64>,
    /// The SHA-256 of the plan that was made.
    pub plan_sha256: Option<String>,
    /// Number of records that must be accounted for.
    pub n_records: u64,
    /// Number of records without a row.
    pub n_unprocessed: u64,
    /// Number of rows that the results file holds, where that was checked.
    pub n_rows_found: Option<u64>,
    /// Number of rows that an earlier run recorded.
    pub n_earlier: u64,
    /// Number of users whom the plan would unlock and who are banned.
    pub n_banned: u64,
    /// Number of requests.
    pub n_requests: u64,
    /// Number of those that looked users up.
    pub n_lookups: u64,
    /// Number of attempts that failed and were retried, 429s not counted.
    pub n_retries: u64,
    /// The error codes of those, the most frequent first.
    pub retried: Vec<(String, u64)>,
    /// Number of requests that were cut off before their response came.
    pub n_given_up: u64,
    /// Number of requests that were answered 429.
    pub n_throttled: u64,
    /// How long all requests were paused.
    pub paused: Duration,
    /// From the start to the last event.
    pub elapsed: Duration,
    /// The latency of responses; `None` where there was none.
    pub latency: Option<LatencySummary>,
    /// Why rows did not end well, the most frequent reason first.
    pub errors: Vec<ErrorGroup>,
    /// The files that were written.
    pub files: Files,
    /// What the planned run would cost.
    pub forecast: Option<Forecast>,
    /// The command to continue with.
    pub next: Option<NextStep>,
}

impl Summary {
    /// Summarizes the statistics.
    ///
    /// What the statistics cannot know (instance, host, files, exit code, forecast, next step) is
    /// left empty for the caller to fill in.
    pub fn new(stats: &Stats, command: CommandKind, ending: Ending) -> Self {
        Self {
            command,
            ending,
            counts: *stats.counts(),
            n_records: stats.size().n_records,
            n_unprocessed: stats.n_unprocessed(),
            n_earlier: stats.n_earlier(),
            n_banned: stats.rows().n_banned(),
            n_requests: stats.n_requests(),
            n_lookups: stats.n_lookups(),
            n_retries: stats.n_retries(),
            retried: retried(stats.retried()),
            n_given_up: stats.n_given_up(),
            n_throttled: stats.n_throttled(),
            paused: stats.paused(),
            elapsed: stats.elapsed(),
            latency: LatencySummary::of(stats.latency()),
            errors: stats.rows().errors().most_frequent_first(),
            ..Self::default()
        }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> u64 {
        self.counts.total()
    }

    /// Whether every record has a row that ended well.
    pub fn all_ended_well(&self) -> bool {
        self.counts.n_not_well() == 0 && self.n_unprocessed == 0
    }

    /// Whether every record is accounted for, and the file holds what was recorded.
    pub fn adds_up(&self) -> bool {
        let is_complete = self.n_rows_found.is_none_or(|n_rows| n_rows == self.n_rows());
        is_complete && self.n_records == self.n_rows() + self.n_unprocessed
    }
}

fn retried(errors: &ErrorCounts) -> Vec<(String, u64)> {
    errors.most_frequent_first().into_iter().map(|group| (group.code, group.n)).collect()
}

/// How many entries of the exclude files matched a listed user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExcludeCounts {
    /// All entries.
    pub entries: u64,
    /// Those that matched at least one listed user.
    pub matched: u64,
    /// Those that matched nobody.
    pub unmatched: u64,
}

/// The command that wrote a file, in a manifest by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Users were unlocked.
    #[default]
    Run,
    /// Users were looked up, nothing was changed.
    Plan,
    /// Users whom an earlier run unlocked were read back.
    Verify,
    /// The locked users of the instance were listed.
    Locked,
    /// Users whom an earlier run unlocked were locked again.
    Relock,
    /// Users whom an earlier run unlocked were looked up, nothing was changed.
    RelockPlan,
}

impl CommandKind {
    /// The stable word that manifests and summaries use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Plan => "plan",
            Self::Verify => "verify",
            Self::Locked => "locked",
            Self::Relock => "relock",
            Self::RelockPlan => "relock_plan",
        }
    }

    /// The command as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::RelockPlan => "relock -n",
            other => other.code(),
        }
    }

    /// Whether it changes users.
    pub fn changes_users(self) -> bool {
        matches!(self, Self::Run | Self::Relock)
    }

    /// Whether it shows what another command would do.
    pub fn is_plan(self) -> bool {
        matches!(self, Self::Plan | Self::RelockPlan)
    }

    /// What it does to users, or would do: "users to unlock".
    pub fn verb(self) -> &'static str {
        match self {
            Self::Run | Self::Plan | Self::Verify | Self::Locked => "unlock",
            Self::Relock | Self::RelockPlan => "lock again",
        }
    }

    /// The same, done: "no user was unlocked".
    pub fn participle(self) -> &'static str {
        match self {
            Self::Run | Self::Plan | Self::Verify | Self::Locked => "unlocked",
            Self::Relock | Self::RelockPlan => "locked again",
        }
    }

    /// The outcome that it aims at.
    pub fn aim(self) -> Outcome {
        match self {
            Self::Run => Outcome::Unlocked,
            Self::Plan | Self::Locked => Outcome::WouldUnlock,
            Self::Verify => Outcome::StillUnlocked,
            Self::Relock => Outcome::Relocked,
            Self::RelockPlan => Outcome::WouldRelock,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Every record has its row.
    #[default]
    Completed,
    /// It was stopped before the last record.
    Stopped(StopReason),
    /// It was not confirmed; nothing was sent.
    NotConfirmed,
    /// It was killed or is still running: known from files alone.
    Unfinished,
    /// Records, rows and unprocessed records do not add up.
    Unaccounted,
}

impl Ending {
    /// The ending with this code; an unknown code counts as [`Ending::Completed`].
    pub fn of_code(code: &str) -> Self {
        let stopped = StopReason::ALL.into_iter().find(|reason| reason.code() == code);
        if let Some(reason) = stopped {
            return Self::Stopped(reason);
        }
        let plain = [Self::Unfinished, Self::Unaccounted, Self::NotConfirmed];
        plain.into_iter().find(|ending| ending.code() == code).unwrap_or_default()
    }

    /// The stable code that the manifest and the JSON summary use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped(reason) => reason.code(),
            Self::NotConfirmed => "not_confirmed",
            Self::Unfinished => "running",
            Self::Unaccounted => "unaccounted",
        }
    }
}

/// The latency of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencySummary {
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The maximum.
    pub max: Duration,
}

impl LatencySummary {
    /// `None` where there was no response.
    pub fn of(latency: &Latency) -> Option<Self> {
        (latency.n() > 0).then(|| Self {
            p50: latency.quantile(0.5),
            p90: latency.quantile(0.9),
            p99: latency.quantile(0.99),
            max: latency.max(),
        })
    }
}

/// The files that were written; `None` where there is no such file.
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

/// What the planned run would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Number of requests, look-ups included.
    pub n_requests: u64,
    /// How long they take at this ceiling.
    pub takes: Duration,
    /// The ceiling.
    pub ceiling: Ceiling,
}

/// The command to continue with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// A file to look at before that: the rows that did not end well.
    pub look_first: Option<PathBuf>,
    /// Its purpose, without a full stop: "To unlock these users".
    pub why: String,
    /// The exact command, quoted for a shell.
    pub command: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::story::Story;

    #[test]
    fn records_without_a_row_are_unprocessed_and_did_not_end_well() {
        let stats = Story::of(5).rows(3, Outcome::Unlocked).stats;
        let summary = Summary::new(&stats, CommandKind::Run, Ending::Completed);
        assert_eq!((summary.n_rows(), summary.n_unprocessed), (3, 2));
        assert!(!summary.all_ended_well() && summary.adds_up());
    }

    #[test]
    fn a_single_row_that_did_not_end_well_is_enough() {
        let all_well = |outcome| {
            let stats = Story::of(2).rows(1, Outcome::Unlocked).rows(1, outcome).stats;
            Summary::new(&stats, CommandKind::Run, Ending::Completed).all_ended_well()
        };
        assert!(all_well(Outcome::AlreadyUnlocked) && all_well(Outcome::Duplicate));
        assert!(!all_well(Outcome::AdminLocked) && !all_well(Outcome::Failed));
    }

    #[test]
    fn an_example_without_a_user_id_names_the_cell() {
        let stats = Story::of(2).invalid_row().stats;
        let summary = Summary::new(&stats, CommandKind::Run, Ending::Completed);
        let example = &summary.errors[0].example;
        assert_eq!((example.line, example.user.as_str()), (2, "user_1"));
    }
}
