//! The input: the users of a job, and those to exclude. CSV with four delimiters, plain lists, and
//! the files of this program. Everything is read and checked before the first request, and an input
//! that can be read in two ways is refused.
//!
//! A source becomes lines, lines become rows, and one column of the rows becomes the records. Only
//! this module decides what a header is, which column holds the users, and on which line a record
//! begins. Whether a cell is a valid user matters here only for the choice of the column; the plan
//! gives each record its row.

mod columns;
mod error;
mod own_files;
mod read;
mod rows;
mod source;
mod table;

#[cfg(test)]
mod tests;

pub use columns::{Carry, ColumnChoice};
pub use error::Error;
pub use own_files::{Filter, recorded};
pub use read::{Options, ReadInput, read, read_exclude_file};
pub use source::Source;
pub use table::Delimiter;
