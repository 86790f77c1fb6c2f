//! Why a user was not unlocked, for programs that call [`Client::unlock_user`](super::Client).

use crate::model::{ApiError, Fault};

/// Why a user was not unlocked by one attempt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API answered with another status than 200.
    #[error("the API answered {status}{}", said(error))]
    Api {
        /// The HTTP status.
        status: u16,
        /// What the answer says of it, and the id by which Clerk's support can find it: the body's
        /// own, else the `CF-Ray` header.
        error: ApiError,
    },
    /// No whole answer came; the user may be unlocked all the same.
    #[error(transparent)]
    Transport(#[from] Fault),
    /// The API answered 200, but not with this user's object.
    #[error("the API answered 200, but {0}")]
    Untrusted(#[from] Untrusted),
}

/// Why an answer of status 200 does not count.
#[derive(Debug, thiserror::Error)]
pub enum Untrusted {
    /// No user object.
    #[error("the answer is no user object: {0}")]
    NoUser(#[from] serde_json::Error),
    /// The object of another user.
    #[error("the answer is about another user")]
    AnotherUser,
}

/// A message of the server, made fit for a terminal: on one line.
fn said(error: &ApiError) -> String {
    let parts = [Some(""), error.code.as_deref(), error.message.as_deref()];
    let said: Vec<&str> = parts.into_iter().flatten().collect();
    crate::model::one_line(&said.join(": ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_says_is_told_on_one_line() {
        let error = ApiError {
            code: Some("resource_not_found".into()),
            message: Some("No user was\n\u{1b}[31mfound".into()),
            trace_id: None,
        };
        insta::assert_snapshot!(
            Error::Api { status: 404, error },
            @"the API answered 404: resource_not_found: No user was  [31mfound"
        );
        insta::assert_snapshot!(
            Error::Api { status: 502, error: ApiError::default() },
            @"the API answered 502"
        );
    }
}
