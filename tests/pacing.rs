//! The pace of one run, and of several runs with one key.

mod common;

use std::fs;
use std::time::Duration;

use bulk_unlock::sandbox::{Mode, SandboxConfig, Scripted, max_in_any};
use common::watch::{for_each_in_parallel, slow_config, wait_until};
use common::{Stage, list, locked_users, users};

/// The quota of these servers. The share of the job is 100 %.
const N: usize = 20;
const WINDOW: Duration = Duration::from_secs(1);
const ALL: &str = "--quota 20/1s --quota-share 100%";
const BURST: &str = "--quota 20/1s --quota-share 100% --burst";

/// A server with a strict quota, and a list of users.
fn stage(n_users: usize, config: SandboxConfig) -> Stage {
    let stage = Stage::with_sandbox(config.quota("20/1s".parse().ok()));
    stage.write("ids.txt", list(&locked_users(n_users)));
    stage
}

fn quick() -> SandboxConfig {
    slow_config("5ms..30ms")
}

/// No window had more requests than the quota, and none was refused.
#[track_caller]
fn assert_kept(stage: &Stage) {
    let requests = stage.sandbox().requests();
    let most = max_in_any(&requests, WINDOW);
    assert!(most <= N, "{most} of {N} in a window");
    assert_eq!(stage.sandbox().stats().by_status.get(&429), None, "{most} in a window");
}

#[test]
fn a_plan_and_its_run_keep_the_quota_together() {
    for_each_in_parallel([ALL, BURST], |pace| {
        let stage = stage(0, quick());
        stage.write("ids.txt", list(&users(900)));
        stage.run(&format!("plan ids.txt {pace}")).exits_with(0);
        stage.run(&format!("run ids.txt --limit 30 -y {pace}")).exits_with(0);
        assert_eq!(stage.sandbox().requests().len(), 9 + 30);
        assert_kept(&stage);
    });
}

#[test]
fn a_run_and_its_verification_keep_the_quota_together() {
    for_each_in_parallel([ALL, BURST], |pace| {
        let stage = stage(2 * N, quick());
        stage.run(&format!("run ids.txt -y {pace}")).exits_with(0);
        stage.run(&format!("verify ids.results.csv {pace}")).exits_with(0);
        stage.run(&format!("verify ids.results.csv {pace} --force")).exits_with(0);
        stage.run(&format!("run ids.txt -y --force --verify {pace}")).exits_with(0);
        assert_kept(&stage);
    });
}

#[test]
fn a_run_and_its_retry_of_failed_users_keep_the_quota_together() {
    for_each_in_parallel([ALL, BURST], |pace| {
        let ids = locked_users(N);
        let script = ids.iter().map(|id| (id.clone(), [Scripted::status(500)].into())).collect();
        let stage = stage(N, quick().script(script));
        stage.run(&format!("run ids.txt -y --max-retries 0 {pace}")).exits_with(1);
        stage.run(&format!("run ids.results.csv --retry-failed -y {pace}")).exits_with(0);
        assert_eq!(stage.n_posts(), 2 * N);
        assert_kept(&stage);
    });
}

/// Stops or kills a run several times, and resumes it at once.
#[track_caller]
fn resumes(signal: &str, pace: &str, flags: &str, config: SandboxConfig) {
    let stage = stage(4 * N, config);
    let line = format!("run ids.txt -y --resume -c 16 {pace} {flags}");
    for n_signals in 1..=2 {
        let running = stage.spawn(&line);
        let n_before = stage.sandbox().stats().n_requests;
        let enough = n_before + if flags.is_empty() { 12 } else { 1 };
        wait_until("some were sent", || stage.sandbox().stats().n_requests >= enough);
        running.signal(signal);
        let ended = running.wait();
        assert!(ended.code != Some(0), "stop {n_signals}: {}", ended.stderr);
    }
    stage.run(&line).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &locked_users(4 * N));
    assert_kept(&stage);
}

#[test]
fn stopped_and_resumed_runs_keep_the_quota_together() {
    for_each_in_parallel([ALL, BURST], |pace| resumes("INT", pace, "", quick()));
}

#[test]
fn killed_and_resumed_runs_keep_the_quota_together() {
    for_each_in_parallel([ALL, BURST], |pace| resumes("KILL", pace, "", quick()));
}

#[test]
fn runs_killed_with_requests_in_flight_keep_the_quota_together() {
    resumes("KILL", BURST, "", slow_config("400ms..700ms"));
}

#[test]
fn runs_killed_during_look_ups_keep_the_quota_together() {
    resumes("KILL", BURST, "--only-locked --include-admin-locked", slow_config("100ms"));
}

#[test]
fn runs_with_failing_requests_keep_the_quota_together() {
    let stage = stage(N, quick());
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let line = format!("run ids.txt -y --resume {BURST}");
    let running = stage.spawn(&line);
    wait_until("some failed", || stage.sandbox().stats().n_requests >= 15);
    running.signal("INT");
    running.wait().exits_with(130);
    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&line).exits_with(0);
    assert_kept(&stage);
}

#[test]
fn two_concurrent_runs_keep_the_quota_and_both_end() {
    for_each_in_parallel([ALL, BURST], |pace| {
        let stage = stage(0, quick());
        let ids = users(6 * N);
        stage.write("one.txt", list(&ids[..3 * N]));
        stage.write("other.txt", list(&ids[3 * N..]));
        let one = stage.spawn(&format!("run one.txt -y {pace}"));
        let other = stage.spawn(&format!("run other.txt -y {pace}"));
        one.wait().exits_with(0);
        other.wait().exits_with(0);
        assert_kept(&stage);
    });
}

/// Each key and each instance has its own quota.
#[test]
fn a_run_does_not_wait_for_a_run_on_another_instance() {
    let mut stage = stage(N, quick());
    stage.run(&format!("run ids.txt -y {BURST}")).exits_with(0);
    let n_files = || fs::read_dir(stage.state_dir()).expect("a directory").count();
    assert_eq!(n_files(), 1);
    stage.start_sandbox(quick().quota("20/1s".parse().ok()), 0);
    let url = stage.sandbox().url();
    stage.set("CLERK_API_URL", &url);
    stage.run(&format!("run ids.txt -y --force {BURST}")).exits_with(0);
    assert_eq!(fs::read_dir(stage.state_dir()).expect("a directory").count(), 2);
    assert_kept(&stage);
}

/// All requests of the first run are in the window when the second starts.
#[test]
fn a_long_window_with_many_requests_is_kept() {
    let config = slow_config("0").quota("500/3s".parse().ok());
    let stage = Stage::with_sandbox(config);
    stage.write("ids.txt", list(&users(480)));
    let line = "run ids.txt -y --force --burst --quota 500/3s --quota-share 100%";
    stage.run(line).exits_with(0);
    stage.run(line).exits_with(0);
    let most = max_in_any(&stage.sandbox().requests(), Duration::from_secs(3));
    assert!(most <= 500, "{most}");
    assert_eq!(stage.sandbox().stats().by_status.get(&429), None);
}

#[test]
fn by_default_requests_are_evenly_spaced_at_half_of_the_quota() {
    let stage = stage(60, quick().key("sk_live_sandboxOnly".to_owned()));
    stage.run("run ids.txt -y --quota 40/1s").exits_with(0);
    let requests = stage.sandbox().requests();
    let most = max_in_any(&requests, Duration::from_millis(250));
    assert!(most <= 7, "{most} in a quarter of a second at 20/s");
    assert_kept(&stage);
}

#[test]
fn a_pause_by_a_429_holds_for_the_next_run_too() {
    let ids = locked_users(3);
    let script = [(ids[0].clone(), [common::throttled("2")].into())].into();
    let stage = Stage::with_sandbox(quick().script(script));
    stage.write("one.txt", list(&ids[..1]));
    stage.write("other.txt", list(&ids[1..]));
    let one = stage.spawn("run one.txt -y --rate 100/s");
    wait_until("it is throttled", || stage.sandbox().stats().by_status.contains_key(&429));
    one.signal("INT");
    one.wait().exits_with(130);
    stage.run("run other.txt -y --rate 100/s").exits_with(0);
    let at: Vec<_> = stage.sandbox().requests().iter().map(|it| it.at).collect();
    assert!(at[1] - at[0] >= Duration::from_millis(1_900), "{:?}", at[1] - at[0]);
}

#[test]
fn a_refused_key_costs_one_request() {
    let stage = stage(50, quick());
    stage.sandbox().set_mode(Mode::Revoked);
    let commands =
        ["run ids.txt -y", "run ids.txt -y --only-locked --force", "plan ids.txt", "locked"];
    for command in commands {
        let n_before = stage.n_requests();
        stage.run(&format!("{command} {BURST}")).exits_with(4);
        assert_eq!(stage.n_requests() - n_before, 1, "{command}");
    }
}

#[test]
fn an_unusable_state_directory_is_an_error() {
    let mut stage = stage(2, quick());
    stage.write("file", "");
    for dir in ["file", "file/state"] {
        stage.run_refused(&format!("run ids.txt -y --state-dir {dir}"), 2).prints("--state-dir");
    }
    stage.set("BULK_UNLOCK_STATE_DIR", "file");
    stage.run_refused("run ids.txt -y", 2).prints("--state-dir");
    stage.unset("BULK_UNLOCK_STATE_DIR");
    stage.run(&format!("run ids.txt -y --state-dir state {BURST}")).exits_with(0);
    let names: Vec<_> = fs::read_dir(stage.path("state")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

#[test]
fn without_a_state_directory_a_run_continues_with_a_note() {
    let mut stage = stage(2, quick());
    stage.write("file", "");
    let file = stage.path("file").display().to_string();
    for (name, value) in [("XDG_STATE_HOME", Some(file.as_str())), ("XDG_STATE_HOME", None)] {
        match value {
            Some(value) => stage.set(name, value),
            None => stage.unset(name),
        }
        let line = format!("run ids.txt -y --force {BURST}");
        let ended = stage.run(&line).exits_with(0);
        assert!(!ended.stderr.contains("not sharing the pace"), "{}", ended.stderr);
        let line = format!("{line} -v");
        stage.run(&line).exits_with(0).prints("not sharing the pace with other runs: ");
    }
}

#[test]
fn a_foreign_pace_file_is_not_changed_and_a_torn_one_is_replaced() {
    let stage = stage(2, quick());
    let line = format!("run ids.txt -y --force -v {BURST}");
    stage.run(&line).exits_with(0);
    let path = fs::read_dir(stage.state_dir()).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&path).unwrap();

    fs::write(&path, "shopping list").unwrap();
    stage.run(&line).exits_with(0).prints("is not a pace file of this version of bulk-unlock");
    assert_eq!(fs::read_to_string(&path).unwrap(), "shopping list");

    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let ended = stage.run(&line).exits_with(0);
    assert!(!ended.stderr.contains("not sharing the pace"), "{}", ended.stderr);
    assert!(fs::read(&path).unwrap().len() > whole.len() / 2);
}

#[cfg(unix)]
#[test]
fn the_pace_file_is_private_and_contains_neither_key_nor_host() {
    use std::os::unix::fs::PermissionsExt as _;

    let stage = stage(2, quick());
    stage.run(&format!("run ids.txt -y {BURST}")).exits_with(0);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&stage.state_dir()), 0o700);
    for entry in fs::read_dir(stage.state_dir()).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(mode(&path), 0o600);
        let text = format!("{} {}", path.display(), fs::read_to_string(&path).unwrap());
        for secret in [stage.sandbox().key(), "127.0.0.1", "user_"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

#[test]
fn the_embedded_sandbox_keeps_no_state() {
    let stage = Stage::new();
    stage.write("ids.txt", list(&users(3)));
    stage.run("run ids.txt --sandbox --sandbox-latency 0").exits_with(0);
    assert!(!stage.state_dir().exists());
}

#[test]
fn a_rate_excludes_quota_share_and_burst() {
    let stage = stage(1, quick());
    for flag in ["--quota 9/s", "--quota-share 10%", "--burst"] {
        stage
            .run_refused(&format!("run ids.txt -y --rate 5/s {flag}"), 2)
            .prints("cannot be used with");
    }
}
