//! Users that are never to be touched.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::read::open_column;
use super::table::Table;
use super::user_column::Wanted;
use super::{Error, Source, header};
use crate::model::{Identifier, IdentifierKind, InvalidIdentifier, Records, UserId};

/// The users that are never to be touched, and the file that names them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excluded {
    /// The users.
    pub users: HashSet<Identifier>,
    /// The SHA-256 of all bytes of the file, in lower-case hexadecimal: taken while it is read, for
    /// a pipe can't be read twice.
    pub sha256: String,
}

/// Reads the users of an exclude file. User ids and identifiers of `kind` may stand in it side by
/// side; where its header names another kind, those do. A cell that could be either is taken as
/// both: rather one user too many left alone.
///
/// # Errors
///
/// As [`read`](super::read), and for *any* cell that can't be a user, a blank one included: these
/// are accounts that may have been taken over, so none is passed over in silence.
pub fn read_excluded(path: &Path, kind: IdentifierKind) -> Result<Excluded, Error> {
    excluded(Source::path(path), kind)
}

pub(super) fn excluded(source: Source<'_>, kind: IdentifierKind) -> Result<Excluded, Error> {
    let wanted = Wanted { kind, column: None, or_user_id: true };
    let mut table = Table::open(source, &wanted)?;
    let first = table.first()?;
    if !first.is_empty() {
        table.hold_first();
    }
    let kind = header::kind_of(&first, kind).unwrap_or(kind);
    let (column, _) = open_column(&mut table, &Wanted { kind, ..wanted })?;
    let name = table.name().to_owned();
    let mut users = HashSet::new();
    while let Some(row) = table.read()? {
        let cell: Arc<str> = row.cell(column.index()).into();
        let these = identifiers(kind, &cell).map_err(|why| {
            let value = cell.as_ref().to_owned();
            Error::BadExcluded { name: name.clone(), line: row.line, value, why }
        })?;
        users.extend(these);
        if column.header().is_none() {
            // Two on one line are both meant: rather one user too many left alone.
            let others = row.cells().into_iter().map(Arc::from);
            let ids = others.filter_map(|cell: Arc<str>| UserId::from_shared(&cell).ok());
            users.extend(ids.map(Identifier::UserId));
        }
    }
    let nobody = Records { records: vec![], kind, header: None, carried: vec![] };
    let sha256 = table.finish(column, nobody)?.sha256;
    Ok(Excluded { users, sha256 })
}

/// An email address is one at a glance, whatever else stands in the file.
fn identifiers(
    kind: IdentifierKind,
    cell: &Arc<str>,
) -> Result<impl Iterator<Item = Identifier> + use<>, InvalidIdentifier> {
    let of_kind = Identifier::parse(kind, cell);
    let user_id = UserId::from_shared(cell).map(Identifier::UserId);
    let email = Identifier::parse(IdentifierKind::Email, cell).ok();
    match (of_kind, user_id) {
        (Err(why), Err(_)) if email.is_none() => Err(why),
        (Err(_), Err(_)) => Ok(email.into_iter().chain(None)),
        (of_kind, user_id) => Ok(of_kind.ok().into_iter().chain(user_id.ok())),
    }
}
