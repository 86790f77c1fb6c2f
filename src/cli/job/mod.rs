//! One job from its input to its last line: what `run`, `plan` and `verify` have in common.
//!
//! Everything that can be refused is refused before the first file is made; every file is made
//! before the first call.

mod close;
mod drift;
mod existed;
mod guards;
mod intake;
mod outputs;
mod paths;
mod plan_file;
mod spec;
mod stages;

pub(super) use close::Closed;
pub(super) use existed::{check_finished, check_instance, warn_unchecked};
pub(super) use intake::InputChoice;
pub(super) use plan_file::check_plan;
pub(super) use spec::{Answers, Execution, Existing, Spec};

use std::collections::HashMap;
use std::time::Instant;

use tokio::runtime::Builder;

use super::Context;
use super::connection::Connection;
use super::consent::Consent;
use super::failure::Failure;
use super::settings::Effective;
use super::status::Status;
use crate::engine::{Recorder, Recording, wall_clock};
use crate::model::{Outcome, StopReason, UserId};
use crate::policy::plan::Plan;
use crate::policy::stop_rule::{MaxFail, StopRule};
use crate::report::{Console, Progress, text};
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;
use crate::stats::{Counts, Size, Stats};
use crate::stop::{Signals, Stop};
use close::JobContext;
use existed::Existed;
use guards::Guards;
use intake::Intake;
use paths::Paths;
use stages::Stages;

/// What a job runs in.
pub(super) struct Surroundings<'a> {
    pub(super) connection: &'a Connection,
    pub(super) effective: &'a Effective,
    pub(super) signals: &'a Signals,
    pub(super) console: &'a Console,
    pub(super) progress: Progress,
}

impl<'a> Surroundings<'a> {
    /// What this caller gives, and the instance that is meant.
    pub(super) fn new(connection: &'a Connection, context: Context<'a>) -> Self {
        let Context { effective, signals, console, progress } = context;
        Self { connection, effective, signals, console, progress }
    }
}

/// The failed users of one instance are nobody on another.
fn check_retried(spec: &Spec, connection: &Connection, console: &Console) -> Result<(), Failure> {
    let Some(results) = spec.input.retried() else {
        if spec.input.is_retried_stdin() {
            console.warning(
                "the results come through stdin, without their manifest: cannot check the host, the \
                 kind of instance, --exclude and the look-up settings of the run that wrote them",
            );
        }
        return Ok(());
    };
    let path = Sidecars::beside(results).manifest;
    let manifest = Manifest::read(&path);
    let manifest = manifest.map_err(|error| Failure::usage(error.to_string()))?;
    check_finished(results, manifest.as_ref(), console)?;
    match manifest {
        Some(manifest) if manifest.kind != CommandKind::Run => Err(Failure::usage(format!(
            "{} is not the results file of a run, and --retry-failed takes no other",
            results.display()
        ))),
        Some(manifest) => check_instance(results, &manifest, connection),
        None => {
            console.warning(&format!(
                "{} is missing: cannot check the host, the kind of instance, --exclude and the \
                 look-up settings of the run that wrote {}",
                path.display(),
                results.display()
            ));
            Ok(())
        }
    }
}

/// What else whoever agrees should know: who is left alone, what guards the run, and why it is.
fn facts(spec: &Spec, results: String, looked_up: Option<&Counts>) -> Vec<(&'static str, String)> {
    let mut facts = vec![("results", results)];
    let left = looked_up.map(|counts| counts.iter().filter(|(_, n)| *n > 0).collect::<Vec<_>>());
    if let Some(left) = left.filter(|left| !left.is_empty()) {
        let each = |(outcome, n): &(Outcome, u64)| format!("{} {outcome}", text::number(*n));
        facts.push(("left out", left.iter().map(each).collect::<Vec<_>>().join(", ")));
    }
    let canary = spec.canary.map(|n| format!("{n} first, and the rest only if they end well"));
    let max_fail = spec.execution.max_fail.map(|most| match most {
        MaxFail::Count(n) => format!("stops at {n} failures"),
        MaxFail::Percent(percent) => format!("stops when {percent} % fail"),
    });
    let guards: Vec<String> = canary.into_iter().chain(max_fail).collect();
    if !guards.is_empty() {
        facts.push(("guards", guards.join("; ")));
    }
    facts.extend(spec.reason.clone().map(|reason| ("reason", reason)));
    facts
}

/// Runs a job to its end, whatever end that is.
pub(super) fn run(spec: &Spec, around: &Surroundings<'_>) -> Result<Closed, Failure> {
    let Surroundings { connection, console, .. } = *around;
    let mut consent = match spec.command {
        CommandKind::Run => Consent::new(spec.yes, connection.instance)?,
        CommandKind::Plan | CommandKind::Verify | CommandKind::Locked => Consent::Given,
    };
    let now = wall_clock();
    let paths = Paths::new(spec)?;
    check_retried(spec, connection, console)?;
    let intake = Intake::read(spec, now, console)?;
    let mut existed = Existed::find(spec, &paths, &intake, connection, console)?;
    let earlier = existed.resumed.as_ref().map(|it| *it.rows.counts()).unwrap_or_default();
    let done = existed.take_done();
    let known = done.users().clone();
    let plan = Plan::build(&intake.records, &intake.excluded, done, now);
    let is_tried = |it: Outcome| it == Outcome::Unlocked || it.counts_as_failure();
    let guards = Guards::new(spec, earlier.n_where(is_tried));
    let n_jobs = plan.jobs.len() as u64;
    if intake.looks_up {
        guards.check_at_most(n_jobs)?;
    } else {
        guards.check(n_jobs)?;
        let facts = facts(spec, paths.name(), None);
        consent.ask(n_jobs, connection, &facts, console, |read| Some(read()))?;
        // What was typed behind a Ctrl-C is no consent.
        if let Some(reason) = around.signals.reason() {
            return Err(Failure::new(Status::of_stop(reason), anyhow::anyhow!("not confirmed")));
        }
    }
    // Whatever can fail fails before there are files.
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let (outputs, writer, earlier) = outputs::open(spec, &paths, existed, &intake, &plan, around)?;
    let size = Size { n_records: outputs.manifest.records, n_jobs };
    let stats = Stats::new(size, Instant::now(), wall_clock()).resuming(earlier);
    let mut has_row = vec![false; intake.records.records.len()];
    plan.recorded.iter().for_each(|&record| has_row[record] = true);
    let stop = Stop::default();
    let stop_rule = StopRule { max_fail: spec.execution.max_fail, n_jobs };
    let recording = Recording::new(Some(writer), stats, has_row, stop_rule, &stop);
    let context = JobContext { spec, around, paths: &paths, stop: &stop };
    std::thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).map_err(Failure::internal)?;
        let stages = Stages::new(context, &intake, outputs, recorder, runtime);
        stages.run(plan, known, guards, consent)
    })
}

impl Stages<'_, '_> {
    fn run(
        mut self,
        plan: Plan,
        known: HashMap<UserId, u64>,
        guards: Guards,
        mut consent: Consent,
    ) -> Result<Closed, Failure> {
        let JobContext { spec, around, paths, .. } = self.context;
        self.record_left_out(plan.left_out)?;
        if let Err(failure) = self.write_lists() {
            return self.close_after(&failure);
        }
        let jobs = self.look_up_or_pass(plan.jobs, known)?;
        if self.outputs.is_staged() && self.is_stopped() {
            let status = self.stop_status().unwrap_or(Status::Internal);
            if let Some(failure) = self.write_failure() {
                around.console.error(&failure.to_string());
            }
            let text = format!(
                "stopped before any user was unlocked; the earlier run in {} is unchanged",
                paths.name()
            );
            self.roll_back(status);
            return Err(Failure::new(status, anyhow::anyhow!(text)));
        }
        if !self.is_stopped() {
            self.intake.note_exclusions(around.console);
        }
        if spec.may_be_refused_later(self.intake.looks_up) && !self.is_stopped() {
            let n_users = self.n_to_unlock(&jobs)?;
            let facts = facts(spec, paths.name(), Some(&self.counts()?));
            let wait = |read| self.unless_stopped(read);
            let Surroundings { connection, console, .. } = *around;
            let may_go_on = guards
                .check(n_users)
                .and_then(|()| consent.ask(n_users, connection, &facts, console, wait));
            if let Err(mut refusal) = may_go_on {
                refusal.status = self.stop_status().unwrap_or(refusal.status);
                self.roll_back(refusal.status);
                return Err(refusal);
            }
        }
        if let Err(failure) = self.commit() {
            return self.close_after(&failure);
        }
        if spec.command == CommandKind::Run {
            self.unlock(jobs)?;
        }
        self.close()
    }

    /// Ends a job whose files cannot be written, before its first request.
    fn close_after(self, failure: &Failure) -> Result<Closed, Failure> {
        self.context.around.console.error(&failure.to_string());
        self.context.stop.ask(StopReason::OutputFailed);
        self.close()
    }
}
