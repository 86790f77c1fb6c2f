//! Takes rows in a stream and keeps little: counts, and at most so many rows as the page shows.

mod durations;
mod errors;
mod shown;

use crate::model::Outcome;
use crate::stats::Counts;

use super::TableRow;
pub(super) use durations::{Durations, Interval};
pub(super) use errors::{ErrorGroups, Example};
use shown::Shown;

/// Takes rows one by one.
#[derive(Debug, Default)]
pub struct Collector {
    rows: Rows,
    shown: Shown,
}

/// What there is to say about all rows, and those of them that the page shows.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    pub(super) counts: Counts,
    /// Rows by number of attempts; the last place is for all above. None is a place too.
    pub(super) attempts: [u64; Rows::MAX_ATTEMPTS + 1],
    pub(super) durations: Durations,
    pub(super) errors: ErrorGroups,
    /// The users whom the plan would unlock and who are banned.
    pub(super) n_banned: u64,
    /// In the order of the page: what did not end well first, then by outcome, file and line.
    pub(super) shown: Vec<TableRow>,
}

impl Rows {
    /// The most rows that the page shows.
    pub const MAX_SHOWN: usize = 5_000;
    /// Numbers of attempts from here on are told as one.
    pub(super) const MAX_ATTEMPTS: usize = 10;

    /// All rows by outcome.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl Collector {
    /// Takes one more row.
    pub fn add(&mut self, row: TableRow) {
        let rows = &mut self.rows;
        rows.counts.add(row.outcome);
        rows.attempts[(row.attempts as usize).min(Rows::MAX_ATTEMPTS)] += 1;
        rows.n_banned += u64::from(row.banned == Some(true) && row.outcome == Outcome::WouldUnlock);
        if row.attempts > 0 {
            rows.durations.add(row.duration);
        }
        rows.errors.add(&row);
        self.shown.add(row);
    }

    /// There are no more rows.
    pub fn finish(self) -> Rows {
        Rows { shown: self.shown.finish(), ..self.rows }
    }
}

impl FromIterator<TableRow> for Rows {
    fn from_iter<T: IntoIterator<Item = TableRow>>(rows: T) -> Self {
        let mut collector = Collector::default();
        rows.into_iter().for_each(|row| collector.add(row));
        collector.finish()
    }
}
