//! The command line joins everything: arguments become settings, settings become a run, and its
//! end becomes an exit code.

mod args;
mod commands;
mod connection;
mod consent;
mod console;
mod failure;
mod invocation;
mod job;
mod page;
mod status;

use std::borrow::Cow;
use std::ffi::OsString;
use std::process::ExitCode;

use args::Command;
use failure::Failure;
use invocation::Invocation;
use status::Status;

use crate::clerk::SecretKey;
use crate::model::{mask_also, mask_keys};
use crate::report::{Console, Level, LogFormat, Progress, Style, Verbosity, stopped_by};
use crate::stop::{self, Ended, Signals};

/// Who called a command, and what they see and say meanwhile.
#[derive(Clone, Copy)]
struct Caller<'a> {
    invocation: &'a Invocation,
    signals: &'a Signals,
    console: &'a Console,
    progress: Progress,
}

/// Runs the program with these arguments, the first of which is its own name.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    mask_the_key();
    let command = args::command_for(&arguments);
    let parsed = command
        .clone()
        .try_get_matches_from(&arguments)
        .and_then(|matches| args::from_matches(&matches).map(|cli| (cli, matches)));
    match parsed {
        Err(error) => tell_usage(&error),
        Ok((cli, matches)) => {
            let program = arguments.first().map(OsString::as_os_str).unwrap_or_default();
            let invocation = Invocation::new(program, &command, &matches);
            ExitCode::from(supervised(cli.command, invocation).code())
        }
    }
}

/// The key of the environment shows nowhere, also where it was typed as something else.
fn mask_the_key() {
    let key = std::env::var(connection::KEY_VARIABLE).ok();
    if let Some(key) = key.and_then(|key| SecretKey::parse(&key).ok()) {
        mask_also(key);
    }
}

/// Does the work, and ends it when it is asked to end and does not.
fn supervised(command: Command, invocation: Invocation) -> Status {
    let (console, progress) = console::console(command.terminal());
    if let Err(error) = stop::outlive_file_size_limit() {
        console.warning(&format!("a file size limit would end this program: {error}"));
    }
    let at_work = console.clone();
    let ended = stop::supervise(move |signals| {
        let console = &at_work;
        dispatch(command, Caller { invocation: &invocation, signals: &signals, console, progress })
    });
    match ended {
        Ok(Ended::Done(status)) => status,
        Ok(Ended::Panicked) => Status::Internal,
        Ok(Ended::CutOff(reason)) => {
            // Behind a question, or behind what is left of a bar.
            console.print(Level::Answer, &format!("\nEnded at once {}.\n", stopped_by(reason)));
            Status::of_stop(reason)
        }
        Err(error) => {
            console.error(&format!("signals can't be acks: {error}"));
            Status::Internal
        }
    }
}

fn dispatch(command: Command, caller: Caller<'_>) -> Status {
    let done = match command {
        Command::Run(args) => commands::run::run(*args, caller),
        Command::Plan(args) => commands::plan::plan(*args, caller),
        Command::Locked(args) => commands::locked::locked(&args, caller),
        Command::Verify(args) => commands::verify::verify(*args, caller),
        Command::Report(args) => commands::report::report(&args, caller.console),
        Command::Sandbox(args) => commands::sandbox::sandbox(args, caller),
    };
    done.unwrap_or_else(|failure: Failure| {
        caller.console.error(&failure.to_string());
        failure.status
    })
}

/// Help and version are answers; anything else is a mistake.
fn tell_usage(error: &clap::Error) -> ExitCode {
    match mask_keys(&error.to_string()) {
        // A closed stdout is nobody's fault here.
        Cow::Borrowed(_) => drop(error.print()),
        Cow::Owned(masked) => {
            let style = Style { colour: false };
            let console = Console::stderr(Verbosity::Normal, style, LogFormat::Text);
            console.print(Level::Answer, &masked);
        }
    }
    let status = if error.use_stderr() { Status::Usage } else { Status::Success };
    ExitCode::from(status.code())
}
