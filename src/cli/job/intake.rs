//! Reads the input and the exclude file, checks them, and prints what was read.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Spec;
use crate::cli::args::IfEmpty;
use crate::cli::failure::Failure;
use crate::input::{self, Filter, Options, ReadInput, Source};
use crate::model::{IdentifierKind, Outcome, Records, excerpt, mask_keys};
use crate::policy::decide::AdminLocked;
use crate::policy::exclude::ExcludeList;
use crate::report::{Console, text};
use crate::results::Sidecars;
use crate::results::manifest::{FileEntry, Manifest};
use crate::stats::summary::CommandKind;

/// Where the users come from.
#[derive(Debug)]
pub(in crate::cli) enum InputChoice {
    /// A file, and its maximum age.
    File(PathBuf, Options, Option<Duration>),
    /// Standard input, and the maximum age of a file that is redirected to it.
    Stdin(Options, Option<Duration>),
    /// The rows of an earlier job's file with this outcome, and what its input named users by.
    Recorded(PathBuf, Outcome, IdentifierKind),
}

impl InputChoice {
    /// The input that was named, or stdin if that is not a terminal.
    pub(in crate::cli) fn new(
        path: Option<PathBuf>,
        options: Options,
        max_age: Option<Duration>,
    ) -> Result<Self, Failure> {
        match path {
            Some(path) if path.as_os_str() != "-" => Ok(Self::File(path, options, max_age)),
            None if std::io::stdin().is_terminal() => Err(Failure::usage(
                "no input: name a file of users (CSV or a plain list), or pipe one in; to try the \
                 program, run it on the samples with --sandbox",
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

    /// What its cells hold: in an earlier job's file, what that job's input named users by.
    pub(in crate::cli) fn kind_of_cells(&self) -> IdentifierKind {
        match self {
            Self::Recorded(_, _, named_by) => *named_by,
            Self::File(..) | Self::Stdin(..) => self.kind(),
        }
    }

    /// Whether its users must be looked up: they are not named by ID, or an earlier job found them
    /// locked some time ago.
    pub(super) fn needs_look_up(&self) -> bool {
        self.is_recorded() || self.kind() != IdentifierKind::UserId
    }

    /// Whether an earlier job of this program looked the users up.
    pub(super) fn is_recorded(&self) -> bool {
        matches!(self, Self::Recorded(..))
    }

    /// The results file whose failed users are retried.
    pub(super) fn retried(&self) -> Option<&Path> {
        match self {
            Self::File(path, options, _) if options.retry_failed => Some(path),
            _ => None,
        }
    }

    /// Whether a results file to retry comes through stdin, without its manifest.
    pub(super) fn is_retried_stdin(&self) -> bool {
        matches!(self, Self::Stdin(options, _) if options.retry_failed)
    }

    /// The file; `None` for stdin.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path, ..) | Self::Recorded(path, ..) => Some(path),
            Self::Stdin(..) => None,
        }
    }

    /// What the names of the outputs begin with: `stdin` also for a descriptor of a shell
    /// (`/dev/fd/63`), whose number means nothing later.
    pub(in crate::cli) fn stem(&self) -> String {
        let is_descriptor = |path: &&Path| {
            path.starts_with("/dev/fd")
                || path.starts_with("/proc/self/fd")
                || path == &Path::new("/dev/stdin")
        };
        let path = self.path().filter(|path| !is_descriptor(path));
        let stem = path.and_then(Path::file_stem);
        stem.map_or_else(|| "stdin".to_owned(), |stem| stem.to_string_lossy().into_owned())
    }

    fn name(&self) -> String {
        self.path().map_or_else(|| "stdin".to_owned(), |path| path.display().to_string())
    }

    /// `takes_admin_locked` as in [`Options`].
    fn read(&self, takes_admin_locked: bool) -> Result<ReadInput, input::Error> {
        match self {
            Self::File(path, options, _) => {
                let options = Options { takes_admin_locked, ..options.clone() };
                input::read(Source::path(path), &options)
            }
            Self::Stdin(options, _) => {
                let options = Options { takes_admin_locked, ..options.clone() };
                input::read(Source::stdin(), &options)
            }
            Self::Recorded(path, outcome, named_by) => {
                input::recorded(Source::path(path), &Filter::of(&[*outcome], *named_by))
            }
        }
    }
}

/// Everything that was read.
pub(super) struct Intake {
    pub(super) records: Records,
    pub(super) excluded: ExcludeList,
    /// Whether users are looked up first, for whatever reason.
    pub(super) looks_up: bool,
    /// For the manifest; the input is the first.
    pub(super) files: Vec<FileEntry>,
}

impl Intake {
    /// Reads the input and the exclude file, whole.
    pub(super) fn read(spec: &Spec, now: SystemTime, console: &Console) -> Result<Self, Failure> {
        if matches!(spec.input, InputChoice::Stdin(..)) && std::io::stdin().is_terminal() {
            console.note("Reading users from the terminal, one per line; Ctrl-D ends the list");
        }
        // A look-up leaves them alone, and --include-admin-locked asks for them.
        let takes_admin_locked = spec.looks_up() || spec.admin_locked == AdminLocked::Include;
        let mut input = spec.input.read(takes_admin_locked)?;
        mask(&mut input.records);
        check_age(&spec.input, &input, now, console)?;
        refuse_plan(spec, &input)?;
        note_reading(spec, &input, console);
        if input.is_empty() {
            accept_emptiness(spec, console)?;
        }
        let entry = |role: &str, name, sha256| FileEntry { role: role.into(), name, sha256 };
        let mut files = vec![entry("input", spec.input.name(), input.sha256)];
        let mut excluded = ExcludeList::default();
        if let Some(path) = &spec.exclude {
            let read = input::read_exclude_list(path)?;
            excluded = read.list;
            files.push(entry("exclude", path.display().to_string(), read.sha256));
            let entries = text::counted(excluded.summary().entries, "entry", "entries");
            console.note(&format!("Excluding {entries} in {}", path.display()));
        }
        let mut looks_up = spec.looks_up();
        if !looks_up && excluded.needs_look_up(input.records.kind) {
            looks_up = true;
            console.note(&format!(
                "Looking users up first: not all entries in {} are user IDs",
                excluded.name()
            ));
        }
        Ok(Self { records: input.records, excluded, looks_up, files })
    }

    /// Prints how many entries of the exclude file matched users of the input. To be called when all
    /// users were planned and looked up.
    pub(super) fn note_exclusions(&self, console: &Console) {
        const MAX_SHOWN: usize = 5;
        if self.excluded.is_empty() {
            return;
        }
        let summary = self.excluded.summary();
        let entries = text::counted(summary.entries, "entry", "entries");
        let match_ =
            if summary.matched == 1 { "matches a listed user" } else { "match listed users" };
        console.note(&format!(
            "Excluding: {entries} in {}; {} {match_}",
            self.excluded.name(),
            text::number(summary.matched)
        ));
        if summary.unmatched > 0 {
            let mut unmatched = self.excluded.unmatched();
            let shown = unmatched.by_ref().take(MAX_SHOWN);
            let shown: Vec<String> = shown
                .map(|(entry, line)| format!("\"{}\" (line {line})", excerpt(entry)))
                .collect();
            let more = if unmatched.next().is_some() { ", …" } else { "" };
            let n = text::number(summary.unmatched);
            let match_ = if summary.unmatched == 1 { "matches" } else { "match" };
            console.note(&format!("{n} {match_} nobody: {}{more}", shown.join(", ")));
        }
    }
}

/// Removes secret keys that got into the input by mistake: their cells would be written to the results
/// and the files beside them.
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

/// Refuses a plan that is given as a plain list: a run would unlock all users in it.
fn refuse_plan(spec: &Spec, input: &ReadInput) -> Result<(), Failure> {
    let (InputChoice::File(..) | InputChoice::Stdin(..)) = &spec.input else { return Ok(()) };
    let manifest = spec.input.path().map(|path| Manifest::read(&Sidecars::beside(path).manifest));
    let manifest = manifest.and_then(Result::ok).flatten();
    let is_plan = input.is_plan || manifest.is_some_and(|it| it.kind == CommandKind::Plan);
    if spec.command != CommandKind::Run || !is_plan {
        return Ok(());
    }
    let file = spec.input.path().map_or("FILE".into(), |path| path.to_string_lossy());
    Err(Failure::usage(format!(
        "{} is a plan; to run it, give --plan {}",
        spec.input.name(),
        shell_words::quote(&file)
    )))
}

/// Prints what was read, and what was not.
fn note_reading(spec: &Spec, input: &ReadInput, console: &Console) {
    if input.has_sep_line {
        console.note("Skipped 1 sep= line");
    }
    if input.n_comments > 0 {
        let comments = text::counted(input.n_comments, "comment line", "comment lines");
        console.note(&format!("Skipped {comments}"));
    }
    for suspicion in &input.suspicions {
        console.warning(&format!("{}: {suspicion}", spec.input.name()));
    }
    if !input.is_empty() {
        let records = text::counted(input.records.records.len() as u64, "record", "records");
        let plural = input.records.kind.plural();
        console.note(&format!("Read {records}; {plural} from {}", input.column));
    }
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
            "cannot check --max-input-age: {} has no modification time",
            choice.name()
        ));
        return Ok(());
    };
    match now.duration_since(modified) {
        Ok(age) if age > *max_age => Err(Failure::usage(format!(
            "{} was last changed {} ago, and --max-input-age allows {}; make the list again",
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
        _ if spec.input.retried().is_some() || spec.input.is_retried_stdin() => {
            format!("{name} has no row to retry (failed, still_locked)")
        }
        InputChoice::Recorded(_, outcome, _) => format!("{name} has no row that says {outcome}"),
        _ => format!("{name} holds no record: no user to unlock"),
    };
    match spec.if_empty {
        IfEmpty::Fail => Err(Failure::usage(format!(
            "{text}; for scheduled jobs, --if-empty ok makes this a success"
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
