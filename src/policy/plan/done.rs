//! What an earlier run recorded: a set, never a position.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use super::places::PlacesByUser;
use crate::model::{Identifier, IdentifierKind, Outcome, Records, TargetKey, UserId};

/// What an earlier run recorded.
///
/// Users are matched by identity, on whatever line they stand now. An `invalid` row is matched by
/// its cell, each row once. A `duplicate` row says nothing about its user: it stands for one more
/// record of that user and never for the one whose own row may still be missing. Of several records
/// that a row may stand for, the one on the row's own line is taken.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// The record that becomes each user's job; `None` until it is needed.
    own: Option<PlacesByUser>,
    /// By the places of these records: the line of the row that settled the user. [`NO_LINE`] where
    /// no row did, empty where no row settled a user.
    settled: Vec<u64>,
    duplicates: Lines<Identifier>,
    invalid: Lines<Arc<str>>,
    users: HashMap<UserId, u64>,
    exclusions: Vec<String>,
    n_rows: u64,
}

/// No line, and no line that a file could have.
const NO_LINE: u64 = u64::MAX;

impl Done {
    /// Takes note of one recorded row.
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
                self.invalid.note(Arc::clone(input), line);
            }
            (Some(target), Outcome::Duplicate) if !by_second_name => {
                self.duplicates.note(target, line);
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
    pub(super) fn own_place(&mut self, records: &Records, target: &Identifier) -> Option<usize> {
        let own = self.own.get_or_insert_with(|| PlacesByUser::of(records));
        own.find(records, &TargetKey::of(target))
    }

    /// Makes the record whose row was recorded its user's own, in place of the first.
    pub(super) fn choose_own_records(&mut self, records: &Records) {
        let Some(own) = self.own.as_mut().filter(|_| !self.settled.is_empty()) else { return };
        for (place, record) in records.records.iter().enumerate() {
            if let Some(key) = records.key(place)
                && let Some(first) = own.find(records, &key)
                && first != place
                && self.settled[first] == record.line()
            {
                own.replace(records, &key, place);
                self.settled.swap(first, place);
            }
        }
    }

    /// Takes note of the message of an `excluded` row: it names the entry that matched.
    pub fn note_exclusion(&mut self, message: &str) {
        self.exclusions.push(message.to_owned());
    }

    pub(super) fn exclusions(&self) -> &[String] {
        &self.exclusions
    }

    /// How many rows were noted.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The users that were found by another identifier, each with the line that named it first.
    pub fn users(&self) -> &HashMap<UserId, u64> {
        &self.users
    }

    /// Takes the row of the user whose own record is at this place.
    pub(super) fn take_settled(&mut self, place: usize) -> bool {
        let settled = self.settled.get_mut(place);
        settled.is_some_and(|line| std::mem::replace(line, NO_LINE) != NO_LINE)
    }

    /// `is_held` returns whether a record on that line will claim the same row.
    pub(super) fn take_duplicate(
        &mut self,
        target: &Identifier,
        line: u64,
        is_held: impl Fn(u64) -> bool,
    ) -> bool {
        self.duplicates.take(target, line, is_held)
    }

    /// `is_held` returns whether a record on that line will claim the same row.
    pub(super) fn take_invalid(
        &mut self,
        cell: &str,
        line: u64,
        is_held: impl Fn(u64) -> bool,
    ) -> bool {
        self.invalid.take(cell, line, is_held)
    }
}

/// The lines of rows that stand for one record each, by what the records have in common.
#[derive(Clone, Debug)]
struct Lines<K>(HashMap<K, Vec<u64>>);

impl<K> Default for Lines<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Hash + Eq> Lines<K> {
    fn note(&mut self, key: K, line: u64) {
        self.0.entry(key).or_default().push(line);
    }

    /// Takes the row of that line, or else one that no other record will claim: the input was
    /// edited since.
    fn take<Q: Hash + Eq + ?Sized>(
        &mut self,
        key: &Q,
        line: u64,
        is_held: impl Fn(u64) -> bool,
    ) -> bool
    where
        K: Borrow<Q>,
    {
        let Some(lines) = self.0.get_mut(key) else { return false };
        let own = lines.iter().position(|&it| it == line);
        let place = own.or_else(|| lines.iter().position(|&it| !is_held(it)));
        place.map(|place| lines.swap_remove(place)).is_some()
    }
}
