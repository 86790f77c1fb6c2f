//! The walk over the whole instance, page by page, several stretches side by side.

mod stretch;

use std::cell::{Cell, RefCell};

use super::api::Api;
use super::work::{Conclusion, End, Last, USERS_PER_FAILURE, Work};
use crate::model::{Event, Failure, Reply, UserId, UserView};
use crate::policy::classify::{self, Verdict};
pub use stretch::{Span, Stretch, spans};

/// Walks over stretches and hands every page on.
pub struct Walk<'a, A, F> {
    api: &'a A,
    /// How many users there are said to be.
    counted: Option<u64>,
    on_page: RefCell<F>,
    n_passed: Cell<u64>,
    shortfall: RefCell<Option<Shortfall>>,
}

/// Why a walk is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// A page was asked for as often as may be, and not had: an outage.
    NoAnswer(Failure),
    /// An answer that ends the walk, or that can't be walked on from.
    Refused(Failure),
}

impl<'a, A: Api, F: FnMut(Vec<UserView>)> Walk<'a, A, F> {
    /// Walks through this API, which has counted so many users; `None`: it does not count.
    pub fn new(api: &'a A, counted: Option<u64>, on_page: F) -> Self {
        Self {
            api,
            counted,
            on_page: RefCell::new(on_page),
            n_passed: Cell::new(0),
            shortfall: RefCell::new(None),
        }
    }

    /// How many users passed by, each counted once.
    ///
    /// # Errors
    ///
    /// When some may be missing.
    pub fn into_passed(self) -> Result<u64, Shortfall> {
        self.shortfall.into_inner().map_or(Ok(self.n_passed.get()), Err)
    }

    /// The page after this one, if there may be any.
    fn next(
        &self,
        stretch: Stretch,
        users: &[UserView],
        status: Option<u16>,
    ) -> Result<Option<Stretch>, Failure> {
        let doubt =
            |message| Failure { code: "untrusted_answer".into(), message, status, trace_id: None };
        if let Some(message) = looped(&stretch, users) {
            return Err(doubt(message));
        }
        let Some(last) = users.last().filter(|_| self.goes_on(&stretch, users.len())) else {
            return Ok(None);
        };
        let no_cursor = |_| doubt("the last user of a page has no id to go on from".to_owned());
        let last: UserId = last.id.parse().map_err(no_cursor)?;
        let next = stretch.after(last, users.len() as u64);
        match self.counted.filter(|&counted| next.n_before > most_believed(counted)) {
            Some(counted) => Err(doubt(format!(
                "{} users passed by where {counted} were counted, and there is no end of them",
                next.n_before
            ))),
            None => Ok(Some(next)),
        }
    }

    /// After a full page always: users may have come since they were counted. After a shorter one
    /// while some are missing: a server may put fewer on a page than it was asked for.
    fn goes_on(&self, stretch: &Stretch, n_users: usize) -> bool {
        let is_full = n_users >= usize::from(stretch.page.limit);
        let is_short = || self.counted.is_some_and(|counted| self.n_passed.get() < counted);
        !stretch.is_one_alone() && (is_full || is_short())
    }
}

impl<A: Api, F: FnMut(Vec<UserView>)> Work for Walk<'_, A, F> {
    type Item = Stretch;
    type Good = Vec<UserView>;

    async fn call(&self, stretch: &Stretch) -> Reply {
        self.api.page(&stretch.page).await
    }

    fn classify(&self, _: &mut Stretch, reply: Reply) -> Verdict<Vec<UserView>> {
        classify::page(reply)
    }

    fn record(&self, _: &Stretch) -> usize {
        0
    }

    fn subject(&self, stretch: &Stretch) -> usize {
        let from = stretch.page.filter.created_at.after.unwrap_or_default();
        usize::try_from(from.unsigned_abs()).unwrap_or_default()
    }

    fn n_users(&self) -> u32 {
        USERS_PER_FAILURE
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(&self, last: Last<Stretch, Vec<UserView>>) -> Conclusion<Stretch> {
        let Last { task, end, attempt, .. } = last;
        let mut events = vec![Event::BatchAnswered { attempt, n_records: 0 }];
        let next = match end {
            End::Good(users) => {
                let n_passed = users.iter().filter(|user| task.item.counts(user)).count();
                self.n_passed.set(self.n_passed.get() + n_passed as u64);
                let next = self.next(task.item, &users, attempt.status);
                let n_locked = users.iter().filter(|user| user.is_locked()).count() as u64;
                events.push(Event::UsersListed { n_users: users.len() as u64, n_locked });
                (self.on_page.borrow_mut())(users);
                next.map_err(Shortfall::Refused)
            }
            End::Final(_, failure) | End::StillLocked(failure) => Err(Shortfall::Refused(failure)),
            End::Exhausted(failure) => Err(Shortfall::NoAnswer(failure)),
        };
        let mut shortfall = self.shortfall.borrow_mut();
        let more = next.unwrap_or_else(|why| {
            shortfall.get_or_insert(why);
            None
        });
        // What is not whole is of no use: the other stretches need not be walked to their end.
        let more = more.into_iter().filter(|_| shortfall.is_none()).collect();
        Conclusion { events, more, ended_well: shortfall.is_none() }
    }
}

/// Users who come while the walk is on are believed, as many as there were and some more.
fn most_believed(counted: u64) -> u64 {
    const SOME: u64 = 10_000;
    counted.saturating_mul(2).saturating_add(SOME)
}

/// A page that holds a user whom it should come after: the server does not know of cursors, or
/// goes round in circles, and walking on would never end.
fn looped(stretch: &Stretch, users: &[UserView]) -> Option<String> {
    let cursor = stretch.page.starting_after.as_ref()?;
    let mut ids = users.iter().filter_map(|user| user.id.parse::<UserId>().ok());
    let again = ids.find(|id| stretch.cursors.contains(id))?;
    Some(format!("the page after {cursor} holds {again} again"))
}

/// Counts the users of the instance.
pub struct Count<'a, A> {
    api: &'a A,
    counted: RefCell<Option<Result<u64, Failure>>>,
}

impl<'a, A: Api> Count<'a, A> {
    /// Counts through this API.
    pub fn new(api: &'a A) -> Self {
        Self { api, counted: RefCell::new(None) }
    }

    /// How many there are; `None` when the run was stopped before it could be said.
    pub fn into_counted(self) -> Option<Result<u64, Failure>> {
        self.counted.into_inner()
    }
}

impl<A: Api> Work for Count<'_, A> {
    type Item = ();
    type Good = u64;

    async fn call(&self, (): &()) -> Reply {
        self.api.count().await
    }

    fn classify(&self, (): &mut (), reply: Reply) -> Verdict<u64> {
        classify::count(reply)
    }

    fn record(&self, (): &()) -> usize {
        0
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(&self, last: Last<(), u64>) -> Conclusion<()> {
        let counted = match last.end {
            End::Good(n_users) => Ok(n_users),
            End::Final(_, failure) | End::StillLocked(failure) | End::Exhausted(failure) => {
                Err(failure)
            }
        };
        *self.counted.borrow_mut() = Some(counted);
        let event = Event::BatchAnswered { attempt: last.attempt, n_records: 0 };
        Conclusion { events: vec![event], more: Vec::new(), ended_well: true }
    }
}

#[cfg(test)]
mod tests;
