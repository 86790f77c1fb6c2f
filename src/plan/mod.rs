//! What is left to do is a subtraction: records − invalid − repeated − excluded − done = jobs.
//!
//! The dry run shows this value; the engine eats its jobs. Resume is only a longer [`Done`].

mod done;

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

pub use done::Done;

use crate::model::{Identifier, InputRecord, InvalidIdentifier, Job, Outcome, Records, Row};

/// Every record of the input, sorted into what is to be done and what is not.
#[derive(Debug, Default, PartialEq)]
pub struct Plan {
    /// Whom to ask the API about, in the order of the input; each user at most once.
    pub jobs: Vec<Job>,
    /// The rows of those left out, in the order of the input.
    pub left_out: Vec<Row>,
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
        let mut first_line = HashMap::with_capacity(records.records.len());
        for (index, record) in records.records.iter().enumerate() {
            match record.target(records.kind) {
                Err(why) => plan.invalid(index, record, why, &mut done, now),
                Ok(target) => {
                    if let Some(&line) = first_line.get(&target) {
                        plan.repeated(index, &target, line, &mut done, now);
                    } else {
                        first_line.insert(target.clone(), record.line);
                        plan.first(index, target, excluded, &mut done, now);
                    }
                }
            }
        }
        plan.n_rows_without_record = done.n_rows() - plan.recorded.len() as u64;
        plan
    }

    fn invalid(
        &mut self,
        index: usize,
        record: &InputRecord,
        why: InvalidIdentifier,
        done: &mut Done,
        now: SystemTime,
    ) {
        if done.take_invalid(&record.cell) {
            self.recorded.push(index);
            return;
        }
        self.left_out.push(Row {
            error_code: Some("invalid_input".into()),
            error_message: Some(why.to_string()),
            ..Row::unasked(index, Outcome::Invalid, now)
        });
    }

    fn repeated(
        &mut self,
        index: usize,
        target: &Identifier,
        line: u64,
        done: &mut Done,
        now: SystemTime,
    ) {
        if done.take_duplicate(target) {
            self.recorded.push(index);
            return;
        }
        self.left_out
            .push(Row { user_id: target.user_id().cloned(), ..duplicate_of(index, line, now) });
    }

    fn first(
        &mut self,
        index: usize,
        target: Identifier,
        excluded: &HashSet<Identifier>,
        done: &mut Done,
        now: SystemTime,
    ) {
        if done.take_settled(&target) {
            self.recorded.push(index);
        } else if excluded.contains(&target) {
            self.left_out.push(Row {
                user_id: target.user_id().cloned(),
                ..Row::unasked(index, Outcome::Excluded, now)
            });
        } else {
            self.jobs.push(Job { record: index, target });
        }
    }
}

/// The row of a record whose user stands on an earlier line.
pub fn duplicate_of(record: usize, line: u64, now: SystemTime) -> Row {
    Row {
        error_message: Some(format!("the same user stands on line {line}")),
        ..Row::unasked(record, Outcome::Duplicate, now)
    }
}

#[cfg(test)]
mod tests;
