//! One job, from its input to its last line: `prepare`, `run`, `finish`. `run`, `plan`, `verify`, and
//! `relock` are jobs; `locked` lists users instead, and `page` reports finished files.

pub(crate) mod command_line;
mod connection;
mod earlier_run;
mod exit;
mod final_states;
mod finish;
pub(crate) mod finished_files;
mod input;
mod locked;
mod output_paths;
mod prepare;
mod run;
mod settings;
mod watch;

pub(crate) use connection::{Checked, Connection, Instance, check};
pub(crate) use earlier_run::{
    check_finished, check_instance, check_plan, check_retried, check_undone, warn_of_new_sandbox,
    warn_without_manifest,
};
pub(crate) use exit::{ExitStatus, Failure};
pub(crate) use finish::Finished;
pub(crate) use input::InputSource;
pub(crate) use locked::{ListSettings, list_locked};
pub(crate) use output_paths::check_not_read;
pub(crate) use settings::{
    Effective, Execution, ExistingFile, Guards, IfEmpty, JobSettings, OutputSettings, Source,
};
pub(crate) use watch::watch;

use std::io;

use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::engine::{Session, now};
use crate::report::{Console, Metrics, Progress, text};
use crate::stats::Counts;
use crate::stats::summary::{CommandKind, Files};
use crate::stop::Signals;
use input::Input;

/// What every command needs: its settings, the signals, and where to print.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) effective: &'a Effective,
    pub(crate) signals: &'a Signals,
    pub(crate) console: &'a Console,
    pub(crate) progress: Progress,
    /// The metrics file (`--metrics-file`).
    pub(crate) metrics: Option<&'a Metrics>,
}

/// Asks the question and returns how to read the answer, which blocks. Where the answer
/// is known already (`--yes`, the sandbox), no such function is passed.
pub(crate) type Ask = Box<dyn FnOnce(&Question<'_>) -> ReadAnswer>;

/// Reads the answer: whether it is yes.
pub(crate) type ReadAnswer = Box<dyn FnOnce() -> io::Result<bool> + Send>;

/// What the confirmation prompt shows.
pub(crate) struct Question<'a> {
    pub(crate) command: CommandKind,
    pub(crate) n_users: u64,
    pub(crate) connection: &'a Connection,
    /// Further facts by name.
    pub(crate) facts: Vec<(&'static str, String)>,
}

/// What all steps of a job share.
#[derive(Clone, Copy)]
struct Job<'a> {
    settings: &'a JobSettings,
    connection: &'a Connection,
    context: Context<'a>,
    files: &'a Files,
    /// Its deadline is set where a walk is the first step.
    session: Session<'a>,
}

/// Runs a job to its end, whatever end that is.
pub(crate) fn run(
    settings: &JobSettings,
    connection: &Connection,
    context: Context<'_>,
    mut consent: Option<Ask>,
) -> Result<Finished, Failure> {
    let files = output_paths::output_files(settings, context.effective)?;
    let stop = context.signals.stop().child();
    let max_duration = settings.execution.max_duration.filter(|_| settings.input.is_instance());
    let deadline = max_duration.and_then(|length| now().checked_add(length));
    let session = Session { stop: &stop, signals: context.signals, deadline };
    let job = Job { settings, connection, context, files: &files, session };
    let walked = locked::walk_instance(&job)?;
    let prepared = prepare::prepare(&job, walked, &mut consent)?;
    run::run(&job, prepared, consent)
}

/// Asks for confirmation unless that was given; `left_out` is by outcome. An error when the answer
/// is no, or when a signal ends the wait.
fn confirm(
    job: &Job<'_>,
    input: &Input,
    n_users: u64,
    left_out: &Counts,
    consent: &mut Option<Ask>,
    runtime: &Runtime,
) -> Result<(), Failure> {
    let Some(ask) = consent.take_if(|_| n_users > 0) else { return Ok(()) };
    let Job { settings, connection, .. } = *job;
    let results = match &job.files.results {
        Some(path) => path.display().to_string(),
        None => "stdout".to_owned(),
    };
    let mut facts = vec![("results", results)];
    let left_out: Vec<String> =
        left_out.iter().map(|(outcome, n)| format!("{} {outcome}", text::number(n))).collect();
    for (name, fact) in [
        ("list", input.lines_of_walk.join(" ")),
        ("left out", left_out.join(", ")),
        ("exclude", input.describe_exclusions().unwrap_or_default()),
        ("guards", settings.guards.describe(settings.execution)),
        ("reason", settings.reason.clone().unwrap_or_default()),
    ] {
        if !fact.is_empty() {
            facts.push((name, fact));
        }
    }
    let command = settings.command;
    let read = ask(&Question { command, n_users, connection, facts });
    job.context.signals.begin_orderly();
    let (sender, receiver) = oneshot::channel();
    // Reading blocks. When a signal ends the wait, this thread ends with the process.
    std::thread::spawn(move || sender.send(read()));
    let answer = runtime.block_on(async {
        tokio::select! {
            answer = receiver => answer.ok(),
            () = job.session.stop.asked() => None,
        }
    });
    let answer = answer.transpose().map_err(Failure::internal)?;
    // Input that was typed together with Ctrl-C is not consent.
    let status = job.session.stop.reason().map(ExitStatus::of_stop);
    if answer == Some(true) && status.is_none() {
        return Ok(());
    }
    let text = format!("not confirmed; no user was {}", command.participle());
    Err(Failure::text(status.unwrap_or(ExitStatus::NotConfirmed), text))
}
