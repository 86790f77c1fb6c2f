//! The command line: arguments become settings, settings become a job, and its end becomes an exit
//! code.

mod args;
mod commands;
mod connection;
mod consent;
mod console;
mod help;
mod key_command;
mod sandbox_args;
mod settings;
mod values;
mod variables;

use std::borrow::Cow;
use std::ffi::OsString;
use std::process::ExitCode;

use args::Command;

use crate::clerk::SecretKey;
use crate::job::{Context, Effective, ExitStatus, Failure};
use crate::model::{mask_also, mask_keys};
use crate::report::{Console, Level, LogFormat, Style, Verbosity, stopped_by};
use crate::stats::summary::CommandKind;
use crate::stop::{self, Ended};

/// Runs the program with these arguments, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    mask_the_key();
    let all = args::command();
    if let Some(problem) = variables::unknown(&all) {
        plain_console().error(&problem);
        return ExitCode::from(ExitStatus::Usage.code());
    }
    let command = variables::without_idle(all, &arguments);
    let parsed = command
        .clone()
        .try_get_matches_from(&arguments)
        .and_then(|matches| args::from_matches(&matches).map(|cli| (cli, matches)));
    match parsed {
        Err(error) => print_usage(&error, &command, &arguments),
        Ok((cli, matches)) => {
            let program = arguments.first().map(OsString::as_os_str).unwrap_or_default();
            let effective = settings::effective(program, &command, &matches);
            ExitCode::from(supervised(cli.command, effective).code())
        }
    }
}

/// The key in the environment is never printed, even where it was typed as something else.
fn mask_the_key() {
    let key = std::env::var(connection::KEY_VARIABLE).ok();
    if let Some(key) = key.and_then(|key| SecretKey::parse(&key).ok()) {
        mask_also(key);
    }
}

/// Runs the command, and ends it when it is asked to end and does not.
fn supervised(command: Command, effective: Effective) -> ExitStatus {
    let (console, progress) = console::console(command.terminal());
    if let Err(error) = stop::outlive_file_size_limit() {
        console.warning(&format!("a file size limit would end this program: {error}"));
    }
    let at_work = console.clone();
    let ended = stop::supervise(move |signals| {
        let console = &at_work;
        dispatch(command, Context { effective: &effective, signals: &signals, console, progress })
    });
    match ended {
        Ok(Ended::Done(status)) => status,
        Ok(Ended::Panicked) => ExitStatus::Internal,
        Ok(Ended::CutOff(reason)) => {
            // After a question, or after what is left of a bar.
            console.print(Level::Answer, &format!("\nEnded at once {}.\n", stopped_by(reason)));
            ExitStatus::of_stop(reason)
        }
        Err(error) => {
            console.error(&format!("cannot install signal handlers: {error}"));
            ExitStatus::Internal
        }
    }
}

fn dispatch(command: Command, context: Context<'_>) -> ExitStatus {
    let done = match command {
        Command::Run(args) => commands::run::run(*args, CommandKind::Run, context),
        Command::Plan(args) => commands::run::run(*args, CommandKind::Plan, context),
        Command::Locked(args) => commands::locked::locked(*args, context),
        Command::Verify(args) => commands::verify::verify(*args, context),
        Command::Relock(args) => commands::relock::relock(*args, context),
        Command::Report(args) => commands::report::report(&args, context.console),
        Command::Sandbox(args) => commands::sandbox::sandbox(args, context),
    };
    done.unwrap_or_else(|failure: Failure| {
        context.console.error(&failure.to_string());
        failure.status
    })
}

/// Help and version go to stdout and are no errors.
fn print_usage(error: &clap::Error, command: &clap::Command, arguments: &[OsString]) -> ExitCode {
    let note = variables::conflict_note(error, command, arguments);
    match mask_keys(&error.to_string()) {
        // A closed stdout is no error of the program.
        Cow::Borrowed(_) => drop(error.print()),
        Cow::Owned(masked) => plain_console().print(Level::Answer, &masked),
    }
    plain_console().print(Level::Answer, &note);
    let status = if error.use_stderr() { ExitStatus::Usage } else { ExitStatus::Success };
    ExitCode::from(status.code())
}

/// A console for errors before the flags about it are known.
fn plain_console() -> Console {
    Console::stderr(Verbosity::Normal, Style { colour: false }, LogFormat::Text)
}
