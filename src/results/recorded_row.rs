//! A row as it was recorded.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::model::{Outcome, UserId};

use super::cells::unguarded;
use super::header::Header;
use super::lines::Cells;
use super::redact::REDACTED;
use super::time::Moment;

/// A row as it was recorded. Empty cells are `None`, and so are redacted numbers and times;
/// redacted texts are read as they stand.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedRow {
    /// The record's first line in the input, 1-based.
    pub line: u64,
    /// The cell of the input.
    pub input: String,
    /// The user, where one was known.
    pub user_id: Option<UserId>,
    /// The last word.
    pub outcome: Outcome,
    /// The status of the last answer.
    pub http_status: Option<u16>,
    /// What went wrong, as a stable code.
    pub error_code: Option<String>,
    /// What went wrong, for people.
    pub error_message: Option<String>,
    /// How many calls were made for this record alone.
    pub attempts: u32,
    /// From the first attempt to the last answer.
    pub duration: Duration,
    /// When the last word was said.
    pub finished_at: Option<SystemTime>,
    /// What Clerk's support can find the last answer by.
    pub trace_id: Option<String>,
    /// `locked` of the last user object seen; the next fields are from there too.
    pub locked: Option<bool>,
    /// `banned`.
    pub banned: Option<bool>,
    /// `lockout_expires_in_seconds`.
    pub lockout_expires_in_seconds: Option<i64>,
    /// `verification_attempts_remaining`.
    pub verification_attempts_remaining: Option<i64>,
    /// `username`.
    pub username: Option<String>,
    /// The primary email address.
    pub email: Option<String>,
    /// `external_id`.
    pub external_id: Option<String>,
    /// `first_name`.
    pub first_name: Option<String>,
    /// `last_name`.
    pub last_name: Option<String>,
    /// `last_sign_in_at`.
    pub last_sign_in_at: Option<SystemTime>,
    /// `updated_at`.
    pub updated_at: Option<SystemTime>,
    /// The whole object, on one line.
    pub user_json: Option<String>,
    /// The carried cells, in the order of the header.
    pub carried: Vec<String>,
}

impl RecordedRow {
    /// Reads a line whose header was checked; the reason when it is not a row.
    pub(super) fn parse(cells: Cells<'_>, header: &Header) -> Result<Self, String> {
        if cells.len() != header.n_columns {
            return Err(format!("{} cells where {} belong", cells.len(), header.n_columns));
        }
        Ok(Self {
            line: wanted(cells, 0, "line")?,
            input: unguarded(cells.get(1)).to_owned(),
            user_id: value(cells, 2, "user_id")?,
            outcome: wanted(cells, 3, "outcome")?,
            http_status: value(cells, 4, "http_status")?,
            error_code: text(cells, 5),
            error_message: text(cells, 6),
            attempts: wanted(cells, 7, "attempts")?,
            duration: Duration::from_millis(wanted(cells, 8, "duration_ms")?),
            finished_at: time(cells, 9, "finished_at")?,
            trace_id: text(cells, 10),
            locked: truth(cells, 11, "locked")?,
            banned: truth(cells, 12, "banned")?,
            lockout_expires_in_seconds: value(cells, 13, "lockout_expires_in_seconds")?,
            verification_attempts_remaining: value(cells, 14, "verification_attempts_remaining")?,
            username: text(cells, 15),
            email: text(cells, 16),
            external_id: text(cells, 17),
            first_name: text(cells, 18),
            last_name: text(cells, 19),
            last_sign_in_at: time(cells, 20, "last_sign_in_at")?,
            updated_at: time(cells, 21, "updated_at")?,
            user_json: text(cells, 22),
            carried: carried(cells, header),
        })
    }
}

fn carried(cells: Cells<'_>, header: &Header) -> Vec<String> {
    cells.iter().skip(header.first_carried()).map(|cell| unguarded(cell).to_owned()).collect()
}

fn text(cells: Cells<'_>, at: usize) -> Option<String> {
    Some(unguarded(cells.get(at))).filter(|it| !it.is_empty()).map(ToOwned::to_owned)
}

fn wanted<T: FromStr>(cells: Cells<'_>, at: usize, column: &str) -> Result<T, String> {
    value(cells, at, column)?.ok_or_else(|| format!("\"{column}\" is empty"))
}

fn value<T: FromStr>(cells: Cells<'_>, at: usize, column: &str) -> Result<Option<T>, String> {
    read(cells, at, column, |cell| cell.parse().ok())
}

/// A spreadsheet writes truths in capitals.
fn truth(cells: Cells<'_>, at: usize, column: &str) -> Result<Option<bool>, String> {
    read(cells, at, column, |cell| cell.to_ascii_lowercase().parse().ok())
}

fn time(cells: Cells<'_>, at: usize, column: &str) -> Result<Option<SystemTime>, String> {
    read(cells, at, column, |cell| Moment::parse(cell).and_then(Moment::to_system))
}

fn read<T>(
    cells: Cells<'_>,
    at: usize,
    column: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, String> {
    match cells.get(at) {
        "" | REDACTED => Ok(None),
        cell => match parse(cell) {
            Some(value) => Ok(Some(value)),
            None => Err(format!("\"{cell}\" can't stand in the column \"{column}\"")),
        },
    }
}
