//! What a test tells the sandbox to do.

use std::collections::{HashMap, VecDeque};

use crate::model::UserId;

use super::FaultKind;

/// What the first unlock calls for a user are answered with, in this order; then all is normal.
pub type Script = HashMap<UserId, VecDeque<Scripted>>;

/// What one unlock call is answered with. Quota, key and latency come first as ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scripted {
    /// That status.
    Answer {
        /// The status.
        status: u16,
        /// The body. `None`: with a 2xx the unlock is done and the user object sent, else an error
        /// body of Clerk's shape.
        body: Option<String>,
        /// Headers, such as `Retry-After`; those that HTTP does not allow are left out.
        headers: Vec<(String, String)>,
    },
    /// That fault.
    Fault(FaultKind),
}

impl Scripted {
    /// That status, with the usual body.
    pub fn status(status: u16) -> Self {
        Self::Answer { status, body: None, headers: Vec::new() }
    }

    /// The same with that body. A fault stays as it is.
    #[must_use]
    pub fn with_body(mut self, text: impl Into<String>) -> Self {
        if let Self::Answer { body, .. } = &mut self {
            *body = Some(text.into());
        }
        self
    }

    /// The same with one header more. A fault stays as it is.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let Self::Answer { headers, .. } = &mut self {
            headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }
}

/// How the sandbox treats everybody, until it is told otherwise. In all modes but the first,
/// nothing is done and nothing counts towards the quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// As Clerk would.
    #[default]
    Normal,
    /// Every request gets this status: an outage, say.
    AllStatus(u16),
    /// Connections are closed as soon as they are made, or used again.
    Refuse,
    /// The key was revoked: every request gets a 401.
    Revoked,
}
