//! The final check, records = rows + unprocessed, when another process changes the results during
//! the run.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Ended, Stage, list, users};

const N_USERS: usize = 100;

/// Runs, and changes the results file once some rows are written.
#[track_caller]
fn run_with_interference(interfere: impl Fn(&Stage)) -> (Stage, Ended) {
    let stage = Stage::with_sandbox(slow_config("5ms..15ms"));
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn("run ids.txt --yes -c 4 --rate 100/s");
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 5);
    interfere(&stage);
    let ended = running.wait();
    (stage, ended)
}

fn append(stage: &Stage, text: &str) {
    let file = OpenOptions::new().append(true).open(stage.path("ids.results.csv"));
    file.expect("the results").write_all(text.as_bytes()).expect("room");
}

fn truncate(stage: &Stage, len: usize) {
    let file = OpenOptions::new().write(true).open(stage.path("ids.results.csv"));
    file.expect("the results").set_len(len as u64).expect("a shorter file");
}

fn header(stage: &Stage) -> String {
    stage.read("ids.results.csv").lines().next().expect("a header").to_owned() + "\n"
}

#[test]
fn row_added_by_another_process_exits_with_7() {
    let (stage, ended) = run_with_interference(|stage| {
        let rows = stage.read("ids.results.csv");
        let again = rows.lines().nth(1).expect("a row");
        append(stage, &format!("{again}\n"));
    });
    ended
        .exits_with(7)
        .prints("do not add up")
        .prints("100 rows were recorded, but the results file has 101.");
    assert_eq!(stage.n_rows("ids.results.csv"), 101);
    assert_eq!(stage.n_posts(), N_USERS, "all users were unlocked");
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["exit_code"], &manifest["ending"]), (&7.into(), &"unaccounted".into()));
    assert_eq!(manifest["rows"], 101, "the manifest counts the rows of the file");
}

/// The sidecar files match the rows that are left in the results.
#[track_caller]
fn check_stopped_with_correct_files(stage: &Stage, ended: Ended, message: &str) {
    ended.exits_with(6).prints(message);
    assert!(stage.n_posts() < N_USERS, "the run stopped at once");
    let n_rows = stage.check_accounting("ids.results", &users(N_USERS));
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["exit_code"], &manifest["ending"]), (&6.into(), &"output_failed".into()));
    assert_eq!(manifest["counts"]["unlocked"].as_u64().unwrap_or(0), n_rows as u64);
    let results = &manifest["files"][1];
    assert_eq!(
        (&results["role"], &results["sha256"]),
        (&"results".into(), &stage.sha256("ids.results.csv").into())
    );
}

const CHANGED: &str = "cannot write ids.results.csv: another process changed it during the run";

#[test]
fn truncated_results_stop_the_run() {
    let (stage, ended) = run_with_interference(|stage| truncate(stage, header(stage).len()));
    check_stopped_with_correct_files(&stage, ended, CHANGED);
    stage.run("run ids.txt --yes --resume").exits_with(0);
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));

    // `logrotate` with `copytruncate` does this.
    let (stage, ended) = run_with_interference(|stage| truncate(stage, 0));
    ended.exits_with(6).prints(CHANGED);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["rows"], &manifest["unprocessed"]), (&0.into(), &N_USERS.into()));
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), N_USERS);
}

#[test]
fn results_truncated_within_a_row_stop_the_run_and_can_be_resumed() {
    let (stage, ended) = run_with_interference(|stage| truncate(stage, header(stage).len() + 500));
    ended.exits_with(6).prints(CHANGED);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["ending"], "output_failed");
    assert_eq!(manifest["rows"], 0, "the first row is longer than 500 bytes");
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), N_USERS);
    let line = format!("run ids.txt --yes --resume {FAST}");
    stage.run(&line).exits_with(0).prints("Removed an incomplete row");
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
}

#[test]
fn rotated_results_stop_the_run_and_can_be_restored() {
    let (stage, ended) = run_with_interference(|stage| {
        fs::rename(stage.path("ids.results.csv"), stage.path("ids.results.csv.1")).unwrap();
        stage.write("ids.results.csv", "");
    });
    ended.exits_with(6).prints("it was removed or replaced during the run").prints("Put it back");
    assert!(stage.n_posts() < N_USERS);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["ending"], &manifest["rows"]), (&"output_failed".into(), &0.into()));
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), N_USERS);
    fs::rename(stage.path("ids.results.csv.1"), stage.path("ids.results.csv")).unwrap();
    stage.run("run ids.txt --yes --resume").exits_with(0);
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
    let n_again: usize = stage.posts().into_values().map(|n_calls| n_calls - 1).sum();
    assert!(n_again <= 4, "{n_again} users were unlocked again");
}

#[test]
fn foreign_line_added_by_another_process_exits_with_6() {
    let (stage, ended) = run_with_interference(|stage| append(stage, "not a row\n"));
    ended.exits_with(6).prints("another process changed the results file during the run");
    assert_eq!(stage.n_posts(), N_USERS, "all users were unlocked");
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["exit_code"], &manifest["ending"]), (&6.into(), &"output_failed".into()));
    assert_eq!((&manifest["rows"], &manifest["unprocessed"]), (&N_USERS.into(), &0.into()));
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), 0);
}

#[test]
fn partial_line_added_by_another_process_stops_the_run() {
    let (stage, ended) = run_with_interference(|stage| append(stage, "half a line"));
    ended.exits_with(6).prints(CHANGED);
    assert!(stage.n_posts() < N_USERS, "a row after it would be lost");
    let line = format!("run ids.txt --yes --resume {FAST}");
    stage.run(&line).exits_with(0).prints("Removed an incomplete row");
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
}
