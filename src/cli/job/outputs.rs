//! The files of a job, open before the first request.

use std::io;

use super::existed::Existed;
use super::intake::Intake;
use super::paths::Paths;
use super::{Spec, Surroundings, spec};
use crate::cli::failure::Failure;
use crate::engine::wall_clock;
use crate::policy::plan::Plan;
use crate::results::atomic::AtomicWriter;
use crate::results::manifest::{Excluded, Manifest};
use crate::results::{Existing, Outputs, Writer, format};
use crate::stats::{Counts, RowStats};

/// Creates the results file, or opens it to continue, and its manifest. Also gives the rows that an
/// earlier run recorded.
pub(super) fn open(
    spec: &Spec,
    paths: &Paths,
    existed: Existed,
    intake: &Intake,
    plan: &Plan,
    around: &Surroundings<'_>,
) -> Result<(Outputs, Writer, RowStats), Failure> {
    // A bad path fails at once, and a kill leaves nothing of it behind.
    drop(paths.report().map(AtomicWriter::create).transpose()?);
    let Existed { mut resumed, manifest } = existed;
    let earlier = resumed.as_mut().map(|it| std::mem::take(&mut it.rows)).unwrap_or_default();
    let mut manifest =
        manifest.filter(|_| resumed.is_some()).unwrap_or_else(|| begun(spec, around));
    manifest.command = around.effective.line.to_shell();
    manifest.key.clone_from(&around.connection.fingerprint);
    manifest.reason = spec.reason.clone().or(manifest.reason.take());
    manifest.settings.clone_from(&around.effective.map);
    manifest.settings.extend(spec.settings());
    manifest.records = intake.records.records.len() as u64 + plan.n_rows_without_record;
    manifest.rows = earlier.counts().total();
    manifest.unprocessed = manifest.records.saturating_sub(manifest.rows);
    manifest.files.clone_from(&intake.files);
    manifest.counts = *earlier.counts();
    manifest.begin_pass(wall_clock());
    let format = spec.row_format(intake.records.carried.clone());
    let (outputs, writer) = match (paths.results(), resumed) {
        (None, _) => (Outputs::none(manifest), Writer::stream(io::stdout(), format)?),
        (Some(path), Some(resumed)) => Outputs::resume(path, resumed, format, manifest)?,
        (Some(path), None) => {
            let existing = match spec.answers.existing {
                spec::Existing::Replace => Existing::Replace,
                spec::Existing::Refuse | spec::Existing::Resume => Existing::Refuse,
            };
            let may_be_refused = spec.may_be_refused_later(intake.looks_up);
            let records = &intake.records;
            Outputs::create(path, existing, may_be_refused, format, records, manifest)?
        }
    };
    Ok((outputs, writer, earlier))
}

/// The manifest of a job that begins.
fn begun(spec: &Spec, around: &Surroundings<'_>) -> Manifest {
    Manifest {
        schema_version: format::SCHEMA_VERSION,
        program_version: String::new(),
        command: String::new(),
        kind: spec.command,
        settings: serde_json::Map::new(),
        instance: around.connection.instance.code().to_owned(),
        host: around.connection.host.clone(),
        key: None,
        reason: None,
        started_at: wall_clock(),
        finished_at: None,
        ending: String::new(),
        counts: Counts::default(),
        excluded: Excluded::default(),
        exit_code: None,
        records: 0,
        rows: 0,
        unprocessed: 0,
        next: None,
        files: Vec::new(),
        passes: Vec::new(),
    }
}
