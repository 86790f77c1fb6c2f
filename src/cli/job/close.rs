//! The end of a job: its files, the sum, the last words.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::paths::Paths;
use super::stages::Stages;
use super::{Spec, Surroundings};
use crate::cli::connection::Instance;
use crate::cli::consent::ceiling;
use crate::cli::failure::Failure;
use crate::cli::page::{self, Detail, gather};
use crate::cli::status::Status;
use crate::engine::{Recorded, wall_clock};
use crate::job::next::{self, Finished};
use crate::model::{Outcome, StopReason};
use crate::report::closing;
use crate::results::atomic::AtomicWriter;
use crate::results::{Finalized, Manifest, Totals};
use crate::stats::summary::{CommandKind, Ending, Files, Forecast, NextStep, Summary};
use crate::stop::Stop;

impl Stages<'_, '_> {
    /// The job was refused before anybody was unlocked: removes what it made. What an earlier run
    /// began stays, and its manifest says that this one ended.
    pub(super) fn roll_back(self, status: Status) {
        let Self { context, outputs, recorder, intake, .. } = self;
        let Recorded { writer, stats, recorded } = recorder.finish();
        let Some(writer) = writer.filter(|_| !outputs.rollback()) else { return };
        // The refusal is what is told; the rows are safe whatever the files beside them say.
        let _ =
            outputs.finalize(writer, stats, recorded, &intake.records, wall_clock(), |totals| {
                Summary {
                    ending: Ending::NotConfirmed,
                    exit_code: status.code(),
                    ..context.summary(totals)
                }
            });
    }

    /// Ends the job: everything is written, checked and told.
    pub(super) fn close(self) -> Result<Closed, Failure> {
        let Self { context, outputs, recorder, intake, .. } = self;
        let Recorded { writer, stats, recorded } = recorder.finish();
        let Some(writer) = writer else { return Err(no_writer()) };
        let records = &intake.records;
        let now = wall_clock();
        let mut finalized = outputs.finalize(writer, stats, recorded, records, now, |totals| {
            if totals.failure.is_some() {
                context.stop.ask(StopReason::OutputFailed);
            }
            let mut summary = context.summary(totals);
            summary.exit_code = Status::of(&summary).code();
            summary.next = context.next_step(&summary);
            summary
        });
        let mut status = Status::of(&finalized.summary);
        if let (Some(path), None) = (context.paths.report(), &finalized.failure)
            && let Err(failure) = write_page(&mut finalized, path, context.spec)
        {
            context.around.console.error(&failure.to_string());
            status = failure.status;
        }
        if finalized.failure.is_some() && status != Status::Internal {
            status = Status::Output;
        }
        if finalized.summary.exit_code != status.code() {
            // Whatever fails now is a consequence of what was reported.
            let _ = finalized.set_exit_code(status.code());
        }
        context.tell(&finalized);
        Ok(Closed { status, summary: finalized.summary })
    }
}

fn no_writer() -> Failure {
    Failure::internal(anyhow::anyhow!("internal error: results writer missing"))
}

fn write_page(finalized: &mut Finalized, path: &Path, spec: &Spec) -> Result<(), Failure> {
    let Some(results) = finalized.summary.files.results.clone() else { return Ok(()) };
    let begun = AtomicWriter::create(path)?;
    let facts = gather(&[results], Detail::of_page(spec.answers.report_pii))?;
    let sha256 = page::write(begun, path, &facts, spec.answers.report_pii)?;
    Ok(finalized.add_report(path, sha256)?)
}

/// What all stages of a job share.
#[derive(Clone, Copy)]
pub(super) struct JobContext<'env> {
    pub(super) spec: &'env Spec,
    pub(super) around: &'env Surroundings<'env>,
    pub(super) paths: &'env Paths,
    pub(super) stop: &'env Stop,
}

impl JobContext<'_> {
    fn summary(&self, totals: &Totals<'_>) -> Summary {
        let ending = self.ending(totals.n_unprocessed);
        let mut summary = Summary::new(totals.stats, self.spec.command, ending);
        summary.n_records = totals.n_records;
        summary.n_unprocessed = totals.n_unprocessed;
        summary.n_rows_found = Some(totals.n_rows_found);
        if !summary.adds_up() {
            summary.ending = Ending::Unaccounted;
        }
        let connection = self.around.connection;
        connection.instance.code().clone_into(&mut summary.instance);
        summary.host.clone_from(&connection.host);
        summary.forecast = self.forecast(&summary);
        summary.files = files(self.paths);
        summary
    }

    fn next_step(&self, summary: &Summary) -> Option<NextStep> {
        next::next_step(&Finished {
            command: summary.command,
            line: &self.around.effective.line,
            ending: summary.ending,
            counts: &summary.counts,
            n_unprocessed: summary.n_unprocessed,
            results: summary.files.results.as_deref()?,
            failed: summary.files.failed.as_deref()?,
            is_piped: self.spec.input.path().is_none(),
            is_of_plan: self.spec.input.is_recorded(),
            is_sandbox: self.around.connection.instance == Instance::Sandbox,
            is_verified: self.spec.verify,
        })
    }

    /// Time that is up when everything is done stopped nothing. A guard has tripped all the same,
    /// and whoever pressed Ctrl-C is told that it was heard.
    fn ending(&self, n_unprocessed: u64) -> Ending {
        match self.stop.reason() {
            None => Ending::Completed,
            Some(StopReason::MaxDuration) if n_unprocessed == 0 => Ending::Completed,
            Some(reason) => Ending::Stopped(reason),
        }
    }

    fn forecast(&self, summary: &Summary) -> Option<Forecast> {
        if summary.command != CommandKind::Plan {
            return None;
        }
        let n_users = summary.counts.get(Outcome::WouldUnlock);
        let n_requests = n_users + n_users.div_ceil(100);
        let pace = self.around.connection.pace;
        Some(Forecast { n_requests, takes: pace.duration_of(n_requests), ceiling: ceiling(pace) })
    }

    fn tell(&self, finalized: &Finalized) {
        let console = self.around.console;
        if finalized.summary.ending == Ending::Unaccounted {
            console.error(
                "the accounting does not add up; trust the results file alone, and if nobody \
                 touched it please report this",
            );
        }
        if let Some(failure) = &finalized.failure {
            console.error(&failure.to_string());
        }
        closing::say(&finalized.summary, console);
    }
}

/// A job that came to its end, and was told.
pub(in crate::cli) struct Closed {
    pub(in crate::cli) status: Status,
    pub(in crate::cli) summary: Summary,
}

impl Closed {
    /// Writes the exit code into the manifest once more: a read-back may have changed it.
    pub(in crate::cli) fn note_exit_code(&self) -> Result<(), Failure> {
        let Some(path) = &self.summary.files.manifest else { return Ok(()) };
        let Some(mut manifest) = Manifest::read(path)? else { return Ok(()) };
        manifest.exit_code = Some(self.summary.exit_code);
        Ok(manifest.write(path)?)
    }

    /// Writes the summary to stdout where `--json` asks for it. The last word of a command: it
    /// holds its exit code.
    pub(in crate::cli) fn answer(self, spec: &Spec) -> Result<Status, Failure> {
        if spec.answers.json {
            let json = self.summary.to_json().map_err(Failure::internal)?;
            writeln!(std::io::stdout(), "{json}").map_err(|error| {
                Failure::new(
                    Status::Output,
                    anyhow::anyhow!("the summary can't be written to stdout: {error}"),
                )
            })?;
        }
        Ok(self.status)
    }
}

fn files(paths: &Paths) -> Files {
    let sidecars = paths.sidecars();
    Files {
        results: paths.results().map(PathBuf::from),
        failed: sidecars.map(|it| it.failed.clone()),
        unprocessed: sidecars.map(|it| it.unprocessed.clone()),
        manifest: sidecars.map(|it| it.manifest.clone()),
        report: paths.report().map(PathBuf::from),
    }
}
