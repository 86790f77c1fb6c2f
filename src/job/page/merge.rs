//! Several finished files, summed up as one.

use std::path::PathBuf;

use crate::model::Row;
use crate::report::page::Source;
use crate::stats::RowStats;
use crate::stats::summary::{Ending, Files, LatencySummary, Summary};

/// What was read so far.
#[derive(Default)]
pub(super) struct Merged {
    summary: Summary,
    rows: RowStats,
    endings: Vec<Ending>,
}

impl Merged {
    pub(super) fn add_row(&mut self, row: &Row) {
        self.rows.add(row);
    }

    pub(super) fn add_source(&mut self, source: &Source) {
        let summary = &mut self.summary;
        summary.command = source.kind.unwrap_or(summary.command);
        summary.instance = source.instance.clone().unwrap_or_default();
        summary.host = source.host.clone().unwrap_or_default();
        summary.n_unprocessed += source.n_unprocessed.unwrap_or_default();
        for pass in &source.passes {
            summary.n_requests += pass.n_requests;
            summary.n_lookups += pass.n_lookups;
            summary.n_retries += pass.n_retries;
            summary.n_throttled += pass.n_throttled;
            summary.paused += pass.paused;
            let ended = pass.finished_at.and_then(|it| it.duration_since(pass.started_at).ok());
            summary.elapsed += ended.unwrap_or_default();
        }
        let ending = source.ending.as_deref().map_or(Ending::Completed, Ending::of_code);
        // What was stopped and taken over by another run has come to its end there.
        let is_cut = matches!(ending, Ending::Stopped(_) | Ending::Unfinished);
        if source.n_unprocessed == Some(0) && is_cut {
            self.endings.push(Ending::Completed);
        } else {
            // Several are as bad as the worst of them.
            let exit_code = source.exit_code.unwrap_or_default();
            self.summary.exit_code = self.summary.exit_code.max(exit_code);
            self.endings.push(ending);
        }
    }

    pub(super) fn summary(self, paths: &[PathBuf]) -> Summary {
        let mut summary = self.summary;
        summary.counts = *self.rows.counts();
        summary.n_banned = self.rows.n_banned();
        summary.n_records = summary.n_rows() + summary.n_unprocessed;
        summary.latency = LatencySummary::of(self.rows.durations());
        summary.errors = self.rows.errors().most_frequent_first();
        let not_completed = self.endings.into_iter().find(|ending| *ending != Ending::Completed);
        summary.ending = not_completed.unwrap_or_default();
        if paths.len() > 1 && summary.ending == Ending::Completed {
            // What the files say together: what failed in one may have ended well in another.
            let is_well = summary.command.is_plan() || summary.all_ended_well();
            summary.exit_code = u8::from(!is_well);
        }
        if let [path] = paths {
            summary.files = Files { results: Some(path.clone()), ..Files::default() };
        }
        summary
    }
}
