//! Guards that stop or refuse a run: `--max-fail`, `--canary`, `--max-duration`, `--max-users`, and
//! `--expect-count`.

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Script, Scripted};

use crate::common::watch::{FAST, slow_config};
use crate::common::{Stage, list, throttled, users};

const N_WORKERS: usize = 4;
/// Maximum number of users beyond a guard: each of the other workers may have one in flight.
const OVERSHOOT: usize = N_WORKERS - 1;

/// A stage whose server answers the first request for some users with 422.
fn stage(ids: &[UserId], is_rejected: impl Fn(usize) -> bool) -> Stage {
    let rejected = ids.iter().enumerate().filter(|(index, _)| is_rejected(*index));
    let script: Script =
        rejected.map(|(_, id)| (id.clone(), [Scripted::status(422)].into())).collect();
    let stage = Stage::with_sandbox(slow_config("2ms..6ms").script(script));
    stage.write("ids.txt", list(ids));
    stage
}

fn line(flags: &str) -> String {
    format!("run ids.txt --yes -c {N_WORKERS} {FAST} {flags}")
}

#[test]
fn max_fail_stops_the_run_and_prints_the_next_command() {
    let ids = users(400);
    let stage = stage(&ids, |_| true);
    stage
        .run(&line("--max-fail 10"))
        .exits_with(3)
        .prints("Stopped by --max-fail")
        .prints(" --max-fail=10 ")
        .prints(" --resume");
    let n_rows = stage.check_accounting("ids.results", &ids);
    assert!((10..=10 + OVERSHOOT).contains(&n_rows), "{n_rows} rows");
    assert_eq!(stage.n_posts(), n_rows, "every request is recorded");
    assert_eq!(stage.json("ids.results.manifest.json")["exit_code"], 3);

    stage.run(&line("--resume")).exits_with(1);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
}

#[test]
fn max_fail_percentage_applies_after_100_users() {
    let ids = users(400);
    let stage = stage(&ids, |index| index % 5 == 0);
    stage.run(&line("--max-fail 10%")).exits_with(3).prints("Stopped by --max-fail");
    let n_rows = stage.check_accounting("ids.results", &ids);
    assert!((100..=100 + OVERSHOOT).contains(&n_rows), "{n_rows} rows");
}

#[test]
fn failures_below_max_fail_do_not_stop_the_run() {
    let ids = users(120);
    let stage = stage(&ids, |index| index % 20 == 0);
    stage.run(&line("--max-fail 10%")).exits_with(1);
    stage.run(&line("--max-fail 7 --force")).exits_with(0);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
}

#[test]
fn failed_canary_stops_the_run_before_other_users() {
    let ids = users(100);
    let stage = stage(&ids, |index| index == 49);
    stage
        .run(&line("--canary 3"))
        .exits_with(3)
        .prints("Stopped by --canary (not all of the first users ended well)")
        .prints("--resume");
    assert!(stage.check_accounting("ids.results", &ids) <= 3);
    let posts = stage.posts();
    assert!(posts.keys().all(|id| [0, 49, 99].iter().any(|&it| ids[it].as_str() == id)));
}

#[test]
fn successful_canary_continues_with_the_other_users() {
    let ids = users(60);
    let stage = stage(&ids, |_| false);
    stage
        .run(&line("--canary 5"))
        .exits_with(0)
        .prints("5 users were unlocked first (--canary); then the run continued by itself.");
    stage.check_one_row_each("ids.results.csv", &ids);
    let requests = stage.sandbox().requests();
    let order: Vec<&str> = requests.iter().map(|request| request.user_ids[0].as_str()).collect();
    let canaries = [0, 14, 29, 44, 59].map(|it| ids[it].as_str());
    assert!(
        order[..5].iter().all(|id| canaries.contains(id)),
        "canaries are spread evenly over the input"
    );
}

#[test]
fn max_duration_stops_the_run_and_resume_continues() {
    let ids = users(200);
    let stage = stage(&ids, |_| false);
    stage
        .run("run ids.txt --yes --rate 50/s --max-duration 1s")
        .exits_with(3)
        .prints("Stopped by --max-duration")
        .prints("--resume");
    let n_rows = stage.check_accounting("ids.results", &ids);
    assert!(0 < n_rows && n_rows < ids.len(), "{n_rows} rows");
    assert_eq!(stage.n_posts(), n_rows, "every request is recorded");
    stage.run(&line("--resume")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn max_duration_interrupts_waits_and_pauses() {
    let ids = users(50);
    let script: Script = ids.iter().map(|id| (id.clone(), [throttled("600")].into())).collect();
    let stage = Stage::with_sandbox(slow_config("0").script(script));
    stage.write("ids.txt", list(&ids));
    stage.run(&line("--max-duration 1s")).exits_with(3);
    assert_eq!(stage.check_accounting("ids.results", &ids), 0);
    assert!(stage.n_posts() <= N_WORKERS, "{} calls", stage.n_posts());
}

/// The run exits with 2, calls no user, and leaves no file.
#[track_caller]
fn check_refused(flags: &str, text: &str) -> Stage {
    let ids = users(40);
    let stage = stage(&ids, |_| false);
    stage.run(&line(flags)).exits_with(2).prints(text).prints("no user was unlocked");
    assert_eq!(stage.n_posts(), 0, "{flags}");
    assert_eq!(stage.files(), ["ids.txt"], "{flags}");
    stage
}

#[test]
fn expect_count_refuses_another_number_of_users_before_any_request() {
    for flags in ["--expect-count 39", "--expect-count 41"] {
        let stage = check_refused(flags, "found 40 users to unlock, but --expect-count is");
        assert!(stage.sandbox().requests().is_empty());
    }
}

#[test]
fn max_users_refuses_more_users_before_any_request() {
    let stage = check_refused("--max-users 39", "found 40 users to unlock, but --max-users is");
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn guards_count_locked_users_under_only_locked() {
    let stage = check_refused("--only-locked --max-users 5", "but --max-users is 5");
    assert_eq!(stage.sandbox().requests().len(), 1, "only one look-up");
    let stage = check_refused("--only-locked --expect-count 40", "but --expect-count is 40");
    assert_eq!(stage.sandbox().requests().len(), 1, "only one look-up");
}

#[test]
fn expected_number_of_users_is_accepted() {
    let ids = users(10);
    let stage = stage(&ids, |_| false);
    stage.run(&line("--expect-count 10 --max-users 10")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn manifest_records_the_reason() {
    let ids = users(2);
    let stage = stage(&ids, |_| false);
    stage.run(&line("--reason 'INC-77: credential stuffing'")).exits_with(0);
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["reason"], "INC-77: credential stuffing");
}

#[test]
fn excluded_users_are_never_called() {
    let ids = users(20);
    let stage = stage(&ids, |_| false);
    stage.write("not-these.txt", list(&ids[5..10]));
    stage.run(&line("--exclude not-these.txt")).exits_with(0);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    assert_eq!(stage.n_posts(), 15);
    assert!(ids[5..10].iter().all(|id| !stage.posts().contains_key(id.as_str())));
}
