//! The list of locked users: a CSV that can be read as input.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::atomic::{AtomicWriter, remove_stale};
use super::error::{OpenError, WriteError};
use super::format::FieldWriter;
use super::journal::refuse_existing;
use super::lines::LineWriter;
use super::sidecars::sibling;
use super::snapshot::{Redaction, SnapshotMode, compact};
use super::time::Moment;
use crate::model::UserView;

/// The columns of the list, in order. The last one is there only with [`SnapshotMode::Full`].
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
    /// Which fields of the user are redacted.
    pub redaction: Redaction,
}

impl LockedFormat {
    fn write_header(&self, out: &mut LineWriter) {
        let has_user = self.snapshot == SnapshotMode::Full;
        out.texts(&LOCKED_COLUMNS[..LOCKED_COLUMNS.len() - usize::from(!has_user)]);
        out.end_line();
    }

    fn write_user(&self, user: &UserView, out: &mut LineWriter) {
        // Without a snapshot, what identifies the user beside the ID is left out.
        let shown =
            |value: &Option<String>| value.clone().filter(|_| self.snapshot != SnapshotMode::None);
        out.text(&user.id);
        let mut fields = FieldWriter { out, redaction: &self.redaction };
        fields.text("username", shown(&user.username).as_deref());
        fields.text("email_addresses", shown(&user.email).as_deref());
        fields.text("external_id", shown(&user.external_id).as_deref());
        fields.text("first_name", shown(&user.first_name).as_deref());
        fields.text("last_name", shown(&user.last_name).as_deref());
        fields.plain("locked", user.locked);
        fields.plain("admin_locked", Some(user.is_admin_locked()));
        fields.plain("lockout_expires_in_seconds", user.lockout_expires_in_seconds);
        fields.plain("verification_attempts_remaining", user.verification_attempts_remaining);
        fields.plain("banned", user.banned);
        fields.plain("last_sign_in_at", user.last_sign_in_at.and_then(Moment::from_unix_ms));
        fields.plain("created_at", user.created_at.and_then(Moment::from_unix_ms));
        if self.snapshot == SnapshotMode::Full {
            out.text(&self.redaction.apply(&compact(&user.json)));
        }
        out.end_line();
    }
}

/// Writes the list. A file has its name only when the list is complete.
pub struct LockedWriter {
    format: LockedFormat,
    lines: LineWriter,
    spare: Vec<u8>,
    out: Out,
}

enum Out {
    Stream(Box<dyn Write>),
    File(AtomicWriter, PathBuf),
}

impl LockedWriter {
    /// Starts a list in a file, for its owner alone.
    ///
    /// # Errors
    ///
    /// When the file exists and `may_replace` is not set, or it cannot be created.
    pub fn create(path: &Path, may_replace: bool, format: LockedFormat) -> Result<Self, OpenError> {
        if !may_replace {
            refuse_existing(path).map_err(|error| error.of_a_whole("--output"))?;
        }
        remove_stale(path);
        let file = AtomicWriter::create(path).map_err(WriteError::of_a_whole)?;
        Ok(Self::over(Out::File(file, path.to_owned()), format))
    }

    /// Starts a list on a stream, such as standard output.
    pub fn stream(stream: impl Write + 'static, format: LockedFormat) -> Self {
        Self::over(Out::Stream(Box::new(stream)), format)
    }

    fn over(out: Out, format: LockedFormat) -> Self {
        let mut lines = LineWriter::new();
        format.write_header(&mut lines);
        Self { format, lines, spare: Vec::new(), out }
    }

    /// Adds a user to those that the next flush writes.
    pub fn append(&mut self, user: &UserView) {
        self.format.write_user(user, &mut self.lines);
    }

    /// Writes all appended users.
    ///
    /// # Errors
    ///
    /// When they cannot be written.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.spare = self.lines.take(std::mem::take(&mut self.spare));
        match &mut self.out {
            Out::Stream(stream) => {
                let written = stream.write_all(&self.spare).and_then(|()| stream.flush());
                written.map_err(|error| stream_error(&error))
            }
            Out::File(file, path) => {
                let written = file.write_all(&self.spare);
                written.map_err(|error| WriteError::new(path.as_path(), &error).of_a_whole())
            }
        }
    }

    /// Completes the list; gives the path of the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(mut self) -> Result<Option<PathBuf>, WriteError> {
        self.flush()?;
        let Out::File(file, path) = self.out else { return Ok(None) };
        file.finish().map_err(WriteError::of_a_whole)?;
        Ok(Some(path))
    }

    /// Ends a list that is not complete: the file is called `NAME.part.csv`, so that nothing takes
    /// it for the whole. Gives its path.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish_incomplete(mut self) -> Result<Option<PathBuf>, WriteError> {
        self.flush()?;
        let Out::File(file, path) = self.out else { return Ok(None) };
        let part = sibling(&path, ".part.csv");
        file.finish_as(&part).map_err(WriteError::of_a_whole)?;
        Ok(Some(part))
    }
}

fn stream_error(error: &io::Error) -> WriteError {
    WriteError::of(None, super::Problem::of(error)).of_a_whole()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn user() -> UserView {
        UserView::parse(
            r#"{"id":"user_a","locked":true,"banned":false,"lockout_expires_in_seconds":null,
                "verification_attempts_remaining":3,"username":"=a","first_name":"A\nB",
                "last_sign_in_at":0,"created_at":1000}"#,
        )
        .unwrap()
    }

    fn list(format: LockedFormat) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locked.csv");
        let mut writer = LockedWriter::create(&path, false, format).unwrap();
        writer.append(&user());
        assert_eq!(writer.finish().unwrap().as_ref(), Some(&path));
        fs::read_to_string(path).unwrap()
    }

    fn format(snapshot: SnapshotMode, redacted: &[&str]) -> LockedFormat {
        let redaction = Redaction::new(redacted.iter().map(|&it| it.to_owned()));
        LockedFormat { snapshot, redaction }
    }

    #[test]
    fn a_summary_has_no_column_for_the_object() {
        insta::assert_snapshot!(list(format(SnapshotMode::Summary, &[])), @"
        user_id,username,email,external_id,first_name,last_name,locked,admin_locked,lockout_expires_in_seconds,verification_attempts_remaining,banned,last_sign_in_at,created_at
        user_a,'=a,,,A B,,true,true,,3,false,1970-01-01T00:00:00.000Z,1970-01-01T00:00:01.000Z
        ");
    }

    #[test]
    fn a_full_snapshot_is_the_last_column() {
        let list = list(format(SnapshotMode::Full, &["username"]));
        assert!(list.lines().next().unwrap().ends_with(",created_at,user"), "{list}");
        assert!(list.ends_with("\"\"created_at\"\":1000}\"\n"), "{list}");
        assert!(!list.contains("=a"), "redacted in the column and in the object: {list}");
    }

    #[test]
    fn without_a_snapshot_only_the_id_identifies_the_user() {
        let list = list(format(SnapshotMode::None, &[]));
        assert!(list.contains("\nuser_a,,,,,,true,true,"), "{list}");
    }

    #[test]
    fn an_incomplete_list_has_another_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locked.csv");
        fs::write(&path, "old").unwrap();
        assert!(LockedWriter::create(&path, false, LockedFormat::default()).is_err());
        let mut writer = LockedWriter::create(&path, true, LockedFormat::default()).unwrap();
        writer.append(&user());
        let part = writer.finish_incomplete().unwrap().unwrap();
        assert_eq!(part, dir.path().join("locked.part.csv"));
        assert_eq!(fs::read_to_string(part).unwrap().lines().count(), 2);
        assert_eq!(fs::read_to_string(path).unwrap(), "old");
    }
}
