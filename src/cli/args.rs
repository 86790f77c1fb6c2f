//! The command line as it is typed. What is in effect is resolved in `settings`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::check_args::CheckArgs;
use super::filter_args::{self, FilterArgs};
use super::help;
use super::key_command::KeyCommand;
use super::metrics::MetricsArgs;
use super::sandbox_args::{EmbeddedSandboxArgs, SandboxArgs};
use super::shard::{ShardArg, shard};
use super::values::{duration, max_fail, percent, quota, rate, sha256, verbosity};
use super::{config, variables};
use crate::input::Delimiter;
use crate::job::{Execution, ExistingFile, Guards, IfEmpty, OutputSettings};
use crate::model::IdentifierKind;
use crate::policy::pacing::Quota;
use crate::policy::stop_rule::MaxFail;
use crate::report::LogFormat;
use crate::results::{SnapshotMode, USER_FIELDS};

/// What `--version` prints; `-V` prints the first line.
const LONG_VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("BUILD_COMMIT"),
    "\nbuild: ",
    env!("BUILD_KIND")
);

/// Unlock many Clerk users: paced, resumable, with one recorded outcome per user
#[derive(Debug, Parser)]
#[command(name = "bulk-unlock", version, long_version = LONG_VERSION, max_term_width = 100)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Unlock every listed user and write the results CSV
    Run(Box<RunArgs>),
    /// Show what `run` would do, without changing anything
    Plan(Box<RunArgs>),
    /// List the users who are locked now, as CSV
    Locked(Box<LockedArgs>),
    /// Check whether the users that a run unlocked are still unlocked
    Verify(Box<VerifyArgs>),
    /// Undo a run: lock the users that it unlocked
    Relock(Box<RelockArgs>),
    /// Summarize finished results, plan, and verify files
    Report(ReportArgs),
    /// Check key, address, clock, and access to the users, without changing anything
    Check(Box<CheckArgs>),
    /// Start a local server that behaves like Clerk's Backend API, for rehearsals
    Sandbox(SandboxArgs),
    /// Print a shell's completion script
    Completions(CompletionsArgs),
    /// Print the manual page of the program or of a command
    Man(ManArgs),
}

impl Command {
    /// The flags about the terminal; `None` for a command that only prints.
    pub(super) fn terminal(&self) -> Option<&TerminalArgs> {
        match self {
            Self::Run(args) | Self::Plan(args) => Some(&args.terminal),
            Self::Locked(args) => Some(&args.terminal),
            Self::Verify(args) => Some(&args.terminal),
            Self::Relock(args) => Some(&args.terminal),
            Self::Report(args) => Some(&args.terminal),
            Self::Check(args) => Some(&args.terminal),
            Self::Sandbox(args) => Some(&args.terminal),
            Self::Completions(_) | Self::Man(_) => None,
        }
    }
}

/// `run` and `plan`: a plan takes the flags of its run, so that they are checked with it and
/// repeated in the command that runs it.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    pub(super) input: InputArgs,
    #[command(flatten)]
    pub(super) filters: FilterArgs,
    #[command(flatten)]
    pub(super) selection: SelectionArgs,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) guards: GuardArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Check at the end that users stay unlocked
    #[arg(long, help_heading = "Output")]
    pub(super) verify: bool,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
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
    /// File to write; `-` is stdout
    #[arg(short, long, value_name = "PATH", default_value = "-", help_heading = "Output")]
    pub(super) output: PathBuf,
    /// Overwrite an existing file
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
    /// How much of each user to write: columns and whole JSON, columns, or IDs
    #[arg(long, value_enum, value_name = "WHAT", default_value = "summary")]
    #[arg(help_heading = "Output", hide_short_help = true)]
    pub(super) snapshot: SnapshotArg,
    /// Top-level fields of the user to replace with "[redacted]"
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', hide_possible_values = true)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    #[arg(value_parser = redacted_field())]
    pub(super) redact: Vec<String>,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
    #[command(flatten)]
    pub(super) filters: FilterArgs,
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
    /// Results file of a run
    #[arg(value_name = "RESULTS")]
    pub(super) results: PathBuf,
    /// Read back again and again for this long
    ///
    /// Each pass replaces the file. A user found locked again once stays `locked_again`, with the time at which this was first seen
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "resume")]
    #[arg(help_heading = "Execution")]
    pub(super) watch: Option<Duration>,
    /// Time from one pass to the next
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "5m")]
    #[arg(requires = "watch", help_heading = "Execution")]
    pub(super) every: Duration,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// `relock`.
#[derive(Debug, Args)]
pub(super) struct RelockArgs {
    /// Results file of a run
    #[arg(value_name = "RESULTS")]
    pub(super) results: PathBuf,
    /// File of users who must not be changed
    ///
    /// Every line, and every part of a line between delimiters, is taken as an ID, email address, phone number, username, and external ID
    #[arg(long, value_name = "FILE", help_heading = "Input")]
    pub(super) exclude: Vec<PathBuf>,
    /// Also lock users whose state before the run is not known
    ///
    /// The run did not look them up. Without this flag, results with such users are refused
    #[arg(long, help_heading = "Selection and consent")]
    pub(super) include_unknown: bool,
    /// Show what would be done, without changing anything
    #[arg(short = 'n', long, help_heading = "Selection and consent")]
    pub(super) dry_run: bool,
    /// Skip the confirmation prompt
    #[arg(short, long, help_heading = "Selection and consent")]
    pub(super) yes: bool,
    /// Reason to record, such as a ticket ID
    #[arg(long, value_name = "TEXT", help_heading = "Selection and consent")]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) guards: GuardArgs,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) metrics: MetricsArgs,
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
    /// Finished results, plan, or verify files of one incident, in any order
    #[arg(required = true, value_name = "RESULTS")]
    pub(super) results: Vec<PathBuf>,
    /// Write the summary as JSON
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    /// Write a self-contained HTML page
    #[arg(long, value_name = "PATH", help_heading = "Output")]
    pub(super) html: Option<PathBuf>,
    /// Write a page in Markdown, without personal data; `-` is stdout
    ///
    /// With `-`, the text summary is not printed
    #[arg(long, value_name = "PATH|-", help_heading = "Output")]
    pub(super) markdown: Option<PathBuf>,
    /// Include names, addresses, and messages in the HTML page, not only IDs
    #[arg(long, help_heading = "Output")]
    pub(super) report_pii: bool,
    /// Overwrite an existing page
    #[arg(long, help_heading = "Output")]
    pub(super) force: bool,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Shell to print the script for
    #[arg(value_name = "SHELL", value_parser = shell())]
    pub(super) shell: Shell,
}

/// The shells whose scripts are tested.
fn shell() -> impl TypedValueParser<Value = Shell> {
    let values = PossibleValuesParser::new(["bash", "fish", "powershell", "zsh"]);
    values.try_map(|it| it.parse::<Shell>())
}

/// `man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Command to print the page of; without one, the program's own page
    #[arg(value_name = "COMMAND")]
    pub(super) command: Option<String>,
}

/// What to read, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(super) struct InputArgs {
    /// CSV or plain list of users; `-` is stdin
    ///
    /// Without INPUT, users are read from stdin unless it is a terminal
    #[arg(value_name = "INPUT")]
    pub(super) input: Option<PathBuf>,
    /// Column that holds the users, by name or number
    ///
    /// A number is 1-based. By default the column is found by its header
    #[arg(long, value_name = "NAME|N")]
    pub(super) column: Option<String>,
    /// What the column holds: user-id, email, phone, username, external-id
    #[arg(long, value_parser = identifier_kind(), value_name = "KIND", default_value = "user-id")]
    #[arg(hide_possible_values = true)]
    pub(super) by: IdentifierKind,
    /// File of users who must not be changed
    ///
    /// Every line, and every part of a line between delimiters, is taken as an ID, email address, phone number, username, and external ID
    #[arg(long, value_name = "FILE")]
    pub(super) exclude: Vec<PathBuf>,
    /// Process the failed rows of a results file again
    ///
    /// INPUT is a results file; its `failed` and `still_locked` rows are processed into a new file
    #[arg(long, conflicts_with = "column")]
    pub(super) retry_failed: bool,
    /// Process at most N records
    #[arg(long, value_name = "N", hide_short_help = true)]
    pub(super) limit: Option<u64>,
    /// Skip the first N records
    #[arg(long, value_name = "N", hide_short_help = true)]
    #[arg(default_value_t = 0, hide_default_value = true)]
    pub(super) skip: u64,
    /// Process the K-th of N parts of the input; `auto` takes both from the engine
    ///
    /// A hash of the identifier decides, after --limit and --skip. The shards divide --quota-share; --rate, --canary, --max-fail, --expect-count, and --max-users apply to each shard. `auto` reads the variables of Cloud Run, AWS Batch, GitLab, and Slurm; in Kubernetes give auto/N
    #[arg(long, value_name = "K/N", value_parser = shard, hide_short_help = true)]
    pub(super) shard: Option<ShardArg>,
    /// What separates the cells; `none` takes each line whole
    #[arg(long, value_parser = delimiter(), value_name = "WHAT", default_value = "auto")]
    #[arg(hide_short_help = true)]
    pub(super) delimiter: Delimiter,
    /// Warn instead of refusing an input whose shape is suspicious
    #[arg(long, hide_short_help = true)]
    pub(super) lenient: bool,
    /// Input columns to repeat in the results, or `all`
    #[arg(long, value_name = "COL,...", value_delimiter = ',', hide_short_help = true)]
    pub(super) carry: Vec<String>,
    /// What to do when the input has no records
    ///
    /// [default: fail; with --all-locked: ok]
    #[arg(long, value_parser = if_empty(), value_name = "WHAT", hide_short_help = true)]
    pub(super) if_empty: Option<IfEmpty>,
    /// Refuse an input file that was last changed longer ago
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    pub(super) max_input_age: Option<Duration>,
    /// Use all locked users of the instance as the input
    ///
    /// The list is written as NAME.input.csv for results in NAME.csv; users who look locked on purpose are not in it
    #[arg(long, conflicts_with_all = OF_A_LIST)]
    pub(super) all_locked: bool,
}

fn if_empty() -> impl TypedValueParser<Value = IfEmpty> {
    let values = ["ok", "warn", "fail"];
    PossibleValuesParser::new(values).map(|value| match value.as_str() {
        "ok" => IfEmpty::Ok,
        "warn" => IfEmpty::Warn,
        _ => IfEmpty::Fail,
    })
}

fn identifier_kind() -> impl TypedValueParser<Value = IdentifierKind> {
    let values = PossibleValuesParser::new(IdentifierKind::ALL.map(IdentifierKind::flag_value));
    values.try_map(|it| IdentifierKind::from_flag_value(&it).ok_or("not a kind of identifier"))
}

/// A misspelt field would not be redacted.
fn redacted_field() -> impl TypedValueParser<Value = String> {
    PossibleValuesParser::new(USER_FIELDS)
}

fn delimiter() -> impl TypedValueParser<Value = Delimiter> {
    let values = PossibleValuesParser::new(Delimiter::ALL.map(Delimiter::flag_value));
    values.try_map(|it| Delimiter::from_flag_value(&it).ok_or("not a delimiter"))
}

/// What selects users in an input, or reads it in another way than a plan: ignored in silence,
/// `--limit 5` of a plan would unlock everyone in it.
const OF_AN_INPUT: [&str; 12] = [
    "input",
    "all_locked",
    "dry_run",
    "column",
    "by",
    "delimiter",
    "lenient",
    "limit",
    "skip",
    "carry",
    "max_input_age",
    "retry_failed",
];

/// What belongs to a list of users that exists already.
const OF_A_LIST: [&str; 9] = [
    "input",
    "column",
    "by",
    "delimiter",
    "lenient",
    "skip",
    "carry",
    "max_input_age",
    "retry_failed",
];

/// Whom to unlock, and who agreed.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(super) struct SelectionArgs {
    /// Show what would be done, without changing anything
    #[arg(short = 'n', long)]
    pub(super) dry_run: bool,
    /// Look users up first; unlock only locked ones
    ///
    /// A look-up takes one request per 100 users
    #[arg(long)]
    pub(super) only_locked: bool,
    /// Also unlock users who look locked on purpose
    ///
    /// They are locked although verification attempts are left
    #[arg(long)]
    #[arg(hide_short_help = true)]
    pub(super) include_admin_locked: bool,
    /// Unlock exactly the `would_unlock` rows of a plan
    #[arg(long, value_name = "PLAN", conflicts_with_all = OF_AN_INPUT)]
    pub(super) plan: Option<PathBuf>,
    /// Refuse a plan that is older
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    #[arg(hide_short_help = true)]
    pub(super) plan_max_age: Duration,
    /// Refuse a plan with another SHA-256 hash
    ///
    /// `plan` prints the hash; the reviewer of the plan passes it on
    #[arg(long, value_name = "HASH", value_parser = sha256, hide_short_help = true)]
    pub(super) plan_sha256: Option<String>,
    /// Skip the confirmation prompt
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Reason to record, such as a ticket ID
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// What stops a run, or keeps it from starting.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(super) struct GuardArgs {
    /// Refuse to start unless exactly N users would be unlocked
    #[arg(long, value_name = "N")]
    #[arg(hide_short_help = true)]
    pub(super) expect_count: Option<u64>,
    /// Refuse to unlock more than N users
    #[arg(long, value_name = "N")]
    pub(super) max_users: Option<u64>,
    /// Unlock N users first; stop unless all succeed
    ///
    /// They are spread over the list. After a good canary the run continues by itself
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) canary: Option<u32>,
    /// Stop when this many users fail
    ///
    /// They ended as `failed`, `rejected`, `still_locked`, or `not_found`. A percentage applies from 100 users on
    #[arg(long, value_name = "N|N%", value_parser = max_fail, help_heading = "Execution")]
    pub(super) max_fail: Option<MaxFail>,
}

/// How to send requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(super) struct ExecutionArgs {
    /// Documented rate limit of the instance
    ///
    /// [default: 1000/10s in production, 100/10s in development]
    #[arg(long, value_name = "N/TIME", value_parser = quota)]
    #[arg(hide_short_help = true)]
    pub(super) quota: Option<Quota>,
    /// Part of the rate limit to use
    ///
    /// The rest is left to the live application
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "50%")]
    pub(super) quota_share: f64,
    /// Send the share of a window at once instead of evenly spaced
    ///
    /// For instances without a live application
    #[arg(long, hide_short_help = true)]
    pub(super) burst: bool,
    /// Even pace in place of a share, such as 80/s
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    #[arg(conflicts_with_all = ["quota", "quota_share", "burst"])]
    pub(super) rate: Option<Quota>,
    /// Maximum concurrent requests
    #[arg(short, long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    #[arg(hide_short_help = true)]
    pub(super) concurrency: u16,
    /// Maximum retries per user; a 429 does not use one up
    #[arg(long, value_name = "N", default_value_t = 8, hide_short_help = true)]
    pub(super) max_retries: u32,
    /// Timeout of one attempt
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    #[arg(hide_short_help = true)]
    pub(super) timeout: Duration,
    /// Timeout for connecting
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    #[arg(hide_short_help = true)]
    pub(super) connect_timeout: Duration,
    /// Stop after this long; requests in flight end
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    #[arg(hide_short_help = true)]
    pub(super) max_duration: Option<Duration>,
    /// Stop after the API was unreachable for this long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    #[arg(hide_short_help = true)]
    pub(super) max_outage: Duration,
    /// Directory in which runs with the same key share their pace
    ///
    /// [default: $XDG_STATE_HOME/bulk-unlock or ~/.local/state/bulk-unlock]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(super) state_dir: Option<PathBuf>,
    /// The number of processes that divide the share; set by `--shard`.
    #[arg(skip = 1_u32)]
    pub(super) shards: u32,
}

/// What to write.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(super) struct OutputArgs {
    /// Results CSV; `-` is stdout
    ///
    /// [default: <INPUT stem>.results.csv, .plan.csv, .verify.csv, or .relock.csv]
    #[arg(short, long, value_name = "PATH")]
    pub(super) output: Option<PathBuf>,
    /// Skip users already in the results file
    ///
    /// Resumes a run that was stopped or killed
    #[arg(long, conflicts_with = "force")]
    pub(super) resume: bool,
    /// Overwrite an existing results file
    #[arg(long)]
    pub(super) force: bool,
    /// How much of the returned user to record: columns and whole JSON, columns, or neither
    #[arg(long, value_enum, value_name = "WHAT", default_value = "full", hide_short_help = true)]
    pub(super) snapshot: SnapshotArg,
    /// Top-level fields of the user to replace with "[redacted]"
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', hide_possible_values = true)]
    #[arg(hide_short_help = true)]
    #[arg(value_parser = redacted_field())]
    pub(super) redact: Vec<String>,
    /// Also write a self-contained HTML page
    #[arg(long, value_name = "PATH.html")]
    pub(super) report: Option<PathBuf>,
    /// Include names, addresses, and messages in the page, not only IDs
    #[arg(long, hide_short_help = true)]
    pub(super) report_pii: bool,
    /// Write the summary as JSON to stdout
    #[arg(long)]
    #[arg(hide_short_help = true)]
    pub(super) json: bool,
}

impl ExecutionArgs {
    pub(super) fn execution(&self) -> Execution {
        Execution {
            concurrency: usize::from(self.concurrency),
            max_retries: self.max_retries,
            max_duration: self.max_duration,
        }
    }
}

impl GuardArgs {
    pub(super) fn guards(&self) -> Guards {
        Guards {
            expect_count: self.expect_count,
            max_users: self.max_users,
            canary: self.canary.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
            max_fail: self.max_fail,
        }
    }
}

impl OutputArgs {
    /// The settings of an output at this path.
    pub(super) fn settings(self, path: PathBuf) -> OutputSettings {
        OutputSettings {
            path,
            existing: match (self.resume, self.force) {
                (true, _) => ExistingFile::Resume,
                (false, true) => ExistingFile::Replace,
                (false, false) => ExistingFile::Refuse,
            },
            snapshot: self.snapshot.into(),
            redact: self.redact,
            json: self.json,
            report: self.report,
            report_pii: self.report_pii,
        }
    }
}

/// `--snapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum SnapshotArg {
    /// Columns and the whole JSON
    Full,
    /// Columns only
    Summary,
    /// Neither
    None,
}

impl From<SnapshotArg> for SnapshotMode {
    fn from(snapshot: SnapshotArg) -> Self {
        match snapshot {
            SnapshotArg::Full => Self::Full,
            SnapshotArg::Summary => Self::Summary,
            SnapshotArg::None => Self::None,
        }
    }
}

/// The key and the address.
#[derive(Debug, Args)]
#[command(next_help_heading = "Secrets and addresses")]
pub(super) struct ConnectionArgs {
    /// File with the key, instead of `CLERK_SECRET_KEY`
    #[arg(long, value_name = "PATH")]
    pub(super) secret_key_file: Option<PathBuf>,
    /// Program that prints the key, such as a password manager, instead of `CLERK_SECRET_KEY`
    ///
    /// CMD is split into words as a shell does, and run without a shell. The first line of its output is the key. It is killed after 30 seconds
    #[arg(long, value_name = "CMD", value_parser = KeyCommand::parse)]
    #[arg(conflicts_with = "secret_key_file", hide_short_help = true)]
    pub(super) secret_key_command: Option<KeyCommand>,
    /// Address of the API, instead of `CLERK_API_URL`
    ///
    /// [default: Clerk's own]
    #[arg(long, value_name = "URL")]
    #[arg(hide_short_help = true)]
    pub(super) api_url: Option<String>,
    /// Allow an http: address other than loopback, which sends the key unencrypted
    #[arg(long, hide_short_help = true)]
    pub(super) allow_http: bool,
    /// PEM file of certificate authorities to trust besides the system's
    #[arg(long, value_name = "PEM", hide_short_help = true)]
    pub(super) ca_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// The files that are read for it, which must not be written.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.secret_key_file.iter().chain(&self.ca_file).cloned().collect()
    }
}

/// What to show.
#[derive(Debug, Args)]
#[command(next_help_heading = "Terminal")]
pub(super) struct TerminalArgs {
    /// How to show progress [auto: a bar on a terminal, a line every 10 s elsewhere]
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto", hide_short_help = true)]
    pub(super) progress: ProgressArg,
    /// Show only errors and one closing line
    #[arg(short, long, conflicts_with = "verbose")]
    pub(super) quiet: bool,
    /// Show failed attempts; twice: every request
    #[arg(short, long, action = clap::ArgAction::Count, value_parser = verbosity)]
    pub(super) verbose: u8,
    /// How to write messages: text, or one JSON object per line
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text", hide_short_help = true)]
    pub(super) log_format: LogFormatArg,
    /// When to use color
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub(super) color: ColorArg,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressArg {
    Auto,
    Bar,
    Lines,
    None,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormatArg {
    Text,
    Json,
}

impl From<LogFormatArg> for LogFormat {
    fn from(format: LogFormatArg) -> Self {
        match format {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorArg {
    Auto,
    Always,
    Never,
}

/// The whole command line, with an environment variable for each flag.
pub(super) fn command() -> clap::Command {
    let command = Cli::command().mut_subcommands(config::with_flag);
    let command = command.mut_subcommands(variables::with_variables);
    let names: Vec<String> = command.get_subcommands().map(|it| it.get_name().to_owned()).collect();
    let command = command.mut_subcommand("man", |man| {
        man.mut_arg("command", |arg| arg.value_parser(PossibleValuesParser::new(names)))
    });
    let command = help::with_examples(command).mut_subcommand("plan", |plan| {
        let hidden = ["dry_run", "plan", "plan_max_age", "plan_sha256", "only_locked"];
        hidden.into_iter().fold(plan, |plan, id| plan.mut_arg(id, |arg| arg.hide(true)))
    });
    let command = command.mut_subcommand("relock", |relock| {
        let guards = [
            ("expect_count", "Refuse to start unless exactly N users would be locked again"),
            ("max_users", "Refuse to lock more than N users again"),
            ("canary", "Lock N users again first; stop unless all succeed"),
        ];
        guards.into_iter().fold(relock, |relock, (id, help)| {
            relock.mut_arg(id, |arg| {
                let after = arg.get_long_help().map(ToString::to_string).unwrap_or_default();
                let after = after.split_once("\n\n").map(|(_, after)| format!("\n\n{after}"));
                arg.help(help).long_help(help.to_owned() + &after.unwrap_or_default())
            })
        })
    });
    // `run -h` has no room for filters.
    command.mut_subcommand("locked", |locked| {
        locked.mut_args(|arg| match arg.get_help_heading() {
            Some(filter_args::HEADING) => arg.hide_short_help(false),
            _ => arg,
        })
    })
}

/// The arguments that these matches of [`command`] hold.
///
/// # Errors
///
/// With clap's own text.
pub(super) fn from_matches(matches: &clap::ArgMatches) -> Result<Cli, clap::Error> {
    Cli::from_arg_matches(matches)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "sample_tests.rs"]
mod sample_tests;
