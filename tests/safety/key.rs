//! Keys that are wrong, revoked, readable by others, or without permission.

use bulk_unlock::sandbox::{Mode, SandboxConfig, Script, Scripted};

use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Stage, list, users};

#[test]
fn key_revoked_during_a_run_stops_it_and_resume_continues() {
    let stage = Stage::with_sandbox(slow_config("10ms..30ms"));
    let ids = users(300);
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes -c 8 --rate 200/s");
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 20);
    stage.sandbox().set_mode(Mode::Revoked);
    running
        .wait()
        .exits_with(4)
        .prints("the secret key was refused (401)")
        .prints("To resume with a valid key:")
        .prints("--resume");
    let n_rows = stage.check_accounting("ids.results", &ids);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    let n_refused =
        stage.sandbox().requests().iter().filter(|request| request.status == Some(401)).count();
    assert!((1..=8).contains(&n_refused), "{n_refused} calls were refused");
    assert_eq!(stage.n_posts(), n_rows + n_refused);

    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn wrong_key_sends_one_request_and_leaves_no_file() {
    let mut stage = Stage::with_sandbox(slow_config("5ms..10ms"));
    let ids = users(100);
    stage.write("ids.txt", list(&ids));
    stage.set("CLERK_SECRET_KEY", "sk_test_a_key_that_is_not_the_right_one");
    let ended = stage.run(&format!("run ids.txt --yes -c 4 {FAST}")).exits_with(4);
    ended.prints("the API refused the key sk_test_…_one at 127.0.0.1:");
    assert_eq!((stage.files(), stage.n_requests()), (vec!["ids.txt".to_owned()], 1));
}

#[test]
fn wrong_key_stops_a_look_up_after_one_request() {
    let mut stage = Stage::with_quick_sandbox();
    let ids = users(300);
    stage.write("ids.txt", list(&ids));
    stage.set("CLERK_SECRET_KEY", "sk_test_a_key_that_is_not_the_right_one");
    stage.run(&format!("run ids.txt --yes --only-locked -c 1 {FAST}")).exits_with(4);
    assert_eq!((stage.files(), stage.n_requests()), (vec!["ids.txt".to_owned()], 1));
}

/// The run stops after the first users; a resumed run unlocks the others.
#[track_caller]
fn check_stopped_by_status(status: u16) {
    const N_WORKERS: usize = 4;
    let stage = Stage::with_sandbox(slow_config("5ms..10ms"));
    let ids = users(400);
    stage.write("ids.txt", list(&ids));
    stage.sandbox().set_mode(Mode::AllStatus(status));
    stage
        .run(&format!("run ids.txt --yes -c {N_WORKERS} {FAST}"))
        .exits_with(4)
        .prints("the key may not do this (402 or 403 for every user)")
        .prints("--resume");
    let n_rows = stage.check_accounting("ids.results", &ids);
    assert!((5..5 + N_WORKERS).contains(&n_rows), "{n_rows} rows");
    stage.check_all_outcomes("ids.results.csv", "rejected");
    assert_eq!(stage.n_posts(), n_rows, "every request is recorded");

    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(1);
    stage.check_one_row_each("ids.results.csv", &ids);
    let outcomes = stage.column("ids.results.csv", "outcome");
    let n_unlocked = outcomes.iter().filter(|outcome| *outcome == "unlocked").count();
    assert_eq!(n_unlocked, ids.len() - n_rows, "rejected users keep their rows");
    assert_eq!(stage.n_posts(), ids.len(), "no user was called twice");
}

#[test]
fn status_403_for_the_first_five_users_stops_the_run() {
    check_stopped_by_status(403);
}

#[test]
fn status_402_for_the_first_five_users_stops_the_run() {
    check_stopped_by_status(402);
}

#[test]
fn status_403_for_some_users_does_not_stop_the_run() {
    let ids = users(40);
    let forbidden = ids[10..20].iter().map(|id| (id.clone(), [Scripted::status(403)].into()));
    let script: Script = forbidden.collect();
    let stage = Stage::with_sandbox(SandboxConfig::default().script(script));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes -c 1 {FAST}")).exits_with(1);
    let outcomes = stage.column("ids.results.csv", "outcome");
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "rejected").count(), 10);
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "unlocked").count(), 30);
}

#[test]
fn malformed_key_is_refused_before_any_request() {
    let mut stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    let publishable = "pk_test_0123456789abcdef";
    for key in ["", publishable, "sk_test_01 23456789abcdef", "sk_test_\u{7f}123456789abcdef"] {
        stage.set("CLERK_SECRET_KEY", key);
        stage.run("run ids.txt --yes").exits_with(4);
    }
    stage.unset("CLERK_SECRET_KEY");
    stage.run("run ids.txt --yes").exits_with(4).prints("set CLERK_SECRET_KEY");
    assert_eq!(stage.files(), ["ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn key_file_readable_by_others_causes_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    let mut stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    let key = stage.write("key", format!("{}\n", stage.sandbox().key()));
    stage.unset("CLERK_SECRET_KEY");
    let line = format!("run ids.txt --yes --force --secret-key-file key {FAST}");
    let mode = |mode| std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
    mode(0o644);
    stage.run(&line).exits_with(0).prints("others can read the secret key file key; chmod 600 key");
    mode(0o600);
    stage.run(&line).exits_with(0).does_not_print("others can read");
}
