//! The input: who is to be unlocked. CSV of four kinds, plain lists, and the files that this
//! program itself wrote; everything is read and checked before the first call.
//!
//! A source becomes lines, lines become rows, and one column of the rows becomes the records. This
//! module alone decides what a header is, which column holds the users, and which line a record
//! begins on. Whether a cell *is* a user is not asked here: that is the plan's question.

mod carry;
mod columns;
mod delimiter;
mod error;
mod excluded;
mod foreign;
mod header;
mod lines;
mod options;
mod read;
mod recorded;
mod rows;
mod sidecar;
mod source;
mod table;
mod user_column;

#[cfg(test)]
mod tests;

pub use columns::Columns;
pub use error::Error;
pub use excluded::{Excluded, read_excluded};
pub use foreign::{Encoding, Foreign};
pub use options::{Carry, ColumnChoice, Options};
pub use read::{ReadInput, read};
pub use recorded::{CellFrom, Filter, LineFrom, recorded};
pub use source::Source;
pub use user_column::UserColumn;
