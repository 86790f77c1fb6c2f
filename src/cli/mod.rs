//! The command line: arguments become settings, settings become a job, and its end becomes an exit
//! code.

mod args;
mod check_args;
mod commands;
mod config;
mod connection;
mod consent;
mod console;
mod failure;
mod filter_args;
mod help;
mod key_command;
mod metrics;
mod sandbox_args;
mod settings;
mod shard;
mod values;
mod variables;

use std::borrow::Cow;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use args::Command;
use config::{Config, Merged};
use failure::Reporting;
use variables::Given;

use crate::clerk::SecretKey;
use crate::engine::wall_clock;
use crate::job::{Context, Effective, ExitStatus, Failure};
use crate::model::{mask_also, mask_keys};
use crate::report::{Console, Level, LogFormat, Progress, stopped_by};
use crate::stats::summary::CommandKind;
use crate::stop::{self, Ended};

/// Runs the program with these arguments, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    mask_the_key();
    let all = args::command();
    let early = Reporting::of(&all, &arguments);
    let problem = variables::unknown(&all);
    let merged = problem.map_or_else(|| with_file(all, arguments), Err);
    let (command, config, merged) = match merged {
        Ok(merged) => merged,
        Err(problem) => {
            let failure = Failure::usage(problem);
            failure::report(&failure, &console::early(early.format), early.json);
            return ExitCode::from(failure.status.code());
        }
    };
    let parsed = command
        .clone()
        .try_get_matches_from(&merged.arguments)
        .and_then(|matches| args::from_matches(&matches).map(|cli| (cli, matches)));
    match parsed {
        Err(error) => print_usage(&error, &command, &merged),
        Ok((cli, matches)) => {
            let program = merged.arguments.first().map(OsString::as_os_str).unwrap_or_default();
            let file = config.as_ref().map(|config| (config, &merged));
            let effective = settings::effective(program, &command, &matches, file);
            ExitCode::from(supervised(cli.command, effective, &merged.notes).code())
        }
    }
}

/// The command without idle variables, and the arguments with the settings of a file.
fn with_file(
    all: clap::Command,
    arguments: Vec<OsString>,
) -> Result<(clap::Command, Option<Config>, Merged), String> {
    let Some(given) = Given::of(&all, &arguments) else {
        return Ok((all, None, Merged::without_file(arguments)));
    };
    let config = Config::find(&all, &given)?;
    let mut merged = match &config {
        Some(config) => config.merge(&given, &arguments),
        None => Merged::without_file(arguments),
    };
    merged.add_variables(&given);
    Ok((variables::without_idle(all, &given, config.as_ref()), config, merged))
}

/// The key in the environment is never printed, even where it was typed as something else.
fn mask_the_key() {
    let key = std::env::var(connection::KEY_VARIABLE).ok();
    if let Some(key) = key.and_then(|key| SecretKey::parse(&key).ok()) {
        mask_also(key);
    }
}

/// Runs the command, and ends it when it is asked to end and does not.
fn supervised(command: Command, effective: Effective, notes: &[String]) -> ExitStatus {
    let (console, progress) = match command.terminal() {
        Some(args) => console::console(args),
        None => (console::early(LogFormat::Text), Progress::None),
    };
    for note in notes {
        console.note(note);
    }
    settings::print(&effective, &console);
    if let Err(error) = stop::outlive_file_size_limit() {
        console.warning(&format!("a file size limit would end this program: {error}"));
    }
    if console.format == LogFormat::Json {
        let console = console.clone();
        std::panic::set_hook(Box::new(move |panic| console.error(&panic.to_string())));
    }
    // Under `-o -`, stdout is for rows alone.
    let setting = |name: &str| effective.map.get(name).cloned().unwrap_or_default();
    let json = setting("json") == true && setting("output") != "-";
    let metrics = match metrics::create(&command) {
        Ok(metrics) => metrics.map(Arc::new),
        Err(failure) => {
            failure::report(&failure, &console, json);
            return failure.status;
        }
    };
    let (at_work, to_fill) = (console.clone(), metrics.clone());
    let ended = stop::supervise(move |signals| {
        let (console, metrics) = (&at_work, to_fill.as_deref());
        let (effective, signals) = (&effective, &*signals);
        let context = Context { effective, signals, console, progress, metrics };
        dispatch(command, context).unwrap_or_else(|failure| {
            failure::report(&failure, console, json);
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

/// The exit status of a command that ended like this, which is printed where the command did not.
fn status_of(ended: io::Result<Ended<ExitStatus>>, console: &Console, json: bool) -> ExitStatus {
    let (status, message) = match ended {
        Ok(Ended::Done(status)) => return status,
        Ok(Ended::Panicked) => (ExitStatus::Internal, "internal error".to_owned()),
        Ok(Ended::CutOff(reason)) => {
            let message = format!("Ended at once {}.", stopped_by(reason));
            // After a question, or after what is left of a bar.
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
        failure::print_object(status, &message, status.hint());
    }
    status
}

fn dispatch(command: Command, context: Context<'_>) -> Result<ExitStatus, Failure> {
    match command {
        Command::Run(args) => commands::run::run(*args, CommandKind::Run, context),
        Command::Plan(args) => commands::run::run(*args, CommandKind::Plan, context),
        Command::Locked(args) => commands::locked::locked(*args, context),
        Command::Verify(args) => commands::verify::verify(*args, context),
        Command::Relock(args) => commands::relock::relock(*args, context),
        Command::Check(args) => commands::check::command(&args, context),
        Command::Report(args) => commands::report::report(&args, context.console),
        Command::Sandbox(args) => commands::sandbox::sandbox(args, context),
        Command::Completions(args) => commands::generate::completions(args.shell),
        Command::Man(args) => commands::generate::man(args.command.as_deref()),
    }
}

/// Help and version go to stdout and are no errors.
fn print_usage(error: &clap::Error, command: &clap::Command, merged: &Merged) -> ExitCode {
    if !error.use_stderr() {
        // A closed stdout is no error of the program.
        drop(error.print());
        return ExitCode::from(ExitStatus::Success.code());
    }
    let note =
        merged.conflict_note(error) + &variables::conflict_note(error, command, &merged.arguments);
    let reporting = Reporting::of(command, &merged.arguments);
    let message = failure::message_of(error);
    let hint = if note.is_empty() { "use --help for all flags" } else { note.trim() };
    let status = ExitStatus::Usage;
    if reporting.format == LogFormat::Json {
        let console = console::early(reporting.format);
        failure::print(status, &message, Some(hint), &console, reporting.json);
        return ExitCode::from(status.code());
    }
    match mask_keys(&error.to_string()) {
        Cow::Borrowed(_) => drop(error.print()),
        Cow::Owned(masked) => console::early(reporting.format).print(Level::Answer, &masked),
    }
    console::early(reporting.format).print(Level::Answer, &note);
    if reporting.json {
        failure::print_object(status, &message, Some(hint));
    }
    ExitCode::from(status.code())
}
