//! Files of this program as input: rows of an earlier run, and the decisions in them.

use super::columns::{Carried, Carry, UserColumn, Wanted, usual_header};
use super::error::{Error, LeftAlone, Refusal};
use super::read::{Options, ReadInput};
use super::rows::Row;
use super::source::Source;
use super::table::{Delimiter, Table};
use crate::model::{Identifier, IdentifierKind, InputRecord, Outcome, Records};
use crate::results::format::{OwnFile, columns_named, outcome_of};
use crate::results::kind_of_outcome;
use crate::stats::summary::CommandKind;

/// The decisions of an earlier job in the rows of a plain input. A user who was left alone on
/// purpose must not be unlocked because the file is given as a list.
pub(super) struct Decisions {
    /// The columns `outcome` and `admin_locked`. Edited files still have them.
    outcomes: Vec<usize>,
    admin_locked: Vec<usize>,
    has_header: bool,
    takes_admin_locked: bool,
    is_rows: bool,
    is_plan: bool,
    left_alone: Option<LeftAlone>,
}

impl Decisions {
    pub(super) fn new(table: &Table<'_>, options: &Options) -> Self {
        let has_header = table.column.header().is_some();
        let headers = if has_header { table.first.as_slice() } else { &[] };
        Self {
            outcomes: columns_named(headers, "outcome").collect(),
            admin_locked: columns_named(headers, "admin_locked").collect(),
            has_header,
            takes_admin_locked: options.takes_admin_locked,
            is_rows: matches!(table.own, Some(OwnFile::Rows { .. })),
            is_plan: false,
            left_alone: None,
        }
    }

    pub(super) fn note(&mut self, row: &Row<'_>) {
        for &column in &self.outcomes {
            let outcome = outcome_of(&row.cell(column));
            self.is_plan |= self.is_rows && outcome == Some(Outcome::WouldUnlock);
            if let Some(outcome) = outcome.filter(|&outcome| is_left_alone(outcome)) {
                count(&mut self.left_alone, row.line, outcome, false);
            }
        }
        // Rows of one of our files whose header was cut off or sorted away: any cell may be the
        // outcome.
        if !self.has_header && row.len() > 1 {
            let outcomes = (0..row.len()).filter_map(|column| outcome_of(&row.cell(column)));
            if let Some(outcome) = outcomes.into_iter().find(|&outcome| is_left_alone(outcome)) {
                count(&mut self.left_alone, row.line, outcome, false);
            }
        }
        for &column in &self.admin_locked {
            // A spreadsheet may write `true` in another language.
            let cell = row.cell(column);
            let is_false = cell.is_empty() || bool_of(&cell) == Some(false);
            if !self.takes_admin_locked && !is_false {
                count(&mut self.left_alone, row.line, Outcome::AdminLocked, true);
            }
        }
    }

    /// Whether the file is a plan.
    ///
    /// # Errors
    ///
    /// When the user of a row was left alone on purpose.
    pub(super) fn finish(self) -> Result<bool, Refusal> {
        self.left_alone.map_or(Ok(self.is_plan), |what| Err(Refusal::LeftAlone(what)))
    }
}

/// Compares the two readings of a file with the header of `NAME.failed.csv` or
/// `NAME.unprocessed.csv`: as ours, the users are in the first column; as an ordinary list, in the
/// column with a known header. Its name and all rows must agree on one, unless both give the same
/// users.
pub(super) struct Readings {
    file: OwnFile,
    kind: IdentifierKind,
    ours: UserColumn,
    list: UserColumn,
    /// It is read as ours.
    is_ours: bool,
    /// Its name or a row contradicts that reading.
    is_doubtful: bool,
    /// The first row that names two users: its line, and the cells of both.
    differing: Option<(u64, [String; 2])>,
}

impl Readings {
    /// `None` where the users are in one column only.
    pub(super) fn new(table: &Table<'_>, wanted: &Wanted<'_>) -> Option<Self> {
        let own = table.own.filter(|_| wanted.column.is_none());
        let Some(file @ OwnFile::Unfinished { is_named, .. }) = own else { return None };
        let list = wanted.find_known(&table.first).ok().flatten().filter(|&index| index > 0)?;
        let is_ours = table.column.index() == 0;
        Some(Self {
            file,
            kind: wanted.kind,
            ours: UserColumn::named(&table.first, 0),
            list: UserColumn::named(&table.first, list),
            is_ours,
            is_doubtful: is_named != is_ours,
            differing: None,
        })
    }

    pub(super) fn note(&mut self, row: &Row<'_>) {
        self.is_doubtful |= self.file.has_row(|index| row.cell(index)) != self.is_ours;
        if self.differing.is_none() {
            let cells = [&self.ours, &self.list].map(|it| row.cell(it.index()).into_owned());
            let differs = cells[0] != cells[1] && Identifier::is_valid(self.kind, &cells[1]);
            self.differing = differs.then_some((row.line, cells));
        }
    }

    /// # Errors
    ///
    /// When it can be read in both ways, and they give different users.
    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.differing {
            Some((line, cells)) if self.is_doubtful => Err(Refusal::OwnFileOrList {
                line,
                kind: self.kind,
                cells: cells.into(),
                columns: [self.ours, self.list].into(),
            }),
            _ => Ok(()),
        }
    }
}

fn count(left_alone: &mut Option<LeftAlone>, line: u64, outcome: Outcome, is_locked_list: bool) {
    let first = LeftAlone { line, outcome, n_rows: 0, is_locked_list };
    left_alone.get_or_insert(first).n_rows += 1;
}

/// `true` or `false`, as this program or a spreadsheet writes it; `None` for anything else.
fn bool_of(cell: &str) -> Option<bool> {
    cell.trim().to_ascii_lowercase().parse().ok()
}

/// Whether an outcome means that the user was left alone, or locked again, on purpose.
fn is_left_alone(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Excluded
            | Outcome::AdminLocked
            | Outcome::Ambiguous
            | Outcome::Relocked
            | Outcome::AlreadyLocked
            | Outcome::WouldRelock
    )
}

/// Which rows of a results or plan file become records, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Rows with one of these outcomes are records; the others are not.
    outcomes: Vec<Outcome>,
    cell: CellFrom,
    /// Every row must be of a run.
    is_of_run: bool,
    /// What `was_locked` must be.
    was_locked: WasLocked,
    carry: Carry,
    delimiter: Delimiter,
    skip: u64,
    limit: u64,
}

/// What `was_locked` of a row must be for the row to be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WasLocked {
    Anything,
    /// `true`; a row that contains neither `true` nor `false` is refused.
    True,
    /// Anything but `false`.
    NotFalse,
}

/// The cell that identifies the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CellFrom {
    /// `user_id`, and where that is empty, `input`. The records are of user IDs.
    UserId,
    /// `user_id`; the cell stays what the input of the earlier job held, and so does the header:
    /// that of this kind.
    Found(IdentifierKind),
    /// `input`, which holds this kind.
    Input(IdentifierKind),
}

impl Filter {
    /// Rows with these outcomes, of users who are known by ID and were named by `kind` in the input
    /// of the job that wrote them.
    pub fn of(outcomes: &[Outcome], kind: IdentifierKind) -> Self {
        Self {
            outcomes: outcomes.to_vec(),
            cell: CellFrom::Found(kind),
            is_of_run: false,
            was_locked: WasLocked::Anything,
            carry: Carry::None,
            delimiter: Delimiter::Auto,
            skip: 0,
            limit: u64::MAX,
        }
    }

    /// The rows of users whom a run unlocked and who were locked before; with `includes_unknown`,
    /// also those of whom that is not known. Otherwise such a row is an error.
    pub fn unlocked(kind: IdentifierKind, includes_unknown: bool) -> Self {
        let was_locked = if includes_unknown { WasLocked::NotFalse } else { WasLocked::True };
        Self { was_locked, ..Self::of(&[Outcome::Unlocked], kind) }
    }

    /// The kind of identifier in the input of the job that wrote the rows.
    pub fn kind_of_cells(&self) -> IdentifierKind {
        match self.cell {
            CellFrom::UserId => IdentifierKind::UserId,
            CellFrom::Found(kind) | CellFrom::Input(kind) => kind,
        }
    }

    /// The rows in words: "`would_unlock` rows".
    pub fn describe(&self) -> String {
        let outcomes: Vec<&str> = self.outcomes.iter().map(|outcome| outcome.code()).collect();
        let condition = match self.was_locked {
            WasLocked::Anything => "",
            WasLocked::True => " of users who were locked before",
            WasLocked::NotFalse => " of users who may have been locked before",
        };
        format!("{} rows{condition}", outcomes.join(" or "))
    }

    /// The rows of a run that may yet succeed, as an input of their own.
    pub(super) fn retry(options: &Options) -> Self {
        let outcomes = Outcome::ALL.into_iter().filter(|outcome| outcome.may_yet_succeed());
        Self {
            outcomes: outcomes.collect(),
            cell: match options.kind {
                IdentifierKind::UserId => CellFrom::UserId,
                kind => CellFrom::Input(kind),
            },
            is_of_run: true,
            was_locked: WasLocked::Anything,
            carry: options.carry.clone(),
            delimiter: options.delimiter,
            skip: options.skip,
            limit: options.limit.unwrap_or(u64::MAX),
        }
    }
}

/// Reads rows that an earlier run recorded, in a results or plan file of this program. The records
/// have the `line` of that run's input, and the columns that the file carried, under the headers
/// they had there.
///
/// # Errors
///
/// As [`read`](super::read), when the file is not such a file, and when the filter needs to know
/// whether users were locked and the file does not contain it.
pub fn recorded(source: Source<'_>, filter: &Filter) -> Result<ReadInput, Error> {
    let name = source.name().to_owned();
    filter.read(source, &name).map_err(|refusal| Error { name, refusal })
}

impl Filter {
    fn read(&self, source: Source<'_>, name: &str) -> Result<ReadInput, Refusal> {
        let wanted = Wanted { name, kind: IdentifierKind::UserId, column: None };
        let mut table =
            Table::open(source, &wanted, self.delimiter).map_err(|refusal| match refusal {
                Refusal::NoUserColumn { .. } | Refusal::TitleLine { .. } => Refusal::NotResults,
                refusal => refusal,
            })?;
        let Some(OwnFile::Rows { line, input, user_id, outcome }) = table.own else {
            return Err(Refusal::NotResults);
        };
        // Early versions did not write it.
        let was_locked = columns_named(&table.first, "was_locked").next();
        let carried = Carried::of_results(&self.carry, &table.first)?;
        let (mut records, mut n_records) = (Vec::new(), 0);
        let mut unknown = None;
        while let Some(row) = table.read()? {
            if !self.has_wanted_outcome(&row, outcome)? {
                continue;
            }
            let cell = row.cell(line);
            let of_line = cell
                .parse()
                .map_err(|_| Refusal::BadLine { line: row.line, value: cell.into_owned() })?;
            match (self.was_locked, was_locked.and_then(|at| bool_of(&row.cell(at)))) {
                (WasLocked::Anything, _) | (_, Some(true)) | (WasLocked::NotFalse, None) => {}
                (WasLocked::True | WasLocked::NotFalse, Some(false)) => continue,
                (WasLocked::True, None) => {
                    unknown.get_or_insert((row.line, 0)).1 += 1;
                    continue;
                }
            }
            n_records += 1;
            if n_records > self.skip && n_records - self.skip <= self.limit {
                let (id, input) = (row.cell(user_id), row.cell(input));
                let is_by_id = self.cell == CellFrom::UserId && !id.is_empty();
                let is_found = matches!(self.cell, CellFrom::Found(_));
                let user = if is_found { id.parse().ok() } else { None };
                let record = InputRecord::new(of_line, if is_by_id { &id } else { &input });
                records.push(record.with_user(user).with_carried(carried.cells(&row)));
            }
        }
        if let Some((line, n_rows)) = unknown {
            return Err(Refusal::WasLockedUnknown { line, n_rows });
        }
        records.shrink_to_fit();
        let (kind, column) = match self.cell {
            CellFrom::UserId | CellFrom::Found(_) => (IdentifierKind::UserId, user_id),
            CellFrom::Input(kind) => (kind, input),
        };
        table.column = UserColumn::named(&table.first, column);
        let records = Records {
            records,
            kind,
            header: Some(usual_header(self.kind_of_cells()).to_owned()),
            carried: carried.into_headers(),
            ..Records::default()
        };
        Ok(table.into_input(records, Vec::new(), false))
    }

    fn has_wanted_outcome(&self, row: &Row<'_>, column: usize) -> Result<bool, Refusal> {
        let (line, cell) = (row.line, row.cell(column));
        let outcome: Outcome =
            cell.parse().map_err(|_| Refusal::BadOutcome { line, value: cell.to_string() })?;
        match kind_of_outcome(outcome) {
            Some(kind) if self.is_of_run && kind != CommandKind::Run => {
                Err(Refusal::NotARun { line, kind })
            }
            _ => Ok(self.outcomes.contains(&outcome)),
        }
    }
}
