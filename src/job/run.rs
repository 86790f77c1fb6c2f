//! The stages of a job: users that are left out, the look-up, the confirmation, the changes. All
//! stages share one recorder.

use std::collections::HashMap;

use tokio::runtime::Runtime;

use super::connection::Connection;
use super::exit::{ExitStatus, Failure};
use super::finish::Finished;
use super::input::Input;
use super::prepare::Prepared;
use super::{Ask, Context, Job, confirm};
use crate::engine::{
    EventSender, LookUp, PoolSettings, Recorder, RecorderGone, Recording, Session, Unlock,
    UnlockJobs, Work, WorkerPool, batches, now, wall_clock,
};
use crate::model::{Event, InputRecord, Outcome, Row, StopReason, UserId};
use crate::policy::stop_rule::StopRule;
use crate::report::{Console, Listener, Metrics, Progress, ReportContext, listeners, text};
use crate::results::{Outputs, WriteError, Writer};
use crate::stats::Stats;
use crate::stats::summary::CommandKind;

/// What the stages of a job or a walk share.
pub(super) struct Stages<'scope, 'env> {
    pub(super) connection: &'env Connection,
    pub(super) context: Context<'env>,
    pub(super) session: Session<'env>,
    pub(super) runtime: Runtime,
    pub(super) recorder: Recorder<'scope, 'env>,
}

impl<'env> Stages<'_, 'env> {
    /// What reports a stage of this command about these records.
    pub(super) fn listeners(
        &self,
        command: CommandKind,
        records: &'env [InputRecord],
        progress: Progress,
    ) -> Vec<Box<dyn Listener + 'env>> {
        let ceiling = Some(self.connection.ceiling());
        let report = ReportContext { command, ceiling, records };
        let mut listeners = listeners(self.context.console, progress, report);
        listeners.extend(self.context.metrics.map(Metrics::listener));
        listeners
    }

    /// Sends requests for these items as one stage.
    pub(super) fn work<W: Work>(
        &self,
        work: &W,
        items: impl IntoIterator<Item = W::Item>,
        pool: PoolSettings,
        listeners: Vec<Box<dyn Listener + 'env>>,
    ) -> Result<(), RecorderGone> {
        let Self { connection, session, runtime, recorder, .. } = self;
        session.run(runtime, recorder, listeners, async |events| {
            WorkerPool::new(work, items, pool, &connection.pacer, session.stop, events).run().await;
        })
    }
}

/// A job that is running.
pub(super) struct RunningJob<'scope, 'env> {
    pub(super) job: &'env Job<'env>,
    pub(super) input: &'env Input,
    pub(super) outputs: Outputs,
    pub(super) stages: Stages<'scope, 'env>,
}

/// Why the stages of a job ended early.
enum Early {
    /// Refused before any user was changed: its files are rolled back.
    Refused(Failure),
    /// Its files cannot be written.
    Unwritable(WriteError),
    /// The recorder is gone.
    Internal(RecorderGone),
}

impl From<Failure> for Early {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<WriteError> for Early {
    fn from(error: WriteError) -> Self {
        Self::Unwritable(error)
    }
}

impl From<RecorderGone> for Early {
    fn from(error: RecorderGone) -> Self {
        Self::Internal(error)
    }
}

/// Runs the stages of a prepared job and finishes it.
pub(super) fn run(
    job: &Job<'_>,
    prepared: Prepared,
    mut consent: Option<Ask>,
) -> Result<Finished, Failure> {
    let Prepared { input, plan, known, n_tried, outputs, writer, stats, runtime } = prepared;
    let Job { settings, connection, context, session, .. } = *job;
    let mut has_row = vec![false; input.records.records.len()];
    plan.recorded.iter().for_each(|&place| has_row[place as usize] = true);
    let stop_rule = StopRule { max_fail: settings.guards.max_fail, n_jobs: plan.jobs.len() as u64 };
    let recording = Recording::new(Some(writer), stats, has_row, stop_rule, session.stop);
    let from_now = || now().checked_add(settings.execution.max_duration?);
    let session = Session { deadline: session.deadline.or_else(from_now), ..session };
    std::thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
        let stages = Stages { connection, context, session, runtime, recorder };
        let mut running = RunningJob { job, input: &input, outputs, stages };
        let run_stages = || {
            running.record_left_out(plan.left_out)?;
            running.publish_lists()?;
            let jobs = running.look_up(plan.jobs, known)?;
            running.refuse_if_stopped_early()?;
            if running.needs_consent() {
                let aim = settings.command.aim();
                let n_users = if settings.command.is_plan() {
                    running.stages.recorder.call(move |it| it.stats.count_now(aim))?
                } else {
                    jobs.n_jobs() as u64
                };
                settings.guards.check(settings.command, n_users, n_tried)?;
                let counts = running.stages.recorder.call(|it| *it.stats.counts())?;
                let runtime = &running.stages.runtime;
                confirm(job, &input, n_users, &counts, &mut consent, runtime)?;
            }
            if settings.command.changes_users() {
                if running.needs_consent() {
                    running.commit()?;
                }
                running.change(jobs)?;
                running.refuse_if_stopped_early()?;
            }
            running.commit()
        };
        match run_stages() {
            Ok(()) => running.finish(),
            Err(Early::Unwritable(error)) => {
                context.console.error(&Failure::from(error).to_string());
                session.stop.ask(StopReason::OutputFailed);
                running.finish()
            }
            Err(Early::Refused(failure)) => {
                running.roll_back(failure.status);
                Err(failure)
            }
            Err(Early::Internal(error)) => Err(error.into()),
        }
    })
}

impl<'env> RunningJob<'_, 'env> {
    fn is_stopped(&self) -> bool {
        self.job.session.stop.is_asked()
    }

    /// Whether guards and a person decide now, as the look-up found the number of users.
    fn needs_consent(&self) -> bool {
        self.job.settings.may_be_refused_later(self.input.looks_up) && !self.is_stopped()
    }

    fn call_writer(&self, action: fn(&mut Writer) -> Result<(), WriteError>) -> Result<(), Early> {
        Ok(self.stages.recorder.call(move |it| it.writer.as_mut().map_or(Ok(()), action))??)
    }

    fn listeners(&self) -> Vec<Box<dyn Listener + 'env>> {
        let Job { settings, context, .. } = self.job;
        self.stages.listeners(settings.command, &self.input.records.records, context.progress)
    }

    /// Starts a stage with this many jobs: the time left is that of the present stage.
    fn begin_stage(&self, n_jobs: usize) -> Result<(), RecorderGone> {
        let (at, wall) = (now(), wall_clock());
        self.stages.recorder.call(move |it| it.stats.begin_stage(n_jobs as u64, at, wall))
    }

    /// Records users who need no request.
    fn record_left_out(&self, rows: Vec<(usize, Row)>) -> Result<(), RecorderGone> {
        let Stages { session, runtime, recorder, .. } = &self.stages;
        session.run(runtime, recorder, Vec::new(), async |events: EventSender| {
            for (record, row) in rows {
                let event = Event::JobFinished { record, row: Box::new(row), attempt: None };
                if events.send(event).await.is_err() {
                    return;
                }
            }
        })
    }

    /// Writes the files beside the results as they are now: if the program is killed, they list every
    /// user without a row.
    fn publish_lists(&self) -> Result<(), Early> {
        if self.outputs.is_staged() || self.is_stopped() {
            return Ok(());
        }
        self.call_writer(Writer::publish_failed)?;
        let recorded = self.stages.recorder.call(|it| it.recorded.clone())?;
        Ok(self.outputs.write_unprocessed(&self.input.records, &recorded)?)
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
        let mut work = LookUp::new(&connection.client, purpose, &records.records, excluded, known);
        if let Some(pass) = &settings.pass {
            work = work.keeping(&pass.locked_again);
        }
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
            self.stages.work(&work, first, pool, self.listeners())?;
            self.refuse_if_stopped_early()?;
            self.commit()?;
        }
        self.stages.work(&work, batches, pool, listeners)?;
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
            self.stage()?;
            let first: Vec<_> = jobs.by_ref().take(1).collect();
            let n_before = self.n_maybe_changed()?;
            self.stages.work(&work, first, pool(canary.map(|_| 1)), self.listeners())?;
            if self.n_maybe_changed()? == n_before {
                self.refuse_if_stopped_early()?;
            }
            self.commit()?;
            canary = canary.map(|n| n.saturating_sub(1)).filter(|n| *n > 0);
        }
        Ok(self.stages.work(&work, jobs, pool(canary), self.listeners())?)
    }

    /// How many requests so far may have changed a user.
    fn n_maybe_changed(&self) -> Result<u64, RecorderGone> {
        self.stages.recorder.call(|it| it.stats.n_asked + it.stats.n_unclear)
    }

    /// Refuses a job that was stopped before it changed a user, so that its files are not in the way of
    /// the next attempt: its first request showed that the settings are wrong, or its results would
    /// replace those of an earlier run without having any.
    fn refuse_if_stopped_early(&self) -> Result<(), Early> {
        let Job { settings, connection, context, session, .. } = *self.job;
        let Some(reason) = session.stop.reason() else { return Ok(()) };
        let is_misconfigured = matches!(
            reason,
            StopReason::Unauthorized | StopReason::ProxyRefused | StopReason::UntrustedCertificate
        );
        let n_requests = self.stages.recorder.call(|it| it.stats.n_requests)?;
        let is_first_request = is_misconfigured && n_requests <= 1 && self.outputs.is_new();
        if !is_first_request && !self.outputs.is_staged() {
            return Ok(());
        }
        let failure = self.stages.recorder.call(|it| it.writer.as_ref()?.failure().cloned())?;
        if let Some(failure) = failure {
            context.console.error(&failure.to_string());
        }
        let participle = match settings.command {
            CommandKind::Verify => "read back",
            command => command.participle(),
        };
        let (earlier, before) = match settings.pass {
            Some(_) => ("pass", "during a pass".to_owned()),
            None => ("run", format!("before any user was {participle}")),
        };
        let mut text = match reason {
            StopReason::Unauthorized => connection.refused_key(),
            StopReason::ProxyRefused => "the proxy refused the connection (407)".to_owned(),
            StopReason::UntrustedCertificate => {
                format!("the certificate of {} is not trusted", connection.host)
            }
            reason => format!("stopped ({reason}) {before}"),
        };
        if is_misconfigured {
            text += &format!("; no user was {participle}");
        }
        if self.outputs.is_staged() {
            let results = settings.output.path.display();
            text += &format!("; the earlier {earlier} in {results} is unchanged");
        }
        Err(Early::Refused(Failure::text(ExitStatus::of_early_stop(reason), text)))
    }

    /// Writes the files that replace those of an earlier run, but not in their places.
    fn stage(&mut self) -> Result<(), Early> {
        let has_row = self.stages.recorder.call(|it| it.recorded.clone())?;
        self.outputs.stage(&self.input.records, &has_row).map_err(|error| {
            let (error, results) =
                (error.without_resume(), self.job.settings.output.path.display());
            let text = format!("{error} The earlier run in {results} is unchanged.");
            Failure::output(text).into()
        })
    }

    /// The job may continue: its files replace those of an earlier run.
    fn commit(&mut self) -> Result<(), Early> {
        if !self.outputs.is_staged() {
            return Ok(());
        }
        self.stage()?;
        let recorder = &self.stages.recorder;
        let has_row = recorder.call(|it| it.recorded.clone())?;
        let commit_writer = || {
            let result =
                recorder.call(|it| it.writer.as_mut().map_or(Ok(()), Writer::commit_staged));
            // The next call finds out that the recorder is gone.
            result.unwrap_or(Ok(()))
        };
        self.outputs.commit(&self.input.records, &has_row, commit_writer)?;
        self.call_writer(Writer::publish_failed)
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
