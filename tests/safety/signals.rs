//! Ctrl-C, SIGTERM and SIGUSR1.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Mode, SandboxConfig, Script, Scripted};

use crate::common::terminal::at_a_terminal;
use crate::common::tools::is_installed;
use crate::common::watch::{FAST, slow_config, wait_until, with_each};
use crate::common::{Running, Stage, list, throttled, users};

const N_USERS: usize = 300;

fn stage(config: SandboxConfig) -> Stage {
    let stage = Stage::with_sandbox(config);
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

#[track_caller]
fn drains(signal: &str, code: i32, text: &str) {
    let ids = users(N_USERS);
    let stage = stage(slow_config("50ms..150ms"));
    let running = stage.spawn("run ids.txt --yes -c 8 --rate 100/s");
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 5);
    running.signal(signal);
    running.wait().exits_with(code).says(text).says("--resume");
    let n_rows = stage.adds_up("ids.results", &ids);
    assert!(n_rows < N_USERS, "it stopped before the end");
    assert_eq!(stage.n_posts(), n_rows, "what was in flight ended and is recorded");
    assert_eq!(stage.json("ids.results.manifest.json")["exit_code"], code);

    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    stage.has_each_once("ids.results.csv", &ids);
    assert_eq!(stage.n_posts(), N_USERS, "nobody was called twice");
}

#[test]
fn the_first_ctrl_c_lets_what_is_in_flight_end_and_writes_everything() {
    drains("INT", 130, "Stopped by Ctrl-C");
}

#[test]
fn sigterm_lets_what_is_in_flight_end_and_writes_everything() {
    drains("TERM", 143, "Stopped by SIGTERM");
}

/// A lost ssh session; under `nohup` the run goes on without it.
#[cfg(target_os = "linux")]
#[test]
fn a_closed_terminal_lets_what_is_in_flight_end_but_under_nohup() {
    drains("HUP", 143, "Stopped by SIGTERM");
    let stage = stage(slow_config("5ms..15ms"));
    let line = "run ids.txt --yes -c 8 --rate 150/s";
    let running = Running::start(stage.command_after("trap '' HUP", line));
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 5);
    running.signal("HUP");
    running.wait().exits_with(0);
}

/// A server that answers the first request and no other, a first signal, and a second: requests in
/// flight are given up.
#[track_caller]
fn stops_at_once(first: &str, second: &str, code: i32) {
    let ids = users(N_USERS);
    let hang = |id: &UserId| (id.clone(), [Scripted::Fault(FaultKind::Hang)].into());
    let script: Script = ids[1..].iter().map(hang).collect();
    let stage = stage(slow_config("0").script(script));
    let running = stage.spawn_and_listen(&format!("run ids.txt --yes -c 8 --timeout 90s {FAST}"));
    wait_until("all workers wait", || stage.n_posts() == 9);
    running.signal(first);
    stage.hears("Stopping: waiting for requests in flight (Ctrl-C again to stop now)");
    running.signal(second);
    running.wait().exits_with(code);
    assert!(stage.heard().contains("8 requests were cut off before the response came"));
    let pass = stage.json("ids.results.manifest.json")["passes"][0].clone();
    assert_eq!((&pass["requests"], &pass["given_up"]), (&9.into(), &8.into()));
    assert_eq!(stage.adds_up("ids.results", &ids), 1, "no answer, no row");
    assert_eq!(stage.n_posts(), 9);
}

#[test]
fn the_second_ctrl_c_stops_at_once_and_everything_is_written() {
    stops_at_once("INT", "INT", 130);
}

#[test]
fn sigterm_after_ctrl_c_stops_at_once() {
    stops_at_once("INT", "TERM", 143);
}

/// Of the eight in flight four are answered five seconds later and four never: those are recorded,
/// and these neither given up at once nor waited for until their timeout.
#[track_caller]
fn gives_ten_seconds(signal: &str, code: i32) {
    let ids = users(N_USERS);
    let hang = |id: &UserId| (id.clone(), [Scripted::Fault(FaultKind::Hang)].into());
    let script: Script = ids[4..8].iter().map(hang).collect();
    let stage = stage(slow_config("5s").script(script));
    let mut running = stage.spawn("run ids.txt --yes -c 8 --timeout 5m");
    wait_until("all workers wait", || stage.n_posts() == 8);
    running.signal(signal);
    wait_until("it has ended", || !running.is_alive());
    running.wait().exits_with(code);
    assert_eq!(stage.adds_up("ids.results", &ids), 4);
    stage.has_each_once("ids.results.csv", &ids[..4]);
    stage.all_are("ids.results.csv", "unlocked");
    assert_eq!(stage.n_posts(), 8, "no new users");
}

#[test]
fn what_is_in_flight_is_recorded_when_it_ends_and_given_up_after_ten_seconds() {
    with_each([("INT", 130), ("TERM", 143)], |(signal, code)| gives_ten_seconds(signal, code));
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
    assert_eq!(stage.adds_up("ids.results", &ids), 0);
    assert!(stage.n_posts() <= 8, "{} calls", stage.n_posts());
}

#[test]
fn ctrl_c_ends_the_wait_in_an_outage() {
    let ids = users(N_USERS);
    let stage = stage(slow_config("0"));
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let running = stage.spawn_and_listen(&format!("run ids.txt --yes -c 8 {FAST}"));
    stage.hears("the API does not answer");
    running.signal("INT");
    running.wait().exits_with(130);
    assert_eq!(stage.adds_up("ids.results", &ids), 0);
}

#[test]
fn ctrl_c_while_users_are_looked_up_stops_before_anybody_is_unlocked() {
    let ids = users(1_000);
    let stage = stage(slow_config("300ms"));
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes --only-locked -c 1");
    wait_until("a look-up arrives", || stage.sandbox().stats().n_gets > 1);
    running.signal("INT");
    running.wait().exits_with(130).says("--resume");
    assert!(stage.adds_up("ids.results", &ids) < ids.len());
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn sigusr1_prints_one_status_line_and_the_run_goes_on() {
    let stage = stage(slow_config("5ms..10ms"));
    let running = stage.spawn_and_listen("run ids.txt --yes -q -c 8 --rate 150/s");
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 5);
    running.signal("USR1");
    stage.hears(&format!(" of {N_USERS} ("));
    running.wait().exits_with(0);
    let n_lines = stage.heard().lines().filter(|line| line.contains(" of 300 (")).count();
    assert_eq!(n_lines, 1, "{}", stage.heard());
    stage.has_each_once("ids.results.csv", &users(N_USERS));
}

/// A program that waits for users on its stdin.
fn waiting(stage: &Stage) -> Running {
    let mut command = stage.command("run - --yes");
    command.stdin(Stdio::piped());
    let mut running = Running::start(command);
    running.hears_signals();
    assert!(running.is_alive(), "it waits for its input");
    running
}

#[test]
fn ctrl_c_before_the_run_began_leaves_nothing_behind() {
    let stage = Stage::with_quick_sandbox();
    let mut running = waiting(&stage);
    running.signal("INT");
    // Waiting closes its stdin.
    wait_until("it has ended", || !running.is_alive());
    running.wait().exits_with(130).says("Ended at once by Ctrl-C.");
    assert_eq!(stage.files(), Vec::<String>::new());
    assert!(stage.sandbox().requests().is_empty());
}

/// Whoever pressed Ctrl-C at the question did not agree, whatever was typed behind it.
#[test]
fn what_is_typed_behind_ctrl_c_is_no_consent() {
    if !is_installed("script") {
        return;
    }
    let stage = stage(slow_config("0"));
    let shown = at_a_terminal(&stage, "\"$BU\" run ids.txt", "\u{3}y\n");
    assert!(shown.text.contains("Ended at once by Ctrl-C.") || shown.code != Some(0));
    assert_eq!(stage.files(), ["ids.txt"], "{}", shown.text);
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn sigusr1_before_the_run_began_harms_nothing() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(3);
    let mut running = waiting(&stage);
    running.signal("USR1");
    running.feed(&list(&ids));
    running.wait().exits_with(0);
    stage.has_each_once("stdin.results.csv", &ids);
}

/// Nobody reads its stdout, and nobody closes it: the write blocks, and with it the fold.
#[test]
fn the_second_ctrl_c_ends_a_run_whose_reader_sleeps() {
    let stage = stage(slow_config("0"));
    let mut running = stage.spawn(&format!("run ids.txt --yes -c 8 -o - {FAST}"));
    let mut n_posts = 0;
    wait_until("the pipe is full", || {
        thread::sleep(Duration::from_millis(200));
        std::mem::replace(&mut n_posts, stage.n_posts()) == stage.n_posts() && n_posts > 8
    });
    running.signal("INT");
    thread::sleep(Duration::from_millis(200));
    assert!(running.is_alive(), "the first lets what is in flight end");
    running.signal("INT");
    wait_until("it has ended", || !running.is_alive());
    running.wait().exits_with(130);
}
