//! The page of a job or of an incident: one HTML file to attach to a ticket, or a short page in
//! Markdown for a pull request or a job summary.
//!
//! The templates place the finished strings that a [`View`] makes of [`Facts`]; askama escapes each of
//! them. The HTML page loads nothing: its policy allows its own style sheet and script by their hashes.

mod advice;
mod markdown;
mod requests;
#[cfg(test)]
mod tests;
mod users;
mod view;

use std::time::SystemTime;

use askama::Template;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::model::Row;
use crate::results::Manifest;
use crate::stats::summary::{CommandKind, Incident};

use requests::Requests;
use users::Users;
use view::View;

/// The page in Markdown. It names users by their IDs only, and only those that are examples of an
/// error.
pub fn render_markdown(facts: &Facts) -> Result<String, askama::Error> {
    markdown::Page { view: View { facts, pii: false } }.render()
}

/// The page in HTML. Without `pii`, it names users by their IDs only: it has no email address, name
/// or username, no cell that is not a user ID, and no message of the API, which may quote them.
pub fn render(facts: &Facts, pii: bool) -> Result<String, askama::Error> {
    let page = Page {
        policy: policy(),
        view: View { facts, pii },
        requests: Requests::new(facts),
        users: Users::new(facts, pii),
    };
    page.render()
}

#[derive(Template)]
#[template(path = "page.html", config = "src/report/page/askama.toml")]
struct Page<'a> {
    policy: String,
    view: View<'a>,
    requests: Requests,
    users: Users<'a>,
}

/// The content security policy.
fn policy() -> String {
    // The template omits the last line break of a file that it includes.
    let hash = |text: &str| {
        let digest = Sha256::digest(text.strip_suffix('\n').unwrap_or(text));
        format!("sha256-{}", BASE64_STANDARD.encode(digest))
    };
    format!(
        "default-src 'none'; style-src '{}'; script-src '{}'; img-src 'none'; base-uri 'none'; \
         form-action 'none'",
        hash(include_str!("page.css")),
        hash(include_str!("page.js")),
    )
}

/// What the page shows. Texts are not cleaned yet.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// When the page is made.
    pub made_at: Option<SystemTime>,
    /// The commands and their results.
    pub incident: Incident,
    /// The files, in the order of [`Incident::stages`].
    pub sources: Vec<Source>,
    /// The final state of each user; for a single file, all its rows.
    pub rows: Vec<FinalRow>,
    /// Warnings about the files, each a sentence without a full stop.
    pub warnings: Vec<String>,
}

/// The final state of one user.
#[derive(Clone, Debug)]
pub struct FinalRow {
    /// The index of its file in [`Facts::sources`].
    pub source: usize,
    /// The row, without the user's JSON.
    pub row: Row,
}

/// One finished file.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The name of the results file.
    pub name: String,
    /// The command, from the manifest or else from the rows; `None` if it is not known.
    pub kind: Option<CommandKind>,
    /// The SHA-256 of a plan as it is now, in hexadecimal; `None` for other files.
    pub plan_sha256: Option<String>,
    /// The manifest; `None` if it is missing.
    pub manifest: Option<Manifest>,
}
