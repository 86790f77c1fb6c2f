//! Reads finished files for a page and a summary: used by `report` and `--report`.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::Failure;
use super::final_states::FinalStates;
use crate::engine::wall_clock;
use crate::model::{Outcome, Row, mask_keys};
use crate::report::page::{Facts, FinalRow, Source, render, render_markdown};
use crate::results::manifest::{FileEntry, Manifest, seconds};
use crate::results::{
    AtomicWriter, ReadError, Reader, Sidecars, WriteError, kind_of_outcome, read_unprocessed,
    same_file, sha256_file,
};
use crate::stats::RowStats;
use crate::stats::summary::{
    CommandKind, Ending, Files, Incident, LatencySummary, NextStep, Stage, Summary,
};

/// The page as text, without any secret key.
pub(crate) fn html(facts: &Facts, pii: bool) -> Result<String, Failure> {
    let html = render(facts, pii).map_err(Failure::internal)?;
    Ok(mask_keys(&html).into_owned())
}

/// The page as Markdown, without any secret key.
pub(crate) fn markdown(facts: &Facts) -> Result<String, Failure> {
    let markdown = render_markdown(facts).map_err(Failure::internal)?;
    Ok(mask_keys(&markdown).into_owned())
}

/// Writes this text to a file that was opened before. Returns its SHA-256.
pub(crate) fn fill(mut begun: AtomicWriter, path: &Path, text: &str) -> Result<String, WriteError> {
    begun.write_all(text.as_bytes()).map_err(|error| WriteError::new(path, &error))?;
    begun.finish()
}

/// How much of the rows to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// The counts: no page is written.
    Counts,
    /// User IDs, and what the page shows without personal data.
    Ids,
    /// Names and addresses, too.
    Personal,
}

impl Detail {
    /// For a page, with or without personal data.
    pub(crate) fn of_page(pii: bool) -> Self {
        if pii { Self::Personal } else { Self::Ids }
    }
}

/// Reads one or more finished results, plan or verify files of one incident, in any order.
pub(crate) fn gather(paths: &[PathBuf], detail: Detail) -> Result<Facts, Failure> {
    let (mut files, mut warnings) = (Vec::<ReportedFile>::new(), Vec::new());
    for path in paths {
        if files.iter().any(|file| same_file(&file.path, path)) {
            warnings.push(format!("{} is named twice; it is counted once", path.display()));
        } else {
            files.push(ReportedFile::open(path)?);
        }
    }
    files.sort_by_key(|file| file.started_at);
    let instances = instances(&files);
    let mut finals = FinalStates::new(files.len(), detail);
    let (mut sources, mut stages) = (Vec::new(), Vec::new());
    for (source, (file, instance)) in files.iter_mut().zip(&instances).enumerate() {
        let mut counted = RowStats::default();
        let mut reader = Reader::open(&file.path).map_err(unreadable)?;
        for row in &mut reader {
            let row = row.map_err(unreadable)?;
            counted.add(&row);
            file.last_row_at = file.last_row_at.max(row.finished_at);
            let row = FinalRow { source, row: slim(row, detail) };
            finals.add(*instance, &file.origin, row);
        }
        file.is_torn = reader.n_torn_bytes() > 0;
        sources.push(file.source());
        stages.push(file.stage(&counted));
    }
    let n_unprocessed = find_unprocessed(&files, &instances, &finals, &mut stages);
    for (file, stage) in files.iter().zip(&stages) {
        warnings.extend(file.warnings(stage.n_left));
    }
    if instances.windows(2).any(|pair| pair[0] != pair[1]) {
        let text = "the files are of different instances; users are counted per instance";
        warnings.push(text.to_owned());
    }
    let rows = finals.finish();
    let incident = incident(&files, stages, &rows, n_unprocessed);
    Ok(Facts { made_at: Some(wall_clock()), incident, sources, rows, warnings })
}

/// A number for each file: files of the same instance share it. A file without a manifest is taken
/// for one of the instance of the others.
fn instances(files: &[ReportedFile]) -> Vec<usize> {
    let of = |file: &ReportedFile| {
        file.manifest.as_ref().map(|manifest| (manifest.instance.clone(), manifest.host.clone()))
    };
    let known: Vec<_> = files.iter().filter_map(of).collect();
    let is_mixed = known.windows(2).any(|pair| pair[0] != pair[1]);
    let number = |file| match of(file) {
        Some(instance) => known.iter().position(|it| *it == instance).unwrap_or_default(),
        None if is_mixed => known.len(),
        None => 0,
    };
    files.iter().map(number).collect()
}

/// The parts of a row that the page and the summary need.
fn slim(mut row: Row, detail: Detail) -> Row {
    (row.trace_id, row.carried) = (None, Box::default());
    row.user = row.user.filter(|user| {
        detail == Detail::Personal || user.locked == Some(true) || user.banned == Some(true)
    });
    if let Some(user) = &mut row.user {
        user.json = String::new();
    }
    row
}

fn unreadable(error: ReadError) -> Failure {
    match error {
        // The quoted cell is the user's JSON, so that closing the quote would not help.
        ReadError::BadRow { path, line, why } if why == "a quote is not closed" => {
            Failure::usage(format!(
                "{}:{line}: the row was cut off, so the file is incomplete; remove this line, then \
                 finish the run with --resume first",
                path.display()
            ))
        }
        error => Failure::usage(error),
    }
}

/// A file to report.
struct ReportedFile {
    path: PathBuf,
    manifest: Option<Manifest>,
    /// From the manifest, or else from the rows.
    kind: Option<CommandKind>,
    /// From the manifest, or else the time of the first row.
    started_at: Option<SystemTime>,
    last_row_at: Option<SystemTime>,
    /// What its users came from: the digest of the input, else its own name.
    origin: String,
    is_torn: bool,
}

impl ReportedFile {
    fn open(path: &Path) -> Result<Self, Failure> {
        let manifest = Manifest::read(&Sidecars::beside(path).manifest).map_err(Failure::usage)?;
        let input = manifest.as_ref().and_then(|manifest| manifest.file("input"));
        let origin = input.map(|input| input.sha256.clone()).filter(|it| !it.is_empty());
        let mut file = Self {
            path: path.to_owned(),
            kind: manifest.as_ref().map(|it| it.kind),
            started_at: manifest.as_ref().map(|it| it.started_at),
            last_row_at: None,
            origin: origin.unwrap_or_else(|| path.display().to_string()),
            is_torn: false,
            manifest,
        };
        if file.manifest.is_none() {
            let reader = Reader::open(path).map_err(unreadable)?;
            for row in reader.without_users() {
                let row = row.map_err(unreadable)?;
                file.kind = file.kind.or_else(|| kind_of_outcome(row.outcome));
                file.started_at = file.started_at.into_iter().chain(row.finished_at).min();
            }
        }
        Ok(file)
    }

    fn is_running(&self) -> bool {
        self.manifest.as_ref().is_some_and(|it| it.ending == Manifest::RUNNING)
    }

    /// The start and the end of each pass that ended; without a manifest, of its rows.
    fn passes(&self) -> Vec<(SystemTime, SystemTime)> {
        match &self.manifest {
            Some(manifest) => {
                let passes = manifest.passes.iter();
                passes.filter_map(|it| Some((it.started_at, it.finished_at?))).collect()
            }
            None => self.started_at.zip(self.last_row_at).into_iter().collect(),
        }
    }

    /// Which file of an earlier job was its input, by its role: a list that the earlier job wrote, or
    /// the same input in the same shard.
    fn input_from<'a>(&self, earlier: &'a Self) -> Option<&'a str> {
        let (manifest, earlier) = (self.manifest.as_ref()?, earlier.manifest.as_ref()?);
        let input = manifest.file("input")?;
        let is_same_shard = manifest.setting("shard") == earlier.setting("shard");
        let is_input = |file: &&FileEntry| match file.role.as_str() {
            "input" => is_same_shard && file.sha256 == input.sha256,
            "results" | "failed" | "unprocessed" => {
                file.sha256 == input.sha256 || file.name == input.name
            }
            _ => false,
        };
        earlier.files.iter().find(is_input).map(|file| file.role.as_str())
    }

    /// The file as the page shows it.
    fn source(&self) -> Source {
        let is_plan = self.kind == Some(CommandKind::Plan);
        Source {
            name: self.path.display().to_string(),
            kind: self.kind,
            plan_sha256: is_plan.then(|| sha256_file(&self.path).ok()).flatten(),
            manifest: self.manifest.clone(),
        }
    }

    /// The summary of the file and its manifest; `rows` counts its rows.
    fn stage(&self, rows: &RowStats) -> Stage {
        let manifest = self.manifest.as_ref();
        let mut summary = Summary {
            command: self.kind.unwrap_or_default(),
            n_records: rows.counts.total(),
            elapsed: elapsed(self.passes()),
            files: Files { results: Some(self.path.clone()), ..Files::default() },
            ..summary_of_rows(rows)
        };
        if let Some(manifest) = manifest {
            summary.instance.clone_from(&manifest.instance);
            summary.host.clone_from(&manifest.host);
            summary.excluded = manifest.excluded;
            summary.ending = Ending::of_code(&manifest.ending);
            summary.exit_code = manifest.exit_code.unwrap_or_default();
            summary.n_records = manifest.records;
            // A killed run could not count them.
            summary.n_unprocessed = if self.is_running() {
                manifest.records.saturating_sub(summary.n_rows())
            } else {
                manifest.unprocessed
            };
            summary.next = manifest.next.clone().map(|command| NextStep {
                look_first: None,
                why: "Next step".to_owned(),
                command,
            });
            for pass in &manifest.passes {
                summary.n_requests += pass.requests;
                summary.n_lookups += pass.look_ups;
                summary.n_retries += pass.retries;
                summary.n_throttled += pass.throttled;
                summary.n_given_up += pass.given_up;
                summary.paused += seconds(pass.paused_seconds);
            }
        }
        if !summary.adds_up() {
            summary.ending = Ending::Unaccounted;
        }
        Stage {
            file: self.path.display().to_string(),
            reason: manifest.and_then(|it| it.reason.clone()),
            started_at: self.started_at,
            finished_at: manifest.map_or(self.last_row_at, |it| it.finished_at),
            ending: manifest.map(|_| summary.ending),
            exit_code: manifest.and_then(|it| it.exit_code),
            n_left: summary.n_unprocessed,
            summary,
        }
    }

    /// What is incomplete, was changed, or cannot be checked. `n_left`: records that neither this
    /// command nor a later one processed.
    fn warnings(&self, n_left: u64) -> Vec<String> {
        let name = self.path.display();
        let why = match &self.manifest {
            _ if self.is_torn => Some("its last row was cut off".to_owned()),
            Some(_) if self.is_running() && n_left > 0 => {
                Some("its run was killed or is still running".to_owned())
            }
            Some(_) if n_left == 1 => Some("1 record is unprocessed".to_owned()),
            Some(_) if n_left > 0 => Some(format!("{n_left} records are unprocessed")),
            _ => None,
        };
        let incomplete = why
            .map(|why| format!("{name} is incomplete: {why}; finish the run with --resume first"));
        let unchecked = match &self.manifest {
            None => Some(format!(
                "{} is missing: cannot check which instance {name} is of, whether it is complete, \
                 and whether it was changed",
                Sidecars::beside(&self.path).manifest.display()
            )),
            Some(manifest) => manifest
                .is_changed(&self.path)
                .then(|| format!("{name} was changed since its manifest was written")),
        };
        incomplete.into_iter().chain(unchecked).collect()
    }
}

/// How long these passes took. The time during which several of them ran at once counts once.
fn elapsed(mut passes: Vec<(SystemTime, SystemTime)>) -> Duration {
    passes.sort_unstable();
    let (mut elapsed, mut counted_to) = (Duration::ZERO, SystemTime::UNIX_EPOCH);
    for (start, end) in passes {
        elapsed += end.duration_since(start.max(counted_to)).unwrap_or_default();
        counted_to = counted_to.max(end);
    }
    elapsed
}

/// Sets the number of records that each file left, and returns the number of users without a row in
/// any file.
fn find_unprocessed(
    files: &[ReportedFile],
    instances: &[usize],
    finals: &FinalStates,
    stages: &mut [Stage],
) -> u64 {
    if let ([file], [stage]) = (files, &mut *stages) {
        // A run that was killed after its last row has to be finished, too.
        stage.n_left = stage.n_left.max(u64::from(file.is_running()));
        return stage.summary.n_unprocessed;
    }
    let mut without_row = HashSet::new();
    let mut n_unknown = 0;
    for (index, (file, stage)) in files.iter().zip(stages).enumerate() {
        if stage.n_left == 0 {
            continue;
        }
        let Some(cells) = read_unprocessed(&Sidecars::beside(&file.path).unprocessed) else {
            n_unknown += stage.n_left;
            continue;
        };
        stage.n_left = 0;
        for cell in cells {
            let state = finals.get(instances[index], &cell);
            let is_left = state.is_none_or(|state| {
                state.source < index || state.row.outcome == Outcome::WouldUnlock
            });
            stage.n_left += u64::from(is_left);
            if state.is_none() {
                without_row.insert((instances[index], cell));
            }
        }
    }
    without_row.len() as u64 + n_unknown
}

/// All files as one: the final state of each user.
fn incident(
    files: &[ReportedFile],
    stages: Vec<Stage>,
    rows: &[FinalRow],
    n_unprocessed: u64,
) -> Incident {
    let mut incident = if let [stage] = stages.as_slice() {
        Incident {
            summary: stage.summary.clone(),
            ending: stage.ending,
            exit_code: stage.exit_code,
            ..Incident::default()
        }
    } else {
        let mut counted = RowStats::default();
        for it in rows {
            counted.add(&it.row);
        }
        let mut summary = summary_of_all(&stages, &counted, n_unprocessed);
        summary.elapsed = elapsed(files.iter().flat_map(ReportedFile::passes).collect());
        let next_commands = next_commands(files, &stages, rows);
        Incident { ending: Some(summary.ending), summary, next_commands, ..Incident::default() }
    };
    incident.stages = stages;
    if incident.stages.len() > 1 {
        incident.exit_code = incident.exit_code_of_all();
        incident.summary.exit_code = incident.exit_code.unwrap_or_default();
    }
    // Only a manifest has the next command.
    let newest = incident.stages.iter().rev().find(|stage| stage.ending.is_some());
    incident.summary.next = newest.and_then(|stage| stage.summary.next.clone());
    incident
}

/// The next command of the newest manifest. Where files are shards, that of each file that needs
/// one: it applies to users who are left, and no later file continues this one.
fn next_commands(files: &[ReportedFile], stages: &[Stage], rows: &[FinalRow]) -> Vec<String> {
    let command = |stage: &Stage| Some(stage.summary.next.as_ref()?.command.clone());
    let is_shard = |manifest: &Manifest| manifest.setting("shard").is_some_and(|it| !it.is_null());
    if !files.iter().filter_map(|file| file.manifest.as_ref()).any(is_shard) {
        let newest = stages.iter().rev().find(|stage| stage.ending.is_some());
        return newest.and_then(command).into_iter().collect();
    }
    let needs_one = |index: usize, stage: &Stage| {
        let later = files[index + 1..].iter();
        let mut continued = later.filter_map(|later| later.input_from(&files[index]));
        if stage.summary.n_unprocessed > 0 {
            return stage.n_left > 0 && !continued.any(|it| ["input", "unprocessed"].contains(&it));
        }
        let is_left = |it: &FinalRow| {
            let outcome = it.row.outcome;
            let is_next = outcome == stage.summary.command.aim() || outcome.may_yet_succeed();
            it.source == index && is_next
        };
        continued.next().is_none() && rows.iter().any(is_left)
    };
    let needed = stages.iter().enumerate().filter(|(index, stage)| needs_one(*index, stage));
    needed.filter_map(|(_, stage)| command(stage)).collect()
}

fn summary_of_rows(rows: &RowStats) -> Summary {
    Summary {
        counts: rows.counts,
        n_banned: rows.n_banned,
        latency: LatencySummary::of(&rows.durations),
        errors: rows.errors.most_frequent_first(),
        ..Summary::default()
    }
}

fn summary_of_all(stages: &[Stage], rows: &RowStats, n_unprocessed: u64) -> Summary {
    let command = stages.last().map_or(CommandKind::Run, |stage| stage.summary.command);
    let newest = |is_known: fn(&Summary) -> bool| {
        stages.iter().rev().map(|stage| &stage.summary).find(|summary| is_known(summary))
    };
    let instance = newest(|it| !it.instance.is_empty()).map(|it| it.instance.clone());
    let host = newest(|it| !it.host.is_empty()).map(|it| it.host.clone());
    let excluded = newest(|it| it.excluded.entries > 0).map(|it| it.excluded);
    let unfinished = stages.iter().filter(|stage| stage.n_left > 0).map(|it| it.summary.ending);
    let ending = unfinished.into_iter().find(|it| *it != Ending::Completed);
    let mut all = Summary {
        command,
        is_mixed: stages.iter().any(|stage| stage.summary.command != command),
        instance: instance.unwrap_or_default(),
        host: host.unwrap_or_default(),
        ending: ending.unwrap_or_default(),
        excluded: excluded.unwrap_or_default(),
        n_records: rows.counts.total() + n_unprocessed,
        n_unprocessed,
        ..summary_of_rows(rows)
    };
    for Stage { summary, .. } in stages {
        all.n_requests += summary.n_requests;
        all.n_lookups += summary.n_lookups;
        all.n_retries += summary.n_retries;
        all.n_throttled += summary.n_throttled;
        all.n_given_up += summary.n_given_up;
        all.paused += summary.paused;
    }
    all
}
