//! The API stops answering: the run waits, asks rarely, and goes on by itself.

use std::thread;
use std::time::Duration;

use bulk_unlock::sandbox::Mode;

use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Stage, list, users};

const N_WORKERS: usize = 8;
const N_USERS: usize = 300;

fn line() -> String {
    format!("run ids.txt --yes -c {N_WORKERS} --rate 150/s --connect-timeout 1s")
}

/// Twenty failures in a row are an outage, those in flight fail too, and in five seconds at most
/// a handful of probes go out.
const MOST_IN_VAIN: usize = 20 + N_WORKERS + 5;

#[track_caller]
fn everybody_is_unlocked(stage: &Stage) {
    let ids = users(N_USERS);
    assert_eq!(stage.adds_up("ids.results", &ids), N_USERS);
    stage.has_each_once("ids.results.csv", &ids);
    stage.all_are("ids.results.csv", "unlocked");
    assert_eq!(stage.json("ids.results.manifest.json")["ending"], "completed");
}

/// Lets the server misbehave so for five seconds in the middle of a run; gives how many requests
/// it saw meanwhile that it did not answer well.
fn five_seconds_of(mode: Mode) -> usize {
    let stage = Stage::with_sandbox(slow_config("5ms..20ms"));
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn(&line());
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 20);
    stage.sandbox().set_mode(mode);
    thread::sleep(Duration::from_secs(5));
    stage.sandbox().set_mode(Mode::Normal);
    running.wait().exits_with(0).says("one probe at a time goes out").says("the API answers again");
    everybody_is_unlocked(&stage);
    stage.sandbox().requests().iter().filter(|request| request.status != Some(200)).count()
}

#[test]
fn five_seconds_of_503_are_waited_out_and_nobody_fails() {
    let n_in_vain = five_seconds_of(Mode::AllStatus(503));
    assert!((20..=MOST_IN_VAIN).contains(&n_in_vain), "{n_in_vain} calls in vain");
}

#[test]
fn five_seconds_of_closed_connections_are_waited_out_and_nobody_fails() {
    let n_in_vain = five_seconds_of(Mode::Refuse);
    assert!(n_in_vain <= MOST_IN_VAIN, "{n_in_vain} calls in vain");
}

#[test]
fn five_seconds_of_refused_connections_are_waited_out_and_nobody_fails() {
    let config = slow_config("5ms..20ms");
    let mut stage = Stage::with_sandbox_on_own_port(&config);
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn(&line());
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 20);
    let port = stage.sandbox().addr().port();
    stage.close_sandbox();
    thread::sleep(Duration::from_secs(5));
    stage.open_sandbox(config, port);
    running.wait().exits_with(0).says("one probe at a time goes out").says("the API answers again");
    everybody_is_unlocked(&stage);
}

#[test]
fn an_outage_longer_than_max_outage_stops_the_run_and_resume_goes_on() {
    let stage = Stage::with_sandbox(slow_config("5ms..10ms"));
    let ids = users(N_USERS);
    stage.write("ids.txt", list(&ids));
    stage.sandbox().set_mode(Mode::AllStatus(503));
    stage
        .run(&format!("{} --max-outage 2s", line()))
        .exits_with(3)
        .says("Stopped by an outage of the API")
        .says("--resume");
    assert_eq!(stage.adds_up("ids.results", &ids), 0, "nobody is failed");
    assert_eq!(stage.json("ids.results.manifest.json")["ending"], "outage");
    assert!(stage.n_posts() <= MOST_IN_VAIN, "{} calls", stage.n_posts());

    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    everybody_is_unlocked(&stage);
}

#[test]
fn an_outage_while_users_are_looked_up_is_waited_out_too() {
    let stage = Stage::with_sandbox(slow_config("5ms..10ms"));
    let ids = users(3_000);
    stage.write("ids.txt", list(&ids));
    stage.sandbox().set_mode(Mode::AllStatus(502));
    let line = "run ids.txt --dry-run -c 4 --rate 100/s";
    let running = stage.spawn_and_listen(line);
    stage.hears("the API does not answer");
    stage.sandbox().set_mode(Mode::Normal);
    running.wait().exits_with(0);
    assert!(stage.heard().contains("the API answers again"));
    assert!(stage.rows("ids.plan.csv").iter().all(|row| row["outcome"] != "failed"));
    assert_eq!(stage.rows("ids.plan.csv").len(), ids.len());
}
