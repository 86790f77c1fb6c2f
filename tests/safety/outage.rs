//! The API stops answering: the run waits, asks rarely, and goes on by itself.

use std::thread;
use std::time::Duration;

use bulk_unlock::sandbox::Mode;

use crate::common::door::Door;
use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Stage, list, users};

const N_WORKERS: usize = 8;
const N_USERS: usize = 300;

fn line() -> String {
    format!("run ids.txt --yes -c {N_WORKERS} --rate 150/s --connect-timeout 1s")
}

/// Twenty users in a row who were failed are an outage. Some of them are tried twice before, those
/// in flight fail too, and in five seconds at most a handful of probes go out.
const MOST_IN_VAIN: usize = 60;

#[track_caller]
fn everybody_is_unlocked(stage: &Stage) {
    let ids = users(N_USERS);
    assert_eq!(stage.adds_up("ids.results", &ids), N_USERS);
    stage.has_each_once("ids.results.csv", &ids);
    stage.all_are("ids.results.csv", "unlocked");
    assert_eq!(stage.json("ids.results.manifest.json")["ending"], "completed");
}

/// The API is away for five seconds in the middle of a run, which waits for it and unlocks
/// everybody.
#[track_caller]
fn five_seconds_are_waited_out(stage: &Stage, away: impl Fn(), back: impl Fn()) {
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn(&line());
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 20);
    away();
    thread::sleep(Duration::from_secs(5));
    back();
    running.wait().exits_with(0).says("sending one probe at a time").says("the API answers again");
    everybody_is_unlocked(stage);
}

#[test]
fn five_seconds_of_503_are_waited_out_and_nobody_fails() {
    let stage = Stage::with_sandbox(slow_config("5ms..20ms"));
    let mode = |mode| stage.sandbox().set_mode(mode);
    five_seconds_are_waited_out(&stage, || mode(Mode::AllStatus(503)), || mode(Mode::Normal));
    let requests = stage.sandbox().requests();
    let n_in_vain = requests.iter().filter(|request| request.status == Some(503)).count();
    assert!((20..=MOST_IN_VAIN).contains(&n_in_vain), "{n_in_vain} calls in vain");
}

#[test]
fn five_seconds_of_closed_connections_are_waited_out_and_nobody_fails() {
    let mut stage = Stage::with_sandbox(slow_config("5ms..20ms"));
    let door = Door::before(stage.sandbox().addr());
    stage.set("CLERK_API_URL", &door.url());
    five_seconds_are_waited_out(&stage, || door.shut(), || door.open());
    let n_in_vain = door.n_turned_away();
    // The first of the twenty may be those whose connections were cut.
    let fewest = 20 - N_WORKERS;
    assert!((fewest..=MOST_IN_VAIN).contains(&n_in_vain), "{n_in_vain} came in vain");
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
    running.wait().exits_with(0).says("sending one probe at a time").says("the API answers again");
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
