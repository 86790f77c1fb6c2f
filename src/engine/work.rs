//! The requests that a worker pool can send, and their consequences.

use std::time::Instant;

use super::queue::Task;
use crate::clerk::{Client, PageRequest, UserFilter};
use crate::model::{Attempt, Event, Failure, Identifier, IdentifierKind, Outcome, Reply, UserId};
use crate::policy::classify::Verdict;

/// Clerk's API: the client, or a script in tests. Each call is one attempt, and its only result is a
/// [`Reply`]. A call that is dropped before its reply may have reached the server.
pub trait Api {
    /// Unlocks a user. The body of the answer should be the user object.
    fn unlock(&self, user: &UserId) -> impl Future<Output = Reply>;

    /// Locks a user. The body of the answer should be the user object.
    fn lock(&self, user: &UserId) -> impl Future<Output = Reply>;

    /// Looks up identifiers that fit into one request. All must be of one kind, as the API would
    /// combine kinds by *and*. The body of the answer should be a list of at most 500 users in any
    /// order; an identifier without a user is not an error.
    fn look_up(&self, identifiers: &[Identifier]) -> impl Future<Output = Reply>;

    /// Gets a page of the user list. The body of the answer should be a list of users. A page that
    /// is not full may be the last; an empty page is.
    fn page(&self, page: &PageRequest) -> impl Future<Output = Reply>;

    /// Counts the users that match a filter.
    fn count(&self, filter: &UserFilter) -> impl Future<Output = Reply>;

    /// Makes all further calls use new connections.
    fn use_fresh_connections(&self) {}
}

impl Api for Client {
    async fn unlock(&self, user: &UserId) -> Reply {
        self.try_unlock(user).await
    }

    async fn lock(&self, user: &UserId) -> Reply {
        self.try_lock(user).await
    }

    async fn look_up(&self, identifiers: &[Identifier]) -> Reply {
        let kind = identifiers.first().map_or(IdentifierKind::UserId, Identifier::kind);
        self.try_look_up(kind.query_parameter(), identifiers.iter().map(Identifier::as_str)).await
    }

    async fn page(&self, page: &PageRequest) -> Reply {
        self.try_page(page).await
    }

    async fn count(&self, filter: &UserFilter) -> Reply {
        self.try_count(filter).await
    }

    fn use_fresh_connections(&self) {
        Client::use_fresh_connections(self);
    }
}

/// A kind of request: how to send it, what its reply means, and what follows. The pool paces,
/// retries, pauses and stops all kinds in the same way.
pub trait Work {
    /// The subject of one request.
    type Item: 'static;
    /// The result of a successful request.
    type Good;

    /// One attempt.
    fn call(&self, item: &Self::Item) -> impl Future<Output = Reply>;

    /// What the reply means. May reduce the item to the part that must be requested again.
    fn classify(&self, item: &mut Self::Item, reply: Reply) -> Verdict<Self::Good>;

    /// A record of the item, for the log.
    fn record(&self, _: &Self::Item) -> usize {
        0
    }

    /// A number that identifies the subject of the item: many failures of a few subjects are not an
    /// outage of the API.
    fn subject(&self, item: &Self::Item) -> usize {
        self.record(item)
    }

    /// The number of failed users for which a failed request counts.
    fn n_users(&self) -> u32 {
        1
    }

    /// Whether a request for the item may be sent now, or must wait until others have ended. The
    /// first item of those that have not ended must always be allowed.
    fn may_start(&self, _: &Self::Item) -> bool {
        true
    }

    /// Makes all further calls use new connections.
    fn use_fresh_connections(&self) {}

    /// What follows from the last attempt at a task.
    fn conclude(&self, last: Last<Self::Item, Self::Good>) -> Conclusion<Self::Item>;
}

/// The number of failed users for which a failed request about a list of users counts.
pub(super) const USERS_PER_FAILURE: u32 = 5;

/// The last attempt at a task.
pub struct Last<T, G> {
    /// The task.
    pub task: Task<T>,
    /// How it ended.
    pub end: End<G>,
    /// The attempt.
    pub attempt: Attempt,
    /// The `CF-Ray` of the response.
    pub ray: Option<String>,
    /// When the reply arrived.
    pub answered_at: Instant,
}

/// How a task ended.
pub enum End<G> {
    /// Successfully.
    Good(G),
    /// With a final answer.
    Final(Outcome, Failure),
    /// With 200 and a user who is still locked, and no retries left. The task contains the user.
    StillLocked(Failure),
    /// With no retries left.
    Exhausted(Failure),
}

/// What follows from the end of a task.
pub struct Conclusion<T> {
    /// The events to send.
    pub events: Vec<Event>,
    /// The items to request next.
    pub more: Vec<T>,
    /// Whether the task ended well, for the canary.
    pub ended_well: bool,
}
