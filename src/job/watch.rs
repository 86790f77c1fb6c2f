//! `verify --watch`: reads back again and again.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::runtime::Builder;

use super::exit::{ExitStatus, Failure};
use super::finish::Finished;
use super::paths::check_own_verify;
use super::settings::{ExistingFile, JobSettings};
use super::{Connection, Context};
use crate::engine::now;
use crate::model::{Outcome, StopReason, UserId};
use crate::report::{Level, stopped_by, text};
use crate::results::sidecars::check_places;
use crate::results::{Manifest, Reader, Sidecars, refuse_existing, sha256_file};

/// How long to read back, and how often.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    pub(crate) length: Duration,
    /// From the start of one pass to the start of the next.
    pub(crate) every: Duration,
}

/// One pass of a watch.
#[derive(Debug, Default)]
pub(crate) struct Pass {
    /// Users whom earlier passes found locked again, and when the first of them did.
    pub(super) locked_again: HashMap<UserId, SystemTime>,
    /// Whether no pass follows.
    pub(super) is_last: bool,
}

/// Runs a read-back at the beginning, at each interval, and at the end of the watch. Each complete
/// pass replaces the file of the one before. A pass that is stopped ends the watch.
pub(crate) fn watch(
    mut settings: JobSettings,
    watch: Watch,
    connection: &Connection,
    context: Context<'_>,
) -> Result<Finished, Failure> {
    let console = context.console;
    let path = settings.output.path.clone();
    settings.pass = Some(Pass::default());
    if settings.output.existing == ExistingFile::Refuse && !settings.output.is_stdout() {
        check_own_verify(&path)?;
        check_places(&Sidecars::beside(&path), false)?;
        let page = settings.output.report.as_deref().map_or(Ok(()), refuse_existing);
        page.map_err(|error| error.without_resume("--report"))?;
        settings.output.existing = ExistingFile::Replace;
    }
    settings.pass =
        Some(Pass { locked_again: of_earlier_watch(&settings, &path)?, is_last: false });
    let end = now().checked_add(watch.length);
    let end = end.ok_or_else(|| Failure::usage("--watch is too long"))?;
    loop {
        let begun = now();
        let mut finished = super::run(&settings, connection, context, None)?;
        let is_complete = matches!(finished.status, ExitStatus::Success | ExitStatus::NotAllWell);
        if !is_complete || settings.pass.as_ref().is_some_and(|pass| pass.is_last) {
            return Ok(finished);
        }
        let next = begun.checked_add(watch.every).unwrap_or(end).min(end);
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
    let read_back = manifest.and_then(|it| it.files.into_iter().find(|file| file.role == "input"));
    let results = settings.input.path().and_then(|results| sha256_file(results).ok());
    if !path.exists() || read_back.is_none_or(|file| Some(file.sha256) != results) {
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
