//! How the records, the rows and the unprocessed add up, over all files.

use super::words::RUNNING;
use crate::report::page::{Facts, Source};

/// How the records add up.
pub(super) struct Totals {
    pub(super) n_records: u64,
    pub(super) n_rows: u64,
    pub(super) n_unprocessed: u64,
    pub(super) n_not_well: u64,
    /// Whether what the manifests say fits the rows. Unknown numbers are not held against them,
    /// nor are those of a job that did not come to its end.
    pub(super) adds_up: bool,
}

impl Totals {
    pub(super) fn of(facts: &Facts) -> Self {
        let n_rows = facts.rows.counts.total();
        let sum = |of: fn(&Source) -> Option<u64>| {
            let mut each = facts.sources.iter().map(of);
            each.try_fold(0u64, |sum, n| Some(sum.saturating_add(n?)))
        };
        let n_records = sum(|it| it.n_records).filter(|_| !facts.sources.is_empty());
        let n_unprocessed = sum(|it| it.n_unprocessed);
        let is_running = |it: &Source| it.ending.as_deref() == Some(RUNNING);
        let is_final = !facts.sources.iter().any(is_running);
        Self {
            n_records: n_records.unwrap_or(n_rows),
            n_rows,
            n_unprocessed: n_records.unwrap_or(n_rows).saturating_sub(n_rows),
            n_not_well: facts.rows.counts.n_not_well(),
            adds_up: match (n_records, n_unprocessed) {
                (Some(n_records), Some(n_unprocessed)) if is_final => {
                    n_records == n_rows.saturating_add(n_unprocessed)
                }
                (n_records, _) => n_records.is_none_or(|it| it >= n_rows),
            },
        }
    }

    pub(super) fn all_ended_well(&self) -> bool {
        self.n_not_well == 0 && self.n_unprocessed == 0 && self.adds_up
    }
}
