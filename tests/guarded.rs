//! Files that a job must not overwrite: its inputs, foreign files, and its own other outputs.

#![cfg(unix)]

mod common;

use std::os::unix::net::UnixListener;

use common::{Stage, list, users};

/// Flags that skip the confirmation prompt and set a fast pace.
const RUN: &str = "--yes --quota 1000/1s";

fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(3)));
    stage
}

/// Checks that the command exits with this code, creates no file, and sends nothing.
#[track_caller]
fn check_refused(stage: &Stage, line: &str, code: i32, text: &str) {
    let before = stage.files();
    stage.run(line).exits_with(code).prints(text);
    assert_eq!(stage.files(), before, "{line}");
    assert_eq!(stage.n_requests(), 0, "{line}");
}

#[test]
fn two_outputs_in_one_file_are_refused() {
    let stage = stage();
    for report in ["o.csv", "o.failed.csv", "o.unprocessed.csv", "o.manifest.json", "./o.csv"] {
        let line = format!("run ids.csv {RUN} -o o.csv --report {report}");
        check_refused(&stage, &line, 2, "would be written as two different files");
    }
    let line = format!("run ids.csv {RUN} -o o.csv --verify --report o.verify.csv");
    check_refused(&stage, &line, 2, "would be written as two different files");
}

#[test]
fn an_output_that_is_also_read_is_refused() {
    let stage = stage();
    stage.write("o.verify.csv", list(&users(3)));
    let line = format!("run o.verify.csv {RUN} -o o.csv --verify");
    check_refused(&stage, &line, 2, "o.verify.csv is both an input and an output");

    let key = stage.write("key", stage.sandbox().key());
    let line = format!("run ids.csv {RUN} -o key --force --secret-key-file key");
    check_refused(&stage, &line, 2, "key is both an input and an output");
    let line = "locked -o key --force --secret-key-file key";
    check_refused(&stage, line, 2, "key is both an input and an output");
    assert_eq!(std::fs::read_to_string(key).expect("the key"), stage.sandbox().key());
}

#[test]
fn the_configuration_file_is_not_an_output() {
    let stage = stage();
    stage.run(&format!("run ids.csv {RUN} -o o.csv")).exits_with(0);
    let n_requests = stage.n_requests();
    let text = "quota-share = \"30%\"\n";
    let config = stage.write("ops.toml", text);
    for line in [
        format!("run ids.csv {RUN} -o ops.toml --force"),
        format!("run ids.csv {RUN} -o new.csv --report ops.toml --force"),
        "verify o.csv -o ops.toml --force".to_owned(),
        "locked -o ops.toml --force".to_owned(),
        "report o.csv --html ops.toml --force".to_owned(),
        "report o.csv --markdown ops.toml --force".to_owned(),
    ] {
        let line = format!("{line} --config ops.toml");
        stage.run(&line).exits_with(2).prints("ops.toml is both an input and an output");
        assert_eq!(std::fs::read_to_string(&config).expect("the file"), text, "{line}");
    }
    assert_eq!(stage.n_requests(), n_requests);
}

#[test]
fn files_that_are_not_regular_are_not_replaced() {
    let stage = stage();
    let _listener = UnixListener::bind(stage.path("pipe")).expect("a socket");
    let report = format!("run ids.csv {RUN} -o o.csv --report pipe --force");
    for line in [report.as_str(), "locked -o pipe --force"] {
        check_refused(&stage, line, 6, "not a regular file");
    }
}

#[test]
fn names_too_long_for_the_sidecar_files_leave_no_results() {
    let stage = stage();
    let line = format!("run ids.csv {RUN} -o {}.csv", "x".repeat(250));
    check_refused(&stage, &line, 6, "failed.csv: ");
}

#[test]
fn an_exclude_file_can_be_a_pipe() {
    let stage = stage();
    let line = format!("run ids.csv {RUN} --exclude /dev/stdin");
    stage.pipe(format!("{}\n", users(1)[0]), &line).exits_with(0);
    let files = &stage.json("ids.results.manifest.json")["files"];
    let is_excluded = |file: &&serde_json::Value| file["role"] == "exclude";
    let excluded = files.as_array().and_then(|files| files.iter().find(is_excluded));
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_ne!(excluded.expect("the exclude file")["sha256"], of_nothing);
}
