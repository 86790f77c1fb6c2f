//! The results CSV, version 1: its columns, and one record's row as a line.

use crate::model::{InputRecord, Row, UserView};

use super::cells::CellWriter;
use super::compact::compact;
use super::redact::{REDACTED, Redaction};
use super::time::Moment;

/// The version of the format. Columns are only ever appended.
pub const SCHEMA_VERSION: u32 = 1;

/// The columns, in order. Carried columns follow, prefixed with [`CARRIED_PREFIX`].
pub const COLUMNS: [&str; 23] = [
    "line",
    "input",
    "user_id",
    "outcome",
    "http_status",
    "error_code",
    "error_message",
    "attempts",
    "duration_ms",
    "finished_at",
    "trace_id",
    "locked",
    "banned",
    "lockout_expires_in_seconds",
    "verification_attempts_remaining",
    "username",
    "email",
    "external_id",
    "first_name",
    "last_name",
    "last_sign_in_at",
    "updated_at",
    "user",
];

/// What the header of a carried column begins with.
pub const CARRIED_PREFIX: &str = "in_";

/// How many columns come from the user object: `locked` to `user`.
const N_USER_COLUMNS: usize = 12;

/// How much of the returned user is recorded (`--snapshot`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotMode {
    /// The columns and the whole object.
    #[default]
    Full,
    /// The columns alone.
    Summary,
    /// Neither.
    None,
}

/// How rows are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowFormat {
    /// How much of the user is recorded.
    pub snapshot: SnapshotMode,
    /// What of the user is not to be seen.
    pub redaction: Redaction,
    /// The headers of the carried columns, as the input writes them.
    pub carried: Vec<String>,
}

impl RowFormat {
    /// Appends the header line.
    pub fn append_header(&self, out: &mut Vec<u8>) {
        let mut cells = CellWriter::new(out);
        cells.texts(COLUMNS);
        cells.texts(self.carried.iter().map(|name| format!("{CARRIED_PREFIX}{name}")));
        cells.finish();
    }

    /// Appends the row as exactly one line, its line break included.
    pub fn append_row(&self, record: &InputRecord, row: &Row, out: &mut Vec<u8>) {
        let mut cells = CellWriter::new(out);
        cells.plain(record.line);
        cells.text(&record.cell);
        cells.maybe_plain(row.user_id.as_ref());
        cells.plain(row.outcome);
        cells.maybe_plain(row.http_status);
        cells.maybe_text(row.error_code.as_deref());
        cells.maybe_text(row.error_message.as_deref());
        cells.plain(row.attempts);
        cells.plain(row.duration.as_millis());
        cells.maybe_plain(Moment::from_system(row.finished_at));
        cells.maybe_text(row.trace_id.as_deref());
        self.append_user(row.user.as_deref(), &mut cells);
        for at in 0..self.carried.len() {
            cells.maybe_text(record.carried.get(at).map(AsRef::as_ref));
        }
        cells.finish();
    }

    fn append_user(&self, user: Option<&UserView>, cells: &mut CellWriter<'_>) {
        match (self.snapshot, user) {
            (SnapshotMode::None, _) | (_, None) => cells.empty(N_USER_COLUMNS),
            (SnapshotMode::Summary, Some(user)) => {
                self.append_facts(user, cells);
                cells.empty(1);
            }
            (SnapshotMode::Full, Some(user)) => {
                self.append_facts(user, cells);
                cells.text(&self.redaction.apply(&compact(&user.json)));
            }
        }
    }

    fn append_facts(&self, user: &UserView, cells: &mut CellWriter<'_>) {
        let mut facts = FactWriter { cells, redaction: &self.redaction };
        facts.plain("locked", user.locked);
        facts.plain("banned", user.banned);
        facts.plain("lockout_expires_in_seconds", user.lockout_expires_in_seconds);
        facts.plain("verification_attempts_remaining", user.verification_attempts_remaining);
        facts.text("username", user.username.as_deref());
        facts.text("email_addresses", user.email.as_deref());
        facts.text("external_id", user.external_id.as_deref());
        facts.text("first_name", user.first_name.as_deref());
        facts.text("last_name", user.last_name.as_deref());
        facts.plain("last_sign_in_at", user.last_sign_in_at.and_then(Moment::from_unix_ms));
        facts.plain("updated_at", user.updated_at.and_then(Moment::from_unix_ms));
    }
}

/// Writes the columns that come from fields of the user object, each under the name of its field.
struct FactWriter<'a, 'b> {
    cells: &'a mut CellWriter<'b>,
    redaction: &'a Redaction,
}

impl FactWriter<'_, '_> {
    fn plain(&mut self, field: &str, value: Option<impl std::fmt::Display>) {
        if self.redaction.hides(field) {
            self.cells.plain(REDACTED);
        } else {
            self.cells.maybe_plain(value);
        }
    }

    fn text(&mut self, field: &str, value: Option<&str>) {
        let shown = if self.redaction.hides(field) { Some(REDACTED) } else { value };
        self.cells.maybe_text(shown);
    }
}

#[cfg(test)]
pub(super) mod tests;
