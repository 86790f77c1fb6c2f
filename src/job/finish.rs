//! The end of a job: its files, the accounting, the closing lines.

use std::io::Write as _;
use std::path::Path;

use super::connection::Instance;
use super::exit::{ExitStatus, Failure};
use super::input::Input;
use super::next;
use super::page::{self, Detail, gather};
use super::run::RunningJob;
use super::{Job, JobSettings};
use crate::engine::{Recorded, wall_clock};
use crate::model::StopReason;
use crate::report::{Level, closing};
use crate::results::AtomicWriter;
use crate::results::{Finalized, Manifest, Totals};
use crate::stats::summary::{CommandKind, Ending, Forecast, NextStep, Summary};

impl RunningJob<'_, '_> {
    /// Ends a job that was refused before it changed anything: removes the files that it created.
    /// Files of a run that it resumed are finished, and their manifest records the refusal.
    pub(super) fn roll_back(self, status: ExitStatus) {
        let Self { job, outputs, recorder, input, .. } = self;
        let Recorded { writer, stats, recorded, .. } = recorder.finish();
        let Some(writer) = writer.filter(|_| !outputs.rollback()) else {
            if let Some(metrics) = job.context.metrics {
                metrics.end_job(&stats, stats.n_unprocessed());
            }
            return;
        };
        // The refusal is reported; rows are safe whatever becomes of the files beside them.
        let _ = outputs.finalize(writer, stats, recorded, &input.records, wall_clock(), |totals| {
            Summary {
                ending: Ending::NotConfirmed,
                exit_code: status.code(),
                ..job.summary(input, totals)
            }
        });
    }

    /// Ends a job: writes, checks, and reports everything.
    pub(super) fn finish(self) -> Result<Finished, Failure> {
        let Self { job, mut outputs, recorder, input, .. } = self;
        let Recorded { writer, stats, recorded, .. } = recorder.finish();
        let writer = writer.ok_or_else(|| {
            Failure::internal(anyhow::anyhow!("internal error: results writer missing"))
        })?;
        outputs.manifest.excluded = input.excluded.counts();
        let now = wall_clock();
        let mut finalized =
            outputs.finalize(writer, stats, recorded, &input.records, now, |totals| {
                if totals.failure.is_some() {
                    job.stop.ask(StopReason::OutputFailed);
                }
                let mut summary = job.summary(input, totals);
                summary.exit_code = status_of(input, &summary).code();
                summary.next = job.next_step(&summary);
                summary
            });
        let mut status = status_of(input, &finalized.summary);
        if let (Some(path), None) = (job.paths.report(), &finalized.failure)
            && let Err(failure) = write_page(&mut finalized, path, job.settings)
        {
            job.context.console.error(&failure.to_string());
            status = failure.status;
        }
        if finalized.failure.is_some() && status != ExitStatus::Internal {
            status = ExitStatus::Output;
        }
        if finalized.summary.exit_code != status.code() {
            // Whatever fails now is a consequence of what was reported.
            let _ = finalized.set_exit_code(status.code());
        }
        job.print_end(&finalized);
        Ok(Finished { status, summary: finalized.summary })
    }
}

fn write_page(
    finalized: &mut Finalized,
    path: &Path,
    settings: &JobSettings,
) -> Result<(), Failure> {
    let Some(results) = finalized.summary.files.results.clone() else { return Ok(()) };
    let begun = AtomicWriter::create(path)?;
    let facts = gather(&[results], Detail::of_page(settings.output.report_pii))?;
    let sha256 = page::write(begun, path, &facts, settings.output.report_pii)?;
    Ok(finalized.add_report(path, sha256)?)
}

/// A walk that met users of whom it is not known whether they are locked did not list all.
fn status_of(input: &Input, summary: &Summary) -> ExitStatus {
    match ExitStatus::of(summary) {
        ExitStatus::Success if input.n_undecided > 0 => ExitStatus::NotAllWell,
        status => status,
    }
}

impl Job<'_> {
    fn summary(&self, input: &Input, totals: &Totals) -> Summary {
        if let Some(metrics) = self.context.metrics {
            metrics.end_job(&totals.stats, totals.n_unprocessed);
        }
        let ending = self.ending(totals.n_unprocessed);
        let mut summary = Summary::new(&totals.stats, self.settings.command, ending);
        summary.n_records = totals.n_records;
        summary.n_unprocessed = totals.n_unprocessed;
        summary.n_rows_found = Some(totals.n_rows_found);
        if !summary.adds_up() {
            summary.ending = Ending::Unaccounted;
        }
        self.connection.instance.code().clone_into(&mut summary.instance);
        summary.host.clone_from(&self.connection.host);
        summary.excluded = input.excluded.counts();
        summary.forecast = self.forecast(&summary);
        summary.lines_of_walk.clone_from(&input.lines_of_walk);
        summary.canary = self.settings.guards.canary.map(|n| n as u64);
        summary.plan_sha256 =
            totals.sha256.clone().filter(|_| summary.command == CommandKind::Plan);
        summary.files = self.paths.to_files();
        summary
    }

    /// A time limit that is reached when everything is done has stopped nothing. A guard has tripped
    /// all the same, and a Ctrl-C is acknowledged.
    fn ending(&self, n_unprocessed: u64) -> Ending {
        match self.stop.reason() {
            None => Ending::Completed,
            Some(StopReason::MaxDuration) if n_unprocessed == 0 => Ending::Completed,
            Some(reason) => Ending::Stopped(reason),
        }
    }

    fn next_step(&self, summary: &Summary) -> Option<NextStep> {
        next::next_step(&next::Finished {
            command: summary.command,
            line: &self.context.effective.line,
            ending: summary.ending,
            counts: &summary.counts,
            n_unprocessed: summary.n_unprocessed,
            results: summary.files.results.as_deref()?,
            failed: summary.files.failed.as_deref()?,
            is_piped: self.settings.input.path().is_none(),
            is_looked_up: self.settings.input.is_rows() || self.settings.input.is_instance(),
            sha256: summary.plan_sha256.as_deref(),
            is_sandbox: self.connection.instance == Instance::Sandbox,
            is_verified: self.settings.verify,
        })
    }

    fn forecast(&self, summary: &Summary) -> Option<Forecast> {
        if !summary.command.is_plan() {
            return None;
        }
        let n_users = summary.counts.get(summary.command.aim());
        let n_requests = n_users + n_users.div_ceil(100);
        let takes = self.connection.pace.duration_of(n_requests);
        Some(Forecast { n_requests, takes, ceiling: self.connection.ceiling() })
    }

    fn print_end(&self, finalized: &Finalized) {
        let console = self.context.console;
        if finalized.summary.ending == Ending::Unaccounted {
            console.error(
                "internal error: records, rows, and unprocessed records do not add up; rely on the \
                 results file only, and report this unless another process changed the file",
            );
        }
        if let Some(failure) = &finalized.failure {
            console.error(&failure.to_string());
        }
        if self.settings.pass.as_ref().is_some_and(|pass| !pass.is_last) {
            console.log(Level::Note, &closing::headline(&finalized.summary));
        } else {
            closing::print(&finalized.summary, console);
        }
    }
}

/// A finished job. Its closing lines are printed.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) summary: Summary,
}

impl Finished {
    /// Adds the read-back at the end of a run: the manifest gets the exit code of both.
    pub(crate) fn add_verified(&mut self, verified: &Self) -> Result<(), Failure> {
        if verified.status != ExitStatus::Success {
            self.status = verified.status;
        }
        self.summary.verified = Some(verified.summary.counts);
        self.set_status(self.status)
    }

    /// Sets the exit status, in the manifest too.
    pub(crate) fn set_status(&mut self, status: ExitStatus) -> Result<(), Failure> {
        self.status = status;
        self.summary.exit_code = status.code();
        let Some(path) = &self.summary.files.manifest else { return Ok(()) };
        let Some(mut manifest) = Manifest::read(path)? else { return Ok(()) };
        manifest.exit_code = Some(self.summary.exit_code);
        Ok(manifest.write(path)?)
    }

    /// Prints the summary to stdout where `--json` asks for it. The last step of a command, as it
    /// includes the exit code.
    pub(crate) fn print_json(mut self, is_wanted: bool) -> Result<ExitStatus, Failure> {
        if is_wanted {
            let json = self.summary.to_json().map_err(Failure::internal)?;
            if let Err(error) = writeln!(std::io::stdout(), "{json}") {
                self.set_status(ExitStatus::Output)?;
                let text = format!("cannot write the summary to stdout: {error}");
                return Err(Failure::output(text));
            }
        }
        Ok(self.status)
    }
}
