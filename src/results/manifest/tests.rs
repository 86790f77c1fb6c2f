use std::path::PathBuf;

use crate::model::Outcome;

use super::super::format::tests::moment;
use super::*;

fn sample() -> Manifest {
    Manifest {
        schema_version: 1,
        program_version: "0.1.0".into(),
        command: "bulk-unlock run ids.csv --reason 'wave of \"07\"'".into(),
        kind: CommandKind::Run,
        instance: "live".into(),
        host: "api.clerk.com".into(),
        key: Some("sk_live_…a1b2".into()),
        reason: Some("INC-7".into()),
        started_at: moment(0),
        finished_at: Some(moment(12_500)),
        ending: "max_fail".into(),
        exit_code: Some(3),
        counts: [(Outcome::Failed, 2), (Outcome::Unlocked, 40), (Outcome::Duplicate, 1)].into(),
        records: 50,
        rows: 43,
        unprocessed: 7,
        settings: Some(Settings {
            by: "user-id".into(),
            snapshot: "full".into(),
            redact: vec!["private_metadata".into()],
        }),
        include_admin_locked: false,
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
fn a_manifest_is_read_by_people_too() {
    let (_dir, path) = in_a_directory();
    sample().write(&path).unwrap();
    insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
{
  "schema_version": 1,
  "program_version": "0.1.0",
  "command": "bulk-unlock run ids.csv --reason 'wave of \"07\"'",
  "kind": "run",
  "instance": "live",
  "host": "api.clerk.com",
  "key": "sk_live_…a1b2",
  "reason": "INC-7",
  "started_at": "2023-11-14T22:13:20.000Z",
  "finished_at": "2023-11-14T22:13:32.500Z",
  "ending": "max_fail",
  "exit_code": 3,
  "counts": {
    "unlocked": 40,
    "duplicate": 1,
    "failed": 2
  },
  "records": 50,
  "rows": 43,
  "unprocessed": 7,
  "settings": {
    "by": "user-id",
    "snapshot": "full",
    "redact": [
      "private_metadata"
    ]
  },
  "include_admin_locked": false,
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
fn what_was_written_is_read_back() {
    let (_dir, path) = in_a_directory();
    sample().write(&path).unwrap();
    assert_eq!(Manifest::read(&path).unwrap(), Some(sample()));
}

#[test]
fn a_running_job_has_no_end() {
    let (_dir, path) = in_a_directory();
    let running = Manifest {
        finished_at: None,
        exit_code: None,
        ending: Manifest::RUNNING.into(),
        ..sample()
    };
    running.write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains("\"finished_at\": null,\n  \"ending\": \"running\",\n  \"exit_code\": null")
    );
    assert_eq!(Manifest::read(&path).unwrap(), Some(running));
}

#[test]
fn a_missing_manifest_is_none() {
    let (_dir, path) = in_a_directory();
    assert_eq!(Manifest::read(&path).unwrap(), None);
}

#[test]
fn what_a_later_version_added_is_passed_over() {
    let (_dir, path) = in_a_directory();
    sample().write(&path).unwrap();
    let text = fs::read_to_string(&path).unwrap();
    let later = text
        .replace("\"schema_version\": 1", "\"schema_version\": 1, \"mood\": [1]")
        .replace("\"failed\": 2", "\"failed\": 2, \"pardoned\": 3");
    assert_eq!(later.len(), text.len() + ", \"mood\": [1]".len() + ", \"pardoned\": 3".len());
    fs::write(&path, later).unwrap();
    assert_eq!(Manifest::read(&path).unwrap(), Some(sample()));
}

#[test]
fn what_is_no_manifest_is_said_so_with_its_path() {
    let (_dir, path) = in_a_directory();
    fs::write(&path, "{").unwrap();
    let error = Manifest::read(&path).unwrap_err();
    assert!(matches!(error, ReadError::NotManifest { .. }), "{error}");
}
