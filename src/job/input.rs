//! Reads and checks the users of a job and the exclude files, and reports what was read.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::exit::Failure;
use super::locked::Walked;
use super::settings::{IfEmpty, JobSettings};
use crate::input::{self, Filter, Options, ReadInput, Source};
use crate::model::{IdentifierKind, Records, excerpt, mask_keys};
use crate::policy::classify::AdminLocked;
use crate::policy::exclude::ExcludeList;
use crate::policy::selection::Selection;
use crate::report::{Console, text};
use crate::results::Sidecars;
use crate::results::manifest::{FileEntry, Manifest};
use crate::stats::summary::CommandKind;

/// Where the users come from.
#[derive(Debug)]
pub(crate) enum InputSource {
    /// A list of users: a file, or stdin.
    List {
        path: Option<PathBuf>,
        options: Options,
        /// The maximum age of the file, also of one that is redirected to stdin.
        max_age: Option<Duration>,
    },
    /// Rows of an earlier job's file.
    Rows(PathBuf, Filter),
    /// All locked users of the instance whom this selects: a walk lists them in this file, beside
    /// the results, and at most this many of them are processed.
    Instance { list: PathBuf, selection: Selection, limit: Option<u64> },
}

impl InputSource {
    /// The input at this path, or stdin unless that is a terminal.
    pub(crate) fn new(
        path: Option<PathBuf>,
        options: Options,
        max_age: Option<Duration>,
    ) -> Result<Self, Failure> {
        if path.is_none() && std::io::stdin().is_terminal() {
            return Err(Failure::usage(
                "no input: name a file of users (CSV or a plain list) or pipe one in; to try the \
                 program, run it on the samples with --sandbox",
            ));
        }
        let path = path.filter(|path| path.as_os_str() != "-");
        Ok(Self::List { path, options, max_age })
    }

    /// The kind of identifier in the input column.
    pub(crate) fn kind_of_cells(&self) -> IdentifierKind {
        match self {
            Self::List { options, .. } => options.kind,
            Self::Rows(_, filter) => filter.kind_of_cells(),
            Self::Instance { .. } => IdentifierKind::UserId,
        }
    }

    /// Whether its users must be looked up: they are not named by ID, or an earlier job or a walk
    /// found them locked some time ago.
    pub(super) fn needs_look_up(&self) -> bool {
        !self.is_list() || self.kind_of_cells() != IdentifierKind::UserId
    }

    /// Whether it is a list of users, and neither rows of an earlier job nor a walk.
    pub(super) fn is_list(&self) -> bool {
        matches!(self, Self::List { .. })
    }

    /// Whether the users are rows of an earlier job's file.
    pub(super) fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(..))
    }

    /// Whether a walk lists the users.
    pub(super) fn is_instance(&self) -> bool {
        matches!(self, Self::Instance { .. })
    }

    /// The file; `None` for stdin.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::List { path, .. } => path.as_deref(),
            Self::Rows(path, _) | Self::Instance { list: path, .. } => Some(path),
        }
    }

    /// The beginning of the names of the outputs: `stdin` also for a descriptor of a shell
    /// (`/dev/fd/63`), whose number means nothing later.
    pub(crate) fn stem(&self) -> String {
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

    fn read(&self, takes_admin_locked: bool, walked: &mut Walked) -> Result<ReadInput, Failure> {
        let (source, options) = match self {
            Self::Rows(path, filter) => return Ok(input::recorded(Source::path(path), filter)?),
            Self::List { path, options, .. } => {
                (path.as_deref().map_or_else(Source::stdin, Source::path), options.clone())
            }
            Self::Instance { list, limit, .. } => {
                let source = match &mut walked.list {
                    // It is not at its path yet.
                    Some(found) => {
                        let found = found.reopen().map_err(|error| {
                            Failure::output(format!("cannot read the list of users: {error}"))
                        })?;
                        Source::reader(&self.name(), found)
                    }
                    None => Source::path(list),
                };
                (source, Options { limit: *limit, ..Options::default() })
            }
        };
        Ok(input::read(source, &Options { takes_admin_locked, ..options })?)
    }
}

/// The users of a job and those to exclude.
pub(super) struct Input {
    pub(super) records: Records,
    pub(super) excluded: ExcludeList,
    /// Whether users are looked up first.
    pub(super) looks_up: bool,
    /// The files for the manifest; the first is the input.
    pub(super) files: Vec<FileEntry>,
    /// How many users a walk listed, and how many each condition left out.
    pub(super) lines_of_walk: Vec<String>,
    /// Users whom a walk did not list because their lock state is unclear in the response.
    pub(super) n_undecided: u64,
}

/// The users to exclude, and the files that name them for the manifest.
pub(super) type Exclusions = (ExcludeList, Vec<FileEntry>);

/// Reads the exclude files to their ends.
pub(super) fn read_exclusions(
    settings: &JobSettings,
    console: &Console,
) -> Result<Exclusions, Failure> {
    let (mut list, mut files) = (ExcludeList::default(), Vec::new());
    for path in &settings.exclude {
        let n_before = list.counts().entries;
        let sha256 = input::read_exclude_file(path, &mut list)?;
        files.push(file_entry("exclude", path.display().to_string(), sha256));
        let entries = text::counted(list.counts().entries - n_before, "entry", "entries");
        console.note(&format!("Excluding {entries} in {}", path.display()));
    }
    Ok((list, files))
}

fn file_entry(role: &str, name: String, sha256: String) -> FileEntry {
    FileEntry { role: role.to_owned(), name, sha256 }
}

impl Input {
    /// Reads the input and the exclude files to their ends; before a walk, the exclude files were
    /// read already.
    pub(super) fn read(
        settings: &JobSettings,
        walked: &mut Walked,
        now: SystemTime,
        console: &Console,
    ) -> Result<Self, Failure> {
        let source = &settings.input;
        if source.path().is_none() && std::io::stdin().is_terminal() {
            console.note("Reading users from the terminal, one per line; end the list with Ctrl-D");
        }
        // A look-up leaves admin-locked users alone; --include-admin-locked asks for them.
        let takes_admin_locked =
            settings.looks_up() || settings.admin_locked == AdminLocked::Include;
        let mut input = source.read(takes_admin_locked, walked)?;
        mask(&mut input.records);
        check_age(source, &input, now, console)?;
        refuse_plan(settings, &input)?;
        if let Some(expected) = settings.plan_sha256.as_ref().filter(|it| **it != input.sha256) {
            return Err(Failure::usage(format!(
                "{} was changed while it was read: its SHA-256 was {expected} and is now {}",
                source.name(),
                input.sha256
            )));
        }
        note_what_was_read(source, &input, console);
        if input.is_empty() {
            accept_emptiness(settings, console)?;
        }
        keep_shard(settings, &mut input.records, console);
        let (excluded, exclude_files) = match walked.exclusions.take() {
            Some(exclusions) => exclusions,
            None => read_exclusions(settings, console)?,
        };
        let mut files = vec![file_entry("input", source.name(), input.sha256)];
        files.extend(exclude_files);
        let mut looks_up = settings.looks_up();
        if !looks_up && excluded.needs_look_up(input.records.kind) {
            looks_up = true;
            console.note(&format!(
                "Looking users up first: not all entries in {} are user IDs",
                excluded.files().join(" and ")
            ));
        }
        Ok(Self {
            records: input.records,
            excluded,
            looks_up,
            files,
            lines_of_walk: std::mem::take(&mut walked.lines),
            n_undecided: walked.n_undecided,
        })
    }

    /// How many entries of the exclude files matched a listed user, and which did not; `None`
    /// without `--exclude`. Final once all users are planned and looked up.
    pub(super) fn describe_exclusions(&self) -> Option<String> {
        const MAX_SHOWN: usize = 5;
        if self.excluded.is_empty() {
            return None;
        }
        let summary = self.excluded.counts();
        let entries = text::counted(summary.entries, "entry", "entries");
        let matched = text::number(summary.matched);
        let files = self.excluded.files().join(" and ");
        let mut text = format!("{entries} in {files}, {matched} matched listed users");
        if summary.unmatched > 0 {
            let mut unmatched = self.excluded.unmatched();
            let shown = unmatched.by_ref().take(MAX_SHOWN);
            let shown: Vec<String> = shown
                .map(|entry| format!("\"{}\" (line {})", excerpt(entry.text), entry.line))
                .collect();
            let more = if unmatched.next().is_some() { ", …" } else { "" };
            let n = text::number(summary.unmatched);
            text += &format!(", {n} matched nobody: {}{more}", shown.join(", "));
        }
        Some(text)
    }
}

/// Removes secret keys that got into the input by mistake: their cells would be written to the
/// results.
fn mask(records: &mut Records) {
    for header in records.header.iter_mut().chain(&mut records.carried) {
        if let Cow::Owned(masked) = mask_keys(header) {
            *header = masked;
        }
    }
    for record in &mut records.records {
        record.replace_texts(|text| match mask_keys(text) {
            Cow::Owned(masked) => Some(masked),
            Cow::Borrowed(_) => None,
        });
    }
}

/// Refuses a plan that is given as a plain list: a run would unlock all users in it.
fn refuse_plan(settings: &JobSettings, input: &ReadInput) -> Result<(), Failure> {
    let source = &settings.input;
    if source.is_rows() || settings.command != CommandKind::Run {
        return Ok(());
    }
    let manifest = source.path().map(|path| Manifest::read(&Sidecars::beside(path).manifest));
    let manifest = manifest.and_then(Result::ok).flatten();
    if !input.is_plan && manifest.is_none_or(|it| it.kind != CommandKind::Plan) {
        return Ok(());
    }
    let file = source.path().map_or("FILE".into(), |path| path.to_string_lossy());
    Err(Failure::usage(format!(
        "{} is a plan; to run it, give --plan {}",
        source.name(),
        shell_words::quote(&file)
    )))
}

fn note_what_was_read(source: &InputSource, input: &ReadInput, console: &Console) {
    if input.has_sep_line {
        console.note("Skipped 1 sep= line");
    }
    if input.n_comments > 0 {
        let comments = text::counted(input.n_comments, "comment line", "comment lines");
        console.note(&format!("Skipped {comments}"));
    }
    for suspicion in &input.suspicions {
        console.warning(&format!("{}: {suspicion}", source.name()));
    }
    if !input.is_empty() {
        let records = text::counted(input.records.records.len() as u64, "record", "records");
        let plural = input.records.kind.plural();
        console.note(&format!("Read {records}; {plural} from {}", input.column));
    }
}

fn check_age(
    source: &InputSource,
    input: &ReadInput,
    now: SystemTime,
    console: &Console,
) -> Result<(), Failure> {
    let InputSource::List { max_age: Some(max_age), .. } = source else { return Ok(()) };
    let Some(modified) = input.modified else {
        console.warning(&format!(
            "cannot check --max-input-age: {} has no modification time",
            source.name()
        ));
        return Ok(());
    };
    match now.duration_since(modified) {
        Ok(age) if age > *max_age => Err(Failure::usage(format!(
            "{} was last changed {} ago, but --max-input-age is {}; make the list again",
            source.name(),
            text::duration(age),
            text::duration(*max_age)
        ))),
        _ => Ok(()),
    }
}

/// Keeps the records of this shard. A list of which no record is in it is no empty list.
fn keep_shard(settings: &JobSettings, records: &mut Records, console: &Console) {
    let Some(shard) = settings.shard else { return };
    let of = text::counted(records.records.len() as u64, "record", "records");
    shard.retain(records, settings.input.kind_of_cells());
    let n_kept = text::number(records.records.len() as u64);
    console.note(&format!("Processing shard {shard}: {n_kept} of {of}"));
}

fn accept_emptiness(settings: &JobSettings, console: &Console) -> Result<(), Failure> {
    let name = settings.input.name();
    let text = match &settings.input {
        InputSource::List { options, .. } if options.retry_failed => {
            format!("{name} has no rows to retry (failed, still_locked)")
        }
        InputSource::List { .. } => format!("{name} has no records: no user to unlock"),
        InputSource::Rows(_, filter) => format!("{name} has no {}", filter.describe()),
        InputSource::Instance { .. } => "no locked user is listed: no user to unlock".to_owned(),
    };
    match settings.if_empty {
        IfEmpty::Fail => {
            let hint = "for scheduled jobs, --if-empty ok makes this a success";
            return Err(Failure::usage(format!("{text}; {hint}")));
        }
        IfEmpty::Warn => console.warning(&text),
        IfEmpty::Ok => console.note(&text),
    }
    Ok(())
}
