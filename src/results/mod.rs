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

pub mod format;

mod cells;
mod compact;
mod redact;
mod time;

pub use format::{RowFormat, SnapshotMode};
pub use redact::Redaction;
