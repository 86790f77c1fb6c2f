//! How many attempts users took.

use super::Bar;
use crate::report::page::{Facts, Rows};
use crate::report::text::counted;

/// How many attempts users took.
pub(super) struct Attempts {
    pub(super) bars: Vec<Bar>,
}

pub(super) fn attempts(facts: &Facts) -> Attempts {
    let counts = &facts.rows.attempts;
    let (n_all, longest) = (counts.iter().sum(), counts.iter().copied().max().unwrap_or_default());
    let bar = |(at, n): (usize, &u64)| Bar::new(label(at), *n, n_all, longest);
    let bars: Vec<_> = counts.iter().enumerate().filter(|(_, n)| **n > 0).map(bar).collect();
    Attempts { bars }
}

fn label(at: usize) -> String {
    match at {
        0 => "none of its own".to_owned(),
        Rows::MAX_ATTEMPTS => format!("{at} or more"),
        at => counted(at as u64, "attempt", "attempts"),
    }
}
