//! What can go wrong with the files of a run, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The results, or a sidecar file, cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {}: {problem}. {}.", name_of(path.as_deref()), self.advice())]
pub struct WriteError {
    /// `None` is standard output.
    pub path: Option<PathBuf>,
    pub problem: Problem,
    pub remedy: Remedy,
}

/// How to continue once the problem is fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Recorded rows are kept: `--resume`.
    Resume,
    /// Nothing was kept: repeat the command.
    Repeat,
    /// Only results in a file can be resumed.
    UseFile,
}

impl WriteError {
    /// Translates the system's error about this file.
    pub fn new(path: impl Into<PathBuf>, error: &io::Error) -> Self {
        Self::of(Some(path.into()), Problem::of(error))
    }

    /// A problem with the results at this path (`None`: standard output), or a sidecar file.
    pub(super) fn of(path: Option<PathBuf>, problem: Problem) -> Self {
        let remedy = if path.is_some() { Remedy::Resume } else { Remedy::UseFile };
        Self { path, problem, remedy }
    }

    /// The same for a command that cannot be resumed.
    #[must_use]
    pub fn without_resume(self) -> Self {
        Self { remedy: Remedy::Repeat, ..self }
    }

    /// What to do: one sentence without a full stop.
    fn advice(&self) -> String {
        let fix = match self.problem {
            Problem::DiskFull | Problem::Quota => "Free some space",
            Problem::ReadOnly | Problem::Permission => "Make it writable",
            Problem::Removed => "Put it back",
            Problem::Changed => "Restore it and let no other process write to it",
            Problem::BrokenPipe => "Keep the reader running",
            Problem::Other(_) => "Fix this",
        };
        match self.remedy {
            Remedy::Resume => format!("{fix}, then run the same command with --resume"),
            Remedy::Repeat => format!("{fix}, then run the same command again"),
            Remedy::UseFile => {
                let is_broken_pipe = self.problem == Problem::BrokenPipe;
                let lost = if is_broken_pipe { "read" } else { "written" };
                format!(
                    "Rows that were not {lost} are lost; use --output to write to a file, which \
                     can be resumed"
                )
            }
        }
    }
}

fn name_of(path: Option<&Path>) -> String {
    path.map_or_else(|| "standard output".to_owned(), |path| path.display().to_string())
}

/// Why a file cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    #[error("the disk is full")]
    DiskFull,
    #[error("the disk quota or the maximum file size is reached")]
    Quota,
    #[error("the file system is read-only")]
    ReadOnly,
    #[error("permission denied")]
    Permission,
    #[error("it was removed or replaced during the run")]
    Removed,
    #[error("another process changed it during the run")]
    Changed,
    #[error("the reader closed the pipe")]
    BrokenPipe,
    /// Any other reason, in the system's words.
    #[error("{0}")]
    Other(String),
}

impl Problem {
    /// The problem behind a system error.
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
}

/// A results file cannot be started or resumed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{} already exists; use --resume to continue it, --force to overwrite it, or --output to \
         name another file",
        .0.display()
    )]
    Exists(PathBuf),
    /// A page or a list, which cannot be resumed, cannot be written over this file. `flag` named it.
    #[error("{} {why}, or name another file with {flag}", .path.display())]
    InTheWay { path: PathBuf, why: &'static str, flag: &'static str },
    #[error(
        "{} is in use by another run; wait until that ends, or name another file with --output",
        .0.display()
    )]
    InUse(PathBuf),
    /// A directory, a device, a pipe.
    #[error(
        "{} is not a regular file; name another with --output (\"-\" is standard output)",
        .0.display()
    )]
    NotAFile(PathBuf),
    /// A sidecar file would be written over this one.
    #[error(
        "{} exists and was not written by an earlier run; move it away, or name another results \
         file with --output",
        .0.display()
    )]
    NotOurs(PathBuf),
    #[error("cannot open {} for writing: {reason}", .path.display())]
    CannotOpen { path: PathBuf, reason: String },
    /// Its file system has no locks, so two runs could mix their rows.
    #[error(
        "cannot lock {} ({reason}); name a file on another file system with --output",
        .path.display()
    )]
    CannotLock { path: PathBuf, reason: String },
    #[error(
        "{} carries {}, but this command carries {}; use the same --carry, or name another file \
         with --output",
        .path.display(), named(.recorded), named(.asked)
    )]
    OtherCarried { path: PathBuf, recorded: Vec<String>, asked: Vec<String> },
    /// `column` is the first column that only one of the two versions has.
    #[error(
        "{} was written by {version} of this program (the column {column}); resume it with that \
         version, or name another file with --output",
        .path.display()
    )]
    OtherVersion { path: PathBuf, version: &'static str, column: String },
    #[error(
        "{} was saved by another program with another delimiter, so it cannot be resumed; name \
         another file with --output",
        .0.display()
    )]
    Resaved(PathBuf),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl OpenError {
    /// The same for a page or a list, which this flag named.
    #[must_use]
    pub fn without_resume(self, flag: &'static str) -> Self {
        let (path, why) = match self {
            Self::Exists(path) => (path, "already exists; use --force to overwrite it"),
            Self::InUse(path) => (path, "is in use by another run; wait until that ends"),
            Self::NotAFile(path) => (path, "is not a regular file; remove it"),
            other => return other,
        };
        Self::InTheWay { path, why, flag }
    }
}

fn named(columns: &[String]) -> String {
    if columns.is_empty() { "no columns".to_owned() } else { columns.join(", ") }
}

/// A file of this program cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("cannot read {}: {reason}", .path.display())]
    Io { path: PathBuf, reason: io::Error },
    #[error("{} has no rows: it is empty or was cut off before its first row", .0.display())]
    NoHeader(PathBuf),
    #[error("{} is not a bulk-unlock results file: {why}", .path.display())]
    NotResults { path: PathBuf, why: String },
    /// A row that this program did not write.
    #[error("{}:{line}: {why}", .path.display())]
    BadRow { path: PathBuf, line: u64, why: String },
    #[error(
        "{} was written by a later version of this program (format {schema_version}, this version \
         reads {}); use that version",
        .path.display(), super::format::SCHEMA_VERSION
    )]
    Newer { path: PathBuf, schema_version: u32 },
    #[error("{} is not a bulk-unlock manifest: {why}", .path.display())]
    NotManifest { path: PathBuf, why: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path() -> PathBuf {
        "out.csv".into()
    }

    #[test]
    fn a_write_error_names_the_file_the_reason_and_what_to_do() {
        let errors = [
            Problem::of(&io::ErrorKind::StorageFull.into()),
            Problem::of(&io::ErrorKind::QuotaExceeded.into()),
            Problem::of(&io::ErrorKind::ReadOnlyFilesystem.into()),
            Problem::of(&io::ErrorKind::PermissionDenied.into()),
            Problem::Removed,
            Problem::Changed,
            Problem::of(&io::Error::other("no such device")),
        ];
        let errors = errors.map(|problem| WriteError::of(Some(path()), problem).to_string());
        insta::assert_snapshot!(errors.join("\n"), @"
        cannot write out.csv: the disk is full. Free some space, then run the same command with --resume.
        cannot write out.csv: the disk quota or the maximum file size is reached. Free some space, then run the same command with --resume.
        cannot write out.csv: the file system is read-only. Make it writable, then run the same command with --resume.
        cannot write out.csv: permission denied. Make it writable, then run the same command with --resume.
        cannot write out.csv: it was removed or replaced during the run. Put it back, then run the same command with --resume.
        cannot write out.csv: another process changed it during the run. Restore it and let no other process write to it, then run the same command with --resume.
        cannot write out.csv: no such device. Fix this, then run the same command with --resume.
        ");
    }

    #[test]
    fn a_page_or_a_list_is_written_again_and_not_resumed() {
        let full: io::Error = io::ErrorKind::StorageFull.into();
        let errors = [
            WriteError::new("list.csv", &full).without_resume().to_string(),
            OpenError::Exists(path()).without_resume("--html").to_string(),
            OpenError::InUse(path()).without_resume("--html").to_string(),
            OpenError::NotAFile(path()).without_resume("--html").to_string(),
        ];
        insta::assert_snapshot!(errors.join("\n"), @"
        cannot write list.csv: the disk is full. Free some space, then run the same command again.
        out.csv already exists; use --force to overwrite it, or name another file with --html
        out.csv is in use by another run; wait until that ends, or name another file with --html
        out.csv is not a regular file; remove it, or name another file with --html
        ");
    }

    #[test]
    fn standard_output_cannot_be_resumed() {
        let errors = [Problem::DiskFull, Problem::BrokenPipe];
        let errors = errors.map(|problem| WriteError::of(None, problem).to_string());
        insta::assert_snapshot!(errors.join("\n"), @"
        cannot write standard output: the disk is full. Rows that were not written are lost; use --output to write to a file, which can be resumed.
        cannot write standard output: the reader closed the pipe. Rows that were not read are lost; use --output to write to a file, which can be resumed.
        ");
    }

    #[test]
    fn an_open_error_names_the_file_and_the_flags_that_help() {
        let reason = || "out of luck".to_owned();
        let errors = [
            OpenError::Exists(path()),
            OpenError::InUse(path()),
            OpenError::NotAFile(path()),
            OpenError::NotOurs(path()),
            OpenError::CannotOpen { path: path(), reason: reason() },
            OpenError::CannotLock { path: path(), reason: reason() },
            OpenError::OtherCarried {
                path: path(),
                recorded: vec![],
                asked: vec!["team".into(), "ticket".into()],
            },
            OpenError::OtherVersion {
                path: path(),
                version: "a later version",
                column: "mood".to_owned(),
            },
            OpenError::Resaved(path()),
            OpenError::Read(ReadError::NoHeader(path())),
            OpenError::Write(WriteError::of(Some(path()), Problem::DiskFull)),
        ];
        insta::assert_snapshot!(errors.map(|it| it.to_string()).join("\n"), @r#"
        out.csv already exists; use --resume to continue it, --force to overwrite it, or --output to name another file
        out.csv is in use by another run; wait until that ends, or name another file with --output
        out.csv is not a regular file; name another with --output ("-" is standard output)
        out.csv exists and was not written by an earlier run; move it away, or name another results file with --output
        cannot open out.csv for writing: out of luck
        cannot lock out.csv (out of luck); name a file on another file system with --output
        out.csv carries no columns, but this command carries team, ticket; use the same --carry, or name another file with --output
        out.csv was written by a later version of this program (the column mood); resume it with that version, or name another file with --output
        out.csv was saved by another program with another delimiter, so it cannot be resumed; name another file with --output
        out.csv has no rows: it is empty or was cut off before its first row
        cannot write out.csv: the disk is full. Free some space, then run the same command with --resume.
        "#);
    }

    #[test]
    fn a_read_error_names_the_file_and_the_reason() {
        let why = || "it begins with a title".to_owned();
        let errors = [
            ReadError::Io { path: path(), reason: io::ErrorKind::PermissionDenied.into() },
            ReadError::NoHeader(path()),
            ReadError::NotResults { path: path(), why: why() },
            ReadError::BadRow { path: path(), line: 7, why: why() },
            ReadError::Newer { path: path(), schema_version: 9 },
            ReadError::NotManifest { path: path(), why: why() },
        ];
        insta::assert_snapshot!(errors.map(|it| it.to_string()).join("\n"), @"
        cannot read out.csv: permission denied
        out.csv has no rows: it is empty or was cut off before its first row
        out.csv is not a bulk-unlock results file: it begins with a title
        out.csv:7: it begins with a title
        out.csv was written by a later version of this program (format 9, this version reads 1); use that version
        out.csv is not a bulk-unlock manifest: it begins with a title
        ");
    }
}
