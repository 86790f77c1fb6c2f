//! An error on its way to the user: what to say, and the exit code it has earned.

use std::fmt;

use super::status::Status;
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
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
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
