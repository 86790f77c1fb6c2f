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
