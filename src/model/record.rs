//! A line of input, and the job it may become.

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
    /// Who that is, where an earlier job of this program found it out.
    pub user: Option<UserId>,
    /// The carried cells, in the order of [`Records::carried`]; as long as that.
    pub carried: Box<[Box<str>]>,
}

impl InputRecord {
    /// Whom the record is about: the user who is known, or whom its cell names.
    ///
    /// # Errors
    ///
    /// When the cell can't be a user of that kind.
    pub fn target(&self, kind: IdentifierKind) -> Result<Identifier, InvalidIdentifier> {
        match &self.user {
            Some(user) => Ok(Identifier::UserId(user.clone())),
            None => Identifier::parse(kind, &self.cell),
        }
    }
}

/// One column of the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The header as written, trimmed; `None` where the input has none.
    pub header: Option<String>,
    /// Its place, 0-based.
    pub index: usize,
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
}

/// One user to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// The place of its record in [`Records::records`].
    pub record: usize,
    /// Whom it is about.
    pub target: Identifier,
}
