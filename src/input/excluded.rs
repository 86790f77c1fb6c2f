//! Users that are never to be touched.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use super::read::open_column;
use super::table::Table;
use super::user_column::Wanted;
use super::{Error, Source};
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
/// side. A cell that could be either is taken as both: rather one user too many left alone.
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
    let (column, _) = open_column(&mut table, &wanted)?;
    let name = table.name().to_owned();
    let mut users = HashSet::new();
    while let Some(row) = table.read()? {
        let cell: Arc<str> = row.cell(column.index()).into();
        let these = identifiers(kind, &cell).map_err(|why| {
            let value = cell.as_ref().to_owned();
            Error::BadExcluded { name: name.clone(), line: row.line, value, why }
        })?;
        users.extend(these);
    }
    let nobody = Records { records: vec![], kind, header: None, carried: vec![] };
    let sha256 = table.finish(column, nobody)?.sha256;
    Ok(Excluded { users, sha256 })
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
