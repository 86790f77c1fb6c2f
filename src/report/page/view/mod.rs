//! The page as finished strings; the template only places them.

mod axis;
mod chart;
mod errors;
mod header;
pub(super) mod markdown;
mod next;
mod outcomes;
mod timeline;
mod totals;
mod traffic;
mod users;
mod verdict;
mod words;

use askama::Template;

use super::{Facts, policy};
use totals::Totals;

/// Everything on the page, in its order.
#[derive(Template)]
#[template(path = "page.html", config = "src/report/page/askama.toml")]
pub(super) struct Page {
    policy: String,
    header: header::Header,
    verdict: verdict::Verdict,
    notices: Vec<String>,
    outcomes: outcomes::Outcomes,
    next: next::Next,
    traffic: traffic::Traffic,
    errors: errors::Errors,
    users: users::Users,
    privacy: &'static str,
}

impl Page {
    pub(super) fn new(facts: &Facts, pii: bool) -> Self {
        let totals = Totals::of(facts);
        Self {
            policy: policy::policy(),
            header: header::header(facts, &totals),
            verdict: verdict::verdict(facts, &totals),
            notices: verdict::notices(facts),
            outcomes: outcomes::outcomes(facts, &totals),
            next: next::next(facts, &totals),
            traffic: traffic::traffic(facts),
            errors: errors::errors(facts, pii),
            users: users::users(facts, pii),
            privacy: privacy(pii),
        }
    }
}

fn privacy(pii: bool) -> &'static str {
    if pii {
        "This page contains personal data: names, addresses and messages that may quote them. Share \
         it accordingly."
    } else {
        "This page shows user IDs only. It contains no names, addresses or messages that may quote \
         them."
    }
}

/// A bar of a table.
struct Bar {
    /// Its name.
    label: String,
    /// The count in digits alone, for machines.
    count: u64,
    /// The count, for people.
    n: String,
    /// Its share of all.
    share: String,
    /// The length of the bar, of 100.
    length: String,
}

impl Bar {
    fn new(label: String, count: u64, of: u64, longest: u64) -> Self {
        let (n, share) = (crate::report::text::number(count), words::share(count, of));
        Self { label, count, n, share, length: words::length(count, longest) }
    }
}
