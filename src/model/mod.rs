//! The words of the trade: what every other module speaks of, and what no module says twice.

mod answer_body;
mod event;
mod identifier;
mod mask;
mod outcome;
mod record;
mod reply;
mod row;
mod stop_reason;
mod text;
mod user;
mod user_id;
mod user_view;

pub use answer_body::{ApiError, NotAUserList, count_of, error_of, users_of};
pub use event::{Attempt, Event, Pause, PauseReason};
pub use identifier::{Identifier, IdentifierKind, InvalidIdentifier, unwrapped_email};
pub use mask::{mask_also, mask_keys};
pub use outcome::Outcome;
pub use record::{InputRecord, Job, Records};
pub use reply::{Answer, ErrorCode, Failure, Fault, Head, Reply};
pub use row::Row;
pub use stop_reason::StopReason;
pub use text::{
    canonical_cell, excerpt, is_formula_start, is_guarded, is_header, is_invisible, is_separator,
    name_of_char, normalized_header, one_line,
};
pub use user::{
    EmailAddress, ExternalAccount, IdentificationLink, Passkey, PhoneNumber, User, Verification,
    Web3Wallet,
};
pub use user_id::{InvalidUserId, UserId};
pub use user_view::UserView;
