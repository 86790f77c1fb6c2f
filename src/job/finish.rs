//! The end of a job: its files, the accounting, the closing lines.

use std::io::Write as _;
use std::path::Path;

use super::command_line::next_step;
use super::exit::{ExitStatus, Failure};
use super::finished_files::{Detail, fill, gather, html};
use super::input::Input;
use super::run::RunningJob;
use super::{Job, JobSettings};
use crate::engine::{Recording, wall_clock};
use crate::model::StopReason;
use crate::report::{Level, closing};
use crate::results::{AtomicWriter, Finalized, Manifest, Totals};
use crate::stats::summary::{CommandKind, Ending, Files, Forecast, Summary};

impl RunningJob<'_, '_> {
    /// Ends a job that was refused before it changed anything: removes the files that it created.
    /// Files of a run that it resumed are finished, and their manifest records the refusal.
    pub(super) fn roll_back(self, status: ExitStatus) {
        let Self { job, outputs, stages, input } = self;
        let Recording { writer, stats, recorded, .. } = stages.recorder.finish();
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
        let Self { job, mut outputs, stages, input } = self;
        let Recording { writer, stats, recorded, .. } = stages.recorder.finish();
        let writer = writer.ok_or_else(|| {
            Failure::text(ExitStatus::Internal, "internal error: results writer missing")
        })?;
        outputs.manifest.excluded = input.excluded.counts();
        // The files at the paths of a job that was not committed are those of an earlier run.
        let files = if outputs.is_staged() { Files::default() } else { job.files.clone() };
        let now = wall_clock();
        let mut finalized =
            outputs.finalize(writer, stats, recorded, &input.records, now, |totals| {
                if totals.failure.is_some() {
                    job.session.stop.ask(StopReason::OutputFailed);
                }
                let mut summary = Summary { files, ..job.summary(input, totals) };
                summary.exit_code = status_of(input, &summary).code();
                summary.next = next_step(job, &summary);
                summary
            });
        let mut status = status_of(input, &finalized.summary);
        let page = job.files.report.as_deref().filter(|_| finalized.failure.is_none());
        match page.map(|path| write_page(&mut finalized, path, job.settings)) {
            Some(Ok(())) => {}
            None => finalized.summary.files.report = None,
            Some(Err(failure)) => {
                finalized.summary.files.report = None;
                job.context.console.error(&failure.to_string());
                status = failure.status;
            }
        }
        if finalized.failure.is_some() && status != ExitStatus::Internal {
            status = ExitStatus::Output;
        }
        if finalized.summary.exit_code != status.code() {
            // A failure here follows from one that was reported.
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
    let sha256 = fill(begun, path, &html(&facts, settings.output.report_pii)?)?;
    Ok(finalized.add_report(path, sha256)?)
}

/// A walk does not list users whose lock state is unclear.
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
        // A time limit that is reached when everything is done has stopped nothing. A guard has
        // tripped all the same, and a Ctrl-C is acknowledged.
        let ending = match self.session.stop.reason() {
            None => Ending::Completed,
            Some(StopReason::MaxDuration) if totals.n_unprocessed == 0 => Ending::Completed,
            Some(reason) => Ending::Stopped(reason),
        };
        let command = self.settings.command;
        let sha256 = totals.sha256.clone().filter(|_| command == CommandKind::Plan);
        let mut summary = Summary {
            n_records: totals.n_records,
            n_unprocessed: totals.n_unprocessed,
            n_rows_found: Some(totals.n_rows_found),
            instance: self.connection.instance.code().to_owned(),
            host: self.connection.host.clone(),
            excluded: input.excluded.counts(),
            lines_of_walk: input.lines_of_walk.clone(),
            canary: self.settings.guards.canary.map(|n| n as u64),
            plan_sha256: sha256,
            ..Summary::new(&totals.stats, command, ending)
        };
        if !summary.adds_up() {
            summary.ending = Ending::Unaccounted;
        }
        summary.forecast = command.is_plan().then(|| {
            let n_users = summary.counts.get(command.aim());
            let n_requests = n_users + n_users.div_ceil(100);
            let takes = self.connection.pace.duration_of(n_requests);
            Forecast { n_requests, takes, ceiling: self.connection.ceiling() }
        });
        summary
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
            self.status = verified.status.after_changes();
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
