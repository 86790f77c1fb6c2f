//! A walk over the users of an instance, page by page, several stretches of it at once.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use super::api::Api;
use super::work::{Conclusion, End, Last, USERS_PER_FAILURE, Work};
use crate::clerk::{PageRequest, TimeRange, UserFilter, UserSnapshot};
use crate::model::{Event, Failure, Identifier, Reply, UserId};
use crate::policy::classify::{self, Verdict};

/// A range of the time at which users were created, in Unix milliseconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: i64,
    /// The last moment.
    pub to: i64,
}

impl Span {
    /// Cuts it into at most this many spans; each moment is in exactly one.
    pub fn cut(self, n_spans: u32) -> Vec<Self> {
        let n_spans = i64::from(n_spans.max(1));
        let length = self.to.saturating_sub(self.from).max(0) / n_spans + 1;
        let start = |index: i64| self.from.saturating_add(length.saturating_mul(index));
        (0..n_spans)
            .map(|index| Self { from: start(index), to: (start(index + 1) - 1).min(self.to) })
            .filter(|span| span.from <= span.to)
            .collect()
    }
}

/// The next page of a stretch of the user list, and what is known of the pages before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    page: PageRequest,
    /// The last users of the pages before. None of them may appear again.
    cursors: HashSet<UserId>,
    /// Number of users on the pages before.
    n_before: u64,
    /// The page before had fewer users than requested.
    is_after_short_page: bool,
}

impl Stretch {
    /// The first page of all users who meet this filter.
    pub fn whole(filter: UserFilter) -> Self {
        let page = PageRequest { filter, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The oldest of them only.
    pub fn oldest(filter: UserFilter) -> Self {
        let page = PageRequest { filter, limit: 1, oldest_first: true, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The newest of them only.
    pub fn newest(filter: UserFilter) -> Self {
        let page = PageRequest { filter, limit: 1, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The first page of a span. Clerk does not document whether its bounds are included, so each is
    /// extended by a millisecond: a user on the seam is listed twice rather than not at all.
    ///
    /// The first stretch has no beginning and the last no end, but for those of the filter: users
    /// may be created meanwhile.
    pub fn of(filter: &UserFilter, span: Span, is_first: bool, is_last: bool) -> Self {
        let mut filter = filter.clone();
        let TimeRange { before, after } = &mut filter.created_at;
        if !is_last {
            let end = span.to.saturating_add(1);
            *before = Some(before.map_or(end, |it| it.min(end)));
        }
        if !is_first {
            let start = span.from.saturating_sub(1);
            *after = Some(after.map_or(start, |it| it.max(start)));
        }
        Self::whole(filter)
    }

    /// The page after this one, which had this many users and this last one.
    fn after(mut self, last: UserId, n_users: usize) -> Self {
        self.is_after_short_page = n_users < usize::from(self.page.limit);
        self.n_before += n_users as u64;
        self.cursors.insert(last.clone());
        self.page.starting_after = Some(last);
        self
    }

    fn is_one_user(&self) -> bool {
        self.page.limit == 1
    }

    /// Whether a user is inside the span itself, not on the seam to another stretch.
    fn contains(&self, user: &UserSnapshot) -> bool {
        let TimeRange { before, after } = self.page.filter.created_at;
        user.created_at.is_none_or(|at| {
            before.is_none_or(|before| at < before) && after.is_none_or(|after| at > after)
        })
    }
}

/// Walks stretches of the user list. Each page becomes a [`Event::UsersListed`].
pub struct Walk<'a, A> {
    api: &'a A,
    /// Number of users that the API counted.
    counted: Option<u64>,
    n_users: Cell<u64>,
    created: Cell<Option<Span>>,
    has_short_pages: Cell<bool>,
    shortfall: RefCell<Option<Shortfall>>,
}

/// What a complete walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// When the users were created; `None` where no user says so.
    pub created: Option<Span>,
    /// The server put fewer users on a page than were requested, although more followed: without a
    /// count, nothing shows that the list is complete.
    pub has_short_pages: bool,
}

/// Why a walk is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// A page could not be read within the permitted retries.
    NoAnswer(Failure),
    /// A final response, or one after which the walk cannot continue.
    Refused(Failure),
}

impl<'a, A: Api> Walk<'a, A> {
    /// Walks through this API. `counted` is the number of users, where the API counts them.
    pub fn new(api: &'a A, counted: Option<u64>) -> Self {
        Self {
            api,
            counted,
            n_users: Cell::new(0),
            created: Cell::new(None),
            has_short_pages: Cell::new(false),
            shortfall: RefCell::new(None),
        }
    }

    /// Ends the walk.
    ///
    /// # Errors
    ///
    /// When users may be missing.
    pub fn finish(self) -> Result<Walked, Shortfall> {
        match self.shortfall.into_inner() {
            Some(shortfall) => Err(shortfall),
            None => Ok(Walked {
                created: self.created.get(),
                has_short_pages: self.has_short_pages.get(),
            }),
        }
    }

    fn note(&self, stretch: &Stretch, users: &[UserSnapshot]) {
        let n_users = users.iter().filter(|user| stretch.contains(user)).count();
        self.n_users.set(self.n_users.get() + n_users as u64);
        if stretch.is_after_short_page && !users.is_empty() {
            self.has_short_pages.set(true);
        }
        for at in users.iter().filter_map(|user| user.created_at) {
            let Span { from, to } = self.created.get().unwrap_or(Span { from: at, to: at });
            self.created.set(Some(Span { from: from.min(at), to: to.max(at) }));
        }
    }

    /// The page after this one, if there may be one.
    fn next(
        &self,
        stretch: Stretch,
        users: &[UserSnapshot],
        status: Option<u16>,
    ) -> Result<Option<Stretch>, Failure> {
        let untrusted =
            |message| Failure { code: "untrusted_answer".into(), message, status, trace_id: None };
        if let Some(message) = repeats(&stretch, users) {
            return Err(untrusted(message));
        }
        let Some(last) = users.last().filter(|_| self.has_next(&stretch, users.len())) else {
            return Ok(None);
        };
        let last: UserId = last.id.parse().map_err(|_| {
            untrusted("the last user of a page has no valid ID to continue after".to_owned())
        })?;
        let next = stretch.after(last, users.len());
        match self.counted.filter(|&counted| next.n_before > most_plausible(counted)) {
            Some(counted) => Err(untrusted(format!(
                "the API counted {counted} users, but lists {} and more",
                next.n_before
            ))),
            None => Ok(Some(next)),
        }
    }

    /// A full page is followed by another: users may have been created since they were counted. So
    /// is a shorter one while users are missing or were not counted: a server may put fewer users on
    /// a page than requested.
    fn has_next(&self, stretch: &Stretch, n_users: usize) -> bool {
        let is_full = n_users >= usize::from(stretch.page.limit);
        let may_be_short = || self.counted.is_none_or(|counted| self.n_users.get() < counted);
        !stretch.is_one_user() && (is_full || may_be_short())
    }
}

impl<A: Api> Work for Walk<'_, A> {
    type Item = Stretch;
    type Good = Vec<UserSnapshot>;

    async fn call(&self, stretch: &Stretch) -> Reply {
        self.api.page(&stretch.page).await
    }

    fn classify(&self, _: &mut Stretch, reply: Reply) -> Verdict<Vec<UserSnapshot>> {
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

    fn conclude(&self, last: Last<Stretch, Vec<UserSnapshot>>) -> Conclusion<Stretch> {
        let Last { task, end, attempt, .. } = last;
        let mut events = vec![Event::BatchAnswered { attempt, n_records: 0 }];
        let next = match end {
            End::Good(users) => {
                self.note(&task.item, &users);
                let next = self.next(task.item, &users, attempt.status);
                events.push(Event::UsersListed { users });
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
        // The other stretches of an incomplete list need not be walked to their ends.
        let more = more.into_iter().filter(|_| shortfall.is_none()).collect();
        Conclusion { events, more, ended_well: shortfall.is_none() }
    }
}

/// The largest number of users that is plausible in an instance with this count: beyond that, the
/// server repeats itself.
fn most_plausible(counted: u64) -> u64 {
    const MARGIN: u64 = 10_000;
    counted.saturating_mul(2).saturating_add(MARGIN)
}

/// A page with a user after whom an earlier page of the stretch continued: it goes round in circles.
fn repeats(stretch: &Stretch, users: &[UserSnapshot]) -> Option<String> {
    let cursor = stretch.page.starting_after.as_ref()?;
    let mut ids = users.iter().filter_map(|user| user.id.parse::<UserId>().ok());
    let again = ids.find(|id| stretch.cursors.contains(id))?;
    Some(format!("the page after {cursor} contains {again} again"))
}

/// Looks up users again about whom the pages of a walk disagree. Each response becomes an
/// [`Event::UsersListed`].
pub struct Recheck<'a, A> {
    api: &'a A,
    shortfall: RefCell<Option<Shortfall>>,
}

impl<'a, A: Api> Recheck<'a, A> {
    /// Looks users up through this API.
    pub fn new(api: &'a A) -> Self {
        Self { api, shortfall: RefCell::new(None) }
    }

    /// Ends the look-up.
    ///
    /// # Errors
    ///
    /// When some users could not be looked up.
    pub fn finish(self) -> Result<(), Shortfall> {
        self.shortfall.into_inner().map_or(Ok(()), Err)
    }
}

impl<A: Api> Work for Recheck<'_, A> {
    type Item = Vec<Identifier>;
    type Good = Vec<UserSnapshot>;

    async fn call(&self, users: &Vec<Identifier>) -> Reply {
        self.api.look_up(users).await
    }

    fn classify(&self, users: &mut Vec<Identifier>, reply: Reply) -> Verdict<Vec<UserSnapshot>> {
        classify::look_up(users, usize::from(crate::clerk::MAX_PAGE), reply)
    }

    fn record(&self, _: &Vec<Identifier>) -> usize {
        0
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(
        &self,
        last: Last<Vec<Identifier>, Vec<UserSnapshot>>,
    ) -> Conclusion<Vec<Identifier>> {
        let mut events = vec![Event::BatchAnswered { attempt: last.attempt, n_records: 0 }];
        let shortfall = match last.end {
            End::Good(users) => {
                events.push(Event::UsersListed { users });
                None
            }
            End::Final(_, failure) | End::StillLocked(failure) => Some(Shortfall::Refused(failure)),
            End::Exhausted(failure) => Some(Shortfall::NoAnswer(failure)),
        };
        let ended_well = shortfall.is_none();
        *self.shortfall.borrow_mut() = shortfall;
        Conclusion { events, more: Vec::new(), ended_well }
    }
}

/// Counts the users who meet a filter.
pub struct Count<'a, A> {
    api: &'a A,
    filter: UserFilter,
    counted: RefCell<Option<Result<u64, Failure>>>,
}

impl<'a, A: Api> Count<'a, A> {
    /// Counts through this API.
    pub fn new(api: &'a A, filter: UserFilter) -> Self {
        Self { api, filter, counted: RefCell::new(None) }
    }

    /// The number of users, or why it is not known; `None` when there was no response.
    pub fn finish(self) -> Option<Result<u64, Failure>> {
        self.counted.into_inner()
    }
}

impl<A: Api> Work for Count<'_, A> {
    type Item = ();
    type Good = u64;

    async fn call(&self, (): &()) -> Reply {
        self.api.count(&self.filter).await
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
