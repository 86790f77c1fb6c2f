//! The journal: one line of CSV per record, appended by one writer, and the files beside it.
//!
//! What holds here, whatever happens to the process or the disk:
//!
//! - A row is one line and is written whole. A crash can only tear the end, and a torn end is cut
//!   when the file is gone on with.
//! - One run at a time writes a file: it is locked from before it is read until after the files
//!   beside it are written.
//! - No row means not done: resuming is by the set of recorded users, never by position.
//! - A file beside it is there whole, or as it was before.

pub mod atomic;
pub mod format;
pub mod manifest;
pub mod own_file;
pub mod sidecars;

mod cells;
mod compact;
mod digest;
mod error;
mod header;
mod journal;
mod lines;
mod locked_list;
mod reader;
mod recorded_row;
mod redact;
mod resume;
mod same_file;
mod set_aside;
mod sink;
mod time;
mod writer;

pub use digest::{sha256, sha256_file};
pub use error::{OpenError, Problem, ReadError, WriteError};
pub use format::{RowFormat, SnapshotMode};
pub use journal::{Existing, Journal, check_not_in_use, refuse_existing};
pub use locked_list::{LOCKED_COLUMNS, LockedFormat};
pub use manifest::Manifest;
pub use reader::Reader;
pub use recorded_row::RecordedRow;
pub use redact::Redaction;
pub use resume::{Resumed, kind_of_outcome, resume};
pub use same_file::{is_stdin, is_stdin_stdout, is_stdout, same_file};
pub use set_aside::SetAside;
pub use sidecars::Sidecars;
pub use sink::Sink;
pub use writer::Writer;
