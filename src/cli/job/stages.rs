//! The stages of a job: those left out, the look-up, the unlocks. They share one recorder, the pace
//! and the stop.

use std::collections::HashMap;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::close::JobContext;
use super::drift::Drift;
use super::intake::Intake;
use crate::cli::consent::ceiling;
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::engine::{
    EventSender, LookUp, Recorder, Recording, Session, Unlock, UnlockJob, WorkerPool, batches,
    canaries_first, wall_clock,
};
use crate::model::{Event, Identifier, Job, Outcome, Row, UserId};
use crate::report::{Listener, ReportContext, listeners};
use crate::results::{Outputs, WriteError, Writer};
use crate::stats::Counts;
use crate::stats::summary::CommandKind;

/// A job under way.
pub(super) struct Stages<'scope, 'env> {
    pub(super) context: JobContext<'env>,
    pub(super) intake: &'env Intake,
    pub(super) outputs: Outputs,
    pub(super) recorder: Recorder<'scope, 'env>,
    runtime: Runtime,
    deadline: Option<Instant>,
}

impl<'scope, 'env> Stages<'scope, 'env> {
    pub(super) fn new(
        context: JobContext<'env>,
        intake: &'env Intake,
        outputs: Outputs,
        recorder: Recorder<'scope, 'env>,
        runtime: Runtime,
    ) -> Self {
        let length = context.spec.execution.max_duration;
        let deadline = length.and_then(|length| Instant::now().checked_add(length));
        Self { context, intake, outputs, recorder, runtime, deadline }
    }

    /// Begins a stage with so many jobs: the time left is that of the present stage.
    fn begin_stage(&self, n_jobs: usize) -> Result<(), Failure> {
        let (at, wall) = (Instant::now(), wall_clock());
        let begin = move |it: &mut Recording<'_>| it.stats.begin_stage(n_jobs as u64, at, wall);
        self.recorder.call(begin).map_err(Failure::internal)
    }

    /// Whether a stop was asked for.
    pub(super) fn is_stopped(&self) -> bool {
        self.context.stop.is_asked()
    }

    /// The exit code of that stop.
    pub(super) fn stop_status(&self) -> Option<Status> {
        self.context.stop.reason().map(Status::of_stop)
    }

    /// Waits for what blocks, or for a signal: a refusal puts things back as they were.
    pub(super) fn unless_stopped<T: Send + 'static>(
        &self,
        blocking: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let (tell, told) = oneshot::channel();
        // It ends with the process when the wait is given up.
        std::thread::spawn(move || tell.send(blocking()));
        self.runtime.block_on(async {
            tokio::select! {
                answer = told => answer.ok(),
                () = self.context.stop.asked() => None,
                never = self.context.around.signals.forward(self.context.stop, || {}) => match never {},
            }
        })
    }

    /// How many users are to be unlocked; of a plan, how many its run would unlock.
    pub(super) fn n_to_unlock(&self, jobs: &[UnlockJob]) -> Result<u64, Failure> {
        match self.context.spec.command {
            CommandKind::Plan => {
                let n_users = |stats: &crate::stats::Stats| stats.count_now(Outcome::WouldUnlock);
                self.recorder.call(move |it| n_users(&it.stats)).map_err(Failure::internal)
            }
            CommandKind::Run | CommandKind::Verify | CommandKind::Locked => Ok(jobs.len() as u64),
        }
    }

    /// How many records have each outcome so far.
    pub(super) fn counts(&self) -> Result<Counts, Failure> {
        self.recorder.call(|it| *it.stats.counts()).map_err(Failure::internal)
    }

    /// Records those about whom nothing is asked.
    pub(super) fn record_left_out(&self, rows: Vec<(usize, Row)>) -> Result<(), Failure> {
        self.stage(Vec::new(), async |events| {
            for (record, row) in rows {
                let event = Event::JobFinished { record, row: Box::new(row), attempt: None };
                if events.send(event).await.is_err() {
                    return;
                }
            }
        })
    }

    /// Writes the files beside the results as they are now: should the program be killed, they name
    /// everybody who is outstanding.
    pub(super) fn write_lists(&self) -> Result<(), Failure> {
        if self.outputs.is_staged() || self.is_stopped() {
            return Ok(());
        }
        self.call_writer(Writer::publish_failed)?;
        let recorded = self.recorder.call(|it| it.recorded.clone()).map_err(Failure::internal)?;
        Ok(self.outputs.write_unprocessed(&self.intake.records, &recorded)?)
    }

    /// The job was allowed: its files replace those of an earlier run.
    pub(super) fn commit(&mut self) -> Result<(), Failure> {
        if !self.outputs.is_staged() {
            return Ok(());
        }
        let recorder = &self.recorder;
        let has_row = recorder.call(|it| it.recorded.clone()).map_err(Failure::internal)?;
        // A recorder that is gone is found out by the next call.
        let commit = || match recorder.call(|it| on_writer(it, Writer::commit_staged)) {
            Ok(result) => result,
            Err(_) => Ok(()),
        };
        self.outputs.commit(&self.intake.records, &has_row, commit)?;
        self.call_writer(Writer::publish_failed)
    }

    /// Why rows can no longer be recorded.
    pub(super) fn write_failure(&self) -> Option<WriteError> {
        let failure =
            |it: &mut crate::engine::Recording<'_>| it.writer.as_ref()?.failure().cloned();
        self.recorder.call(failure).ok()?
    }

    fn call_writer(
        &self,
        action: fn(&mut Writer) -> Result<(), WriteError>,
    ) -> Result<(), Failure> {
        let result = self.recorder.call(move |it| on_writer(it, action));
        Ok(result.map_err(Failure::internal)??)
    }

    /// Whom to unlock: those whom a look-up left, where one is made, else everybody.
    pub(super) fn look_up_or_pass(
        &self,
        jobs: Vec<Job>,
        known: HashMap<UserId, u64>,
    ) -> Result<Vec<UnlockJob>, Failure> {
        if self.intake.looks_up { self.look_up(jobs, known) } else { Ok(pass(jobs)) }
    }

    fn look_up(
        &self,
        jobs: Vec<Job>,
        known: HashMap<UserId, u64>,
    ) -> Result<Vec<UnlockJob>, Failure> {
        let api = &self.context.around.connection.client;
        let records = &self.intake.records.records;
        let purpose = self.context.spec.purpose();
        let work = LookUp::new(api, purpose, records, &self.intake.excluded, known);
        self.begin_stage(jobs.len())?;
        self.stage(self.listeners(), async |events| {
            let settings =
                self.context.spec.execution.look_up_pool(self.context.around.connection.pace);
            let (items, pacer) = (batches(jobs), &self.context.around.connection.pacer);
            WorkerPool::new(&work, items, settings, pacer, self.context.stop, events).run().await;
        })?;
        Ok(work.into_jobs())
    }

    /// Unlocks.
    pub(super) fn unlock(&self, jobs: Vec<UnlockJob>) -> Result<(), Failure> {
        let jobs = canaries_first(jobs, self.context.spec.canary);
        self.begin_stage(jobs.len())?;
        let JobContext { spec, around, stop, .. } = self.context;
        let work = Unlock::new(&around.connection.client, &self.intake.records.records);
        self.stage(self.plain_listeners(), async |events| {
            let settings = spec.execution.pool(around.connection.pace, spec.canary);
            let pacer = &around.connection.pacer;
            WorkerPool::new(&work, jobs, settings, pacer, stop, events).run().await;
        })
    }

    fn stage<T>(
        &self,
        listeners: Vec<Box<dyn Listener + 'env>>,
        work: impl AsyncFnOnce(EventSender) -> T,
    ) -> Result<T, Failure> {
        let signals = self.context.around.signals;
        let session = Session { stop: self.context.stop, signals, deadline: self.deadline };
        session.run(&self.runtime, &self.recorder, listeners, work).map_err(Failure::internal)
    }

    fn listeners(&self) -> Vec<Box<dyn Listener + 'env>> {
        let mut listeners = self.plain_listeners();
        if self.context.spec.input.is_recorded() && self.context.spec.command == CommandKind::Run {
            listeners.push(Box::new(Drift::new(self.context.around.console.clone())));
        }
        listeners
    }

    fn plain_listeners(&self) -> Vec<Box<dyn Listener + 'env>> {
        let scene = ReportContext {
            command: self.context.spec.command,
            ceiling: Some(ceiling(self.context.around.connection.pace)),
            records: &self.intake.records.records,
        };
        listeners(self.context.around.console, self.context.around.progress, scene)
    }
}

fn on_writer(
    recording: &mut crate::engine::Recording<'_>,
    action: fn(&mut Writer) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    recording.writer.as_mut().map_or(Ok(()), action)
}

/// Jobs that name their users by id need no look-up.
fn pass(jobs: Vec<Job>) -> Vec<UnlockJob> {
    let unlock = |job: Job| match job.target {
        Identifier::UserId(user) => {
            Some(UnlockJob { record: job.record, user, seen: None, was_locked: None })
        }
        _ => None,
    };
    jobs.into_iter().filter_map(unlock).collect()
}
