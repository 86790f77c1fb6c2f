//! The final state of each user of several files: the latest row counts, whichever command wrote it.

use std::collections::HashMap;

use super::finished_files::Detail;
use crate::model::{Outcome, Row};
use crate::report::page::FinalRow;

/// The final state of each user. Of a single file all rows are kept, or none where only their
/// counts are wanted.
pub(super) struct FinalStates {
    is_single: bool,
    keeps_rows: bool,
    /// `None` where the row of another name of the same user replaced it.
    rows: Vec<Option<FinalRow>>,
    /// By instance, and by user ID or cell of the input.
    by_name: HashMap<(usize, String), usize>,
}

impl FinalStates {
    /// For this number of files.
    pub(super) fn new(n_files: usize, detail: Detail) -> Self {
        Self {
            is_single: n_files == 1,
            keeps_rows: detail != Detail::Counts,
            rows: Vec::new(),
            by_name: HashMap::new(),
        }
    }

    /// Adds a row. Files are added in order of time. `instance` distinguishes users of different
    /// instances, `origin` records without a user in different inputs.
    pub(super) fn add(&mut self, instance: usize, origin: &str, row: FinalRow) {
        if self.is_single {
            self.rows.extend(self.keeps_rows.then_some(Some(row)));
            return;
        }
        // The user has another row.
        if row.row.outcome == Outcome::Duplicate {
            return;
        }
        let names = names(&row.row, origin);
        let mut known: Vec<usize> =
            names.iter().filter_map(|it| self.find(instance, it, &row)).collect();
        known.dedup();
        let mut latest = row;
        for &at in &known {
            if let Some(other) = self.rows[at].take()
                && !is_later(&latest, &other)
            {
                latest = other;
            }
        }
        let at = known.first().copied().unwrap_or(self.rows.len());
        let later_names = self::names(&latest.row, origin);
        match self.rows.get_mut(at) {
            Some(place) => *place = Some(latest),
            None => self.rows.push(Some(latest)),
        }
        for name in names.into_iter().chain(later_names) {
            self.by_name.insert((instance, name), at);
        }
    }

    /// The row of a user of this name, unless both are known by different IDs.
    fn find(&self, instance: usize, name: &str, new: &FinalRow) -> Option<usize> {
        let at = *self.by_name.get(&(instance, name.to_owned()))?;
        let known = self.rows[at].as_ref()?;
        let ids = (&known.row.user_id, &new.row.user_id);
        let is_same = !matches!(ids, (Some(one), Some(other)) if one != other);
        is_same.then_some(at)
    }

    /// The final row of a user of this name.
    pub(super) fn get(&self, instance: usize, name: &str) -> Option<&FinalRow> {
        let at = *self.by_name.get(&(instance, name.to_owned()))?;
        self.rows[at].as_ref()
    }

    /// All final rows.
    pub(super) fn finish(self) -> Vec<FinalRow> {
        self.rows.into_iter().flatten().collect()
    }
}

/// The names of the user of a row, the most reliable first. A cell without a user is identified by
/// its place.
fn names(row: &Row, origin: &str) -> Vec<String> {
    if row.outcome == Outcome::Invalid || row.input.is_empty() && row.user_id.is_none() {
        return vec![format!("{origin}\n{}", row.line)];
    }
    let mut names: Vec<String> = row.user_id.iter().map(ToString::to_string).collect();
    if !row.input.is_empty() && names.first().is_none_or(|id| **id != *row.input) {
        names.push(row.input.to_string());
    }
    names
}

/// Whether the new row replaces the old one. An exclusion does not replace another state. Neither
/// does a later plan that finds a user unlocked: the run unlocked them.
fn is_later(new: &FinalRow, old: &FinalRow) -> bool {
    let outcomes = (old.row.outcome, new.row.outcome);
    if let (Outcome::Unlocked | Outcome::StillUnlocked, Outcome::AlreadyUnlocked) = outcomes {
        return false;
    }
    if let (Outcome::AlreadyUnlocked, Outcome::Unlocked | Outcome::StillUnlocked) = outcomes {
        return true;
    }
    let rank = |row: &FinalRow| (row.row.outcome != Outcome::Excluded, row.row.finished_at);
    rank(new) >= rank(old)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Reader;

    fn row(source: usize, input: &str, user_id: &str, outcome: &str, second: u32) -> FinalRow {
        let header = crate::results::format::COLUMNS.join(",");
        let at = format!("2026-07-07T03:00:{second:02}Z");
        let text =
            format!("{header}\n2,{input},{user_id},{outcome},200,,,1,5,{at}{}\n", ",".repeat(14));
        let mut reader = Reader::new(text.as_bytes(), "r.csv".as_ref()).unwrap();
        FinalRow { source, row: reader.next().unwrap().unwrap() }
    }

    #[track_caller]
    fn check(rows: &[(&str, &str, &str, u32)], expected: &[&str]) {
        let mut states = FinalStates::new(2, Detail::Ids);
        for (source, (input, id, outcome, second)) in rows.iter().enumerate() {
            states.add(0, "list", row(source, input, id, outcome, *second));
        }
        let found: Vec<_> = states.finish().iter().map(|it| it.row.outcome.code()).collect();
        assert_eq!(found, expected, "{rows:?}");
    }

    #[test]
    fn the_latest_row_of_a_user_counts_whichever_file_comes_first() {
        check(
            &[("user_a", "user_a", "failed", 1), ("user_a", "user_a", "unlocked", 2)],
            &["unlocked"],
        );
        check(
            &[("user_a", "user_a", "unlocked", 2), ("user_a", "user_a", "failed", 1)],
            &["unlocked"],
        );
        check(
            &[("user_a", "user_a", "failed", 1), ("user_a", "user_a", "unlocked", 1)],
            &["unlocked"],
        );
        check(
            &[("user_a", "user_a", "failed", 1), ("user_b", "user_b", "unlocked", 2)],
            &["failed", "unlocked"],
        );
    }

    #[test]
    fn a_user_without_an_id_is_found_by_the_cell() {
        check(&[("a@x.org", "", "failed", 1), ("a@x.org", "user_a", "unlocked", 2)], &["unlocked"]);
        check(
            &[("7", "user_a", "unlocked", 1), ("7", "user_b", "unlocked", 2)],
            &["unlocked", "unlocked"],
        );
        check(
            &[
                ("a@x.org", "", "failed", 1),
                ("user_a", "user_a", "would_unlock", 2),
                ("a@x.org", "user_a", "unlocked", 3),
            ],
            &["unlocked"],
        );
    }

    #[test]
    fn a_duplicate_is_no_state_and_an_exclusion_only_the_first() {
        check(
            &[("user_a", "user_a", "unlocked", 1), ("user_a", "user_a", "duplicate", 2)],
            &["unlocked"],
        );
        check(
            &[("user_a", "user_a", "unlocked", 1), ("user_a", "user_a", "excluded", 2)],
            &["unlocked"],
        );
        check(&[("user_a", "user_a", "excluded", 1)], &["excluded"]);
    }

    #[test]
    fn the_same_blank_record_of_one_list_is_counted_once() {
        check(&[("", "", "invalid", 1), ("", "", "invalid", 2)], &["invalid"]);
    }
}
