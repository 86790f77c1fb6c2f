//! The list of locked users: a CSV that reads as input.

use super::cells::CellWriter;
use super::compact::compact;
use super::format::SnapshotMode;
use super::redact::Redaction;
use super::time::Moment;
use crate::model::UserView;

/// The columns of the list, in order.
pub const LOCKED_COLUMNS: [&str; 14] = [
    "user_id",
    "username",
    "email",
    "external_id",
    "first_name",
    "last_name",
    "locked",
    "admin_locked",
    "lockout_expires_in_seconds",
    "verification_attempts_remaining",
    "banned",
    "last_sign_in_at",
    "created_at",
    "user",
];

/// How locked users are written.
#[derive(Clone, Debug, Default)]
pub struct LockedFormat {
    /// How much of the user is written.
    pub snapshot: SnapshotMode,
    /// What of the user is not to be seen.
    pub redaction: Redaction,
}

impl LockedFormat {
    /// Appends the header line.
    pub fn append_header(&self, out: &mut Vec<u8>) {
        let mut cells = CellWriter::new(out);
        cells.texts(LOCKED_COLUMNS);
        cells.finish();
    }

    /// Appends a user as exactly one line.
    pub fn append_user(&self, user: &UserView, out: &mut Vec<u8>) {
        let mut cells = CellWriter::new(out);
        cells.text(&user.id);
        let text = |cells: &mut CellWriter<'_>, field: &str, value: &Option<String>| {
            cells.maybe_text(self.shown(field, value.as_deref()));
        };
        text(&mut cells, "username", &user.username);
        text(&mut cells, "email_addresses", &user.email);
        text(&mut cells, "external_id", &user.external_id);
        text(&mut cells, "first_name", &user.first_name);
        text(&mut cells, "last_name", &user.last_name);
        cells.maybe_plain(user.locked);
        cells.plain(user.is_admin_locked());
        cells.maybe_plain(user.lockout_expires_in_seconds);
        cells.maybe_plain(user.verification_attempts_remaining);
        cells.maybe_plain(user.banned);
        cells.maybe_plain(user.last_sign_in_at.and_then(Moment::from_unix_ms));
        cells.maybe_plain(user.created_at.and_then(Moment::from_unix_ms));
        match self.snapshot {
            SnapshotMode::Full => cells.text(&self.redaction.apply(&compact(&user.json))),
            SnapshotMode::Summary | SnapshotMode::None => cells.empty(1),
        }
        cells.finish();
    }

    fn shown<'a>(&self, field: &str, value: Option<&'a str>) -> Option<&'a str> {
        if self.snapshot == SnapshotMode::None {
            return None;
        }
        if self.redaction.hides(field) { Some("[redacted]") } else { value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(format: &LockedFormat) -> String {
        let user = UserView::parse(
            r#"{"id":"user_a","locked":true,"banned":false,"lockout_expires_in_seconds":null,
                "verification_attempts_remaining":3,"username":"=a","first_name":"A\nB",
                "last_sign_in_at":0,"created_at":1000}"#,
        );
        let mut out = Vec::new();
        format.append_header(&mut out);
        format.append_user(&user.unwrap(), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_locked_user_is_one_line_that_reads_as_input() {
        let summary = SnapshotMode::Summary;
        insta::assert_snapshot!(list(&LockedFormat { snapshot: summary, ..LockedFormat::default() }), @r"
        user_id,username,email,external_id,first_name,last_name,locked,admin_locked,lockout_expires_in_seconds,verification_attempts_remaining,banned,last_sign_in_at,created_at,user
        user_a,'=a,,,A B,,true,true,,3,false,1970-01-01T00:00:00.000Z,1970-01-01T00:00:01.000Z,
        ");
    }

    #[test]
    fn what_is_redacted_is_in_no_column() {
        let redaction = Redaction::new(["username".to_owned()]);
        let list = list(&LockedFormat { snapshot: SnapshotMode::Full, redaction });
        assert!(!list.contains("=a"), "{list}");
    }
}
