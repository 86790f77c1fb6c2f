//! Everything before the first request. Whatever can be refused is refused before a file is
//! created, and all files exist before a request is sent.

use std::collections::HashMap;

use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::earlier_run::{self, PreviousRun};
use super::exit::Failure;
use super::input::Input;
use super::locked::Walked;
use super::output_paths::open_outputs;
use super::{Ask, Job, confirm};
use crate::engine::{now, wall_clock};
use crate::model::UserId;
use crate::policy::classify::AdminLocked;
use crate::policy::plan::Plan;
use crate::results::{Outputs, Writer};
use crate::stats::{Counts, Size, Stats};

/// A job whose files are created and of which nothing was sent.
pub(super) struct Prepared {
    pub(super) input: Input,
    pub(super) plan: Plan,
    /// Users whom an earlier run found by another identifier, with the lines of their rows.
    pub(super) known: HashMap<UserId, u64>,
    /// Number of users whom the run that is resumed has tried to change.
    pub(super) n_tried: u64,
    pub(super) outputs: Outputs,
    pub(super) writer: Writer,
    /// With the rows of the run that is resumed, and the requests of a walk that found the input.
    pub(super) stats: Stats,
    pub(super) runtime: Runtime,
}

/// Prepares a job. Asks for confirmation where the number of users is known without a look-up.
/// `walked` is what a walk found, where that is the input.
pub(super) fn prepare(
    job: &Job<'_>,
    mut walked: Walked,
    consent: &mut Option<Ask>,
) -> Result<Prepared, Failure> {
    let Job { settings, connection, context, files, .. } = *job;
    let at = wall_clock();
    let input = Input::read(settings, &mut walked, at, context.console)?;
    let mut previous = PreviousRun::find(settings, &input, connection, at, context.console)?;
    let effective = effective_settings(job, &input);
    if let (Some(manifest), Some(results)) = (&previous.manifest, &files.results) {
        earlier_run::check_settings(results, manifest, &effective)?;
    }
    let resumed = previous.resumed.as_mut();
    let (done, earlier) = resumed
        .map(|it| (std::mem::take(&mut it.done), std::mem::take(&mut it.rows)))
        .unwrap_or_default();
    let known = done.users().clone();
    let plan = Plan::build(&input.records, &input.excluded, done, at);
    let n_tried = earlier.n_tried(input.looks_up);
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let n_jobs = plan.jobs.len() as u64;
    if input.looks_up {
        if settings.guards.expect_more(n_jobs, n_tried) {
            settings.guards.check(settings.command, n_jobs, n_tried)?;
        }
    } else {
        if let Some(exclusions) = input.describe_exclusions() {
            context.console.note(&format!("Excluded: {exclusions}"));
        }
        settings.guards.check(settings.command, n_jobs, n_tried)?;
        let left_out: Counts = plan.left_out.iter().map(|(_, row)| row.outcome).collect();
        confirm(job, &input, n_jobs, &left_out, consent, &runtime)?;
    }
    // From here on, the first Ctrl-C ends the job in order, because its files exist.
    context.signals.begin_orderly();
    let (list, counts) = (walked.list, earlier.counts);
    let (outputs, writer) = open_outputs(job, &input, list, &plan, previous, counts, effective)?;
    let size = Size { n_records: outputs.manifest.records, n_jobs };
    let mut stats = walked.stats.unwrap_or_else(|| Stats::new(size, now(), wall_clock()));
    stats.size = size;
    let stats = stats.resuming(earlier);
    Ok(Prepared { input, plan, known, n_tried, outputs, writer, stats, runtime })
}

/// The settings in effect, as far as the input decides them.
fn effective_settings(job: &Job<'_>, input: &Input) -> Map<String, Value> {
    let Job { settings, context, .. } = *job;
    let mut redact = settings.output.redact.clone();
    redact.sort();
    redact.dedup();
    let mut map = context.effective.map.clone();
    for (name, value) in [
        ("by", input.records.kind.flag_value().into()),
        ("redact", redact.into()),
        ("only_locked", input.looks_up.into()),
        ("include_admin_locked", (settings.admin_locked == AdminLocked::Include).into()),
    ] {
        map.insert(name.to_owned(), value);
    }
    map
}
