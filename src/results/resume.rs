//! Reads back what a run recorded, so that another can go on with it.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hash, RandomState};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use crate::model::{IdentifierKind, Outcome, one_line};
use crate::policy::plan::Done;
use crate::stats::summary::CommandKind;

use super::error::{OpenError, ReadError};
use super::journal::Journal;
use super::reader::Reader;
use super::recorded_row::RecordedRow;

/// An existing results file, read and locked; nothing in it is changed yet.
#[derive(Debug)]
pub struct Resumed {
    /// What is recorded.
    pub done: Done,
    /// How many rows have each outcome.
    pub counts: BTreeMap<Outcome, u64>,
    /// When the latest unlock calls were answered, and how many each row tells of; oldest first.
    pub latest_calls: VecDeque<(SystemTime, u32)>,
    /// How many bytes of a row that a crash tore will be cut off.
    pub n_torn_bytes: u64,
    /// The file, for [`Writer::resume`](super::Writer::resume).
    pub journal: Journal,
}

impl Resumed {
    /// What kind of job wrote the rows, as far as they tell; the manifest knows better.
    pub fn kind(&self) -> Option<CommandKind> {
        self.counts.keys().find_map(|&outcome| kind_of_outcome(outcome))
    }
}

/// The kind of job that alone says so.
pub fn kind_of_outcome(outcome: Outcome) -> Option<CommandKind> {
    match outcome {
        Outcome::WouldUnlock => Some(CommandKind::Plan),
        Outcome::Unlocked | Outcome::StillLocked => Some(CommandKind::Run),
        Outcome::StillUnlocked | Outcome::LockedAgain | Outcome::Gone => Some(CommandKind::Verify),
        Outcome::AlreadyUnlocked
        | Outcome::Duplicate
        | Outcome::Excluded
        | Outcome::AdminLocked
        | Outcome::NotFound
        | Outcome::Ambiguous
        | Outcome::Invalid
        | Outcome::Rejected
        | Outcome::Failed => None,
    }
}

/// Locks and reads an existing results file; `None` where there is none. One that was cut off
/// before its first row is gone on with as if it were new. `kind` is what the input's column holds.
///
/// # Errors
///
/// When another run holds the file, when it is no results file of this program or can't be read,
/// and when its columns are not those that this run would write.
pub fn resume(
    path: &Path,
    kind: IdentifierKind,
    carried: &[String],
) -> Result<Option<Resumed>, OpenError> {
    let Some(journal) = Journal::open(path)? else { return Ok(None) };
    match journal.reader() {
        Ok(reader) => {
            check_columns(&reader, carried, path)?;
            read_all(reader, kind, journal).map(Some)
        }
        Err(ReadError::NoHeader { .. }) => Ok(Some(nothing_recorded(journal))),
        Err(error) => Err(error.into()),
    }
}

fn check_columns(reader: &Reader, carried: &[String], path: &Path) -> Result<(), OpenError> {
    if let Some(column) = reader.unknown_columns().first() {
        return Err(OpenError::Newer { path: path.to_owned(), column: column.clone() });
    }
    // The header was written on one line.
    if reader.carried().iter().map(String::as_str).eq(carried.iter().map(|it| one_line(it))) {
        return Ok(());
    }
    Err(OpenError::OtherCarried {
        path: path.to_owned(),
        recorded: reader.carried().to_vec(),
        asked: carried.to_vec(),
    })
}

fn read_all(
    mut reader: Reader,
    kind: IdentifierKind,
    mut journal: Journal,
) -> Result<Resumed, OpenError> {
    let mut done = Done::default();
    let (mut counts, mut latest_calls) = (BTreeMap::new(), VecDeque::new());
    let (hasher, mut seen) = (RandomState::new(), HashSet::new());
    for row in &mut reader {
        let row = row?;
        if !seen.insert(hasher.hash_one(whole(&row))) {
            return Err(reader.repeated_row().into());
        }
        *counts.entry(row.outcome).or_default() += 1;
        if let Some(call) = calls_of(&row) {
            if latest_calls.len() == MOST_CALLS {
                latest_calls.pop_front();
            }
            latest_calls.push_back(call);
        }
        let input = Arc::from(row.input.as_str());
        done.note(kind, row.line, &input, row.user_id.as_ref(), row.outcome);
    }
    journal.n_whole = reader.n_whole_bytes();
    Ok(Resumed { done, counts, latest_calls, n_torn_bytes: reader.n_torn_bytes(), journal })
}

/// What only a copy of a row has in common with it.
fn whole(row: &RecordedRow) -> impl Hash + '_ {
    (row.line, &row.input, &row.user_id, row.outcome, row.finished_at, row.attempts, row.duration)
}

/// As many rows as any quota lets through in a window, and more.
const MOST_CALLS: usize = 10_000;

/// The calls that a row tells of, all of them when the last was answered. Look-ups are a hundredth
/// of them, and each is in a hundred rows: they are left out.
fn calls_of(row: &RecordedRow) -> Option<(SystemTime, u32)> {
    let is_own_call = match row.outcome {
        Outcome::Unlocked | Outcome::StillLocked | Outcome::Failed | Outcome::Rejected => true,
        Outcome::NotFound => row.http_status == Some(404),
        _ => false,
    };
    row.finished_at.filter(|_| is_own_call).map(|at| (at, row.attempts))
}

fn nothing_recorded(journal: Journal) -> Resumed {
    Resumed {
        done: Done::default(),
        counts: BTreeMap::new(),
        latest_calls: VecDeque::new(),
        n_torn_bytes: journal.len(),
        journal,
    }
}

#[cfg(test)]
mod tests;
