//! What can go wrong with the files of a run, in words that say what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The results, or a file beside them, can't be written any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} can't be written: {problem}. {}.", Target(path.as_deref()), problem.advice(*.remedy))]
pub struct WriteError {
    /// The file; `None` is standard output.
    pub path: Option<PathBuf>,
    /// What is in the way.
    pub problem: Problem,
    /// How to go on without it.
    pub remedy: Remedy,
}

/// How to go on once nothing is in the way any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// What was recorded is kept: `--resume`.
    Resume,
    /// Nothing was kept: the same command once more.
    Repeat,
    /// Nothing can be gone on with until the results go to a file.
    UseFile,
}

impl WriteError {
    /// Makes words of what the system said about that file.
    pub fn new(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::of(Some(path.into()), Problem::of(error))
    }

    /// The results, or what belongs to them, at that path, or on standard output.
    pub(super) fn of(path: Option<PathBuf>, problem: Problem) -> Self {
        let remedy = if path.is_some() { Remedy::Resume } else { Remedy::UseFile };
        Self { path, problem, remedy }
    }

    /// The same of what is written whole or not at all, by a command that can't be resumed.
    #[must_use]
    pub fn of_a_whole(self) -> Self {
        Self { remedy: Remedy::Repeat, ..self }
    }
}

/// What is in the way of writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No room is left.
    DiskFull,
    /// The quota of the user, or the largest size of a file, is reached.
    Quota,
    /// The file system can't be written to.
    ReadOnly,
    /// Not allowed.
    Permission,
    /// The file is no longer where it was: removed, moved or replaced by another.
    Removed,
    /// Whoever read standard output went away.
    BrokenPipe,
    /// Anything else, as the system says it.
    Other(String),
}

impl Problem {
    /// What the system's error means here.
    pub fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull,
            io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => Self::Quota,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::PermissionDenied => Self::Permission,
            io::ErrorKind::BrokenPipe => Self::BrokenPipe,
            _ => Self::Other(error.to_string()),
        }
    }

    /// What to do about it: one sentence without its full stop.
    fn advice(&self, remedy: Remedy) -> String {
        let mend = match self {
            Self::DiskFull | Self::Quota => "Make room, then",
            Self::ReadOnly | Self::Permission => "Make it writable, then",
            Self::Removed => "Put it back, then",
            Self::BrokenPipe => "Let it be read to its end, then",
            Self::Other(_) => "Once that is mended,",
        };
        match remedy {
            Remedy::Resume => format!("{mend} run the same command with --resume"),
            Remedy::Repeat => format!("{mend} run the same command again"),
            Remedy::UseFile => {
                let lost = if *self == Self::BrokenPipe { "read" } else { "written" };
                format!(
                    "What was not {lost} is not recorded; write to a file with --output to be \
                     able to resume"
                )
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DiskFull => "the disk is full",
            Self::Quota => "the disk quota or the largest file size is reached",
            Self::ReadOnly => "the file system is read-only",
            Self::Permission => "permission denied",
            Self::Removed => "it was removed or replaced while it was being written",
            Self::BrokenPipe => "its reader closed it",
            Self::Other(reason) => reason,
        })
    }
}

struct Target<'a>(Option<&'a Path>);

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(path) => path.display().fmt(f),
            None => f.write_str("standard output"),
        }
    }
}

/// A results file can't be begun or gone on with. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It is there already, and nobody said what to do with it.
    #[error(
        "{} exists already: --resume goes on with it, --force overwrites it, --output names \
         another",
        .path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is in the way of a file that is written whole, so that nothing can be gone on with.
    #[error("{} {why}; {flag} names another", .path.display())]
    InTheWay {
        /// The file.
        path: PathBuf,
        /// What it is, and what can be done with it.
        why: &'static str,
        /// The flag that named it.
        flag: &'static str,
    },
    /// Another run holds it.
    #[error("{} is in use by another run; wait for its end or name another with --output", .path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A directory, a device, a pipe.
    #[error("{} is no regular file; name another with --output (\"-\" is standard output)", .path.display())]
    NotAFile {
        /// What was named.
        path: PathBuf,
    },
    /// Something stands where a file beside the results would be, and no run left it there.
    #[error(
        "{} is there already, and no earlier run left it there: move it away, or name another \
         results file with --output",
        .path.display()
    )]
    NotOurs {
        /// The file.
        path: PathBuf,
    },
    /// It can't be opened or created.
    #[error("{} can't be opened for writing: {reason}", .path.display())]
    CantOpen {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Its file system has no locks, so that two runs could mix their rows.
    #[error("{} can't be locked ({reason}); name a file on another disk with --output", .path.display())]
    CantLock {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// Its carried columns are others than those asked for.
    #[error(
        "{} carries {} and this command {}; use the same --carry or name another with --output",
        .path.display(), named(.recorded), named(.asked)
    )]
    OtherCarried {
        /// The file.
        path: PathBuf,
        /// What it carries.
        recorded: Vec<String>,
        /// What was asked for.
        asked: Vec<String>,
    },
    /// A later version of this program made it: it has columns that this one can't fill.
    #[error(
        "{} was made by a later version of this program (it has the column {column}); go on with \
         that version or name another with --output",
        .path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The first column that is not known here.
        column: String,
    },
    /// It can't be read, or it is not what it should be.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The first bytes could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl OpenError {
    /// The same about a file that is written whole, and that was named by this flag.
    #[must_use]
    pub fn of_a_whole(self, flag: &'static str) -> Self {
        let (path, why) = match self {
            Self::Exists { path } => (path, "exists already: --force overwrites it"),
            Self::InUse { path } => (path, "is in use by another run: wait for its end"),
            Self::NotAFile { path } => (path, "is no regular file"),
            other => return other,
        };
        Self::InTheWay { path, why, flag }
    }
}

fn named(columns: &[String]) -> String {
    if columns.is_empty() { "no columns".to_owned() } else { columns.join(", ") }
}

/// A file of this program can't be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system does not give it.
    #[error("{} can't be read: {reason}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// Nothing was recorded in it: it is empty, or was cut off inside its header.
    #[error("{} holds nothing: it was cut off before its first row", .path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
    },
    /// Another kind of file.
    #[error("{} is no results file of this program: {why}", .path.display())]
    NotResults {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: String,
    },
    /// A row that this program did not write so.
    #[error("{}, line {line}: {why}", .path.display())]
    BadRow {
        /// The file.
        path: PathBuf,
        /// The line of that file, 1-based.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A later version of this program made it.
    #[error(
        "{} was made by a later version of this program (its format is {schema_version}, and this \
         one knows {}); use that version",
        .path.display(), super::format::SCHEMA_VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version of its format.
        schema_version: u32,
    },
    /// A manifest that can't be understood.
    #[error("{} is no manifest of this program: {why}", .path.display())]
    NotManifest {
        /// The file.
        path: PathBuf,
        /// How that shows.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: io::ErrorKind, expected: &str) {
        assert_eq!(WriteError::new("out.csv", &kind.into()).to_string(), expected);
    }

    #[test]
    fn a_write_error_names_the_file_the_reason_and_what_to_do() {
        check(
            io::ErrorKind::StorageFull,
            "out.csv can't be written: the disk is full. Make room, then run the same command \
             with --resume.",
        );
        check(
            io::ErrorKind::ReadOnlyFilesystem,
            "out.csv can't be written: the file system is read-only. Make it writable, then run \
             the same command with --resume.",
        );
        check(
            io::ErrorKind::QuotaExceeded,
            "out.csv can't be written: the disk quota or the largest file size is reached. Make \
             room, then run the same command with --resume.",
        );
    }

    #[test]
    fn what_is_written_whole_is_written_again_and_not_resumed() {
        let full: io::Error = io::ErrorKind::StorageFull.into();
        let error = WriteError::new("list.csv", &full).of_a_whole();
        insta::assert_snapshot!(error, @"list.csv can't be written: the disk is full. Make room, then run the same command again.");
        let error = OpenError::Exists { path: "page.html".into() }.of_a_whole("--html");
        insta::assert_snapshot!(error, @"page.html exists already: --force overwrites it; --html names another");
        let error = OpenError::InUse { path: "page.html".into() }.of_a_whole("--html");
        insta::assert_snapshot!(error, @"page.html is in use by another run: wait for its end; --html names another");
        let error = OpenError::NotAFile { path: "fifo".into() }.of_a_whole("--html");
        insta::assert_snapshot!(error, @"fifo is no regular file; --html names another");
    }

    #[test]
    fn standard_output_can_not_be_resumed_whatever_is_in_the_way() {
        let error = WriteError::of(None, Problem::DiskFull);
        insta::assert_snapshot!(error, @"standard output can't be written: the disk is full. What was not written is not recorded; write to a file with --output to be able to resume.");
        let error = WriteError::of(None, Problem::BrokenPipe);
        insta::assert_snapshot!(error, @"standard output can't be written: its reader closed it. What was not read is not recorded; write to a file with --output to be able to resume.");
    }

    #[test]
    fn other_carried_columns_are_both_named() {
        let error = OpenError::OtherCarried {
            path: "out.csv".into(),
            recorded: vec!["team".into(), "ticket".into()],
            asked: vec![],
        };
        insta::assert_snapshot!(error, @"out.csv carries team, ticket and this command no columns; use the same --carry or name another with --output");
    }

    fn path() -> PathBuf {
        "out.csv".into()
    }

    #[test]
    fn what_is_in_the_way_of_writing_is_told_in_these_words() {
        let told = [
            Problem::DiskFull,
            Problem::Quota,
            Problem::ReadOnly,
            Problem::Permission,
            Problem::Removed,
            Problem::BrokenPipe,
            Problem::Other("it fell off".to_owned()),
        ];
        let told = told.map(|problem| WriteError::of(Some(path()), problem).to_string());
        insta::assert_snapshot!(told.join("\n"), @"
        out.csv can't be written: the disk is full. Make room, then run the same command with --resume.
        out.csv can't be written: the disk quota or the largest file size is reached. Make room, then run the same command with --resume.
        out.csv can't be written: the file system is read-only. Make it writable, then run the same command with --resume.
        out.csv can't be written: permission denied. Make it writable, then run the same command with --resume.
        out.csv can't be written: it was removed or replaced while it was being written. Put it back, then run the same command with --resume.
        out.csv can't be written: its reader closed it. Let it be read to its end, then run the same command with --resume.
        out.csv can't be written: it fell off. Once that is mended, run the same command with --resume.
        ");
    }

    #[test]
    fn what_can_be_done_about_it_depends_on_what_was_kept() {
        let told = [Remedy::Repeat, Remedy::UseFile].map(|remedy| {
            WriteError { remedy, ..WriteError::of(None, Problem::DiskFull) }.to_string()
        });
        insta::assert_snapshot!(told.join("\n"), @"
        standard output can't be written: the disk is full. Make room, then run the same command again.
        standard output can't be written: the disk is full. What was not written is not recorded; write to a file with --output to be able to resume.
        ");
    }

    #[test]
    fn why_results_can_not_be_begun_is_told_in_these_words() {
        let reason = || "no such luck".to_owned();
        let told = [
            OpenError::Exists { path: path() },
            OpenError::InUse { path: path() },
            OpenError::NotAFile { path: path() },
            OpenError::CantOpen { path: path(), reason: reason() },
            OpenError::CantLock { path: path(), reason: reason() },
            OpenError::OtherCarried {
                path: path(),
                recorded: vec![],
                asked: vec!["team".into(), "ticket".into()],
            },
            OpenError::Newer { path: path(), column: "mood".to_owned() },
            OpenError::Read(ReadError::NoHeader { path: path() }),
            OpenError::Write(WriteError::of(Some(path()), Problem::DiskFull)),
        ];
        insta::assert_snapshot!(told.map(|it| it.to_string()).join("\n"), @r#"
        out.csv exists already: --resume goes on with it, --force overwrites it, --output names another
        out.csv is in use by another run; wait for its end or name another with --output
        out.csv is no regular file; name another with --output ("-" is standard output)
        out.csv can't be opened for writing: no such luck
        out.csv can't be locked (no such luck); name a file on another disk with --output
        out.csv carries no columns and this command team, ticket; use the same --carry or name another with --output
        out.csv was made by a later version of this program (it has the column mood); go on with that version or name another with --output
        out.csv holds nothing: it was cut off before its first row
        out.csv can't be written: the disk is full. Make room, then run the same command with --resume.
        "#);
    }

    #[test]
    fn why_a_file_can_not_be_read_is_told_in_these_words() {
        let why = || "it begins with a poem".to_owned();
        let told = [
            ReadError::Io { path: path(), reason: io::ErrorKind::PermissionDenied.into() },
            ReadError::NoHeader { path: path() },
            ReadError::NotResults { path: path(), why: why() },
            ReadError::BadRow { path: path(), line: 7, why: why() },
            ReadError::NotManifest { path: path(), why: why() },
        ];
        insta::assert_snapshot!(told.map(|it| it.to_string()).join("\n"), @"
        out.csv can't be read: permission denied
        out.csv holds nothing: it was cut off before its first row
        out.csv is no results file of this program: it begins with a poem
        out.csv, line 7: it begins with a poem
        out.csv is no manifest of this program: it begins with a poem
        ");
    }
}
