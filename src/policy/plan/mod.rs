//! What is left to do is a subtraction: records − invalid − repeated − excluded − done = jobs.
//!
//! The dry run shows this value; the engine eats its jobs. Resume is only a longer [`Done`].

mod done;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

pub use done::Done;

use crate::model::{Identifier, InputRecord, InvalidIdentifier, Job, Outcome, Records, Row};

/// Every record of the input, sorted into what is to be done and what is not.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Whom to ask the API about, in the order of the input; each user at most once.
    pub jobs: Vec<Job>,
    /// The rows of those left out, each with the index of its record, in the order of the input.
    pub left_out: Vec<(usize, Row)>,
    /// The records that an earlier run has recorded, by their place in the input.
    pub recorded: Vec<usize>,
    /// Rows of an earlier run whose records are no longer in the input.
    pub n_rows_without_record: u64,
}

impl Plan {
    /// Sorts the records.
    ///
    /// `done` is what an earlier run has recorded; each of its rows stands for one record at most.
    /// `now` is written into the rows of those left out.
    pub fn build(
        records: &Records,
        excluded: &HashSet<Identifier>,
        mut done: Done,
        now: SystemTime,
    ) -> Self {
        let mut plan = Self::default();
        let index = Index::of(records, &done);
        for (place, record) in records.records.iter().enumerate() {
            match record.target(records.kind) {
                Err(why) => plan.invalid(place, record, why, &index, &mut done, now),
                Ok(target) => match index.of_the_user(&target) {
                    Some((its_place, line)) if its_place != place => {
                        plan.repeated((place, record), &target, line, &index, &mut done, now);
                    }
                    _ => plan.first((place, record), target, excluded, &mut done, now),
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
        index: &Index,
        done: &mut Done,
        now: SystemTime,
    ) {
        let is_held = |line| index.says(line, &record.cell);
        if done.take_invalid(&record.cell, record.line, is_held) {
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
        index: &Index,
        done: &mut Done,
        now: SystemTime,
    ) {
        let is_held = |other| other != line && index.names(other, target);
        if done.take_duplicate(target, record.line, is_held) {
            self.recorded.push(place);
            return;
        }
        let user_id = target.user_id().cloned();
        self.left_out.push((place, Row { user_id, ..duplicate_of(record, line, now) }));
    }

    fn first(
        &mut self,
        (place, record): (usize, &InputRecord),
        target: Identifier,
        excluded: &HashSet<Identifier>,
        done: &mut Done,
        now: SystemTime,
    ) {
        if done.take_settled(&target) {
            self.recorded.push(place);
        } else if excluded.contains(&target) {
            let user_id = target.user_id().cloned();
            self.left_out
                .push((place, Row { user_id, ..Row::new(record, Outcome::Excluded, now) }));
        } else {
            self.jobs.push(Job { record: place, target });
        }
    }
}

/// Which record is a user's own, and what stands on which line.
struct Index {
    /// The place and the line of the record that becomes the user's job: the one whose row an
    /// earlier run recorded, else the first.
    own: HashMap<Identifier, (usize, u64)>,
    /// What stands on the lines, where an earlier run recorded anything at all.
    cells: HashMap<u64, (Arc<str>, Option<Identifier>)>,
}

impl Index {
    fn of(records: &Records, done: &Done) -> Self {
        let mut own = HashMap::with_capacity(records.records.len());
        let mut cells = HashMap::new();
        for (place, record) in records.records.iter().enumerate() {
            let target = record.target(records.kind).ok();
            if done.n_rows() > 0 {
                cells.insert(record.line, (Arc::clone(&record.cell), target.clone()));
            }
            let Some(target) = target else { continue };
            if done.line_of(&target) == Some(record.line) {
                own.insert(target, (place, record.line));
            } else {
                own.entry(target).or_insert((place, record.line));
            }
        }
        Self { own, cells }
    }

    fn of_the_user(&self, target: &Identifier) -> Option<(usize, u64)> {
        self.own.get(target).copied()
    }

    fn says(&self, line: u64, cell: &Arc<str>) -> bool {
        self.cells.get(&line).is_some_and(|(text, _)| text == cell)
    }

    fn names(&self, line: u64, target: &Identifier) -> bool {
        self.cells.get(&line).is_some_and(|(_, it)| it.as_ref() == Some(target))
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
