//! What an earlier run recorded: what a run that goes on with it leaves alone.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::{Outcome, UserId};

use super::recorded_row::RecordedRow;

/// What an earlier run recorded, as sets: the place of a record in the input does not matter, so
/// that the input may have been edited meanwhile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// The users with a row that tells their end.
    pub users: HashSet<UserId>,
    /// How many `duplicate` rows a user has.
    pub duplicates: HashMap<UserId, u32>,
    /// How many rows without a user there are for an outcome and an input cell.
    pub unasked: HashMap<(Outcome, Arc<str>), u32>,
    /// Whom an input cell that is not a user's id turned out to be, so that nobody need be looked
    /// up again to know that the record is done.
    pub resolved: HashMap<Arc<str>, UserId>,
    /// How many rows there are.
    pub n_rows: usize,
}

impl Done {
    /// Takes a row into account.
    pub fn add(&mut self, row: &RecordedRow) {
        self.n_rows += 1;
        let Some(user) = &row.user_id else {
            *self.unasked.entry((row.outcome, row.input.as_str().into())).or_default() += 1;
            return;
        };
        if row.input != user.as_str() {
            self.resolved.insert(row.input.as_str().into(), user.clone());
        }
        if row.outcome == Outcome::Duplicate {
            *self.duplicates.entry(user.clone()).or_default() += 1;
        } else {
            self.users.insert(user.clone());
        }
    }
}
