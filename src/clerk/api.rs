//! The seam to the network: what the engine asks for, whoever answers.

use crate::model::{Identifier, Reply, UserId};

use super::request::MAX_PAGE;

/// What the engine asks of Clerk's API. Each call is one attempt and never fails: whatever happens
/// is some [`Reply`]. A call that is dropped half-way may or may not have reached the server.
pub trait Api {
    /// Unlocks one user. The answer's body is to be this user's object.
    fn unlock(&self, user: &UserId) -> impl Future<Output = Reply>;

    /// Looks up identifiers of one kind, as many as [`n_that_fit`](super::n_that_fit) says. The
    /// answer's body is to be a list of users, at most 500, in no order; those who do not exist are
    /// left out in silence. Identifiers of different kinds would narrow each other.
    fn look_up(&self, identifiers: &[Identifier]) -> impl Future<Output = Reply>;

    /// One page of a walk over the instance, newest users first. The answer's body is to be a list
    /// of users; a page with fewer than the limit may be the last one, an empty one is.
    fn page(&self, page: &PageRequest) -> impl Future<Output = Reply>;

    /// How many users there are.
    fn count(&self, created_at: CreatedAt) -> impl Future<Output = Reply>;
}

/// One page of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// How many users at most; the API takes 1 to [`MAX_PAGE`].
    pub limit: u16,
    /// The last user of the page before; `None`: the first page. All else must stay the same
    /// throughout a walk.
    pub starting_after: Option<UserId>,
    /// Whom the walk is over.
    pub created_at: CreatedAt,
    /// Oldest users first, in place of newest.
    pub oldest_first: bool,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self {
            limit: MAX_PAGE,
            starting_after: None,
            created_at: CreatedAt::default(),
            oldest_first: false,
        }
    }
}

/// A range of users by the time they were made, in Unix milliseconds. Clerk does not say whether
/// the bounds themselves belong to it: ranges side by side should overlap by a millisecond.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreatedAt {
    /// Made before this moment; `None`: no bound.
    pub before: Option<i64>,
    /// Made after this moment; `None`: no bound.
    pub after: Option<i64>,
}
