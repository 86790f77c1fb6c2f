//! Why a call of the client failed.

use std::time::Duration;

use super::{ApiError, Fault, on_one_line};

/// Why a call of a [`Client`](super::Client) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The API answered with another status than 200.
    #[error("the API answered {status}{}", details(error))]
    #[non_exhaustive]
    Api {
        /// The HTTP status.
        status: u16,
        /// What the body says about it.
        error: ApiError,
        /// How long the API asks to wait before the next request (`Retry-After`).
        retry_after: Option<Duration>,
    },
    /// No complete response came. A change may have been made all the same.
    #[error(transparent)]
    Transport(#[from] Fault),
    /// The API answered 200, but not with what was asked for.
    #[error("the API answered 200, but the response cannot be trusted: {reason}")]
    #[non_exhaustive]
    Untrusted {
        /// What is wrong with the response.
        reason: String,
    },
    /// The values do not fit into one request. Nothing was sent.
    #[error("too many values for one request; send the first {n_fitting} first")]
    #[non_exhaustive]
    TooManyValues {
        /// How many of them fit, from the first on.
        n_fitting: usize,
    },
}

impl Error {
    pub(super) fn untrusted(reason: impl Into<String>) -> Self {
        Self::Untrusted { reason: reason.into() }
    }
}

fn details(error: &ApiError) -> String {
    let parts = [Some(""), error.code.as_deref(), error.message.as_deref()];
    on_one_line(&parts.into_iter().flatten().collect::<Vec<_>>().join(": "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_says_is_shown_on_one_line() {
        let error = ApiError {
            code: Some("resource_not_found".into()),
            message: Some("No user was\n\u{1b}[31mfound".into()),
            trace_id: None,
        };
        let error = Error::Api { status: 404, error, retry_after: None };
        insta::assert_snapshot!(
            error,
            @"the API answered 404: resource_not_found: No user was  [31mfound"
        );
        let error = Error::Api { status: 502, error: ApiError::default(), retry_after: None };
        insta::assert_snapshot!(error, @"the API answered 502");
    }
}
