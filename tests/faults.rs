//! Faults of the API and the network: with transient faults, every user is unlocked exactly once.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Faults, LoggedRequest, SandboxConfig, Script, Scripted};
use common::watch::{FAST, for_each_in_parallel};
use common::{SEED, Stage, locked_users, throttled};

/// The share of requests with a fault: many, but rarely 20 in a row, which would be an outage.
const SHARE: f64 = 0.5;

/// Few users, so that fewer than 20 late answers come in a row.
const FEW: usize = 30;

/// Unlocks users with these faults, and checks that each is unlocked once.
#[track_caller]
fn check(faults: Faults, n_users: usize, flags: &str) -> Stage {
    let config = SandboxConfig::default().faults(faults).log_requests(true).seed(SEED);
    let stage = Stage::with_sandbox(config);
    let ids = locked_users(n_users);
    stage.write("ids.txt", common::list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST} {flags}")).exits_with(0);
    all_are_unlocked_once(&stage, &ids);
    stage
}

/// Each user has one row with `unlocked`, is unlocked on the server, and was requested as often as the
/// row shows.
#[track_caller]
fn all_are_unlocked_once(stage: &Stage, ids: &[UserId]) {
    assert_eq!(stage.check_accounting("ids.results", ids), ids.len());
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    let posts = stage.posts();
    for row in stage.rows("ids.results.csv") {
        let attempts: usize = row["attempts"].parse().expect("a number");
        assert_eq!(posts[&row["user_id"]], attempts, "{row:?}");
        assert_eq!(row["error_code"], "", "an unlocked user has no error: {row:?}");
    }
    assert!(ids.iter().all(|id| !stage.sandbox().is_locked(id)));
}

/// One fault in a large share of requests: it occurs, and no user is requested more often than it
/// occurs in a row.
#[track_caller]
fn alone(kind: FaultKind, n_users: usize, flags: &str) {
    let stage = check(Faults::only(kind, SHARE), n_users, flags);
    let most = stage.posts().into_values().max().expect("somebody was called");
    assert!((2..=4).contains(&most), "{kind} strikes three times in a row at most: {most}");
}

#[test]
fn a_500_is_tried_again() {
    alone(FaultKind::InternalError, 60, "");
}

#[test]
fn a_502_with_a_page_of_html_is_tried_again() {
    alone(FaultKind::BadGateway, 60, "");
}

#[test]
fn a_503_with_retry_after_is_tried_again_and_not_before() {
    let stage = check(Faults::only(FaultKind::Unavailable, SHARE), FEW, "");
    let requests = stage.sandbox().requests();
    let met: BTreeSet<&str> = requests
        .iter()
        .filter(|request| request.status == Some(503))
        .flat_map(|request| request.user_ids.iter().map(String::as_str))
        .collect();
    assert!(!met.is_empty());
    for user in met {
        let calls: Vec<_> = requests
            .iter()
            .filter(|request| request.user_ids.iter().any(|id| id == user))
            .collect();
        for pair in calls.windows(2) {
            let wait = pair[1].at - pair[0].at;
            assert!(wait.as_millis() >= 1_000, "{user} was asked again after {wait:?}");
        }
    }
}

#[test]
fn a_504_is_tried_again_though_the_unlock_was_done() {
    alone(FaultKind::GatewayTimeout, 60, "");
}

#[test]
fn a_429_makes_everybody_pause_and_uses_up_no_retry() {
    let stage = check(Faults::only(FaultKind::Throttled, 0.1), FEW, "--max-retries 0");
    assert!(stage.n_posts() > FEW, "no request got a 429");
}

#[test]
fn a_connection_reset_before_the_unlock_is_retried() {
    alone(FaultKind::Reset, 60, "");
}

#[test]
fn a_connection_reset_after_the_unlock_is_retried() {
    alone(FaultKind::ResetAfter, 60, "");
}

#[test]
fn a_request_that_hangs_is_retried_after_the_timeout() {
    alone(FaultKind::Hang, FEW, "--timeout 500ms");
}

#[test]
fn a_truncated_answer_is_retried() {
    alone(FaultKind::Truncated, 60, "");
}

#[test]
fn an_answer_that_is_not_json_is_retried() {
    alone(FaultKind::Garbage, 60, "");
}

#[test]
fn an_empty_answer_is_retried() {
    alone(FaultKind::Empty, 60, "");
}

#[test]
fn a_slow_answer_is_accepted() {
    let stage = check(Faults::only(FaultKind::Slow, SHARE), FEW, "");
    assert_eq!(stage.n_posts(), FEW, "a user was requested twice");
    let durations = stage.column("ids.results.csv", "duration_ms");
    let is_slow = |ms: &&String| ms.parse::<u64>().is_ok_and(|ms| ms >= 1_900);
    let n_slow = durations.iter().filter(is_slow).count();
    assert!(n_slow > FEW / 5, "an answer in 20 pieces takes two seconds: {durations:?}");
}

#[test]
fn an_answer_slower_than_the_timeout_is_retried() {
    alone(FaultKind::Slow, FEW, "--timeout 500ms");
}

#[test]
fn the_object_of_another_user_is_retried() {
    alone(FaultKind::OtherUser, 60, "");
}

#[test]
fn a_user_who_is_still_locked_is_retried() {
    alone(FaultKind::StillLocked, 60, "");
}

#[test]
fn an_answer_of_64_mebibytes_is_given_up_and_tried_again() {
    alone(FaultKind::Huge, FEW, "-c 4");
}

#[test]
fn an_unrequested_compressed_answer_is_retried() {
    alone(FaultKind::Gzip, 60, "");
}

#[test]
fn an_answer_nested_100_000_levels_deep_is_retried() {
    alone(FaultKind::Deep, FEW, "");
}

#[test]
fn all_faults_mixed_at_20_percent_leave_every_user_unlocked_once() {
    let stage = check(Faults::mix(0.2), 300, "");
    assert!(stage.n_posts() > 330, "about one of five requests has a fault");
}

#[test]
fn with_all_faults_every_user_is_unlocked_once() {
    let each = |kind: FaultKind| format!("{kind}=1.5%");
    // Redirects and refusals are final answers; all other faults are transient.
    let transient = |kind: &FaultKind| !matches!(kind, FaultKind::Redirect | FaultKind::Escapes);
    let faults: Vec<String> = FaultKind::all().filter(transient).map(each).collect();
    let stage = check(faults.join(",").parse().unwrap(), 200, "--timeout 1s");
    assert!(stage.n_posts() > 220, "about one of four requests has a fault");
}

#[test]
fn look_ups_succeed_with_many_faults() {
    let config = SandboxConfig::default().faults(Faults::mix(0.4)).log_requests(true).seed(SEED);
    let stage = Stage::with_sandbox(config);
    let ids = locked_users(500);
    stage.write("ids.txt", common::list(&ids));
    stage.run(&format!("run ids.txt --only-locked --yes {FAST}")).exits_with(0);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    let n_look_ups = stage.sandbox().stats().n_gets;
    assert!(n_look_ups > 5, "some of the five look-ups are retried: {n_look_ups}");
    assert!(stage.n_posts() > 600, "about two of five unlocks failed: {}", stage.n_posts());
}

/// One request without an answer, which the server may have processed.
#[track_caller]
fn one_call_is_lost(fault: FaultKind, is_done: bool) {
    let ids = locked_users(1);
    let script = [(ids[0].clone(), [Scripted::Fault(fault)].into())].into();
    let stage = Stage::with_script(script);
    stage.write("ids.txt", common::list(&ids));
    let line = format!("run ids.txt --yes --max-retries 0 {FAST}");
    stage.run(&line).exits_with(1);
    stage.check_all_outcomes("ids.results.csv", "failed");
    assert_eq!(stage.sandbox().is_locked(&ids[0]), !is_done, "{fault}");

    stage.run("run ids.results.csv --retry-failed --yes -o again.csv").exits_with(0);
    stage.check_all_outcomes("again.csv", "unlocked");
    assert!(!stage.sandbox().is_locked(&ids[0]), "{fault}");
    assert_eq!(stage.sandbox().stats().n_unlocks, 1 + u64::from(is_done), "{fault}");
}

#[test]
fn an_unlock_whose_answer_is_lost_is_repeated() {
    let done =
        [FaultKind::GatewayTimeout, FaultKind::ResetAfter, FaultKind::Truncated, FaultKind::Empty];
    let not_done = [FaultKind::InternalError, FaultKind::Reset, FaultKind::Garbage];
    let all = done.map(|fault| (fault, true)).into_iter();
    let all = all.chain(not_done.map(|fault| (fault, false)));
    for_each_in_parallel(all, |(fault, is_done)| one_call_is_lost(fault, is_done));
}

/// The times between the requests for each of these users in the log of the server.
fn waits(requests: &[LoggedRequest], ids: &[UserId]) -> Vec<Vec<Duration>> {
    let of = |id: &UserId| {
        let is_his = |request: &&LoggedRequest| request.user_ids[0] == id.as_str();
        let at: Vec<_> = requests.iter().filter(is_his).map(|request| request.at).collect();
        at.windows(2).map(|pair| pair[1] - pair[0]).collect()
    };
    ids.iter().map(of).collect()
}

/// Ten users whose requests always fail, among enough others that this is not an outage.
#[test]
fn a_server_error_is_retried_after_growing_random_waits_up_to_max_retries() {
    let ids = locked_users(700);
    let bad: Vec<UserId> = ids.iter().step_by(10).take(10).cloned().collect();
    let always = |id: &UserId| (id.clone(), vec![Scripted::status(500); 20].into());
    let stage = Stage::with_script(bad.iter().map(always).collect());
    stage.write("ids.txt", common::list(&ids));
    stage.run("run ids.txt --yes --max-retries 4 --rate 150/s -c 8").exits_with(1);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    assert_eq!(stage.column("ids.results.failed.csv", "error_code"), ["http_500"; 10]);

    let waits = waits(&stage.sandbox().requests(), &bad);
    assert!(waits.iter().all(|waits| waits.len() == 4), "four retries each: {waits:?}");
    let nth = |nth: usize| waits.iter().map(move |waits| waits[nth]);
    assert!(nth(0).sum::<Duration>() < nth(3).sum(), "they grow: {waits:?}");
    let shorter = nth(3).max().map(|wait| wait.mul_f64(0.9));
    assert!(nth(3).min() < shorter, "they are random: {waits:?}");
}

/// The log of the server with one 429 in the middle of a run.
#[test]
fn after_a_429_all_pause_one_goes_first_and_then_a_smaller_share_goes() {
    let ids = locked_users(95);
    let script = [(ids[30].clone(), [throttled("2")].into())].into();
    let latency = "200ms".parse().unwrap();
    let config = SandboxConfig::default().script(script).latency(latency).log_requests(true);
    let stage = Stage::with_sandbox(config);
    stage.write("ids.txt", common::list(&ids));
    let pace = "--burst --quota 20/1s --quota-share 100% -c 20 --max-retries 0";
    stage.run(&format!("run ids.txt --yes {pace}")).exits_with(0);
    all_are_unlocked_once(&stage, &ids);

    let requests = stage.sandbox().requests();
    let at: Vec<Duration> = requests.iter().map(|it| it.at - requests[0].at).collect();
    let throttled = requests.iter().position(|it| it.status == Some(429)).expect("there was one");
    let pause = Duration::from_millis(1_500);
    let probe = (throttled + 1..at.len()).find(|&n| at[n] > at[n - 1] + pause);
    let probe = probe.expect("all requests paused");
    let first_answer = at[probe] + Duration::from_millis(200);
    assert!(at[probe + 1] >= first_answer, "one is sent first: {at:?}");
    assert!(most_in_a_second(&at[..probe]) > 15, "{at:?}");
    assert!(most_in_a_second(&at[probe..]) <= 16, "77 % of it, approaching 90 %: {at:?}");
}

fn most_in_a_second(times: &[Duration]) -> usize {
    let n_from = |from: &Duration| {
        let second = *from..*from + Duration::from_secs(1);
        times.iter().filter(|it| second.contains(it)).count()
    };
    times.iter().map(n_from).max().unwrap_or(0)
}

/// Checks the outcome of a user whose requests all have the same fault.
#[track_caller]
fn always(fault: FaultKind, outcome: &str, code: &str) {
    let ids = locked_users(3);
    let script: Script =
        [(ids[1].clone(), vec![Scripted::Fault(fault); 20].into())].into_iter().collect();
    let stage =
        Stage::with_sandbox(SandboxConfig::default().script(script).log_requests(true).seed(SEED));
    stage.write("ids.txt", common::list(&ids));
    stage.run(&format!("run ids.txt --yes --max-retries 2 --timeout 400ms {FAST}")).exits_with(1);
    assert_eq!(
        stage.column("ids.results.csv", "outcome"),
        ["unlocked", outcome, "unlocked"],
        "{fault}"
    );
    assert_eq!(stage.column("ids.results.csv", "error_code")[1], code);
    assert_eq!(stage.column("ids.results.csv", "attempts"), ["1", "3", "1"]);
    assert_eq!(stage.column("ids.results.failed.csv", "outcome"), [outcome]);
    assert_eq!(stage.posts()[ids[1].as_str()], 3);
}

#[test]
fn a_permanent_fault_affects_its_own_user_only_and_is_recorded() {
    let ends = [
        (FaultKind::InternalError, "failed", "http_500"),
        (FaultKind::BadGateway, "failed", "http_502"),
        (FaultKind::Unavailable, "failed", "http_503"),
        (FaultKind::GatewayTimeout, "failed", "http_504"),
        (FaultKind::Reset, "failed", "connection"),
        (FaultKind::ResetAfter, "failed", "connection"),
        (FaultKind::Hang, "failed", "timeout"),
        (FaultKind::Slow, "failed", "timeout"),
        (FaultKind::Garbage, "failed", "untrusted_answer"),
        (FaultKind::Empty, "failed", "untrusted_answer"),
        (FaultKind::OtherUser, "failed", "untrusted_answer"),
        (FaultKind::StillLocked, "still_locked", "still_locked"),
    ];
    for_each_in_parallel(ends, |(fault, outcome, code)| always(fault, outcome, code));
}

#[test]
fn every_row_has_attempts_time_status_code_and_trace_id() {
    let ids = locked_users(3);
    let body = r#"{"errors":[{"message":"m","code":"c"}],"clerk_trace_id":"trace-of-clerk"}"#;
    let script: Script = [
        (ids[0].clone(), vec![Scripted::status(500); 2].into()),
        (ids[1].clone(), vec![Scripted::status(422).with_body(body)].into()),
        (ids[2].clone(), vec![Scripted::status(409).with_body("<html>")].into()),
    ]
    .into_iter()
    .collect();
    let stage = Stage::with_sandbox(SandboxConfig::default().script(script).seed(SEED));
    stage.write("ids.txt", common::list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(1);
    let column = |name: &str| stage.column("ids.results.csv", name);
    assert_eq!(column("attempts"), ["3", "1", "1"]);
    assert_eq!(column("http_status"), ["200", "422", "409"]);
    assert_eq!(column("error_code"), ["", "c", "http_409"]);
    assert_eq!(column("trace_id")[1], "trace-of-clerk");
    for index in [0, 2] {
        let trace_id = &column("trace_id")[index];
        assert!(
            trace_id.ends_with("-LHR"),
            "the CF-Ray where there is none of Clerk's: {trace_id}"
        );
    }
    assert!(column("duration_ms").iter().all(|ms| ms.parse::<u64>().is_ok()));
    assert!(column("finished_at").iter().all(|at| at.ends_with('Z')));
}
