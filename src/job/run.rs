//! The stages of a job: users that are left out, the look-up, the confirmation, the changes. All
//! stages share one recorder.

use std::collections::HashMap;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::exit::{ExitStatus, Failure};
use super::finish::Finished;
use super::input::Input;
use super::prepare::Prepared;
use super::{Ask, Job, confirm};
use crate::engine::{
    EventSender, LookUp, PoolSettings, Recorder, Recording, Session, Unlock, UnlockJobs, Work,
    WorkerPool, batches, now, wall_clock,
};
use crate::model::{Event, Outcome, Row, StopReason, UserId};
use crate::policy::stop_rule::StopRule;
use crate::report::{Console, Listener, Metrics, ReportContext, listeners, text};
use crate::results::{Outputs, WriteError, Writer};
use crate::stats::summary::CommandKind;
use crate::stats::{Size, Stats};

/// A job that is running.
pub(super) struct RunningJob<'scope, 'env> {
    pub(super) job: &'env Job<'env>,
    pub(super) input: &'env Input,
    pub(super) outputs: Outputs,
    pub(super) recorder: Recorder<'scope, 'env>,
    runtime: Runtime,
    deadline: Option<Instant>,
}

/// Why the stages of a job ended early.
enum Early {
    /// Refused before any user was changed: its files are rolled back.
    Refused(Failure),
    /// Its files cannot be written.
    Unwritable(Failure),
    /// The recorder is gone.
    Internal(Failure),
}

/// Runs the stages of a prepared job and finishes it.
pub(super) fn run(
    job: &Job<'_>,
    prepared: Prepared,
    mut consent: Option<Ask>,
) -> Result<Finished, Failure> {
    let Prepared { input, plan, known, count_check, outputs, writer, earlier, walk, runtime } =
        prepared;
    let n_jobs = plan.jobs.len() as u64;
    let size = Size { n_records: outputs.manifest.records, n_jobs };
    let mut stats = walk.unwrap_or_else(|| Stats::new(size, now(), wall_clock()));
    stats.size = size;
    let stats = stats.resuming(earlier);
    let mut has_row = vec![false; input.records.records.len()];
    plan.recorded.iter().for_each(|&record| has_row[record] = true);
    let stop_rule = StopRule { max_fail: job.settings.guards.max_fail, n_jobs };
    let recording = Recording::new(Some(writer), stats, has_row, stop_rule, job.stop);
    let max_duration = job.settings.execution.max_duration;
    let from_now = || max_duration.and_then(|length| now().checked_add(length));
    let deadline = job.deadline.or_else(from_now);
    std::thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
        let mut running = RunningJob { job, input: &input, outputs, recorder, runtime, deadline };
        let stages = || {
            running.record_left_out(plan.left_out)?;
            running.publish_lists()?;
            let jobs = running.look_up(plan.jobs, known)?;
            running.refuse_if_stopped_early()?;
            if running.needs_consent() {
                let n_users = running.n_to_change(&jobs)?;
                count_check.check(n_users).map_err(Early::Refused)?;
                let counts = running.call(|it| *it.stats.counts())?;
                confirm(job, &input, n_users, &counts, &mut consent, &running.runtime)
                    .map_err(Early::Refused)?;
            }
            if job.settings.command.changes_users() {
                if running.needs_consent() {
                    running.commit()?;
                }
                running.change(jobs)?;
                running.refuse_if_stopped_early()?;
            }
            running.commit()
        };
        match stages() {
            Ok(()) => running.finish(),
            Err(Early::Unwritable(failure)) => {
                job.context.console.error(&failure.to_string());
                job.stop.ask(StopReason::OutputFailed);
                running.finish()
            }
            Err(Early::Refused(failure)) => {
                running.roll_back(failure.status);
                Err(failure)
            }
            Err(Early::Internal(failure)) => Err(failure),
        }
    })
}

impl<'env> RunningJob<'_, 'env> {
    fn is_stopped(&self) -> bool {
        self.job.stop.is_asked()
    }

    /// Whether guards and a person decide now, as the look-up found the number of users.
    fn needs_consent(&self) -> bool {
        self.job.settings.may_be_refused_later(self.input.looks_up) && !self.is_stopped()
    }

    /// Does something with the recorder's state.
    fn call<T: Send + 'env>(
        &self,
        action: impl FnOnce(&mut Recording<'env>) -> T + Send + 'env,
    ) -> Result<T, Early> {
        self.recorder.call(action).map_err(|error| Early::Internal(Failure::internal(error)))
    }

    fn call_writer(&self, action: fn(&mut Writer) -> Result<(), WriteError>) -> Result<(), Early> {
        let result = self.call(move |it| it.writer.as_mut().map_or(Ok(()), action))?;
        result.map_err(|error| Early::Unwritable(error.into()))
    }

    /// Records users of whom nothing is requested.
    fn record_left_out(&self, rows: Vec<(usize, Row)>) -> Result<(), Early> {
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
    /// every user who is outstanding.
    fn publish_lists(&self) -> Result<(), Early> {
        if self.outputs.is_staged() || self.is_stopped() {
            return Ok(());
        }
        self.call_writer(Writer::publish_failed)?;
        let recorded = self.call(|it| it.recorded.clone())?;
        let written = self.outputs.write_unprocessed(&self.input.records, &recorded);
        written.map_err(|error| Early::Unwritable(error.into()))
    }

    /// The users to change: those that a look-up selected, where one is made, otherwise all.
    fn look_up(
        &mut self,
        jobs: Vec<u32>,
        known: HashMap<UserId, u64>,
    ) -> Result<UnlockJobs, Early> {
        if !self.input.looks_up {
            return Ok(UnlockJobs::Planned(jobs));
        }
        let Job { settings, connection, context, .. } = *self.job;
        let Input { records, excluded, .. } = self.input;
        let purpose = settings.purpose();
        let work = LookUp::new(&connection.client, purpose, &records.records, excluded, known);
        let work = match &settings.pass {
            Some(pass) => work.keeping(&pass.locked_again),
            None => work,
        };
        let pool = settings.execution.look_up_pool(connection.pace);
        let mut listeners = self.listeners();
        if settings.input.is_rows() && settings.command == CommandKind::Run {
            let drift = PlanDrift { console: context.console.clone(), n_changed: 0 };
            listeners.push(Box::new(drift));
        }
        self.begin_stage(jobs.len())?;
        let mut batches = batches(records, jobs);
        if self.outputs.is_staged() && !settings.may_be_refused_later(true) {
            let first: Vec<_> = batches.by_ref().take(1).collect();
            self.work(&work, first, pool, self.listeners())?;
            self.refuse_if_stopped_early()?;
            self.commit()?;
        }
        self.work(&work, batches, pool, listeners)?;
        if let Some(exclusions) = self.input.describe_exclusions().filter(|_| !self.is_stopped()) {
            context.console.note(&format!("Excluded: {exclusions}"));
        }
        Ok(UnlockJobs::LookedUp(work.into_jobs()))
    }

    /// Unlocks the users, or locks them again.
    fn change(&mut self, jobs: UnlockJobs) -> Result<(), Early> {
        let Job { settings, connection, .. } = *self.job;
        let records = &self.input.records;
        let pool = |canary| settings.execution.pool(connection.pace, canary);
        let mut canary = settings.guards.canary;
        self.begin_stage(jobs.n_jobs())?;
        let mut jobs = jobs.canaries_first(canary).into_jobs(records);
        let work = match settings.command {
            CommandKind::Relock => Unlock::undo(&connection.client, &records.records),
            _ => Unlock::new(&connection.client, &records.records),
        };
        if self.outputs.is_staged() {
            let first: Vec<_> = jobs.by_ref().take(1).collect();
            let n_before = self.call(|it| it.stats.n_asked)?;
            self.work(&work, first, pool(canary.map(|_| 1)), self.listeners())?;
            if self.call(|it| it.stats.n_asked)? == n_before {
                self.refuse_if_stopped_early()?;
            }
            self.commit()?;
            canary = canary.map(|n| n.saturating_sub(1)).filter(|n| *n > 0);
        }
        self.work(&work, jobs, pool(canary), self.listeners())
    }

    /// Sends requests for these items as one stage.
    fn work<W: Work>(
        &self,
        work: &W,
        items: impl IntoIterator<Item = W::Item> + 'env,
        pool: PoolSettings,
        listeners: Vec<Box<dyn Listener + 'env>>,
    ) -> Result<(), Early> {
        let Job { connection, stop, .. } = *self.job;
        self.stage(listeners, async |events| {
            WorkerPool::new(work, items, pool, &connection.pacer, stop, events).run().await;
        })
    }

    /// The number of users to change; for a plan, the number that its run would change.
    fn n_to_change(&self, jobs: &UnlockJobs) -> Result<u64, Early> {
        let command = self.job.settings.command;
        if command.is_plan() {
            return self.call(move |it| it.stats.count_now(command.aim()));
        }
        Ok(jobs.n_jobs() as u64)
    }

    /// A job that was stopped before it changed anything leaves no file in the way of the next
    /// attempt: its first request showed that the settings are wrong, or an earlier run's results
    /// would be replaced by nothing.
    fn refuse_if_stopped_early(&self) -> Result<(), Early> {
        let Some(reason) = self.job.stop.reason() else { return Ok(()) };
        let is_misconfigured = matches!(
            reason,
            StopReason::Unauthorized | StopReason::ProxyRefused | StopReason::UntrustedCertificate
        );
        let n_requests = self.call(|it| it.stats.n_requests)?;
        let is_first_request = is_misconfigured && n_requests <= 1 && self.outputs.is_new();
        if !is_first_request && !self.outputs.is_staged() {
            return Ok(());
        }
        let failure = self.call(|it| it.writer.as_ref()?.failure().cloned())?;
        if let Some(failure) = failure {
            self.job.context.console.error(&failure.to_string());
        }
        let mut status = ExitStatus::of_stop(reason);
        let Job { settings, connection, .. } = *self.job;
        let participle = settings.command.participle();
        let mut text = match reason {
            StopReason::Unauthorized => {
                format!("the API refused the {} (401)", connection.key_and_host())
            }
            StopReason::ProxyRefused => "the proxy refused the connection (407)".to_owned(),
            StopReason::UntrustedCertificate => {
                format!("the certificate of {} is not trusted", connection.host)
            }
            reason if settings.pass.is_some() => format!("stopped ({reason}) during a pass"),
            reason => format!("stopped ({reason}) before any user was {participle}"),
        };
        if is_misconfigured {
            if reason != StopReason::Unauthorized {
                status = ExitStatus::Usage;
            }
            text += &format!("; no user was {participle}");
        }
        if self.outputs.is_staged() {
            let earlier = if settings.pass.is_some() { "pass" } else { "run" };
            text += &format!("; the earlier {earlier} in {} is unchanged", self.job.paths.name());
        }
        Err(Early::Refused(Failure::new(status, anyhow::anyhow!(text))))
    }

    /// The job may continue: its files replace those of an earlier run.
    fn commit(&mut self) -> Result<(), Early> {
        if !self.outputs.is_staged() {
            return Ok(());
        }
        let has_row = self.call(|it| it.recorded.clone())?;
        let recorder = &self.recorder;
        let commit_writer = || {
            let result =
                recorder.call(|it| it.writer.as_mut().map_or(Ok(()), Writer::commit_staged));
            // The next call finds out that the recorder is gone.
            result.unwrap_or(Ok(()))
        };
        let committed = self.outputs.commit(&self.input.records, &has_row, commit_writer);
        committed.map_err(|error| Early::Unwritable(error.into()))?;
        self.call_writer(Writer::publish_failed)
    }

    /// Starts a stage with this many jobs: the time left is that of the present stage.
    fn begin_stage(&self, n_jobs: usize) -> Result<(), Early> {
        let (at, wall) = (now(), wall_clock());
        self.call(move |it| it.stats.begin_stage(n_jobs as u64, at, wall))
    }

    fn stage<T>(
        &self,
        listeners: Vec<Box<dyn Listener + 'env>>,
        work: impl AsyncFnOnce(EventSender) -> T,
    ) -> Result<T, Early> {
        let Job { context, stop, .. } = *self.job;
        let session = Session { stop, signals: context.signals, deadline: self.deadline };
        let ran = session.run(&self.runtime, &self.recorder, listeners, work);
        ran.map_err(|error| Early::Internal(Failure::internal(error)))
    }

    fn listeners(&self) -> Vec<Box<dyn Listener + 'env>> {
        let Job { settings, connection, context, .. } = *self.job;
        let report = ReportContext {
            command: settings.command,
            ceiling: Some(connection.ceiling()),
            records: &self.input.records.records,
        };
        let mut listeners = listeners(context.console, context.progress, report);
        listeners.extend(context.metrics.map(Metrics::listener));
        listeners
    }
}

/// Reports users of a plan who no longer need to be unlocked.
struct PlanDrift {
    console: Console,
    n_changed: u64,
}

impl PlanDrift {
    /// How many users are shown one by one; all of them have rows.
    const MAX_SHOWN: u64 = 20;
}

impl Listener for PlanDrift {
    fn on_event(&mut self, event: &Event, _: &Stats) {
        let Event::JobFinished { row, .. } = event else { return };
        // A user who could not be looked up may not have changed.
        if matches!(row.outcome, Outcome::Failed | Outcome::Rejected | Outcome::Excluded) {
            return;
        }
        self.n_changed += 1;
        if self.n_changed <= Self::MAX_SHOWN {
            let (line, input, outcome) = (row.line, &row.input, row.outcome);
            let meaning = outcome.meaning();
            self.console.note(&format!("drift: line {line}, {input}: {outcome} ({meaning})"));
        }
    }

    fn finish(self: Box<Self>) {
        if self.n_changed > 0 {
            let users = text::counted(self.n_changed, "user", "users");
            let more = if self.n_changed > Self::MAX_SHOWN { "; the results list all" } else { "" };
            self.console.warning(&format!(
                "left out {users} of the plan who changed since it was made{more}"
            ));
        }
    }
}
