//! The files of a job, open: all of them are there before the first call.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;

use super::existed::Existed;
use super::intake::Intake;
use super::paths::Paths;
use super::{Spec, Surroundings, spec};
use crate::cli::failure::Failure;
use crate::engine::wall_clock;
use crate::policy::decide::AdminLocked;
use crate::policy::plan::Plan;
use crate::results::atomic::AtomicWriter;
use crate::results::manifest::{Latency, Manifest, Pass};
use crate::results::{Existing, SetAside, Sidecars, WriteError, Writer, check_not_in_use, format};
use crate::stats::Counts;

/// The open files of a job.
pub(super) struct Outputs {
    pub(super) paths: Paths,
    /// Taken while a recorder has it.
    pub(super) writer: Option<Writer>,
    pub(super) manifest: Manifest,
    /// The rows that an earlier run recorded.
    pub(super) earlier: Counts,
    /// Whether there was nothing before.
    pub(super) is_new: bool,
    /// What is replaced, until it is sure that it will be.
    pub(super) aside: SetAside,
    /// Descriptors that are given back when the files are to be read again and written.
    pub(super) spare: Vec<File>,
}

impl Outputs {
    /// Makes the results file, or opens it to go on, and says in the manifest that it is written.
    pub(super) fn open(
        spec: &Spec,
        paths: Paths,
        existed: Existed,
        intake: &Intake,
        plan: &Plan,
        around: &Surroundings<'_>,
    ) -> Result<Self, Failure> {
        // A bad path fails at once, and a kill leaves nothing of it behind.
        drop(paths.report().map(AtomicWriter::create).transpose()?);
        if spec.answers.existing == spec::Existing::Replace {
            // Before anything is replaced it is known that all of it can be.
            let manifest = paths.sidecars().map(|it| AtomicWriter::create(&it.manifest));
            drop(manifest.transpose()?);
        }
        let earlier = existed.counts();
        let Existed { resumed, manifest } = existed;
        let is_new = resumed.is_none();
        let row_format = spec.row_format(intake.records.carried.clone());
        let existing = match spec.answers.existing {
            spec::Existing::Replace => Existing::Replace,
            spec::Existing::Refuse | spec::Existing::Resume => Existing::Refuse,
        };
        let aside = if is_new && spec.may_be_refused_later() {
            set_aside(&paths)?
        } else {
            SetAside::default()
        };
        let writer = match (paths.results(), resumed) {
            (None, _) => Writer::stream(io::stdout(), row_format)?,
            (Some(_), Some(resumed)) => Writer::resume(resumed.journal, row_format)?,
            (Some(path), None) => Writer::create(path, existing, row_format)?,
        };
        let mut manifest = manifest.filter(|_| !is_new).unwrap_or_else(|| begun(spec, around));
        manifest.records = intake.records.records.len() as u64 + plan.n_rows_without_record;
        manifest.rows = earlier.total();
        manifest.unprocessed = manifest.records.saturating_sub(manifest.rows);
        manifest.files.clone_from(&intake.files);
        manifest.counts = earlier.iter().collect();
        go_on(&mut manifest, spec, around);
        if let Some(sidecars) = paths.sidecars() {
            manifest.write(&sidecars.manifest).inspect_err(|_| {
                let results = paths.results().filter(|_| is_new);
                // It was just made, and nobody was asked about yet.
                drop(results.map(std::fs::remove_file));
            })?;
        }
        let spare = spare(&paths);
        Ok(Self { paths, writer: Some(writer), manifest, earlier, is_new, aside, spare })
    }
}

/// Moves away what stands at the places of this job.
fn set_aside(paths: &Paths) -> Result<SetAside, Failure> {
    let (Some(results), Some(sidecars)) = (paths.results(), paths.sidecars()) else {
        return Ok(SetAside::default());
    };
    check_not_in_use(results)?;
    let Sidecars { failed, unprocessed, manifest, .. } = sidecars;
    let error = |error| WriteError::new(results, &error);
    Ok(SetAside::take(&[results, failed, unprocessed, manifest]).map_err(error)?)
}

/// Holds a few descriptors in reserve: connections may take all others, and then the end of the
/// run could not open a single file.
fn spare(paths: &Paths) -> Vec<File> {
    const N_SPARE: usize = 8;
    let open = || File::open(paths.results()?).ok();
    std::iter::from_fn(open).take(N_SPARE).collect()
}

/// The manifest of a job that begins.
fn begun(spec: &Spec, around: &Surroundings<'_>) -> Manifest {
    Manifest {
        schema_version: format::SCHEMA_VERSION,
        program_version: String::new(),
        command: String::new(),
        kind: spec.command,
        instance: around.connection.instance.code().to_owned(),
        host: around.connection.host.clone(),
        key: around.connection.fingerprint.clone(),
        reason: None,
        started_at: wall_clock(),
        finished_at: None,
        ending: String::new(),
        exit_code: None,
        counts: BTreeMap::new(),
        records: 0,
        rows: 0,
        unprocessed: 0,
        settings: Some(spec.settings()),
        include_admin_locked: spec.admin_locked == AdminLocked::Include,
        files: Vec::new(),
        passes: Vec::new(),
    }
}

/// Another pass of the same job begins.
fn go_on(manifest: &mut Manifest, spec: &Spec, around: &Surroundings<'_>) {
    env!("CARGO_PKG_VERSION").clone_into(&mut manifest.program_version);
    manifest.command = around.invocation.text();
    manifest.key.clone_from(&around.connection.fingerprint);
    manifest.reason = spec.reason.clone().or(manifest.reason.take());
    Manifest::RUNNING.clone_into(&mut manifest.ending);
    manifest.finished_at = None;
    manifest.exit_code = None;
    manifest.passes.push(Pass {
        started_at: wall_clock(),
        finished_at: None,
        ending: Manifest::RUNNING.to_owned(),
        requests: 0,
        retries: 0,
        throttled: 0,
        given_up: 0,
        paused_seconds: 0.0,
        look_ups: 0,
        timeline: Vec::new(),
        latency_ms: Latency::default(),
    });
}
