//! Reads an ordinary input, and the users to exclude.

use std::path::Path;
use std::time::SystemTime;

use super::ColumnChoice;
use super::columns::{Carried, Carry, Columns, HeaderFinder, UserColumn, Wanted};
use super::error::{Error, Refusal, Suspicion, by_hint};
use super::own_files::{Decisions, Filter, Readings, recorded};
use super::rows::{LineReader, MAX_LEN, Row};
use super::source::{Source, sha256};
use super::table::{CANDIDATES, Delimiter, Table};
use crate::model::{Identifier, IdentifierKind, InputRecord, Records, canonical_cell, excerpt};
use crate::policy::exclude::ExcludeList;
use crate::results::format::OwnFile;

/// How an input is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// What the users' column holds.
    pub kind: IdentifierKind,
    /// Which column that is; `None`: found by its header.
    pub column: Option<ColumnChoice>,
    /// What separates the cells.
    pub delimiter: Delimiter,
    /// Go on where the form of the input is suspicious.
    pub lenient: bool,
    /// The most records that are taken, after those that are skipped.
    pub limit: Option<u64>,
    /// How many records are skipped first.
    pub skip: u64,
    /// Which other columns are kept.
    pub carry: Carry,
    /// The input is a results file of a run; only its rows that may yet succeed are records.
    /// `column` is ignored then: such a file's columns are known.
    pub retry_failed: bool,
    /// Accept rows of a list of locked users with `admin_locked: true`: users are looked up first,
    /// or such users are unlocked on purpose.
    pub takes_admin_locked: bool,
}

/// An input, read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadInput {
    /// The records.
    pub records: Records,
    /// Where the users are.
    pub column: UserColumn,
    /// What separates the cells; `None` where each line is one cell.
    pub delimiter: Option<char>,
    /// What is suspicious about its form; none unless [`Options::lenient`].
    pub suspicions: Vec<Suspicion>,
    /// It is a plan, which must be run as one and not as a list.
    pub is_plan: bool,
    /// How many lines it has.
    pub n_lines: u64,
    /// How many comment lines were skipped.
    pub n_comments: u64,
    /// Its first line is an Excel `sep=` line, which was skipped.
    pub has_sep_line: bool,
    /// The SHA-256 of all its bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// When the file was last changed; `None` for anything but a file.
    pub modified: Option<SystemTime>,
}

impl ReadInput {
    /// Whether it has no record.
    pub fn is_empty(&self) -> bool {
        self.records.records.is_empty()
    }
}

/// Reads an input whole. Every record becomes one [`InputRecord`], also one whose cell cannot be a
/// user.
///
/// # Errors
///
/// When it cannot be read as text and as a table, when it can be read in two ways, when its form is
/// suspicious (unless [`Options::lenient`]), and when it is a file of this program with rows whose
/// users were left alone on purpose. An empty input is no error.
pub fn read(source: Source<'_>, options: &Options) -> Result<ReadInput, Error> {
    if options.retry_failed {
        return recorded(source, &Filter::retry(options));
    }
    let name = source.name().to_owned();
    read_table(source, &name, options).map_err(|refusal| Error { name, refusal })
}

fn read_table(source: Source<'_>, name: &str, options: &Options) -> Result<ReadInput, Refusal> {
    let kind = options.kind;
    let wanted = Wanted { name, kind, column: options.column.as_ref() };
    let mut table = Table::open(source, &wanted, options.delimiter)?;
    let carried = Carried::of_input(&options.carry, &table.first, &table.column)?;
    let column = table.column.clone();
    let results = match table.own {
        Some(file @ OwnFile::Rows { input, .. }) if options.column.is_none() => Some((file, input)),
        _ => None,
    };
    let headers = HeaderFinder::new(kind, &column);
    let mut decisions = Decisions::new(&table, options);
    let mut readings = Readings::new(&table, &wanted);
    let mut census = Census::new(wanted, &table);
    let mut records =
        Records { kind, header: column.header().map(str::to_owned), ..Records::default() };
    let is_delimiter_guessed = table.is_delimiter_guessed;
    let limit = options.limit.unwrap_or(u64::MAX);
    while let Some(row) = table.read()? {
        let mut cell = row.cell(column.index());
        if let (true, Some((file, input))) = (cell.is_empty(), results)
            && file.has_row(|index| row.cell(index))
        {
            cell = row.cell(input);
        }
        if is_delimiter_guessed && cell.contains(CANDIDATES) {
            let columns = columns_of(&cell);
            return Err(Refusal::LineOrColumns { line: row.line, kind, columns });
        }
        let is_header = headers.is_header(&cell);
        decisions.note(&row);
        if let Some(readings) = readings.as_mut().filter(|_| !is_header) {
            readings.note(&row);
        }
        census.note(&row, &cell, is_header);
        let place = census.n_records - 1;
        if place < options.skip || place - options.skip >= limit {
            continue;
        }
        if is_header {
            records.repeated_headers.insert(records.records.len());
        }
        let record = InputRecord::new(row.line, &cell).with_carried(carried.cells(&row));
        records.records.push(record);
    }
    records.records.shrink_to_fit();
    records.carried = carried.into_headers();
    let is_plan = decisions.finish()?;
    readings.map_or(Ok(()), Readings::finish)?;
    let mut suspicions = census.finish();
    if !options.lenient && !suspicions.is_empty() {
        return Err(Refusal::Suspicious(suspicions.swap_remove(0)));
    }
    Ok(table.into_input(records, suspicions, is_plan))
}

/// Adds an exclude file: any text, such as a list, a CSV, or a file of this program. Returns the
/// SHA-256 of its bytes in lower-case hexadecimal, taken while it is read: a pipe cannot be read
/// twice.
///
/// # Errors
///
/// When it cannot be read to its end, is not UTF-8 text, or contains no entry: a list that is not
/// read whole would leave users unprotected.
pub fn read_exclude_file(path: &Path, list: &mut ExcludeList) -> Result<String, Error> {
    read_exclude_source(Source::path(path), list)
}

pub(super) fn read_exclude_source(
    source: Source<'_>,
    list: &mut ExcludeList,
) -> Result<String, Error> {
    let name = source.name().to_owned();
    list.begin_file(&name);
    let read = || {
        let mut lines = LineReader::new(source.open()?.into_bytes());
        let mut has_entry = false;
        while let Some((number, line)) = lines.read(MAX_LEN)? {
            has_entry |= list.add_line(number, line);
        }
        if has_entry { Ok(sha256(lines.input)) } else { Err(Refusal::NoEntries) }
    };
    read().map_err(|refusal| Error { name, refusal })
}

/// The cells that a line would have under the delimiter that it contains most often.
fn columns_of(line: &str) -> Columns {
    let count = |delimiter: &char| line.matches(*delimiter).count();
    let delimiter = CANDIDATES.into_iter().max_by_key(count).unwrap_or(',');
    let cells = line.split(delimiter).map(|cell| canonical_cell(cell).into_owned());
    Columns::of(&cells.collect::<Vec<_>>())
}

/// Counts that show whether the right column is read.
struct Census<'a> {
    wanted: Wanted<'a>,
    column: UserColumn,
    delimiter: Option<char>,
    /// The first record or the header.
    first: Vec<String>,
    /// Other columns with a known header, until one of them is seen to hold a user.
    others: Vec<usize>,
    better: Option<usize>,
    /// Another kind that some cell is of.
    by: Option<IdentifierKind>,
    n_records: u64,
    n_valid: u64,
    /// Cells that hold lines like records: the line of the first, and how many.
    records_in_cells: Option<(u64, u64)>,
}

impl<'a> Census<'a> {
    fn new(wanted: Wanted<'a>, table: &Table<'_>) -> Self {
        Self {
            wanted,
            column: table.column.clone(),
            delimiter: table.delimiter,
            first: table.first.clone(),
            others: wanted.other_known(&table.first, &table.column),
            better: None,
            by: None,
            n_records: 0,
            n_valid: 0,
            records_in_cells: None,
        }
    }

    fn note(&mut self, row: &Row<'_>, cell: &str, is_header: bool) {
        self.n_records += 1;
        if !is_header && Identifier::is_valid(self.wanted.kind, cell) {
            self.n_valid += 1;
        } else if self.n_valid == 0 {
            self.search_elsewhere(row, cell);
        }
        for (line, text) in row.multi_line_cells() {
            if text.split('\n').skip(1).any(|line| self.is_like_a_record(line)) {
                self.records_in_cells.get_or_insert((line, 0)).1 += 1;
            }
        }
    }

    /// Searches other columns for users, and the cell for a user of another kind.
    fn search_elsewhere(&mut self, row: &Row<'_>, cell: &str) {
        use IdentifierKind::{Email, Phone, UserId};

        if self.better.is_none() {
            let holds_user = |&&index: &&usize| self.wanted.is_valid(&row.cell(index));
            self.better = self.others.iter().find(holds_user).copied();
        }
        if self.by.is_none() {
            let kinds = [UserId, Email, Phone].into_iter().filter(|&it| it != self.wanted.kind);
            self.by = kinds.into_iter().find(|&kind| Identifier::is_valid(kind, cell));
        }
    }

    /// Whether a line has a user where a record of this file has one. Any word may be a username,
    /// so that there the line must have all cells of a record.
    fn is_like_a_record(&self, line: &str) -> bool {
        let cells: Vec<&str> = match self.delimiter {
            Some(delimiter) => line.split(delimiter).collect(),
            None => vec![line],
        };
        let cell = cells.get(self.column.index()).copied().unwrap_or_default();
        let cell = canonical_cell(cell.trim().trim_matches('"'));
        let is_whole = self.wanted.kind.has_shape() || cells.len() >= self.first.len();
        is_whole && self.wanted.is_valid(&cell)
    }

    fn finish(self) -> Vec<Suspicion> {
        /// Fewer records do not show that a column is wrong.
        const ENOUGH: u64 = 20;

        let mut suspicions = Vec::new();
        if let Some((line, n_cells)) = self.records_in_cells {
            let mut text = format!(
                "the quoted cell that begins on line {line} contains lines that look like records; \
                 check its quotes"
            );
            if n_cells > 1 {
                text += &format!(" (and those of {} more cells)", n_cells - 1);
            }
            suspicions.push(Suspicion { line: Some(line), text });
        }
        let kind = self.wanted.kind;
        let (column, columns) = match &self.column {
            UserColumn::PlainList => ("the list".to_owned(), String::new()),
            column => {
                let columns = Columns::of(&self.first);
                let advice = format!("; the columns are {columns}: name one with --column");
                (column.to_string(), advice)
            }
        };
        let (n_records, n_invalid) = (self.n_records, self.n_records - self.n_valid);
        if n_records > 0 && self.n_valid == 0 {
            let noun = kind.noun();
            let better = self.better.map_or_else(String::new, |index| {
                format!(", but column {} (\"{}\") does", index + 1, excerpt(&self.first[index]))
            });
            let by = self.by.map(by_hint).unwrap_or_default();
            let text = format!(
                "no record can be a user: {column} contains no valid {noun}{better}{columns}{by}"
            );
            suspicions.push(Suspicion { line: None, text });
        } else if n_records >= ENOUGH && n_invalid * 2 > n_records {
            let text = format!(
                "{n_invalid} of {n_records} records cannot be users: {column} contains few valid \
                 {}{columns}",
                kind.plural()
            );
            suspicions.push(Suspicion { line: None, text });
        }
        suspicions
    }
}
