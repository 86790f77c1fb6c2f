//! The page: one HTML file for the lead of an incident, to be attached to a ticket.
//!
//! [`Facts`] become finished strings (all rounding, sorting, wording and coordinates), and those
//! become markup. Every value is escaped in one place, by askama. The page loads nothing: its style
//! sheet and its script are inside it, and its policy allows these two by their hashes alone.
//!
//! The same strings make a short page in Markdown.

mod advice;
mod facts;
mod policy;
#[cfg(test)]
mod tests;
mod view;

use askama::Template;

pub use facts::{Facts, FinalRow, Pass, Source, SourceFile, TimedBucket};

/// The page as GitHub Flavored Markdown, for a pull request or a job summary. It names users by their
/// IDs alone, and only those who are examples of an error.
///
/// # Errors
///
/// None that askama is known to have for such values.
pub fn render_markdown(facts: &Facts) -> Result<String, askama::Error> {
    view::markdown::Page::new(facts).render()
}

/// The page as HTML.
///
/// Without `pii` it names users by their IDs alone: no email address, name or username, no input
/// cell that is not a user ID, and none of the API's messages, which may quote them.
///
/// # Errors
///
/// None that askama is known to have for such values.
pub fn render(facts: &Facts, pii: bool) -> Result<String, askama::Error> {
    view::Page::new(facts, pii).render()
}
