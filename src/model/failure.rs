//! What went wrong with one attempt, in the words of the results.

use std::borrow::Cow;

/// A code of the `error_code` column: one of this program's, or Clerk's own.
pub type ErrorCode = Cow<'static, str>;

/// What went wrong with one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `error_code`.
    pub code: ErrorCode,
    /// `error_message`: for people.
    pub message: String,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// `clerk_trace_id` of the error body, else `CF-Ray`.
    pub trace_id: Option<String>,
}
