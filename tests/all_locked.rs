//! `--all-locked`: all locked users of the instance as the input.

mod common;

use std::collections::BTreeSet;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FakeUser, Mode, Population, SandboxConfig, Script, Scripted};
use common::population::{check_resumed_outcomes, listed};
use common::server::serve;
use common::watch::{FAST, slow_config, wait_until};
use common::{SEED, Stage};
use serde_json::json;

const N_USERS: u32 = 120;
const RUN: &str = "run --all-locked --yes --quota 1000000/1s --quota-share 100%";

fn users_where(is_wanted: impl Fn(&FakeUser) -> bool) -> Vec<UserId> {
    let population = Population::new(SEED);
    let users = listed(0..N_USERS);
    users.into_iter().filter(|id| population.user(id).is_some_and(|it| is_wanted(&it))).collect()
}

/// Users who are locked by failed sign-ins.
fn locked() -> Vec<UserId> {
    users_where(|user| user.is_locked() && !user.is_admin_locked())
}

fn texts(ids: &[UserId]) -> BTreeSet<String> {
    ids.iter().map(ToString::to_string).collect()
}

impl Stage {
    /// The user IDs of a list of locked users.
    fn ids_of(&self, name: &str) -> BTreeSet<String> {
        self.rows(name).into_iter().map(|mut row| row.remove("user_id").expect("a user")).collect()
    }

    /// Number of walks, each of which begins with a count.
    fn n_walks(&self) -> usize {
        let requests = self.sandbox().requests();
        requests.iter().filter(|it| it.path_and_query.starts_with("/v1/users/count")).count()
    }
}

#[test]
fn a_run_unlocks_all_users_who_are_not_locked_on_purpose() {
    let stage = Stage::with_users(N_USERS);
    let ended = stage.run(&format!("{RUN} --max-users 500")).exits_with(0);
    assert_eq!(stage.posted_users(), texts(&locked()));
    stage.check_one_row_each("locked.results.csv", &locked());
    stage.check_all_outcomes("locked.results.csv", "unlocked");
    assert_eq!(stage.ids_of("locked.results.input.csv"), texts(&locked()));
    assert!(stage.column("locked.results.csv", "was_locked").iter().all(|it| it == "true"));
    let n_on_purpose = users_where(FakeUser::is_admin_locked).len();
    assert!(n_on_purpose > 0);
    let left_out = format!("locked users: locked on purpose: {n_on_purpose}.");
    assert_eq!(ended.stderr.matches(&left_out).count(), 2, "{}", ended.stderr);
    let manifest = stage.json("locked.results.manifest.json");
    let n_requests = stage.n_requests();
    assert_eq!(manifest["passes"][0]["requests"], n_requests, "requests of the walk are included");
    for id in users_where(FakeUser::is_admin_locked) {
        assert!(stage.sandbox().is_locked(&id));
    }
}

#[test]
fn shards_unlock_each_user_once() {
    let stage = Stage::with_users(N_USERS);
    let mut unlocked = Vec::new();
    for shard in 1..=3 {
        stage.run(&format!("{RUN} --shard {shard}/3 -o part{shard}.csv")).exits_with(0);
        let part = stage.column(&format!("part{shard}.csv"), "user_id");
        assert!(!part.is_empty(), "shard {shard}");
        unlocked.extend(part);
    }
    assert_eq!(unlocked.len(), locked().len());
    assert_eq!(unlocked.into_iter().collect::<BTreeSet<_>>(), texts(&locked()));
    assert_eq!(stage.posted_users(), texts(&locked()));
}

#[test]
fn the_manifest_records_the_list_and_the_settings() {
    let stage = Stage::with_users(N_USERS);
    let flags = "--skip-banned --created-after 36500d -o night.csv --reason 'INC 7'";
    stage.run(&format!("{RUN} {flags}")).exits_with(0);
    let manifest = stage.json("night.manifest.json");
    let input = &manifest["files"][0];
    assert_eq!((&input["role"], &input["name"]), (&json!("input"), &json!("night.input.csv")));
    assert_eq!(input["sha256"], stage.sha256("night.input.csv"));
    for (name, value) in [
        ("all_locked", json!(true)),
        ("only_locked", json!(true)),
        ("skip_banned", json!(true)),
        ("created_after", json!("36500d")),
    ] {
        assert_eq!(manifest["settings"][name], value, "{name}");
    }
    let wanted = users_where(|it| it.is_locked() && !it.is_admin_locked() && !it.banned);
    assert_eq!(stage.posted_users(), texts(&wanted));
    assert_eq!(stage.ids_of("night.input.csv"), texts(&wanted));
}

#[test]
fn users_who_are_locked_on_purpose_are_unlocked_only_on_request() {
    let stage = Stage::with_users(N_USERS);
    stage.run(&format!("{RUN} --include-admin-locked")).exits_with(0);
    assert_eq!(stage.posted_users(), texts(&users_where(FakeUser::is_locked)));
    assert_eq!(stage.ids_of("locked.results.input.csv"), stage.posted_users());
}

#[test]
fn excluded_users_stay_locked_and_limit_applies_to_the_list() {
    let stage = Stage::with_users(N_USERS);
    let kept = &locked()[3];
    stage.write("keep.txt", kept.as_str());
    stage
        .run(&format!("{RUN} --exclude keep.txt --expect-count 6 --limit 7 -o a.csv"))
        .exits_with(2);
    assert_eq!(stage.files(), ["keep.txt"], "the limit applies before the exclusion");
    stage.run(&format!("{RUN} --exclude keep.txt --limit 7 -o a.csv")).exits_with(0);
    assert_eq!(stage.rows("a.csv").len(), 7);
    stage.run(&format!("{RUN} --exclude keep.txt -o b.csv")).exits_with(0);
    assert!(stage.sandbox().is_locked(kept));
    let mut expected = texts(&locked());
    expected.remove(kept.as_str());
    assert_eq!(stage.posted_users(), expected);
}

#[test]
fn a_run_of_the_plan_unlocks_exactly_the_planned_users() {
    let stage = Stage::with_users(N_USERS);
    let line = format!("plan --all-locked --skip-banned --reason 'INC 7' {FAST}");
    let ended = stage.run(&line).exits_with(0);
    assert_eq!(stage.n_posts(), 0);
    let wanted = users_where(|it| it.is_locked() && !it.is_admin_locked() && !it.banned);
    stage.check_one_row_each("locked.plan.csv", &wanted);
    stage.check_all_outcomes("locked.plan.csv", "would_unlock");
    let next = ended.next_command();
    assert!(next.starts_with("run '--reason=INC 7' "), "{next}");
    assert!(next.contains("--plan=locked.plan.csv") && !next.contains("all-locked"), "{next}");
    stage.run(&format!("{next} --yes")).exits_with(0);
    assert_eq!(stage.posted_users(), texts(&wanted));
}

#[test]
fn an_incomplete_walk_unlocks_no_user() {
    let stage = Stage::with_sandbox(slow_config("60ms").n_users(4_000));
    let ended = stage.run(&format!("{RUN} --max-duration 200ms -o a.csv"));
    ended.exits_with(3).prints("the list is incomplete").prints("no user was unlocked");
    assert_eq!(stage.files(), ["a.input.part.csv"]);
    assert_eq!(stage.n_posts(), 0);
    stage.sandbox().set_mode(Mode::AllStatus(500));
    let ended = stage.run(&format!("{RUN} --max-retries 0 -o b.csv"));
    ended.exits_with(3).prints("no user was unlocked");
    stage.sandbox().set_mode(Mode::Revoked);
    stage.run(&format!("{RUN} -o c.csv")).exits_with(4);
    assert!(stage.files().iter().all(|name| name.ends_with(".part.csv")), "{:?}", stage.files());
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_walk_that_lists_fewer_users_than_counted_unlocks_no_user() {
    let mut stage = Stage::new();
    let url = serve(|target| match target {
        _ if target.contains("/count") => {
            (200, r#"{"object":"total_count","total_count":4}"#.to_owned())
        }
        _ if target.contains("starting_after") => (200, "[]".to_owned()),
        _ if target.starts_with("/v1/users?") => {
            (200, r#"[{"id":"user_a","locked":true}]"#.to_owned())
        }
        // An unlock call would end as a failed row.
        _ => (500, String::new()),
    });
    stage.set("CLERK_API_URL", &url);
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    let ended = stage.run(&format!("{RUN} -o a.csv")).exits_with(3);
    ended.prints("the API counted 4 users, but listed 1").prints("no user was unlocked");
    assert_eq!(stage.files(), ["a.input.part.csv"]);
}

/// A stage with a server of one user with this `locked` property.
fn with_one_user(locked: &'static str) -> Stage {
    let mut stage = Stage::new();
    let url = serve(move |target| match target {
        _ if target.contains("/count") => {
            (200, r#"{"object":"total_count","total_count":1}"#.to_owned())
        }
        _ => (200, format!(r#"[{{"id":"user_a","locked":{locked}}}]"#)),
    });
    stage.set("CLERK_API_URL", &url);
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage
}

#[test]
fn a_run_without_locked_users_succeeds() {
    let stage = with_one_user("false");
    let ended = stage.run(&format!("{RUN} --max-users 500")).exits_with(0);
    ended.prints("no locked user is listed: no user to unlock");
    let stage = with_one_user("false");
    stage.run(&format!("{RUN} --if-empty fail")).exits_with(2);
    assert_eq!(stage.files(), [""; 0]);
}

#[test]
fn a_user_whose_lock_state_is_unclear_exits_with_1() {
    for locked in ["null", r#"true,"verification_attempts_remaining":3.0"#] {
        let stage = with_one_user(locked);
        let ended = stage.run(RUN).exits_with(1);
        ended.prints("not listed: 1 user whose `locked` is neither true nor false");
        assert_eq!(stage.json("locked.results.manifest.json")["exit_code"], 1);
    }
}

#[test]
fn a_killed_run_resumes_from_its_list_without_another_walk() {
    let stage = Stage::with_sandbox(slow_config("5ms").n_users(N_USERS));
    let run = stage.spawn(&format!("{RUN} -c 1 -o a.csv"));
    wait_until("some are unlocked", || stage.n_rows("a.csv") >= 5);
    run.signal("KILL");
    run.wait();
    assert_eq!(stage.n_walks(), 1);
    stage.run(&format!("{RUN} --resume -o a.csv")).exits_with(0);
    assert_eq!(stage.n_walks(), 1);
    stage.check_one_row_each("a.csv", &locked());
    check_resumed_outcomes(stage.column("a.csv", "outcome"));
    assert_eq!(stage.posted_users(), texts(&locked()));
}

#[test]
fn the_printed_command_resumes_a_stopped_run() {
    let ids = locked();
    let refused = users_where(|it| it.is_locked() && !it.is_admin_locked() && !it.banned).remove(0);
    let script = Script::from([(refused, [Scripted::status(422)].into())]);
    let config = SandboxConfig::default().n_users(N_USERS).script(script).log_requests(true);
    let stage = Stage::with_sandbox(config);
    let ended = stage.run(&format!("{RUN} --max-fail 1 -c 1 -o a.csv --skip-banned"));
    let ended = ended.exits_with(3);
    let next = ended.next_command();
    assert!(next.contains("--all-locked") && next.contains("--skip-banned"), "{next}");
    let n_walks = stage.n_walks();
    stage.run(&next.replace("--max-fail=1", "--max-fail=2")).exits_with(1);
    assert_eq!(stage.n_walks(), n_walks);
    let wanted = users_where(|it| it.is_locked() && !it.is_admin_locked() && !it.banned);
    assert!(wanted.len() < ids.len());
    stage.check_one_row_each("a.csv", &wanted);
}

#[test]
fn the_printed_command_retries_failed_users_and_looks_them_up() {
    let first = locked().remove(0);
    let script = Script::from([(first, [Scripted::status(503)].into())]);
    let config = SandboxConfig::default().n_users(N_USERS).script(script).log_requests(true);
    let stage = Stage::with_sandbox(config);
    let ended = stage.run(&format!("{RUN} --max-retries 0 --created-after 36500d")).exits_with(1);
    let next = ended.next_command();
    for flag in ["locked.results.csv", "--retry-failed", "--only-locked"] {
        assert!(next.contains(flag), "{next}");
    }
    stage.run(&next).exits_with(0);
    assert_eq!(stage.rows("locked.results.results.csv").len(), 1);
    assert_eq!(stage.n_walks(), 2, "one walk counts with and without the filter");
}

#[test]
fn a_run_resumes_only_from_the_list_of_its_walk() {
    let stage = Stage::with_sandbox(slow_config("5ms").n_users(N_USERS));
    let run = stage.spawn(&format!("{RUN} -c 1 -o a.csv"));
    wait_until("some are unlocked", || stage.n_rows("a.csv") >= 5);
    run.signal("KILL");
    run.wait();
    let n_posts = stage.n_posts();
    let list = stage.read("a.input.csv");
    stage.write("a.input.csv", list.clone() + "user_another,,,,,,true,false,,0,false,,\n");
    let ended = stage.run(&format!("{RUN} --resume -o a.csv")).exits_with(2);
    ended.prints("a.input.csv was changed after the walk");
    std::fs::remove_file(stage.path("a.input.csv")).expect("the list is there");
    stage.run(&format!("{RUN} --resume -o a.csv")).exits_with(2);
    stage.write("a.input.csv", &list);
    // Other filters would select other users.
    stage.run(&format!("{RUN} --resume -o a.csv --skip-banned")).exits_with(2);
    stage.run(&format!("run a.input.csv --yes --resume -o a.csv {FAST}")).exits_with(2);
    let manifest = stage.read("a.manifest.json");
    std::fs::remove_file(stage.path("a.manifest.json")).expect("the manifest is there");
    stage
        .run(&format!("{RUN} --resume -o a.csv"))
        .exits_with(2)
        .prints("a.manifest.json is missing");
    assert_eq!((stage.n_posts(), stage.n_walks()), (n_posts, 1));
    stage.write("a.manifest.json", manifest);
    stage.run(&format!("{RUN} --resume -o a.csv")).exits_with(0);
}

#[test]
fn a_refused_run_leaves_no_file_and_changes_none_of_an_earlier_run() {
    let stage = Stage::with_users(N_USERS);
    stage.run(&format!("{RUN} --max-users 1 -o a.csv")).exits_with(2);
    assert_eq!(stage.files(), [""; 0]);
    stage.run(&format!("{RUN} --limit 3 -o a.csv")).exits_with(0);
    let before: Vec<String> = stage.files().iter().map(|name| stage.read(name)).collect();
    let n_requests = stage.n_requests();
    stage.run(&format!("{RUN} -o a.csv")).exits_with(6);
    assert_eq!(stage.n_requests(), n_requests, "refused before the walk");
    stage.run(&format!("{RUN} --force --max-users 1 -o a.csv")).exits_with(2);
    let after: Vec<String> = stage.files().iter().map(|name| stage.read(name)).collect();
    assert_eq!(before, after);
    stage.run(&format!("{RUN} --force -o a.csv")).exits_with(0);
    assert_eq!(stage.ids_of("a.input.csv").len(), stage.rows("a.csv").len());
    assert_ne!(stage.read("a.input.csv"), before[1]);
}

#[test]
fn a_file_in_the_place_of_the_list_is_not_overwritten() {
    let stage = Stage::with_users(N_USERS);
    stage.write("a.input.csv", "precious\n");
    stage.run(&format!("{RUN} -o a.csv")).exits_with(6);
    stage.run(&format!("{RUN} -o a.csv --force")).exits_with(6);
    stage.run(&format!("{RUN} -o a.csv --resume")).exits_with(6);
    assert_eq!((stage.read("a.input.csv"), stage.n_requests()), ("precious\n".to_owned(), 0));
    stage.run(&format!("{RUN} -o b.csv --report b.input.csv")).exits_with(2);
    stage.write("c.input.csv", "user_a\n");
    stage.run(&format!("{RUN} -o c.csv --exclude c.input.csv --force")).exits_with(2);
    assert_eq!(stage.n_requests(), 0);
}

#[test]
fn flags_for_a_list_of_users_are_refused() {
    let mut stage = Stage::with_users(N_USERS);
    stage.write("ids.txt", "user_a\n");
    for flags in [
        "ids.txt",
        "-",
        "--plan ids.txt",
        "ids.txt --retry-failed",
        "--column 1",
        "--by email",
        "--delimiter comma",
        "--lenient",
        "--skip 1",
        "--carry all",
        "--max-input-age 1h",
        "-o -",
        "--organization acme",
    ] {
        stage.run_refused(&format!("{RUN} {flags}"), 2);
    }
    for flag in ["--skip-banned", "--organization org_acme", "--created-after 7d"] {
        stage.run_refused(&format!("run ids.txt --yes {flag} {FAST}"), 2);
        stage.run_refused(&format!("plan --plan ids.txt {flag} {FAST}"), 2);
    }
    stage.set("BULK_UNLOCK_ALL_LOCKED", "true");
    stage.run_refused(&format!("run ids.txt --yes {FAST}"), 2);
    stage.unset("BULK_UNLOCK_ALL_LOCKED");
    stage.set("BULK_UNLOCK_EMAIL_DOMAIN", "acme.com");
    stage.run_refused(&format!("run ids.txt --yes {FAST}"), 2);
    assert_eq!(stage.n_requests(), 0);
    stage.unset("BULK_UNLOCK_EMAIL_DOMAIN");
    stage.run_refused(&format!("run --all-locked {FAST}"), 5);
    assert_eq!(stage.n_requests(), 0, "no walk without a confirmation");
}

#[test]
fn signal_during_the_walk_leaves_no_file() {
    let stage = Stage::with_sandbox(slow_config("60ms").n_users(4_000));
    let run = stage.spawn(&format!("{RUN} -o a.csv"));
    wait_until("the walk has begun", || stage.n_requests() > 2);
    run.signal("INT");
    run.wait().exits_with(130).prints("no user was unlocked");
    assert_eq!((stage.files(), stage.n_posts()), (Vec::new(), 0));
}

#[test]
fn sandbox_run_can_be_repeated() {
    let stage = Stage::new();
    let sandbox = "--sandbox --sandbox-users 150 --sandbox-latency 0 --sandbox-quota none";
    for _ in 0..2 {
        stage.run(&format!("run --all-locked --verify {sandbox} {FAST}")).exits_with(0);
        assert_eq!(stage.ids_of("locked.results.input.csv").len(), {
            stage.rows("locked.results.verify.csv").len()
        });
    }
}
