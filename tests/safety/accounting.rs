//! The sum at the end, records = rows + unprocessed, where another process changes the results
//! meanwhile.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use crate::common::watch::FAST;
use crate::common::watch::{slow_config, wait_until};
use crate::common::{Ended, Stage, list, users};

const N_USERS: usize = 100;

/// A run whose results file another process changes this way once some rows are written.
#[track_caller]
fn disturbed(meddle: impl Fn(&Stage)) -> (Stage, Ended) {
    let stage = Stage::with_sandbox(slow_config("5ms..15ms"));
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn("run ids.txt --yes -c 4 --rate 100/s");
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 5);
    meddle(&stage);
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
fn a_row_that_another_process_adds_is_noticed_at_the_end_and_exits_with_7() {
    let (stage, ended) = disturbed(|stage| {
        let rows = stage.read("ids.results.csv");
        let again = rows.lines().nth(1).expect("a row");
        append(stage, &format!("{again}\n"));
    });
    ended
        .exits_with(7)
        .says("do not add up")
        .says("100 rows were recorded, but the results file has 101.");
    assert_eq!(stage.n_rows("ids.results.csv"), 101);
    assert_eq!(stage.n_posts(), N_USERS, "everyone was unlocked");
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["exit_code"], &manifest["ending"]), (&7.into(), &"unaccounted".into()));
    assert_eq!(manifest["rows"], 101, "the manifest says what is in the file");
}

/// Whatever was done to the results, the files beside them say what is still in there.
#[track_caller]
fn stops_with_true_files(stage: &Stage, ended: Ended, said: &str) {
    ended.exits_with(6).says(said);
    assert!(stage.n_posts() < N_USERS, "it stopped at once");
    let n_rows = stage.adds_up("ids.results", &users(N_USERS));
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
fn results_that_are_truncated_stop_the_run_at_once() {
    let (stage, ended) = disturbed(|stage| truncate(stage, header(stage).len()));
    stops_with_true_files(&stage, ended, CHANGED);
    stage.run("run ids.txt --yes --resume").exits_with(0);
    stage.has_each_once("ids.results.csv", &users(N_USERS));

    // As `logrotate` with `copytruncate` does.
    let (stage, ended) = disturbed(|stage| truncate(stage, 0));
    ended.exits_with(6).says(CHANGED);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["rows"], &manifest["unprocessed"]), (&0.into(), &N_USERS.into()));
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), N_USERS);
}

#[test]
fn results_cut_in_the_middle_of_a_row_stop_the_run_and_can_be_resumed() {
    let (stage, ended) = disturbed(|stage| truncate(stage, header(stage).len() + 500));
    ended.exits_with(6).says(CHANGED);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["ending"], "output_failed");
    assert_eq!(manifest["rows"], 0, "the first row is longer than 500 bytes");
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), N_USERS);
    let line = format!("run ids.txt --yes --resume {FAST}");
    stage.run(&line).exits_with(0).says("Removed an incomplete row");
    stage.has_each_once("ids.results.csv", &users(N_USERS));
}

#[test]
fn results_that_are_rotated_stop_the_run_at_once_and_can_be_put_back() {
    let (stage, ended) = disturbed(|stage| {
        fs::rename(stage.path("ids.results.csv"), stage.path("ids.results.csv.1")).unwrap();
        stage.write("ids.results.csv", "");
    });
    ended.exits_with(6).says("it was removed or replaced during the run").says("Put it back");
    assert!(stage.n_posts() < N_USERS);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["ending"], &manifest["rows"]), (&"output_failed".into(), &0.into()));
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), N_USERS);
    fs::rename(stage.path("ids.results.csv.1"), stage.path("ids.results.csv")).unwrap();
    stage.run("run ids.txt --yes --resume").exits_with(0);
    stage.has_each_once("ids.results.csv", &users(N_USERS));
    let n_again: usize = stage.posts().into_values().map(|n_calls| n_calls - 1).sum();
    assert!(n_again <= 4, "{n_again} users were unlocked again");
}

#[test]
fn a_line_that_another_process_adds_ends_the_run_with_6_and_is_named() {
    let (stage, ended) = disturbed(|stage| append(stage, "not a row\n"));
    ended.exits_with(6).says("another process changed the results file during the run");
    assert_eq!(stage.n_posts(), N_USERS, "everyone was unlocked");
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["exit_code"], &manifest["ending"]), (&6.into(), &"output_failed".into()));
    assert_eq!((&manifest["rows"], &manifest["unprocessed"]), (&N_USERS.into(), &0.into()));
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), 0);
}

#[test]
fn half_a_line_that_another_process_adds_stops_the_run_at_once() {
    let (stage, ended) = disturbed(|stage| append(stage, "half a line"));
    ended.exits_with(6).says(CHANGED);
    assert!(stage.n_posts() < N_USERS, "a row behind it would be lost");
    let line = format!("run ids.txt --yes --resume {FAST}");
    stage.run(&line).exits_with(0).says("Removed an incomplete row");
    stage.has_each_once("ids.results.csv", &users(N_USERS));
}
