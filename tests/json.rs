//! Machine-readable output: the log of `--log-format json`, the objects of `--json`, and manifests,
//! each checked against its schema in `samples/schemas`.

mod common;

use bulk_unlock::sandbox::{Mode, SandboxConfig};
use common::sample;
use common::terminal::run_on_terminal;
use common::watch::wait_until;
use common::{Ended, Stage, list, locked_users, missing_user};
use jsonschema::{Draft, Validator};
use serde_json::{Value, json};

fn schema(name: &str) -> Validator {
    let text = std::fs::read_to_string(sample(&format!("schemas/{name}.schema.json")));
    let schema: Value = serde_json::from_str(&text.expect("a schema")).expect("JSON");
    assert!(jsonschema::meta::is_valid(&schema), "{name}");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    jsonschema::options().with_draft(Draft::Draft202012).build(&schema).expect("a schema")
}

#[track_caller]
fn check(name: &str, value: &Value) {
    let schema = schema(name);
    let errors: Vec<String> = schema
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}: {}\n{value:#}", errors.join("\n"));
}

/// The log lines on stderr, checked against their schema.
#[track_caller]
fn log(ended: &Ended) -> Vec<Value> {
    let parse = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}: {line}", ended.line))
    };
    let lines: Vec<Value> = ended.stderr.lines().map(parse).collect();
    assert!(!lines.is_empty(), "{}: nothing is logged", ended.line);
    for line in &lines {
        check("log", line);
        assert_eq!(line["run_id"], lines[0]["run_id"], "{}", ended.line);
        assert_eq!(line["type"] == "version", line == &lines[0], "{}", ended.line);
        if let Some(summary) = line.get("summary") {
            check("summary", summary);
        }
    }
    lines
}

/// The object on stdout, checked against its schema.
#[track_caller]
fn object(ended: &Ended) -> Value {
    let object = serde_json::from_str(&ended.stdout);
    let object = object.unwrap_or_else(|error| panic!("{}: {error}: {}", ended.line, ended.stdout));
    check("summary", &object);
    object
}

/// The types of the lines, without consecutive duplicates.
fn types(lines: &[Value]) -> Vec<&str> {
    let mut types: Vec<&str> = lines.iter().filter_map(|line| line["type"].as_str()).collect();
    types.dedup();
    types
}

/// A stage with four users to unlock in `ids.csv`.
fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&locked_users(4)));
    stage
}

const JSON: &str = "--log-format json";

#[test]
fn log_lines_of_every_command_match_the_schema() {
    let stage = stage();
    for (line, code) in [
        ("plan ids.csv", 0),
        ("run ids.csv --yes --verify", 0),
        ("verify ids.results.csv --force", 0),
        ("locked", 0),
        ("locked -o locked.csv", 0),
        ("report ids.results.csv --html page.html", 0),
        ("run ids.csv --yes", 6),
        ("run ids.csv --yes --force --only-locked -vv", 0),
        ("run nowhere.csv --yes", 2),
        ("run ids.csv --frobnicate", 2),
        ("report", 2),
        ("frobnicate", 2),
    ] {
        let ended = stage.run(&format!("{line} {JSON}")).exits_with(code);
        // The log format also applies to errors of an unknown command.
        let lines = log(&ended);
        let has_error = lines.iter().any(|it| it["type"] == "error");
        assert_eq!(has_error, code > 1, "{line}: {}", ended.stderr);
        if code > 1 {
            let last = lines.last().expect("a line");
            assert_eq!((&last["type"], &last["exit_code"]), (&json!("error"), &json!(code)));
        }
    }
}

#[test]
fn log_line_types_depend_on_the_verbosity() {
    let stage = stage();
    let ended = stage.run(&format!("run ids.csv --yes {JSON}")).exits_with(0);
    assert_eq!(types(&log(&ended)), ["version", "note", "summary"]);
    let ended = stage.run(&format!("run ids.csv --yes --force -q {JSON}")).exits_with(0);
    assert_eq!(types(&log(&ended)), ["version", "summary"]);
    let ended = stage.run(&format!("run ids.csv --yes --force -vv {JSON}")).exits_with(0);
    let lines = log(&ended);
    assert_eq!(types(&lines), ["version", "setting", "note", "trace", "summary"]);
    let is_timeout = |line: &&Value| line["name"] == "timeout";
    let timeout = lines.iter().find(is_timeout).expect("a setting");
    assert_eq!((&timeout["value"], &timeout["source"]), (&json!("30s"), &json!("default")));
    let secret = stage.sandbox().key().trim_start_matches("sk_test_");
    assert!(!ended.stderr.contains(secret));
}

#[test]
fn failed_attempts_and_bad_rows_are_logged_as_details() {
    let stage = stage();
    stage.write("ids.csv", list(&[missing_user()]));
    let ended = stage.run(&format!("run ids.csv --yes -v {JSON}")).exits_with(1);
    assert_eq!(types(&log(&ended)), ["version", "setting", "note", "detail", "summary"]);
}

#[test]
fn first_log_line_has_version_and_trace_and_each_run_has_an_id() {
    let mut stage = stage();
    let first = |stage: &Stage| {
        let ended = stage.run(&format!("run ids.csv --yes --force {JSON}")).exits_with(0);
        log(&ended).swap_remove(0)
    };
    let line = first(&stage);
    assert_eq!(line["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(line["traceparent"], Value::Null);
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    stage.set("TRACEPARENT", trace);
    let other = first(&stage);
    assert_eq!(other["traceparent"], trace);
    assert_ne!(line["run_id"], other["run_id"]);
}

#[test]
fn log_format_from_variable_or_file_applies_to_usage_errors() {
    let mut stage = stage();
    stage.write("ops.toml", "log-format = \"json\"\njson = true\nquota-share = \"5%\"\n");
    log(&stage.run("run ids.csv --yes --config ops.toml").exits_with(0));
    let ended = stage.run("run ids.csv --rate 1/s --config ops.toml").exits_with(2);
    let error = log(&ended).swap_remove(1);
    assert!(error["hint"].as_str().expect("a hint").contains("quota-share (ops.toml:3)"));
    assert_eq!(object(&ended)["error"]["code"], "usage");
    stage.set("BULK_UNLOCK_LOG_FORMAT", "json");
    log(&stage.run("run --frobnicate").exits_with(2));
    log(&stage.run("").exits_with(2));
    log(&stage.run("run ids.csv --config nowhere.toml").exits_with(2));
    stage.set("BULK_UNLOCK_FROBNICATE", "1");
    log(&stage.run("run ids.csv").exits_with(2));
}

#[test]
fn json_log_on_a_terminal_has_neither_bar_nor_prompt() {
    let stage = stage();
    let first = run_on_terminal(&stage, &format!("$BU run ids.csv {JSON} --color always"), "");
    assert_eq!(first.code, Some(5));
    let line = format!("$BU run ids.csv --yes --progress bar --color always {JSON}");
    let second = run_on_terminal(&stage, &line, "");
    assert_eq!(second.code, Some(0));
    for text in [first.text, second.text] {
        let lines = text.lines().filter(|line| !line.starts_with("Script "));
        for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
            check("log", &serde_json::from_str(line).expect(line));
        }
    }
    assert_eq!(stage.n_requests(), 4);
}

#[cfg(unix)]
#[test]
fn progress_line_has_counts() {
    let stage = stage();
    stage.write("ids.csv", list(&locked_users(200)));
    let run = stage.spawn(&format!("run ids.csv --yes --rate 10/s {JSON}"));
    run.wait_for_signal_handlers();
    wait_until("requests", || stage.n_requests() >= 3);
    run.signal("USR1");
    wait_until("more requests", || stage.n_requests() >= 6);
    run.signal("INT");
    let ended = run.wait().exits_with(130);
    let lines = log(&ended);
    let progress = lines.iter().find(|line| line["type"] == "progress").expect("progress");
    assert_eq!((&progress["total"], &progress["failed"]), (&json!(200), &json!(0)));
    assert!(progress["done"].as_u64() >= Some(1), "{progress}");
    let summary = lines.iter().find(|line| line["type"] == "summary").expect("a summary");
    assert_eq!(summary["summary"]["ending"], "interrupted");
}

#[test]
fn summaries_of_every_command_match_the_schema() {
    let stage = stage();
    stage.write("mixed.csv", list(&[locked_users(1), vec![missing_user()]].concat()));
    for (line, code) in [
        ("plan ids.csv --json", 0),
        ("run ids.csv --yes --json --verify", 0),
        ("run mixed.csv --yes --json", 1),
        ("run --plan ids.plan.csv --yes --json -o planned.csv", 0),
        ("verify ids.results.csv --json --force", 0),
        ("report ids.results.csv ids.plan.csv --json", 0),
        ("relock planned.csv -n --json --force", 0),
    ] {
        let object = object(&stage.run(line).exits_with(code));
        assert!(object.get("error").is_none(), "{line}");
        assert_eq!(object["exit_code"], code, "{line}");
    }
    let object = object(&stage.run("report mixed.results.csv --json").exits_with(0));
    assert_eq!(object["exit_code"], 1, "the exit code of the run");
}

#[test]
fn error_objects_have_a_stable_code() {
    let mut stage = stage();
    stage.run("run ids.csv --yes").exits_with(0);
    stage.write("old.toml", "max-usrs = 1\n");
    for (line, code, word) in [
        ("run nowhere.csv --yes --json", 2, "usage"),
        ("plan nowhere.csv --json", 2, "usage"),
        ("verify nowhere.csv --json", 2, "usage"),
        ("run ids.csv --json --frobnicate", 2, "usage"),
        ("report --json", 2, "usage"),
        ("run ids.csv --json --config old.toml", 2, "usage"),
        ("run ids.csv --yes --json --force --max-users 1", 2, "usage"),
        ("run ids.csv --json --force", 5, "not_confirmed"),
        ("run ids.csv --yes --json", 6, "output"),
        ("run ids.csv --yes --json -o /nowhere/out.csv", 6, "output"),
    ] {
        let ended = stage.run(line).exits_with(code);
        let object = object(&ended);
        assert_eq!(object["error"]["code"], word, "{line}");
        assert_eq!(object["exit_code"], code, "{line}");
        let message = object["error"]["message"].as_str().expect("a message");
        assert!(ended.stderr.contains(message.split([';', ':']).next().expect("text")), "{line}");
    }
    stage.set("BULK_UNLOCK_JSON", "true");
    object(&stage.run("run ids.csv --frobnicate").exits_with(2));
    stage.set("BULK_UNLOCK_MAX_USRS", "1");
    object(&stage.run("run ids.csv").exits_with(2));
    stage.unset("BULK_UNLOCK_MAX_USRS");
    stage.set("CLERK_SECRET_KEY", "pk_live_x");
    let object = object(&stage.run("run ids.csv --yes --force").exits_with(4));
    assert_eq!(object["error"]["code"], "key");
    assert!(object["error"]["hint"].is_string());
}

#[test]
fn commands_without_json_print_no_object() {
    let stage = stage();
    let ended = stage.run("locked --json").exits_with(2);
    assert_eq!(ended.stdout, "");
    assert_eq!(stage.run("run ids.csv --frobnicate").exits_with(2).stdout, "");
}

#[test]
fn refused_key_prints_a_summary_object() {
    let stage = stage();
    stage.sandbox().set_mode(Mode::Revoked);
    let ended = stage.run(&format!("run ids.csv --yes --json {JSON}")).exits_with(4);
    assert_eq!(object(&ended)["exit_code"], 4);
    log(&ended);
}

#[test]
fn manifests_match_the_schema() {
    let stage = Stage::with_sandbox(SandboxConfig::default().n_users(300));
    let users = [locked_users(3), vec![missing_user()]].concat();
    stage.write("ids.csv", list(&users));
    stage.write("vip.txt", list(&users[..1]));
    stage.run("plan ids.csv --exclude vip.txt").exits_with(0);
    stage
        .run("run ids.csv --yes --exclude vip.txt --reason INC-1 --report page.html")
        .exits_with(1);
    stage.run("verify ids.results.csv").exits_with(0);
    stage.run("run ids.csv --yes --resume").exits_with(1);
    stage.run("run ids.csv --yes --max-fail 1 --by user-id -o stopped.csv").exits_with(1);
    for name in ["ids.plan", "ids.results", "ids.results.verify", "stopped"] {
        check("manifest", &stage.json(&format!("{name}.manifest.json")));
    }
}

/// Replaces one value of a valid object, which the schema must then refuse.
#[track_caller]
fn check_refused(name: &str, valid: &Value, pointer: &str, value: Value) {
    let schema = schema(name);
    assert!(schema.is_valid(valid), "{name}");
    let mut changed = valid.clone();
    let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
    let parent = changed.pointer_mut(parent).expect("a place");
    match parent {
        Value::Array(items) => items[key.parse::<usize>().expect("an index")] = value,
        parent => parent[key] = value,
    }
    assert!(!schema.is_valid(&changed), "{name} accepts {pointer}: {changed:#}");
}

#[test]
fn schemas_refuse_unknown_fields_and_wrong_types() {
    let stage = stage();
    let ended = stage.run(&format!("run ids.csv --yes --json -v {JSON}")).exits_with(0);
    let (summary, lines) = (object(&ended), log(&ended));
    for (pointer, value) in [
        ("/unknown", json!(1)),
        ("/error", json!(null)),
        ("/counts/nonsense", json!(1)),
        ("/counts/unlocked", json!("4")),
        ("/exit_code", json!(8)),
        ("/files/results", json!(1)),
        ("/schema_version", json!(2)),
    ] {
        check_refused("summary", &summary, pointer, value);
    }
    let manifest = stage.json("ids.results.manifest.json");
    for (pointer, value) in [
        ("/unknown", json!(1)),
        ("/settings/timeout", json!({})),
        ("/started_at", json!("yesterday")),
        ("/passes/0/unknown", json!(1)),
        ("/passes/0/requests", json!(-1)),
        ("/files/0/sha256", json!("abc")),
        ("/exit_code", json!("0")),
    ] {
        check_refused("manifest", &manifest, pointer, value);
    }
    for line in &lines {
        check_refused("log", line, "/unknown", json!(1));
        check_refused("log", line, "/type", json!("unknown"));
        check_refused("log", line, "/run_id", json!(1));
        check_refused("log", line, "/time", json!("now"));
    }
    let failed = object(&stage.run("run ids.csv --yes --json").exits_with(6));
    for (pointer, value) in [
        ("/error/code", json!("unknown")),
        ("/error/unknown", json!(1)),
        ("/error/message", json!(null)),
        ("/exit_code", json!(0)),
    ] {
        check_refused("summary", &failed, pointer, value);
    }
}
