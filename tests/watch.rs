//! `verify --watch`: reads users back repeatedly.

#![cfg(unix)]

mod common;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::Mode;
use common::watch::{FAST, slow_config, wait_until};
use common::{Stage, list, locked_users};

const FILE: &str = "ids.results.verify.csv";

/// Longer than any of these tests takes.
const FOREVER: &str = "--watch 1h --every 100ms";

fn after_run(ids: &[UserId]) -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(ids));
    stage.run(&format!("run ids.txt --yes --snapshot none {FAST}")).exits_with(0);
    stage
}

/// Number of read-backs so far.
fn n_passes(stage: &Stage) -> u64 {
    stage.sandbox().stats().n_gets
}

#[track_caller]
fn wait_for_passes(stage: &Stage, n_more: u64) {
    let n_before = n_passes(stage);
    wait_until("users are read back again", || n_passes(stage) >= n_before + n_more);
}

#[test]
fn a_watch_reads_back_repeatedly_and_prints_the_last_pass_in_full() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    let line = format!("verify ids.results.csv --watch 500ms --every 100ms --json {FAST}");
    let ended = stage.run(&line).exits_with(0);
    assert!(n_passes(&stage) >= 2, "at least one at the beginning and one at the end");
    stage.check_one_row_each(FILE, &ids);
    stage.check_all_outcomes(FILE, "still_unlocked");
    let headline = "Verified: 3 of 3 users are still unlocked.";
    let n_printed = u64::try_from(ended.stderr.matches(headline).count()).expect("a count");
    assert_eq!(n_printed, n_passes(&stage), "each pass is printed");
    assert_eq!(ended.stderr.matches("  manifest ").count(), 1, "{}", ended.stderr);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON value");
    assert_eq!((&json["counts"]["still_unlocked"], &json["exit_code"]), (&3.into(), &0.into()));
    // A file of an earlier watch is replaced without --force.
    stage.run(&format!("verify ids.results.csv --watch 100ms {FAST}")).exits_with(0);
}

#[test]
fn a_user_found_locked_again_keeps_the_time_of_the_first_pass_that_found_it() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    stage.lock(&ids[1]);
    let running = stage.spawn(&format!("verify ids.results.csv {FOREVER} {FAST}"));
    wait_until("it is found", || stage.n_rows(FILE) == 3);
    let first = stage.row(FILE, 2);
    assert_eq!((first["outcome"].as_str(), first["locked"].as_str()), ("locked_again", "true"));
    stage.unlock(&ids[1]);
    stage.lock(&ids[2]);
    // The current pass may have read the state before the change.
    wait_for_passes(&stage, 3);
    running.signal("INT");
    running.wait().exits_with(130);
    let expected = ["1 still_unlocked", "2 locked_again", "3 locked_again"];
    assert_eq!(stage.outcomes(FILE), expected);
    let row = stage.row(FILE, 2);
    assert_eq!(
        row["finished_at"], first["finished_at"],
        "the time of the first pass that found it"
    );
    assert_eq!(row["error_message"], "locked again when first seen; now: read back: not locked");
    assert_eq!(row["locked"], "false");
    assert!(stage.row(FILE, 3)["finished_at"] > first["finished_at"]);
    assert_eq!(stage.row(FILE, 3)["error_message"], "");
}

#[test]
fn a_user_who_was_locked_again_for_a_while_exits_with_1() {
    let ids = locked_users(2);
    let stage = after_run(&ids);
    stage.lock(&ids[0]);
    let running = stage.spawn(&format!("verify ids.results.csv --watch 2s --every 50ms {FAST}"));
    wait_until("it is found", || stage.n_rows(FILE) == 2);
    stage.unlock(&ids[0]);
    let ended = running.wait().exits_with(1);
    ended.prints("Verified: 1 of 2 users is still unlocked.");
    assert_eq!(stage.outcomes(FILE), ["1 locked_again", "2 still_unlocked"]);
}

#[test]
fn a_foreign_file_is_refused_before_any_request() {
    let stage = after_run(&locked_users(2));
    let line = format!("verify ids.results.csv {FOREVER} {FAST}");
    stage.write(FILE, "my own notes\n");
    stage.run_refused(&line, 6).prints(FILE);
    let results = stage.read("ids.results.csv");
    stage.write(FILE, &results);
    stage.run_refused(&line, 6).prints(FILE);
    // These rows do not show which command wrote them.
    stage.write(FILE, results.replace(",unlocked,", ",failed,"));
    stage.run_refused(&line, 6).prints(FILE);
    std::fs::remove_file(stage.path(FILE)).expect("a file");
    stage.write("ids.results.verify.failed.csv", "my own notes\n");
    stage.run_refused(&line, 6).prints("ids.results.verify.failed.csv");
    std::fs::remove_file(stage.path("ids.results.verify.failed.csv")).expect("a file");
    stage.write("page.html", "my own page\n");
    stage.run_refused(&format!("{line} --report page.html"), 6).prints("page.html");
}

#[test]
fn a_foreign_file_that_appears_between_two_passes_is_not_replaced() {
    let stage = after_run(&locked_users(2));
    let running = stage.spawn(&format!("verify ids.results.csv --watch 1h --every 2s {FAST}"));
    wait_until("the first pass is over", || {
        stage.read_or_empty("ids.results.verify.manifest.json").contains("\"completed\"")
    });
    std::fs::remove_file(stage.path(FILE)).expect("a file");
    stage.write(FILE, "my own notes\n");
    running.wait().exits_with(6).prints(FILE);
    assert_eq!(stage.read(FILE), "my own notes\n");
}

#[test]
fn ctrl_c_between_two_passes_keeps_the_file_of_the_last_pass() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    let line = format!("verify ids.results.csv --watch 1h --every 1h {FAST}");
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let n_before = n_passes(&stage);
        let running = stage.spawn(&line);
        wait_until("the first pass is over", || {
            let manifest = stage.read_or_empty("ids.results.verify.manifest.json");
            manifest.contains("\"completed\"")
        });
        running.signal(signal);
        let ended = running.wait().exits_with(code);
        assert_eq!(n_passes(&stage), n_before + 1);
        ended.prints("has the last pass");
        stage.check_one_row_each(FILE, &ids);
        assert_eq!(stage.json("ids.results.verify.manifest.json")["ending"], "completed");
        // Otherwise the next wait ends at once.
        std::fs::remove_file(stage.path("ids.results.verify.manifest.json")).expect("a file");
    }
}

#[test]
fn ctrl_c_during_a_pass_keeps_the_file_of_the_pass_before() {
    let ids = locked_users(300);
    let stage = Stage::with_sandbox(slow_config("20ms..30ms"));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes --snapshot none {FAST}")).exits_with(0);
    stage.lock(&ids[7]);
    let line = "verify ids.results.csv --watch 1h --every 1ms --rate 20/s -c 1";
    let running = stage.spawn(line);
    wait_until("the first pass is over", || stage.n_rows(FILE) == ids.len());
    // A pass takes three requests.
    let n_before = n_passes(&stage);
    wait_until("another pass is under way", || {
        n_passes(&stage) % 3 == 2 && n_passes(&stage) > n_before
    });
    running.signal("INT");
    running.wait().exits_with(130);
    stage.check_one_row_each(FILE, &ids);
    let n_locked = stage.rows(FILE).iter().filter(|row| row["outcome"] == "locked_again").count();
    assert_eq!(n_locked, 1);
    assert_eq!(stage.json("ids.results.verify.manifest.json")["ending"], "completed");
}

#[test]
fn a_watch_continues_after_a_failed_pass_and_ends_with_a_stopped_pass() {
    let stage = after_run(&locked_users(2));
    let line = format!("verify ids.results.csv {FOREVER} --max-retries 0 {FAST}");
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let running = stage.spawn(&line);
    wait_until("a pass failed", || stage.read_or_empty(FILE).contains(",failed,"));
    stage.sandbox().set_mode(Mode::Normal);
    wait_until("another succeeded", || stage.read_or_empty(FILE).contains(",still_unlocked,"));
    stage.sandbox().set_mode(Mode::Revoked);
    running.wait().exits_with(4);
    stage.check_all_outcomes(FILE, "still_unlocked");
}

#[test]
fn flags_that_cannot_be_used_with_watch_are_refused() {
    let mut stage = after_run(&locked_users(2));
    let line = format!("verify ids.results.csv {FAST}");
    stage.run_refused(&format!("{line} --every 1m"), 2).prints("--watch");
    stage.run_refused(&format!("{line} --watch 1m --resume"), 2).prints("--resume");
    stage
        .run_refused(&format!("{line} --watch 1m -o -"), 2)
        .prints("--watch cannot be used with -o -");
    stage.set("BULK_UNLOCK_EVERY", "1m");
    stage.run_refused(&line, 2).prints("--watch");
}
