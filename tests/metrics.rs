//! `--metrics-file`: the metrics of each command, for every exit code.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use bulk_unlock::sandbox::Mode;
use common::watch::{slow_config, wait_until};
use common::{Stage, list, locked_users, missing_user};

const FILE: &str = "--metrics-file it.prom";

/// A sample of the metrics file: its value as text.
fn sample(stage: &Stage, name: &str) -> Option<String> {
    let text = stage.read("it.prom");
    let mut lines = text.lines();
    lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned))
}

#[track_caller]
fn has(stage: &Stage, samples: &[(&str, &str)]) {
    for (name, value) in samples {
        assert_eq!(
            sample(stage, &format!("bulk_unlock_{name}")).as_deref(),
            Some(*value),
            "{name}\n{}",
            stage.read("it.prom")
        );
    }
}

fn last_success(stage: &Stage, job: &str) -> Option<String> {
    sample(stage, &format!("bulk_unlock_last_success_timestamp_seconds{{job=\"{job}\"}}"))
}

#[test]
fn a_run_writes_its_counts_and_keeps_the_last_success() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(3);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt -y {FILE}")).exits_with(0);
    has(
        &stage,
        &[
            ("users{job=\"run\",outcome=\"unlocked\"}", "3"),
            ("users{job=\"run\",outcome=\"still_locked\"}", "0"),
            ("requests{job=\"run\",status=\"200\"}", "3"),
            ("request_duration_seconds_count{job=\"run\"}", "3"),
            ("request_duration_seconds_bucket{job=\"run\",le=\"+Inf\"}", "3"),
            ("records{job=\"run\"}", "3"),
            ("unprocessed{job=\"run\"}", "0"),
            ("throttled{job=\"run\"}", "0"),
            ("exit_code{job=\"run\"}", "0"),
        ],
    );
    let mode = fs::metadata(stage.path("it.prom")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let success = last_success(&stage, "run");
    assert!(success.is_some());
    stage.write("missing.txt", list(&[missing_user()]));
    stage.run(&format!("run missing.txt -y {FILE}")).exits_with(1);
    has(
        &stage,
        &[
            ("users{job=\"run\",outcome=\"unlocked\"}", "0"),
            ("users{job=\"run\",outcome=\"not_found\"}", "1"),
            ("exit_code{job=\"run\"}", "1"),
        ],
    );
    assert_eq!(last_success(&stage, "run"), success);
    assert!(stage.files().iter().all(|name| !name.starts_with('.')), "{:?}", stage.files());
}

#[test]
fn refused_commands_write_metrics() {
    let mut stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(2)));
    stage.run(&format!("run nowhere.txt -y {FILE}")).exits_with(2);
    has(&stage, &[("exit_code{job=\"run\"}", "2"), ("records{job=\"run\"}", "0")]);
    stage.run(&format!("run ids.txt {FILE}")).exits_with(5);
    has(&stage, &[("exit_code{job=\"run\"}", "5")]);
    stage.run(&format!("run ids.txt -y --max-users 1 {FILE}")).exits_with(2);
    has(&stage, &[("exit_code{job=\"run\"}", "2")]);
    stage.sandbox().set_mode(Mode::AllStatus(401));
    stage.run(&format!("run ids.txt -y {FILE}")).exits_with(4);
    has(&stage, &[("exit_code{job=\"run\"}", "4"), ("requests{job=\"run\",status=\"401\"}", "1")]);
    stage.unset("CLERK_SECRET_KEY");
    stage.run(&format!("locked {FILE}")).exits_with(4);
    has(&stage, &[("exit_code{job=\"locked\"}", "4")]);
    assert_eq!(last_success(&stage, "locked"), None);
}

#[test]
fn each_command_writes_metrics_under_its_own_job() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(2)));
    stage.run(&format!("plan ids.txt {FILE}")).exits_with(0);
    has(&stage, &[("users{job=\"plan\",outcome=\"would_unlock\"}", "2")]);
    stage.run(&format!("run ids.txt -n --force -o n.csv {FILE}")).exits_with(0);
    has(&stage, &[("exit_code{job=\"plan\"}", "0")]);
    stage
        .run(&format!("run ids.txt -y --verify {FILE} --metrics-job 'nightly \"1\"'"))
        .exits_with(0);
    has(
        &stage,
        &[
            ("users{job=\"nightly \\\"1\\\"\",outcome=\"unlocked\"}", "2"),
            ("users{job=\"nightly \\\"1\\\"\",outcome=\"still_unlocked\"}", "2"),
            ("records{job=\"nightly \\\"1\\\"\"}", "2"),
        ],
    );
    stage.run(&format!("verify ids.results.csv --force {FILE}")).exits_with(0);
    has(&stage, &[("users{job=\"verify\",outcome=\"still_unlocked\"}", "2")]);
    stage.run(&format!("locked {FILE}")).exits_with(0);
    has(&stage, &[("exit_code{job=\"locked\"}", "0"), ("unprocessed{job=\"locked\"}", "0")]);
    let retries = sample(&stage, "bulk_unlock_retries{job=\"locked\"}");
    assert_eq!(retries.as_deref(), Some("0"));
}

#[test]
fn the_file_exists_from_the_start_and_records_an_interrupted_run() {
    let stage = Stage::with_sandbox(slow_config("300ms"));
    stage.write("ids.txt", list(&locked_users(40)));
    let running = stage.spawn(&format!("run ids.txt -y --rate 5/s {FILE}"));
    wait_until("requests were sent", || stage.sandbox().stats().n_requests >= 2);
    has(&stage, &[("users{job=\"run\",outcome=\"failed\"}", "0")]);
    assert_eq!(sample(&stage, "bulk_unlock_exit_code{job=\"run\"}"), None);
    running.signal("TERM");
    running.wait().exits_with(143);
    has(&stage, &[("exit_code{job=\"run\"}", "143"), ("records{job=\"run\"}", "40")]);
    let number = |name: &str| {
        let value = sample(&stage, &format!("bulk_unlock_{name}")).expect("a sample");
        value.parse::<u64>().expect("a number")
    };
    let n_unlocked = number("users{job=\"run\",outcome=\"unlocked\"}");
    assert_eq!(n_unlocked + number("unprocessed{job=\"run\"}"), 40);
}

#[test]
fn a_file_of_another_kind_is_kept_and_nothing_is_sent() {
    let stage = Stage::with_quick_sandbox();
    let ids = list(&locked_users(1));
    stage.write("ids.txt", &ids);
    let run = stage.run("run ids.txt -y --metrics-file ids.txt").exits_with(6);
    run.prints("cannot write the metrics file ids.txt").prints("not a bulk-unlock metrics file");
    assert_eq!(stage.read("ids.txt"), ids);
    stage
        .run("run ids.txt -y --metrics-file no/dir/it.prom")
        .exits_with(6)
        .prints("no/dir/it.prom");
    stage.run("run ids.txt -y --metrics-job x").exits_with(2).prints("--metrics-file");
    assert_eq!(stage.sandbox().stats().n_requests, 0);
    assert_eq!(stage.files(), ["ids.txt"]);
}
