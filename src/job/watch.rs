//! `verify --watch`: reads back again and again.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;

use super::exit::{ExitStatus, Failure};
use super::finish::Finished;
use super::output_paths::{check_own_verify, refuse_existing_page};
use super::settings::{ExistingFile, JobSettings};
use super::{Connection, Context};
use crate::engine::now;
use crate::model::{Outcome, StopReason, UserId};
use crate::report::{Level, stopped_by, text};
use crate::results::sidecars::check_places;
use crate::results::{Manifest, Reader, Sidecars, sha256_file};

/// One pass of a watch.
#[derive(Debug)]
pub(crate) struct Pass {
    /// Users whom earlier passes found locked again, and when the first of them did.
    pub(super) locked_again: HashMap<UserId, SystemTime>,
    /// Whether no pass follows.
    pub(super) is_last: bool,
}

/// Runs a read-back at the beginning, at each interval from the start of one pass to the start of
/// the next, and at the end of the watch. Each complete pass replaces the file of the one before. A
/// pass that is stopped ends the watch.
pub(crate) fn watch(
    mut settings: JobSettings,
    length: Duration,
    interval: Duration,
    connection: &Connection,
    context: Context<'_>,
) -> Result<Finished, Failure> {
    let console = context.console;
    let path = settings.output.path.clone();
    if settings.output.existing == ExistingFile::Refuse && !settings.output.is_stdout() {
        check_own_verify(&path)?;
        check_places(&Sidecars::beside(&path), false)?;
        refuse_existing_page(settings.output.report.as_deref())?;
        settings.output.existing = ExistingFile::Replace;
    }
    let locked_again_before = of_earlier_watch(&settings, &path)?;
    settings.pass = Some(Pass { locked_again: locked_again_before, is_last: false });
    let end = now().checked_add(length).ok_or_else(|| Failure::usage("--watch is too long"))?;
    loop {
        let begun = now();
        let mut finished = super::run(&settings, connection, context, None)?;
        let is_complete = matches!(finished.status, ExitStatus::Success | ExitStatus::NotAllWell);
        if !is_complete || settings.pass.as_ref().is_some_and(|pass| pass.is_last) {
            return Ok(finished);
        }
        let next = begun.checked_add(interval).unwrap_or(end).min(end);
        let wait = next.saturating_duration_since(now());
        console.note(&format!("Next pass in {}", text::duration(wait)));
        if let Some(reason) = sleep(wait, context)? {
            let how = stopped_by(reason);
            let text =
                format!("Stopped {how} between two passes; {} has the last pass.", path.display());
            console.log(Level::Answer, &text);
            finished.set_status(ExitStatus::of_stop(reason))?;
            return Ok(finished);
        }
        check_own_verify(&path)?;
        let locked_again = locked_again(&path)?;
        settings.pass = Some(Pass { locked_again, is_last: next >= end });
    }
}

/// The users whom an earlier watch or read-back of the same results found locked again.
fn of_earlier_watch(
    settings: &JobSettings,
    path: &Path,
) -> Result<HashMap<UserId, SystemTime>, Failure> {
    let manifest = Manifest::read(&Sidecars::beside(path).manifest)?;
    let read_back = manifest.as_ref().and_then(|manifest| manifest.file("input"));
    let results = settings.input.path().and_then(|results| sha256_file(results).ok());
    if !path.exists() || read_back.is_none_or(|file| Some(&file.sha256) != results.as_ref()) {
        return Ok(HashMap::new());
    }
    locked_again(path)
}

/// The users whom the passes so far found locked again.
fn locked_again(path: &Path) -> Result<HashMap<UserId, SystemTime>, Failure> {
    let mut users = HashMap::new();
    for row in Reader::open(path)?.without_users() {
        let row = row?;
        if let (Outcome::LockedAgain, Some(user), Some(at)) =
            (row.outcome, row.user_id, row.finished_at)
        {
            users.insert(user, at);
        }
    }
    Ok(users)
}

/// Waits this long, or for a signal, whose reason is returned.
fn sleep(length: Duration, context: Context<'_>) -> Result<Option<StopReason>, Failure> {
    let runtime = Builder::new_current_thread().enable_time().build().map_err(Failure::internal)?;
    context.signals.begin_orderly();
    let stop = context.signals.stop();
    Ok(runtime.block_on(async {
        tokio::select! {
            () = stop.asked() => stop.reason(),
            () = tokio::time::sleep(length) => None,
        }
    }))
}
