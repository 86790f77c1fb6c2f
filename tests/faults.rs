//! The fault matrix: whatever passes, every user is unlocked in the end, once.

mod common;

use std::collections::BTreeSet;

use bulk_unlock::model::UserId;
use bulk_unlock::sandbox::{FaultKind, Faults, SandboxConfig, Script, Scripted};
use common::watch::{FAST, with_each};
use common::{SEED, Stage, locked_users};

/// Such a part of the answers meets the fault: many, yet not twenty in a row, which would be an
/// outage.
const SHARE: f64 = 0.5;

/// So few users that those whose answers are late, and so come one after the other, are not twenty.
const FEW: usize = 30;

/// Runs so many locked users through these faults, and holds what must hold for each of them.
#[track_caller]
fn check(faults: Faults, n_users: usize, flags: &str) -> Stage {
    let config =
        SandboxConfig { faults, log_requests: true, seed: SEED, ..SandboxConfig::default() };
    let stage = Stage::with_sandbox(config);
    let ids = locked_users(n_users);
    stage.write("ids.txt", common::list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST} {flags}")).exits_with(0);
    all_are_unlocked_once(&stage, &ids);
    stage
}

/// Each has one row that says `unlocked`, is unlocked at the server too, and was called as often
/// as its row says.
#[track_caller]
fn all_are_unlocked_once(stage: &Stage, ids: &[UserId]) {
    assert_eq!(stage.adds_up("ids.results", ids), ids.len());
    stage.all_are("ids.results.csv", "unlocked");
    let posts = stage.posts();
    for row in stage.rows("ids.results.csv") {
        let attempts: usize = row["attempts"].parse().expect("a number");
        assert_eq!(posts[&row["user_id"]], attempts, "{row:?}");
        assert_eq!(row["error_code"], "", "an unlocked user has no error: {row:?}");
    }
    assert!(ids.iter().all(|id| !stage.sandbox().is_locked(id)));
}

/// The fault alone, at a high share: it was met, and nobody was called more often than it strikes
/// in a row.
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
    assert!(stage.n_posts() > FEW, "somebody met a 429");
}

#[test]
fn a_connection_reset_before_the_unlock_is_tried_again() {
    alone(FaultKind::Reset, 60, "");
}

#[test]
fn a_connection_reset_after_the_unlock_is_tried_again() {
    alone(FaultKind::ResetAfter, 60, "");
}

#[test]
fn a_server_that_hangs_is_tried_again_after_the_timeout() {
    alone(FaultKind::Hang, FEW, "--timeout 500ms");
}

#[test]
fn a_truncated_answer_is_tried_again() {
    alone(FaultKind::Truncated, 60, "");
}

#[test]
fn an_answer_that_is_not_json_is_tried_again() {
    alone(FaultKind::Garbage, 60, "");
}

#[test]
fn an_empty_answer_is_tried_again() {
    alone(FaultKind::Empty, 60, "");
}

#[test]
fn a_slow_answer_is_waited_for() {
    let stage = check(Faults::only(FaultKind::Slow, SHARE), FEW, "");
    assert_eq!(stage.n_posts(), FEW, "nobody was called twice");
}

#[test]
fn an_answer_slower_than_the_timeout_is_tried_again() {
    alone(FaultKind::Slow, FEW, "--timeout 500ms");
}

#[test]
fn another_users_object_is_never_taken_for_the_answer() {
    alone(FaultKind::OtherUser, 60, "");
}

#[test]
fn a_user_who_is_still_locked_is_tried_again() {
    alone(FaultKind::StillLocked, 60, "");
}

#[test]
fn an_answer_of_64_mebibytes_is_given_up_and_tried_again() {
    alone(FaultKind::Huge, FEW, "-c 4");
}

#[test]
fn a_compressed_answer_that_nobody_asked_for_is_tried_again() {
    alone(FaultKind::Gzip, 60, "");
}

#[test]
fn an_answer_nested_a_hundred_thousand_levels_deep_is_tried_again() {
    alone(FaultKind::Deep, FEW, "");
}

#[test]
fn all_faults_mixed_at_20_percent_leave_every_user_unlocked_once() {
    let stage = check(Faults::mix(0.2), 300, "");
    assert!(stage.n_posts() > 330, "about one of five was met");
}

#[test]
fn every_fault_at_once_the_slow_ones_too_leaves_every_user_unlocked_once() {
    let each = |kind: &FaultKind| format!("{kind}=1.5%");
    // Redirects and refusals are final answers; all else passes.
    let transient = |kind: &&FaultKind| !matches!(kind, FaultKind::Redirect | FaultKind::Escapes);
    let faults: Vec<String> = FaultKind::ALL.iter().filter(transient).map(each).collect();
    let stage = check(faults.join(",").parse().unwrap(), 200, "--timeout 1s");
    assert!(stage.n_posts() > 220, "about one of four was met");
}

#[test]
fn look_ups_survive_the_mix_too() {
    let config = SandboxConfig {
        faults: Faults::mix(0.4),
        log_requests: true,
        seed: SEED,
        ..SandboxConfig::default()
    };
    let stage = Stage::with_sandbox(config);
    let ids = locked_users(250);
    stage.write("ids.txt", common::list(&ids));
    stage.run(&format!("run ids.txt --only-locked --yes {FAST}")).exits_with(0);
    assert_eq!(stage.adds_up("ids.results", &ids), ids.len());
    stage.all_are("ids.results.csv", "unlocked");
}

/// The end of a user to whom the same thing happens again and again.
#[track_caller]
fn for_ever(fault: FaultKind, outcome: &str, code: &str) {
    let ids = locked_users(3);
    let script: Script =
        [(ids[1].clone(), vec![Scripted::Fault(fault); 20].into())].into_iter().collect();
    let stage = Stage::with_sandbox(SandboxConfig {
        script,
        log_requests: true,
        seed: SEED,
        ..SandboxConfig::default()
    });
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
fn a_fault_that_does_not_pass_ends_its_own_user_alone_and_is_named() {
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
    with_each(ends, |(fault, outcome, code)| for_ever(fault, outcome, code));
}

#[test]
fn every_row_tells_attempts_time_status_code_and_trace_id() {
    let ids = locked_users(3);
    let body = r#"{"errors":[{"message":"m","code":"c"}],"clerk_trace_id":"trace-of-clerk"}"#;
    let script: Script = [
        (ids[0].clone(), vec![Scripted::status(500); 2].into()),
        (ids[1].clone(), vec![Scripted::status(422).with_body(body)].into()),
        (ids[2].clone(), vec![Scripted::status(409).with_body("<html>")].into()),
    ]
    .into_iter()
    .collect();
    let stage = Stage::with_sandbox(SandboxConfig { script, seed: SEED, ..Default::default() });
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
