//! The summary as JSON (`--json`). The names are stable; fields are only ever added.

use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{Ending, ExcludeCounts, Files, Forecast, Incident, LatencySummary, Stage, Summary};
use crate::model::mask_keys;
use crate::stats::{Counts, ErrorGroup};

/// The version of the format below.
const SCHEMA_VERSION: u32 = 1;

impl Summary {
    /// The summary as indented JSON, without a newline at its end.
    ///
    /// # Errors
    ///
    /// None that `serde_json` is known to have for such values.
    pub fn to_json(&self) -> serde_json::Result<String> {
        // Someone may have typed a key where a path belongs.
        Ok(mask_keys(&serde_json::to_string_pretty(self)?).into_owned())
    }
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
    /// An error with a stable code, and what to do about it.
    pub fn new(code: &'a str, message: &'a str, hint: Option<&'a str>, exit_code: u8) -> Self {
        let error = ErrorBody { code, message, hint };
        Self { schema_version: SCHEMA_VERSION, error, exit_code }
    }

    /// The error as indented JSON, without a newline at its end.
    ///
    /// # Errors
    ///
    /// None that `serde_json` is known to have for such values.
    pub fn to_json(&self) -> serde_json::Result<String> {
        Ok(mask_keys(&serde_json::to_string_pretty(self)?).into_owned())
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self).serialize(serializer)
    }
}

impl Incident {
    /// The report as indented JSON, without a newline at its end: `counts` is one final state per
    /// user, `stages` one entry per file.
    ///
    /// # Errors
    ///
    /// None that `serde_json` is known to have for such values.
    pub fn to_json(&self) -> serde_json::Result<String> {
        let summary = Wire::ended(&self.summary, self.ending, self.exit_code);
        let stages = self.stages.iter().map(Into::into).collect();
        let json = serde_json::to_string_pretty(&WireIncident { summary, stages })?;
        Ok(mask_keys(&json).into_owned())
    }
}

#[derive(Serialize)]
struct WireIncident<'a> {
    #[serde(flatten)]
    summary: Wire<'a>,
    stages: Vec<WireStage<'a>>,
}

#[derive(Serialize)]
struct WireStage<'a> {
    file: &'a str,
    reason: Option<&'a str>,
    started_at: Option<String>,
    finished_at: Option<String>,
    #[serde(flatten)]
    summary: Wire<'a>,
}

impl<'a> From<&'a Stage> for WireStage<'a> {
    fn from(stage: &'a Stage) -> Self {
        Self {
            file: &stage.file,
            reason: stage.reason.as_deref(),
            started_at: stage.started_at.and_then(moment),
            finished_at: stage.finished_at.and_then(moment),
            summary: Wire {
                schema_version: None,
                ..Wire::ended(&stage.summary, stage.ending, stage.exit_code)
            },
        }
    }
}

/// In RFC 3339, UTC.
fn moment(time: SystemTime) -> Option<String> {
    let timestamp = Timestamp::try_from(time).ok()?;
    Some(timestamp.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

#[derive(Serialize)]
struct Wire<'a> {
    /// Absent in stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_version: Option<u32>,
    /// `null` for several commands.
    command: Option<&'static str>,
    instance: &'a str,
    host: &'a str,
    /// `null` where no manifest says.
    ending: Option<&'static str>,
    /// `null` where it is not known.
    exit_code: Option<u8>,
    counts: ByCode<'a>,
    excluded: ExcludeCounts,
    #[serde(skip_serializing_if = "Option::is_none")]
    verified: Option<ByCode<'a>>,
    records: u64,
    rows: u64,
    unprocessed: u64,
    banned: u64,
    /// Absent for several commands: each stage has its own.
    #[serde(flatten)]
    requests: Option<WireRequests>,
    errors: Vec<WireError<'a>>,
    files: WireFiles,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_sha256: Option<&'a str>,
    forecast: Option<WireForecast>,
    next_command: Option<&'a str>,
}

impl Wire<'_> {
    /// With what is known about its end.
    fn ended(summary: &Summary, ending: Option<Ending>, exit_code: Option<u8>) -> Wire<'_> {
        Wire { ending: ending.map(Ending::code), exit_code, ..Wire::from(summary) }
    }
}

#[derive(Serialize)]
struct WireRequests {
    requests: u64,
    retries: u64,
    throttled: u64,
    given_up: u64,
    paused_seconds: f64,
    elapsed_seconds: f64,
    latency_ms: Option<WireLatency>,
}

impl From<&Summary> for WireRequests {
    fn from(summary: &Summary) -> Self {
        Self {
            requests: summary.n_requests,
            retries: summary.n_retries,
            throttled: summary.n_throttled,
            given_up: summary.n_given_up,
            paused_seconds: seconds(summary.paused),
            elapsed_seconds: seconds(summary.elapsed),
            latency_ms: summary.latency.map(Into::into),
        }
    }
}

impl<'a> From<&'a Summary> for Wire<'a> {
    fn from(summary: &'a Summary) -> Self {
        Self {
            schema_version: Some(SCHEMA_VERSION),
            command: (!summary.is_mixed).then(|| summary.command.code()),
            instance: &summary.instance,
            host: &summary.host,
            ending: Some(summary.ending.code()),
            exit_code: Some(summary.exit_code),
            counts: ByCode(&summary.counts),
            excluded: summary.excluded,
            verified: summary.verified.as_ref().map(ByCode),
            records: summary.n_records,
            rows: summary.n_rows(),
            unprocessed: summary.n_unprocessed,
            banned: summary.n_banned,
            requests: (!summary.is_mixed).then(|| summary.into()),
            errors: summary.errors.iter().map(Into::into).collect(),
            files: (&summary.files).into(),
            plan_sha256: summary.plan_sha256.as_deref(),
            forecast: summary.forecast.map(Into::into),
            next_command: summary.next.as_ref().map(|it| it.command.as_str()),
        }
    }
}

/// In the order of summaries, not of the alphabet.
struct ByCode<'a>(&'a Counts);

impl Serialize for ByCode<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(outcome, n)| (outcome.code(), n)))
    }
}

#[derive(Serialize)]
struct WireLatency {
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

impl From<LatencySummary> for WireLatency {
    fn from(it: LatencySummary) -> Self {
        Self { p50: millis(it.p50), p90: millis(it.p90), p99: millis(it.p99), max: millis(it.max) }
    }
}

#[derive(Serialize)]
struct WireError<'a> {
    code: &'a str,
    count: u64,
    example: WireExample<'a>,
}

#[derive(Serialize)]
struct WireExample<'a> {
    line: u64,
    user: &'a str,
    message: &'a str,
}

impl<'a> From<&'a ErrorGroup> for WireError<'a> {
    fn from(error: &'a ErrorGroup) -> Self {
        let (line, user) = (error.example.line, error.example.user.as_str());
        let example = WireExample { line, user, message: &error.example.message };
        Self { code: &error.code, count: error.n, example }
    }
}

#[derive(Serialize)]
struct WireFiles {
    results: Option<String>,
    failed: Option<String>,
    unprocessed: Option<String>,
    manifest: Option<String>,
    report: Option<String>,
}

impl From<&Files> for WireFiles {
    fn from(files: &Files) -> Self {
        // A path that is not Unicode is shown as closely as possible.
        let shown = |path: &Option<_>| path.as_deref().map(|it: &Path| it.display().to_string());
        Self {
            results: shown(&files.results),
            failed: shown(&files.failed),
            unprocessed: shown(&files.unprocessed),
            manifest: shown(&files.manifest),
            report: shown(&files.report),
        }
    }
}

#[derive(Serialize)]
struct WireForecast {
    requests: u64,
    seconds: f64,
}

impl From<Forecast> for WireForecast {
    fn from(forecast: Forecast) -> Self {
        Self { requests: forecast.n_requests, seconds: seconds(forecast.takes) }
    }
}

/// To the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}

/// To the microsecond.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::{CommandKind, Ending, NextStep};
    use super::*;
    use crate::model::{Outcome, PauseReason, StopReason};
    use crate::stats::story::Story;

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
