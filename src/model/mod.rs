//! The terms of a job, which all other modules share.

mod event;
mod identifier;
mod outcome;
mod record;
mod row;
mod text;

pub use crate::clerk::reply::{Answer, Head, Reply};
pub use crate::clerk::{Fault, InvalidUserId, UserId, UserSnapshot, UserSnapshot as UserView};
pub use event::{Attempt, Event, Pause, PauseReason};
pub use identifier::{Identifier, IdentifierKind, InvalidIdentifier, unwrapped_email};
pub use outcome::{ErrorCode, Failure, Outcome, StopReason};
pub use record::{InputRecord, Records, TargetKey};
pub use row::Row;
pub use text::{
    canonical_cell, excerpt, is_formula_start, is_guarded, is_header, is_invisible, is_separator,
    mask_also, mask_keys, normalized_header, one_line,
};
