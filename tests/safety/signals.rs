//! Ctrl-C, SIGTERM, SIGHUP, and SIGUSR1.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Mode, SandboxConfig, Script, Scripted};

use crate::common::terminal::run_on_terminal;
use crate::common::tools::is_installed;
use crate::common::watch::{FAST, for_each_in_parallel, slow_config, wait_until};
use crate::common::{Running, Stage, list, throttled, users};

const N_USERS: usize = 300;

fn stage(config: SandboxConfig) -> Stage {
    let stage = Stage::with_sandbox(config);
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

#[track_caller]
fn check_records_requests_in_flight(signal: &str, code: i32, text: &str) {
    let ids = users(N_USERS);
    let stage = stage(slow_config("50ms..150ms"));
    let running = stage.spawn("run ids.txt --yes -c 8 --rate 100/s");
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 5);
    running.signal(signal);
    running.wait().exits_with(code).prints(text).prints("--resume");
    let n_rows = stage.check_accounting("ids.results", &ids);
    assert!(n_rows < N_USERS, "the run stopped before its end");
    assert_eq!(stage.n_posts(), n_rows, "requests in flight are recorded");
    assert_eq!(stage.json("ids.results.manifest.json")["exit_code"], code);

    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
    assert_eq!(stage.n_posts(), N_USERS, "no user was called twice");
}

#[test]
fn first_ctrl_c_records_requests_in_flight() {
    check_records_requests_in_flight("INT", 130, "Stopped by Ctrl-C");
}

#[test]
fn sigterm_records_requests_in_flight() {
    check_records_requests_in_flight("TERM", 143, "Stopped by SIGTERM");
}

/// A closed terminal or a lost ssh session sends SIGHUP.
#[cfg(target_os = "linux")]
#[test]
fn sighup_records_requests_in_flight_and_is_ignored_under_nohup() {
    check_records_requests_in_flight("HUP", 143, "Stopped by SIGTERM");
    let stage = stage(slow_config("5ms..15ms"));
    let line = "run ids.txt --yes -c 8 --rate 150/s";
    let running = Running::start(stage.command_after("trap '' HUP", line));
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 5);
    running.signal("HUP");
    running.wait().exits_with(0);
}

/// Sends two signals while eight requests get no response: all eight are abandoned.
#[track_caller]
fn check_stops_at_once(first: &str, second: &str, code: i32) {
    let ids = users(N_USERS);
    let hang = |id: &UserId| (id.clone(), [Scripted::Fault(FaultKind::Hang)].into());
    let script: Script = ids[1..].iter().map(hang).collect();
    let stage = stage(slow_config("0").script(script));
    let running =
        stage.spawn_with_stderr_in_file(&format!("run ids.txt --yes -c 8 --timeout 90s {FAST}"));
    wait_until("all workers have a request in flight", || stage.n_posts() == 9);
    running.signal(first);
    stage.wait_for_stderr("Stopping: waiting for requests in flight (Ctrl-C again to stop now)");
    running.signal(second);
    running.wait().exits_with(code);
    assert!(stage.stderr_so_far().contains("8 requests were cut off before the response came"));
    let pass = stage.json("ids.results.manifest.json")["passes"][0].clone();
    assert_eq!((&pass["requests"], &pass["given_up"]), (&9.into(), &8.into()));
    assert_eq!(
        stage.check_accounting("ids.results", &ids),
        1,
        "a request without a response has no row"
    );
    assert_eq!(stage.n_posts(), 9);
}

#[test]
fn second_ctrl_c_stops_at_once_and_writes_all_files() {
    check_stops_at_once("INT", "INT", 130);
}

#[test]
fn sigterm_after_ctrl_c_stops_at_once() {
    check_stops_at_once("INT", "TERM", 143);
}

/// Of eight requests in flight, four get a response after five seconds, which is recorded, and four
/// get none and are abandoned before their timeout.
#[track_caller]
fn check_ten_second_limit(signal: &str, code: i32) {
    let ids = users(N_USERS);
    let hang = |id: &UserId| (id.clone(), [Scripted::Fault(FaultKind::Hang)].into());
    let script: Script = ids[4..8].iter().map(hang).collect();
    let stage = stage(slow_config("5s").script(script));
    let mut running = stage.spawn("run ids.txt --yes -c 8 --timeout 5m");
    wait_until("all workers have a request in flight", || stage.n_posts() == 8);
    running.signal(signal);
    wait_until("the program has ended", || !running.is_alive());
    running.wait().exits_with(code);
    assert_eq!(stage.check_accounting("ids.results", &ids), 4);
    stage.check_one_row_each("ids.results.csv", &ids[..4]);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    assert_eq!(stage.n_posts(), 8, "no new users");
}

#[test]
fn requests_in_flight_are_abandoned_after_ten_seconds() {
    for_each_in_parallel([("INT", 130), ("TERM", 143)], |(signal, code)| {
        check_ten_second_limit(signal, code);
    });
}

#[test]
fn ctrl_c_ends_the_pause_after_a_429() {
    let ids = users(N_USERS);
    let script: Script = ids.iter().map(|id| (id.clone(), [throttled("600")].into())).collect();
    let stage = stage(slow_config("0").script(script));
    let running = stage.spawn(&format!("run ids.txt --yes -c 8 {FAST}"));
    wait_until("it is throttled", || stage.sandbox().stats().by_status.contains_key(&429));
    running.signal("INT");
    running.wait().exits_with(130);
    assert_eq!(stage.check_accounting("ids.results", &ids), 0);
    assert!(stage.n_posts() <= 8, "{} calls", stage.n_posts());
}

#[test]
fn ctrl_c_ends_the_wait_in_an_outage() {
    let ids = users(N_USERS);
    let stage = stage(slow_config("0"));
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let running = stage.spawn_with_stderr_in_file(&format!("run ids.txt --yes -c 8 {FAST}"));
    stage.wait_for_stderr("the API does not answer");
    running.signal("INT");
    running.wait().exits_with(130);
    assert_eq!(stage.check_accounting("ids.results", &ids), 0);
}

#[test]
fn ctrl_c_during_a_look_up_unlocks_no_user() {
    let ids = users(1_000);
    let stage = stage(slow_config("300ms"));
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes --only-locked -c 1");
    wait_until("a look-up arrives", || stage.sandbox().stats().n_gets > 1);
    running.signal("INT");
    running.wait().exits_with(130).prints("--resume");
    assert!(stage.check_accounting("ids.results", &ids) < ids.len());
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn sigusr1_prints_one_status_line() {
    let stage = stage(slow_config("5ms..10ms"));
    let running = stage.spawn_with_stderr_in_file("run ids.txt --yes -q -c 8 --rate 150/s");
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 5);
    running.signal("USR1");
    stage.wait_for_stderr(&format!(" of {N_USERS} ("));
    running.wait().exits_with(0);
    let n_lines = stage.stderr_so_far().lines().filter(|line| line.contains(" of 300 (")).count();
    assert_eq!(n_lines, 1, "{}", stage.stderr_so_far());
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
}

/// A run that waits for users on its stdin.
fn spawn_waiting_for_stdin(stage: &Stage) -> Running {
    let mut command = stage.command("run - --yes");
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.wait_for_signal_handlers();
    assert!(running.is_alive(), "the run waits for its input");
    running
}

#[test]
fn ctrl_c_before_the_run_leaves_no_file() {
    let stage = Stage::with_quick_sandbox();
    let mut running = spawn_waiting_for_stdin(&stage);
    running.signal("INT");
    // `wait` closes its stdin, so its end must come first.
    wait_until("the program has ended", || !running.is_alive());
    running.wait().exits_with(130).prints("Ended at once by Ctrl-C.");
    assert_eq!(stage.files(), Vec::<String>::new());
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn answer_typed_after_ctrl_c_is_ignored() {
    if !is_installed("script") {
        return;
    }
    let stage = stage(slow_config("0"));
    let shown = run_on_terminal(&stage, "\"$BU\" run ids.txt", "\u{3}y\n");
    assert!(shown.text.contains("Ended at once by Ctrl-C.") || shown.code != Some(0));
    assert_eq!(stage.files(), ["ids.txt"], "{}", shown.text);
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn sigusr1_before_the_run_is_ignored() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(3);
    let mut running = spawn_waiting_for_stdin(&stage);
    running.signal("USR1");
    running.write_stdin(&list(&ids));
    running.wait().exits_with(0);
    stage.check_one_row_each("stdin.results.csv", &ids);
}

/// Its stdout is neither read nor closed, so the write blocks the recorder.
#[test]
fn second_ctrl_c_ends_a_run_whose_stdout_is_blocked() {
    let stage = stage(slow_config("0"));
    let mut running = stage.spawn(&format!("run ids.txt --yes -c 8 -o - {FAST}"));
    let mut n_posts = 0;
    wait_until("the pipe is full", || {
        thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut n_posts, stage.n_posts()) == stage.n_posts() && n_posts > 8
    });
    running.signal("INT");
    thread::sleep(Duration::from_millis(200));
    assert!(running.is_alive(), "the first signal waits for requests in flight");
    running.signal("INT");
    wait_until("the program has ended", || !running.is_alive());
    running.wait().exits_with(130);
}
