//! The terms of a job, which all other modules share.

mod event;
mod failure;
mod identifier;
mod mask;
mod outcome;
mod record;
mod row;
mod stop_reason;
mod text;

pub use crate::clerk::reply::{Answer, Head, Reply};
pub use crate::clerk::{Fault, InvalidUserId, UserId, UserSnapshot, UserSnapshot as UserView};
pub use event::{Attempt, Event, Pause, PauseReason};
pub use failure::{ErrorCode, Failure};
pub use identifier::{Identifier, IdentifierKind, InvalidIdentifier};
pub use mask::{mask_also, mask_keys};
pub use outcome::Outcome;
pub use record::{Column, InputRecord, Job, Records};
pub use row::Row;
pub use stop_reason::StopReason;
pub use text::{canonical_cell, is_formula_start, is_guarded, is_separator, one_line};
