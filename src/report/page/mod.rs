//! The page: one HTML file that says what a job did, made to be attached to a ticket and signed.
//!
//! Three steps, each pure: a [`Collector`] takes rows and keeps little; [`Facts`] become finished
//! strings (all rounding, sorting, wording and coordinates); those become markup. Every value is
//! escaped in one place, by askama. The page asks for nothing from anywhere: its one style sheet
//! and its one script are inside it, and its policy allows these two by their hashes alone.

mod advice;
mod collect;
mod facts;
mod policy;
#[cfg(test)]
mod tests;
mod view;

use askama::Template;

pub use collect::{Collector, Rows};
pub use facts::{Facts, Pass, Source, SourceFile, TableRow, TimedBucket};

/// The page as HTML.
///
/// Without `pii` it names users by their ids alone: no email address, name or user name, no input
/// cell that is not a user id, and none of the API's messages, as they may quote such.
///
/// # Errors
///
/// None that askama is known to have for such values.
pub fn render(facts: &Facts, pii: bool) -> Result<String, askama::Error> {
    view::Page::new(facts, pii).render()
}
