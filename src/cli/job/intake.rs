//! The input: read whole, checked, and named on the console.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Spec;
use crate::cli::args::IfEmpty;
use crate::cli::failure::Failure;
use crate::input::{self, Filter, Options, ReadInput, Source};
use crate::model::{Identifier, IdentifierKind, InputRecord, Outcome, Records, mask_keys};
use crate::report::{Console, text};
use crate::results::Sidecars;
use crate::results::manifest::{FileEntry, Manifest};
use crate::stats::summary::CommandKind;

/// Where the users come from.
#[derive(Debug)]
pub(in crate::cli) enum InputChoice {
    /// A file, and how old it may be.
    File(PathBuf, Options, Option<Duration>),
    /// Standard input, and how old a file may be that is redirected to it.
    Stdin(Options, Option<Duration>),
    /// The rows of a finished file that have this outcome; what its users were named by.
    Recorded(PathBuf, Outcome, IdentifierKind),
}

impl InputChoice {
    /// The input that was named, or stdin where that is no terminal.
    pub(in crate::cli) fn new(
        path: Option<PathBuf>,
        options: Options,
        max_age: Option<Duration>,
    ) -> Result<Self, Failure> {
        match path {
            Some(path) if path.as_os_str() != "-" => Ok(Self::File(path, options, max_age)),
            None if std::io::stdin().is_terminal() => Err(Failure::usage(
                "no input: name a file with users (CSV or a plain list), or pipe one in; to see \
                 how it works, run the samples with --sandbox",
            )),
            _ => Ok(Self::Stdin(options, max_age)),
        }
    }

    /// What its column holds.
    pub(super) fn kind(&self) -> IdentifierKind {
        match self {
            Self::File(_, options, _) | Self::Stdin(options, _) => options.kind,
            Self::Recorded(..) => IdentifierKind::UserId,
        }
    }

    /// What stands in its cells: of a finished file, what its users were named by.
    pub(in crate::cli) fn kind_of_cells(&self) -> IdentifierKind {
        match self {
            Self::Recorded(_, _, named_by) => *named_by,
            Self::File(..) | Self::Stdin(..) => self.kind(),
        }
    }

    /// Whether the users are not named by id, or were found to be locked a while ago.
    pub(super) fn needs_look_up(&self) -> bool {
        self.is_recorded() || self.kind() != IdentifierKind::UserId
    }

    /// Whether the users were found by an earlier job of this program.
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded(..))
    }

    /// The results file whose failed users are tried again.
    pub(super) fn retried(&self) -> Option<&Path> {
        match self {
            Self::File(path, options, _) if options.retry_failed => Some(path),
            _ => None,
        }
    }

    /// The file, where it is one.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path, ..) | Self::Recorded(path, ..) => Some(path),
            Self::Stdin(..) => None,
        }
    }

    /// What the names of the outputs begin with.
    pub(in crate::cli) fn stem(&self) -> String {
        let stem = self.path().and_then(Path::file_stem);
        stem.map_or_else(|| "stdin".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    fn name(&self) -> String {
        self.path().map_or_else(|| "stdin".to_owned(), |path| path.display().to_string())
    }

    fn read(&self) -> Result<ReadInput, input::Error> {
        match self {
            Self::File(path, options, _) => input::read(Source::path(path), options),
            Self::Stdin(options, _) => input::read(Source::stdin(), options),
            Self::Recorded(path, outcome, named_by) => {
                input::recorded(Source::path(path), &Filter::of(&[*outcome], *named_by))
            }
        }
    }
}

/// Everything that was read.
pub(super) struct Intake {
    pub(super) records: Records,
    pub(super) excluded: HashSet<Identifier>,
    /// For the manifest; the input is the first.
    pub(super) files: Vec<FileEntry>,
}

impl Intake {
    /// Reads the input and the exclude file, whole.
    pub(super) fn read(spec: &Spec, now: SystemTime, console: &Console) -> Result<Self, Failure> {
        if matches!(spec.input, InputChoice::Stdin(..)) && std::io::stdin().is_terminal() {
            console.note("reading users from the terminal, one a line; Ctrl-D ends the list");
        }
        let mut input = spec.input.read()?;
        mask(&mut input.records);
        check_age(&spec.input, &input, now, console)?;
        warn_of_plan(spec, console);
        warn_of_left_alone(spec, &input, console);
        if input.is_empty() {
            accept_emptiness(spec, console)?;
        } else {
            let n_records = input.records.records.len() as u64;
            let records = text::counted(n_records, "record", "records");
            console.note(&format!("{records}; users are read from {}", input.column));
            warn_of_invalid(&input.records, console);
        }
        let entry = |role: &str, name, sha256| FileEntry { role: role.into(), name, sha256 };
        let mut files = vec![entry("input", spec.input.name(), input.sha256)];
        let mut excluded = HashSet::new();
        if let Some(path) = &spec.exclude {
            let read = input::read_excluded(path, input.records.kind)?;
            excluded = read.users;
            check_excluded(spec, path, &excluded)?;
            let name = path.display();
            if excluded.is_empty() {
                console.warning(&format!("the exclude file {name} names nobody"));
            } else {
                let names = text::counted(excluded.len() as u64, "user", "users");
                console.note(&format!("{name} names {names} who are never touched"));
            }
            files.push(entry("exclude", path.display().to_string(), read.sha256));
        }
        Ok(Self { records: input.records, excluded, files })
    }
}

/// A key that stands in the input, by mistake, is unknown from here on: its cell would be written to
/// the results and to the files beside them.
fn mask(records: &mut Records) {
    for header in records.header.iter_mut().chain(&mut records.carried) {
        if let Cow::Owned(masked) = mask_keys(header) {
            *header = masked;
        }
    }
    for record in &mut records.records {
        if let Cow::Owned(masked) = mask_keys(&record.cell) {
            record.cell = masked.into();
        }
        for cell in &mut record.carried {
            if let Cow::Owned(masked) = mask_keys(cell) {
                *cell = masked.into();
            }
        }
    }
}

/// Who is named otherwise than the input names users is known only once users were looked up.
fn check_excluded(spec: &Spec, path: &Path, excluded: &HashSet<Identifier>) -> Result<(), Failure> {
    let kinds = [IdentifierKind::UserId, spec.input.kind()];
    let other = excluded.iter().map(Identifier::kind).find(|kind| !kinds.contains(kind));
    match other {
        Some(kind) if !spec.looks_up() => Err(Failure::usage(format!(
            "{} names users by {}, and without a look-up nothing tells who they are; add \
             --only-locked, or name them by user id",
            path.display(),
            kind.noun()
        ))),
        _ => Ok(()),
    }
}

/// A plan that is read as a mere list is a list of everybody in it, those to be left alone too.
fn warn_of_plan(spec: &Spec, console: &Console) {
    let InputChoice::File(path, ..) = &spec.input else { return };
    let manifest = Manifest::read(&Sidecars::beside(path).manifest).ok().flatten();
    if spec.command == CommandKind::Run && manifest.is_some_and(|it| it.kind == CommandKind::Plan) {
        console.warning(&format!(
            "{0} is a plan, and all of its rows are taken, whatever it says of them; to run it as \
             a plan, give --plan {0}",
            path.display()
        ));
    }
}

/// A list that this program wrote may say of users that they were left alone on purpose.
fn warn_of_left_alone(spec: &Spec, input: &ReadInput, console: &Console) {
    if spec.command == CommandKind::Run && input.n_left_alone > 0 && !spec.input.is_recorded() {
        let users = text::counted(input.n_left_alone, "user", "users");
        console.warning(&format!(
            "{} says of {users} that they were left alone on purpose (admin_locked, excluded); \
             --only-locked leaves the admin_locked alone, --exclude whom you name",
            spec.input.name()
        ));
    }
}

/// Where none of many can be a user, the column or its kind is most likely another.
fn warn_of_invalid(records: &Records, console: &Console) {
    let is_valid = |record: &InputRecord| record.target(records.kind).is_ok();
    if records.records.is_empty() || records.records.iter().any(is_valid) {
        return;
    }
    let is_email = |it: &InputRecord| Identifier::parse(IdentifierKind::Email, &it.cell).is_ok();
    let hint = if records.kind != IdentifierKind::Email && records.records.iter().any(is_email) {
        "; for email addresses give --by email"
    } else {
        ""
    };
    console.warning(&format!("no record can be a user, by {}{hint}", records.kind.noun()));
}

fn check_age(
    choice: &InputChoice,
    input: &ReadInput,
    now: SystemTime,
    console: &Console,
) -> Result<(), Failure> {
    let (InputChoice::File(_, _, Some(max_age)) | InputChoice::Stdin(_, Some(max_age))) = choice
    else {
        return Ok(());
    };
    let Some(modified) = input.modified else {
        console.warning(&format!(
            "nothing tells how old {} is: --max-input-age can't be checked",
            choice.name()
        ));
        return Ok(());
    };
    match now.duration_since(modified) {
        Ok(age) if age > *max_age => Err(Failure::usage(format!(
            "{} was last changed {} ago, and --max-input-age allows {}; make the list anew",
            choice.name(),
            text::duration(age),
            text::duration(*max_age)
        ))),
        _ => Ok(()),
    }
}

fn accept_emptiness(spec: &Spec, console: &Console) -> Result<(), Failure> {
    let name = spec.input.name();
    let text = match &spec.input {
        _ if spec.input.retried().is_some() => {
            format!("{name} has no row that may yet succeed (failed, still_locked)")
        }
        InputChoice::Recorded(_, outcome, _) => format!("{name} has no row that says {outcome}"),
        _ => format!("{name} holds no record: there is nobody to unlock"),
    };
    match spec.if_empty {
        IfEmpty::Fail => Err(Failure::usage(format!(
            "{text}; --if-empty ok takes that for success, for jobs on a schedule"
        ))),
        IfEmpty::Warn => {
            console.warning(&text);
            Ok(())
        }
        IfEmpty::Ok => {
            console.note(&text);
            Ok(())
        }
    }
}
