//! Which rows the page shows: those that did not end well first.

use crate::model::Outcome;
use crate::report::text::clipped;

use super::{Rows, TableRow};

/// The rows to be shown, at most [`Rows::MAX_SHOWN`] whatever comes.
#[derive(Debug, Default)]
pub(super) struct Shown {
    unwell: Vec<TableRow>,
    well: Vec<TableRow>,
}

/// Nothing longer is kept of a text, in characters.
const MAX_TEXT: usize = 200;

impl Shown {
    pub(super) fn add(&mut self, row: TableRow) {
        let is_full = self.unwell.len() + self.well.len() >= Rows::MAX_SHOWN;
        if row.outcome.ended_well() {
            if !is_full {
                self.well.push(trimmed(row));
            }
        } else if !is_full || self.well.pop().is_some() {
            self.unwell.push(trimmed(row));
        }
    }

    pub(super) fn finish(mut self) -> Vec<TableRow> {
        self.unwell.append(&mut self.well);
        let mut rows = self.unwell;
        rows.sort_by_key(|row| {
            (row.outcome.ended_well(), place(row.outcome), row.source, row.line)
        });
        rows
    }
}

/// Where summaries name it.
fn place(outcome: Outcome) -> Option<usize> {
    Outcome::ALL.into_iter().position(|it| it == outcome)
}

fn trimmed(mut row: TableRow) -> TableRow {
    row.input = clipped(&row.input, MAX_TEXT);
    let texts = [
        &mut row.error_code,
        &mut row.error_message,
        &mut row.username,
        &mut row.email,
        &mut row.first_name,
        &mut row.last_name,
    ];
    for text in texts.into_iter().flatten() {
        *text = clipped(text, MAX_TEXT);
    }
    row
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(line: u64, outcome: Outcome) -> TableRow {
        TableRow::new(0, line, outcome)
    }

    #[test]
    fn what_did_not_end_well_comes_first_whenever_it_came() {
        let rows: Rows = [
            row(4, Outcome::Duplicate),
            row(3, Outcome::Unlocked),
            row(9, Outcome::Failed),
            row(1, Outcome::Unlocked),
            row(2, Outcome::NotFound),
        ]
        .into_iter()
        .collect();
        let lines: Vec<_> = rows.shown.iter().map(|row| row.line).collect();
        assert_eq!(lines, [2, 9, 1, 3, 4]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn a_row_that_ended_well_is_shown_only_where_none_that_did_not_is_left_out(
            n_early in 0u64..6_000, n_well in 0u64..6_000, n_late in 0u64..6_000,
        ) {
            let of = |n, outcome| (0..n).map(move |line| row(line, outcome));
            let rows: Rows = of(n_early, Outcome::Failed)
                .chain(of(n_well, Outcome::Unlocked))
                .chain(of(n_late, Outcome::Gone))
                .collect();
            let n_unwell = rows.shown.iter().filter(|row| !row.outcome.ended_well()).count() as u64;
            let n_shown = rows.shown.len() as u64;
            prop_assert_eq!(n_shown, (n_early + n_well + n_late).min(5_000));
            prop_assert_eq!(n_unwell, (n_early + n_late).min(5_000));
        }
    }

    #[test]
    fn a_huge_cell_is_cut() {
        let huge = TableRow { input: "é".repeat(100_000), ..row(1, Outcome::Invalid) };
        let rows: Rows = [huge].into_iter().collect();
        assert_eq!(rows.shown[0].input.chars().count(), MAX_TEXT);
    }
}
