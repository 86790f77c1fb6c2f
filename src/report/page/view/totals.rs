//! How the records, the rows and the unprocessed add up.

use crate::report::page::Facts;
use crate::stats::summary::{CommandKind, Stage};

/// How the records add up.
pub(super) struct Totals {
    pub(super) n_records: u64,
    pub(super) n_rows: u64,
    pub(super) n_unprocessed: u64,
    pub(super) n_not_well: u64,
    /// Number of users who were to be unlocked, and whom no run processed.
    pub(super) n_planned_only: u64,
    /// Number of records that a command left, and that no later one processed.
    pub(super) n_left: u64,
    /// Whether the numbers in the manifests fit the rows.
    pub(super) adds_up: bool,
    /// What was done; `None` where the files are of several commands, or it is not known.
    pub(super) kind: Option<CommandKind>,
}

impl Totals {
    pub(super) fn of(facts: &Facts) -> Self {
        let (incident, summary) = (&facts.incident, &facts.incident.summary);
        let adds_up = |stage: &Stage| {
            let stage = &stage.summary;
            stage.n_records == stage.n_rows().saturating_add(stage.n_unprocessed)
        };
        let first = facts.sources.first().and_then(|it| it.kind);
        Self {
            n_records: summary.n_records,
            n_rows: summary.n_rows(),
            n_unprocessed: summary.n_unprocessed,
            n_not_well: summary.counts.n_not_well(),
            n_planned_only: incident.n_planned_only(),
            n_left: incident.stages.iter().map(|stage| stage.n_left).sum(),
            adds_up: incident.stages.iter().all(adds_up),
            kind: first.filter(|_| facts.sources.iter().all(|it| it.kind == first)),
        }
    }

    /// Number of users who are not unlocked although a run was to unlock them.
    pub(super) fn n_open(&self) -> u64 {
        self.n_unprocessed + self.n_planned_only
    }
}
