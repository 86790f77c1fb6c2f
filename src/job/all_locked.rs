//! `--all-locked`: a walk over the instance finds the users of a job.

use std::fs::File;
use std::path::Path;

use super::Job;
use super::exit::Failure;
use super::input::{Exclusions, InputSource};
use super::locked::{WalkContext, headline, left_out, walk, warn_of_unknown};
use super::previous::check_in_the_way;
use super::settings::{ExistingFile, JobSettings};
use crate::policy::selection::Selection;
use crate::report::text;
use crate::results::AtomicWriter;
use crate::results::{
    LockedFormat, LockedList, Redaction, SnapshotMode, check_own_list, refuse_existing,
};
use crate::stats::Stats;
use crate::stats::summary::CommandKind;

/// What was found before the input of a job can be read: its list and the users to exclude.
pub(super) struct Walked {
    /// The list, which is not at its path yet; `None` where an earlier run walked.
    pub(super) list: Option<AtomicWriter>,
    pub(super) exclusions: Exclusions,
    /// The requests of the walk.
    pub(super) stats: Option<Stats>,
    /// How many users are listed, and how many each condition left out.
    pub(super) lines: Vec<String>,
    /// Users of whom the API does not say whether they are locked.
    pub(super) n_undecided: u64,
}

impl Walked {
    /// Opens the list of this walk.
    pub(super) fn open_list(&mut self) -> Result<Option<File>, Failure> {
        let file = self.list.as_mut().map(AtomicWriter::reopen).transpose();
        file.map_err(|error| Failure::output(format!("cannot read the list of users: {error}")))
    }
}

/// Walks the instance where that is the input of the job, unless a run is resumed: its list is
/// there. Whatever can be refused without a request is refused first.
pub(super) fn walk_instance(job: &Job<'_>) -> Result<Option<Walked>, Failure> {
    let Job { settings, connection, context, paths, stop, deadline } = *job;
    let InputSource::Instance { list, selection, .. } = &settings.input else { return Ok(None) };
    let exclusions = Exclusions::read(settings, context.console)?;
    let existing = check_in_the_way(settings, paths, connection)?;
    let walked = Walked { list: None, exclusions, stats: None, lines: Vec::new(), n_undecided: 0 };
    match existing {
        ExistingFile::Resume if paths.results().is_some_and(Path::exists) => {
            return Ok(Some(walked));
        }
        ExistingFile::Replace => check_own_list(list)?,
        ExistingFile::Resume | ExistingFile::Refuse => refuse_existing(list)?,
    }
    drop(paths.report().map(AtomicWriter::create).transpose()?);
    let place = WalkContext { connection, context, execution: settings.execution, deadline, stop };
    find(settings, list, selection, place, walked).map(Some).map_err(|failure| {
        match settings.command {
            CommandKind::Run => {
                let text = format!("{failure}; no user was unlocked");
                Failure::new(failure.status, anyhow::anyhow!(text))
            }
            _ => failure,
        }
    })
}

fn find(
    settings: &JobSettings,
    path: &Path,
    selection: &Selection,
    place: WalkContext<'_>,
    walked: Walked,
) -> Result<Walked, Failure> {
    let output = &settings.output;
    let snapshot = match output.snapshot {
        SnapshotMode::None => SnapshotMode::None,
        SnapshotMode::Full | SnapshotMode::Summary => SnapshotMode::Summary,
    };
    let redaction = Redaction::new(output.redact.iter().cloned());
    let format = LockedFormat { snapshot, redaction };
    let list = LockedList::create(path, true, format, selection.clone())?;
    let (list, filtered, stats) = walk(list, selection, place)?;
    let counts = list.counts();
    let mut lines = vec![headline(&counts, selection)];
    lines.extend(left_out(&counts, &filtered, selection));
    let console = place.context.console;
    for line in &lines {
        console.note(line);
    }
    if counts.n_unknown > 0 {
        warn_of_unknown(counts.n_unknown, console);
        lines.push(format!(
            "Not listed, because `locked` is neither true nor false: {}.",
            text::counted(counts.n_unknown, "user", "users")
        ));
    }
    let (list, stats) = (list.write()?, Some(stats));
    Ok(Walked { list, stats, lines, n_undecided: counts.n_unknown, ..walked })
}
