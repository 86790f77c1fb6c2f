//! The users on the page: all of them as compact text, from which the script makes rows, and the
//! first few as a table for readers without the script.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use super::view::{cleaned, code, moment};
use super::{Facts, FinalRow, advice};
use crate::model::{Outcome, UserId, UserView};
use crate::report::text::{clipped, counted, duration, number};

/// The users of a page.
pub(super) struct Users<'a> {
    facts: &'a Facts,
    pii: bool,
    /// Those that need attention first.
    rows: Vec<&'a FinalRow>,
    /// The columns that are not empty.
    pub(super) columns: Vec<&'static Column>,
}

/// A column, and the function that makes its cells.
pub(super) struct Column {
    pub(super) head: &'static str,
    pub(super) class: &'static str,
    /// How the script reads a cell: `text`, `plain` (not searched), `text-of` or `time`.
    pub(super) kind: &'static str,
    is_personal: bool,
    cell: fn(&FinalRow, &Users<'_>) -> String,
}

/// The number of users in the table without the script, and of those that the script shows first.
const N_SHOWN: usize = 200;
/// The maximum length of a text, in characters.
const MAX_TEXT: usize = 200;

const COLUMNS: [Column; 12] = [
    Column::new("User", "user", "text", user),
    Column::new("Outcome", "outcome", "text-of", |it, _| it.row.outcome.code().to_owned()),
    Column::new("Line", "number", "text", |it, _| it.row.line.to_string()),
    Column::new("File", "medium", "text-of", file),
    Column::new("Code", "medium", "text-of", error_code),
    Column::new("Lock", "long", "text-of", |it, _| lock(it.row.user.as_deref())),
    Column::new("Attempts", "number", "plain", attempts),
    Column::new("Ended (UTC)", "short", "time", ended),
    Column::personal("Input", "short", input),
    Column::personal("Email", "short", email),
    Column::personal("Name", "long", name),
    Column::personal("Message", "long", |it, _| text(it.row.error_message.as_deref())),
];

impl Column {
    const fn new(
        head: &'static str,
        class: &'static str,
        kind: &'static str,
        cell: fn(&FinalRow, &Users<'_>) -> String,
    ) -> Self {
        Self { head, class, kind, is_personal: false, cell }
    }

    const fn personal(
        head: &'static str,
        class: &'static str,
        cell: fn(&FinalRow, &Users<'_>) -> String,
    ) -> Self {
        Self { is_personal: true, ..Self::new(head, class, "text", cell) }
    }

    /// The color of the dot of an outcome; empty in other columns.
    pub(super) fn tone(&self, row: &FinalRow) -> &'static str {
        if self.class == "outcome" { advice::of_outcome(row.row.outcome).0 } else { "" }
    }
}

impl<'a> Users<'a> {
    pub(super) fn new(facts: &'a Facts, pii: bool) -> Self {
        let mut rows: Vec<&FinalRow> = facts.rows.iter().collect();
        rows.sort_by_key(|it| {
            let outcome = it.row.outcome;
            let position = Outcome::ALL.iter().position(|other| *other == outcome);
            (outcome.ended_well(), position, it.source, it.row.line)
        });
        let mut users = Self { facts, pii, rows, columns: Vec::new() };
        let is_shown = |column: &&Column| {
            (pii || !column.is_personal)
                && users.rows.iter().any(|it| !(column.cell)(it, &users).is_empty())
        };
        users.columns = COLUMNS.iter().filter(is_shown).collect();
        users
    }

    pub(super) fn caption(&self) -> String {
        let rows = counted(self.rows.len() as u64, "row", "rows");
        format!("{rows}, those that need attention first")
    }

    /// A hint for readers without the script; empty if all users are in the table.
    pub(super) fn without_script(&self) -> String {
        if self.rows.len() <= N_SHOWN {
            return String::new();
        }
        let files: Vec<_> = self.facts.sources.iter().map(|it| cleaned(&it.name)).collect();
        format!(
            "These are the first {N_SHOWN} of {} rows. To search all of them here, allow \
             JavaScript; they are also in {}.",
            number(self.rows.len() as u64),
            files.join(", "),
        )
    }

    /// The outcomes that occur, in the order of the rows.
    pub(super) fn outcomes(&self) -> Vec<&'static str> {
        let mut outcomes: Vec<_> = self.rows.iter().map(|it| it.row.outcome.code()).collect();
        outcomes.dedup();
        outcomes
    }

    /// The rows of the table without the script.
    pub(super) fn shown(&self) -> impl Iterator<Item = &FinalRow> {
        self.rows.iter().copied().take(N_SHOWN)
    }

    pub(super) fn cell(&self, row: &FinalRow, column: &Column) -> String {
        match (column.kind, row.row.finished_at) {
            ("time", Some(at)) => moment(at),
            _ => (column.cell)(row, self),
        }
    }

    /// All rows, with tabs between cells. The first line lists the texts that cells of the kind
    /// `text-of` refer to by index.
    pub(super) fn data(&self) -> String {
        let mut indexes: HashMap<String, usize> = HashMap::new();
        let (mut texts, mut lines) = (Vec::new(), String::new());
        for row in &self.rows {
            for (at, column) in self.columns.iter().enumerate() {
                if at > 0 {
                    lines.push('\t');
                }
                let cell = (column.cell)(row, self);
                if column.kind != "text-of" || cell.is_empty() {
                    lines.push_str(&cell);
                    continue;
                }
                let index = *indexes.entry(cell).or_insert_with_key(|cell| {
                    texts.push(cell.clone());
                    texts.len() - 1
                });
                // Writing to a string cannot fail.
                let _ = write!(lines, "{index}");
            }
            lines.push('\n');
        }
        format!("{}\n{lines}", texts.join("\t"))
    }
}

/// The user's ID. Any other text is personal data.
fn user(it: &FinalRow, users: &Users<'_>) -> String {
    match &it.row.user_id {
        Some(id) => id.to_string(),
        None if users.pii || it.row.input.parse::<UserId>().is_ok() => text(Some(&it.row.input)),
        None => "(not shown)".to_owned(),
    }
}

fn file(it: &FinalRow, users: &Users<'_>) -> String {
    match users.facts.sources.get(it.source) {
        Some(source) if users.facts.sources.len() > 1 => cleaned(&source.name),
        _ => String::new(),
    }
}

fn error_code(it: &FinalRow, users: &Users<'_>) -> String {
    it.row.error_code.as_deref().map(|it| code(it, users.pii)).unwrap_or_default()
}

/// `banned; locked, ends in 55 min 0 s`
fn lock(user: Option<&UserView>) -> String {
    let Some(user) = user else { return String::new() };
    let ends = || match user.lockout_expires_in_seconds.map(u64::try_from) {
        Some(Ok(seconds)) => format!("ends in {}", duration(Duration::from_secs(seconds))),
        Some(Err(_)) | None => "does not end by itself".to_owned(),
    };
    let is_locked = user.locked == Some(true);
    let left = user.verification_attempts_remaining.filter(|n| *n > 0 && is_locked);
    let parts = [
        (user.banned == Some(true)).then(|| "banned".to_owned()),
        is_locked.then(|| format!("locked, {}", ends())),
        left.map(|n| format!("{n} sign-in attempts left")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn attempts(it: &FinalRow, _: &Users<'_>) -> String {
    if it.row.attempts == 0 { String::new() } else { it.row.attempts.to_string() }
}

/// In seconds since 1970.
fn ended(it: &FinalRow, _: &Users<'_>) -> String {
    let at = it.row.finished_at.and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
    at.map(|it| it.as_secs().to_string()).unwrap_or_default()
}

/// The cell, if it is not the ID.
fn input(it: &FinalRow, _: &Users<'_>) -> String {
    match &it.row.user_id {
        Some(id) if id.as_str() != &*it.row.input => text(Some(&it.row.input)),
        _ => String::new(),
    }
}

fn email(it: &FinalRow, _: &Users<'_>) -> String {
    text(it.row.user.as_deref().and_then(|user| user.email.as_deref()))
}

fn name(it: &FinalRow, _: &Users<'_>) -> String {
    let Some(user) = it.row.user.as_deref() else { return String::new() };
    let username = user.username.as_ref().map(|it| format!("@{it}"));
    let names = [user.first_name.clone(), user.last_name.clone(), username];
    let names: Vec<_> = names.into_iter().flatten().filter(|it| !it.is_empty()).collect();
    text(Some(&names.join(" ")))
}

fn text(text: Option<&str>) -> String {
    text.map(|it| clipped(it, MAX_TEXT)).unwrap_or_default()
}
