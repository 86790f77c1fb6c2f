//! `check`: what a preflight finds out, and what it refuses.

mod common;

use bulk_unlock::sandbox::{Mode, SandboxConfig};
use common::Stage;
use serde_json::{Value, json};

fn json_of(stage: &Stage, line: &str) -> Value {
    let ended = stage.run(line).exits_with(0);
    serde_json::from_str(&ended.stdout).expect("JSON")
}

#[test]
fn two_reads_show_whether_a_run_could_begin() {
    let stage = Stage::with_sandbox(SandboxConfig::default().n_users(1_234).log_requests(true));
    let ended = stage.run("check").exits_with(0);
    for text in ["CLERK_SECRET_KEY", "1,234", "2025-11-10", "clock ", "http"] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    let requests = stage.sandbox().requests();
    let paths: Vec<(&str, &str)> =
        requests.iter().map(|it| (it.method.as_str(), it.path_and_query.as_str())).collect();
    assert_eq!(paths.len(), 2, "{paths:?}");
    assert_eq!(paths[0], ("GET", "/v1/users/count"));
    assert_eq!(paths[1], ("GET", "/v1/users?limit=1"));
    assert!(stage.files().is_empty(), "no file is written");
}

#[test]
fn the_json_result_contains_the_source_of_each_setting() {
    let mut stage = Stage::with_sandbox(SandboxConfig::default().n_users(10));
    stage.set("BULK_UNLOCK_TIMEOUT", "7s");
    let check = json_of(&stage, "check --json --quota-share 25%");
    assert_eq!(check["users"], 10);
    assert_eq!(check["exit_code"], 0);
    assert_eq!(check["tls"], Value::Null, "the sandbox speaks http");
    // A request may take a moment, and servers renew their date once per second.
    assert!(check["clock_skew_seconds"].as_i64().is_some_and(|skew| skew.abs() <= 60), "{check}");
    assert_eq!(check["key_source"], "CLERK_SECRET_KEY");
    let settings = &check["settings"];
    assert_eq!(settings["quota_share"], json!({ "value": "25%", "source": "flag" }));
    assert_eq!(settings["timeout"], json!({ "value": "7s", "source": "environment" }));
    assert_eq!(settings["connect_timeout"], json!({ "value": "10s", "source": "default" }));
    assert_eq!(settings["api_url"]["source"], "environment");
    let embedded = json_of(&Stage::new(), "check --json --sandbox --sandbox-users 20");
    assert_eq!((&embedded["users"], &embedded["instance"]), (&json!(20), &json!("sandbox")));
}

#[test]
fn a_key_that_is_missing_or_refused_is_exit_4() {
    let mut stage = Stage::with_quick_sandbox();
    for status in [401, 403] {
        stage.sandbox().set_mode(Mode::AllStatus(status));
        let ended = stage.run("check").exits_with(4);
        assert!(ended.stdout.contains("from CLERK_SECRET_KEY"), "{}", ended.stdout);
    }
    assert_eq!(stage.sandbox().stats().n_requests, 2, "one request each");
    stage.run("check --json").exits_with(4);
    stage.unset("CLERK_SECRET_KEY");
    let ended = stage.run("check").exits_with(4);
    assert_eq!(ended.stdout, "");
}

#[test]
fn an_api_that_does_not_answer_as_expected_is_exit_2() {
    let mut stage = Stage::with_quick_sandbox();
    for status in [500, 429, 404] {
        stage.sandbox().set_mode(Mode::AllStatus(status));
        stage.run("check").exits_with(2).prints("did not answer as expected");
    }
    // A port on which no server listens.
    stage.set("CLERK_API_URL", "http://127.0.0.1:9");
    stage.run("check").exits_with(2).prints("connection refused");
    stage.run("check --json").exits_with(2);
}
