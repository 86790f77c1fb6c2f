//! What went wrong, by code.

use super::words::code;
use crate::model::UserId;
use crate::report::page::{Facts, advice};
use crate::report::text::{clean, counted, number};
use crate::stats::{ErrorGroup, Example};

/// What went wrong, by code.
pub(super) struct Errors {
    pub(super) lines: Vec<ErrorLine>,
    /// How many more rows have other codes, in a sentence; empty where none has.
    pub(super) more: String,
}

/// All rows with one code.
pub(super) struct ErrorLine {
    pub(super) code: String,
    pub(super) count: u64,
    pub(super) n: String,
    pub(super) meaning: &'static str,
    pub(super) advice: &'static str,
    pub(super) example: String,
}

/// More codes are in the results only.
const MAX_CODES: usize = 30;

pub(super) fn errors(facts: &Facts, pii: bool) -> Errors {
    let groups = &facts.incident.summary.errors;
    let line = |group: &ErrorGroup| {
        let (meaning, advice) = advice::of_code(&group.code);
        let (code, n) = (code(&group.code, pii), number(group.n));
        ErrorLine {
            code,
            count: group.n,
            n,
            meaning,
            advice,
            example: example(&group.example, pii),
        }
    };
    let more = match groups.iter().skip(MAX_CODES).map(|group| group.n).sum() {
        0 => String::new(),
        n => format!("{} further codes.", counted(n, "more row has", "more rows have")),
    };
    Errors { lines: groups.iter().take(MAX_CODES).map(line).collect(), more }
}

/// `line 17 user_abc: No user was found.`
fn example(example: &Example, pii: bool) -> String {
    let is_shown = pii || example.user.parse::<UserId>().is_ok();
    let user = if is_shown { format!(" {}", clean(&example.user)) } else { String::new() };
    let message = match clean(&example.message) {
        message if pii && !message.is_empty() => format!(": {message}"),
        _ => String::new(),
    };
    format!("line {}{user}{message}", example.line)
}
