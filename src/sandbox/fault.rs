//! The faults by name.

use std::fmt;

/// One way in which an answer goes wrong; the table in the [module's documentation](super) tells
/// what each does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FaultKind {
    /// `500`: Clerk's own error body.
    InternalError,
    /// `502`: an HTML page, as a proxy in front of Clerk sends it.
    BadGateway,
    /// `503`: with `Retry-After: 1`.
    Unavailable,
    /// `504`: the unlock was done, the gateway gave up.
    GatewayTimeout,
    /// `429`: too many requests, though there were not; `Retry-After: 1`.
    Throttled,
    /// `reset`: the connection is closed before anything was done.
    Reset,
    /// `reset-after`: the connection is closed after all was done.
    ResetAfter,
    /// `hang`: no answer; after two minutes the connection is closed.
    Hang,
    /// `truncated`: half the body that `Content-Length` announced.
    Truncated,
    /// `garbage`: 200, not JSON.
    Garbage,
    /// `empty`: 200 without a body.
    Empty,
    /// `slow`: the right answer in small pieces, 100 ms apart, two seconds in all.
    Slow,
    /// `other-user`: 200 with somebody else's object.
    OtherUser,
    /// `still-locked`: 200, `locked: true`.
    StillLocked,
    /// `huge`: a body of 64 MiB.
    Huge,
    /// `gzip`: a compressed body that nobody asked for.
    Gzip,
    /// `redirect`: 307 to a place where nobody listens.
    Redirect,
    /// `deep`: JSON nested a hundred thousand levels deep.
    Deep,
    /// `escapes`: a final 422 whose message holds escape sequences and control characters.
    Escapes,
}

impl FaultKind {
    /// Every fault, in the order of the table.
    pub const ALL: [Self; 19] = [
        Self::InternalError,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::Throttled,
        Self::Reset,
        Self::ResetAfter,
        Self::Hang,
        Self::Truncated,
        Self::Garbage,
        Self::Empty,
        Self::Slow,
        Self::OtherUser,
        Self::StillLocked,
        Self::Huge,
        Self::Gzip,
        Self::Redirect,
        Self::Deep,
        Self::Escapes,
    ];

    /// The faults that a bare share such as `5%` mixes: all pass, and none keeps a client waiting.
    pub const MIX: [Self; 11] = [
        Self::InternalError,
        Self::BadGateway,
        Self::Unavailable,
        Self::GatewayTimeout,
        Self::Reset,
        Self::ResetAfter,
        Self::Truncated,
        Self::Garbage,
        Self::Empty,
        Self::OtherUser,
        Self::StillLocked,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::InternalError => "500",
            Self::BadGateway => "502",
            Self::Unavailable => "503",
            Self::GatewayTimeout => "504",
            Self::Throttled => "429",
            Self::Reset => "reset",
            Self::ResetAfter => "reset-after",
            Self::Hang => "hang",
            Self::Truncated => "truncated",
            Self::Garbage => "garbage",
            Self::Empty => "empty",
            Self::Slow => "slow",
            Self::OtherUser => "other-user",
            Self::StillLocked => "still-locked",
            Self::Huge => "huge",
            Self::Gzip => "gzip",
            Self::Redirect => "redirect",
            Self::Deep => "deep",
            Self::Escapes => "escapes",
        }
    }

    /// The fault of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_found_by_its_name() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::named(kind.name()), Some(kind));
        }
    }

    #[test]
    fn every_fault_stands_in_the_table_of_the_documentation() {
        let doc = include_str!("mod.rs");
        for kind in FaultKind::ALL {
            assert!(doc.contains(&format!("//! | `{kind}` |")), "{kind}");
        }
    }
}
