//! A walk over the users of an instance, page by page, in several stretches at once.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;

use super::work::{Api, Conclusion, End, Last, USERS_PER_FAILURE, Work};
use crate::clerk::{MAX_PAGE, PageRequest, TimeRange, UserFilter, UserSnapshot};
use crate::model::{Event, Failure, Identifier, Reply, UserId};
use crate::policy::classify::{self, Verdict};

/// A range of the times at which users were created, in Unix milliseconds, including both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment.
    pub from: i64,
    /// The last moment.
    pub to: i64,
}

impl Span {
    /// Divides it into at most `n_spans` spans. Each moment is in exactly one.
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

/// The next page of a stretch of the user list, with facts about the earlier pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    page: PageRequest,
    /// The last users of the earlier pages. None of them may appear again.
    cursors: HashSet<UserId>,
    /// Number of users on the earlier pages.
    n_before: u64,
    /// The previous page had fewer users than requested.
    is_after_short_page: bool,
}

impl Stretch {
    /// The number of stretches in which this many users are walked at once.
    pub fn n_for(n_users: u64) -> u32 {
        /// For fewer users, one walk is as fast as several.
        const USERS_PER_STRETCH: u64 = 5_000;
        const MAX: u32 = 16;
        u32::try_from(n_users / USERS_PER_STRETCH).unwrap_or(MAX).clamp(1, MAX)
    }

    /// All users that match this filter.
    pub fn whole(filter: UserFilter) -> Self {
        let page = PageRequest { filter, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// Only the oldest user that matches this filter.
    pub fn oldest(filter: UserFilter) -> Self {
        let page = PageRequest { filter, limit: 1, oldest_first: true, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// Only the newest user that matches this filter.
    pub fn newest(filter: UserFilter) -> Self {
        let page = PageRequest { filter, limit: 1, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The users of a span that match this filter. Clerk does not document whether bounds are
    /// included, so each is extended by a millisecond: a user on a bound is listed twice instead of
    /// not at all.
    ///
    /// The first stretch has no lower bound and the last no upper bound, except for those of the
    /// filter, because users may be created during the walk.
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

    /// The page after this one, which had `n_users` users and ended with `last`.
    fn after(mut self, last: UserId, n_users: usize) -> Self {
        self.is_after_short_page = n_users < usize::from(self.page.limit);
        self.n_before += n_users as u64;
        self.cursors.insert(last.clone());
        self.page.starting_after = Some(last);
        self
    }

    /// Whether a user is inside the span and not on a bound, where another stretch lists the user too.
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
    /// Number of users according to the API.
    counted: Option<u64>,
    n_users: Cell<u64>,
    created: Cell<Option<Span>>,
    has_short_pages: Cell<bool>,
    shortfall: RefCell<Option<Shortfall>>,
}

/// The result of a complete walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walked {
    /// When the users were created; `None` if no user object contains it.
    pub created: Option<Span>,
    /// Whether a page before the last had fewer users than requested. Then the list may be
    /// incomplete, unless the API counted the users.
    pub has_short_pages: bool,
}

/// Why a walk is incomplete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shortfall {
    /// All retries failed.
    NoAnswer(Failure),
    /// A final answer, or one after which the walk cannot continue.
    Refused(Failure),
}

impl<'a, A: Api> Walk<'a, A> {
    /// A walk. `counted` is the number of users, if the API counts them.
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

    /// The page after this one, if one may follow.
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

    /// Another page may follow a full page, as users may have been created since the count. It may
    /// also follow a shorter page, until all counted users are listed: a server may put fewer users
    /// on a page than requested.
    fn has_next(&self, stretch: &Stretch, n_users: usize) -> bool {
        let is_full = n_users >= usize::from(stretch.page.limit);
        let may_be_short = || self.counted.is_none_or(|counted| self.n_users.get() < counted);
        stretch.page.limit > 1 && (is_full || may_be_short())
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
        let next = match answer(end) {
            Ok(users) => {
                self.note(&task.item, &users);
                let next = self.next(task.item, &users, attempt.status);
                events.push(Event::UsersListed { users });
                next.map_err(Shortfall::Refused)
            }
            Err(shortfall) => Err(shortfall),
        };
        let mut shortfall = self.shortfall.borrow_mut();
        let more = next.unwrap_or_else(|error| {
            shortfall.get_or_insert(error);
            None
        });
        // In an incomplete list, the other stretches are not continued.
        let more = more.into_iter().filter(|_| shortfall.is_none()).collect();
        Conclusion { events, more, ended_well: shortfall.is_none() }
    }
}

/// The successful answer, or why the list is incomplete without it.
fn answer<G>(end: End<G>) -> Result<G, Shortfall> {
    match end {
        End::Good(good) => Ok(good),
        End::Final(_, failure) | End::StillLocked(failure) => Err(Shortfall::Refused(failure)),
        End::Exhausted(failure) => Err(Shortfall::NoAnswer(failure)),
    }
}

/// The maximum plausible number of users in an instance with this count. A server that lists more
/// repeats users.
fn most_plausible(counted: u64) -> u64 {
    const MARGIN: u64 = 10_000;
    counted.saturating_mul(2).saturating_add(MARGIN)
}

/// An error message if the page contains the last user of an earlier page, so that the walk would
/// never end.
fn repeats(stretch: &Stretch, users: &[UserSnapshot]) -> Option<String> {
    let cursor = stretch.page.starting_after.as_ref()?;
    let mut ids = users.iter().filter_map(|user| user.id.parse::<UserId>().ok());
    let again = ids.find(|id| stretch.cursors.contains(id))?;
    Some(format!("the page after {cursor} contains {again} again"))
}

/// Looks up users whose objects differ between pages of a walk. Each answer becomes an
/// [`Event::UsersListed`].
pub struct Recheck<'a, A> {
    api: &'a A,
    shortfall: RefCell<Option<Shortfall>>,
}

impl<'a, A: Api> Recheck<'a, A> {
    /// A look-up of users.
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
        classify::look_up(users, usize::from(MAX_PAGE), reply)
    }

    fn use_fresh_connections(&self) {
        self.api.use_fresh_connections();
    }

    fn conclude(
        &self,
        last: Last<Vec<Identifier>, Vec<UserSnapshot>>,
    ) -> Conclusion<Vec<Identifier>> {
        let mut events = vec![Event::BatchAnswered { attempt: last.attempt, n_records: 0 }];
        let shortfall = match answer(last.end) {
            Ok(users) => {
                events.push(Event::UsersListed { users });
                None
            }
            Err(shortfall) => Some(shortfall),
        };
        let ended_well = shortfall.is_none();
        if let Some(shortfall) = shortfall {
            self.shortfall.borrow_mut().get_or_insert(shortfall);
        }
        Conclusion { events, more: Vec::new(), ended_well }
    }
}

/// Counts the users that match a filter.
pub struct Count<'a, A> {
    api: &'a A,
    filter: UserFilter,
    counted: RefCell<Option<Result<u64, Failure>>>,
}

impl<'a, A: Api> Count<'a, A> {
    /// A count.
    pub fn new(api: &'a A, filter: UserFilter) -> Self {
        Self { api, filter, counted: RefCell::new(None) }
    }

    /// The number of users, or why it is unknown; `None` if the run stopped before the answer.
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
