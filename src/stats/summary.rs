//! The summary of a finished run, as data and as JSON. Closing lines, manifest, metrics and page use
//! it.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::{Ceiling, Counts, ErrorGroup, Latency, Stats};
use crate::model::{Outcome, StopReason, mask_keys};

/// The summary of a finished run.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The command.
    pub command: CommandKind,
    /// Whether it covers files of several commands. If so, requests are not added up.
    pub is_mixed: bool,
    /// `production`, `development`, `sandbox` or `unknown`.
    pub instance: String,
    /// The host that was called.
    pub host: String,
    /// How the run ended.
    pub ending: Ending,
    /// The exit code.
    pub exit_code: u8,
    /// Number of rows by outcome, those of an earlier run included.
    pub counts: Counts,
    /// Number of rows by outcome that the read-back at the end found (`--verify`).
    pub verified: Option<Counts>,
    /// The entries of the exclude files.
    pub excluded: ExcludeCounts,
    /// How many users a walk listed, and how many each filter excluded.
    pub lines_of_walk: Vec<String>,
    /// Number of users who are unlocked first (`--canary`).
    pub canary: Option<u64>,
    /// The SHA-256 of the plan that was made.
    pub plan_sha256: Option<String>,
    /// Number of records that must be accounted for.
    pub n_records: u64,
    /// Number of records without a row.
    pub n_unprocessed: u64,
    /// Number of rows in the results file, if that was checked.
    pub n_rows_found: Option<u64>,
    /// Number of rows that an earlier run recorded.
    pub n_earlier: u64,
    /// Number of users whom the plan would unlock and who are banned.
    pub n_banned: u64,
    /// Number of requests.
    pub n_requests: u64,
    /// Number of those that looked users up.
    pub n_lookups: u64,
    /// Number of attempts that failed and were retried, 429s not counted.
    pub n_retries: u64,
    /// The errors of those, the most frequent first.
    pub retried: Vec<ErrorGroup>,
    /// Number of requests that were cut off before their response came.
    pub n_given_up: u64,
    /// Number of requests that were answered 429.
    pub n_throttled: u64,
    /// How long all requests were paused.
    pub paused: Duration,
    /// From the start to the last event.
    pub elapsed: Duration,
    /// The latency of responses; `None` without a response.
    pub latency: Option<LatencySummary>,
    /// Why rows did not end well, the most frequent reason first.
    pub errors: Vec<ErrorGroup>,
    /// The files that were written.
    pub files: Files,
    /// What the planned run would cost.
    pub forecast: Option<Forecast>,
    /// The command to continue with.
    pub next: Option<NextStep>,
}

impl Summary {
    /// Summarizes the statistics. The caller fills in the rest: instance, host, files, exit code,
    /// forecast and next step.
    pub fn new(stats: &Stats, command: CommandKind, ending: Ending) -> Self {
        Self {
            command,
            ending,
            counts: *stats.counts(),
            n_records: stats.size.n_records,
            n_unprocessed: stats.n_unprocessed(),
            n_earlier: stats.n_earlier(),
            n_banned: stats.rows.n_banned,
            n_requests: stats.n_requests,
            n_lookups: stats.n_lookups,
            n_retries: stats.n_retries,
            retried: stats.retried.most_frequent_first(),
            n_given_up: stats.n_given_up,
            n_throttled: stats.n_throttled(),
            paused: stats.paused(),
            elapsed: stats.elapsed(),
            latency: LatencySummary::of(&stats.latency),
            errors: stats.rows.errors.most_frequent_first(),
            ..Self::default()
        }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> u64 {
        self.counts.total()
    }

    /// Whether every record has a row that ended well.
    pub fn all_ended_well(&self) -> bool {
        self.counts.n_not_well() == 0 && self.n_unprocessed == 0
    }

    /// Whether every record is accounted for, and the file holds what was recorded.
    pub fn adds_up(&self) -> bool {
        let is_complete = self.n_rows_found.is_none_or(|n_rows| n_rows == self.n_rows());
        is_complete && self.n_rows().checked_add(self.n_unprocessed) == Some(self.n_records)
    }
}

/// How many entries of the exclude files matched a listed user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExcludeCounts {
    /// All entries.
    pub entries: u64,
    /// Those that matched at least one listed user.
    pub matched: u64,
    /// Those that matched no user.
    pub unmatched: u64,
}

/// The command that wrote a file, in a manifest by its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandKind {
    /// Users were unlocked.
    #[default]
    Run,
    /// Users were looked up, nothing was changed.
    Plan,
    /// Users whom an earlier run unlocked were read back.
    Verify,
    /// The locked users of the instance were listed.
    Locked,
    /// Users whom an earlier run unlocked were locked again.
    Relock,
    /// Users whom an earlier run unlocked were looked up, nothing was changed.
    RelockPlan,
}

impl CommandKind {
    /// The stable word that manifests and summaries use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Plan => "plan",
            Self::Verify => "verify",
            Self::Locked => "locked",
            Self::Relock => "relock",
            Self::RelockPlan => "relock_plan",
        }
    }

    /// The command as it is typed.
    pub fn name(self) -> &'static str {
        match self {
            Self::RelockPlan => "relock -n",
            other => other.code(),
        }
    }

    /// Whether it changes users.
    pub fn changes_users(self) -> bool {
        matches!(self, Self::Run | Self::Relock)
    }

    /// Whether it shows what another command would do.
    pub fn is_plan(self) -> bool {
        matches!(self, Self::Plan | Self::RelockPlan)
    }

    /// The verb for its effect on users, as in "users to unlock".
    pub fn verb(self) -> &'static str {
        match self {
            Self::Run | Self::Plan | Self::Verify | Self::Locked => "unlock",
            Self::Relock | Self::RelockPlan => "lock again",
        }
    }

    /// The participle of that verb, as in "no user was unlocked".
    pub fn participle(self) -> &'static str {
        match self {
            Self::Run | Self::Plan | Self::Verify | Self::Locked => "unlocked",
            Self::Relock | Self::RelockPlan => "locked again",
        }
    }

    /// The outcome of users for whom it succeeded.
    pub fn aim(self) -> Outcome {
        match self {
            Self::Run => Outcome::Unlocked,
            Self::Plan | Self::Locked => Outcome::WouldUnlock,
            Self::Verify => Outcome::StillUnlocked,
            Self::Relock => Outcome::Relocked,
            Self::RelockPlan => Outcome::WouldRelock,
        }
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Every record has a row.
    #[default]
    Completed,
    /// It was stopped before the last record.
    Stopped(StopReason),
    /// It was not confirmed; nothing was sent.
    NotConfirmed,
    /// It was killed or is still running. Only finished files give this ending.
    Unfinished,
    /// Records, rows and unprocessed records do not add up.
    Unaccounted,
}

impl Ending {
    /// The ending with this code; an unknown code counts as [`Ending::Completed`].
    pub fn of_code(code: &str) -> Self {
        let stopped = StopReason::ALL.into_iter().find(|reason| reason.code() == code);
        if let Some(reason) = stopped {
            return Self::Stopped(reason);
        }
        let plain = [Self::Unfinished, Self::Unaccounted, Self::NotConfirmed];
        plain.into_iter().find(|ending| ending.code() == code).unwrap_or_default()
    }

    /// The stable code that the manifest and the JSON summary use.
    pub fn code(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Stopped(reason) => reason.code(),
            Self::NotConfirmed => "not_confirmed",
            Self::Unfinished => "running",
            Self::Unaccounted => "unaccounted",
        }
    }
}

/// The latency of responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LatencySummary {
    /// The median.
    pub p50: Duration,
    /// The 90th percentile.
    pub p90: Duration,
    /// The 99th percentile.
    pub p99: Duration,
    /// The maximum.
    pub max: Duration,
}

impl LatencySummary {
    /// `None` without a response.
    pub fn of(latency: &Latency) -> Option<Self> {
        (latency.n() > 0).then(|| Self {
            p50: latency.quantile(0.5),
            p90: latency.quantile(0.9),
            p99: latency.quantile(0.99),
            max: latency.max,
        })
    }
}

/// The files that were written; `None` for a file that was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The results, or the plan.
    pub results: Option<PathBuf>,
    /// The rows that did not end well.
    pub failed: Option<PathBuf>,
    /// The records without a row.
    pub unprocessed: Option<PathBuf>,
    /// The manifest.
    pub manifest: Option<PathBuf>,
    /// The HTML page.
    pub report: Option<PathBuf>,
}

/// What the planned run would cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// Number of requests, look-ups included.
    pub n_requests: u64,
    /// The time that they take at this ceiling.
    pub takes: Duration,
    /// The ceiling.
    pub ceiling: Ceiling,
}

/// The command to continue with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextStep {
    /// The file of rows that did not end well, if it should be checked first.
    pub look_first: Option<PathBuf>,
    /// Its purpose, without a full stop: "To unlock these users".
    pub why: String,
    /// The exact command, quoted for a shell.
    pub command: String,
}

/// The finished files of one incident: what each command did, and the final state of each user.
#[derive(Clone, Debug, Default)]
pub struct Incident {
    /// The final state of each user. For a single file, the summary of its command.
    pub summary: Summary,
    /// How it ended; `None` without a manifest.
    pub ending: Option<Ending>,
    /// The exit code; `None` if it is not known.
    pub exit_code: Option<u8>,
    /// The files in order of time.
    pub stages: Vec<Stage>,
    /// The next command of the newest of several files, or of each shard that needs one.
    pub next_commands: Vec<String>,
}

/// One finished file.
#[derive(Clone, Debug, Default)]
pub struct Stage {
    /// The name of the file.
    pub file: String,
    /// The reason (`--reason`).
    pub reason: Option<String>,
    /// When it began, from the manifest or else from its first row.
    pub started_at: Option<SystemTime>,
    /// When it ended, from the manifest or else from its last row.
    pub finished_at: Option<SystemTime>,
    /// How it ended; `None` without a manifest.
    pub ending: Option<Ending>,
    /// The exit code; `None` if it is not known.
    pub exit_code: Option<u8>,
    /// Number of its records that neither it nor a later command processed.
    pub n_left: u64,
    /// Its own counts.
    pub summary: Summary,
}

impl Incident {
    /// Whether users were looked up only.
    pub fn is_plan(&self) -> bool {
        !self.stages.is_empty()
            && self.stages.iter().all(|stage| stage.summary.command == CommandKind::Plan)
    }

    /// Number of users to unlock in a plan whom no run processed.
    pub fn n_planned_only(&self) -> u64 {
        if self.is_plan() { 0 } else { self.summary.counts.get(Outcome::WouldUnlock) }
    }

    /// Whether no user needs further action.
    pub fn all_ended_well(&self) -> bool {
        self.summary.all_ended_well() && self.n_planned_only() == 0
    }

    /// The exit code of several commands together: that of the newest one that did not succeed,
    /// unless all users ended well.
    pub fn exit_code_of_all(&self) -> Option<u8> {
        if self.all_ended_well() {
            return Some(0);
        }
        let codes: Option<Vec<u8>> = self.stages.iter().map(|stage| stage.exit_code).collect();
        Some(codes?.into_iter().rev().find(|&code| code != 0).unwrap_or(0))
    }
}

/// The version of the JSON below. Its names are stable; fields are only ever added.
const SCHEMA_VERSION: u32 = 1;

/// Indented, without a newline at the end and without any secret key.
fn to_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(mask_keys(&serde_json::to_string_pretty(value)?).into_owned())
}

/// What `--json` prints where a command failed without a summary.
#[derive(Debug, Serialize)]
pub struct ErrorReport<'a> {
    schema_version: u32,
    error: ErrorBody<'a>,
    exit_code: u8,
}

#[derive(Debug, Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> ErrorReport<'a> {
    /// An error with a stable code, and its fix.
    pub fn new(code: &'a str, message: &'a str, hint: Option<&'a str>, exit_code: u8) -> Self {
        let error = ErrorBody { code, message, hint };
        Self { schema_version: SCHEMA_VERSION, error, exit_code }
    }

    /// The object that `--json` prints.
    pub fn to_json(&self) -> serde_json::Result<String> {
        to_json(self)
    }
}

impl Summary {
    /// The object that `--json` prints.
    pub fn to_json(&self) -> serde_json::Result<String> {
        to_json(self)
    }

    /// Writes all fields but `schema_version`. `ending` and `exit_code` are `null` if unknown.
    fn serialize_fields<M: SerializeMap>(
        &self,
        json: &mut M,
        ending: Option<Ending>,
        exit_code: Option<u8>,
    ) -> Result<(), M::Error> {
        json.serialize_entry("command", &(!self.is_mixed).then_some(self.command))?;
        json.serialize_entry("instance", &self.instance)?;
        json.serialize_entry("host", &self.host)?;
        json.serialize_entry("ending", &ending.map(Ending::code))?;
        json.serialize_entry("exit_code", &exit_code)?;
        json.serialize_entry("counts", &self.counts)?;
        json.serialize_entry("excluded", &self.excluded)?;
        if let Some(verified) = &self.verified {
            json.serialize_entry("verified", verified)?;
        }
        json.serialize_entry("records", &self.n_records)?;
        json.serialize_entry("rows", &self.n_rows())?;
        json.serialize_entry("unprocessed", &self.n_unprocessed)?;
        json.serialize_entry("banned", &self.n_banned)?;
        if !self.is_mixed {
            json.serialize_entry("requests", &self.n_requests)?;
            json.serialize_entry("retries", &self.n_retries)?;
            json.serialize_entry("throttled", &self.n_throttled)?;
            json.serialize_entry("given_up", &self.n_given_up)?;
            json.serialize_entry("paused_seconds", &seconds(self.paused))?;
            json.serialize_entry("elapsed_seconds", &seconds(self.elapsed))?;
            json.serialize_entry("latency_ms", &self.latency)?;
        }
        json.serialize_entry("errors", &self.errors)?;
        json.serialize_entry("files", &self.files)?;
        if let Some(hash) = &self.plan_sha256 {
            json.serialize_entry("plan_sha256", hash)?;
        }
        json.serialize_entry("forecast", &self.forecast)?;
        json.serialize_entry("next_command", &self.next.as_ref().map(|next| &next.command))
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("schema_version", &SCHEMA_VERSION)?;
        self.serialize_fields(&mut json, Some(self.ending), Some(self.exit_code))?;
        json.end()
    }
}

impl Incident {
    /// The object that `report --json` prints: `counts` has one final state per user, `stages` one
    /// entry per file.
    pub fn to_json(&self) -> serde_json::Result<String> {
        to_json(self)
    }
}

impl Serialize for Incident {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("schema_version", &SCHEMA_VERSION)?;
        self.summary.serialize_fields(&mut json, self.ending, self.exit_code)?;
        json.serialize_entry("stages", &self.stages)?;
        json.end()
    }
}

impl Serialize for Stage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("file", &self.file)?;
        json.serialize_entry("reason", &self.reason)?;
        json.serialize_entry("started_at", &self.started_at.and_then(rfc3339))?;
        json.serialize_entry("finished_at", &self.finished_at.and_then(rfc3339))?;
        self.summary.serialize_fields(&mut json, self.ending, self.exit_code)?;
        json.end()
    }
}

impl Serialize for Files {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let files = [
            ("results", &self.results),
            ("failed", &self.failed),
            ("unprocessed", &self.unprocessed),
            ("manifest", &self.manifest),
            ("report", &self.report),
        ];
        // serde refuses paths that are not Unicode.
        let lossy = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        serializer.collect_map(files.map(|(name, path)| (name, lossy(path))))
    }
}

impl Serialize for LatencySummary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let times = [("p50", self.p50), ("p90", self.p90), ("p99", self.p99), ("max", self.max)];
        // In milliseconds, to the microsecond.
        let millis = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        serializer.collect_map(times.map(|(name, time)| (name, millis(time))))
    }
}

impl Serialize for Forecast {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("requests", &self.n_requests)?;
        json.serialize_entry("seconds", &seconds(self.takes))?;
        json.end()
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

fn rfc3339(time: SystemTime) -> Option<String> {
    let timestamp = Timestamp::try_from(time).ok()?;
    Some(timestamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PauseReason;
    use crate::stats::testing::Story;

    #[test]
    fn records_without_a_row_are_unprocessed_and_did_not_end_well() {
        let stats = Story::of(5).rows(3, Outcome::Unlocked).stats;
        let summary = Summary::new(&stats, CommandKind::Run, Ending::Completed);
        assert_eq!((summary.n_rows(), summary.n_unprocessed), (3, 2));
        assert!(!summary.all_ended_well() && summary.adds_up());
    }

    #[test]
    fn one_row_that_did_not_end_well_is_enough() {
        let all_well = |outcome| {
            let stats = Story::of(2).rows(1, Outcome::Unlocked).rows(1, outcome).stats;
            Summary::new(&stats, CommandKind::Run, Ending::Completed).all_ended_well()
        };
        assert!(all_well(Outcome::AlreadyUnlocked) && all_well(Outcome::Duplicate));
        assert!(!all_well(Outcome::AdminLocked) && !all_well(Outcome::Failed));
    }

    #[test]
    fn an_example_without_a_user_id_shows_the_cell() {
        let stats = Story::of(2).invalid_row().stats;
        let summary = Summary::new(&stats, CommandKind::Run, Ending::Completed);
        let example = &summary.errors[0].example;
        assert_eq!((example.line, example.user.as_str()), (2, "user_1"));
    }

    fn incident(outcomes: &[Outcome], stages: &[(CommandKind, Option<u8>)]) -> Incident {
        let counts = outcomes.iter().copied().collect();
        let stage = |&(command, exit_code): &(CommandKind, Option<u8>)| Stage {
            exit_code,
            summary: Summary { command, ..Summary::default() },
            ..Stage::default()
        };
        Incident {
            summary: Summary { counts, ..Summary::default() },
            stages: stages.iter().map(stage).collect(),
            ..Incident::default()
        }
    }

    #[test]
    fn the_exit_code_is_that_of_the_newest_command_that_did_not_succeed() {
        use CommandKind::{Plan, Run, Verify};
        use Outcome::{Failed, LockedAgain, NotFound, StillUnlocked, Unlocked, WouldUnlock};
        let code = |outcomes: &[_], stages: &[_]| incident(outcomes, stages).exit_code_of_all();
        let retried = [(Run, Some(1)), (Run, Some(0))];
        assert_eq!(code(&[Unlocked], &retried), Some(0));
        assert_eq!(code(&[Unlocked, Failed], &[(Run, Some(3)), (Run, Some(1))]), Some(1));
        assert_eq!(code(&[LockedAgain], &[(Run, Some(0)), (Verify, Some(1))]), Some(1));
        assert_eq!(code(&[WouldUnlock, NotFound], &[(Plan, Some(0))]), Some(0));
        assert_eq!(code(&[WouldUnlock], &[(Plan, Some(0)), (Run, Some(3))]), Some(3));
        assert_eq!(code(&[Failed], &[(Run, None), (Verify, Some(0))]), None);
        assert_eq!(code(&[StillUnlocked], &[(Run, None), (Verify, Some(0))]), Some(0));
    }

    #[test]
    fn the_summary_as_json() {
        let stats = Story::of(200)
            .rows(117, Outcome::Unlocked)
            .retries(1, 429, "http_429")
            .retries(2, 503, "http_503")
            .paused(PauseReason::Throttled, 1500)
            .failed_row(Outcome::NotFound, 404, "resource_not_found", "No \"user\"\nwas found.")
            .unasked_rows(2, Outcome::Duplicate)
            .at(4200)
            .stats;
        let ending = Ending::Stopped(StopReason::MaxFail);
        let mut summary = Summary::new(&stats, CommandKind::Run, ending);
        (summary.instance, summary.host) = ("test".into(), "api.clerk.com".into());
        summary.exit_code = 3;
        summary.files.results = Some("ids.results.csv".into());
        summary.next = Some(NextStep {
            look_first: None,
            why: "To go on".into(),
            command: "bulk-unlock run ids.csv --resume".into(),
        });
        insta::assert_snapshot!(summary.to_json().unwrap(), @r#"
        {
          "schema_version": 1,
          "command": "run",
          "instance": "test",
          "host": "api.clerk.com",
          "ending": "max_fail",
          "exit_code": 3,
          "counts": {
            "unlocked": 117,
            "duplicate": 2,
            "not_found": 1
          },
          "excluded": {
            "entries": 0,
            "matched": 0,
            "unmatched": 0
          },
          "records": 200,
          "rows": 120,
          "unprocessed": 80,
          "banned": 0,
          "requests": 121,
          "retries": 2,
          "throttled": 1,
          "given_up": 0,
          "paused_seconds": 1.5,
          "elapsed_seconds": 4.2,
          "latency_ms": {
            "p50": 80.0,
            "p90": 80.0,
            "p99": 80.0,
            "max": 80.0
          },
          "errors": [
            {
              "code": "resource_not_found",
              "count": 1,
              "example": {
                "line": 119,
                "user": "user_118",
                "message": "No \"user\"\nwas found."
              }
            }
          ],
          "files": {
            "results": "ids.results.csv",
            "failed": null,
            "unprocessed": null,
            "manifest": null,
            "report": null
          },
          "forecast": null,
          "next_command": "bulk-unlock run ids.csv --resume"
        }
        "#);
    }

    #[test]
    fn an_error_as_json_shows_no_key() {
        let message = "cannot open sk_live_0123456789abcdefghijXYZ1";
        let report = ErrorReport::new("key", message, None, 4);
        insta::assert_snapshot!(report.to_json().unwrap(), @r#"
        {
          "schema_version": 1,
          "error": {
            "code": "key",
            "message": "cannot open sk_live_…XYZ1",
            "hint": null
          },
          "exit_code": 4
        }
        "#);
    }

    #[test]
    fn absent_values_are_null_or_empty() {
        let stats = Story::of(0).stats;
        let summary = Summary::new(&stats, CommandKind::Plan, Ending::NotConfirmed);
        insta::assert_snapshot!(serde_json::to_string(&summary).unwrap(), @r#"{"schema_version":1,"command":"plan","instance":"","host":"","ending":"not_confirmed","exit_code":0,"counts":{},"excluded":{"entries":0,"matched":0,"unmatched":0},"records":0,"rows":0,"unprocessed":0,"banned":0,"requests":0,"retries":0,"throttled":0,"given_up":0,"paused_seconds":0.0,"elapsed_seconds":0.0,"latency_ms":null,"errors":[],"files":{"results":null,"failed":null,"unprocessed":null,"manifest":null,"report":null},"forecast":null,"next_command":null}"#);
    }
}
