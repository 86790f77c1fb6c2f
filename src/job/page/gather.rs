//! Reads finished files, row by row.

use std::path::{Path, PathBuf};

use super::merge::Merged;
use super::overlap::LastWords;
use super::source::source;
use crate::engine::wall_clock;
use crate::job::Failure;
use crate::model::Row;
use crate::report::page::{Collector, Facts, Source, SourceFile, TableRow};
use crate::report::text;
use crate::results::manifest::Manifest;
use crate::results::{ReadError, Reader, Sidecars, kind_of_outcome, same_file, sha256_file};
use crate::stats::summary::{CommandKind, NextStep, Summary};

/// What finished files say.
pub(crate) struct Gathered {
    pub(crate) facts: Facts,
    pub(crate) summary: Summary,
}

/// Reads one or more finished results or plan files as one.
pub(crate) fn gather(paths: &[PathBuf]) -> Result<Gathered, Failure> {
    let (paths, mut warnings) = once_each(paths);
    let files = paths.iter().map(|path| File::open(path)).collect::<Result<Vec<_>, _>>()?;
    let last_words = last_words(&files)?;
    let mut collector = Collector::default();
    let mut merged = Merged::default();
    let (mut sources, mut counted) = (Vec::new(), Vec::new());
    for (index, file) in files.iter().enumerate() {
        let mut rows = Rows::default();
        let mut reader = Reader::open(&file.path).map_err(unreadable)?;
        for row in &mut reader {
            let row = row.map_err(unreadable)?;
            rows.n += 1;
            if last_words.is_superseded(file.group(&files), index, &row) {
                rows.n_superseded += 1;
            } else {
                merged.add_row(&row);
                collector.add(table_row(index, row));
            }
        }
        warnings.extend(warn(file, reader.n_torn_bytes(), rows));
        let mut source = source(&file.path, file.manifest.as_ref(), file.kind);
        reckon_killed(&mut source, rows, file);
        sources.push(source);
        counted.push(rows);
    }
    hand_over(&mut sources, &counted);
    for source in &sources {
        merged.add_source(source);
    }
    warnings.extend(warn_of_mixture(&sources));
    let made_by = env!("CARGO_PKG_VERSION").to_owned();
    let mut summary = merged.summary(&paths);
    summary.is_mixed = sources.windows(2).any(|pair| pair[0].kind != pair[1].kind);
    let next = newest_next(&files);
    let made_at = Some(wall_clock());
    let facts = Facts { made_at, made_by, sources, rows: collector.finish(), warnings, next };
    Ok(Gathered { facts, summary })
}

/// The command that the newest of these jobs printed at its end.
fn newest_next(files: &[File]) -> Vec<NextStep> {
    let manifests = files.iter().filter_map(|file| file.manifest.as_ref());
    let newest = manifests.max_by_key(|manifest| manifest.started_at);
    let next = newest.and_then(|manifest| manifest.next.clone());
    let step = |command| NextStep { look_first: None, why: "Next step".to_owned(), command };
    next.map(step).into_iter().collect()
}

/// One of the files, before its rows are counted.
struct File {
    path: PathBuf,
    manifest: Option<Manifest>,
    /// As the manifest says, or else its rows.
    kind: Option<CommandKind>,
}

/// How many rows a file has.
#[derive(Clone, Copy, Default)]
struct Rows {
    n: u64,
    /// Those of them on whose user another file has a later word.
    n_superseded: u64,
}

impl File {
    fn open(path: &Path) -> Result<Self, Failure> {
        let manifest = Manifest::read(&Sidecars::beside(path).manifest).map_err(unreadable)?;
        let kind = match &manifest {
            Some(manifest) => Some(manifest.kind),
            None => kind_of_rows(path)?,
        };
        Ok(Self { path: path.to_owned(), manifest, kind })
    }

    /// The place of the first file of the same kind of job and the same instance.
    fn group(&self, files: &[Self]) -> usize {
        let of = |file: &Self| {
            let manifest = file.manifest.as_ref();
            (file.kind, manifest.map(|it| (it.instance.clone(), it.host.clone())))
        };
        let here = of(self);
        files.iter().position(|file| of(file) == here).unwrap_or_default()
    }
}

fn kind_of_rows(path: &Path) -> Result<Option<CommandKind>, Failure> {
    for row in Reader::open(path).map_err(unreadable)? {
        if let Some(kind) = kind_of_outcome(row.map_err(unreadable)?.outcome) {
            return Ok(Some(kind));
        }
    }
    Ok(None)
}

/// A file that is named twice is told once.
fn once_each(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut once, mut warnings) = (Vec::<PathBuf>::new(), Vec::new());
    for path in paths {
        if once.iter().any(|other| same_file(other, path)) {
            warnings.push(format!("{} is named twice; it is counted once.", path.display()));
        } else {
            once.push(path.clone());
        }
    }
    (once, warnings)
}

/// Nothing is superseded where there is one file.
fn last_words(files: &[File]) -> Result<LastWords, Failure> {
    let mut last_words = LastWords::default();
    if files.len() > 1 {
        for (index, file) in files.iter().enumerate() {
            let group = file.group(files);
            for row in Reader::open(&file.path).map_err(unreadable)? {
                last_words.note(group, index, &row.map_err(unreadable)?);
            }
        }
    }
    Ok(last_words)
}

/// What a manifest could not know: how far a run came that was killed. Its list of the unprocessed
/// is that of its first moment.
fn reckon_killed(source: &mut Source, rows: Rows, file: &File) {
    if source.ending.as_deref() == Some(Manifest::RUNNING) {
        source.n_unprocessed = source.n_records.map(|n| n.saturating_sub(rows.n));
        let unprocessed = Sidecars::beside(&file.path).unprocessed;
        if let Ok(sha256) = sha256_file(&unprocessed) {
            let (role, name) = ("unprocessed".to_owned(), unprocessed.display().to_string());
            source.files.push(SourceFile { role, name, sha256 });
        }
    }
}

/// Takes out of each file's account what another has in its own: rows on whose user there is a
/// later word, and what was left unprocessed and taken over.
fn hand_over(sources: &mut [Source], counted: &[Rows]) {
    let as_told = sources.to_vec();
    for (index, giver) in sources.iter_mut().enumerate() {
        let others = as_told.iter().enumerate().filter(|(other, _)| *other != index);
        let n_taken = others.map(|(_, taker)| n_taken_over(giver, taker, counted[index])).max();
        let n_taken = n_taken.unwrap_or(0).min(giver.n_unprocessed.unwrap_or(0));
        giver.n_unprocessed = giver.n_unprocessed.map(|n| n - n_taken);
        let n_gone = n_taken + counted[index].n_superseded;
        giver.n_records = giver.n_records.map(|n| n.saturating_sub(n_gone));
    }
}

/// How many of the unprocessed records of one run another took as its input: their list, or the
/// whole input once more.
fn n_taken_over(giver: &Source, taker: &Source, rows: Rows) -> u64 {
    let input = file_of(taker, "input");
    let is_again = rows.n > 0
        && rows.n == rows.n_superseded
        && taker.started_at > giver.started_at
        && file_of(giver, "input") == input;
    if input.is_none() {
        0
    } else if is_again || file_of(giver, "unprocessed") == input {
        taker.n_records.unwrap_or(0)
    } else {
        0
    }
}

fn file_of(source: &Source, role: &str) -> Option<String> {
    let file = source.files.iter().find(|file| file.role == role)?;
    Some(file.sha256.clone()).filter(|sha256| !sha256.is_empty())
}

fn unreadable(error: ReadError) -> Failure {
    Failure::usage(error)
}

/// What the reader must know before anything else.
fn warn(file: &File, n_torn_bytes: u64, rows: Rows) -> Vec<String> {
    let (path, name) = (&file.path, file.path.display());
    let mut warnings = Vec::new();
    if rows.n_superseded > 0 {
        let rows = text::counted(rows.n_superseded, "row", "rows");
        warnings.push(format!(
            "{rows} of {name} tell of users on whom another of these files has a later word; that \
             one counts."
        ));
    }
    let Some(manifest) = &file.manifest else {
        let text = format!("{name} has no manifest beside it: nothing tells where it is from.");
        warnings.push(text);
        return warnings;
    };
    let made = manifest.files.iter().find(|file| file.role == "results");
    match (made, sha256_file(path)) {
        (Some(made), Ok(sha256)) if made.sha256 != sha256 => {
            warnings.push(format!("{name} was changed since its manifest was written."));
        }
        _ if manifest.ending == Manifest::RUNNING => {
            warnings.push(format!("{name} is not finished: its run was killed, or goes on."));
        }
        _ => {}
    }
    if n_torn_bytes > 0 {
        warnings.push(format!("{name} ends in a torn row, which is left out."));
    }
    warnings
}

fn warn_of_mixture(sources: &[Source]) -> Option<String> {
    let of = |source: &Source| (source.kind, source.instance.clone(), source.host.clone());
    let is_mixed = sources.windows(2).any(|pair| of(&pair[0]) != of(&pair[1]));
    let text = "The files are of different commands or instances: their sums tell little.";
    is_mixed.then(|| text.to_owned())
}

fn table_row(source: usize, row: Row) -> TableRow {
    let user = row.user.unwrap_or_default();
    TableRow {
        input: row.input.to_string(),
        user_id: row.user_id,
        error_code: row.error_code.map(Into::into),
        error_message: row.error_message,
        attempts: row.attempts,
        duration: row.duration,
        finished_at: row.finished_at,
        locked: user.locked,
        banned: user.banned,
        lockout_expires_in_seconds: user.lockout_expires_in_seconds,
        verification_attempts_remaining: user.verification_attempts_remaining,
        username: user.username,
        email: user.email,
        first_name: user.first_name,
        last_name: user.last_name,
        ..TableRow::new(source, row.line, row.outcome)
    }
}
