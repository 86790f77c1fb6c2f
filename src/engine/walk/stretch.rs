//! What is walked: the whole instance, or a stretch of it by the time its users were made.

use std::collections::HashSet;

use crate::clerk::{PageRequest, TimeRange, UserFilter};
use crate::model::{UserId, UserView};

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

/// The next page of a stretch, and what came before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stretch {
    pub(super) page: PageRequest,
    /// The last users of the pages before: none of them may come again.
    pub(super) cursors: HashSet<UserId>,
    /// Users on the pages before, whoever they were.
    pub(super) n_before: u64,
}

impl Stretch {
    /// The first page of everything.
    pub fn whole() -> Self {
        Self::default()
    }

    /// The oldest user alone.
    pub fn oldest() -> Self {
        let page = PageRequest { limit: 1, oldest_first: true, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The newest user alone.
    pub fn newest() -> Self {
        let page = PageRequest { limit: 1, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The first page of a stretch. Clerk does not say whether its bounds are inside, so they are
    /// taken one millisecond wider: whoever stands on the seam is seen twice and never missed.
    ///
    /// The first stretch has no beginning and the last no end: users may be made meanwhile.
    pub fn of(span: Span, is_first: bool, is_last: bool) -> Self {
        let created_at = TimeRange {
            before: (!is_last).then(|| span.to.saturating_add(1)),
            after: (!is_first).then(|| span.from.saturating_sub(1)),
        };
        let filter = UserFilter { created_at, ..UserFilter::default() };
        let page = PageRequest { filter, ..PageRequest::default() };
        Self { page, ..Self::default() }
    }

    /// The page after that one, which ended with this user.
    pub(super) fn after(mut self, last: UserId, n_users: u64) -> Self {
        self.n_before += n_users;
        self.cursors.insert(last.clone());
        self.page.starting_after = Some(last);
        self
    }

    /// Whether one user is all that is asked for.
    pub(super) fn is_one_alone(&self) -> bool {
        self.page.limit == 1
    }

    /// Whether a user is of this stretch and of no other: those on its seams are seen twice.
    pub(super) fn counts(&self, user: &UserView) -> bool {
        let TimeRange { before, after } = self.page.filter.created_at;
        user.created_at.is_none_or(|at| {
            before.is_none_or(|before| at < before) && after.is_none_or(|after| at > after)
        })
    }
}
