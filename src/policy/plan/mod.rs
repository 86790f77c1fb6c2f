//! The jobs of a run are a set difference: records − invalid − repeated − excluded − done.
//!
//! Resume is the same with a longer [`Done`].

mod done;
mod places;

use std::time::SystemTime;

pub use done::Done;
use places::{PlacesByLine, stored};

use super::exclude::ExcludeList;
use crate::model::{Identifier, InputRecord, InvalidIdentifier, Outcome, Records, Row};

/// Every record of the input: a job, a row, or already recorded.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// The records of the users to call the API for, by their place in the input and in its order;
    /// each user at most once.
    pub jobs: Vec<u32>,
    /// The rows of the records that need no request, each with the index of its record, in the order
    /// of the input.
    pub left_out: Vec<(usize, Row)>,
    /// The records that an earlier run has recorded, by their place in the input.
    pub recorded: Vec<usize>,
    /// Rows of an earlier run whose records are no longer in the input.
    pub n_rows_without_record: u64,
}

impl Plan {
    /// Sorts the records.
    ///
    /// `done` is what an earlier run recorded, noted for these records; each of its rows stands for
    /// one record at most.
    /// `now` is the time in the rows of the records that need no request.
    pub fn build(
        records: &Records,
        excluded: &ExcludeList,
        mut done: Done,
        now: SystemTime,
    ) -> Self {
        done.exclusions().iter().for_each(|message| excluded.mark_recorded(message));
        let mut plan = Self::default();
        done.choose_own_records(records);
        let index = Index::of(records, &done);
        for (place, record) in records.records.iter().enumerate() {
            match records.target(place) {
                Err(why) => plan.invalid(place, record, why, &index, &mut done, now),
                Ok(target) => match done.own_place(records, &target) {
                    Some(own_place) if own_place != place => {
                        let line = records.records[own_place].line();
                        plan.repeated((place, record), &target, line, &index, &mut done, now);
                    }
                    _ => plan.first((place, record), &target, excluded, &mut done, now),
                },
            }
        }
        plan.n_rows_without_record = done.n_rows() - plan.recorded.len() as u64;
        plan
    }

    fn invalid(
        &mut self,
        place: usize,
        record: &InputRecord,
        why: InvalidIdentifier,
        index: &Index<'_>,
        done: &mut Done,
        now: SystemTime,
    ) {
        let cell = record.cell();
        let is_held = |line| index.holds(line, &cell);
        if done.take_invalid(&cell, record.line(), is_held) {
            self.recorded.push(place);
            return;
        }
        let row = Row {
            error_code: Some("invalid_input".into()),
            error_message: Some(why.to_string()),
            ..Row::new(record, Outcome::Invalid, now)
        };
        self.left_out.push((place, row));
    }

    fn repeated(
        &mut self,
        (place, record): (usize, &InputRecord),
        target: &Identifier,
        line: u64,
        index: &Index<'_>,
        done: &mut Done,
        now: SystemTime,
    ) {
        let is_held = |other| other != line && index.names(other, target);
        if done.take_duplicate(target, record.line(), is_held) {
            self.recorded.push(place);
            return;
        }
        let user_id = target.user_id().cloned();
        self.left_out.push((place, Row { user_id, ..duplicate_of(record, line, now) }));
    }

    fn first(
        &mut self,
        (place, record): (usize, &InputRecord),
        target: &Identifier,
        excluded: &ExcludeList,
        done: &mut Done,
        now: SystemTime,
    ) {
        // The cell names the user too where an earlier job looked it up.
        let by_cell = record.user().and_then(|_| excluded.find_text(&record.cell()));
        let exclusion = excluded.find_identifier(target).or(by_cell);
        if done.take_settled(place) {
            self.recorded.push(place);
        } else if let Some(exclusion) = exclusion {
            let row = Row {
                user_id: target.user_id().cloned(),
                error_message: Some(exclusion.to_string()),
                ..Row::new(record, Outcome::Excluded, now)
            };
            self.left_out.push((place, row));
        } else {
            self.jobs.push(stored(place));
        }
    }
}

/// Which record is on which line, where an earlier run recorded anything at all.
struct Index<'a> {
    records: &'a Records,
    by_line: PlacesByLine,
}

impl<'a> Index<'a> {
    fn of(records: &'a Records, done: &Done) -> Self {
        let has_rows = done.n_rows() > 0;
        let by_line = if has_rows { PlacesByLine::of(records) } else { PlacesByLine::default() };
        Self { records, by_line }
    }

    fn holds(&self, line: u64, cell: &str) -> bool {
        let place = self.by_line.find(self.records, line);
        place.is_some_and(|place| self.records.records[place].cell() == cell)
    }

    fn names(&self, line: u64, target: &Identifier) -> bool {
        let place = self.by_line.find(self.records, line);
        place.is_some_and(|place| self.records.target(place).as_ref() == Ok(target))
    }
}

/// The row of a record whose user stands on an earlier line.
pub fn duplicate_of(record: &InputRecord, line: u64, now: SystemTime) -> Row {
    Row {
        error_message: Some(format!("the same user stands on line {line}")),
        ..Row::new(record, Outcome::Duplicate, now)
    }
}

#[cfg(test)]
mod tests;
