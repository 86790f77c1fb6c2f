//! What went wrong, by code.

use super::words::code;
use crate::report::page::collect::Example;
use crate::report::page::{Facts, advice};
use crate::report::text::{clean, clipped, counted, number};

/// What went wrong, by code.
pub(super) struct Errors {
    pub(super) lines: Vec<ErrorLine>,
    /// How many more there are, in a sentence; empty where there are none.
    pub(super) more: String,
}

/// All rows under one code.
pub(super) struct ErrorLine {
    pub(super) code: String,
    pub(super) count: u64,
    pub(super) n: String,
    pub(super) meaning: &'static str,
    pub(super) examples: Vec<String>,
}

/// So many codes are told; the results have the rest.
const MAX_CODES: usize = 30;

pub(super) fn errors(facts: &Facts, pii: bool) -> Errors {
    let groups = facts.rows.errors.commonest_first();
    let lines = groups.iter().take(MAX_CODES).map(|(name, group)| ErrorLine {
        code: code(name, pii),
        count: group.n,
        n: number(group.n),
        meaning: advice::code_meaning(name),
        examples: group.examples.iter().map(|it| example(facts, it, pii)).collect(),
    });
    let n_more = groups.iter().skip(MAX_CODES).map(|(_, group)| group.n).sum::<u64>()
        + facts.rows.errors.n_beyond();
    let more = match n_more {
        0 => String::new(),
        n => format!("{} under further codes.", counted(n, "more row", "more rows")),
    };
    Errors { lines: lines.collect(), more }
}

/// `line 17 user_abc: No user was found.`
fn example(facts: &Facts, example: &Example, pii: bool) -> String {
    let file = match facts.sources.get(example.source) {
        Some(source) if facts.sources.len() > 1 => clipped(&source.name, 80) + ", ",
        _ => String::new(),
    };
    let user = example.user_id.as_deref().map(|it| format!(" {it}")).unwrap_or_default();
    let said = match clean(&example.message) {
        message if pii && !message.is_empty() => format!(": {message}"),
        _ => String::new(),
    };
    format!("{file}line {}{user}{said}", example.line)
}
