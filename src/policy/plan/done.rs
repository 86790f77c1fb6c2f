//! What an earlier run recorded: a set, never a position.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use crate::model::{Identifier, IdentifierKind, Outcome, UserId};

/// What an earlier run recorded.
///
/// Users are matched by identity, on whatever line they stand now. An `invalid` row is matched by
/// its cell, each row once. A `duplicate` row says nothing about its user: it stands for one more
/// record of that user and never for the one whose own row may still be missing. Of several records
/// that a row may stand for, the one on the row's own line is taken.
#[derive(Clone, Debug, Default)]
pub struct Done {
    settled: HashMap<Identifier, u64>,
    duplicates: Lines<Identifier>,
    invalid: Lines<Arc<str>>,
    users: HashMap<UserId, u64>,
    exclusions: Vec<String>,
    n_rows: u64,
}

impl Done {
    /// Takes note of one recorded row.
    ///
    /// `input` is the canonical cell that the row repeats, `line` its line.
    pub fn note(
        &mut self,
        kind: IdentifierKind,
        line: u64,
        input: &Arc<str>,
        user_id: Option<&UserId>,
        outcome: Outcome,
    ) {
        self.n_rows += 1;
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
            (Some(target), _) => {
                self.settled.entry(target).or_insert(line);
            }
        }
        // The user of a duplicate has a row of its own, or will get one.
        if let Some(id) = user_id.filter(|_| is_looked_up && outcome != Outcome::Duplicate) {
            self.users.entry(id.clone()).or_insert(line);
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

    /// The line of the row that settled this user.
    pub(super) fn line_of(&self, target: &Identifier) -> Option<u64> {
        self.settled.get(target).copied()
    }

    pub(super) fn take_settled(&mut self, target: &Identifier) -> bool {
        self.settled.remove(target).is_some()
    }

    /// `is_held` tells whether a record on that line will claim the same row.
    pub(super) fn take_duplicate(
        &mut self,
        target: &Identifier,
        line: u64,
        is_held: impl Fn(u64) -> bool,
    ) -> bool {
        self.duplicates.take(target, line, is_held)
    }

    /// `is_held` tells whether a record on that line will claim the same row.
    pub(super) fn take_invalid(
        &mut self,
        cell: &Arc<str>,
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
    fn take(&mut self, key: &K, line: u64, is_held: impl Fn(u64) -> bool) -> bool {
        let Some(lines) = self.0.get_mut(key) else { return false };
        let own = lines.iter().position(|&it| it == line);
        let place = own.or_else(|| lines.iter().position(|&it| !is_held(it)));
        place.map(|place| lines.swap_remove(place)).is_some()
    }
}
