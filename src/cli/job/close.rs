//! The end of a job: the files beside the results, the sum, the last words.

use std::io::Write as _;
use std::path::PathBuf;

use super::Spec;
use super::seal::{note_page, seal};
use super::stages::{Stages, State};
use crate::cli::connection::Instance;
use crate::cli::consent::ceiling;
use crate::cli::failure::Failure;
use crate::cli::page::{self, gather};
use crate::cli::status::Status;
use crate::job::next::{Finished, next_step};
use crate::model::{Outcome, StopReason};
use crate::report::closing;
use crate::results::atomic::AtomicWriter;
use crate::results::sidecars::{SidecarError, write_failed, write_unprocessed};
use crate::results::{Journal, Manifest, Reader};
use crate::stats::summary::{CommandKind, Ending, Files, Forecast, NextStep, Summary};

impl Stages<'_> {
    /// Takes away what this run made: it was refused before anybody was unlocked. What an earlier
    /// run began stays, and its manifest says that this one ended.
    pub(super) fn take_back(self, status: Status) {
        let state = &mut *self.state.borrow_mut();
        if !state.outputs.is_new {
            let summary = Summary {
                ending: Ending::NotConfirmed,
                exit_code: status.code(),
                ..self.summary(state, None)
            };
            // The refusal is what is told; the rows are safe whatever the files beside them say.
            drop(self.write_lists(state));
            drop(seal(&self, state, &summary));
            return;
        }
        let paths = &state.outputs.paths;
        let beside = paths.sidecars().map(|it| [&it.failed, &it.unprocessed, &it.manifest]);
        let beside = beside.into_iter().flatten().map(PathBuf::as_path);
        for path in paths.results().into_iter().chain(beside) {
            // A link stays. What can't be taken away is harmless: it says that it is not finished.
            let _ = path.canonicalize().and_then(std::fs::remove_file);
        }
        state.outputs.aside.put_back();
    }

    /// The job was allowed: what it replaces is gone for good.
    pub(super) fn keep(&self) {
        self.state.borrow_mut().outputs.aside.give_up();
    }

    /// Writes the lists beside the results and says how many rows the results hold.
    pub(super) fn write_lists(&self, state: &State) -> Result<Option<u64>, Failure> {
        let paths = &state.outputs.paths;
        let (Some(results), Some(sidecars)) = (paths.results(), paths.sidecars()) else {
            return Ok(None);
        };
        let records = &self.intake.records;
        let failed =
            write_failed(Reader::open(results)?, records.header.as_deref(), &sidecars.failed);
        let n_rows = failed.map_err(|error| match error {
            SidecarError::Read(error) => Failure::from(error),
            SidecarError::Write(error) => Failure::from(error),
        })?;
        let unrecorded =
            state.recorded.iter().enumerate().filter(|(_, is_recorded)| !**is_recorded);
        write_unprocessed(records, unrecorded.map(|(record, _)| record), &sidecars.unprocessed)?;
        Ok(Some(n_rows))
    }

    /// Ends the job: everything is written, checked and told.
    pub(super) fn close(self) -> Result<Closed, Failure> {
        let state = &mut *self.state.borrow_mut();
        state.outputs.spare.clear();
        // It holds the lock until all files are written.
        let _journal = self.end_journal(state)?;
        let n_reread = match self.write_lists(state) {
            Ok(n_reread) => n_reread,
            // The disk has failed already; the results themselves are what counts.
            Err(failure) if state.failure.is_some() => {
                self.around.console.warning(&failure.to_string());
                None
            }
            Err(failure) => return Err(failure),
        };
        let mut summary = self.summary(state, n_reread);
        let status = Status::of(&summary);
        summary.exit_code = status.code();
        summary.next = self.next_step(&summary);
        if let Err(failure) = seal(&self, state, &summary) {
            if state.failure.is_none() {
                return Err(failure);
            }
            self.around.console.warning(&failure.to_string());
        }
        if let (Some(results), Some(path)) = (summary.files.results.clone(), &summary.files.report)
            && state.failure.is_none()
        {
            let begun = AtomicWriter::create(path)?;
            let gathered = gather(&[results])?;
            page::write(begun, path, &gathered.facts, self.spec.answers.report_pii)?;
            note_page(state, path)?;
        }
        self.tell(state, &summary);
        Ok(Closed { status, summary })
    }

    fn end_journal(&self, state: &mut State) -> Result<Option<Journal>, Failure> {
        let mut writer = state.outputs.take_writer()?;
        if state.failure.is_none() {
            state.failure = writer.commit().and_then(|()| writer.sync()).err();
        }
        if state.failure.is_some() {
            self.stop.ask(StopReason::OutputFailed);
        }
        Ok(writer.abandon())
    }

    fn summary(&self, state: &State, n_reread: Option<u64>) -> Summary {
        let n_unprocessed =
            state.recorded.iter().filter(|is_recorded| !**is_recorded).count() as u64;
        let records = &self.intake.records.records;
        let ending = self.ending(n_unprocessed);
        let mut summary = Summary::new(&state.stats, self.spec.command, ending, records);
        summary.n_unprocessed = n_unprocessed;
        summary.n_rows_found = n_reread;
        if !summary.adds_up() {
            summary.ending = Ending::Unaccounted;
        }
        let connection = self.around.connection;
        connection.instance.code().clone_into(&mut summary.instance);
        summary.host.clone_from(&connection.host);
        summary.forecast = self.forecast(&summary);
        summary.files = files(state);
        summary
    }

    fn next_step(&self, summary: &Summary) -> Option<NextStep> {
        next_step(&Finished {
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
    /// and whoever pressed Ctrl-C is told that it was acks.
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

    fn tell(&self, state: &State, summary: &Summary) {
        let console = self.around.console;
        if summary.ending == Ending::Unaccounted {
            console.error(
                "the accounting does not add up; trust the results file alone, and if nobody \
                 touched it please report this",
            );
        }
        if let Some(failure) = &state.failure {
            console.error(&failure.to_string());
        }
        closing::say(summary, console);
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

fn files(state: &State) -> Files {
    let paths = &state.outputs.paths;
    let sidecars = paths.sidecars();
    Files {
        results: paths.results().map(PathBuf::from),
        failed: sidecars.map(|it| it.failed.clone()),
        unprocessed: sidecars.map(|it| it.unprocessed.clone()),
        manifest: sidecars.map(|it| it.manifest.clone()),
        report: paths.report().map(PathBuf::from),
    }
}
