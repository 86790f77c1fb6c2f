//! The walk over the whole instance, page by page, several stretches side by side.

use std::cell::RefCell;
use std::time::SystemTime;

use super::work::{Conclusion, End, Last, USERS_PER_FAILURE, Work};
use crate::clerk::{Api, CreatedAt, PageRequest};
use crate::model::{Event, Failure, Outcome, Reply, Row, UserId, UserView};
use crate::policy::classify::{self, Verdict};

/// A stretch of the instance, by the time its users were made, in Unix milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Users made at this moment or later.
    pub from: i64,
    /// Users made at this moment or earlier.
    pub to: i64,
}

/// Cuts the time between two moments into stretches side by side, that every moment is in one of.
pub fn spans(whole: Span, n_spans: u32) -> Vec<Span> {
    let n_spans = i64::from(n_spans.max(1));
    let length = whole.to.saturating_sub(whole.from).max(0) / n_spans + 1;
    let start = |index: i64| whole.from.saturating_add(length.saturating_mul(index));
    (0..n_spans)
        .map(|index| Span { from: start(index), to: (start(index + 1) - 1).min(whole.to) })
        .filter(|span| span.from <= span.to)
        .collect()
}

/// The next page of a stretch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch {
    page: PageRequest,
}

impl Stretch {
    /// The first page of everything.
    pub fn whole() -> Self {
        Self { page: PageRequest::default() }
    }

    /// The oldest user alone.
    pub fn oldest() -> Self {
        let page = PageRequest { limit: 1, oldest_first: true, ..PageRequest::default() };
        Self { page }
    }

    /// The newest user alone.
    pub fn newest() -> Self {
        Self { page: PageRequest { limit: 1, ..PageRequest::default() } }
    }

    /// The first page of a stretch. Clerk does not say whether its bounds are inside, so they are
    /// taken one millisecond wider: whoever stands on the seam is seen twice and never missed.
    ///
    /// The first stretch has no beginning and the last no end: users may be made meanwhile.
    pub fn of(span: Span, is_first: bool, is_last: bool) -> Self {
        let created_at = CreatedAt {
            before: (!is_last).then(|| span.to.saturating_add(1)),
            after: (!is_first).then(|| span.from.saturating_sub(1)),
        };
        Self { page: PageRequest { created_at, ..PageRequest::default() } }
    }

    fn after(mut self, last: UserId) -> Self {
        self.page.starting_after = Some(last);
        self
    }
}

/// Walks over stretches and hands every page on.
pub struct Walk<'a, A, F> {
    api: &'a A,
    on_page: RefCell<F>,
    failure: RefCell<Option<Failure>>,
}

impl<'a, A: Api, F: FnMut(Vec<UserView>)> Walk<'a, A, F> {
    /// Walks through this API.
    pub fn new(api: &'a A, on_page: F) -> Self {
        Self { api, on_page: RefCell::new(on_page), failure: RefCell::new(None) }
    }

    /// Why a page could not be had; without it the walk is not whole.
    pub fn into_failure(self) -> Option<Failure> {
        self.failure.into_inner()
    }

    /// The page after a full one. A cursor that is no id can't be walked from.
    fn next(stretch: Stretch, users: &[UserView]) -> Option<Stretch> {
        let is_one_alone = stretch.page.limit == 1;
        let is_full = !is_one_alone && users.len() >= usize::from(stretch.page.limit);
        let last = users.last().filter(|_| is_full)?;
        last.id.parse().ok().map(|last| stretch.after(last))
    }
}

impl<A: Api, F: FnMut(Vec<UserView>)> Work for Walk<'_, A, F> {
    type Item = Stretch;
    type Good = Vec<UserView>;

    async fn call(&self, stretch: &Stretch) -> Reply {
        self.api.page(&stretch.page).await
    }

    fn classify(&self, _: &Stretch, reply: Reply) -> Verdict<Vec<UserView>> {
        classify::page(reply)
    }

    fn record(&self, _: &Stretch) -> usize {
        0
    }

    fn subject(&self, stretch: &Stretch) -> usize {
        let from = stretch.page.created_at.after.unwrap_or_default();
        usize::try_from(from.unsigned_abs()).unwrap_or_default()
    }

    fn n_users(&self) -> u32 {
        USERS_PER_FAILURE
    }

    fn conclude(&self, last: Last<Stretch, Vec<UserView>>) -> Conclusion<Stretch> {
        let Last { task, end, attempt, .. } = last;
        let mut events = vec![Event::BatchAnswered { attempt, n_records: 0 }];
        let mut more = None;
        match end {
            End::Good(users) => {
                if let Some(failure) = no_progress(&task.item, &users, attempt.status) {
                    self.failure.borrow_mut().get_or_insert(failure);
                } else {
                    more = Self::next(task.item, &users);
                }
                events.extend(users.iter().map(|user| seen(user, attempt.ended_at)));
                (self.on_page.borrow_mut())(users);
            }
            End::Final(_, failure) | End::StillLocked(failure) | End::Exhausted(failure) => {
                self.failure.borrow_mut().get_or_insert(failure);
            }
        }
        let ended_well = self.failure.borrow().is_none();
        Conclusion { events, more: more.into_iter().collect(), ended_well }
    }
}

/// A page that holds the user it should come after: the server does not know of cursors, and
/// walking on would never end.
fn no_progress(stretch: &Stretch, users: &[UserView], status: Option<u16>) -> Option<Failure> {
    let cursor = stretch.page.starting_after.as_ref()?;
    users.iter().any(|user| user.is_of(cursor)).then(|| Failure {
        code: "untrusted_answer".into(),
        message: format!("the page after {cursor} holds that user again"),
        status,
        trace_id: None,
    })
}

/// A user passed by: counted, so that progress can be shown.
fn seen(user: &UserView, now: SystemTime) -> Event {
    let outcome = if user.is_locked() { Outcome::WouldUnlock } else { Outcome::AlreadyUnlocked };
    Event::JobFinished { row: Box::new(Row::unasked(0, outcome, now)), attempt: None }
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
        self.api.count(CreatedAt::default()).await
    }

    fn classify(&self, (): &(), reply: Reply) -> Verdict<u64> {
        classify::count(reply)
    }

    fn record(&self, (): &()) -> usize {
        0
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
mod tests {
    use super::*;

    #[test]
    fn every_moment_is_in_one_stretch() {
        let whole = Span { from: 10, to: 109 };
        for n_spans in [1, 2, 3, 7, 100, 250] {
            let spans = spans(whole, n_spans);
            assert_eq!(spans.first().unwrap().from, 10);
            assert_eq!(spans.last().unwrap().to, 109);
            assert!(spans.windows(2).all(|pair| pair[0].to + 1 == pair[1].from), "{spans:?}");
        }
    }

    #[track_caller]
    fn goes_on(starting_after: Option<&str>, ids: &[&str], expected: bool) {
        let page = PageRequest {
            starting_after: starting_after.map(|it| it.parse().unwrap()),
            ..PageRequest::default()
        };
        let user = |id: &&str| UserView::parse(&format!(r#"{{"id":"{id}"}}"#)).unwrap();
        let users: Vec<UserView> = ids.iter().map(user).collect();
        let failure = no_progress(&Stretch { page }, &users, Some(200));
        assert_eq!(failure.is_none(), expected, "{failure:?}");
    }

    #[test]
    fn a_page_that_holds_its_own_cursor_ends_the_walk() {
        goes_on(None, &["user_a", "user_b"], true);
        goes_on(Some("user_b"), &["user_c", "user_d"], true);
        goes_on(Some("user_b"), &["user_a", "user_b"], false);
    }

    #[test]
    fn one_moment_is_one_stretch() {
        assert_eq!(spans(Span { from: 5, to: 5 }, 8), [Span { from: 5, to: 5 }]);
    }
}
