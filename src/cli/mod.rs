//! The command line: arguments become settings, settings become a job, and its end becomes an exit
//! code.

mod args;
mod check;
mod config;
mod connection;
mod consent;
mod console;
mod help;
mod report;
mod run;
mod sandbox;
mod settings;
mod shard;
mod values;
mod verify;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use args::{Command, LockedArgs};
use console::Reporting;
use settings::Resolved;

use crate::clerk::SecretKey;
use crate::engine::wall_clock;
use crate::job::{Context, Effective, ExitStatus, Failure, ListSettings, list_locked};
use crate::model::{mask_also, mask_keys};
use crate::report::{Console, Level, LogFormat, Metrics, Progress, stopped_by};
use crate::results::{LockedFormat, Redaction};
use crate::stats::summary::CommandKind;
use crate::stop::{self, Ended};

/// Runs the program with these arguments, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    // Masks the key of the environment in all output, also where it was typed as something else.
    let key = std::env::var(connection::KEY_VARIABLE).ok();
    if let Some(key) = key.and_then(|key| SecretKey::parse(&key).ok()) {
        mask_also(key);
    }
    let command = args::command();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let resolved = match settings::resolve(&command, &arguments) {
        Ok(resolved) => resolved,
        Err(problem) => {
            let reporting = Reporting::of(&command, &arguments);
            let failure = Failure::usage(problem);
            console::report(&failure, &console::early(reporting.format), reporting.json);
            return ExitCode::from(failure.status.code());
        }
    };
    let status = match args::parse(&command, &resolved.arguments) {
        Ok((cli, matches)) => {
            supervised(cli.command, resolved.effective(&command, &matches), &resolved)
        }
        Err(error) => print_usage(&error, &command, &resolved),
    };
    ExitCode::from(status.code())
}

/// Runs the command under `stop::supervise`, which ends it after a second signal.
fn supervised(command: Command, effective: Effective, resolved: &Resolved) -> ExitStatus {
    let (console, progress) = match command.terminal() {
        Some(args) => console::console(args),
        None => (console::early(LogFormat::Text), Progress::None),
    };
    for note in &resolved.notes {
        console.note(note);
    }
    for warning in &resolved.warnings {
        console.warning(warning);
    }
    settings::print(&effective, &console);
    if let Err(error) = stop::outlive_file_size_limit() {
        console.warning(&format!("a file size limit would end this program: {error}"));
    }
    if console.format == LogFormat::Json {
        let console = console.clone();
        std::panic::set_hook(Box::new(move |panic| console.error(&panic.to_string())));
    }
    // With `-o -`, stdout contains only rows.
    let setting = |name: &str| effective.map.get(name).cloned().unwrap_or_default();
    let json = setting("json") == true && setting("output") != "-";
    let metrics = match create_metrics(&command) {
        Ok(metrics) => metrics.map(Arc::new),
        Err(failure) => {
            console::report(&failure, &console, json);
            return failure.status;
        }
    };
    let (at_work, to_fill) = (console.clone(), metrics.clone());
    let ended = stop::supervise(move |signals| {
        let (console, metrics) = (&at_work, to_fill.as_deref());
        let (effective, signals) = (&effective, &*signals);
        let context = Context { effective, signals, console, progress, metrics };
        dispatch(command, context).unwrap_or_else(|failure| {
            console::report(&failure, console, json);
            failure.status
        })
    });
    let status = status_of(ended, &console, json);
    match metrics.map(|metrics| metrics.finish(status.code(), wall_clock())) {
        Some(Err(error)) => {
            console.error(&format!("cannot write the metrics file: {error}"));
            if status == ExitStatus::Success { ExitStatus::Output } else { status }
        }
        Some(Ok(())) | None => status,
    }
}

/// The exit status of a command. Prints why a command ended that could not print it itself.
fn status_of(ended: io::Result<Ended<ExitStatus>>, console: &Console, json: bool) -> ExitStatus {
    let (status, message) = match ended {
        Ok(Ended::Done(status)) => return status,
        Ok(Ended::Panicked) => (ExitStatus::Internal, "internal error".to_owned()),
        Ok(Ended::CutOff(reason)) => {
            let message = format!("Ended at once {}.", stopped_by(reason));
            // On a new line: the cursor may be behind a question or a bar.
            console.print(Level::Answer, &format!("\n{message}\n"));
            (ExitStatus::of_stop(reason), message)
        }
        Err(error) => {
            let message = format!("cannot install signal handlers: {error}");
            console.error(&message);
            (ExitStatus::Internal, message)
        }
    };
    if json {
        console::print_object(status, &message, status.hint());
    }
    status
}

fn dispatch(command: Command, context: Context<'_>) -> Result<ExitStatus, Failure> {
    match command {
        Command::Run(args) => run::run(*args, CommandKind::Run, context),
        Command::Plan(args) => run::run(*args, CommandKind::Plan, context),
        Command::Locked(args) => locked(*args, context),
        Command::Verify(args) => verify::verify(*args, context),
        Command::Relock(args) => verify::relock(*args, context),
        Command::Check(args) => check::check(&args, context),
        Command::Report(args) => report::report(&args, context),
        Command::Sandbox(args) => sandbox::sandbox(args, context),
        Command::Completions { shell } => help::completions(shell),
        Command::Man { command } => help::man(command.as_deref()),
    }
}

/// Lists the users who are locked now.
fn locked(args: LockedArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let LockedArgs { api, execution, .. } = &args;
    let connection = connection::open(&api.connection, execution, context.console)?;
    let settings = ListSettings {
        execution: execution.execution(),
        output: Some(args.output).filter(|path| path.as_os_str() != "-"),
        may_replace: args.force,
        selection: args.filters.selection(wall_clock()),
        format: LockedFormat { snapshot: args.snapshot, redaction: Redaction::new(args.redact) },
    };
    list_locked(settings, &connection, context)
}

/// Creates the metrics file (`--metrics-file`).
fn create_metrics(command: &Command) -> Result<Option<Metrics>, Failure> {
    let Some((args, name)) = command.api() else { return Ok(None) };
    let Some(path) = &args.metrics_file else { return Ok(None) };
    let job = args.metrics_job.clone().unwrap_or_else(|| name.to_owned());
    Metrics::create(path.clone(), job, wall_clock()).map(Some).map_err(|error| {
        Failure::output(format!("cannot write the metrics file {}: {error}", path.display()))
    })
}

/// Prints why the arguments were not accepted; or help or the version, which is no error.
fn print_usage(error: &clap::Error, command: &clap::Command, resolved: &Resolved) -> ExitStatus {
    if !error.use_stderr() {
        // A closed stdout is no error of the program.
        drop(error.print());
        return ExitStatus::Success;
    }
    let reporting = Reporting::of(command, &resolved.arguments);
    let note = resolved.conflict_note(error);
    let message = console::message_of(error);
    let hint = if note.is_empty() { "use --help for all flags" } else { note.trim() };
    let status = ExitStatus::Usage;
    let console = console::early(reporting.format);
    if reporting.format == LogFormat::Json {
        console::print(status, &message, Some(hint), &console, reporting.json);
        return status;
    }
    match mask_keys(&error.to_string()) {
        Cow::Borrowed(_) => drop(error.print()),
        Cow::Owned(masked) => console.print(Level::Answer, &masked),
    }
    console.print(Level::Answer, &note);
    if reporting.json {
        console::print_object(status, &message, Some(hint));
    }
    status
}

#[cfg(test)]
mod tests;
