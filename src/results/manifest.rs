//! What was run, on what, when, by which version, and how it ended: `NAME.manifest.json`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};
use serde_json::{Map, Value};

use crate::model::{IdentifierKind, mask_keys};
use crate::stats::summary::{CommandKind, Ending, ExcludeCounts, Summary};
use crate::stats::{Counts, Stats};

use super::error::{ReadError, WriteError};
use super::files::{self, sha256_file};
use super::format::SCHEMA_VERSION;
use super::lines::Moment;

/// What was run and how it ended. The order of the fields is that of the file; fields of a later
/// version are ignored when it is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the results' format.
    pub schema_version: u32,
    /// The version of this program.
    pub program_version: String,
    /// The command line, without secrets.
    pub command: String,
    /// The command that wrote the results.
    pub kind: CommandKind,
    /// Every effective setting by the long name of its flag (`snake_case`), from any source,
    /// without secrets.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// `production`, `development`, `sandbox` or `unknown`.
    #[serde(deserialize_with = "instance")]
    pub instance: String,
    /// The API's host.
    pub host: String,
    /// The fingerprint of the key.
    #[serde(default)]
    pub key: Option<String>,
    /// The account of the operating system that ran it; `None` where the environment does not name it.
    #[serde(default)]
    pub operator: Option<String>,
    /// Why it was run (`--reason`).
    #[serde(default)]
    pub reason: Option<String>,
    /// When the job began; its first pass, where it was resumed.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub started_at: SystemTime,
    /// When it ended; `None` while it is running, or when it was killed.
    #[serde(default, serialize_with = "write_maybe_time", deserialize_with = "read_maybe_time")]
    pub finished_at: Option<SystemTime>,
    /// How it ended, as [`Ending::code`]; [`Manifest::RUNNING`] at first.
    pub ending: String,
    /// Number of rows by outcome.
    #[serde(default, serialize_with = "counts_to_map", deserialize_with = "counts_of_map")]
    pub counts: Counts,
    /// The entries of the exclude files.
    #[serde(default)]
    pub excluded: ExcludeCounts,
    /// The exit code; `None` while it is running, or when it was killed.
    #[serde(default)]
    pub exit_code: Option<u8>,
    /// Number of records in the input.
    #[serde(default)]
    pub records: u64,
    /// Number of rows in the results.
    #[serde(default)]
    pub rows: u64,
    /// Number of records without a row.
    #[serde(default)]
    pub unprocessed: u64,
    /// The command to continue with, as it was printed.
    #[serde(default)]
    pub next: Option<String>,
    /// The input and the outputs.
    #[serde(default)]
    pub files: Vec<FileEntry>,
    /// One for each start of the program: resuming adds another.
    #[serde(default)]
    pub passes: Vec<Pass>,
}

/// A file that the job read or wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its purpose: `input`, `results`, `failed`, `unprocessed`, `exclude`, `plan`, ….
    pub role: String,
    /// Its name, as on the command line.
    pub name: String,
    /// SHA-256 of its contents, in lower-case hexadecimal.
    pub sha256: String,
}

/// One start of the program, and what it did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pass {
    /// When it began.
    #[serde(serialize_with = "write_time", deserialize_with = "read_time")]
    pub started_at: SystemTime,
    /// When it ended; `None` while it is running, or when it was killed.
    #[serde(default, serialize_with = "write_maybe_time", deserialize_with = "read_maybe_time")]
    pub finished_at: Option<SystemTime>,
    /// How it ended, as [`Ending::code`]; [`Manifest::RUNNING`] at first.
    pub ending: String,
    /// Number of requests that were answered, failed or were cut off.
    #[serde(default)]
    pub requests: u64,
    /// Number of those that were retries.
    #[serde(default)]
    pub retries: u64,
    /// Number of those that were answered 429.
    #[serde(default)]
    pub throttled: u64,
    /// Number of those that were cut off before their response came: what they did is not known.
    #[serde(default)]
    pub given_up: u64,
    /// How long all requests were paused, in seconds.
    #[serde(default)]
    pub paused_seconds: f64,
    /// Number of requests that were look-ups.
    #[serde(default)]
    pub look_ups: u64,
    /// What happened when.
    #[serde(default)]
    pub timeline: Vec<Bucket>,
    /// The latency of responses.
    #[serde(default)]
    pub latency_ms: Latency,
}

/// A stretch of a pass.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bucket {
    /// When it begins, in seconds since the pass began.
    pub at: f64,
    /// Its length in seconds.
    pub bucket_seconds: f64,
    /// Number of requests that ended in it.
    pub requests: u64,
    /// Number of those that were answered 429.
    pub throttled: u64,
    /// Number of those that failed otherwise.
    pub failed_attempts: u64,
}

/// The latency of responses, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The maximum.
    pub max: f64,
    /// The mean.
    pub mean: f64,
}

/// The schema version alone: the rest may mean something else in a later version.
#[derive(Deserialize)]
struct Versioned {
    schema_version: u32,
}

impl Manifest {
    /// The ending of a job that is running or was killed.
    pub const RUNNING: &str = "running";

    /// Reads a manifest; `None` if it does not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be read or parsed, or when a later version of this program wrote it.
    pub fn read(path: &Path) -> Result<Option<Self>, ReadError> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(reason) => return Err(ReadError::Io { path: path.to_owned(), reason }),
        };
        let not_manifest = |error: serde_json::Error| ReadError::NotManifest {
            path: path.to_owned(),
            why: error.to_string(),
        };
        let Versioned { schema_version } = serde_json::from_slice(&bytes).map_err(not_manifest)?;
        if schema_version > SCHEMA_VERSION {
            return Err(ReadError::Newer { path: path.to_owned(), schema_version });
        }
        serde_json::from_slice(&bytes).map(Some).map_err(not_manifest)
    }

    /// Writes it, in place of an older one.
    ///
    /// # Errors
    ///
    /// When the file cannot be written; an older one is unchanged then.
    pub fn write(&self, path: &Path) -> Result<(), WriteError> {
        files::write(path, self.to_json(path)?.as_bytes()).map(drop)
    }

    /// The content of the file at this path.
    pub(super) fn to_json(&self, path: &Path) -> Result<String, WriteError> {
        let json = serde_json::to_string_pretty(self);
        let json = json.map_err(|error| WriteError::new(path, &error.into()))?;
        // A user may have pasted a key into the reason or a path.
        Ok(mask_keys(&json).into_owned() + "\n")
    }

    /// The first file with this role.
    pub fn file(&self, role: &str) -> Option<&FileEntry> {
        self.files.iter().find(|file| file.role == role)
    }

    /// Whether the results were changed since it was written, as far as they can be read.
    pub fn is_changed(&self, results: &Path) -> bool {
        self.file("results")
            .is_some_and(|made| sha256_file(results).is_ok_and(|it| it != made.sha256))
    }

    /// A setting, by the long name of its flag.
    pub fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.get(name)
    }

    /// What the input's column held (`--by`).
    pub fn named_by(&self) -> IdentifierKind {
        let by = self.setting("by").and_then(Value::as_str);
        let is_it = |kind: &IdentifierKind| Some(kind.flag_value()) == by;
        IdentifierKind::ALL.into_iter().find(is_it).unwrap_or_default()
    }

    /// Starts another pass.
    pub fn begin_pass(&mut self, now: SystemTime) {
        env!("CARGO_PKG_VERSION").clone_into(&mut self.program_version);
        Self::RUNNING.clone_into(&mut self.ending);
        (self.finished_at, self.exit_code, self.next) = (None, None, None);
        self.passes.push(Pass {
            started_at: now,
            finished_at: None,
            ending: Self::RUNNING.to_owned(),
            requests: 0,
            retries: 0,
            throttled: 0,
            given_up: 0,
            paused_seconds: 0.0,
            look_ups: 0,
            timeline: Vec::new(),
            latency_ms: Latency::default(),
        });
    }

    /// Ends the pass with the figures of the summary.
    pub(super) fn end_pass(&mut self, summary: &Summary, stats: &Stats, now: SystemTime) {
        self.finished_at = Some(now);
        summary.ending.code().clone_into(&mut self.ending);
        self.counts = summary.counts;
        self.exit_code = Some(summary.exit_code);
        self.records = summary.n_records;
        self.rows = summary.n_rows();
        self.unprocessed = summary.n_unprocessed;
        self.next = summary.next.as_ref().map(|next| next.command.clone());
        if let Some(pass) = self.passes.last_mut() {
            pass.end(summary.ending, stats, now);
        }
    }
}

impl Pass {
    fn end(&mut self, ending: Ending, stats: &Stats, now: SystemTime) {
        self.finished_at = Some(now);
        ending.code().clone_into(&mut self.ending);
        self.requests = stats.n_requests;
        self.retries = stats.n_retries;
        self.throttled = stats.n_throttled();
        self.given_up = stats.n_given_up;
        self.paused_seconds = stats.paused().as_secs_f64();
        self.look_ups = stats.n_lookups;
        let width = stats.timeline.width;
        let buckets = stats.timeline.buckets.iter().zip(0_u32..);
        self.timeline = buckets
            .map(|(bucket, index)| Bucket {
                at: (width * index).as_secs_f64(),
                bucket_seconds: width.as_secs_f64(),
                requests: bucket.n_requests,
                throttled: bucket.n_throttled,
                failed_attempts: bucket.n_failed,
            })
            .collect();
        self.latency_ms = Latency::of(&stats.latency);
    }
}

impl Latency {
    fn of(latency: &crate::stats::Latency) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        let n = latency.n().max(1) as f64;
        Self {
            p50: ms(latency.quantile(0.5)),
            p90: ms(latency.quantile(0.9)),
            p99: ms(latency.quantile(0.99)),
            max: ms(latency.max),
            mean: ms(latency.sum) / n,
        }
    }
}

/// A number of seconds in a manifest, which may be any number, as a duration.
pub fn seconds(seconds: f64) -> Duration {
    /// More than any run.
    const LONGEST: f64 = 1e9;
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST)).unwrap_or_default()
}

/// The instance, also in the words of early versions.
fn instance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let word = String::deserialize(deserializer)?;
    Ok(match word.as_str() {
        "live" => "production".to_owned(),
        "test" => "development".to_owned(),
        "other" => "unknown".to_owned(),
        _ => word,
    })
}

/// By the codes of the outcomes, in the order in which summaries list them.
fn counts_to_map<S: Serializer>(counts: &Counts, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(counts.iter().map(|(outcome, n)| (outcome.code(), n)))
}

/// Outcomes of a later version are ignored.
fn counts_of_map<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Counts, D::Error> {
    let by_code = BTreeMap::<String, u64>::deserialize(deserializer)?;
    Ok(by_code.into_iter().filter_map(|(code, n)| Some((code.parse().ok()?, n))).collect())
}

fn write_time<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    let moment = Moment::from_system(*time);
    serializer.collect_str(&moment.ok_or_else(|| ser::Error::custom("time out of range"))?)
}

#[allow(clippy::ref_option, reason = "serde passes a reference to the field")]
fn write_maybe_time<S: Serializer>(
    time: &Option<SystemTime>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => write_time(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn read_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
    let time = Moment::parse(&String::deserialize(deserializer)?).and_then(Moment::to_system);
    time.ok_or_else(|| de::Error::custom("not an RFC 3339 time"))
}

fn read_maybe_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<SystemTime>, D::Error> {
    #[derive(Deserialize)]
    struct Text(#[serde(deserialize_with = "read_time")] SystemTime);
    Ok(Option::<Text>::deserialize(deserializer)?.map(|text| text.0))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::super::testing::moment;
    use super::*;
    use crate::model::Outcome;

    fn sample() -> Manifest {
        let settings = json!({ "by": "email", "snapshot": "full", "redact": ["private_metadata"] });
        Manifest {
            schema_version: 1,
            program_version: "0.1.0".into(),
            command: "bulk-unlock run ids.csv --reason 'wave of \"07\"'".into(),
            kind: CommandKind::Run,
            settings: settings.as_object().unwrap().clone(),
            instance: "production".into(),
            host: "api.clerk.com".into(),
            key: Some("sk_live_…a1b2".into()),
            operator: Some("ada".into()),
            reason: Some("INC-7".into()),
            started_at: moment(0),
            finished_at: Some(moment(12_500)),
            ending: "max_fail".into(),
            counts: [(Outcome::Failed, 2), (Outcome::Unlocked, 40), (Outcome::Duplicate, 1)]
                .into_iter()
                .collect(),
            excluded: ExcludeCounts { entries: 3, matched: 1, unmatched: 2 },
            exit_code: Some(3),
            records: 50,
            rows: 43,
            unprocessed: 7,
            next: Some("bulk-unlock run ids.csv --resume".into()),
            files: vec![FileEntry {
                role: "input".into(),
                name: "ids.csv".into(),
                sha256: "00ff".into(),
            }],
            passes: vec![Pass {
                started_at: moment(0),
                finished_at: None,
                ending: Manifest::RUNNING.into(),
                requests: 60,
                retries: 17,
                throttled: 1,
                given_up: 0,
                paused_seconds: 2.5,
                look_ups: 0,
                timeline: vec![Bucket {
                    at: 0.0,
                    bucket_seconds: 10.0,
                    requests: 60,
                    throttled: 1,
                    failed_attempts: 16,
                }],
                latency_ms: Latency { p50: 80.0, p90: 120.5, p99: 300.0, max: 310.0, mean: 88.25 },
            }],
        }
    }

    fn in_a_directory() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("r.manifest.json");
        (dir, path)
    }

    #[test]
    fn a_manifest_is_readable() {
        let (_dir, path) = in_a_directory();
        sample().write(&path).unwrap();
        insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
        {
          "schema_version": 1,
          "program_version": "0.1.0",
          "command": "bulk-unlock run ids.csv --reason 'wave of \"07\"'",
          "kind": "run",
          "settings": {
            "by": "email",
            "redact": [
              "private_metadata"
            ],
            "snapshot": "full"
          },
          "instance": "production",
          "host": "api.clerk.com",
          "key": "sk_live_…a1b2",
          "operator": "ada",
          "reason": "INC-7",
          "started_at": "2023-11-14T22:13:20.000Z",
          "finished_at": "2023-11-14T22:13:32.500Z",
          "ending": "max_fail",
          "counts": {
            "unlocked": 40,
            "duplicate": 1,
            "failed": 2
          },
          "excluded": {
            "entries": 3,
            "matched": 1,
            "unmatched": 2
          },
          "exit_code": 3,
          "records": 50,
          "rows": 43,
          "unprocessed": 7,
          "next": "bulk-unlock run ids.csv --resume",
          "files": [
            {
              "role": "input",
              "name": "ids.csv",
              "sha256": "00ff"
            }
          ],
          "passes": [
            {
              "started_at": "2023-11-14T22:13:20.000Z",
              "finished_at": null,
              "ending": "running",
              "requests": 60,
              "retries": 17,
              "throttled": 1,
              "given_up": 0,
              "paused_seconds": 2.5,
              "look_ups": 0,
              "timeline": [
                {
                  "at": 0.0,
                  "bucket_seconds": 10.0,
                  "requests": 60,
                  "throttled": 1,
                  "failed_attempts": 16
                }
              ],
              "latency_ms": {
                "p50": 80.0,
                "p90": 120.5,
                "p99": 300.0,
                "max": 310.0,
                "mean": 88.25
              }
            }
          ]
        }
        "#);
    }

    #[test]
    fn a_manifest_is_read_back_as_it_was_written() {
        let (_dir, path) = in_a_directory();
        sample().write(&path).unwrap();
        assert_eq!(Manifest::read(&path).unwrap(), Some(sample()));
        assert_eq!(sample().named_by(), IdentifierKind::Email);
    }

    #[test]
    fn a_running_job_has_no_end() {
        let (_dir, path) = in_a_directory();
        let mut running = sample();
        running.begin_pass(moment(20_000));
        running.write(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"finished_at\": null,\n  \"ending\": \"running\""), "{text}");
        assert!(text.contains("\"exit_code\": null"), "{text}");
        assert_eq!(Manifest::read(&path).unwrap(), Some(running.clone()));
        assert_eq!(running.passes.len(), 2);
    }

    #[test]
    fn a_missing_manifest_is_none() {
        let (_dir, path) = in_a_directory();
        assert_eq!(Manifest::read(&path).unwrap(), None);
    }

    #[track_caller]
    fn read_changed(changes: &[(&str, &str)]) -> Manifest {
        let (_dir, path) = in_a_directory();
        sample().write(&path).unwrap();
        let mut text = fs::read_to_string(&path).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replace(from, to);
        }
        fs::write(&path, text).unwrap();
        Manifest::read(&path).unwrap().unwrap()
    }

    #[test]
    fn fields_and_outcomes_of_a_later_version_are_ignored() {
        let read = read_changed(&[
            ("\"schema_version\": 1", "\"schema_version\": 1, \"mood\": [1]"),
            ("\"failed\": 2", "\"failed\": 2, \"pardoned\": 3"),
        ]);
        assert_eq!(read, sample());
    }

    #[test]
    fn instance_words_of_early_versions_are_accepted() {
        let instance = |word: &str| {
            let word = format!("\"instance\": \"{word}\"");
            read_changed(&[("\"instance\": \"production\"", &word)]).instance
        };
        assert_eq!(
            ["live", "test", "other"].map(instance),
            ["production", "development", "unknown"]
        );
        assert_eq!(instance("sandbox"), "sandbox");
    }

    #[test]
    fn a_file_that_is_not_a_manifest_is_named() {
        let (_dir, path) = in_a_directory();
        fs::write(&path, "{").unwrap();
        let error = Manifest::read(&path).unwrap_err();
        assert!(matches!(error, ReadError::NotManifest { .. }), "{error}");
    }
}
