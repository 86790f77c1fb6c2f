//! The command line as it is typed. What is in effect is resolved in `settings`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::builder::{
    NonEmptyStringValueParser, PossibleValue, PossibleValuesParser, RangedI64ValueParser,
    TypedValueParser,
};
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{
    ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum,
};
use clap_complete::Shell;

use super::connection::KeyCommand;
use super::help;
use super::shard::{ShardArg, shard};
use super::values::{
    Moment, duration, email_domain, max_fail, moment, organization, percent, quota, rate, sha256,
};
use crate::input::{ColumnChoice, Delimiter};
use crate::job::{Execution, ExistingFile, Guards, IfEmpty, OutputSettings};
use crate::model::IdentifierKind;
use crate::policy::pacing::Quota;
use crate::policy::selection::{Condition, Selection};
use crate::policy::stop_rule::MaxFail;
use crate::report::LogFormat;
use crate::results::{SnapshotMode, USER_FIELDS};
use crate::sandbox::{Faults, InvalidSetting, Latency, Population, Rate};

/// The heading of the filters in the help.
const FILTERS: &str = "Filters";

/// The default of `--max-outage`.
const MAX_OUTAGE: &str = "15m";

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
    Completions {
        // The shells whose scripts are tested.
        /// Shell to print the script for
        #[arg(value_name = "SHELL")]
        #[arg(value_parser = PossibleValuesParser::new(["bash", "fish", "powershell", "zsh"])
            .try_map(|it| it.parse::<Shell>()))]
        shell: Shell,
    },
    /// Print the manual page of the program or of a command
    Man {
        /// Command to print the page of; without one, the program's own page
        #[arg(value_name = "COMMAND")]
        command: Option<String>,
    },
}

impl Command {
    /// The flags about the terminal; `None` for a command that only prints.
    pub(super) fn terminal(&self) -> Option<&TerminalArgs> {
        match self {
            Self::Check(args) => Some(&args.terminal),
            Self::Report(args) => Some(&args.terminal),
            Self::Sandbox(args) => Some(&args.terminal),
            _ => self.api().map(|(args, _)| &args.terminal),
        }
    }

    /// The flags of a command that sends requests for users, and its name in the metrics.
    pub(super) fn api(&self) -> Option<(&ApiArgs, &'static str)> {
        match self {
            Self::Run(args) if args.selection.dry_run => Some((&args.api, "plan")),
            Self::Run(args) => Some((&args.api, "run")),
            Self::Plan(args) => Some((&args.api, "plan")),
            Self::Locked(args) => Some((&args.api, "locked")),
            Self::Verify(args) => Some((&args.api, "verify")),
            Self::Relock(args) => Some((&args.api, "relock")),
            _ => None,
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
    pub(super) consent: ConsentArgs,
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
    pub(super) api: ApiArgs,
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
    pub(super) snapshot: SnapshotMode,
    /// Top-level fields of the user to replace with "[redacted]"
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', hide_possible_values = true)]
    #[arg(help_heading = "Output", hide_short_help = true)]
    #[arg(value_parser = PossibleValuesParser::new(USER_FIELDS))]
    pub(super) redact: Vec<String>,
    #[command(flatten)]
    pub(super) filters: FilterArgs,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
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
    pub(super) api: ApiArgs,
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
    #[command(flatten)]
    pub(super) consent: ConsentArgs,
    #[command(flatten)]
    pub(super) guards: GuardArgs,
    #[command(flatten)]
    pub(super) execution: ExecutionArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
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

/// `check`: the flags of a run that decide how the API is reached and paced.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Write the result as JSON
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    timeouts: TimeoutArgs,
    /// Directory in which runs with the same key share their pace
    ///
    /// [default: $XDG_STATE_HOME/bulk-unlock or ~/.local/state/bulk-unlock]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    state_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

impl CheckArgs {
    /// How its requests are sent: one after the other, each once.
    pub(super) fn execution(&self) -> ExecutionArgs {
        ExecutionArgs {
            pace: self.pace.clone(),
            concurrency: 1,
            max_retries: 0,
            timeouts: self.timeouts.clone(),
            max_duration: None,
            max_outage: Duration::MAX,
            state_dir: self.state_dir.clone(),
        }
    }
}

/// `sandbox`.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Port on 127.0.0.1; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    pub(super) port: u16,
    /// Play a development instance, with a development key and a quota of 100/10s
    #[arg(long)]
    pub(super) development: bool,
    /// Rate limit, or none [default: 1000/10s, with --development 100/10s]
    #[arg(long, value_name = "N/TIME", value_parser = sandbox_quota)]
    pub(super) quota: Option<SandboxQuota>,
    /// Play a live application with calls at this rate, such as 25/s, and report its refused calls
    #[arg(long, value_name = "N/TIME")]
    pub(super) live_app: Option<Rate>,
    /// Latency of each response, such as 20ms..200ms
    #[arg(long, value_name = "RANGE", default_value = "50ms..250ms")]
    pub(super) latency: Latency,
    /// Faults to inject, such as 20% or reset=2%,500=5%
    #[arg(long, value_name = "FAULTS", default_value = "0%")]
    pub(super) faults: Faults,
    /// Number of users that it lists, at most 10 million
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = n_users())]
    pub(super) users: u32,
    /// Seed for the generated users
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// Where requests are sent, and what is shown meanwhile.
#[derive(Debug, Args)]
pub(super) struct ApiArgs {
    /// Write metrics for Prometheus, at the end and every 10 s, readable by all users
    ///
    /// For the textfile collector of the node exporter, which reads files named *.prom. Each job needs its own file
    #[arg(long, value_name = "PATH.prom", hide_short_help = true, help_heading = "Output")]
    pub(super) metrics_file: Option<PathBuf>,
    /// Value of the label `job` in the metrics
    ///
    /// [default: the command]
    #[arg(long, value_name = "NAME", hide_short_help = true, requires = "metrics_file")]
    #[arg(help_heading = "Output", value_parser = NonEmptyStringValueParser::new())]
    pub(super) metrics_job: Option<String>,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
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
    pub(super) column: Option<ColumnChoice>,
    /// What the column holds: user-id, email, phone, username, external-id
    #[arg(long, value_name = "KIND", default_value = "user-id", hide_possible_values = true)]
    #[arg(value_parser = one_of(IdentifierKind::ALL.map(|it| (it.flag_value(), it))))]
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
    #[arg(long, value_name = "WHAT", default_value = "auto", hide_short_help = true)]
    #[arg(value_parser = one_of(Delimiter::ALL.map(|it| (it.flag_value(), it))))]
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
    #[arg(long, value_name = "WHAT", hide_short_help = true, value_parser = if_empty())]
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
    one_of([("ok", IfEmpty::Ok), ("warn", IfEmpty::Warn), ("fail", IfEmpty::Fail)])
}

/// Parses one of these words.
fn one_of<T: Copy + Send + Sync + 'static, const N: usize>(
    values: [(&'static str, T); N],
) -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(values.map(|(word, _)| word)).try_map(move |word| {
        let value = values.iter().find(|(it, _)| *it == word);
        value.map(|(_, value)| *value).ok_or("an unknown value")
    })
}

/// Flags about a list of users, which neither `--plan` nor `--all-locked` reads. If they were
/// ignored, a run would unlock users who were to be skipped.
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

/// Conditions that a locked user must meet.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = FILTERS)]
pub(super) struct FilterArgs {
    /// Only members of this organization
    ///
    /// The API checks it; the user objects that it returns do not show it
    #[arg(long, value_name = "ID", value_parser = organization, hide_short_help = true)]
    pub(super) organization: Option<String>,
    /// Only users whose primary email address has this domain
    ///
    /// Its subdomains are other domains
    #[arg(long, value_name = "DOMAIN", value_parser = email_domain, hide_short_help = true)]
    pub(super) email_domain: Option<String>,
    /// Only users who last signed in after this time, or less than this long ago
    ///
    /// A time is written with its zone, such as 2026-07-06T22:00:00Z, or as an age, such as 7d. This filter leaves out users who never signed in
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) last_sign_in_after: Option<Moment>,
    /// Only users who last signed in before this time, or longer ago
    ///
    /// This filter leaves out users who never signed in
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) last_sign_in_before: Option<Moment>,
    /// Only users who were created after this time, or less than this long ago
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) created_after: Option<Moment>,
    /// Only users who were created before this time, or longer ago
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) created_before: Option<Moment>,
    /// Only users who last changed their password after this time
    ///
    /// This filter leaves out users whose last change is not known
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) password_changed_after: Option<Moment>,
    /// Only users whose lock lasts longer than this from now, or never ends
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    pub(super) lock_ends_after: Option<Duration>,
    /// Leave out banned users
    #[arg(long, hide_short_help = true)]
    pub(super) skip_banned: bool,
}

impl FilterArgs {
    /// The conditions; an age counts from `now` on.
    pub(super) fn selection(&self, now: SystemTime) -> Selection {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = |moment: &Option<Moment>| Some(moment.as_ref()?.unix_ms(now));
        let conditions = [
            self.organization.clone().map(Condition::Organization),
            at(&self.created_after).map(Condition::CreatedAfter),
            at(&self.created_before).map(Condition::CreatedBefore),
            at(&self.last_sign_in_after).map(Condition::LastSignInAfter),
            at(&self.last_sign_in_before).map(Condition::LastSignInBefore),
            at(&self.password_changed_after).map(Condition::PasswordChangedAfter),
            self.email_domain.clone().map(Condition::EmailDomain),
            self.lock_ends_after.map(Condition::LockEndsAfter),
            self.skip_banned.then_some(Condition::NotBanned),
        ];
        Selection { conditions: conditions.into_iter().flatten().collect() }
    }
}

/// Which of the users to unlock.
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
    #[arg(long, hide_short_help = true)]
    pub(super) include_admin_locked: bool,
    /// Unlock exactly the `would_unlock` rows of a plan
    #[arg(long, value_name = "PLAN", conflicts_with_all = OF_A_LIST)]
    #[arg(conflicts_with_all = ["all_locked", "dry_run", "limit"])]
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
}

/// Confirmation of a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(super) struct ConsentArgs {
    /// Skip the confirmation prompt
    #[arg(short, long)]
    pub(super) yes: bool,
    /// Reason to record, such as a ticket ID
    #[arg(long, value_name = "TEXT")]
    pub(super) reason: Option<String>,
}

/// Limits that stop a run or keep it from starting.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(super) struct GuardArgs {
    /// Refuse to start unless exactly N users would be unlocked
    #[arg(long, value_name = "N", hide_short_help = true)]
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

/// The pace of requests.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(super) struct PaceArgs {
    /// Documented rate limit of the instance
    ///
    /// [default: 1000/10s in production, 100/10s in development]
    #[arg(long, value_name = "N/TIME", value_parser = quota, hide_short_help = true)]
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
    /// The number of processes that divide the share; set by `--shard`.
    #[arg(skip = 1_u32)]
    pub(super) shards: u32,
}

/// How long to wait for a response.
#[derive(Clone, Debug, Args)]
pub(super) struct TimeoutArgs {
    /// Timeout of one attempt
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    #[arg(hide_short_help = true)]
    pub(super) timeout: Duration,
    /// Timeout for connecting
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    #[arg(hide_short_help = true)]
    pub(super) connect_timeout: Duration,
}

/// How to send requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(super) struct ExecutionArgs {
    #[command(flatten)]
    pub(super) pace: PaceArgs,
    /// Maximum concurrent requests
    #[arg(short, long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024), hide_short_help = true)]
    pub(super) concurrency: u16,
    /// Maximum retries per user; a 429 does not use one up
    #[arg(long, value_name = "N", default_value_t = 8, hide_short_help = true)]
    pub(super) max_retries: u32,
    #[command(flatten)]
    pub(super) timeouts: TimeoutArgs,
    /// Stop after this long; requests in flight end
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    pub(super) max_duration: Option<Duration>,
    /// Stop after the API was unreachable for this long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = MAX_OUTAGE)]
    #[arg(hide_short_help = true)]
    pub(super) max_outage: Duration,
    /// Directory in which runs with the same key share their pace
    ///
    /// [default: $XDG_STATE_HOME/bulk-unlock or ~/.local/state/bulk-unlock]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(super) state_dir: Option<PathBuf>,
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
    pub(super) snapshot: SnapshotMode,
    /// Top-level fields of the user to replace with "[redacted]"
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',', hide_possible_values = true)]
    #[arg(hide_short_help = true, value_parser = PossibleValuesParser::new(USER_FIELDS))]
    pub(super) redact: Vec<String>,
    /// Also write a self-contained HTML page
    #[arg(long, value_name = "PATH.html")]
    pub(super) report: Option<PathBuf>,
    /// Include names, addresses, and messages in the page, not only IDs
    #[arg(long, hide_short_help = true)]
    pub(super) report_pii: bool,
    /// Write the summary as JSON to stdout
    #[arg(long, hide_short_help = true)]
    pub(super) json: bool,
}

impl ExecutionArgs {
    pub(super) fn execution(&self) -> Execution {
        Execution {
            concurrency: usize::from(self.concurrency),
            max_retries: self.max_retries,
            max_duration: self.max_duration,
            max_outage: Some(self.max_outage).filter(|it| duration(MAX_OUTAGE) != Ok(*it)),
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
            snapshot: self.snapshot,
            redact: self.redact,
            json: self.json,
            report: self.report,
            report_pii: self.report_pii,
        }
    }
}

impl ValueEnum for SnapshotMode {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Full, Self::Summary, Self::None]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let (name, help) = match self {
            Self::Full => ("full", "Columns and the whole JSON"),
            Self::Summary => ("summary", "Columns only"),
            Self::None => ("none", "Neither"),
        };
        Some(PossibleValue::new(name).help(help))
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
    #[arg(long, value_name = "URL", hide_short_help = true)]
    pub(super) api_url: Option<String>,
    /// Allow an http: address other than loopback, which sends the key unencrypted
    #[arg(long, hide_short_help = true)]
    pub(super) allow_http: bool,
    /// PEM file of certificate authorities to trust besides the system's
    #[arg(long, value_name = "PEM", hide_short_help = true)]
    pub(super) ca_file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
}

/// A sandbox inside the program, for one run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct EmbeddedSandboxArgs {
    /// Use a built-in server: no key, no account
    #[arg(long, conflicts_with_all = ["api_url", "secret_key_file"])]
    pub(super) sandbox: bool,
    /// Number of users that the sandbox lists, at most 10 million
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = n_users())]
    #[arg(hide_short_help = true)]
    pub(super) sandbox_users: u32,
    /// Seed for the generated users
    #[arg(long, value_name = "N", default_value_t = 1, hide_short_help = true)]
    pub(super) sandbox_seed: u64,
    /// Faults to inject, such as 20% or reset=2%,500=5%
    #[arg(long, value_name = "FAULTS", default_value = "0%", hide_short_help = true)]
    pub(super) sandbox_faults: Faults,
    /// Latency of each response, such as 20ms..200ms
    #[arg(long, value_name = "RANGE", default_value = "50ms..250ms", hide_short_help = true)]
    pub(super) sandbox_latency: Latency,
    /// Rate limit of the sandbox, or none
    #[arg(long, value_name = "N/TIME", default_value = "1000/10s", value_parser = sandbox_quota)]
    #[arg(hide_short_help = true)]
    pub(super) sandbox_quota: SandboxQuota,
}

/// A rate limit or none. (An alias, as clap reads a literal `Option` as a flag that may be absent.)
pub(super) type SandboxQuota = Option<Rate>;

fn sandbox_quota(text: &str) -> Result<SandboxQuota, InvalidSetting> {
    if text.trim() == "none" { Ok(None) } else { text.parse().map(Some) }
}

fn n_users() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=i64::from(Population::MAX_LISTED))
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
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// How to write messages: text, or one JSON object per line
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_short_help = true)]
    #[arg(value_parser = one_of([("text", LogFormat::Text), ("json", LogFormat::Json)]))]
    pub(super) log_format: LogFormat,
    /// When to use color
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub(super) color: ColorArg,
    // `settings` reads it before the command line is parsed.
    /// File of settings in TOML, such as quota-share = "30%"
    ///
    /// Keys are long flag names, with `-` or `_`. A flag takes precedence over its environment variable, and both over the file; only --exclude files of the file are added to the others. `yes`, `force`, `plan`, `reason`, `limit`, and `skip` are errors in the file. Paths are relative to the current directory
    #[arg(long, value_name = "FILE.toml", help_heading = "Configuration", hide_short_help = true)]
    config: Option<PathBuf>,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ProgressArg {
    Auto,
    Bar,
    Lines,
    None,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ColorArg {
    Auto,
    Always,
    Never,
}

/// The whole command line.
pub(super) fn command() -> clap::Command {
    let command = Cli::command();
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
            Some(FILTERS) => arg.hide_short_help(false),
            _ => arg,
        })
    })
}

/// Parses the arguments of [`command`].
pub(super) fn parse(
    command: &clap::Command,
    arguments: &[OsString],
) -> Result<(Cli, ArgMatches), clap::Error> {
    let matches = command.clone().try_get_matches_from(arguments)?;
    if let Some((name, given)) = matches.subcommand()
        && given.try_get_one("sandbox").is_ok_and(|sandbox| sandbox == Some(&false))
    {
        // With `requires`, clap would accept them beside a flag that excludes `--sandbox`.
        let is_given = |id: &str| given.value_source(id) == Some(ValueSource::CommandLine);
        let mut ids = given.ids().map(clap::Id::as_str);
        if let Some(id) = ids.find(|id| id.starts_with("sandbox_") && is_given(id)) {
            let text = format!("--{} requires --sandbox", id.replace('_', "-"));
            let mut command = command.clone();
            command.build();
            // The error shows the usage of the subcommand.
            let subcommand = command.find_subcommand(name).cloned();
            let kind = ErrorKind::MissingRequiredArgument;
            return Err(subcommand.unwrap_or(command).error(kind, text));
        }
    }
    Ok((Cli::from_arg_matches(&matches)?, matches))
}
