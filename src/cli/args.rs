//! The command line as it was typed: nothing is decided here. What is true is in `settings`.

mod connection;
mod execution;
mod input;
mod output;
mod sandbox;
mod selection;
mod terminal;
pub(super) mod values;
mod variables;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Args, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(super) use connection::ConnectionArgs;
pub(super) use execution::ExecutionArgs;
pub(super) use input::{IfEmpty, InputArgs};
pub(super) use output::{OutputArgs, PageArgs, SnapshotArg};
pub(super) use sandbox::{EmbeddedSandboxArgs, SandboxArgs};
pub(super) use selection::{ConsentArgs, LookUpArgs, SelectionArgs};
pub(super) use terminal::{ColorArg, ProgressArg, TerminalArgs};

const AFTER_HELP: &str = "\
Every flag has an environment variable: BULK_UNLOCK_ and the flag's long name in capitals, such as \
BULK_UNLOCK_QUOTA_SHARE=50%. A flag goes before its variable.

Exit codes: 0 all ended well; 1 some rows did not; 2 nothing was sent, usage, input or address; \
3 stopped by a guard; 4 the key; 5 not confirmed; 6 the results can't be written; 7 internal; \
130, 143 signals.";

/// Unlocks many Clerk users: paced, resumable, with one recorded outcome per user
#[derive(Debug, Parser)]
#[command(name = "bulk-unlock", version, after_help = AFTER_HELP, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Unlock every listed user and write the results CSV
    Run(Box<RunArgs>),
    /// The dry run: look every user up and write what a run would do; changes nothing
    Plan(Box<PlanArgs>),
    /// List the users who are locked now, as a CSV that `plan` and `run` read
    Locked(Box<LockedArgs>),
    /// Read back the users that a results file says were unlocked
    Verify(Box<VerifyArgs>),
    /// The summary of finished results or plan files, and with --html the page
    Report(ReportArgs),
    /// A local server that behaves like Clerk's Backend API, to rehearse against
    Sandbox(SandboxArgs),
}

impl Command {
    /// What its terminal flags say.
    pub(super) fn terminal(&self) -> &TerminalArgs {
        match self {
            Self::Run(args) => &args.terminal,
            Self::Plan(args) => &args.terminal,
            Self::Locked(args) => &args.terminal,
            Self::Verify(args) => &args.terminal,
            Self::Report(args) => &args.terminal,
            Self::Sandbox(args) => &args.terminal,
        }
    }
}

/// `run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) look_up: LookUpArgs,
    #[command(flatten)]
    pub(super) consent: ConsentArgs,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) look_up: LookUpArgs,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) page: PageArgs,
    /// Why; kept in the manifest and on the report
    #[arg(long, value_name = "TEXT", help_heading = "Selection and consent")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// `locked`.
#[derive(Debug, Args)]
pub(super) struct LockedArgs {
    /// The CSV; `-`, the default, is stdout
    #[arg(short, long, value_name = "PATH", default_value = "-", help_heading = "Output")]
    pub(super) output: PathBuf,
    /// Overwrite an existing file
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
    /// The user in the last column: whole JSON, or not
    #[arg(
        long,
        value_enum,
        value_name = "WHAT",
        default_value = "summary",
        help_heading = "Output"
    )]
    pub(super) snapshot: SnapshotArg,
    /// Top-level fields of the user that are replaced by "[redacted]"
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', help_heading = "Output")]
    pub(super) redact: Vec<String>,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// `verify`.
#[derive(Debug, Args)]
pub(super) struct VerifyArgs {
    /// The results file of a run
    #[arg(value_name = "RESULTS")]
    pub(super) results: PathBuf,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) page: PageArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// `report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Finished results or plan files; several are told as one
    #[arg(required = true, value_name = "RESULTS")]
    pub(super) results: Vec<PathBuf>,
    /// Also write the page, one self-contained HTML file
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub(super) html: Option<PathBuf>,
    /// Names, addresses and messages on the page too, not ids alone
    #[arg(long, help_heading = "Output")]
    pub(super) report_pii: bool,
    /// Overwrite an existing page
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
    /// The summary as JSON
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// The whole command line, with an environment variable for each flag.
pub(super) fn command() -> clap::Command {
    Cli::command().mut_subcommands(variables::with_variables)
}

/// The same for these arguments: a variable that they overrule is not asked.
pub(super) fn command_for(arguments: &[OsString]) -> clap::Command {
    variables::without_overruled(command(), arguments)
}

/// What the matches of [`command`] say.
///
/// # Errors
///
/// With clap's own text.
pub(super) fn from_matches(matches: &ArgMatches) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(matches)
}

#[cfg(test)]
mod tests;
