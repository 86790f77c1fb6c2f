//! `plan`, and the run of a plan.

mod common;

use std::collections::BTreeSet;
use std::fs;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Faults, Lock, Mode, SandboxConfig, Script, Scripted};
use common::population::{
    admin_locked_users, check_resumed_outcomes, listed, listed_where, missing_users,
    planned_outcomes, unlisted, unlocked_users,
};
use common::watch::{FAST, slow_config, wait_until};
use common::{Ended, Stage, list, locked_users, missing_user};

/// In this order: three locked users, two who look locked on purpose, two who are not locked, one who
/// does not exist.
fn some_of_each() -> Vec<UserId> {
    [locked_users(3), admin_locked_users(2), unlocked_users(2), vec![missing_user()]].concat()
}

/// A stage with a plan of these users, made with these flags.
#[track_caller]
fn planned(ids: &[UserId], flags: &str) -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(ids));
    stage.run(&format!("plan ids.txt {FAST} {flags}")).exits_with(0);
    stage
}

/// Runs the plan of a stage.
#[track_caller]
fn run_plan(stage: &Stage, flags: &str) -> Ended {
    stage.run(&format!("run --plan ids.plan.csv --yes {FAST} {flags}"))
}

#[test]
fn ten_thousand_users_are_planned_with_a_hundred_look_ups_and_no_unlock() {
    let stage = Stage::with_users(5_000);
    let ids = [listed(0..5_000), unlisted(0..5_000)].concat();
    stage.write("ids.txt", list(&ids));
    let ended = stage.run(&format!("plan ids.txt --snapshot summary {FAST}")).exits_with(0);
    ended.prints("Planned: `run` would unlock 7,917 of 10,000 users. Nothing was changed.");
    assert_eq!(stage.outcomes_by_user("ids.plan.csv"), planned_outcomes(&ids));
    let stats = stage.sandbox().stats();
    assert_eq!((stats.n_requests, stats.n_gets, stats.n_unlocks), (100, 100, 0));
}

#[test]
fn closing_lines_show_the_plan_its_forecast_and_the_command_to_run_it() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&[some_of_each(), locked_users(1)].concat()) + "oops\n");
    let ended = stage.run("plan ids.txt --quota 1000/10s --reason 'INC 7'").exits_with(0);
    insta::assert_snapshot!(ended.normalized_stderr(), @r#"
    Read 10 records; user IDs from a plain list, one per line
    Planned: `run` would unlock 3 of 10 users. Nothing was changed.

      would_unlock      3  locked; the run would unlock this user
      already_unlocked  2  not locked; no unlock request was sent
      duplicate         1  same user as on an earlier line
      admin_locked      2  looks locked on purpose; not changed
      not_found         1  user does not exist
      invalid           1  not a valid user; nothing was sent

    Most frequent errors, each with its first example:
      invalid_input       1  line 10 oops: a user id starts with "user_"
      resource_not_found  1  line 8 user_170: no user has this user ID

    1 request (1 look-up), 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      plan         ids.plan.csv
      sha256       HASH
      failed       ids.plan.failed.csv  (4 rows)
      unprocessed  ids.plan.unprocessed.csv  (0 records)
      manifest     ids.plan.manifest.json

    Forecast: 3 users to unlock, 4 requests, about T at 50/s.

    To unlock them:
      bulk-unlock run '--reason=INC 7' --quota=1000/10s --api-url=http://127.0.0.1:PORT --plan=ids.plan.csv --plan-sha256=HASH
    "#);
}

#[test]
fn the_forecast_uses_the_quota_of_the_kind_of_key() {
    let check = |key: &str, pace: &str| {
        let config = SandboxConfig::default().key(key.to_owned());
        let stage = Stage::with_sandbox(config);
        stage.write("ids.txt", list(&locked_users(200)));
        let ended = stage.run("plan ids.txt").exits_with(0);
        ended.prints("Forecast: 200 users to unlock, 202 requests, about").prints(pace);
    };
    check("sk_live_sandboxOnly", " at 50/s.");
    check("sk_test_sandboxOnly", " at 5/s.");
}

#[test]
fn plan_rows_hold_the_current_user_and_when_the_lock_ends() {
    let for_ever = |lock: &Lock| lock.locked && lock.expires_in.is_none();
    let ids = [some_of_each(), listed_where(2, |user| for_ever(&user.lock))].concat();
    let stage = planned(&ids, "");
    let mut n_ending = 0;
    for row in stage.rows("ids.plan.csv").iter().filter(|row| row["outcome"] != "not_found") {
        let now = stage.user(&row["user_id"].parse().expect("an id"));
        let then: serde_json::Value = serde_json::from_str(&row["user"]).expect("JSON");
        for field in ["id", "locked", "banned", "email_addresses", "private_metadata"] {
            assert_eq!(then[field], now[field], "{field} of {row:?}");
        }
        assert_eq!(row["locked"], now["locked"].to_string());
        let seconds = |text: &str| text.parse::<i64>().ok();
        let (left, left_now) = (
            seconds(&row["lockout_expires_in_seconds"]),
            now["lockout_expires_in_seconds"].as_i64(),
        );
        assert_eq!(left.is_some(), left_now.is_some(), "{row:?}");
        n_ending += u32::from(left.is_some());
        let passed = left.unwrap_or_default() - left_now.unwrap_or_default();
        assert!((0..60).contains(&passed), "{passed} s passed since {row:?}");
        assert_eq!((row["http_status"].as_str(), row["attempts"].as_str()), ("200", "1"));
    }
    assert!(n_ending > 0, "the lock of at least one user ends by itself");
}

#[test]
fn a_missing_user_is_not_found() {
    let stage = planned(&some_of_each(), "");
    let row = stage.row("ids.plan.csv", 8);
    let cells = ["outcome", "error_code", "error_message", "user_id"].map(|it| row[it].as_str());
    let missing = missing_user();
    let expected = ["not_found", "resource_not_found", "no user has this user ID"];
    assert_eq!(cells, [expected.as_slice(), &[missing.as_str()]].concat()[..]);
}

#[test]
fn run_dry_run_is_plan() {
    let stage = Stage::with_quick_sandbox();
    let text = list(&some_of_each()) + "oops\n" + locked_users(1)[0].as_str() + "\n";
    stage.write("ids.txt", text);
    stage.run(&format!("plan ids.txt -o a.csv {FAST}")).exits_with(0);
    for flags in ["--dry-run", "-n --only-locked --yes"] {
        stage.run(&format!("run ids.txt {flags} -o b.csv {FAST} --force")).exits_with(0);
        assert_eq!(stage.outcomes("a.csv"), stage.outcomes("b.csv"));
        assert_eq!(stage.column("a.csv", "user_id"), stage.column("b.csv", "user_id"));
        assert_eq!(stage.json("b.manifest.json")["kind"], "plan");
    }
    let expected =
        ["1 would_unlock", "2 would_unlock", "3 would_unlock", "4 admin_locked", "5 admin_locked"];
    assert_eq!(stage.outcomes("a.csv")[..5], expected);
    let expected =
        ["6 already_unlocked", "7 already_unlocked", "8 not_found", "9 invalid", "10 duplicate"];
    assert_eq!(stage.outcomes("a.csv")[5..], expected);
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_banned_user_to_be_unlocked_gets_a_warning() {
    let would = |banned| {
        listed_where(1, move |it| it.banned == banned && it.is_locked() && !it.is_admin_locked())
    };
    let banned_but_open = listed_where(1, |it| it.banned && !it.is_locked());
    let stage = planned(&[would(true), would(false), banned_but_open].concat(), "");
    assert_eq!(stage.column("ids.plan.csv", "banned"), ["true", "false", "true"]);
    let ended = stage.run(&format!("plan ids.txt {FAST} --force")).exits_with(0);
    ended.prints("warning: 1 user is banned; unlocking does not lift a ban.");
}

#[test]
fn plan_run_and_verify_of_three_thousand_users_unlock_exactly_the_planned_ones() {
    let stage = Stage::with_users(2_700);
    let ids = [listed(0..2_700), unlisted(0..300)].concat();
    stage.write("ids.txt", list(&ids));
    let bare = format!("{FAST} --snapshot none");
    stage.run(&format!("plan ids.txt {bare}")).exits_with(0);
    let plan = planned_outcomes(&ids);
    assert_eq!(stage.outcomes_by_user("ids.plan.csv"), plan);
    run_plan(&stage, "--snapshot none").exits_with(0);
    stage.run(&format!("verify ids.plan.results.csv {bare}")).exits_with(0);
    let left_locked = ids.iter().filter(|id| stage.sandbox().is_locked(id));
    let left_locked: BTreeSet<&str> = left_locked.map(UserId::as_str).collect();
    let those =
        |what| plan.iter().filter(move |(_, plan)| *plan == what).map(|(id, _)| id.as_str());
    assert_eq!(left_locked, those("admin_locked").collect(), "all admin-locked users stay locked");
    let posted = stage.posted_users();
    let posted: BTreeSet<&str> = posted.iter().map(String::as_str).collect();
    assert_eq!(posted, those("would_unlock").collect(), "other users were not called");
    assert_eq!(stage.n_posts(), posted.len(), "no user was called twice");
    let verified = stage.outcomes_by_user("ids.plan.results.verify.csv");
    assert_eq!(verified.len(), posted.len());
    assert!(verified.values().all(|outcome| outcome == "still_unlocked"));
}

#[test]
fn a_run_of_a_plan_processes_exactly_its_would_unlock_rows_and_keeps_their_lines() {
    let ids = some_of_each();
    let stage = Stage::with_quick_sandbox();
    let rows = ids.iter().enumerate().map(|(n, id)| format!("T-{n};{id};\"team\n{n}\"\n"));
    let rows: String = rows.collect();
    stage.write("ids.csv", format!("# made by hand\nTicket;User ID;Team name\n\n{rows}"));
    stage.run(&format!("plan ids.csv {FAST} --carry 'ticket,Team name'")).exits_with(0);
    stage.run(&format!("run --plan ids.plan.csv --yes {FAST}")).exits_with(0);
    let file = "ids.plan.results.csv";
    assert_eq!(stage.outcomes(file), ["4 unlocked", "6 unlocked", "8 unlocked"]);
    assert_eq!(stage.column(file, "in_Ticket"), ["T-0", "T-1", "T-2"]);
    assert_eq!(stage.column(file, "in_Team name"), ["team 0", "team 1", "team 2"]);
    assert_eq!(
        stage.column(file, "input"),
        ids[..3].iter().map(UserId::as_str).collect::<Vec<_>>()
    );
    let manifest = stage.json("ids.plan.results.manifest.json");
    assert_eq!(manifest["files"][0]["name"], "ids.plan.csv");
    assert_eq!(manifest["files"][0]["sha256"], stage.sha256("ids.plan.csv"));
    // The failed file has the same columns.
    let header = "user_id,Ticket,Team name,line,outcome,error_code,error_message\n";
    assert_eq!(stage.read("ids.plan.results.failed.csv"), header);
}

#[test]
fn an_edited_plan_is_refused() {
    let stage = planned(&some_of_each(), "");
    let path = stage.path("ids.plan.csv");
    let plan = stage.read("ids.plan.csv");
    let refused = |text: String| {
        fs::write(&path, text).expect("a file");
        let line = format!("run --plan ids.plan.csv --yes {FAST}");
        stage.run_refused(&line, 2).prints("ids.plan.csv was changed after it was made");
    };
    refused(plan.replacen("admin_locked", "would_unlock", 1));
    refused(plan.clone() + "\n");
    refused(plan.lines().take(3).fold(String::new(), |text, line| text + line + "\n"));
    fs::write(&path, plan).expect("a file");
    run_plan(&stage, "").exits_with(0);
}

#[test]
fn a_plan_without_its_manifest_is_refused() {
    let stage = planned(&some_of_each(), "");
    fs::remove_file(stage.path("ids.plan.manifest.json")).expect("a file");
    let ended = stage.run_refused(&format!("run --plan ids.plan.csv --yes {FAST}"), 2);
    ended.prints("ids.plan.manifest.json").prints("make a plan with");
    stage.write("ids.plan.manifest.json", "{}");
    stage.run_refused(&format!("run --plan ids.plan.csv --yes {FAST}"), 2);
}

#[test]
fn a_missing_plan_is_refused() {
    let stage = Stage::with_quick_sandbox();
    stage.run_refused(&format!("run --plan gone.csv --yes {FAST}"), 2).prints("gone.csv");
}

#[test]
fn a_file_that_is_not_a_plan_is_refused() {
    let stage = planned(&some_of_each(), "");
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(1);
    let refused =
        |file: &str| stage.run_refused(&format!("run --plan {file} --yes {FAST} -o x.csv"), 2);
    refused("ids.results.csv").prints("ids.results.csv is not a plan");
    refused("ids.txt");
}

#[test]
fn a_plan_of_another_host_is_refused() {
    let mut stage = planned(&some_of_each(), "");
    let other = Stage::with_quick_sandbox();
    let host = stage.sandbox().addr().to_string();
    stage.set("CLERK_API_URL", &other.sandbox().url());
    let ended = stage.run_refused(&format!("run --plan ids.plan.csv --yes {FAST}"), 2);
    ended.prints(&host).prints(&other.sandbox().addr().to_string());
    assert_eq!(other.n_requests(), 0);
}

#[test]
fn a_plan_of_another_kind_of_instance_is_refused() {
    let mut stage = planned(&some_of_each(), "");
    for key in ["sk_live_sandboxOnly", "another_shape_of_key"] {
        stage.set("CLERK_SECRET_KEY", key);
        let ended = stage.run_refused(&format!("run --plan ids.plan.csv --yes {FAST}"), 2);
        ended.prints("was made for the development instance at");
    }
    let ended = stage.run_refused("run --plan ids.plan.csv --sandbox", 2);
    ended.prints("would call the sandbox instance");
}

#[test]
fn a_plan_of_a_production_instance_runs_only_with_a_production_key() {
    let key = "sk_live_sandboxOnly".to_owned();
    let config = SandboxConfig::default().key(key).log_requests(true);
    let mut stage = Stage::with_sandbox(config);
    stage.write("ids.txt", list(&locked_users(2)));
    stage.run(&format!("plan ids.txt {FAST}")).exits_with(0);
    stage.set("CLERK_SECRET_KEY", "sk_test_sandbox_only");
    let ended = stage.run_refused(&format!("run --plan ids.plan.csv --yes {FAST}"), 2);
    ended.prints("was made for the production instance at");
    stage.set("CLERK_SECRET_KEY", "sk_live_sandboxOnly");
    run_plan(&stage, "").exits_with(0);
}

#[test]
fn a_plan_older_than_plan_max_age_is_refused() {
    let stage = planned(&some_of_each(), "");
    let line = format!("run --plan ids.plan.csv --yes {FAST}");
    let ended = stage.run_refused(&format!("{line} --plan-max-age 1ms"), 2);
    ended.prints("--plan-max-age is 1 ms; make a new plan");
    let manifest = stage.read("ids.plan.manifest.json");
    let finished = stage.json("ids.plan.manifest.json")["finished_at"].clone();
    let finished = finished.as_str().expect("a time");
    let old = manifest.replace(finished, "2024-01-01T00:00:00.000Z");
    stage.write("ids.plan.manifest.json", old);
    stage.run_refused(&line, 2).prints("--plan-max-age is 24 h");
    run_plan(&stage, "--plan-max-age 200000h").exits_with(0);
}

#[test]
fn a_killed_plan_is_refused_and_a_stopped_plan_is_run_with_a_warning() {
    let stage = Stage::with_sandbox(slow_config("200ms"));
    stage.write("ids.txt", list(&listed(0..400)));
    let plan = stage.spawn(&format!("plan ids.txt {FAST} -c 1"));
    wait_until("some users are looked up", || stage.n_rows("ids.plan.csv") >= 100);
    plan.signal("KILL");
    plan.wait();
    let line = format!("run --plan ids.plan.csv --yes {FAST}");
    stage.run_refused(&line, 2).prints("ids.plan.csv is incomplete");
    let plan = stage.spawn(&format!("plan ids.txt {FAST} -c 1 --resume"));
    wait_until("some more are looked up", || stage.n_rows("ids.plan.csv") >= 200);
    plan.signal("INT");
    plan.wait().exits_with(130).prints("plan ids.txt").prints("--resume");
    let ended = stage.run(&line).exits_with(0);
    ended.prints("ids.plan.csv is incomplete");
    stage.run(&format!("plan ids.txt {FAST} --resume")).exits_with(0);
    assert_eq!(stage.rows("ids.plan.csv").len(), 400);
}

#[test]
fn flags_that_choose_other_users_are_refused_with_a_plan() {
    let stage = planned(&some_of_each(), "");
    let flags = ["--limit 1", "--skip 1", "--by email", "--column 1", "--carry all"];
    for flags in flags.into_iter().chain(["--max-input-age 1h", "--retry-failed", "-n", "ids.txt"])
    {
        stage
            .run_refused(&format!("run --plan ids.plan.csv --yes {FAST} {flags}"), 2)
            .prints("--plan");
    }
}

#[test]
fn users_who_changed_since_the_plan_are_listed_and_left_out() {
    let ids = some_of_each();
    let stage = planned(&[ids.clone(), locked_users(5)[3..].to_vec()].concat(), "");
    // One user was unlocked by hand since, another was locked on purpose.
    stage.unlock(&ids[0]);
    stage.unlock(&ids[1]);
    stage.lock(&ids[1]);
    let n_before = stage.sandbox().requests().len();
    let ended = run_plan(&stage, "").exits_with(1);
    let posts = stage.requests_since(n_before);
    let posts: Vec<_> = posts.iter().filter(|it| it.method == "POST").collect();
    assert_eq!(posts.len(), 3, "{posts:?}");
    let expected =
        ["1 already_unlocked", "2 admin_locked", "3 unlocked", "9 unlocked", "10 unlocked"];
    assert_eq!(stage.outcomes("ids.plan.results.csv"), expected);
    assert!(stage.sandbox().is_locked(&ids[1]));
    insta::assert_snapshot!(ended.normalized_stderr(), @r#"
    Read 5 records; user IDs from column 3 ("user_id")
    drift: line 1, user_20CQupOStJJy6OYXwzhWVfF8nV2: already_unlocked (not locked; no unlock request was sent)
    drift: line 2, user_2C3DqZ3t08qp64MiHJixFxWAn2u: admin_locked (looks locked on purpose; not changed)
    warning: left out 2 users of the plan who changed since it was made
    Done: unlocked 3 of 5 users in T.

      unlocked          3  unlocked by this run
      already_unlocked  1  not locked; no unlock request was sent
      admin_locked      1  looks locked on purpose; not changed

    4 requests (1 look-up), 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      results      ids.plan.results.csv
      failed       ids.plan.results.failed.csv  (1 row)
      unprocessed  ids.plan.results.unprocessed.csv  (0 records)
      manifest     ids.plan.results.manifest.json

    To check that they stay unlocked:
      bulk-unlock verify ids.plan.results.csv --quota=1000000/1s --quota-share=100% --api-url=http://127.0.0.1:PORT
    "#);
}

/// The lines about users who changed, after this number of users of a plan were unlocked by hand.
#[track_caller]
fn drift(n_users: usize) -> Vec<String> {
    let ids = locked_users(n_users + 1);
    let stage = planned(&ids, "");
    ids[..n_users].iter().for_each(|id| stage.unlock(id));
    let ended = run_plan(&stage, "").exits_with(0);
    let lines = ended.stderr.lines().filter(|it| it.starts_with("drift") || it.contains("changed"));
    lines.map(str::to_owned).collect()
}

#[test]
fn at_most_twenty_changed_users_are_listed_one_by_one() {
    insta::assert_snapshot!(drift(1)[0], @"drift: line 1, user_20CQupOStJJy6OYXwzhWVfF8nV2: already_unlocked (not locked; no unlock request was sent)");
    let warnings = drift(23);
    assert_eq!(warnings.len(), 20 + 1, "{warnings:?}");
    insta::assert_snapshot!(warnings[20], @"warning: left out 23 users of the plan who changed since it was made; the results list all");
    assert_eq!(drift(0), [""; 0]);
}

#[test]
fn a_user_whose_look_up_failed_is_not_listed_as_changed() {
    let stage = planned(&locked_users(2), "");
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let ended = run_plan(&stage, "--max-retries 0").exits_with(1);
    assert_eq!(stage.outcomes("ids.plan.results.csv"), ["1 failed", "2 failed"]);
    ended.does_not_print("drift").does_not_print("changed since");
}

/// A run changes exactly the users of the reviewed plan.
#[test]
fn only_a_plan_that_includes_admin_locked_users_unlocks_them() {
    let ids = some_of_each();
    let stage = planned(&ids, "");
    run_plan(&stage, "-o first.csv").exits_with(0);
    assert!(ids[3..5].iter().all(|id| stage.sandbox().is_locked(id)));

    let stage = planned(&ids, "--include-admin-locked");
    assert_eq!(stage.outcomes("ids.plan.csv")[3], "4 would_unlock");
    run_plan(&stage, "-o first.csv").exits_with(0).does_not_print("changed since");
    assert!(!ids.iter().any(|id| stage.sandbox().is_locked(id)));
}

#[test]
fn the_printed_command_includes_admin_locked_users_if_the_plan_did() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&some_of_each()));
    let ended = stage.run(&format!("plan ids.txt {FAST} --include-admin-locked"));
    let last = ended.stderr.lines().last().expect("a line").to_owned();
    assert!(last.contains("--include-admin-locked") && last.contains("--plan"), "{last}");
}

#[test]
fn a_killed_run_of_a_plan_is_resumed() {
    let stage = Stage::with_sandbox(slow_config("15ms"));
    let ids = locked_users(40);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("plan ids.txt {FAST}")).exits_with(0);
    let run = stage.spawn(&format!("run --plan ids.plan.csv --yes {FAST} -c 1 --resume"));
    wait_until("some are unlocked", || stage.n_rows("ids.plan.results.csv") >= 5);
    run.signal("KILL");
    run.wait();
    let n_done = stage.n_rows("ids.plan.results.csv");
    assert!((5..40).contains(&n_done), "{n_done} rows");
    run_plan(&stage, "--resume").exits_with(0);
    stage.check_one_row_each("ids.plan.results.csv", &ids);
    check_resumed_outcomes(stage.column("ids.plan.results.csv", "outcome"));
    let lines: Vec<String> = (1..=40).map(|line| line.to_string()).collect();
    assert_eq!(stage.column("ids.plan.results.csv", "line"), lines);
    // Recorded users are not called again; the one in flight may be.
    assert!(stage.n_posts() <= 41, "{} calls", stage.n_posts());
}

/// A stage with a plan of five users, the first of whom is refused once.
fn with_refusal(status: u16) -> Stage {
    let ids = locked_users(5);
    let answer = Scripted::status(status);
    let stage = Stage::with_script(Script::from([(ids[0].clone(), [answer].into())]));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("plan ids.txt {FAST}")).exits_with(0);
    stage
}

#[test]
fn the_printed_command_resumes_the_run_of_a_plan() {
    let stage = with_refusal(422);
    let ended = run_plan(&stage, "--canary 1 --expect-count 5").exits_with(3);
    assert_eq!(stage.n_posts(), 1);
    stage.run(&ended.next_command()).exits_with(1);
    assert_eq!(stage.n_posts(), 5);
    assert_eq!(stage.rows("ids.plan.results.csv").len(), 5);
}

#[test]
fn the_printed_retry_of_a_plan_looks_users_up_again() {
    let stage = with_refusal(503);
    let ended = run_plan(&stage, "--max-retries 0").exits_with(1);
    // Meanwhile the account turns out to be compromised.
    stage.unlock(&locked_users(1)[0]);
    stage.lock(&locked_users(1)[0]);
    stage.run(&ended.next_command()).exits_with(1);
    assert_eq!(
        stage.outcomes("ids.plan.results.results.csv")[0].split(' ').nth(1),
        Some("admin_locked")
    );
}

#[test]
fn a_run_of_a_plan_accepts_exclude_and_canary() {
    let ids = locked_users(6);
    let stage = planned(&ids, "");
    stage.write("keep.txt", list(&ids[1..2]));
    run_plan(&stage, "--exclude keep.txt --canary 2 --expect-count 5").exits_with(0);
    assert_eq!(stage.outcomes("ids.plan.results.csv")[1], "2 excluded");
    assert!(stage.sandbox().is_locked(&ids[1]));
    assert_eq!(stage.n_posts(), 5);
}

#[test]
fn excluded_users_are_not_looked_up() {
    let ids = some_of_each();
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    stage.write("keep.txt", list(&ids[..2]));
    stage.run(&format!("plan ids.txt --exclude keep.txt {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes("ids.plan.csv")[..2], ["1 excluded", "2 excluded"]);
    let asked: Vec<_> = stage.sandbox().requests().into_iter().flat_map(|it| it.user_ids).collect();
    assert_eq!(asked.len(), 6);
}

#[test]
fn a_plan_to_stdout_writes_no_file() {
    let stage = Stage::with_quick_sandbox();
    let ended = stage.pipe(list(&some_of_each()), &format!("plan - -o - {FAST}")).exits_with(0);
    assert_eq!(ended.stdout.lines().count(), 1 + 8);
    assert!(ended.stdout.lines().next().unwrap().starts_with("line,input,user_id,outcome,"));
    assert!(stage.files().is_empty());
}

#[test]
fn the_json_of_a_plan_counts_what_a_run_would_do() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&some_of_each()));
    let ended = stage.run(&format!("plan ids.txt --json {FAST}")).exits_with(0);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(summary["counts"]["would_unlock"], 3);
    assert_eq!(summary["counts"]["admin_locked"], 2);
}

#[test]
fn a_plan_is_correct_despite_faults() {
    let faults = Faults::mix(0.2);
    let config = SandboxConfig::default().faults(faults).log_requests(true);
    let stage = Stage::with_sandbox(config);
    let ids = [listed(0..1_000), unlisted(0..1_000)].concat();
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("plan ids.txt --snapshot summary {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes_by_user("ids.plan.csv"), planned_outcomes(&ids));
    let n_requests = stage.n_requests();
    assert!((21..100).contains(&n_requests), "{n_requests} requests");
}

#[test]
fn a_response_with_another_user_does_not_make_users_not_found() {
    let faults = Faults::only(FaultKind::OtherUser, 0.6);
    let config = SandboxConfig::default().faults(faults).log_requests(true);
    let stage = Stage::with_sandbox(config);
    let ids = listed(0..500);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("plan ids.txt --snapshot summary {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes_by_user("ids.plan.csv"), planned_outcomes(&ids));
    assert!(stage.n_requests() > 5, "no response had another user");
}

#[test]
fn look_ups_keep_the_pace() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&listed(0..900)));
    stage.run("plan ids.txt --quota 5/1s --quota-share 100% --snapshot none").exits_with(0);
    let requests = stage.sandbox().requests();
    let most = bulk_unlock::sandbox::max_in_any(&requests, std::time::Duration::from_secs(1));
    assert_eq!((requests.len(), most <= 5), (9, true), "{most} in a second");
}

#[test]
fn a_refused_key_stops_a_plan_at_once() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&listed(0..1_000)));
    stage.sandbox().set_mode(Mode::Revoked);
    stage.run(&format!("plan ids.txt {FAST} -c 2")).exits_with(4);
    assert!(stage.n_requests() <= 2, "{} requests", stage.n_requests());
    stage.sandbox().set_mode(Mode::AllStatus(403));
    stage.run(&format!("plan ids.txt {FAST} -c 2 --force")).exits_with(4);
}

#[test]
fn only_locked_unlocks_only_locked_users_and_records_all_users() {
    let stage = Stage::with_users(300);
    let ids = [listed(0..300), unlisted(0..200)].concat();
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --only-locked --yes {FAST}")).exits_with(1);
    let mut expected = planned_outcomes(&ids);
    let would_unlock = expected.iter().filter(|(_, plan)| *plan == "would_unlock");
    let would_unlock: BTreeSet<String> = would_unlock.map(|(id, _)| id.clone()).collect();
    for id in &would_unlock {
        expected.insert(id.clone(), "unlocked".to_owned());
    }
    assert_eq!(stage.outcomes_by_user("ids.results.csv"), expected);
    assert_eq!(stage.posted_users(), would_unlock);
    assert_eq!(stage.n_requests() - stage.n_posts() as u64, 5, "look-ups");
    for row in stage.rows("ids.results.csv") {
        let user: serde_json::Value = serde_json::from_str(&row["user"]).unwrap_or_default();
        let (id, locked) = (user["id"].as_str(), user["locked"].as_bool());
        match row["outcome"].as_str() {
            "not_found" => assert!(user.is_null(), "{row:?}"),
            "admin_locked" => assert_eq!((id, locked), (Some(&*row["user_id"]), Some(true))),
            _ => assert_eq!((id, locked), (Some(&*row["user_id"]), Some(false))),
        }
    }
}

#[test]
fn admin_locked_users_are_unlocked_only_with_include_admin_locked() {
    let ids = admin_locked_users(3);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let locked = || ids.iter().filter(|id| stage.sandbox().is_locked(id)).count();
    stage.run(&format!("run ids.txt -o a.csv --only-locked --yes {FAST}")).exits_with(1);
    stage.check_all_outcomes("a.csv", "admin_locked");
    assert_eq!((locked(), stage.n_posts()), (3, 0));
    let flags = "--only-locked --include-admin-locked";
    stage.run(&format!("run ids.txt -o b.csv {flags} --yes {FAST}")).exits_with(0);
    stage.check_all_outcomes("b.csv", "unlocked");
    assert_eq!(locked(), 0);
}

#[test]
fn guards_count_the_users_to_unlock_and_leave_no_file_when_they_refuse() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&some_of_each()));
    let run = |flags: &str| stage.run(&format!("run ids.txt --only-locked --yes {FAST} {flags}"));
    for (flags, n_said) in [
        ("--expect-count 2", "--expect-count is 2"),
        ("--expect-count 8", "--expect-count is 8"),
        ("--expect-count 9", "--expect-count is 9"),
        ("--max-users 2", "--max-users is 2"),
    ] {
        run(flags).exits_with(2).prints("no user was unlocked").prints(n_said);
        assert_eq!(stage.files(), ["ids.txt"]);
    }
    assert_eq!(stage.n_posts(), 0);
    run("--expect-count 3 --max-users 3").exits_with(1);
    assert_eq!(stage.n_posts(), 3);
}

#[test]
fn more_users_expected_than_listed_are_refused_before_the_look_up() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&some_of_each()));
    let line = format!("run ids.txt --only-locked --yes {FAST} --expect-count 9");
    stage.run_refused(&line, 2).prints("--expect-count is 9");
}

#[test]
fn without_yes_or_a_terminal_no_user_is_looked_up() {
    let stage = planned(&some_of_each(), "");
    stage.run_refused(&format!("run ids.txt --only-locked {FAST}"), 5).prints("--yes");
    stage.run_refused(&format!("run --plan ids.plan.csv {FAST}"), 5).prints("--yes");
}

#[test]
fn too_many_missing_users_stop_a_run_before_any_user_is_unlocked() {
    let stage = Stage::with_quick_sandbox();
    let ids = [locked_users(300), missing_users(4)].concat();
    stage.write("ids.txt", list(&ids));
    let line = format!("run ids.txt --only-locked --max-fail 4 --yes {FAST}");
    stage.run(&line).exits_with(3).prints("by --max-fail");
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_resumed_run_does_not_look_up_recorded_users() {
    let stage = Stage::with_sandbox(slow_config("15ms"));
    let ids = [unlocked_users(50), locked_users(40)].concat();
    stage.write("ids.txt", list(&ids));
    let line = format!("run ids.txt --only-locked --yes {FAST}");
    let run = stage.spawn(&format!("{line} -c 1"));
    wait_until("some are unlocked", || stage.n_rows("ids.results.csv") >= 55);
    run.signal("KILL");
    run.wait();
    let n_done = stage.n_rows("ids.results.csv");
    let n_before = stage.sandbox().requests().len();
    stage.run(&format!("{line} --resume")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
    let look_up = &stage.requests_since(n_before)[0];
    assert_eq!((look_up.method.as_str(), look_up.user_ids.len()), ("GET", 90 - n_done));
    assert!(!ids.iter().any(|id| stage.sandbox().is_locked(id)));
}

#[test]
fn a_plan_as_plain_input_is_refused() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", common::list(&common::locked_users(3)));
    stage.run("plan ids.txt --quota 1000/1s").exits_with(0);
    let n_requests = stage.n_requests();
    let run = "--yes --quota 1000/1s -o out.csv";
    let said = "is a plan; to run it, give --plan";
    stage.run(&format!("run ids.plan.csv {run}")).exits_with(2).prints(said);
    // Recognized by its rows, or by its manifest where no row shows it.
    stage.write("list.csv", stage.read("ids.plan.csv"));
    stage.run(&format!("run list.csv {run}")).exits_with(2).prints(said);
    stage.pipe(stage.read("ids.plan.csv"), &format!("run {run}")).exits_with(2).prints(said);
    let nobody = stage.read("ids.plan.csv").replace("would_unlock", "already_unlocked");
    stage.write("ids.plan.csv", nobody);
    stage.run(&format!("run ids.plan.csv {run}")).exits_with(2).prints(said);
    assert_eq!(stage.n_requests(), n_requests);
}

#[test]
fn a_plan_prints_and_records_its_hash() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&some_of_each()));
    let ended = stage.run(&format!("plan ids.txt --json {FAST}")).exits_with(0);
    let hash = stage.sha256("ids.plan.csv");
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(summary["plan_sha256"], hash);
    let files = &stage.json("ids.plan.manifest.json")["files"];
    let files = files.as_array().expect("a list");
    assert!(files.iter().any(|it| it["role"] == "results" && it["sha256"] == hash));
    let next = ended.prints(&format!("  sha256       {hash}\n")).next_command();
    assert!(next.contains(&format!("--plan-sha256={hash}")), "{next}");
    stage.run(&format!("{next} --yes")).exits_with(0);
    assert_eq!(stage.n_posts(), 3);
    let manifest = stage.json("ids.plan.results.manifest.json");
    assert_eq!(manifest["settings"]["plan_sha256"], hash);
    assert!(manifest["next"].as_str().is_none_or(|it| !it.contains("plan-sha256")));
}

#[test]
fn only_the_plan_with_the_approved_hash_runs() {
    let stage = planned(&some_of_each(), "");
    let approved = stage.sha256("ids.plan.csv");
    // Another plan is made in its place, with a manifest of its own.
    stage.write("ids.txt", list(&locked_users(5)));
    stage.run(&format!("plan ids.txt --force {FAST}")).exits_with(0);
    let found = stage.sha256("ids.plan.csv");
    let line = format!("run --plan ids.plan.csv --yes {FAST} --plan-sha256");
    let ended = stage.run_refused(&format!("{line} {approved}"), 2);
    ended.prints(&approved).prints(&found);
    stage.run(&format!("{line} {}", found.to_uppercase())).exits_with(0);
    assert_eq!(stage.n_posts(), 5);
}

#[test]
fn a_hash_without_a_plan_or_of_another_shape_is_refused() {
    let mut stage = planned(&some_of_each(), "");
    let hash = stage.sha256("ids.plan.csv");
    for line in [
        format!("run ids.txt --plan-sha256 {hash}"),
        format!("run --plan-sha256 {hash}"),
        format!("run --all-locked --plan-sha256 {hash}"),
        format!("plan ids.txt --plan-sha256 {hash}"),
        format!("run --plan ids.plan.csv --plan-sha256 {}", &hash[..63]),
        format!("run --plan ids.plan.csv --plan-sha256 sha256:{}", &hash[7..]),
        "run --plan ids.plan.csv --plan-sha256 ''".to_owned(),
    ] {
        stage.run_refused(&format!("{line} --yes {FAST}"), 2);
    }
    stage.set("BULK_UNLOCK_PLAN_SHA256", &"0".repeat(64));
    stage.run_refused(&format!("run --plan ids.plan.csv --yes {FAST}"), 2);
}

#[test]
fn a_resumed_run_of_an_approved_plan_needs_the_same_hash() {
    let stage = with_refusal(422);
    let hash = stage.sha256("ids.plan.csv");
    let ended = run_plan(&stage, &format!("--canary 1 --plan-sha256 {hash}")).exits_with(3);
    run_plan(&stage, "--resume").exits_with(2).prints("--plan-sha256");
    assert_eq!(stage.n_posts(), 1);
    stage.run(&ended.next_command()).exits_with(1);
    assert_eq!(stage.n_posts(), 5);
}

#[test]
fn closing_lines_of_a_plan_with_a_canary_say_that_the_run_continues_by_itself() {
    let stage = planned(&locked_users(5), "");
    let ended = stage.run(&format!("plan ids.txt --canary 2 --force {FAST}")).exits_with(0);
    ended.prints(
        "The run unlocks 2 users first (--canary), and continues by itself if all succeed.",
    );
}
