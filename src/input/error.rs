//! Why an input can't be read: the file, the line, the value, and what to do.

use std::io;

use super::columns::shortened;
use super::source::STDIN;
use super::{Columns, Encoding, Foreign};
use crate::model::{IdentifierKind, InvalidIdentifier};

/// Why an input can't be read. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Missing, or not allowed to be read.
    #[error("can't open {name}: {reason}")]
    Open {
        /// The source's name.
        name: String,
        /// What the operating system says.
        reason: io::Error,
    },
    /// A directory where a file was expected.
    #[error("{name} is a directory; give the file in it that lists the users")]
    Directory {
        /// The source's name.
        name: String,
    },
    /// Reading failed on the way.
    #[error("can't read {name}: {reason}")]
    Read {
        /// The source's name.
        name: String,
        /// What the operating system says.
        reason: io::Error,
    },
    /// Another kind of file altogether.
    #[error("{name} looks like {foreign}")]
    Foreign {
        /// The source's name.
        name: String,
        /// What it looks like.
        foreign: Foreign,
    },
    /// Text, but not in UTF-8.
    #[error("{name}, line {line}: this is not UTF-8; it looks like {encoding}. Convert it: iconv -f {from} -t UTF-8 {file} > new.csv", from = encoding.iconv_name(), file = shell_word(name))]
    NotUtf8 {
        /// The source's name.
        name: String,
        /// The first such line.
        line: u64,
        /// What it looks like.
        encoding: Encoding,
    },
    /// A NUL byte.
    #[error("{name}, line {line}: there is a NUL byte; this is no text file")]
    Binary {
        /// The source's name.
        name: String,
        /// The first such line.
        line: u64,
    },
    /// A quoted cell runs to the end of the input.
    #[error(
        "{name}, line {line}: a quote that opens in this record is never closed; close it, or remove it"
    )]
    OpenQuote {
        /// The source's name.
        name: String,
        /// The line on which the record begins.
        line: u64,
    },
    /// A record of more than 16 MiB.
    #[error(
        "{name}, line {line}: the record that begins here is longer than 16 MiB; is a quote not closed, or is this no CSV file?"
    )]
    TooLong {
        /// The source's name.
        name: String,
        /// The line on which the record begins.
        line: u64,
    },
    /// A record of more than a million cells.
    #[error(
        "{name}, line {line}: the record that begins here has more than a million cells; is this a CSV file?"
    )]
    TooManyCells {
        /// The source's name.
        name: String,
        /// The line on which the record begins.
        line: u64,
    },
    /// `--column NAME` names no column.
    #[error("{name} has no column \"{wanted}\". Its columns are {columns}", wanted = shortened(wanted))]
    UnknownColumn {
        /// The source's name.
        name: String,
        /// The column that was asked for.
        wanted: String,
        /// The columns there are.
        columns: Columns,
    },
    /// `--column N` names no column.
    #[error("{name} has no column number {number}. Its columns are {columns}")]
    NoSuchNumber {
        /// The source's name.
        name: String,
        /// The number that was asked for, 1-based.
        number: usize,
        /// The columns there are.
        columns: Columns,
    },
    /// Nothing says which column holds the users.
    #[error("{name}: no header says in which column the {noun} stands; give it the header \"{usual}\", or name it with --column. The columns are {columns}", noun = kind.noun(), usual = super::header::usual(*kind))]
    NoUserColumn {
        /// The source's name.
        name: String,
        /// What was looked for.
        kind: IdentifierKind,
        /// The columns there are.
        columns: Columns,
    },
    /// `--carry` names no column.
    #[error("{name} has no column \"{wanted}\" to carry. Its columns are {columns}", wanted = shortened(wanted))]
    UnknownCarry {
        /// The source's name.
        name: String,
        /// The column that was asked for.
        wanted: String,
        /// The columns there are.
        columns: Columns,
    },
    /// `--carry NAME` of an input whose columns have no names.
    #[error("{name} has no header, so there is no column \"{wanted}\" to carry; add a header line", wanted = shortened(wanted))]
    CarryWithoutHeader {
        /// The source's name.
        name: String,
        /// The column that was asked for.
        wanted: String,
    },
    /// A results or plan file was expected.
    #[error(
        "{name} is no results or plan file of this program: its header does not begin with line,input,user_id,outcome"
    )]
    NotResults {
        /// The source's name.
        name: String,
    },
    /// A results row whose outcome this program does not know, or that was cut off before it.
    #[error("{name}, line {line}: \"{value}\" is no outcome of this program; the file was edited, or its run was cut off: finish that with --resume", value = shortened(value))]
    BadOutcome {
        /// The source's name.
        name: String,
        /// The line on which the row begins.
        line: u64,
        /// What stands there.
        value: String,
    },
    /// A results row whose `line` is no number.
    #[error("{name}, line {line}: \"{value}\" in the column \"line\" is no line number; the file was edited", value = shortened(value))]
    BadLine {
        /// The source's name.
        name: String,
        /// The line on which the row begins.
        line: u64,
        /// What stands there.
        value: String,
    },
    /// A cell of the exclude file that can't be a user. It is never passed over: it may stand for
    /// an account that was taken over.
    #[error("{name}, line {line}: \"{value}\" can't be a user to exclude: {why}. Correct it or take the line out", value = shortened(value))]
    BadExcluded {
        /// The source's name.
        name: String,
        /// The line on which the record begins.
        line: u64,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        why: InvalidIdentifier,
    },
}

fn shell_word(name: &str) -> String {
    let file = if name == STDIN { "old.csv" } else { name };
    shell_words::quote(file).into_owned()
}
