//! What came back from one attempt, before anyone judges it.

use std::borrow::Cow;
use std::time::Duration;

/// What came back from one attempt. An attempt never fails otherwise: whatever happens is a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The server answered, whole.
    Answer(Answer),
    /// No answer came.
    Fault(Fault),
    /// An answer began, and did not come whole.
    Broken(Head, Fault),
}

/// A whole answer of the server. Nothing in it is trusted yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// How long the server asks to be left alone, from its `Retry-After`; not yet clamped.
    pub retry_after: Option<Duration>,
    /// Cloudflare's id for the request (`CF-Ray`): what Clerk's support can find it by.
    pub ray: Option<String>,
    /// The body, at most as long as the client allows.
    pub body: Vec<u8>,
}

/// What stands before the body of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// Cloudflare's id for the request (`CF-Ray`).
    pub ray: Option<String>,
}

/// Why no whole answer came. Each of them may be tried again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The attempt took longer than `--timeout` (or connecting than `--connect-timeout`).
    #[error("no answer within {}", seconds(*.0))]
    Timeout(Duration),
    /// The connection could not be made, or broke before an answer began.
    #[error("{0}")]
    Connection(String),
    /// The answer began and broke off.
    #[error("the answer broke off: {0}")]
    Truncated(String),
    /// The answer is larger than this many bytes and was not read to its end.
    #[error("the answer is larger than {} MiB", .0 >> 20)]
    TooLarge(u64),
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

impl Fault {
    /// The stable `error_code`.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Timeout(_) => Cow::Borrowed("timeout"),
            Self::Connection(_) => Cow::Borrowed("connection"),
            Self::Truncated(_) => Cow::Borrowed("truncated_answer"),
            Self::TooLarge(_) => Cow::Borrowed("untrusted_answer"),
        }
    }
}

/// A code of the `error_code` column: one of ours, or Clerk's own.
pub type ErrorCode = Cow<'static, str>;

/// What went wrong with one attempt, in the words of the results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// `error_code`.
    pub code: ErrorCode,
    /// `error_message`: for people.
    pub message: String,
    /// The HTTP status, where there was an answer.
    pub status: Option<u16>,
    /// `clerk_trace_id` of the error body, else `CF-Ray`.
    pub trace_id: Option<String>,
}
