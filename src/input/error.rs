//! Why an input is refused: the file, the line, the value, and what to do.

use std::fmt;
use std::io;

use super::columns::usual_header;
use super::source::STDIN;
use super::{Columns, Encoding, Foreign, UserColumn};
use crate::model::{IdentifierKind, Outcome, excerpt};
use crate::stats::summary::CommandKind;

/// Why an input is refused. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Missing, or without permission.
    #[error("cannot open {name}: {reason}")]
    Open {
        /// The source's name.
        name: String,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// A directory where a file was expected.
    #[error("{name} is a directory; give the file in it that lists the users")]
    Directory {
        /// The source's name.
        name: String,
    },
    /// Reading failed before the end.
    #[error("cannot read {name}: {reason}")]
    Read {
        /// The source's name.
        name: String,
        /// The error of the operating system.
        reason: io::Error,
    },
    /// Another format.
    #[error("{name} looks like {foreign}")]
    Foreign {
        /// The source's name.
        name: String,
        /// The format.
        foreign: Foreign,
    },
    /// Text, but not in UTF-8.
    #[error("{name}:{line}: this is not UTF-8: line {line} looks like {encoding}. Convert the file: iconv -f {from} -t UTF-8 {file} > new.csv", from = encoding.iconv_name(), file = shell_word(name))]
    NotUtf8 {
        /// The source's name.
        name: String,
        /// The first such line.
        line: u64,
        /// The encoding that it seems to be.
        encoding: Encoding,
    },
    /// A NUL byte.
    #[error("{name}:{line}: line {line} contains a NUL byte; give a text file")]
    Binary {
        /// The source's name.
        name: String,
        /// The first such line.
        line: u64,
    },
    /// A record of more than 16 MiB.
    #[error(
        "{name}:{line}: the record that begins here is longer than 16 MiB; close an open quote, or give a CSV file"
    )]
    TooLong {
        /// The source's name.
        name: String,
        /// The line on which the record begins.
        line: u64,
    },
    /// Not well-formed CSV.
    #[error("{name}:{line}: {what}")]
    Malformed {
        /// The source's name.
        name: String,
        /// The line.
        line: u64,
        /// What is wrong there.
        what: Malformed,
    },
    /// A `sep=` line with a delimiter that is not supported.
    #[error(
        "{name}:1: the delimiter \"{sep}\" is not supported; expected a comma, semicolon, tab or pipe"
    )]
    UnknownSeparator {
        /// The source's name.
        name: String,
        /// The delimiter that the line names.
        sep: char,
    },
    /// Two delimiters would do.
    #[error(
        "{name}: the cells may be separated by {}; choose one with --delimiter",
        alternatives(delimiters)
    )]
    AmbiguousDelimiter {
        /// The source's name.
        name: String,
        /// The delimiters.
        delimiters: Vec<char>,
    },
    /// A line of usernames or external IDs that may be one of them or several cells.
    #[error("{name}:{line}: is this line one {noun}, or the columns {columns}? Name a column with --column, or take whole lines with --delimiter none", noun = kind.noun())]
    LineOrColumns {
        /// The source's name.
        name: String,
        /// The line.
        line: u64,
        /// What the input holds.
        kind: IdentifierKind,
        /// Its cells.
        columns: Columns,
    },
    /// A first row that may be a header or a user.
    #[error("{name}:{line}: is \"{cell}\" a column header or {article} {noun}? If it is a header, give --column with that name; if it is {article} {noun}, add a header line", cell = excerpt(cell), article = if *kind == IdentifierKind::ExternalId { "an" } else { "a" }, noun = kind.noun())]
    HeaderOrUser {
        /// The source's name.
        name: String,
        /// The line.
        line: u64,
        /// What the column holds.
        kind: IdentifierKind,
        /// The cell.
        cell: String,
    },
    /// A line above the header.
    #[error("{name}:{line}: line {line} (\"{text}\") is neither a header nor a user, and line {header_line} looks like the header; remove the lines above it", text = excerpt(text))]
    TitleLine {
        /// The source's name.
        name: String,
        /// The line.
        line: u64,
        /// Its first cell.
        text: String,
        /// The line of the header.
        header_line: u64,
    },
    /// `--column NAME` names no column.
    #[error("{name} has no column \"{wanted}\"; its columns are {columns}", wanted = excerpt(wanted))]
    UnknownColumn {
        /// The source's name.
        name: String,
        /// The column that was asked for.
        wanted: String,
        /// The columns there are.
        columns: Columns,
    },
    /// `--column N` names no column.
    #[error("{name} has no column number {number}; its columns are {columns}")]
    NoSuchNumber {
        /// The source's name.
        name: String,
        /// The number that was asked for, 1-based.
        number: usize,
        /// The columns there are.
        columns: Columns,
    },
    /// Two columns have the name.
    #[error("{name}: columns {} and {} are both named \"{header}\"; choose one by its number with --column", numbers.0, numbers.1, header = excerpt(header))]
    RepeatedColumn {
        /// The source's name.
        name: String,
        /// The header of the first.
        header: String,
        /// Their places, 1-based.
        numbers: (usize, usize),
    },
    /// No header names the column of the users.
    #[error("{name}: no header names a column of {plural}; name it with --column, or give it the header \"{usual}\". The columns are {columns}{hint}", plural = kind.plural(), usual = usual_header(*kind), hint = by_hint(*kind, columns))]
    NoUserColumn {
        /// The source's name.
        name: String,
        /// What was looked for.
        kind: IdentifierKind,
        /// The columns there are.
        columns: Columns,
    },
    /// `--carry` names no column.
    #[error("{name} has no column \"{wanted}\" to carry; its columns are {columns}", wanted = excerpt(wanted))]
    UnknownCarry {
        /// The source's name.
        name: String,
        /// The column that was asked for.
        wanted: String,
        /// The columns there are.
        columns: Columns,
    },
    /// `--carry NAME` of an input whose columns have no names.
    #[error("{name} has no header, so it has no column \"{wanted}\" to carry; add a header line", wanted = excerpt(wanted))]
    CarryWithoutHeader {
        /// The source's name.
        name: String,
        /// The column that was asked for.
        wanted: String,
    },
    /// The input has a suspicious form.
    #[error("{name}:{place} {what}. To continue anyway, add --lenient", place = place_of(what))]
    Suspicious {
        /// The source's name.
        name: String,
        /// What is suspicious.
        what: Suspicion,
    },
    /// Rows of this program's own files whose users were left alone on purpose.
    #[error("{name}:{line}: {what}", line = what.line)]
    LeftAlone {
        /// The source's name.
        name: String,
        /// The rows.
        what: LeftAlone,
    },
    /// A results file was expected.
    #[error(
        "{name} is not a bulk-unlock results or plan file: it has no columns line, input, user_id and outcome"
    )]
    NotResults {
        /// The source's name.
        name: String,
    },
    /// A plan or verify file where the results of a run were expected.
    #[error("{name}:{line}: this row was written by `{}`, and --retry-failed takes the results of `run`{}", kind.name(), if *kind == CommandKind::Plan { "; to run a plan, give it with --plan" } else { "" })]
    NotARun {
        /// The source's name.
        name: String,
        /// The line of the first row of another command.
        line: u64,
        /// The command that wrote it.
        kind: CommandKind,
    },
    /// Unlocked rows that do not say whether their users were locked before.
    #[error("{name}:{line}: `was_locked` says neither true nor false{}: the run did not look {} up, so it is not known whether {} locked before; to lock {} all the same, add --include-unknown", more_rows(*n_rows), if *n_rows == 1 { "this user" } else { "these users" }, if *n_rows == 1 { "this user was" } else { "they were" }, if *n_rows == 1 { "this user" } else { "them" })]
    WasLockedUnknown {
        /// The source's name.
        name: String,
        /// The line of the first such row.
        line: u64,
        /// Number of such rows.
        n_rows: u64,
    },
    /// A results row whose outcome is unknown, or that was cut off before it.
    #[error("{name}:{line}: \"{value}\" is not an outcome; the file was edited, or its run was cut off: finish that with --resume", value = excerpt(value))]
    BadOutcome {
        /// The source's name.
        name: String,
        /// The line on which the row begins.
        line: u64,
        /// The value.
        value: String,
    },
    /// A results row whose `line` is not a number.
    #[error("{name}:{line}: \"{value}\" in the column \"line\" is not a line number; the file was edited", value = excerpt(value))]
    BadLine {
        /// The source's name.
        name: String,
        /// The line on which the row begins.
        line: u64,
        /// The value.
        value: String,
    },
    /// An exclude file that names nobody.
    #[error(
        "{name} contains no entry, so it excludes nobody; add the users to exclude, or leave out --exclude"
    )]
    NoEntries {
        /// The source's name.
        name: String,
    },
}

/// What is wrong with a line of CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Text between a closing quote and the delimiter.
    #[error("text after a closing quote{}; quote the whole cell or remove the quote", in_cell(*first, *last))]
    TextAfterQuote {
        /// The line on which the quoted cell begins.
        first: u64,
        /// The line of its closing quote.
        last: u64,
    },
    /// A quoted cell runs to the end of the input.
    #[error(
        "unclosed quote: the quoted cell that begins on line {line} is never closed; close the quote or remove it"
    )]
    OpenQuote {
        /// The line on which the cell begins.
        line: u64,
    },
    /// A quote behind white space in a cell that does not begin with it.
    #[error(
        "white space before a quote inside a cell; quote the whole cell and double the quotes inside it"
    )]
    SpaceBeforeQuote,
    /// More cells than columns.
    #[error("{n_cells} cells, but the {} has {n_columns}; quote the cells that contain the delimiter", if *has_header { "header" } else { "first row" })]
    LongRow {
        /// How many cells, up to the last that is not blank.
        n_cells: usize,
        /// How many columns.
        n_columns: usize,
        /// The columns are those of a header, not of the first record.
        has_header: bool,
    },
    /// More than a million cells.
    #[error("more than a million cells; give a CSV file")]
    TooManyCells,
}

/// What makes it likely that an input is read wrongly (`--lenient` continues).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// No record can be a user.
    NoValidUser {
        /// What was looked for.
        kind: IdentifierKind,
        /// The column that was read.
        column: UserColumn,
        /// Another column with a known header that does hold users: its number and header.
        better: Option<(usize, String)>,
        /// The columns there are; none in a plain list.
        columns: Option<Columns>,
        /// Another kind that some cells are of.
        by: Option<IdentifierKind>,
    },
    /// Most records cannot be users.
    MostlyInvalid {
        /// What was looked for.
        kind: IdentifierKind,
        /// The column that was read.
        column: UserColumn,
        /// How many records cannot be users.
        n_invalid: u64,
        /// How many records there are.
        n_records: u64,
        /// The columns there are; none in a plain list.
        columns: Option<Columns>,
    },
    /// A quoted cell holds lines that look like records.
    RecordsInCell {
        /// The line on which the first such cell begins.
        line: u64,
        /// How many cells are like that.
        n_cells: u64,
    },
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |column: &UserColumn| match column {
            UserColumn::PlainList => "the list".to_owned(),
            column => column.to_string(),
        };
        let advice = |columns: &Option<Columns>| match columns {
            Some(columns) => format!("; the columns are {columns}: name one with --column"),
            None => String::new(),
        };
        match self {
            Self::NoValidUser { kind, column, better, columns, by } => {
                let (column, noun) = (name(column), kind.noun());
                write!(f, "no record can be a user: {column} contains no valid {noun}")?;
                if let Some((number, header)) = better {
                    write!(f, ", but column {number} (\"{}\") does", excerpt(header))?;
                }
                f.write_str(&advice(columns))?;
                if let Some(kind) = by {
                    write!(f, "; for {} give --by {}", kind.plural(), kind.flag_value())?;
                }
                Ok(())
            }
            Self::MostlyInvalid { kind, column, n_invalid, n_records, columns } => write!(
                f,
                "{n_invalid} of {n_records} records cannot be users: {} contains few valid {}{}",
                name(column),
                kind.plural(),
                advice(columns)
            ),
            Self::RecordsInCell { line, n_cells } => {
                write!(
                    f,
                    "the quoted cell that begins on line {line} contains lines that look like \
                     records; check its quotes"
                )?;
                match n_cells {
                    0 | 1 => Ok(()),
                    n => write!(f, " (and those of {} more cells)", n - 1),
                }
            }
        }
    }
}

/// Rows whose users were left alone on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// The line of the first.
    pub line: u64,
    /// Its outcome.
    pub outcome: Outcome,
    /// How many there are.
    pub n_rows: u64,
    /// The file is a list of locked users.
    pub is_locked_list: bool,
}

impl fmt::Display for LeftAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { outcome, n_rows, .. } = self;
        let what = if *outcome == Outcome::Relocked { "locked again" } else { "left alone" };
        write!(f, "the user of this row was {what} on purpose ({outcome})")?;
        match n_rows - 1 {
            0 => {}
            1 => f.write_str(", and the user of 1 more row")?,
            n_more => write!(f, ", and the users of {n_more} more rows")?,
        }
        f.write_str(if self.is_locked_list {
            "; remove these rows, or look the users up first, which leaves such users alone: make a \
             plan of the list and run it with --plan, or add --only-locked. To unlock them too, add \
             --include-admin-locked"
        } else {
            "; run a plan with --plan, retry the failed rows of a run with --retry-failed, or \
             remove these rows"
        })
    }
}

/// The line that a suspicion is about, as it stands behind the file's name.
fn place_of(what: &Suspicion) -> String {
    match what {
        Suspicion::RecordsInCell { line, .. } => format!("{line}:"),
        Suspicion::NoValidUser { .. } | Suspicion::MostlyInvalid { .. } => String::new(),
    }
}

fn in_cell(first: u64, last: u64) -> String {
    if first == last {
        String::new()
    } else {
        format!(", in the quoted cell on lines {first} to {last}")
    }
}

fn alternatives(delimiters: &[char]) -> String {
    let names: Vec<String> = delimiters
        .iter()
        .map(|delimiter| match delimiter {
            '\t' => "a tab".to_owned(),
            other => format!("\"{other}\""),
        })
        .collect();
    names.join(" or ")
}

/// The kind that a header names, where it is another than was looked for.
fn by_hint(kind: IdentifierKind, columns: &Columns) -> String {
    let found = IdentifierKind::ALL.into_iter().find(|&it| it != kind && columns.has_header_of(it));
    match found {
        Some(kind) => format!("; for {} give --by {}", kind.plural(), kind.flag_value()),
        None => String::new(),
    }
}

/// ", nor in 3 more rows"
fn more_rows(n_rows: u64) -> String {
    match n_rows.saturating_sub(1) {
        0 => String::new(),
        1 => ", nor in 1 more row".to_owned(),
        n_more => format!(", nor in {n_more} more rows"),
    }
}

fn shell_word(name: &str) -> String {
    let file = if name == STDIN { "old.csv" } else { name };
    shell_words::quote(file).into_owned()
}
