//! Outages of the API: the run waits, sends one probe at a time, and continues by itself.

use std::thread;
use std::time::Duration;

use bulk_unlock::sandbox::Mode;

use crate::common::proxy::TcpProxy;
use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Stage, list, users};

const N_WORKERS: usize = 8;
const N_USERS: usize = 300;

fn line() -> String {
    format!("run ids.txt --yes -c {N_WORKERS} --rate 150/s --connect-timeout 1s")
}

/// An outage begins after 20 failed users in a row. Some of them are retried before that, those in
/// flight fail too, and a few probes follow in five seconds.
const MAX_FAILED_REQUESTS: usize = 60;

#[track_caller]
fn check_all_unlocked(stage: &Stage) {
    let ids = users(N_USERS);
    assert_eq!(stage.check_accounting("ids.results", &ids), N_USERS);
    stage.check_one_row_each("ids.results.csv", &ids);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    assert_eq!(stage.json("ids.results.manifest.json")["ending"], "completed");
}

/// Stops the API for five seconds during a run, which unlocks all users.
#[track_caller]
fn check_waits_out_five_seconds(stage: &Stage, stop_api: impl Fn(), start_api: impl Fn()) {
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn(&line());
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 20);
    stop_api();
    thread::sleep(Duration::from_secs(5));
    start_api();
    running
        .wait()
        .exits_with(0)
        .prints("sending one probe at a time")
        .prints("the API answers again");
    check_all_unlocked(stage);
}

#[test]
fn run_waits_out_five_seconds_of_503() {
    let stage = Stage::with_sandbox(slow_config("5ms..20ms"));
    let mode = |mode| stage.sandbox().set_mode(mode);
    check_waits_out_five_seconds(&stage, || mode(Mode::AllStatus(503)), || mode(Mode::Normal));
    let requests = stage.sandbox().requests();
    let n_failed = requests.iter().filter(|request| request.status == Some(503)).count();
    assert!((20..=MAX_FAILED_REQUESTS).contains(&n_failed), "{n_failed} calls failed");
}

#[test]
fn run_waits_out_five_seconds_of_closed_connections() {
    let mut stage = Stage::with_sandbox(slow_config("5ms..20ms"));
    let proxy = TcpProxy::start(stage.sandbox().addr());
    stage.set("CLERK_API_URL", &proxy.url());
    check_waits_out_five_seconds(&stage, || proxy.close(), || proxy.open());
    let n_failed = proxy.n_refused();
    // The first of the 20 may be those whose connections were closed.
    let min_failed = 20 - N_WORKERS;
    assert!(
        (min_failed..=MAX_FAILED_REQUESTS).contains(&n_failed),
        "{n_failed} connections were refused"
    );
}

#[test]
fn run_waits_out_five_seconds_of_refused_connections() {
    let config = slow_config("5ms..20ms");
    let mut stage = Stage::with_sandbox_on_own_port(&config);
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn(&line());
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 20);
    let port = stage.sandbox().addr().port();
    stage.stop_sandbox();
    thread::sleep(Duration::from_secs(5));
    stage.start_sandbox(config, port);
    running
        .wait()
        .exits_with(0)
        .prints("sending one probe at a time")
        .prints("the API answers again");
    check_all_unlocked(&stage);
}

#[test]
fn outage_longer_than_max_outage_stops_the_run_and_resume_continues() {
    let stage = Stage::with_sandbox(slow_config("5ms..10ms"));
    let ids = users(N_USERS);
    stage.write("ids.txt", list(&ids));
    stage.sandbox().set_mode(Mode::AllStatus(503));
    stage
        .run(&format!("{} --max-outage 2s", line()))
        .exits_with(3)
        .prints("Stopped by an outage of the API")
        .prints("--resume");
    assert_eq!(stage.check_accounting("ids.results", &ids), 0, "no user is recorded as failed");
    assert_eq!(stage.json("ids.results.manifest.json")["ending"], "outage");
    assert!(stage.n_posts() <= MAX_FAILED_REQUESTS, "{} calls", stage.n_posts());

    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    check_all_unlocked(&stage);
}

#[test]
fn look_up_waits_out_an_outage() {
    let stage = Stage::with_sandbox(slow_config("5ms..10ms"));
    let ids = users(3_000);
    stage.write("ids.txt", list(&ids));
    stage.sandbox().set_mode(Mode::AllStatus(502));
    let line = "run ids.txt --dry-run -c 4 --rate 100/s";
    let running = stage.spawn_with_stderr_in_file(line);
    stage.wait_for_stderr("the API does not answer");
    stage.sandbox().set_mode(Mode::Normal);
    running.wait().exits_with(0);
    assert!(stage.stderr_so_far().contains("the API answers again"));
    assert!(stage.rows("ids.plan.csv").iter().all(|row| row["outcome"] != "failed"));
    assert_eq!(stage.rows("ids.plan.csv").len(), ids.len());
}
