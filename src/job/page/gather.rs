//! Reads finished files, row by row.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::final_states::FinalStates;
use super::source::source;
use super::stages::{incident, stage};
use crate::engine::wall_clock;
use crate::job::Failure;
use crate::model::{Outcome, Row};
use crate::report::page::{Facts, FinalRow};
use crate::results::manifest::Manifest;
use crate::results::{
    ReadError, Reader, Sidecars, kind_of_outcome, read_unprocessed, same_file, sha256_file,
};
use crate::stats::RowStats;
use crate::stats::summary::{CommandKind, Stage};

/// What to keep of the rows.
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
    let (paths, mut warnings) = once_each(paths);
    let mut files = paths.iter().map(|path| Input::open(path)).collect::<Result<Vec<_>, _>>()?;
    files.sort_by_key(|file| file.started_at);
    let instances = instances(&files);
    let mut finals = FinalStates::new(files.len(), detail);
    let (mut sources, mut stages) = (Vec::new(), Vec::new());
    for (index, file) in files.iter_mut().enumerate() {
        let mut counted = RowStats::default();
        let mut reader = Reader::open(&file.path).map_err(unreadable)?;
        for row in &mut reader {
            let row = row.map_err(unreadable)?;
            counted.add(&row);
            file.reach(&row);
            let row = FinalRow { source: index, row: slim(row, detail) };
            finals.add(instances[index], &file.origin, row);
        }
        file.is_torn = reader.n_torn_bytes() > 0;
        sources.push(source(&file.path, file.manifest.as_ref(), file.kind));
        stages.push(stage(file, &counted));
    }
    let unprocessed = find_unprocessed(&files, &instances, &finals, &mut stages);
    for (file, stage) in files.iter().zip(&stages) {
        warnings.extend(file.warnings(stage.n_left));
    }
    warnings.extend(warn_of_mixture(&instances));
    let n_banned = finals.n_banned();
    let rows = finals.finish();
    let incident = incident(stages, &rows, unprocessed, n_banned);
    Ok(Facts { made_at: Some(wall_clock()), incident, sources, rows, warnings })
}

/// A file to read.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) manifest: Option<Manifest>,
    /// As the manifest says, or else its rows.
    pub(super) kind: Option<CommandKind>,
    /// As the manifest says, or else the first row.
    pub(super) started_at: Option<SystemTime>,
    /// The time of the last row.
    pub(super) last_row_at: Option<SystemTime>,
    /// What its users came from: the digest of the input, else its own name.
    origin: String,
    is_torn: bool,
}

impl Input {
    fn open(path: &Path) -> Result<Self, Failure> {
        let manifest = Manifest::read(&Sidecars::beside(path).manifest).map_err(Failure::usage)?;
        let of_input = manifest.iter().flat_map(|it| &it.files).find(|it| it.role == "input");
        let origin = of_input.map(|it| it.sha256.clone()).filter(|it| !it.is_empty());
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
            file.ask_rows()?;
        }
        Ok(file)
    }

    /// What the rows say of the command that wrote them, and when.
    fn ask_rows(&mut self) -> Result<(), Failure> {
        let reader = Reader::open(&self.path).map_err(unreadable)?;
        for row in reader.without_users() {
            let row = row.map_err(unreadable)?;
            self.kind = self.kind.or_else(|| kind_of_outcome(row.outcome));
            let known = self.started_at.is_some_and(|first| row.finished_at >= Some(first));
            self.started_at =
                if known { self.started_at } else { row.finished_at.or(self.started_at) };
        }
        Ok(())
    }

    fn reach(&mut self, row: &Row) {
        self.last_row_at = self.last_row_at.max(row.finished_at);
    }

    pub(super) fn is_running(&self) -> bool {
        self.manifest.as_ref().is_some_and(|it| it.ending == Manifest::RUNNING)
    }

    /// What the reader must know before anything else. `n_left`: records that neither this command
    /// nor a later one processed.
    fn warnings(&self, n_left: u64) -> Vec<String> {
        let name = self.path.display();
        let mut warnings = Vec::new();
        let why = match &self.manifest {
            _ if self.is_torn => Some("its last row was cut off".to_owned()),
            Some(_) if self.is_running() && n_left > 0 => {
                Some("its run was killed or is still running".to_owned())
            }
            Some(_) if n_left == 1 => Some("1 record is unprocessed".to_owned()),
            Some(_) if n_left > 0 => Some(format!("{n_left} records are unprocessed")),
            _ => None,
        };
        warnings.extend(
            why.map(|why| {
                format!("{name} is incomplete: {why}; finish the run with --resume first")
            }),
        );
        let Some(manifest) = &self.manifest else {
            warnings.push(format!(
                "{} is missing: cannot check which instance {name} is of, whether it is complete, \
                 and whether it was changed",
                Sidecars::beside(&self.path).manifest.display()
            ));
            return warnings;
        };
        let made = manifest.files.iter().find(|file| file.role == "results");
        if made.is_some_and(|made| sha256_file(&self.path).is_ok_and(|it| it != made.sha256)) {
            warnings.push(format!("{name} was changed since its manifest was written"));
        }
        warnings
    }
}

/// Finds what each file left to do, and counts the users of whom no file has a row.
fn find_unprocessed(
    files: &[Input],
    instances: &[usize],
    finals: &FinalStates,
    stages: &mut [Stage],
) -> u64 {
    let mut without_row = HashSet::new();
    let mut n_unknown = 0;
    for (index, (file, stage)) in files.iter().zip(&mut *stages).enumerate() {
        stage.n_left = stage.summary.n_unprocessed;
        if files.len() == 1 {
            // A run that was killed after its last row has to be finished, too.
            stage.n_left = stage.n_left.max(u64::from(file.is_running()));
            return stage.summary.n_unprocessed;
        }
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

/// A number for each file: files of the same instance share it. A file without a manifest is taken
/// for one of the instance of the others.
fn instances(files: &[Input]) -> Vec<usize> {
    let mut numbers = HashMap::new();
    let of = |file: &Input| file.manifest.as_ref().map(|it| (it.instance.clone(), it.host.clone()));
    for instance in files.iter().filter_map(of) {
        let next = numbers.len();
        numbers.entry(instance).or_insert(next);
    }
    let number = |file: &Input| match of(file) {
        Some(instance) => numbers[&instance],
        None if numbers.len() > 1 => numbers.len(),
        None => 0,
    };
    files.iter().map(number).collect()
}

fn warn_of_mixture(instances: &[usize]) -> Option<String> {
    let is_mixed = instances.windows(2).any(|pair| pair[0] != pair[1]);
    is_mixed
        .then(|| "the files are of different instances; users are counted per instance".to_owned())
}

/// A file that is named twice is read once.
fn once_each(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<String>) {
    let (mut once, mut warnings) = (Vec::<PathBuf>::new(), Vec::new());
    for path in paths {
        if once.iter().any(|other| same_file(other, path)) {
            warnings.push(format!("{} is named twice; it is counted once", path.display()));
        } else {
            once.push(path.clone());
        }
    }
    (once, warnings)
}

/// What the page and the summary need of a row.
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
