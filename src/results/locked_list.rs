//! The list of locked users: a CSV that can be read as input.

use std::collections::{BTreeMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufRead as _, BufReader, Seek as _, Write};
use std::path::{Path, PathBuf};

use tempfile::SpooledTempFile;

use super::error::{OpenError, Problem, WriteError};
use super::files::{AtomicWriter, first_line, remove_stale};
use super::format::FieldWriter;
use super::journal::refuse_existing;
use super::lines::LineWriter;
use super::lines::Moment;
use super::sidecars::sibling;
use super::snapshot::{Redaction, SnapshotMode, compact};
use crate::model::UserView;
use crate::policy::selection::{Condition, Selection};

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
        // Without a snapshot, identifiers other than the ID are left out.
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
        // A user who may be locked on purpose is refused as input, too.
        fields.plain(
            "admin_locked",
            Some(match user.is_admin_locked() {
                Some(true) => "true",
                Some(false) => "false",
                None => "unknown",
            }),
        );
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

/// The list of a walk. It holds each user once, however many pages contain them, and is written only
/// at the end: a list that turns out to be incomplete does not reach the next command.
pub struct LockedList {
    format: LockedFormat,
    selection: Selection,
    /// `None` is standard output.
    file: Option<AtomicWriter>,
    lines: LineWriter,
    /// The rows so far.
    spool: SpooledTempFile,
    n_bytes: u64,
    hasher: RandomState,
    /// The users about whom pages contain the same, by the hash of the ID: there may be millions.
    users: BTreeMap<Answer, HashSet<u64>>,
    /// Users about whom pages disagree.
    disputed: HashSet<String>,
    /// Users whose rows are void, and the length of the rows that this applies to, in bytes.
    withdrawn: (HashSet<String>, u64),
    failure: Option<WriteError>,
}

/// What a page contains about a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Locked {
        is_admin_locked: bool,
        never_expires: bool,
    },
    /// Locked, but left out by the condition with this index.
    LeftOut(usize),
    NotLocked,
    /// It is not known whether the user is locked, or whether on purpose.
    Unknown,
}

/// How many users a list was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListCounts {
    /// All users on the pages, each counted once.
    pub n_users: u64,
    /// Those who are locked and selected: the rows.
    pub n_listed: u64,
    /// Those who are locked but not selected, by the first condition that they do not meet.
    pub left_out: Vec<u64>,
    /// The listed ones who look locked on purpose.
    pub n_admin_locked: u64,
    /// The listed ones whose lock never expires.
    pub n_never_expiring: u64,
    /// Those of whom it is not known whether they are locked, or whether on purpose.
    pub n_unknown: u64,
}

impl ListCounts {
    /// All locked users.
    pub fn n_locked(&self) -> u64 {
        self.n_listed + self.left_out.iter().sum::<u64>()
    }
}

/// Refuses a file in the place of a list unless it is one, by its header.
///
/// # Errors
///
/// [`OpenError::NotOurs`].
pub fn check_own_list(path: &Path) -> Result<(), OpenError> {
    let columns = LOCKED_COLUMNS[..LOCKED_COLUMNS.len() - 1].join(",");
    match first_line(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(header) if header.starts_with(&columns) => Ok(()),
        _ => Err(OpenError::NotOurs(path.to_owned())),
    }
}

impl LockedList {
    /// Above this size the rows move from memory to a temporary file.
    const MAX_IN_MEMORY: usize = 8 << 20;

    /// Starts a list that will be a file, for its owner alone.
    ///
    /// # Errors
    ///
    /// When the file exists and `may_replace` is not set, or it cannot be created.
    pub fn create(
        path: &Path,
        may_replace: bool,
        format: LockedFormat,
        selection: Selection,
    ) -> Result<Self, OpenError> {
        if !may_replace {
            refuse_existing(path).map_err(|error| error.without_resume("--output"))?;
        }
        remove_stale(path);
        let file = AtomicWriter::create(path).map_err(WriteError::without_resume)?;
        Ok(Self::new(Some(file), format, selection))
    }

    /// Starts a list that will be written to stdout.
    pub fn to_stdout(format: LockedFormat, selection: Selection) -> Self {
        Self::new(None, format, selection)
    }

    fn new(file: Option<AtomicWriter>, format: LockedFormat, selection: Selection) -> Self {
        Self {
            format,
            selection,
            file,
            lines: LineWriter::new(),
            spool: SpooledTempFile::new(Self::MAX_IN_MEMORY),
            n_bytes: 0,
            hasher: RandomState::new(),
            users: BTreeMap::new(),
            disputed: HashSet::new(),
            withdrawn: (HashSet::new(), 0),
            failure: None,
        }
    }

    /// Adds the selected ones among these users, unless they are in the list already.
    ///
    /// # Errors
    ///
    /// When the rows cannot be kept. [`finish`](Self::finish) fails, too, then.
    pub fn add(&mut self, users: &[UserView]) -> Result<(), WriteError> {
        for user in users {
            let answer = Answer::of(user, &self.selection);
            let hash = self.hasher.hash_one(&user.id);
            let known = self.users.iter().find(|(_, users)| users.contains(&hash));
            if let Some((known, _)) = known {
                if *known != answer {
                    self.disputed.insert(user.id.clone());
                }
                continue;
            }
            self.users.entry(answer).or_default().insert(hash);
            if matches!(answer, Answer::Locked { .. }) {
                self.format.write_user(user, &mut self.lines);
            }
        }
        let rows = self.lines.take(Vec::new());
        self.n_bytes += rows.len() as u64;
        let path = self.file.as_ref().map(|file| file.path.as_path());
        let written = self.spool.write_all(&rows).map_err(|error| write_error(path, &error));
        if let Err(error) = &written {
            self.failure.get_or_insert(error.clone());
        }
        written
    }

    /// Withdraws the users about whom pages disagree, to add them again once they were looked up.
    pub fn take_disputed(&mut self) -> Vec<String> {
        for id in &self.disputed {
            let hash = self.hasher.hash_one(id);
            for users in self.users.values_mut() {
                users.remove(&hash);
            }
        }
        self.withdrawn = (std::mem::take(&mut self.disputed), self.n_bytes);
        self.withdrawn.0.iter().cloned().collect()
    }

    /// How many users were listed so far.
    pub fn counts(&self) -> ListCounts {
        let mut counts = ListCounts {
            left_out: vec![0; self.selection.conditions.len()],
            ..ListCounts::default()
        };
        for (answer, users) in &self.users {
            let n_users = users.len() as u64;
            counts.n_users += n_users;
            match *answer {
                Answer::NotLocked => {}
                Answer::LeftOut(condition) => counts.left_out[condition] += n_users,
                Answer::Unknown => counts.n_unknown += n_users,
                Answer::Locked { is_admin_locked, never_expires } => {
                    counts.n_listed += n_users;
                    counts.n_admin_locked += if is_admin_locked { n_users } else { 0 };
                    counts.n_never_expiring += if never_expires { n_users } else { 0 };
                }
            }
        }
        counts
    }

    /// Writes the complete list; gives the path of the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish(self) -> Result<Option<PathBuf>, WriteError> {
        let Some(file) = self.write()? else { return Ok(None) };
        let path = file.path.clone();
        file.finish().map_err(WriteError::without_resume)?;
        Ok(Some(path))
    }

    /// Writes the complete list; gives the file, which is not at its path until it is finished.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(mut self) -> Result<Option<AtomicWriter>, WriteError> {
        if let Some(failure) = self.failure.take() {
            return Err(failure);
        }
        if let Some(mut file) = self.file.take() {
            self.copy_to(&mut file).map_err(|error| write_error(Some(&file.path), &error))?;
            return Ok(Some(file));
        }
        let mut stdout = io::stdout().lock();
        let written = self.copy_to(&mut stdout).and_then(|()| stdout.flush());
        written.map_err(|error| write_error(None, &error))?;
        Ok(None)
    }

    /// Writes an incomplete list: the file is called `NAME.part.csv`, and nothing is written to
    /// stdout, so that nothing takes it for a complete one. Gives the path of the file.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn finish_incomplete(mut self) -> Result<Option<PathBuf>, WriteError> {
        let Some(mut file) = self.file.take() else { return Ok(None) };
        let part = sibling(&file.path, ".part.csv");
        file.path.clone_from(&part);
        self.copy_to(&mut file).map_err(|error| write_error(Some(&part), &error))?;
        file.finish().map_err(WriteError::without_resume)?;
        Ok(Some(part))
    }

    /// Copies the rows that are not void.
    fn copy_to(mut self, out: &mut impl Write) -> io::Result<()> {
        self.format.write_header(&mut self.lines);
        out.write_all(&self.lines.take(Vec::new()))?;
        self.spool.rewind()?;
        let (withdrawn, n_void_bytes) = self.withdrawn;
        let mut rows = BufReader::new(self.spool);
        let (mut line, mut n_read) = (Vec::new(), 0);
        while rows.read_until(b'\n', &mut line)? > 0 {
            let id = line.split(|&byte| byte == b',').next().unwrap_or_default();
            let is_void =
                n_read < n_void_bytes && str::from_utf8(id).is_ok_and(|id| withdrawn.contains(id));
            if !is_void {
                out.write_all(&line)?;
            }
            n_read += line.len() as u64;
            line.clear();
        }
        Ok(())
    }
}

fn write_error(path: Option<&Path>, error: &io::Error) -> WriteError {
    WriteError::of(path.map(Path::to_owned), Problem::of(error)).without_resume()
}

impl Answer {
    fn of(user: &UserView, selection: &Selection) -> Self {
        if user.locked == Some(false) {
            return Self::NotLocked;
        }
        let never_expires = user.never_expires();
        let is_left_alone = selection.conditions.contains(&Condition::NotAdminLocked);
        match (selection.left_out_by(user), user.is_admin_locked()) {
            (Some(condition), _) if user.is_locked() => Self::LeftOut(condition),
            // Not selected, locked or not.
            (Some(_), _) => Self::NotLocked,
            (None, None) if is_left_alone || !user.is_locked() => Self::Unknown,
            (None, is_admin_locked) => {
                let is_admin_locked = is_admin_locked == Some(true);
                Self::Locked { is_admin_locked, never_expires }
            }
        }
    }
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

    fn new_list(path: &Path, may_replace: bool) -> Result<LockedList, OpenError> {
        LockedList::create(path, may_replace, LockedFormat::default(), Selection::default())
    }

    fn list(format: LockedFormat) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locked.csv");
        let mut list = LockedList::create(&path, false, format, Selection::default()).unwrap();
        list.add(&[user()]).unwrap();
        assert_eq!(list.finish().unwrap().as_ref(), Some(&path));
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
        assert!(new_list(&path, false).is_err());
        let mut list = new_list(&path, true).unwrap();
        list.add(&[user()]).unwrap();
        let part = list.finish_incomplete().unwrap().unwrap();
        assert_eq!(part, dir.path().join("locked.part.csv"));
        assert_eq!(fs::read_to_string(part).unwrap().lines().count(), 2);
        assert_eq!(fs::read_to_string(path).unwrap(), "old");
    }

    fn with_lock(id: &str, locked: &str) -> UserView {
        UserView::parse(format!(r#"{{"id":"{id}","locked":{locked}}}"#)).unwrap()
    }

    #[test]
    fn a_user_whose_pages_disagree_is_listed_by_the_look_up() {
        for (then, now, look_up, is_listed) in [
            ("true", "false", Some("true"), true),
            ("true", "false", Some("false"), false),
            ("false", "true", Some("true"), true),
            ("false", "true", Some("false"), false),
            ("true", "null", Some("null"), false),
            ("true", "false", None, false),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("locked.csv");
            let mut list = new_list(&path, false).unwrap();
            list.add(&[with_lock("user_a", then), with_lock("user_b", "true")]).unwrap();
            list.add(&[with_lock("user_b", "true"), with_lock("user_a", now)]).unwrap();
            assert_eq!(list.take_disputed(), ["user_a"]);
            if let Some(look_up) = look_up {
                list.add(&[with_lock("user_a", look_up)]).unwrap();
            }
            let counts = list.counts();
            assert_eq!(counts.n_users, 1 + u64::from(look_up.is_some()));
            assert_eq!(counts.n_listed, 1 + u64::from(is_listed));
            assert_eq!(counts.n_unknown, u64::from(look_up == Some("null")));
            list.finish().unwrap();
            let text = fs::read_to_string(path).unwrap();
            assert_eq!(text.matches("\nuser_a,").count(), usize::from(is_listed), "{then} {now}");
            assert_eq!(text.matches("\nuser_b,").count(), 1);
        }
    }

    #[test]
    fn only_selected_users_are_listed_and_the_others_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("locked.csv");
        let conditions = vec![Condition::NotBanned, Condition::CreatedAfter(1)];
        let selection = Selection { conditions };
        let mut list =
            LockedList::create(&path, false, LockedFormat::default(), selection).unwrap();
        let user = |id: &str, locked: &str, banned: bool, created_at: u8| {
            let json = format!(
                r#"{{"id":"user_{id}","locked":{locked},"banned":{banned},
                "created_at":{created_at}}}"#
            );
            UserView::parse(&json).unwrap()
        };
        list.add(&[
            user("a", "true", false, 2),
            user("b", "true", true, 0),
            user("c", "true", false, 0),
            user("d", "false", true, 2),
            user("e", "null", false, 2),
            user("f", "null", true, 2),
        ])
        .unwrap();
        // Another page disagrees about the ban, and so does the look-up.
        list.add(&[user("a", "true", true, 2)]).unwrap();
        assert_eq!(list.take_disputed(), ["user_a"]);
        list.add(&[user("a", "true", true, 2)]).unwrap();
        let counts = list.counts();
        assert_eq!((counts.n_users, counts.n_listed, counts.n_unknown), (6, 0, 1));
        assert_eq!((counts.left_out.as_slice(), counts.n_locked()), ([2, 1].as_slice(), 3));
        list.finish().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap().lines().count(), 1, "the header");
    }
}
