//! Which column holds the users.

use std::fmt;
use std::sync::Arc;

use super::columns::shortened;
use super::{ColumnChoice, Columns, Error, header, sidecar};
use crate::model::{Identifier, IdentifierKind};

/// Where the users stand. Shows so that it goes on from "users are read from ".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserColumn {
    /// A column with a header; the first record is that header.
    Named {
        /// The header as written, trimmed.
        header: String,
        /// The column's place, 0-based.
        index: usize,
    },
    /// A column of an input without a header.
    Numbered {
        /// The column's place, 0-based.
        index: usize,
    },
    /// There is one column and no header.
    PlainList,
}

impl UserColumn {
    /// Its header, where it has one.
    pub fn header(&self) -> Option<&str> {
        match self {
            Self::Named { header, .. } => Some(header),
            Self::Numbered { .. } | Self::PlainList => None,
        }
    }

    /// Its place, 0-based.
    pub fn index(&self) -> usize {
        match *self {
            Self::Named { index, .. } | Self::Numbered { index } => index,
            Self::PlainList => 0,
        }
    }

    pub(super) fn named(headers: &[String], index: usize) -> Self {
        Self::Named { header: headers.get(index).cloned().unwrap_or_default(), index }
    }
}

impl fmt::Display for UserColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { header, index } => {
                write!(f, "column {}, \"{}\"", index + 1, shortened(header))
            }
            Self::Numbered { index } => write!(f, "column {} (there is no header)", index + 1),
            Self::PlainList => f.write_str("a plain list, one a line"),
        }
    }
}

/// What is looked for in the first record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) kind: IdentifierKind,
    pub(super) column: Option<&'a ColumnChoice>,
    /// A user id is as good as an identifier of the kind.
    pub(super) or_user_id: bool,
}

impl Wanted<'_> {
    /// Finds the column of the users by the first record.
    pub(super) fn choose(&self, name: &str, first: &[String]) -> Result<UserColumn, Error> {
        let (name, columns) = (name.to_owned(), || Columns::of(first));
        match self.column {
            Some(ColumnChoice::Name(wanted)) => header::find_named(first, wanted)
                .map(|index| UserColumn::named(first, index))
                .ok_or_else(|| {
                    let wanted = wanted.clone();
                    Error::UnknownColumn { name, wanted, columns: columns() }
                }),
            Some(&ColumnChoice::Number(number)) => self
                .numbered(number, first)
                .or_else(|| named_by_number(number, first))
                .ok_or_else(|| Error::NoSuchNumber { name, number, columns: columns() }),
            None => self.found(&name, first).ok_or_else(|| Error::NoUserColumn {
                name,
                kind: self.kind,
                columns: columns(),
            }),
        }
    }

    /// Whether a first record has what is looked for by name or number.
    pub(super) fn fits(&self, first: &[String]) -> bool {
        match self.column {
            Some(ColumnChoice::Name(wanted)) => header::find_named(first, wanted).is_some(),
            Some(&ColumnChoice::Number(number)) => {
                (1..=first.len()).contains(&number) || named_by_number(number, first).is_some()
            }
            None => header::find_known(first, self.kind).is_some() || sidecar::is_header(first),
        }
    }

    /// Whether a cell of a first record is a user rather than a header.
    pub(super) fn is_user(&self, cell: &str) -> bool {
        let is_of = |kind| Identifier::parse(kind, &Arc::from(cell)).is_ok();
        !header::is_known(cell)
            && (is_of(self.kind) || self.or_user_id && is_of(IdentifierKind::UserId))
    }

    fn numbered(&self, number: usize, first: &[String]) -> Option<UserColumn> {
        let index = number.checked_sub(1)?;
        let cell = first.get(index)?;
        Some(match self.is_user(cell) {
            true if first.len() == 1 => UserColumn::PlainList,
            true => UserColumn::Numbered { index },
            false => UserColumn::named(first, index),
        })
    }

    fn found(&self, name: &str, first: &[String]) -> Option<UserColumn> {
        if sidecar::is_one(name, first) {
            return Some(UserColumn::named(first, 0));
        }
        if let Some(index) = header::find_known(first, self.kind) {
            return Some(UserColumn::named(first, index));
        }
        match first {
            [] => None,
            [_] => Some(UserColumn::PlainList),
            _ if sidecar::is_header(first) => Some(UserColumn::named(first, 0)),
            [cell, ..] => self.is_user(cell).then_some(UserColumn::Numbered { index: 0 }),
        }
    }
}

/// The column whose header is that number: years and the like.
fn named_by_number(number: usize, first: &[String]) -> Option<UserColumn> {
    let index = header::find_named(first, &number.to_string())?;
    Some(UserColumn::named(first, index))
}
