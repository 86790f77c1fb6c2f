//! The terms of a job, which all other modules share.

mod event;
mod failure;
mod identifier;
mod mask;
mod outcome;
mod packed_id;
mod record;
mod stop_reason;
mod text;

pub use crate::clerk::reply::{Answer, Head, Reply};
pub use crate::clerk::{Fault, InvalidUserId, UserId, UserSnapshot, UserSnapshot as UserView};
pub use event::{Attempt, Event, Pause, PauseReason, Row};
pub use failure::{ErrorCode, Failure};
pub use identifier::{Identifier, IdentifierKind, InvalidIdentifier, unwrapped_email};
pub use mask::{mask_also, mask_keys};
pub use outcome::Outcome;
pub use record::{InputRecord, Records, TargetKey};
pub use stop_reason::StopReason;
pub use text::{
    canonical_cell, excerpt, is_formula_start, is_guarded, is_header, is_invisible, is_separator,
    normalized_header, one_line,
};
