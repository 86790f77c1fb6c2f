//! The settings of one job, resolved and checked: nothing from here on reads flags, variables, or
//! defaults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Map, Value};

use super::command_line::CommandLine;
use super::exit::Failure;
use super::input::InputSource;
use super::watch::Pass;
use crate::engine::{PoolSettings, Purpose};
use crate::policy::classify::AdminLocked;
use crate::policy::pacing::Pace;
use crate::policy::retry::RetryPolicy;
use crate::policy::shard::Shard;
use crate::policy::stop_rule::MaxFail;
use crate::report::text::duration;
use crate::results::SnapshotMode;
use crate::stats::summary::CommandKind;

/// The settings in effect, whatever their source, in the two forms in which files and messages
/// repeat them.
#[derive(Clone, Debug)]
pub(crate) struct Effective {
    /// Each setting under its long name, with `_` for `-`, for the manifest.
    pub(crate) map: Map<String, Value>,
    /// The same as a command, from which the next commands are made.
    pub(crate) line: CommandLine,
    /// Where each setting of the map comes from.
    pub(crate) sources: BTreeMap<String, Source>,
    /// The files that hold settings, keys or certificates. They must not be written to.
    pub(crate) files: Vec<PathBuf>,
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// An argument.
    Flag,
    /// An environment variable.
    Environment,
    /// This line of a configuration file, as `FILE:LINE`.
    File(String),
    /// It is not set.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment => f.write_str("environment"),
            Self::File(place) => write!(f, "file {place}"),
            Self::Default => f.write_str("default"),
        }
    }
}

impl Effective {
    /// Sets a flag with one value.
    pub(crate) fn set_value(&mut self, flag: &str, value: String) {
        self.line = self.line.clone().value(flag, &value);
        self.map.insert(flag.replace('-', "_"), value.into());
    }

    /// Sets a flag that is given once for each value.
    pub(crate) fn set_values(&mut self, flag: &str, values: Vec<OsString>) {
        let texts: Vec<Value> =
            values.iter().map(|value| value.to_string_lossy().into_owned().into()).collect();
        let value = match <[Value; 1]>::try_from(texts) {
            Ok([value]) => value,
            Err(texts) => Value::Array(texts),
        };
        self.map.insert(flag.replace('-', "_"), value);
        self.line = self.line.clone().values(flag, values);
    }
}

/// The settings of one job.
#[derive(Debug)]
pub(crate) struct JobSettings {
    pub(crate) command: CommandKind,
    pub(crate) input: InputSource,
    pub(crate) if_empty: IfEmpty,
    /// The part of the input to process; `None` is all of it.
    pub(crate) shard: Option<Shard>,
    /// Files of users who must not be changed.
    pub(crate) exclude: Vec<PathBuf>,
    pub(crate) only_locked: bool,
    /// The hash of the plan that is run, as it was checked.
    pub(crate) plan_sha256: Option<String>,
    pub(crate) admin_locked: AdminLocked,
    pub(crate) guards: Guards,
    pub(crate) reason: Option<String>,
    /// Read back at the end what was unlocked.
    pub(crate) verify: bool,
    /// The pass of a watch that this job is.
    pub(crate) pass: Option<Pass>,
    pub(crate) execution: Execution,
    pub(crate) output: OutputSettings,
}

/// What to do when the input has no records (`--if-empty`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfEmpty {
    /// Exit 0.
    Ok,
    /// Exit 0 with a warning.
    Warn,
    /// Exit 2.
    Fail,
}

/// What keeps a run from starting, or stops it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Guards {
    pub(crate) expect_count: Option<u64>,
    pub(crate) max_users: Option<u64>,
    pub(crate) canary: Option<usize>,
    pub(crate) max_fail: Option<MaxFail>,
}

/// How requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Execution {
    pub(crate) concurrency: usize,
    pub(crate) max_retries: u32,
    pub(crate) max_duration: Option<Duration>,
    /// How long the API may be unreachable; `None` is the default.
    pub(crate) max_outage: Option<Duration>,
}

/// What is written.
#[derive(Clone, Debug)]
pub(crate) struct OutputSettings {
    /// The results file; `-` is stdout.
    pub(crate) path: PathBuf,
    pub(crate) existing: ExistingFile,
    pub(crate) snapshot: SnapshotMode,
    pub(crate) redact: Vec<String>,
    /// The summary as JSON on stdout.
    pub(crate) json: bool,
    /// The HTML page.
    pub(crate) report: Option<PathBuf>,
    pub(crate) report_pii: bool,
}

/// What to do with an existing results file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExistingFile {
    /// An error: nothing is sent.
    Refuse,
    /// `--resume`.
    Resume,
    /// `--force`.
    Replace,
}

impl JobSettings {
    /// Whether users are looked up first: where that is the job, where the input does not name users
    /// by ID, and where some of them may no longer need it. An exclude list may need it too, which is
    /// known once it is read: see `Input::looks_up`.
    pub(crate) fn looks_up(&self) -> bool {
        self.command != CommandKind::Run || self.only_locked || self.input.needs_look_up()
    }

    /// Whether the job may still be refused after its files were created: a look-up finds the number
    /// of users, and only then guards are checked and consent is asked for. A pass of a watch that is
    /// stopped leaves the file of the pass before.
    pub(crate) fn may_be_refused_later(&self, looks_up: bool) -> bool {
        let is_guarded = self.guards.expect_count.is_some() || self.guards.max_users.is_some();
        looks_up && (self.command.changes_users() || is_guarded || self.pass.is_some())
    }

    /// The purpose of its look-up.
    pub(super) fn purpose(&self) -> Purpose {
        match self.command {
            CommandKind::Run => Purpose::Run(self.admin_locked),
            CommandKind::Plan | CommandKind::Locked => Purpose::Plan(self.admin_locked),
            CommandKind::Verify => Purpose::ReadBack,
            CommandKind::RelockPlan => Purpose::PlanRelock,
            CommandKind::Relock => Purpose::Relock,
        }
    }
}

impl OutputSettings {
    /// Whether the results go to stdout.
    pub(crate) fn is_stdout(&self) -> bool {
        self.path.as_os_str() == "-"
    }
}

impl Execution {
    /// The settings of a worker pool at this pace.
    pub(crate) fn pool(self, pace: Pace, canary: Option<usize>) -> PoolSettings {
        /// The part of the pace that retries may take while no request succeeds.
        const RETRY_SHARE: f64 = 0.2;
        PoolSettings {
            concurrency: self.concurrency,
            retry: RetryPolicy { max_retries: self.max_retries, ..RetryPolicy::default() },
            retries_per_second: pace.quota().per_second() * RETRY_SHARE,
            canary,
        }
    }

    /// The same for look-ups and walks. A response with a hundred users or more may be large, so
    /// fewer of them are requested at once.
    pub(crate) fn look_up_pool(self, pace: Pace) -> PoolSettings {
        const MAX_CONCURRENCY: usize = 8;
        PoolSettings { concurrency: self.concurrency.min(MAX_CONCURRENCY), ..self.pool(pace, None) }
    }
}

impl Guards {
    /// The guards in words, with the limits of time, for the confirmation prompt; empty where there
    /// are none.
    pub(super) fn describe(&self, execution: Execution) -> String {
        let max_fail = self.max_fail.map(|limit| match limit {
            MaxFail::Count(n) => format!("stop at {n} failed users"),
            MaxFail::Percent(percent) => format!("stop when {percent} % of users fail"),
        });
        let parts = [
            self.canary
                .map(|n| format!("canary of {n} (the run continues by itself if all succeed)")),
            max_fail,
            self.max_users.map(|n| format!("at most {n} users")),
            self.expect_count.map(|n| format!("expect {n} users")),
            execution.max_duration.map(|it| format!("stop after {}", duration(it))),
            execution.max_outage.map(|it| format!("stop after an outage of {}", duration(it))),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Checks `--expect-count` and `--max-users` with the number of users that are left to change.
    /// `n_tried` is the number of users that the resumed run has tried to change: `--expect-count` is
    /// the number of the whole job.
    pub(super) fn check(
        &self,
        command: CommandKind,
        n_users: u64,
        n_tried: u64,
    ) -> Result<(), Failure> {
        let total = n_users.saturating_add(n_tried);
        let (verb, participle) = (command.verb(), command.participle());
        if let Some(expected) = self.expect_count.filter(|&expected| expected != total) {
            let earlier = match n_tried {
                0 => String::new(),
                n => format!(", {n} of them in the earlier run"),
            };
            return Err(Failure::usage(format!(
                "found {total} users to {verb}{earlier}, but --expect-count is {expected}; no user \
                 was {participle}"
            )));
        }
        if let Some(max) = self.max_users.filter(|&max| n_users > max) {
            return Err(Failure::usage(format!(
                "found {n_users} users to {verb}, but --max-users is {max}; no user was {participle}"
            )));
        }
        Ok(())
    }

    /// Whether this number of users, which a look-up can only reduce, is too small already.
    pub(super) fn expect_more(&self, n_users: u64, n_tried: u64) -> bool {
        self.expect_count.is_some_and(|expected| n_users.saturating_add(n_tried) < expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(guards: Guards, n_users: u64, n_tried: u64) -> Result<(), Failure> {
        guards.check(CommandKind::Run, n_users, n_tried)
    }

    fn expect(n_users: u64) -> Guards {
        Guards { expect_count: Some(n_users), ..Guards::default() }
    }

    fn at_most(n_users: u64) -> Guards {
        Guards { max_users: Some(n_users), ..Guards::default() }
    }

    #[test]
    fn a_number_other_than_expected_is_refused() {
        assert!(check(expect(5), 5, 0).is_ok());
        assert!(check(expect(5), 4, 0).is_err() && check(expect(5), 6, 0).is_err());
        assert!(check(expect(5), 2, 3).is_ok() && check(expect(5), 5, 3).is_err());
        assert!(expect(5).expect_more(4, 0) && !expect(5).expect_more(6, 0));
    }

    #[test]
    fn more_than_the_maximum_is_refused() {
        assert!(check(at_most(5), 5, 0).is_ok() && check(at_most(5), 0, 0).is_ok());
        assert!(check(at_most(5), 6, 0).is_err());
    }

    #[test]
    fn refusals_name_both_numbers() {
        let refused = [(expect(5), 0), (at_most(5), 0), (expect(9), 1)]
            .map(|(guards, n_tried)| check(guards, 7, n_tried).unwrap_err().to_string());
        insta::assert_snapshot!(refused.join("\n"), @"
        found 7 users to unlock, but --expect-count is 5; no user was unlocked
        found 7 users to unlock, but --max-users is 5; no user was unlocked
        found 8 users to unlock, 1 of them in the earlier run, but --expect-count is 9; no user was unlocked
        ");
    }

    #[test]
    fn guards_are_described() {
        let guards = Guards {
            expect_count: Some(7),
            max_users: Some(9),
            canary: Some(2),
            max_fail: Some(MaxFail::Percent(2.5)),
        };
        let minutes = |n| Some(Duration::from_mins(n));
        let unlimited =
            Execution { concurrency: 1, max_retries: 0, max_duration: None, max_outage: None };
        let limited = Execution { max_duration: minutes(90), max_outage: minutes(5), ..unlimited };
        insta::assert_snapshot!(guards.describe(limited).replace(", ", "\n"), @"
        canary of 2 (the run continues by itself if all succeed)
        stop when 2.5 % of users fail
        at most 9 users
        expect 7 users
        stop after 1 h 30 min
        stop after an outage of 5 min 0 s
        ");
        assert_eq!(Guards::default().describe(unlimited), "");
    }
}
