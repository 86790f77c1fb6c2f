//! Users that are never to be touched.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::read::open_column;
use super::table::Table;
use super::user_column::Wanted;
use super::{Error, Source};
use crate::model::{Identifier, IdentifierKind, InvalidIdentifier, UserId};

/// Reads the users of an exclude file. User ids and identifiers of `kind` may stand in it side by
/// side. A cell that could be either is taken as both: rather one user too many left alone.
///
/// # Errors
///
/// As [`read`](super::read), and for *any* cell that can't be a user, a blank one included: these
/// are accounts that may have been taken over, so none is passed over in silence.
pub fn read_excluded(path: &Path, kind: IdentifierKind) -> Result<HashSet<Identifier>, Error> {
    excluded(Source::path(path), kind)
}

pub(super) fn excluded(
    source: Source<'_>,
    kind: IdentifierKind,
) -> Result<HashSet<Identifier>, Error> {
    let wanted = Wanted { kind, column: None, or_user_id: true };
    let mut table = Table::open(source, &wanted)?;
    let (column, _) = open_column(&mut table, &wanted)?;
    let name = table.name().to_owned();
    let mut excluded = HashSet::new();
    while let Some(row) = table.read()? {
        let cell: Arc<str> = row.cell(column.index()).into();
        let users = identifiers(kind, &cell).map_err(|why| {
            let value = cell.as_ref().to_owned();
            Error::BadExcluded { name: name.clone(), line: row.line, value, why }
        })?;
        excluded.extend(users);
    }
    Ok(excluded)
}

fn identifiers(
    kind: IdentifierKind,
    cell: &Arc<str>,
) -> Result<impl Iterator<Item = Identifier> + use<>, InvalidIdentifier> {
    let of_kind = Identifier::parse(kind, cell);
    let user_id = UserId::from_shared(cell);
    if let (Err(why), Err(_)) = (&of_kind, &user_id) {
        return Err(*why);
    }
    Ok(of_kind.ok().into_iter().chain(user_id.ok().map(Identifier::UserId)))
}
