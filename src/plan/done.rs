//! What an earlier run has recorded: a set, never a position.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{Identifier, IdentifierKind, Outcome, UserId};

/// What an earlier run has recorded.
///
/// Users are matched by who they are. An `invalid` row is matched by what stood in the cell, each
/// row once. A `duplicate` row says nothing about its user: it stands for one more record of that
/// user and never for the first, whose own row may be missing yet.
#[derive(Clone, Debug, Default)]
pub struct Done {
    settled: HashSet<Identifier>,
    duplicates: HashMap<Identifier, u32>,
    invalid: HashMap<Arc<str>, u32>,
    users: HashMap<UserId, u64>,
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
        // Only a look-up can find a user under a second name, and only then does the row know who.
        let is_looked_up = kind != IdentifierKind::UserId && user_id.is_some();
        let by_second_name = outcome == Outcome::Duplicate && is_looked_up;
        let target = match (kind, user_id) {
            (IdentifierKind::UserId, Some(id)) => Some(Identifier::UserId(id.clone())),
            _ => Identifier::parse(kind, input).ok(),
        };
        match (target, outcome) {
            (None, _) | (_, Outcome::Invalid) => {
                *self.invalid.entry(Arc::clone(input)).or_default() += 1;
            }
            (Some(target), Outcome::Duplicate) if !by_second_name => {
                *self.duplicates.entry(target).or_default() += 1;
            }
            (Some(target), _) => {
                self.settled.insert(target);
            }
        }
        // The user of a duplicate has a row of its own, or is still to get it.
        if let Some(id) = user_id.filter(|_| is_looked_up && outcome != Outcome::Duplicate) {
            self.users.entry(id.clone()).or_insert(line);
        }
    }

    /// How many rows were noted.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// The users that were found by another identifier, each with the line that named it first.
    pub fn users(&self) -> &HashMap<UserId, u64> {
        &self.users
    }

    pub(super) fn take_settled(&mut self, target: &Identifier) -> bool {
        self.settled.remove(target)
    }

    pub(super) fn take_duplicate(&mut self, target: &Identifier) -> bool {
        take_one(&mut self.duplicates, target)
    }

    pub(super) fn take_invalid(&mut self, cell: &Arc<str>) -> bool {
        take_one(&mut self.invalid, cell)
    }
}

fn take_one<K: std::hash::Hash + Eq>(counts: &mut HashMap<K, u32>, key: &K) -> bool {
    match counts.get_mut(key) {
        Some(0) | None => false,
        Some(count) => {
            *count -= 1;
            true
        }
    }
}
