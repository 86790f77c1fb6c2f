//! What a worker pool can be set to: the one seam between "how to try" and "what to ask".

use std::future::Future;
use std::time::Instant;

use super::queue::Task;
use crate::model::{Attempt, Event, Failure, Outcome, Reply};
use crate::policy::classify::Verdict;

/// A kind of request, its meaning and its consequences. Pacing, retries, pauses and stops are the
/// pool's and the same for all.
pub trait Work {
    /// What one request is about.
    type Item: 'static;
    /// What a good answer gives.
    type Good;

    /// One attempt. Never fails: whatever happens is some reply.
    fn call(&self, item: &Self::Item) -> impl Future<Output = Reply>;

    /// What the reply means. The item may be narrowed to what is still to be asked.
    fn classify(&self, item: &mut Self::Item, reply: Reply) -> Verdict<Self::Good>;

    /// A record that the item is about, for the log.
    fn record(&self, item: &Self::Item) -> usize;

    /// A number that identifies the subject of the item: when few of them fail, however often, the
    /// API is not silent.
    fn subject(&self, item: &Self::Item) -> usize {
        self.record(item)
    }

    /// For how many users a failure of one request speaks. One about a hundred of them is no proof
    /// that all hundred are well.
    fn n_users(&self) -> u32 {
        1
    }

    /// Whether it may be asked about yet. What may not is asked about once others have ended; the
    /// first of those that have not must always be allowed.
    fn may_start(&self, _: &Self::Item) -> bool {
        true
    }

    /// Makes all further calls use new connections.
    fn use_fresh_connections(&self) {}

    /// The last word was said: which rows it gives, and what more there is to ask.
    fn conclude(&self, last: Last<Self::Item, Self::Good>) -> Conclusion<Self::Item>;
}

/// For how many users a failed request about a list of them speaks.
pub(super) const USERS_PER_FAILURE: u32 = 5;

/// The last attempt of a task.
pub struct Last<T, G> {
    /// The task.
    pub task: Task<T>,
    /// How it ended.
    pub end: End<G>,
    /// The last call.
    pub attempt: Attempt,
    /// Its `CF-Ray`.
    pub ray: Option<String>,
    /// When its answer came.
    pub answered_at: Instant,
}

/// How a task ended.
pub enum End<G> {
    /// With the answer that was wanted.
    Good(G),
    /// With a final answer.
    Final(Outcome, Failure),
    /// With 200 and a user who is still locked, and no retries left; the task holds the user.
    StillLocked(Failure),
    /// With no retries left.
    Exhausted(Failure),
}

/// What follows from the last word.
pub struct Conclusion<T> {
    /// The events to send.
    pub events: Vec<Event>,
    /// What more to ask.
    pub more: Vec<T>,
    /// Whether the task ended well, for the canary.
    pub ended_well: bool,
}
