//! Everything before the first request. Whatever can be refused is refused before a file is
//! created, and all files exist before a request is sent.

use std::collections::HashMap;
use std::io;

use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};

use super::all_locked::Walked;
use super::exit::Failure;
use super::input::Input;
use super::previous::{self, PreviousRun};
use super::settings::CountCheck;
use super::{Ask, Job, confirm};
use crate::engine::wall_clock;
use crate::model::UserId;
use crate::policy::decide::AdminLocked;
use crate::policy::plan::Plan;
use crate::results::AtomicWriter;
use crate::results::manifest::Manifest;
use crate::results::{Existing, Outputs, Writer, format};
use crate::stats::{Counts, RowStats, Stats};

/// A job whose files are created and of which nothing was sent.
pub(super) struct Prepared {
    pub(super) input: Input,
    pub(super) plan: Plan,
    /// Users whom an earlier run found by another identifier, with the lines of their rows.
    pub(super) known: HashMap<UserId, u64>,
    pub(super) count_check: CountCheck,
    pub(super) outputs: Outputs,
    pub(super) writer: Writer,
    /// The rows of the run that is resumed.
    pub(super) earlier: RowStats,
    /// The requests of a walk that found the input.
    pub(super) walk: Option<Stats>,
    pub(super) runtime: Runtime,
}

/// Prepares a job. Asks for confirmation where the number of users is known without a look-up.
/// `walked` is what a walk found, where that is the input.
pub(super) fn prepare(
    job: &Job<'_>,
    mut walked: Option<Walked>,
    consent: &mut Option<Ask>,
) -> Result<Prepared, Failure> {
    let Job { settings, connection, context, paths, .. } = *job;
    let now = wall_clock();
    let input = Input::read(settings, walked.as_mut(), now, context.console)?;
    let mut previous =
        PreviousRun::find(settings, paths, &input, connection, now, context.console)?;
    let effective = effective_settings(job, &input);
    if let (Some(manifest), Some(results)) = (&previous.manifest, paths.results()) {
        previous::check_settings(results, manifest, &effective)?;
    }
    let earlier = previous.resumed.as_mut().map(|it| std::mem::take(&mut it.rows));
    let earlier = earlier.unwrap_or_default();
    let done = previous.take_done();
    let known = done.users().clone();
    let plan = Plan::build(&input.records, &input.excluded, done, now);
    let count_check =
        CountCheck::new(settings.command, settings.guards, earlier.n_tried(input.looks_up));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let n_jobs = plan.jobs.len() as u64;
    if input.looks_up {
        count_check.check_upper_bound(n_jobs)?;
    } else {
        if let Some(exclusions) = input.describe_exclusions() {
            context.console.note(&format!("Excluded: {exclusions}"));
        }
        count_check.check(n_jobs)?;
        let left_out: Counts = plan.left_out.iter().map(|(_, row)| row.outcome).collect();
        confirm(job, &input, n_jobs, &left_out, consent, &runtime)?;
    }
    // From here on a first Ctrl-C ends the job in order: its files are there.
    context.signals.begin_orderly();
    let (list, walk) = walked.map_or((None, None), |walked| (walked.list, walked.stats));
    let (outputs, writer) = open_outputs(job, &input, list, &plan, previous, &earlier, effective)?;
    Ok(Prepared { input, plan, known, count_check, outputs, writer, earlier, walk, runtime })
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

/// The account that runs the program; under sudo, the one that called it.
fn operator() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"];
    let mut set = names.into_iter().filter_map(|name| std::env::var(name).ok());
    set.find(|name| !name.is_empty())
}

/// Creates the results file, or opens it to resume, and its manifest.
fn open_outputs(
    job: &Job<'_>,
    input: &Input,
    list: Option<AtomicWriter>,
    plan: &Plan,
    previous: PreviousRun,
    earlier: &RowStats,
    effective: Map<String, Value>,
) -> Result<(Outputs, Writer), Failure> {
    let Job { settings, connection, context, paths, .. } = *job;
    // A path that cannot be written is found out now.
    drop(paths.report().map(AtomicWriter::create).transpose()?);
    let PreviousRun { resumed, manifest, existing } = previous;
    let earlier_manifest = manifest.filter(|_| resumed.is_some());
    let counts = *earlier.counts();
    let records = input.records.records.len() as u64 + plan.n_rows_without_record;
    let mut manifest = Manifest {
        schema_version: format::SCHEMA_VERSION,
        program_version: String::new(),
        command: context.effective.line.to_shell(),
        kind: settings.command,
        settings: effective,
        instance: connection.instance.code().to_owned(),
        host: connection.host.clone(),
        key: connection.fingerprint.clone(),
        operator: operator(),
        reason: settings.reason.clone(),
        started_at: wall_clock(),
        finished_at: None,
        ending: String::new(),
        counts,
        excluded: input.excluded.counts(),
        exit_code: None,
        records,
        rows: counts.total(),
        unprocessed: records.saturating_sub(counts.total()),
        next: None,
        files: input.files.clone(),
        passes: Vec::new(),
    };
    if let Some(earlier) = earlier_manifest {
        manifest.started_at = earlier.started_at;
        manifest.passes = earlier.passes;
        manifest.reason = manifest.reason.or(earlier.reason);
    }
    manifest.begin_pass(wall_clock());
    let row_format = settings.output.row_format(input.records.carried.clone());
    Ok(match (paths.results(), resumed) {
        (None, _) => (Outputs::none(manifest), Writer::stream(io::stdout(), row_format)?),
        (Some(path), Some(resumed)) => Outputs::resume(path, resumed, row_format, manifest)?,
        (Some(path), None) => {
            // Results of an earlier run stay until the first request was answered: a wrong key
            // must not cost them.
            let may_be_refused =
                settings.may_be_refused_later(input.looks_up) || existing == Existing::Replace;
            let records = &input.records;
            Outputs::create(path, existing, may_be_refused, row_format, records, list, manifest)?
        }
    })
}
