//! An error on its way to the user: what to say, and the exit code it has earned.

use std::fmt;

use super::status::Status;
use crate::model::mask_keys;
use crate::results::{OpenError, ReadError, WriteError};

/// Why a command ended before it could tell what it did.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) status: Status,
    pub(super) error: anyhow::Error,
}

impl Failure {
    /// A failure of that status.
    pub(super) fn new(status: Status, error: impl Into<anyhow::Error>) -> Self {
        Self { status, error: error.into() }
    }

    /// A mistake in what was asked for, told in a sentence.
    pub(super) fn usage(text: impl fmt::Display) -> Self {
        Self::new(Status::Usage, anyhow::anyhow!("{text}"))
    }

    /// Something that should not happen.
    pub(super) fn internal(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Status::Internal, error)
    }
}

impl fmt::Display for Failure {
    /// The error and its causes, each said once, and no key in any of them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for cause in self.error.chain().map(ToString::to_string) {
            if text.is_empty() {
                text = cause;
            } else if !text.ends_with(&cause) {
                text = text + ": " + &cause;
            }
        }
        f.write_str(&mask_keys(&text))
    }
}

impl From<crate::input::Error> for Failure {
    fn from(error: crate::input::Error) -> Self {
        Self::new(Status::Usage, error)
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        Self::new(Status::Output, error)
    }
}

impl From<WriteError> for Failure {
    fn from(error: WriteError) -> Self {
        Self::new(Status::Output, error)
    }
}

impl From<ReadError> for Failure {
    fn from(error: ReadError) -> Self {
        Self::new(Status::Output, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clerk::SecretKey;

    #[test]
    fn a_cause_is_said_once_and_a_key_that_was_taken_for_a_path_is_not_repeated() {
        let path = "/no/such/sk_live_0123456789abcdefghijXYZ1";
        let error = SecretKey::from_file(path.as_ref()).unwrap_err();
        let text = Failure::new(Status::Key, error).to_string();
        assert!(
            text.contains("cannot read the secret key file /no/such/sk_live_…XYZ1: "),
            "{text}"
        );
        assert_eq!(text.matches("os error").count(), 1, "{text}");
    }
}
