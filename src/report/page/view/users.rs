//! The users, by outcome.

use std::time::Duration;

use super::words::{self, code, moment, tone};
use crate::model::{Outcome, UserId};
use crate::report::page::{Facts, TableRow};
use crate::report::text::{clean, counted, duration, number};

/// The users, by outcome.
pub(super) struct Users {
    pub(super) caption: String,
    pub(super) heads: Vec<Cell<&'static str>>,
    /// The number of columns.
    pub(super) n_columns: usize,
    pub(super) groups: Vec<Group>,
}

/// The users of one outcome.
pub(super) struct Group {
    pub(super) outcome: &'static str,
    pub(super) tone: &'static str,
    pub(super) meaning: &'static str,
    /// How many of how many are shown.
    pub(super) shown: String,
    pub(super) rows: Vec<Line>,
}

/// One user: the cell that names it, and the others.
pub(super) struct Line {
    pub(super) user: String,
    pub(super) cells: Vec<Cell<String>>,
}

/// A cell, and the class that says how it is set.
pub(super) struct Cell<T> {
    pub(super) class: &'static str,
    pub(super) text: T,
}

/// A column, and what stands in it for a row.
struct Column {
    head: &'static str,
    class: &'static str,
    is_personal: bool,
    cell: fn(&TableRow, &Context<'_>) -> String,
}

struct Context<'a> {
    facts: &'a Facts,
    pii: bool,
}

const COLUMNS: [Column; 10] = [
    Column::new("Line", "number", |row, _| number(row.line)),
    Column::new("File", "short", file),
    Column::new("Code", "short", error_code),
    Column::new("Lock", "long", |row, _| lock(row)),
    Column::new("Attempts", "number", |row, _| attempts(row)),
    Column::new("Ended (UTC)", "short", |row, _| ended(row)),
    Column::personal("Input", "short", |row, _| input(row)),
    Column::personal("Email", "short", |row, _| text(row.email.as_deref())),
    Column::personal("Name", "long", |row, _| name(row)),
    Column::personal("Message", "long", |row, _| text(row.error_message.as_deref())),
];

impl Column {
    const fn new(
        head: &'static str,
        class: &'static str,
        cell: fn(&TableRow, &Context<'_>) -> String,
    ) -> Self {
        Self { head, class, is_personal: false, cell }
    }

    const fn personal(
        head: &'static str,
        class: &'static str,
        cell: fn(&TableRow, &Context<'_>) -> String,
    ) -> Self {
        Self { is_personal: true, ..Self::new(head, class, cell) }
    }

    fn cell(&self, row: &TableRow, context: &Context<'_>) -> Cell<String> {
        Cell { class: self.class, text: (self.cell)(row, context) }
    }
}

pub(super) fn users(facts: &Facts, pii: bool) -> Users {
    let context = Context { facts, pii };
    let rows = &facts.rows.shown;
    // An empty column tells nothing and takes the room of one that does.
    let is_wanted = |column: &&Column| {
        (pii || !column.is_personal)
            && rows.iter().any(|row| !(column.cell)(row, &context).is_empty())
    };
    let columns: Vec<_> = COLUMNS.iter().filter(is_wanted).collect();
    let by_outcome = rows.chunk_by(|one, other| one.outcome == other.outcome);
    Users {
        caption: caption(facts),
        heads: columns.iter().map(|it| Cell { class: it.class, text: it.head }).collect(),
        n_columns: columns.len() + 1,
        groups: by_outcome.map(|rows| group(rows, &columns, &context)).collect(),
    }
}

fn group(rows: &[TableRow], columns: &[&Column], context: &Context<'_>) -> Group {
    let outcome = rows.first().map_or(Outcome::Unlocked, |row| row.outcome);
    let line = |row: &TableRow| Line {
        user: user(row, context),
        cells: columns.iter().map(|column| column.cell(row, context)).collect(),
    };
    let (n_shown, n) = (rows.len() as u64, context.facts.rows.counts.get(outcome));
    let shown = match n_shown {
        all if all == n => counted(n, "row", "rows"),
        some => format!("{} of {}", number(some), counted(n, "row", "rows")),
    };
    Group {
        outcome: outcome.code(),
        tone: tone(outcome),
        meaning: outcome.meaning(),
        shown,
        rows: rows.iter().map(line).collect(),
    }
}

fn caption(facts: &Facts) -> String {
    let (n_shown, n) = (facts.rows.shown.len() as u64, facts.rows.counts.total());
    if n_shown == n {
        return format!("{}, those that did not end well first.", counted(n, "row", "rows"));
    }
    let files: Vec<_> = facts.sources.iter().map(|it| words::told(&it.name)).collect();
    format!(
        "{} of {} rows, those that did not end well first. {} are not shown; they are in {}.",
        number(n_shown),
        number(n),
        number(n - n_shown),
        files.join(", "),
    )
}

/// Who it is: by id, where anything else would be personal data.
fn user(row: &TableRow, context: &Context<'_>) -> String {
    match &row.user_id {
        Some(id) => id.to_string(),
        None if context.pii || row.input.parse::<UserId>().is_ok() => text(Some(&row.input)),
        None => "(not shown)".to_owned(),
    }
}

fn file(row: &TableRow, context: &Context<'_>) -> String {
    match context.facts.sources.get(row.source) {
        Some(source) if context.facts.sources.len() > 1 => words::told(&source.name),
        _ => String::new(),
    }
}

fn error_code(row: &TableRow, context: &Context<'_>) -> String {
    row.error_code.as_deref().map(|it| code(it, context.pii)).unwrap_or_default()
}

/// `banned; locked, ends in 55 min 0 s`
fn lock(row: &TableRow) -> String {
    let ends = || match row.lockout_expires_in_seconds.map(u64::try_from) {
        Some(Ok(seconds)) => format!("ends in {}", duration(Duration::from_secs(seconds))),
        Some(Err(_)) | None => "does not end by itself".to_owned(),
    };
    let lock = match row.locked {
        Some(true) => format!("locked, {}", ends()),
        Some(false) | None => String::new(),
    };
    let left = match row.verification_attempts_remaining {
        Some(n) if n > 0 && row.locked == Some(true) => format!("{n} sign-in attempts left"),
        _ => String::new(),
    };
    let ban = if row.banned == Some(true) { "banned" } else { "" }.to_owned();
    let parts = [ban, lock, left];
    parts.into_iter().filter(|it| !it.is_empty()).collect::<Vec<_>>().join("; ")
}

fn attempts(row: &TableRow) -> String {
    if row.attempts == 0 { String::new() } else { number(row.attempts.into()) }
}

fn ended(row: &TableRow) -> String {
    row.finished_at.map(moment).unwrap_or_default()
}

/// Told where it is not the id that is told already.
fn input(row: &TableRow) -> String {
    match &row.user_id {
        Some(id) if id.as_str() != row.input => text(Some(&row.input)),
        _ => String::new(),
    }
}

fn name(row: &TableRow) -> String {
    let username = row.username.as_ref().map(|it| format!("@{it}"));
    let names = [row.first_name.clone(), row.last_name.clone(), username];
    let names: Vec<_> = names.into_iter().flatten().filter(|it| !it.is_empty()).collect();
    clean(&names.join(" ")).into_owned()
}

fn text(text: Option<&str>) -> String {
    text.map(|it| clean(it).into_owned()).unwrap_or_default()
}
