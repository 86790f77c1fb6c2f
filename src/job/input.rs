//! Reads and checks the users of a job and the exclude files, and reports what was read.

use std::borrow::Cow;
use std::fs::File;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::all_locked::Walked;
use super::exit::Failure;
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
    /// A file, and its maximum age.
    File(PathBuf, Options, Option<Duration>),
    /// Standard input, and the maximum age of a file that is redirected to it.
    Stdin(Options, Option<Duration>),
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
        match path {
            Some(path) if path.as_os_str() != "-" => Ok(Self::File(path, options, max_age)),
            None if std::io::stdin().is_terminal() => Err(Failure::usage(
                "no input: name a file of users (CSV or a plain list) or pipe one in; to try the \
                 program, run it on the samples with --sandbox",
            )),
            _ => Ok(Self::Stdin(options, max_age)),
        }
    }

    /// The kind of identifier by which users are called or looked up.
    fn kind(&self) -> IdentifierKind {
        match self {
            Self::File(_, options, _) | Self::Stdin(options, _) => options.kind,
            Self::Rows(..) | Self::Instance { .. } => IdentifierKind::UserId,
        }
    }

    /// The kind of identifier in the input column.
    pub(crate) fn kind_of_cells(&self) -> IdentifierKind {
        match self {
            Self::Rows(_, filter) => filter.kind_of_cells(),
            Self::File(..) | Self::Stdin(..) | Self::Instance { .. } => self.kind(),
        }
    }

    /// Whether its users must be looked up: they are not named by ID, or an earlier job or a walk
    /// found them locked some time ago.
    pub(super) fn needs_look_up(&self) -> bool {
        self.is_rows() || self.is_instance() || self.kind() != IdentifierKind::UserId
    }

    /// Whether the users are rows of an earlier job's file.
    pub(super) fn is_rows(&self) -> bool {
        matches!(self, Self::Rows(..))
    }

    /// Whether a walk lists the users.
    pub(crate) fn is_instance(&self) -> bool {
        matches!(self, Self::Instance { .. })
    }

    /// Whether failed users of an earlier run are processed again.
    fn is_retry(&self) -> bool {
        match self {
            Self::File(_, options, _) | Self::Stdin(options, _) => options.retry_failed,
            Self::Rows(..) | Self::Instance { .. } => false,
        }
    }

    /// The file; `None` for stdin.
    pub(super) fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path, ..) | Self::Rows(path, ..) | Self::Instance { list: path, .. } => {
                Some(path)
            }
            Self::Stdin(..) => None,
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

    /// `found` is the list of a walk, which is not at its path yet.
    fn read(
        &self,
        takes_admin_locked: bool,
        found: Option<File>,
    ) -> Result<ReadInput, input::Error> {
        let read = |source, options: &Options| {
            input::read(source, &Options { takes_admin_locked, ..options.clone() })
        };
        match self {
            Self::File(path, options, _) => read(Source::path(path), options),
            Self::Stdin(options, _) => read(Source::stdin(), options),
            Self::Rows(path, filter) => input::recorded(Source::path(path), filter),
            Self::Instance { list, limit, .. } => {
                let options = Options { limit: *limit, ..Options::default() };
                let source = match found {
                    Some(found) => Source::reader(&self.name(), found),
                    None => Source::path(list),
                };
                read(source, &options)
            }
        }
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
    /// Users whom a walk did not list because the API does not say whether they are locked.
    pub(super) n_undecided: u64,
}

/// The users to exclude, and the files that name them.
#[derive(Default)]
pub(super) struct Exclusions {
    list: ExcludeList,
    files: Vec<FileEntry>,
}

impl Exclusions {
    /// Reads the exclude files to their ends.
    pub(super) fn read(settings: &JobSettings, console: &Console) -> Result<Self, Failure> {
        let mut exclusions = Self::default();
        for path in &settings.exclude {
            let n_before = exclusions.list.counts().entries;
            let sha256 = input::read_exclude_file(path, &mut exclusions.list)?;
            exclusions.files.push(file_entry("exclude", path.display().to_string(), sha256));
            let n_entries = exclusions.list.counts().entries - n_before;
            let entries = text::counted(n_entries, "entry", "entries");
            console.note(&format!("Excluding {entries} in {}", path.display()));
        }
        Ok(exclusions)
    }
}

fn file_entry(role: &str, name: String, sha256: String) -> FileEntry {
    FileEntry { role: role.to_owned(), name, sha256 }
}

impl Input {
    /// Reads the input and the exclude files to their ends; before a walk, the exclude files were
    /// read already.
    pub(super) fn read(
        settings: &JobSettings,
        mut walked: Option<&mut Walked>,
        now: SystemTime,
        console: &Console,
    ) -> Result<Self, Failure> {
        let source = &settings.input;
        if matches!(source, InputSource::Stdin(..)) && std::io::stdin().is_terminal() {
            console.note("Reading users from the terminal, one per line; end the list with Ctrl-D");
        }
        // A look-up leaves admin-locked users alone; --include-admin-locked asks for them.
        let takes_admin_locked =
            settings.looks_up() || settings.admin_locked == AdminLocked::Include;
        let found = walked.as_deref_mut().map(Walked::open_list).transpose()?.flatten();
        let mut input = source.read(takes_admin_locked, found)?;
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
        keep_shard(settings, &mut input, console);
        let (exclusions, lines_of_walk, n_undecided) = match walked {
            None => (Exclusions::read(settings, console)?, Vec::new(), 0),
            Some(walked) => (
                std::mem::take(&mut walked.exclusions),
                std::mem::take(&mut walked.lines),
                walked.n_undecided,
            ),
        };
        let Exclusions { list: excluded, files: exclude_files } = exclusions;
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
        let records = input.records;
        Ok(Self { records, excluded, looks_up, files, lines_of_walk, n_undecided })
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
    let (InputSource::File(_, _, Some(max_age)) | InputSource::Stdin(_, Some(max_age))) = source
    else {
        return Ok(());
    };
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
fn keep_shard(settings: &JobSettings, input: &mut ReadInput, console: &Console) {
    let Some(shard) = settings.shard else { return };
    let n_before = input.records.records.len() as u64;
    shard.retain(&mut input.records, settings.input.kind_of_cells());
    let n_kept = text::number(input.records.records.len() as u64);
    let of = text::counted(n_before, "record", "records");
    console.note(&format!("Processing shard {shard}: {n_kept} of {of}"));
}

fn accept_emptiness(settings: &JobSettings, console: &Console) -> Result<(), Failure> {
    let name = settings.input.name();
    let text = match &settings.input {
        source if source.is_retry() => {
            format!("{name} has no rows to retry (failed, still_locked)")
        }
        InputSource::Rows(_, filter) => format!("{name} has no {}", filter.describe()),
        InputSource::Instance { .. } => "no locked user is listed: no user to unlock".to_owned(),
        _ => format!("{name} has no records: no user to unlock"),
    };
    match settings.if_empty {
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
