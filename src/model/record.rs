//! The records of an input, and the jobs they may become.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Identifier, IdentifierKind, InvalidIdentifier, UserId};

/// One record of the input. Every one of them ends as exactly one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRecord {
    /// The record's first line in the input, 1-based.
    pub line: u64,
    /// The cell that names the user, canonical (see [`canonical_cell`](super::canonical_cell));
    /// empty where the record has no such cell.
    pub cell: Arc<str>,
    /// The user, where an earlier job of this program looked it up.
    pub user: Option<UserId>,
    /// The carried cells, in the order of [`Records::carried`]; as long as that.
    pub carried: Box<[Box<str>]>,
}

/// The whole input, read and checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    /// The records, in the order of the input.
    pub records: Vec<InputRecord>,
    /// What the column holds.
    pub kind: IdentifierKind,
    /// The header of the column that names the users, as written; `None` where there was none.
    pub header: Option<String>,
    /// The headers of the carried columns, as written.
    pub carried: Vec<String>,
    /// The places of the records that repeat the header of the users' column: they name nobody.
    pub repeated_headers: BTreeSet<usize>,
}

impl Records {
    /// Whom the record at this place is about: the user who is known, or the one its cell names.
    ///
    /// # Errors
    ///
    /// When the cell cannot be a user of the column's kind, or repeats the column's header.
    ///
    /// # Panics
    ///
    /// When there is no such place.
    pub fn target(&self, place: usize) -> Result<Identifier, InvalidIdentifier> {
        let record = &self.records[place];
        match &record.user {
            Some(user) => Ok(Identifier::UserId(user.clone())),
            None if self.repeated_headers.contains(&place) => Err(InvalidIdentifier::Header),
            None => Identifier::parse(self.kind, &record.cell),
        }
    }
}

/// One user to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The place of its record in [`Records::records`].
    pub record: usize,
    /// Whom it is about.
    pub target: Identifier,
}
