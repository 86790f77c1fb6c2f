//! The files of a run: its results, their sidecar files, and what a later run reads of them. Only
//! this module contains their formats.
//!
//! Invariants, even if the process is killed or the disk fails:
//!
//! - A row is one line and is written whole. A crash can only tear the end of the file, and a torn
//!   end is cut off when the file is continued.
//! - One run at a time writes a file. It is locked from before it is read until after its
//!   sidecar files are written.
//! - No row means not done: resuming is by the set of recorded users, never by position.
//! - A sidecar file is complete, or as it was before.
//! - A run that is refused changes no file of an earlier run.

pub mod format;
pub mod manifest;
pub mod sidecars;

mod error;
mod files;
mod journal;
mod lines;
mod locked_list;
mod outputs;
mod reader;
mod resume;
mod snapshot;
#[cfg(test)]
pub(crate) mod testing;
mod writer;

pub use error::{OpenError, ReadError, WriteError};
pub use files::{AtomicWriter, is_stdin, is_stdin_stdout, is_stdout, same_file, sha256_file};
pub use format::{RowFormat, kind_of_outcome};
pub use journal::refuse_existing;
pub use locked_list::{ListCounts, LockedFormat, LockedList, check_own_list};
pub use manifest::Manifest;
pub use outputs::{Finalized, Outputs, Totals};
pub use reader::Reader;
pub use resume::{Resumed, Unfinished, resume};
pub use sidecars::{Sidecars, read_unprocessed};
pub use snapshot::{Redaction, SnapshotMode, USER_FIELDS};
pub use writer::{Existing, Writer};
