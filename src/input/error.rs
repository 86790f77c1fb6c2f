//! Why an input is refused: the file, the line, the value, and what to do.

use std::io;

use super::columns::{Columns, UserColumn, usual_header};
use super::source::{Encoding, STDIN};
use crate::model::{IdentifierKind, Outcome, excerpt};
use crate::stats::summary::CommandKind;

/// An input is refused. Nothing was sent.
#[derive(Debug, thiserror::Error)]
#[error("{}", .refusal.message(.name))]
pub struct Error {
    /// The name of the input in messages.
    pub name: String,
    pub refusal: Refusal,
}

/// Why an input is refused.
#[derive(Debug)]
pub enum Refusal {
    Open(io::Error),
    Directory,
    Read(io::Error),
    /// Another format, and how to make a list of it.
    Foreign(&'static str),
    NotUtf8 {
        line: u64,
        encoding: Encoding,
    },
    Binary {
        line: u64,
    },
    /// A record of more than 16 MiB begins on this line.
    TooLong {
        line: u64,
    },
    Malformed {
        line: u64,
        what: Malformed,
    },
    /// A `sep=` line with another delimiter.
    UnknownSeparator(char),
    /// Several delimiters match equally well.
    AmbiguousDelimiter(Vec<char>),
    /// A line of usernames or external IDs that may be one of them or several cells.
    LineOrColumns {
        line: u64,
        kind: IdentifierKind,
        columns: Columns,
    },
    /// A first row that may be a header or a user.
    HeaderOrUser {
        line: u64,
        kind: IdentifierKind,
        cell: String,
    },
    /// A file that may be a `failed` or `unprocessed` file of this program, or another list: the
    /// cells of a row and the columns by both readings.
    OwnFileOrList {
        line: u64,
        kind: IdentifierKind,
        cells: Box<[String; 2]>,
        columns: Box<[UserColumn; 2]>,
    },
    /// A comment above a first record without a header: the column of the users by the comment,
    /// and by that record.
    HeaderInComment {
        line: u64,
        kind: IdentifierKind,
        comment: String,
        columns: Box<[UserColumn; 2]>,
    },
    /// A line above the header.
    TitleLine {
        line: u64,
        text: String,
        header_line: u64,
    },
    /// `--column NAME` names no column.
    UnknownColumn {
        wanted: String,
        columns: Columns,
    },
    /// `--column N` names no column.
    NoSuchNumber {
        number: usize,
        columns: Columns,
    },
    /// Two columns, numbered from 1, have the same name.
    RepeatedColumn {
        header: String,
        numbers: (usize, usize),
    },
    NoUserColumn {
        kind: IdentifierKind,
        columns: Columns,
    },
    /// `--carry` names no column.
    UnknownCarry {
        wanted: String,
        columns: Columns,
    },
    CarryWithoutHeader {
        wanted: String,
    },
    Suspicious(Suspicion),
    LeftAlone(LeftAlone),
    /// Not a results file.
    NotResults,
    /// A row of another command than `run`.
    NotARun {
        line: u64,
        kind: CommandKind,
    },
    /// Unlocked rows, of which this is the first, without a valid `was_locked`.
    WasLockedUnknown {
        line: u64,
        n_rows: u64,
    },
    BadOutcome {
        line: u64,
        value: String,
    },
    BadLine {
        line: u64,
        value: String,
    },
    /// An exclude file without an entry.
    NoEntries,
}

impl Refusal {
    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    fn message(&self, name: &str) -> String {
        match self {
            Self::Open(reason) => format!("cannot open {name}: {reason}"),
            Self::Directory => {
                format!("{name} is a directory; give the file in it that lists the users")
            }
            Self::Read(reason) => format!("cannot read {name}: {reason}"),
            Self::Foreign(format) => format!("{name} looks like {format}"),
            Self::NotUtf8 { line, encoding } => format!(
                "{name}:{line}: this is not UTF-8: line {line} looks like {}. Convert the file: \
                 iconv -f {} -t UTF-8 {} > new.csv",
                encoding.name,
                encoding.iconv_name,
                shell_words::quote(if name == STDIN { "old.csv" } else { name })
            ),
            Self::Binary { line } => {
                format!("{name}:{line}: line {line} contains a NUL byte; give a text file")
            }
            Self::TooLong { line } => format!(
                "{name}:{line}: the record that begins here is longer than 16 MiB; close an open \
                 quote, or give a CSV file"
            ),
            Self::Malformed { line, what } => format!("{name}:{line}: {what}"),
            Self::UnknownSeparator(sep) => format!(
                "{name}:1: the delimiter \"{sep}\" is not supported; expected a comma, semicolon, \
                 tab or pipe"
            ),
            Self::AmbiguousDelimiter(delimiters) => {
                let shown = |delimiter: &char| match delimiter {
                    '\t' => "a tab".to_owned(),
                    other => format!("\"{other}\""),
                };
                let delimiters: Vec<String> = delimiters.iter().map(shown).collect();
                format!(
                    "{name}: the cells may be separated by {}; choose one with --delimiter",
                    delimiters.join(" or ")
                )
            }
            Self::LineOrColumns { line, kind, columns } => format!(
                "{name}:{line}: is this line one {}, or the columns {columns}? Name a column with \
                 --column, or take whole lines with --delimiter none",
                kind.noun()
            ),
            Self::HeaderOrUser { line, kind, cell } => {
                let article = if *kind == IdentifierKind::ExternalId { "an" } else { "a" };
                let user = format!("{article} {}", kind.noun());
                format!(
                    "{name}:{line}: is \"{}\" a column header or {user}? If it is a header, give \
                     --column with that name; if it is {user}, add a header line",
                    excerpt(cell)
                )
            }
            Self::OwnFileOrList { line, kind, cells, columns } => format!(
                "{name}:{line}: does this row name \"{}\" or \"{}\"? The {} are in {} if this is a \
                 failed or unprocessed file of bulk-unlock, and in {} if it is another list; choose \
                 one with --column",
                excerpt(&cells[0]),
                excerpt(&cells[1]),
                kind.plural(),
                columns[0],
                columns[1]
            ),
            Self::HeaderInComment { line, kind, comment, columns } => format!(
                "{name}:{line}: is the comment \"{}\" the header? The {} are in {} if it is, and in \
                 {} if it is not; remove the \"#\", or choose the column by its number with --column",
                excerpt(comment),
                kind.plural(),
                columns[0],
                columns[1]
            ),
            Self::TitleLine { line, text, header_line } => format!(
                "{name}:{line}: line {line} (\"{}\") is neither a header nor a user, and line \
                 {header_line} looks like the header; remove the lines above it",
                excerpt(text)
            ),
            Self::UnknownColumn { wanted, columns } => {
                format!("{name} has no column \"{}\"; its columns are {columns}", excerpt(wanted))
            }
            Self::NoSuchNumber { number, columns } => {
                format!("{name} has no column number {number}; its columns are {columns}")
            }
            Self::RepeatedColumn { header, numbers: (first, second) } => format!(
                "{name}: columns {first} and {second} are both named \"{}\"; choose one by its \
                 number with --column",
                excerpt(header)
            ),
            Self::NoUserColumn { kind, columns } => {
                let mut others = IdentifierKind::ALL.into_iter().filter(|other| other != kind);
                let hint = others.find(|&other| columns.has_header_of(other)).map(by_hint);
                format!(
                    "{name}: no header names a column of {}; name it with --column, or give it the \
                     header \"{}\". The columns are {columns}{}",
                    kind.plural(),
                    usual_header(*kind),
                    hint.unwrap_or_default()
                )
            }
            Self::UnknownCarry { wanted, columns } => format!(
                "{name} has no column \"{}\" to carry; its columns are {columns}",
                excerpt(wanted)
            ),
            Self::CarryWithoutHeader { wanted } => format!(
                "{name} has no header, so it has no column \"{}\" to carry; add a header line",
                excerpt(wanted)
            ),
            Self::Suspicious(what) => {
                let line = what.line.map(|line| format!("{line}:")).unwrap_or_default();
                format!("{name}:{line} {what}. To continue anyway, add --lenient")
            }
            Self::LeftAlone(what) => format!("{name}:{}: {}", what.line, what.message()),
            Self::NotResults => format!(
                "{name} is not a bulk-unlock results or plan file: it has no columns line, input, \
                 user_id and outcome"
            ),
            Self::NotARun { line, kind } => {
                let is_plan = *kind == CommandKind::Plan;
                let hint = if is_plan { "; to run a plan, give it with --plan" } else { "" };
                format!(
                    "{name}:{line}: this row was written by `{}`, and --retry-failed takes the \
                     results of `run`{hint}",
                    kind.name()
                )
            }
            Self::WasLockedUnknown { line, n_rows } => {
                let more = match n_rows - 1 {
                    0 => String::new(),
                    1 => ", nor in 1 more row".to_owned(),
                    n_more => format!(", nor in {n_more} more rows"),
                };
                let (users, were, them) = match n_rows {
                    1 => ("this user", "this user was", "this user"),
                    _ => ("these users", "they were", "them"),
                };
                format!(
                    "{name}:{line}: `was_locked` is neither true nor false{more}: the run did \
                     not look {users} up, so it is not known whether {were} locked before; to lock \
                     {them} all the same, add --include-unknown"
                )
            }
            Self::BadOutcome { line, value } => format!(
                "{name}:{line}: \"{}\" is not an outcome; the file was edited, or its run was cut \
                 off: finish that with --resume",
                excerpt(value)
            ),
            Self::BadLine { line, value } => format!(
                "{name}:{line}: \"{}\" in the column \"line\" is not a line number; the file was \
                 edited",
                excerpt(value)
            ),
            Self::NoEntries => format!(
                "{name} contains no entry, so it excludes nobody; add the users to exclude, or \
                 leave out --exclude"
            ),
        }
    }
}

/// The advice to read the input by another kind of identifier.
pub(super) fn by_hint(kind: IdentifierKind) -> String {
    format!("; for {} give --by {}", kind.plural(), kind.flag_value())
}

/// What is wrong with a line of CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Text after the closing quote of a cell that begins and ends on these lines.
    #[error("text after a closing quote{}; quote the whole cell or remove the quote", in_cell(*first, *last))]
    TextAfterQuote { first: u64, last: u64 },
    /// The quoted cell that begins on this line runs to the end of the input.
    #[error(
        "unclosed quote: the quoted cell that begins on line {line} is never closed; close the quote or remove it"
    )]
    OpenQuote { line: u64 },
    /// A quote after white space in a cell that does not begin with it.
    #[error(
        "white space before a quote inside a cell; quote the whole cell and double the quotes inside it"
    )]
    SpaceBeforeQuote,
    #[error("{n_cells} cells, but the {} has {n_columns}; quote the cells that contain the delimiter", if *has_header { "header" } else { "first row" })]
    LongRow { n_cells: usize, n_columns: usize, has_header: bool },
    #[error("more than a million cells; give a CSV file")]
    TooManyCells,
}

fn in_cell(first: u64, last: u64) -> String {
    if first == last {
        String::new()
    } else {
        format!(", in the quoted cell on lines {first} to {last}")
    }
}

/// What makes it likely that an input is read wrongly (`--lenient` continues).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Suspicion {
    pub line: Option<u64>,
    pub text: String,
}

/// Rows whose users were left alone on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// The line of the first.
    pub line: u64,
    /// Its outcome.
    pub outcome: Outcome,
    pub n_rows: u64,
    pub is_locked_list: bool,
}

impl LeftAlone {
    fn message(self) -> String {
        let what = if self.outcome == Outcome::Relocked { "locked again" } else { "left alone" };
        let more = match self.n_rows - 1 {
            0 => String::new(),
            1 => ", and the user of 1 more row".to_owned(),
            n_more => format!(", and the users of {n_more} more rows"),
        };
        let advice = if self.is_locked_list {
            "remove these rows, or look the users up first, which leaves such users alone: make a \
             plan of the list and run it with --plan, or add --only-locked. To unlock them too, add \
             --include-admin-locked"
        } else {
            "run a plan with --plan, retry the failed rows of a run with --retry-failed, or remove \
             these rows"
        };
        format!("the user of this row was {what} on purpose ({}){more}; {advice}", self.outcome)
    }
}
