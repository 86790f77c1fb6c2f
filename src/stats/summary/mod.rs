//! What a finished run has to say: chosen once, told by the closing lines, the page and `--json`.

mod ending;
mod figures;
mod json;

use std::time::Duration;

use crate::model::InputRecord;
use crate::stats::{Counts, ErrorCounts, ErrorGroup, Stats};

pub use ending::{CommandKind, Ending};
pub use figures::{ErrorFigures, Files, Forecast, LatencyFigures, NextStep};

/// What a finished run has to say.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What was done.
    pub command: CommandKind,
    /// It sums up files of several commands: no one headline fits.
    pub is_mixed: bool,
    /// `live`, `test`, `other` or `sandbox`.
    pub instance: String,
    /// The host that was called.
    pub host: String,
    /// How it ended.
    pub ending: Ending,
    /// The exit code that follows from all this.
    pub exit_code: u8,
    /// All rows by outcome, those of an earlier run included.
    pub counts: Counts,
    /// What the read-back at the end found (`--verify`), by outcome.
    pub verified: Option<Counts>,
    /// The records that had to be accounted for.
    pub n_records: u64,
    /// The records without a row.
    pub n_unprocessed: u64,
    /// The rows that the results file was found to hold at the end, where it was read again.
    pub n_rows_found: Option<u64>,
    /// The rows that an earlier run recorded.
    pub n_earlier: u64,
    /// The users whom the plan would unlock and who are banned.
    pub n_banned: u64,
    /// All calls.
    pub n_requests: u64,
    /// Those of them that looked users up.
    pub n_lookups: u64,
    /// The attempts that failed and were not the last of their user, throttles left out.
    pub n_retries: u64,
    /// What went wrong with those, the commonest first.
    pub retried: Vec<(String, u64)>,
    /// The requests of which nothing is recorded: given up before an answer came.
    pub n_given_up: u64,
    /// The attempts that were answered 429.
    pub n_throttled: u64,
    /// How long nobody was allowed to send.
    pub paused: Duration,
    /// From the start to the last event.
    pub elapsed: Duration,
    /// How long answers took; `None` where nothing was asked.
    pub latency: Option<LatencyFigures>,
    /// What went wrong with the rows that did not end well, the commonest first.
    pub errors: Vec<ErrorFigures>,
    /// What was written.
    pub files: Files,
    /// What the run that was planned would cost.
    pub forecast: Option<Forecast>,
    /// The command that goes on from here.
    pub next: Option<NextStep>,
}

impl Summary {
    /// Sums up what was counted. The records are those of the input, for the lines of examples.
    ///
    /// What the stats can't know (address, files, exit code, forecast, next step) stays empty for
    /// the caller to fill in.
    pub fn new(
        stats: &Stats,
        command: CommandKind,
        ending: Ending,
        records: &[InputRecord],
    ) -> Self {
        Self {
            command,
            ending,
            counts: *stats.counts(),
            n_records: stats.size().n_records,
            n_unprocessed: stats.size().n_records.saturating_sub(stats.n_rows()),
            n_earlier: stats.size().earlier.total(),
            n_banned: stats.n_banned(),
            n_requests: stats.n_requests(),
            n_lookups: stats.n_lookups(),
            n_retries: stats.n_retries(),
            retried: retried(stats.retried()),
            n_given_up: stats.n_given_up(),
            n_throttled: stats.n_throttled(),
            paused: stats.paused(),
            elapsed: stats.elapsed(),
            latency: LatencyFigures::of(stats.latency()),
            errors: errors(stats.errors(), records),
            ..Self::default()
        }
    }

    /// All rows.
    pub fn n_rows(&self) -> u64 {
        self.counts.total()
    }

    /// Whether nothing more is wanted for any record.
    pub fn all_ended_well(&self) -> bool {
        self.counts.n_not_well() == 0 && self.n_unprocessed == 0
    }

    /// Whether every record is accounted for, and the file holds what was recorded.
    pub fn adds_up(&self) -> bool {
        let is_whole = self.n_rows_found.is_none_or(|n_rows| n_rows == self.n_rows());
        is_whole && self.n_records == self.n_rows() + self.n_unprocessed
    }
}

fn retried(counts: &ErrorCounts) -> Vec<(String, u64)> {
    let groups = counts.commonest_first();
    groups.into_iter().map(|(code, group)| (code.to_string(), group.n)).collect()
}

fn errors(counts: &ErrorCounts, records: &[InputRecord]) -> Vec<ErrorFigures> {
    let groups = counts.commonest_first();
    groups.into_iter().map(|(code, group)| figures(code, group, records)).collect()
}

fn figures(code: &str, group: &ErrorGroup, records: &[InputRecord]) -> ErrorFigures {
    let example = &group.example;
    let record = records.get(example.record);
    let user = example.user.as_ref().map(ToString::to_string);
    ErrorFigures {
        code: code.to_owned(),
        n: group.n,
        line: record.map(|it| it.line),
        user: user.or_else(|| record.map(|it| it.cell.to_string())).unwrap_or_default(),
        message: example.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::stats::story::{Story, records};

    #[test]
    fn what_has_no_row_is_unprocessed_and_did_not_end_well() {
        let stats = Story::of(5).rows(3, Outcome::Unlocked).stats;
        let summary = Summary::new(&stats, CommandKind::Run, Ending::Completed, &records(5));
        assert_eq!((summary.n_rows(), summary.n_unprocessed), (3, 2));
        assert!(!summary.all_ended_well() && summary.adds_up());
    }

    #[test]
    fn one_row_that_did_not_end_well_is_enough() {
        let all_well = |outcome| {
            let stats = Story::of(2).rows(1, Outcome::Unlocked).rows(1, outcome).stats;
            Summary::new(&stats, CommandKind::Run, Ending::Completed, &[]).all_ended_well()
        };
        assert!(all_well(Outcome::AlreadyUnlocked) && all_well(Outcome::Duplicate));
        assert!(!all_well(Outcome::AdminLocked) && !all_well(Outcome::Failed));
    }

    #[test]
    fn an_example_without_user_is_named_by_its_cell_and_one_without_record_by_nothing() {
        let stats = Story::of(2).invalid_row().stats;
        let example = |records: &[InputRecord]| {
            let summary = Summary::new(&stats, CommandKind::Run, Ending::Completed, records);
            (summary.errors[0].line, summary.errors[0].user.clone())
        };
        assert_eq!(example(&records(1)), (Some(2), "user_1".to_owned()));
        assert_eq!(example(&[]), (None, String::new()));
    }
}
