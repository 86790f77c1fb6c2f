//! The jobs of a run are a set difference: records − invalid − repeated − excluded − done.
//!
//! Resume is the same with a longer [`Done`].

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::SystemTime;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::exclude::ExcludeList;
use crate::model::{
    Identifier, IdentifierKind, InputRecord, Outcome, Records, Row, TargetKey, UserId,
};

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
    pub recorded: Vec<u32>,
    /// Rows of an earlier run whose records are no longer in the input.
    pub n_rows_without_record: u64,
}

impl Plan {
    /// Sorts the records.
    ///
    /// `done` is what an earlier run recorded, added for these records; each of its rows counts for
    /// one record at most. `now` is the time in the rows of the records that need no request.
    pub fn build(
        records: &Records,
        excluded: &ExcludeList,
        mut done: Done,
        now: SystemTime,
    ) -> Self {
        done.exclusions.iter().for_each(|message| excluded.mark_recorded(message));
        done.choose_own_records(records);
        let by_line = if done.n_rows > 0 { places_by_line(records) } else { Vec::new() };
        let place_on = |line| find_by_line(records, &by_line, line);
        let mut plan = Self::default();
        for (place, record) in records.records.iter().enumerate() {
            let target = match records.target(place) {
                Ok(target) => target,
                Err(why) => {
                    let cell = record.cell();
                    let is_claimed =
                        |line| place_on(line).is_some_and(|it| records.records[it].cell() == cell);
                    if take(done.invalid.get_mut(&*cell), record.line(), is_claimed) {
                        plan.recorded.push(stored(place));
                    } else {
                        let row = Row {
                            error_code: Some("invalid_input".into()),
                            error_message: Some(why.to_string()),
                            ..Row::new(record, Outcome::Invalid, now)
                        };
                        plan.left_out.push((place, row));
                    }
                    continue;
                }
            };
            let own_place = done.own_place(records, &target);
            if let Some(own_place) = own_place.filter(|own_place| *own_place != place) {
                let own_line = records.records[own_place].line();
                let is_claimed = |line| {
                    let is_same = |it| records.target(it).as_ref() == Ok(&target);
                    line != own_line && place_on(line).is_some_and(is_same)
                };
                if take(done.duplicates.get_mut(&target), record.line(), is_claimed) {
                    plan.recorded.push(stored(place));
                } else {
                    let user_id = target.user_id().cloned();
                    let row = Row { user_id, ..duplicate_of(record, own_line, now) };
                    plan.left_out.push((place, row));
                }
                continue;
            }
            // The cell names the user too where an earlier job looked it up.
            let by_cell = record.user().and_then(|_| excluded.find_text(&record.cell()));
            let exclusion = excluded.find_identifier(&target).or(by_cell);
            if done.take_settled(place) {
                plan.recorded.push(stored(place));
            } else if let Some(exclusion) = exclusion {
                let row = Row {
                    user_id: target.user_id().cloned(),
                    error_message: Some(exclusion.to_string()),
                    ..Row::new(record, Outcome::Excluded, now)
                };
                plan.left_out.push((place, row));
            } else {
                plan.jobs.push(stored(place));
            }
        }
        plan.n_rows_without_record = done.n_rows - plan.recorded.len() as u64;
        plan
    }
}

/// The row of a record with the same user as on an earlier line.
pub fn duplicate_of(record: &InputRecord, line: u64, now: SystemTime) -> Row {
    Row {
        error_message: Some(format!("the same user is on line {line}")),
        ..Row::new(record, Outcome::Duplicate, now)
    }
}

/// What an earlier run recorded.
///
/// Users are matched by identity, on whatever line they stand now. An `invalid` row is matched by
/// its cell, each row once. A `duplicate` row counts for one more record of its user, and never for
/// the record whose own row may still be missing. Of several records that a row may count for, the
/// one on the row's own line is taken.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The record that becomes each user's job; `None` until it is needed.
    own: Option<PlacesByUser>,
    /// By the places of these records: the line of the row that settled the user. [`NO_LINE`] where
    /// no row did, empty where no row settled a user.
    settled: Vec<u64>,
    /// The lines of `duplicate` rows, each of which counts for one record of the user.
    duplicates: HashMap<Identifier, Vec<u64>>,
    /// The lines of `invalid` rows, by their cells.
    invalid: HashMap<Arc<str>, Vec<u64>>,
    users: HashMap<UserId, u64>,
    exclusions: Vec<String>,
    n_rows: u64,
}

/// No line, and no line that a file could have.
const NO_LINE: u64 = u64::MAX;

impl Done {
    /// Adds one recorded row.
    ///
    /// `records` is the input of the plan, the same for all rows; `input` is the canonical cell that
    /// the row repeats, `line` its line.
    pub fn note(
        &mut self,
        records: &Records,
        line: u64,
        input: &Arc<str>,
        user_id: Option<&UserId>,
        outcome: Outcome,
    ) {
        self.n_rows += 1;
        let kind = records.kind;
        // Only a look-up finds a user under a second name, and only then does the row name the user.
        let is_looked_up = kind != IdentifierKind::UserId && user_id.is_some();
        let by_second_name = outcome == Outcome::Duplicate && is_looked_up;
        let target = match (kind, user_id) {
            (IdentifierKind::UserId, Some(id)) => Some(Identifier::UserId(id.clone())),
            _ => Identifier::parse(kind, input).ok(),
        };
        match (target, outcome) {
            (None, _) | (_, Outcome::Invalid) => {
                self.invalid.entry(Arc::clone(input)).or_default().push(line);
            }
            (Some(target), Outcome::Duplicate) if !by_second_name => {
                self.duplicates.entry(target).or_default().push(line);
            }
            (Some(target), _) => self.settle(records, &target, line),
        }
        // The user of a duplicate has a row of its own, or will get one.
        if let Some(id) = user_id.filter(|_| is_looked_up && outcome != Outcome::Duplicate) {
            self.users.entry(id.clone()).or_insert(line);
        }
    }

    /// A user who is no longer in the input is only counted.
    fn settle(&mut self, records: &Records, target: &Identifier, line: u64) {
        let Some(place) = self.own_place(records, target) else { return };
        if self.settled.is_empty() {
            self.settled = vec![NO_LINE; records.records.len()];
        }
        let settled = &mut self.settled[place];
        if *settled == NO_LINE {
            *settled = line.min(NO_LINE - 1);
        }
    }

    /// The place of the record that becomes this user's job.
    fn own_place(&mut self, records: &Records, target: &Identifier) -> Option<usize> {
        let own = self.own.get_or_insert_with(|| PlacesByUser::of(records));
        own.find(records, &TargetKey::of(target)).map(|place| *place as usize)
    }

    /// Assigns each user the record whose row was recorded, instead of the first one.
    fn choose_own_records(&mut self, records: &Records) {
        let Some(own) = self.own.as_mut().filter(|_| !self.settled.is_empty()) else { return };
        for (place, record) in records.records.iter().enumerate() {
            let key = records.key(place);
            let Some(own) = key.and_then(|key| own.find(records, &key)) else { continue };
            let first = *own as usize;
            if first != place && self.settled[first] == record.line() {
                *own = stored(place);
                self.settled.swap(first, place);
            }
        }
    }

    /// Adds the message of an `excluded` row, which names the entry that matched.
    pub fn note_exclusion(&mut self, message: &str) {
        self.exclusions.push(message.to_owned());
    }

    /// How many rows were added.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The users that were found by another identifier, each with the line that named it first.
    pub fn users(&self) -> &HashMap<UserId, u64> {
        &self.users
    }

    /// Takes the row of the user whose own record is at this place.
    fn take_settled(&mut self, place: usize) -> bool {
        let settled = self.settled.get_mut(place);
        settled.is_some_and(|line| std::mem::replace(line, NO_LINE) != NO_LINE)
    }
}

/// Takes the row of that line, or else one that no record claims by its line: the input was edited
/// since.
fn take(lines: Option<&mut Vec<u64>>, line: u64, is_claimed: impl Fn(u64) -> bool) -> bool {
    let Some(lines) = lines else { return false };
    let own = lines.iter().position(|&it| it == line);
    let index = own.or_else(|| lines.iter().position(|&it| !is_claimed(it)));
    index.map(|index| lines.swap_remove(index)).is_some()
}

/// The place of one record of each user. An input may have millions of records, so nothing but
/// their places is kept.
#[derive(Clone, Debug)]
struct PlacesByUser {
    hasher: RandomState,
    table: HashTable<u32>,
}

impl PlacesByUser {
    /// The first record of each user.
    fn of(records: &Records) -> Self {
        let hasher = RandomState::new();
        let mut table = HashTable::with_capacity(records.records.len());
        for place in 0..records.records.len() {
            let Some(key) = records.key(place) else { continue };
            let is_same = |&it: &u32| records.key(it as usize).as_ref() == Some(&key);
            let hash_of = |&it: &u32| hasher.hash_one(records.key(it as usize));
            // As `hash_of` hashes it.
            let hash = hasher.hash_one(Some(&key));
            if let Entry::Vacant(entry) = table.entry(hash, is_same, hash_of) {
                entry.insert(stored(place));
            }
        }
        Self { hasher, table }
    }

    fn find(&mut self, records: &Records, key: &TargetKey) -> Option<&mut u32> {
        let is_same = |&it: &u32| records.key(it as usize).as_ref() == Some(key);
        self.table.find_mut(self.hasher.hash_one(Some(key)), is_same)
    }
}

/// The places of all records, by line.
fn places_by_line(records: &Records) -> Vec<u32> {
    let mut places: Vec<u32> = (0..records.records.len()).map(stored).collect();
    places.sort_unstable_by_key(|&place| (records.records[place as usize].line(), place));
    places
}

/// The place of the last record on this line.
fn find_by_line(records: &Records, by_line: &[u32], line: u64) -> Option<usize> {
    let line_of = |place: u32| records.records[place as usize].line();
    let end = by_line.partition_point(|&place| line_of(place) <= line);
    let last = by_line[..end].last().filter(|&&place| line_of(place) == line);
    last.map(|&place| place as usize)
}

/// A place as it is stored where an input may have millions of them.
fn stored(place: usize) -> u32 {
    u32::try_from(place).expect("four billion records do not fit into memory")
}

#[cfg(test)]
mod tests;
