//! An ordinary input, read whole.

use std::cell::Cell;
use std::time::SystemTime;

use super::carry::Carried;
use super::recorded::second_choice;
use super::rows::Row;
use super::table::Table;
use super::user_column::Wanted;
use super::{Carry, Error, Filter, Options, Source, UserColumn, recorded};
use crate::model::{InputRecord, Outcome, Records};

/// An input, read whole, and what was found out about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadInput {
    /// The records.
    pub records: Records,
    /// Where the users stand.
    pub column: UserColumn,
    /// What separates the cells; `None` where there is one column.
    pub delimiter: Option<char>,
    /// How many of the rows that were read say that their user was left alone on purpose: rows of
    /// this program's own files.
    pub n_left_alone: u64,
    /// How many lines were looked at; those after the last wanted record are not.
    pub n_lines: u64,
    /// The SHA-256 of all bytes of the input, in lower-case hexadecimal.
    pub sha256: String,
    /// When the file was last changed; `None` for what is no file.
    pub modified: Option<SystemTime>,
}

impl ReadInput {
    /// Whether there is no record at all.
    pub fn is_empty(&self) -> bool {
        self.records.records.is_empty()
    }
}

/// Reads an input whole. Every record becomes one [`InputRecord`]; whether its cell can be a user
/// is not asked.
///
/// # Errors
///
/// When it can't be read as text and as a table, or when nothing says which column holds the
/// users. An empty input is no error.
pub fn read(source: Source<'_>, options: &Options) -> Result<ReadInput, Error> {
    if options.retry_failed {
        return recorded(source, &Filter::retry(options));
    }
    let wanted = Wanted { kind: options.kind, column: options.column.as_ref(), or_user_id: false };
    let mut table = Table::open(source, &wanted)?;
    let (column, first) = open_column(&mut table, &wanted)?;
    let carry = if first.is_empty() { &Carry::None } else { &options.carry };
    let carried = Carried::of_input(carry, table.name(), &first, &column)?;
    let index = column.index();
    let second = second_choice(&first).filter(|_| options.column.is_none());
    let (verdict, n_left_alone) = (Verdict::find(&first), Cell::new(0));
    let records = table.records(options.skip, options.limit, |_, row| {
        n_left_alone.set(n_left_alone.get() + u64::from(verdict.is_left_alone(&row)));
        let cell = match (row.cell(index), second) {
            (cell, Some(second)) if cell.is_empty() => row.cell(second).into(),
            (cell, _) => cell.into(),
        };
        Ok(Some(InputRecord { line: row.line, cell, user: None, carried: carried.cells(&row) }))
    })?;
    let records = Records {
        records,
        kind: options.kind,
        header: column.header().map(str::to_owned),
        carried: carried.into_headers(),
    };
    let read = table.finish(column, records)?;
    Ok(ReadInput { n_left_alone: n_left_alone.get(), ..read })
}

/// Where a row of this program's own files says what it thought of its user.
#[derive(Clone, Copy)]
enum Verdict {
    /// The column `outcome` of results, plans and failed files.
    Outcome(usize),
    /// The column `admin_locked` of a list of the locked.
    AdminLocked(usize),
    /// Nowhere: it is somebody else's file.
    None,
}

impl Verdict {
    fn find(headers: &[String]) -> Self {
        let place = |name| headers.iter().position(|header| header == name);
        match (place("outcome"), place("line"), place("admin_locked"), place("locked")) {
            (Some(outcome), Some(_), ..) => Self::Outcome(outcome),
            (_, _, Some(admin_locked), Some(_)) => Self::AdminLocked(admin_locked),
            _ => Self::None,
        }
    }

    fn is_left_alone(self, row: &Row<'_>) -> bool {
        match self {
            Self::Outcome(at) => {
                matches!(row.cell(at).parse(), Ok(Outcome::AdminLocked | Outcome::Excluded))
            }
            Self::AdminLocked(at) => row.cell(at) == "true",
            Self::None => false,
        }
    }
}

/// Finds the column of the users and stands before the first row that is a record. Also gives the
/// cells of the first row, of which there are none in an empty input.
pub(super) fn open_column(
    table: &mut Table<'_>,
    wanted: &Wanted<'_>,
) -> Result<(UserColumn, Vec<String>), Error> {
    let first = table.first()?;
    if first.is_empty() {
        return Ok((UserColumn::PlainList, first));
    }
    let column = wanted.choose(table.name(), &first)?;
    if column.header().is_none() {
        table.hold_first();
    }
    Ok((column, first))
}
