//! One job from its input to its last line: what `run`, `plan` and `verify` have in common.
//!
//! Everything that can be refused is refused before the first file is made; every file is made
//! before the first call.

mod close;
mod drift;
mod existed;
mod guards;
mod intake;
mod next_step;
mod outputs;
mod paths;
mod plan_file;
mod seal;
mod spec;
mod stages;

pub(super) use close::Closed;
pub(super) use existed::check_instance;
pub(super) use intake::InputChoice;
pub(super) use plan_file::check_plan;
pub(super) use spec::{Answers, Execution, Existing, Spec};

use super::Caller;
use super::connection::Connection;
use super::consent::Consent;
use super::failure::Failure;
use super::invocation::Invocation;
use super::status::Status;
use crate::engine::wall_clock;
use crate::plan::Plan;
use crate::report::{Progress, Screen};
use crate::results::{Manifest, Sidecars};
use crate::stop::Signals;
use crate::summary::CommandKind;
use existed::Existed;
use guards::Guards;
use intake::Intake;
use outputs::Outputs;
use paths::Paths;
use stages::Stages;

/// What a job runs in.
pub(super) struct Surroundings<'a> {
    pub(super) connection: &'a Connection,
    pub(super) invocation: &'a Invocation,
    pub(super) signals: &'a Signals,
    pub(super) screen: &'a Screen,
    pub(super) progress: Progress,
}

impl<'a> Surroundings<'a> {
    /// What this caller gives, and the instance that is meant.
    pub(super) fn new(connection: &'a Connection, caller: Caller<'a>) -> Self {
        let Caller { invocation, signals, screen, progress } = caller;
        Self { connection, invocation, signals, screen, progress }
    }
}

/// Who failed on one instance is nobody on another.
fn check_retried(spec: &Spec, connection: &Connection) -> Result<(), Failure> {
    let Some(results) = spec.input.retried() else { return Ok(()) };
    let manifest = Manifest::read(&Sidecars::beside(results).manifest);
    let manifest = manifest.map_err(|error| Failure::usage(error.to_string()))?;
    manifest.map_or(Ok(()), |manifest| check_instance(results, &manifest, connection))
}

/// Runs a job to its end, whatever end that is.
pub(super) fn run(spec: &Spec, around: &Surroundings<'_>) -> Result<Closed, Failure> {
    let Surroundings { connection, screen, .. } = *around;
    let mut consent = match spec.command {
        CommandKind::Run => Consent::new(spec.yes, connection.instance)?,
        CommandKind::Plan | CommandKind::Verify | CommandKind::Locked => Consent::Given,
    };
    let now = wall_clock();
    let paths = Paths::new(spec)?;
    check_retried(spec, connection)?;
    let intake = Intake::read(spec, now, screen)?;
    let mut existed = Existed::find(spec, &paths, &intake, connection, screen)?;
    existed.remember(&connection.pacer, spec.execution.concurrency, now);
    let done = existed.take_done();
    let known = done.users().clone();
    let mut plan = Plan::build(&intake.records, &intake.excluded, done, now);
    let guards = Guards::new(spec);
    let n_jobs = plan.jobs.len() as u64;
    if spec.looks_up() {
        guards.check_at_most(n_jobs)?;
    } else {
        guards.check(n_jobs)?;
        consent.ask(n_jobs, connection, &paths.name(), screen, |read| Some(read()))?;
        // What was typed behind a Ctrl-C is no consent.
        if let Some(reason) = around.signals.reason() {
            return Err(Failure::new(Status::of_stop(reason), anyhow::anyhow!("not confirmed")));
        }
    }
    let jobs = std::mem::take(&mut plan.jobs);
    let outputs = Outputs::open(spec, paths, existed, &intake, &plan, around)?;
    let stages = Stages::new(spec, around, &intake, outputs, plan, n_jobs)?;
    stages.tell_left_out()?;
    let jobs = stages.look_up_or_pass(jobs, known)?;
    if spec.may_be_refused_later() && !stages.is_stopped() {
        let n_users = stages.n_to_unlock(&jobs);
        let name = stages.results_name();
        let wait = |read| stages.unless_stopped(read);
        let may_go_on = guards
            .check(n_users)
            .and_then(|()| consent.ask(n_users, connection, &name, screen, wait));
        if let Err(mut refusal) = may_go_on {
            refusal.status = stages.stop_status().unwrap_or(refusal.status);
            stages.take_back(refusal.status);
            return Err(refusal);
        }
    }
    stages.keep();
    if spec.command == CommandKind::Run {
        stages.unlock(jobs)?;
    }
    stages.close()
}
