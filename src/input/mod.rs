//! The input: the users to unlock, and those to leave alone. CSV with four delimiters, plain lists,
//! and the files that this program itself writes. Everything is read and checked before the first
//! request; what could be read in two ways is refused.
//!
//! A source becomes lines, lines become rows, and one column of the rows becomes the records. This
//! module alone decides what a header is, which column holds the users, and on which line a record
//! begins. Whether a cell is a valid user decides here only whether the column can be right; the
//! plan gives each record its row.

mod carry;
mod columns;
mod delimiter;
mod error;
mod exclude;
mod lines;
mod own_files;
mod read;
mod rows;
mod source;
mod table;

#[cfg(test)]
mod tests;

pub use carry::Carry;
pub use columns::{ColumnChoice, Columns, UserColumn};
pub use delimiter::Delimiter;
pub use error::{Error, LeftAlone, Malformed, Suspicion};
pub use exclude::read_exclude_file;
pub use own_files::{Filter, recorded};
pub use read::{Options, ReadInput, read};
pub use source::{Encoding, Foreign, Source};
