//! Rows that an earlier run recorded, read back as an input: one road for `--retry-failed`,
//! `--plan` and `verify`.

use std::borrow::Cow;
use std::sync::Arc;

use super::carry::Carried;
use super::rows::Row;
use super::table::Table;
use super::user_column::Wanted;
use super::{Carry, Error, Options, ReadInput, Source, UserColumn, header};
use crate::model::{IdentifierKind, InputRecord, Outcome, Records, UserId};

/// What the header of a results or plan file begins with.
const HEADER: [&str; 4] = ["line", "input", "user_id", "outcome"];
const LINE: usize = 0;
const INPUT: usize = 1;
const USER_ID: usize = 2;
const OUTCOME: usize = 3;

/// The column that names the user where the users' own column is blank: a results or plan file read
/// as an ordinary input still names those by it who were never found.
pub(super) fn second_choice(headers: &[String]) -> Option<usize> {
    is_header(headers).then_some(INPUT)
}

fn is_header(headers: &[String]) -> bool {
    headers.iter().map(String::as_str).take(HEADER.len()).eq(HEADER)
}

/// Which rows of a results or plan file are records, and what of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Rows with one of these outcomes are records; the others are not.
    pub outcomes: Vec<Outcome>,
    /// Which line a record is said to stand on.
    pub line: LineFrom,
    /// Which cell names the user.
    pub cell: CellFrom,
    /// Which of the columns that the file carried are kept: all of them but with
    /// [`Carry::Named`].
    pub carry: Carry,
    /// How many records are passed over first.
    pub skip: u64,
    /// The most records that are taken after those.
    pub limit: Option<u64>,
}

/// Which line a record is said to stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFrom {
    /// The row's own line in the file that is read.
    Physical,
    /// What the column `line` says: the line in the input of the run that wrote the file.
    Column,
}

/// Which cell names the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CellFrom {
    /// `user_id`, and where that is empty, `input`. The records are of user ids.
    UserId,
    /// `user_id`; the cell stays what stood in the input of the job that found the user by it, and
    /// so does the header: that of this kind.
    Found(IdentifierKind),
    /// `input`, which holds this kind.
    Input(IdentifierKind),
}

impl Filter {
    /// Rows with these outcomes, on the lines that the file names, of users who are known by id and
    /// were named by `kind`.
    pub fn of(outcomes: &[Outcome], kind: IdentifierKind) -> Self {
        Self {
            outcomes: outcomes.to_vec(),
            line: LineFrom::Column,
            cell: CellFrom::Found(kind),
            carry: Carry::None,
            skip: 0,
            limit: None,
        }
    }

    /// The rows that may yet succeed, as an input of their own.
    pub(super) fn retry(options: &Options) -> Self {
        let outcomes = Outcome::ALL.into_iter().filter(|outcome| outcome.may_yet_succeed());
        Self {
            outcomes: outcomes.collect(),
            line: LineFrom::Physical,
            cell: match options.kind {
                IdentifierKind::UserId => CellFrom::UserId,
                kind => CellFrom::Input(kind),
            },
            carry: options.carry.clone(),
            skip: options.skip,
            limit: options.limit,
        }
    }

    fn pick(&self, name: &str, row: Row<'_>) -> Result<Option<InputRecord>, Error> {
        if !self.outcomes.contains(&outcome(name, &row)?) {
            return Ok(None);
        }
        let line = match self.line {
            LineFrom::Physical => row.line,
            LineFrom::Column => line(name, &row)?,
        };
        let cell = match (self.cell, row.cell(USER_ID)) {
            (CellFrom::UserId, user_id) if !user_id.is_empty() => user_id,
            _ => row.cell(INPUT),
        };
        let cell: Arc<str> = cell.into();
        let user = match self.cell {
            CellFrom::Found(_) => found(row.cell(USER_ID), &cell),
            CellFrom::UserId | CellFrom::Input(_) => None,
        };
        Ok(Some(InputRecord { line, cell, user, carried: Box::default() }))
    }
}

impl CellFrom {
    /// What the records are of.
    fn kind(self) -> IdentifierKind {
        match self {
            Self::UserId | Self::Found(_) => IdentifierKind::UserId,
            Self::Input(kind) => kind,
        }
    }

    /// What stands in the cells.
    fn kind_of_cells(self) -> IdentifierKind {
        match self {
            Self::UserId => IdentifierKind::UserId,
            Self::Found(kind) | Self::Input(kind) => kind,
        }
    }

    fn column(self, headers: &[String]) -> UserColumn {
        match self {
            Self::UserId | Self::Found(_) => UserColumn::named(headers, USER_ID),
            Self::Input(_) => UserColumn::named(headers, INPUT),
        }
    }
}

/// Reads rows that an earlier run recorded, in a results or plan file of this program. What the
/// file carried is carried on, under the headers it had in the input.
///
/// # Errors
///
/// As [`read`](super::read), and when the file is none of this program's.
pub fn recorded(source: Source<'_>, filter: &Filter) -> Result<ReadInput, Error> {
    let wanted = Wanted { kind: IdentifierKind::UserId, column: None, or_user_id: false };
    let mut table = Table::open(source, &wanted)?;
    let headers = table.first()?;
    if !is_header(&headers) {
        return Err(Error::NotResults { name: table.name().to_owned() });
    }
    let carried = Carried::of_results(&filter.carry, table.name(), &headers)?;
    let records = table.records(filter.skip, filter.limit, |name, row| {
        let record = filter.pick(name, row)?;
        Ok(record.map(|record| InputRecord { carried: carried.cells(&row), ..record }))
    })?;
    let kind = filter.cell.kind();
    let records = Records {
        records,
        kind,
        header: Some(header::usual(filter.cell.kind_of_cells()).to_owned()),
        carried: carried.into_headers(),
    };
    table.finish(filter.cell.column(&headers), records)
}

/// The user whom the row names by id; the text is shared where it is the cell's too.
fn found(user_id: Cow<'_, str>, cell: &Arc<str>) -> Option<UserId> {
    let shared = if **cell == *user_id { Arc::clone(cell) } else { user_id.into() };
    UserId::from_shared(&shared).ok()
}

fn outcome(name: &str, row: &Row<'_>) -> Result<Outcome, Error> {
    let value = row.cell(OUTCOME);
    value.parse().map_err(|_| Error::BadOutcome {
        name: name.to_owned(),
        line: row.line,
        value: value.into_owned(),
    })
}

fn line(name: &str, row: &Row<'_>) -> Result<u64, Error> {
    let value = row.cell(LINE);
    value.parse().map_err(|_| Error::BadLine {
        name: name.to_owned(),
        line: row.line,
        value: value.into_owned(),
    })
}
