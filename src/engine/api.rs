//! What the engine asks of the API: the client in production, a script in tests.

use crate::clerk::{Client, PageRequest, UserFilter};
use crate::model::{Identifier, IdentifierKind, Reply, UserId};

/// What the engine asks of Clerk's API. Each call is one attempt and has no errors: whatever
/// happens is a [`Reply`]. A call that is dropped before its reply may have reached the server.
pub trait Api {
    /// Unlocks one user. The body of the answer should be this user's object.
    fn unlock(&self, user: &UserId) -> impl Future<Output = Reply>;

    /// Locks one user. The body of the answer should be this user's object.
    fn lock(&self, user: &UserId) -> impl Future<Output = Reply>;

    /// Looks up identifiers, all of one kind (the API would combine kinds by *and*), and no more
    /// than fit into one request. The body of the answer should be a list of at most 500 users, in
    /// any order; identifiers of nobody are left out.
    fn look_up(&self, identifiers: &[Identifier]) -> impl Future<Output = Reply>;

    /// One page of a walk over the instance. The body of the answer should be a list of users; a
    /// page that is not full may be the last one, an empty page is.
    fn page(&self, page: &PageRequest) -> impl Future<Output = Reply>;

    /// How many users meet this filter.
    fn count(&self, filter: &UserFilter) -> impl Future<Output = Reply>;

    /// Makes all further calls use new connections: an open one may be sick.
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
