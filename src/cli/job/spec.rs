//! What a job is to do: the arguments of three commands in one form, decided.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use super::InputChoice;
use crate::cli::args::{ExecutionArgs, IfEmpty, OutputArgs};
use crate::cli::failure::Failure;
use crate::engine::{PoolSettings, Purpose};
use crate::policy::decide::AdminLocked;
use crate::policy::pacing::Pace;
use crate::policy::retry::RetryPolicy;
use crate::policy::stop_rule::MaxFail;
use crate::results::{Redaction, RowFormat, SnapshotMode};
use crate::stats::summary::CommandKind;

/// What a job is to do.
#[derive(Debug)]
pub(in crate::cli) struct Spec {
    pub(in crate::cli) command: CommandKind,
    pub(in crate::cli) input: InputChoice,
    pub(in crate::cli) if_empty: IfEmpty,
    pub(in crate::cli) exclude: Option<PathBuf>,
    /// What else is read and must not be written to: the key, certificates.
    pub(in crate::cli) kept: Vec<PathBuf>,
    pub(in crate::cli) only_locked: bool,
    pub(in crate::cli) admin_locked: AdminLocked,
    pub(in crate::cli) expect_count: Option<u64>,
    pub(in crate::cli) max_users: Option<u64>,
    pub(in crate::cli) yes: bool,
    pub(in crate::cli) reason: Option<String>,
    pub(in crate::cli) canary: Option<usize>,
    pub(in crate::cli) verify: bool,
    pub(in crate::cli) output: PathBuf,
    pub(in crate::cli) answers: Answers,
    pub(in crate::cli) execution: Execution,
}

/// What is done with what comes out.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Answers {
    pub(in crate::cli) existing: Existing,
    pub(in crate::cli) snapshot: SnapshotMode,
    pub(in crate::cli) redact: Vec<String>,
    pub(in crate::cli) json: bool,
    pub(in crate::cli) report: Option<PathBuf>,
    pub(in crate::cli) report_pii: bool,
}

/// What is done with results that are there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Existing {
    /// They are left as they are, and nothing is sent.
    Refuse,
    /// `--resume`.
    Resume,
    /// `--force`.
    Replace,
}

/// How calls are made.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Execution {
    pub(in crate::cli) concurrency: usize,
    pub(in crate::cli) max_retries: u32,
    pub(in crate::cli) max_duration: Option<Duration>,
    pub(in crate::cli) max_fail: Option<MaxFail>,
}

impl Spec {
    /// Whether users are looked up first: where that is the job, where the input does not name
    /// them by ID, and where not all of them may still need it. An exclude list may need it too,
    /// which is known once it was read: see `Intake::looks_up`.
    pub(in crate::cli) fn looks_up(&self) -> bool {
        self.command != CommandKind::Run || self.only_locked || self.input.needs_look_up()
    }

    /// Whether it may be refused when files are made already: a look-up tells how many users there
    /// are, and then the guards and a person are asked.
    pub(in crate::cli) fn may_be_refused_later(&self, looks_up: bool) -> bool {
        let is_guarded = self.expect_count.is_some() || self.max_users.is_some();
        looks_up && (self.command == CommandKind::Run || is_guarded)
    }

    /// What a look-up is made for.
    pub(in crate::cli) fn purpose(&self) -> Purpose {
        match self.command {
            CommandKind::Run => Purpose::Run(self.admin_locked),
            CommandKind::Plan | CommandKind::Locked => Purpose::Plan(self.admin_locked),
            CommandKind::Verify => Purpose::ReadBack,
        }
    }

    /// How rows are written.
    pub(in crate::cli) fn row_format(&self, carried: Vec<String>) -> RowFormat {
        RowFormat {
            snapshot: self.answers.snapshot,
            redaction: Redaction::new(self.answers.redact.iter().cloned()),
            carried,
        }
    }

    /// What every row depends on.
    pub(in crate::cli) fn settings(&self) -> serde_json::Map<String, Value> {
        let snapshot = match self.answers.snapshot {
            SnapshotMode::Full => "full",
            SnapshotMode::Summary => "summary",
            SnapshotMode::None => "none",
        };
        let mut redact = self.answers.redact.clone();
        redact.sort_unstable();
        redact.dedup();
        let by = self.input.kind().flag_value().to_owned();
        let include = self.admin_locked == AdminLocked::Include;
        [
            ("by", by.into()),
            ("snapshot", snapshot.into()),
            ("redact", redact.into()),
            ("include_admin_locked", include.into()),
        ]
        .map(|(name, value): (&str, Value)| (name.to_owned(), value))
        .into_iter()
        .collect()
    }

    /// Whether the results go to stdout.
    pub(in crate::cli) fn is_to_stdout(&self) -> bool {
        self.output.as_os_str() == "-"
    }

    /// Refuses what can't be had together.
    pub(in crate::cli) fn check(&self) -> Result<(), Failure> {
        if !self.is_to_stdout() {
            return Ok(());
        }
        let answers = &self.answers;
        let flags = [
            (answers.json, "--json"),
            (answers.existing == Existing::Resume, "--resume"),
            (answers.existing == Existing::Replace, "--force"),
            (answers.report.is_some(), "--report"),
            (self.verify, "--verify"),
        ];
        match flags.into_iter().find(|(is_asked, _)| *is_asked) {
            None => Ok(()),
            Some((_, flag)) => Err(Failure::usage(format!(
                "{flag} can't be had with -o -: the results go to stdout, and no file is written"
            ))),
        }
    }
}

impl Execution {
    pub(in crate::cli) fn new(args: &ExecutionArgs) -> Self {
        Self {
            concurrency: usize::from(args.concurrency),
            max_retries: args.max_retries,
            max_duration: args.max_duration,
            max_fail: args.max_fail,
        }
    }

    /// How a worker pool that reads lists works at this pace. An answer about a hundred users or more may
    /// be large, so fewer of them are asked for at once.
    pub(in crate::cli) fn look_up_pool(self, pace: Pace) -> PoolSettings {
        const AT_ONCE: usize = 8;
        PoolSettings { concurrency: self.concurrency.min(AT_ONCE), ..self.pool(pace, None) }
    }

    /// How a worker pool works at this pace.
    pub(in crate::cli) fn pool(self, pace: Pace, canary: Option<usize>) -> PoolSettings {
        /// The part of the pace that retries alone may take when nothing succeeds.
        const TRICKLE: f64 = 0.2;
        PoolSettings {
            concurrency: self.concurrency,
            retry: RetryPolicy { max_retries: self.max_retries, ..RetryPolicy::default() },
            retries_per_second: pace.quota().per_second() * TRICKLE,
            canary,
        }
    }
}

impl Answers {
    pub(in crate::cli) fn new(output: OutputArgs) -> Self {
        Self {
            existing: match (output.resume, output.force) {
                (true, _) => Existing::Resume,
                (false, true) => Existing::Replace,
                (false, false) => Existing::Refuse,
            },
            snapshot: output.snapshot.into(),
            redact: output.redact,
            json: output.json,
            report: output.report,
            report_pii: output.report_pii,
        }
    }
}
