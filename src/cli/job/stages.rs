//! The stages of a job: those left out, the look-up, the unlocks. Each is a session of its own,
//! and all of them share the journal, the counts, the pace and the stop bit.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::drift::Drift;
use super::intake::Intake;
use super::outputs::Outputs;
use super::{Spec, Surroundings};
use crate::cli::consent::ceiling;
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::engine::{
    EventSender, LookUp, Recorder, Session, Unlock, UnlockJob, WorkerPool, batches, canaries_first,
    wall_clock,
};
use crate::model::{Event, Identifier, Job, Outcome, Row, UserId};
use crate::policy::plan::Plan;
use crate::policy::stop_rule::StopRule;
use crate::report::{Listener, ReportContext, listeners};
use crate::results::{WriteError, Writer};
use crate::stats::summary::CommandKind;
use crate::stats::{Counts, Size, Stats};
use crate::stop::Stop;

/// A job under way.
pub(super) struct Stages<'a> {
    pub(super) spec: &'a Spec,
    pub(super) around: &'a Surroundings<'a>,
    pub(super) intake: &'a Intake,
    pub(super) stop: Stop,
    left_out: RefCell<Vec<Row>>,
    n_jobs: u64,
    runtime: Runtime,
    deadline: Option<Instant>,
    pub(super) state: RefCell<State>,
}

/// What a recorder is given and gives back.
pub(super) struct State {
    pub(super) outputs: Outputs,
    pub(super) stats: Stats,
    /// Which records have a row.
    pub(super) recorded: Vec<bool>,
    /// Why rows could not be written.
    pub(super) failure: Option<WriteError>,
}

impl<'a> Stages<'a> {
    pub(super) fn new(
        spec: &'a Spec,
        around: &'a Surroundings<'a>,
        intake: &'a Intake,
        outputs: Outputs,
        plan: Plan,
        n_jobs: u64,
    ) -> Result<Self, Failure> {
        let runtime =
            Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
        let now = Instant::now();
        let size = Size { n_records: outputs.manifest.records, n_jobs, earlier: outputs.earlier };
        let mut recorded = vec![false; intake.records.records.len()];
        plan.recorded.iter().for_each(|&record| recorded[record] = true);
        let stats = Stats::new(size, now, wall_clock());
        let run = State { outputs, stats, recorded, failure: None };
        Ok(Self {
            spec,
            around,
            intake,
            stop: Stop::default(),
            left_out: RefCell::new(plan.left_out),
            n_jobs,
            runtime,
            deadline: spec.execution.max_duration.and_then(|length| now.checked_add(length)),
            state: RefCell::new(run),
        })
    }

    /// Whether a stop was asked for.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_asked()
    }

    /// The exit code of that stop.
    pub(super) fn stop_status(&self) -> Option<Status> {
        self.stop.reason().map(Status::of_stop)
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
                () = self.stop.asked() => None,
                never = self.around.signals.forward(&self.stop, || {}) => match never {},
            }
        })
    }

    /// How many users are to be unlocked; of a plan, how many its run would unlock.
    pub(super) fn n_to_unlock(&self, jobs: &[UnlockJob]) -> u64 {
        match self.spec.command {
            CommandKind::Plan => self.state.borrow().stats.count_now(Outcome::WouldUnlock),
            CommandKind::Run | CommandKind::Verify | CommandKind::Locked => jobs.len() as u64,
        }
    }

    /// How many records have each outcome so far.
    pub(super) fn counts(&self) -> Counts {
        *self.state.borrow().stats.counts()
    }

    /// Where the results are, as people call them.
    pub(super) fn results_name(&self) -> String {
        self.state.borrow().outputs.paths.name()
    }

    /// Records those about whom nothing is asked, and writes the files beside the results as they
    /// are now: should the program be killed, they name everybody who is outstanding.
    pub(super) fn tell_left_out(&self) -> Result<(), Failure> {
        let rows = self.left_out.take();
        self.stage(Vec::new(), async |events| {
            for row in rows {
                let event = Event::JobFinished { row: Box::new(row), attempt: None };
                if events.events.send(event).await.is_err() {
                    return;
                }
            }
        })?;
        let state = self.state.borrow();
        match &state.failure {
            Some(_) => Ok(()),
            None => self.write_lists(&state).map(drop),
        }
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
        let api = &self.around.connection.client;
        let records = &self.intake.records.records;
        let purpose = self.spec.purpose();
        let work = LookUp::new(api, purpose, records, &self.intake.excluded, known);
        self.state.borrow_mut().stats.begin_stage(jobs.len() as u64, Instant::now(), wall_clock());
        self.stage(self.listeners(), async |events| {
            let settings = self.spec.execution.look_up_pool(self.around.connection.pace);
            let (items, pacer) = (batches(jobs), &self.around.connection.pacer);
            WorkerPool::new(&work, items, settings, pacer, &self.stop, events).run().await;
        })?;
        Ok(work.into_jobs())
    }

    /// Unlocks.
    pub(super) fn unlock(&self, jobs: Vec<UnlockJob>) -> Result<(), Failure> {
        let jobs = canaries_first(jobs, self.spec.canary);
        self.state.borrow_mut().stats.begin_stage(jobs.len() as u64, Instant::now(), wall_clock());
        let work = Unlock::new(&self.around.connection.client);
        let listeners = self.plain_listeners();
        self.stage(listeners, async |events| {
            let settings = self.spec.execution.pool(self.around.connection.pace, self.spec.canary);
            let pacer = &self.around.connection.pacer;
            WorkerPool::new(&work, jobs, settings, pacer, &self.stop, events).run().await;
        })
    }

    /// One session, with the journal in the hands of its recorder meanwhile.
    fn stage<T>(
        &self,
        listeners: Vec<Box<dyn Listener + '_>>,
        work: impl AsyncFnOnce(EventSender<'_>) -> T,
    ) -> Result<T, Failure> {
        let mut state = self.state.borrow_mut();
        let writer = state.outputs.take_writer()?;
        let recorder = Recorder {
            records: &self.intake.records.records,
            writer,
            stats: state.stats.clone(),
            listeners,
            stop_rule: StopRule { max_fail: self.spec.execution.max_fail, n_jobs: self.n_jobs },
            stop: &self.stop,
            recorded: std::mem::take(&mut state.recorded),
        };
        let signals = self.around.signals;
        let session = Session { stop: &self.stop, signals, deadline: self.deadline };
        let (finished, done) =
            session.run(&self.runtime, recorder, work).map_err(Failure::internal)?;
        finished.listeners.into_iter().for_each(Listener::finish);
        state.outputs.writer = Some(finished.writer);
        state.stats = finished.stats;
        state.recorded = finished.recorded;
        state.failure = finished.failure.or(state.failure.take());
        Ok(done)
    }

    fn listeners(&self) -> Vec<Box<dyn Listener + '_>> {
        let mut listeners = self.plain_listeners();
        if self.spec.input.is_recorded() && self.spec.command == CommandKind::Run {
            let records = &self.intake.records.records;
            listeners.push(Box::new(Drift::new(self.around.console.clone(), records)));
        }
        listeners
    }

    fn plain_listeners(&self) -> Vec<Box<dyn Listener + '_>> {
        let scene = ReportContext {
            command: self.spec.command,
            ceiling: Some(ceiling(self.around.connection.pace)),
            records: &self.intake.records.records,
        };
        listeners(self.around.console, self.around.progress, scene)
    }
}

impl Outputs {
    pub(super) fn take_writer(&mut self) -> Result<Writer, Failure> {
        let writer = self.writer.take();
        writer.ok_or_else(|| Failure::internal(anyhow::anyhow!("the journal is not at hand")))
    }
}

/// Jobs that name their users by id need no look-up.
fn pass(jobs: Vec<Job>) -> Vec<UnlockJob> {
    let unlock = |job: Job| match job.target {
        Identifier::UserId(user) => Some(UnlockJob { record: job.record, user, seen: None }),
        _ => None,
    };
    jobs.into_iter().filter_map(unlock).collect()
}
