//! `relock`: locks users again that a run unlocked.

#![cfg(unix)]

mod common;

use std::fs;
use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Faults, Mode, SandboxConfig, Script, Scripted, max_in_any};
use common::population::{admin_locked_users, missing_users, unlocked_users};
use common::terminal::run_on_terminal;
use common::tools::is_installed;
use common::watch::{FAST, slow_config, wait_until};
use common::{Ended, Stage, list, locked_users, missing_user};

const RELOCK: &str = "relock ids.results.csv";

/// A stage after `run --only-locked` of these users.
fn after_run(ids: &[UserId]) -> Stage {
    let stage = Stage::with_quick_sandbox();
    run(&stage, ids, "--only-locked");
    stage
}

fn run(stage: &Stage, ids: &[UserId], flags: &str) {
    stage.write("ids.txt", list(ids));
    let ended = stage.run(&format!("run ids.txt --yes {FAST} {flags}"));
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
}

fn relock(stage: &Stage, flags: &str) -> Ended {
    stage.run(&format!("{RELOCK} --yes {FAST} {flags}"))
}

fn n_locked(stage: &Stage, ids: &[UserId]) -> usize {
    ids.iter().filter(|id| stage.sandbox().is_locked(id)).count()
}

#[test]
fn users_that_a_run_unlocked_are_locked_again() {
    let ids = locked_users(250);
    let stage = after_run(&ids);
    assert_eq!(n_locked(&stage, &ids), 0);
    let n_before = stage.sandbox().requests().len();
    let ended = relock(&stage, "").exits_with(0);
    ended
        .prints("Done: locked 250 of 250 users again")
        .prints("look locked on purpose (admin_locked)");
    assert_eq!(n_locked(&stage, &ids), ids.len());
    stage.check_one_row_each("ids.results.relock.csv", &ids);
    stage.check_all_outcomes("ids.results.relock.csv", "relocked");
    let requests = stage.requests_since(n_before);
    let n_of = |method| requests.iter().filter(|it| it.method == method).count();
    assert_eq!((n_of("GET"), n_of("POST")), (3, 250), "looked up 100 per request, then locked");
    let row = stage.row("ids.results.relock.csv", 1);
    assert_eq!((row["was_locked"].as_str(), row["locked"].as_str()), ("false", "true"));
    let manifest = stage.json("ids.results.relock.manifest.json");
    assert_eq!((&manifest["kind"], &manifest["exit_code"]), (&"relock".into(), &0.into()));
    for id in &ids[..3] {
        let attempts = stage.user(id)["verification_attempts_remaining"].as_u64();
        assert!(attempts > Some(0), "looks locked on purpose");
    }
}

/// Replaces the results and updates their hash in the manifest.
fn rewrite(stage: &Stage, results: &str) {
    let before = stage.sha256("ids.results.csv");
    stage.write("ids.results.csv", results);
    let manifest = stage.read("ids.results.manifest.json");
    let manifest = manifest.replace(&before, &stage.sha256("ids.results.csv"));
    stage.write("ids.results.manifest.json", manifest);
}

#[test]
fn relock_locks_only_users_who_were_locked_before_the_run_and_are_not_now() {
    let (locked, open) = (locked_users(4), unlocked_users(2));
    let stage = after_run(&[locked.clone(), open.clone(), vec![missing_user()]].concat());
    stage.lock(&locked[0]);
    // The sandbox cannot delete users, so the second row names a missing one.
    let results = stage.read("ids.results.csv");
    let gone = missing_users(2).remove(1);
    rewrite(&stage, &results.replace(locked[1].as_str(), gone.as_str()));
    let ended = relock(&stage, "").exits_with(1);
    ended.prints("Done: locked 2 of 4 users again");
    let expected = ["1 already_locked", "2 not_found", "3 relocked", "4 relocked"];
    assert_eq!(stage.outcomes("ids.results.relock.csv"), expected);
    assert_eq!(n_locked(&stage, &open), 0);
}

#[test]
fn a_dry_run_locks_no_user_and_prints_the_command_that_does() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    stage.lock(&ids[2]);
    let n_posts = stage.n_posts();
    let planned = stage.run(&format!("{RELOCK} -n {FAST} --max-users 5")).exits_with(0);
    assert_eq!(stage.n_posts(), n_posts);
    let expected = ["1 would_relock", "2 would_relock", "3 already_locked"];
    assert_eq!(stage.outcomes("ids.results.relock.csv"), expected);
    insta::assert_snapshot!(planned.normalized_stderr(), @r#"
    Read 3 records; user IDs from column 3 ("user_id")
    Planned: `relock` would lock 2 of 3 users again. Nothing was changed.

      would_relock    2  not locked; `relock` would lock this user again
      already_locked  1  locked; no lock request was sent

    Users that `relock` locks again look locked on purpose (admin_locked) afterwards.

    1 request (1 look-up), 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      plan         ids.results.relock.csv
      failed       ids.results.relock.failed.csv  (0 rows)
      unprocessed  ids.results.relock.unprocessed.csv  (0 records)
      manifest     ids.results.relock.manifest.json

    Forecast: 2 users to lock again, 3 requests, about T at 1,000,000/s.

    To lock them again:
      bulk-unlock relock ids.results.csv --quota=1000000/1s --quota-share=100% --api-url=http://127.0.0.1:PORT --max-users=5 --force
    "#);
    let next = planned.next_command();
    assert!(next.contains("--max-users=5") && next.contains("--force"), "{next}");
    stage.run(&format!("{next} --yes")).exits_with(0);
    let expected = ["1 relocked", "2 relocked", "3 already_locked"];
    assert_eq!(stage.outcomes("ids.results.relock.csv"), expected);
    assert_eq!(n_locked(&stage, &ids), 3);
}

#[test]
fn a_dry_run_is_not_resumed_as_a_relock() {
    let ids = locked_users(2);
    let stage = after_run(&ids);
    stage.run(&format!("{RELOCK} -n {FAST}")).exits_with(0);
    let line = format!("{RELOCK} --yes {FAST}");
    stage.run_refused(&line, 6).prints("ids.results.relock.csv already exists");
    stage.run_refused(&format!("{line} --resume"), 6).prints("was written by `relock -n`");
    fs::remove_file(stage.path("ids.results.relock.manifest.json")).expect("a file");
    stage.run_refused(&format!("{line} --resume"), 6).prints("was written by `relock -n`");
    assert_eq!(n_locked(&stage, &ids), 0);
}

#[test]
fn rows_without_was_locked_are_refused() {
    let ids = locked_users(3);
    let stage = Stage::with_quick_sandbox();
    run(&stage, &ids, "");
    let refused = stage.run_refused(&format!("{RELOCK} --yes {FAST}"), 2);
    refused
        .prints("ids.results.csv:2: `was_locked` is neither true nor false, nor in 2 more rows")
        .prints("--include-unknown");
    relock(&stage, "--include-unknown").exits_with(0);
    assert_eq!(n_locked(&stage, &ids), 3);
}

#[test]
fn a_user_who_was_not_locked_before_is_never_locked() {
    let ids = locked_users(2);
    let stage = after_run(&ids);
    let results = stage.read("ids.results.csv");
    let first = results.lines().nth(1).expect("a row");
    let edited = format!("{}false", first.strip_suffix("true").expect("was_locked"));
    rewrite(&stage, &results.replace(first, &edited));
    relock(&stage, "--include-unknown").exits_with(0);
    assert_eq!((stage.rows("ids.results.relock.csv").len(), n_locked(&stage, &ids)), (1, 1));
}

#[test]
fn results_of_an_incomplete_run_or_another_instance_are_refused() {
    let ids = locked_users(4);
    let mut stage = after_run(&ids);
    let line = format!("{RELOCK} --yes {FAST}");
    let manifest = stage.json("ids.results.manifest.json");
    let edited = |field: &str, value: serde_json::Value| {
        let mut manifest = manifest.clone();
        manifest[field] = value;
        stage.write("ids.results.manifest.json", manifest.to_string());
    };
    edited("unprocessed", 3.into());
    stage
        .run_refused(&line, 2)
        .prints("its run left 3 records unprocessed")
        .prints("--resume first");
    edited("ending", "running".into());
    stage.run_refused(&line, 2).prints("its run was killed or is still running");
    edited("host", "api.example.org".into());
    stage.run_refused(&line, 2).prints("was made for the development instance at api.example.org");
    fs::remove_file(stage.path("ids.results.manifest.json")).expect("a file");
    stage.run_refused(&line, 2).prints("ids.results.manifest.json is missing");
    stage.write("ids.results.manifest.json", manifest.to_string());
    stage
        .run_refused("relock ids.results.csv --sandbox", 2)
        .prints("would call the sandbox instance");
    stage.set("CLERK_SECRET_KEY", "sk_live_sandboxOnly");
    stage.run_refused(&line, 2).prints("the production instance");
    let key = stage.sandbox().key().to_owned();
    stage.set("CLERK_SECRET_KEY", &key);
    stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(0);
    let verify = format!("relock ids.results.verify.csv --yes {FAST}");
    stage.run_refused(&verify, 2).prints("is not a results file of `run`");
    stage
        .run_refused(&format!("relock ids.txt --yes {FAST}"), 2)
        .prints("ids.txt.manifest.json is missing");
    assert_eq!(n_locked(&stage, &ids), 0);
}

#[test]
fn excluded_users_are_not_locked() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    let email = stage.emails(&ids[1]).remove(0);
    stage.write("keep.txt", format!("{email}\n{}\n", ids[2]));
    relock(&stage, "--exclude keep.txt").exits_with(0);
    let expected = ["1 relocked", "2 excluded", "3 excluded"];
    assert_eq!(stage.outcomes("ids.results.relock.csv"), expected);
    assert_eq!(n_locked(&stage, &ids), 1);
}

#[test]
fn guards_count_the_users_who_would_be_locked() {
    let ids = locked_users(5);
    let stage = after_run(&ids);
    stage.lock(&ids[0]);
    let n_posts = stage.n_posts();
    relock(&stage, "--max-users 3")
        .exits_with(2)
        .prints("found 4 users to lock again, but --max-users is 3; no user was locked again");
    relock(&stage, "--expect-count 5").exits_with(2).prints("found 4 users to lock again");
    assert_eq!(
        (stage.n_posts(), stage.files().iter().any(|it| it.contains("relock"))),
        (n_posts, false)
    );
    relock(&stage, "--expect-count 4 --max-users 4").exits_with(0);
    assert_eq!(n_locked(&stage, &ids), 5);
}

/// A stage after a run of these users. The server answers the first lock request for the first of
/// them with `response`.
fn with_response(ids: &[UserId], response: Scripted) -> Stage {
    let responses = [Scripted::status(200), response];
    let stage = Stage::with_script(Script::from([(ids[0].clone(), responses.into())]));
    // One worker keeps the rows in the order of the input.
    run(&stage, ids, "--only-locked -c 1");
    stage
}

#[test]
fn canary_and_max_fail_stop_a_relock() {
    let ids = locked_users(6);
    for (flags, reason, n_rows) in
        [("--canary 1", "--canary", 1), ("--max-fail 1 -c 1", "--max-fail", 1)]
    {
        let stage = with_response(&ids, Scripted::status(422));
        let ended = relock(&stage, flags).exits_with(3).prints(&format!("Stopped by {reason}"));
        assert_eq!(stage.rows("ids.results.relock.csv").len(), n_rows);
        assert_eq!(n_locked(&stage, &ids), 0);
        ended.prints("Look at the failures first: ids.results.relock.failed.csv");
    }
}

#[test]
fn a_response_without_locked_does_not_count_as_relocked() {
    let ids = locked_users(2);
    let body = |locked: &str| format!("{{\"id\":\"{}\",\"object\":\"user\"{locked}}}", ids[0]);
    for locked in [",\"locked\":false", ",\"locked\":\"true\"", ""] {
        let response = Scripted::status(200).with_body(body(locked));
        let stage = with_response(&ids, response.clone());
        relock(&stage, "--max-retries 0").exits_with(1);
        let row = stage.row("ids.results.relock.csv", 1);
        let found = (row["outcome"].as_str(), row["error_code"].as_str());
        assert_eq!(found, ("failed", "untrusted_answer"), "{locked}");
        let stage = with_response(&ids, response);
        relock(&stage, "").exits_with(0);
        assert_eq!(stage.row("ids.results.relock.csv", 1)["attempts"], "2", "{locked}");
        assert_eq!(n_locked(&stage, &ids), 2);
    }
}

#[test]
fn variables_of_restrictions_that_relock_does_not_have_are_refused() {
    let ids = locked_users(3);
    let mut stage = after_run(&ids);
    for (flag, value) in [
        ("limit", "2"),
        ("skip", "2"),
        ("shard", "1/2"),
        ("plan", "ids.plan.csv"),
        ("plan-sha256", "any"),
        ("retry-failed", "true"),
        ("max-input-age", "1h"),
        ("organization", "org_1"),
        ("email-domain", "acme.com"),
        ("last-sign-in-after", "7d"),
        ("last-sign-in-before", "7d"),
        ("created-after", "7d"),
        ("created-before", "7d"),
        ("password-changed-after", "7d"),
        ("lock-ends-after", "1h"),
        ("skip-banned", "true"),
    ] {
        let name = format!("BULK_UNLOCK_{}", flag.replace('-', "_").to_uppercase());
        stage.set(&name, value);
        let problem = format!(
            "`relock` has no --{flag} and cannot apply {name}; unset {name} (--exclude leaves users \
             out)"
        );
        for flags in ["--yes", "-n"] {
            stage.run_refused(&format!("{RELOCK} {flags} {FAST}"), 2).prints(&problem);
        }
        stage.unset(&name);
    }
    stage.set("BULK_UNLOCK_LIMIT", "2");
    stage.set("BULK_UNLOCK_SKIP", "1");
    stage.run_refused(&format!("{RELOCK} --yes {FAST}"), 2).prints(
        "`relock` has no --limit, --skip and cannot apply BULK_UNLOCK_LIMIT, BULK_UNLOCK_SKIP; \
         unset BULK_UNLOCK_LIMIT, BULK_UNLOCK_SKIP (",
    );
    assert_eq!(n_locked(&stage, &ids), 0);
}

#[test]
fn variables_that_restrict_nothing_or_that_relock_has_are_accepted() {
    let ids = locked_users(3);
    let mut stage = after_run(&ids);
    stage.write("vip.txt", list(&ids[..1]));
    for (name, value) in [
        ("BY", "user-id"),
        ("EXCLUDE", "vip.txt"),
        ("MAX_USERS", "2"),
        ("ONLY_LOCKED", "true"),
        ("RETRY_FAILED", "false"),
    ] {
        stage.set(&format!("BULK_UNLOCK_{name}"), value);
    }
    relock(&stage, "").exits_with(0).does_not_print("cannot apply");
    assert_eq!(n_locked(&stage, &ids), 2);
}

#[test]
fn restrictions_of_the_file_that_relock_does_not_have_are_reported() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    stage.write("ops.toml", "email-domain = \"acme.com\"\nmax-users = 9\nshard = \"1/2\"\n");
    relock(&stage, "--config ops.toml").exits_with(0).prints(
        "`relock` has no --email-domain, --shard and cannot apply email-domain of ops.toml:1, shard \
         of ops.toml:3 (--exclude leaves users out)",
    );
    assert_eq!(n_locked(&stage, &ids), 3);
}

#[test]
fn without_yes_or_a_terminal_no_user_is_locked() {
    let ids = locked_users(2);
    let stage = after_run(&ids);
    stage.run_refused(&format!("{RELOCK} {FAST}"), 5).prints("use --yes");
    assert_eq!(n_locked(&stage, &ids), 0);
}

#[test]
fn prompt_shows_the_effect_and_requires_the_number_in_production() {
    if !is_installed("script") {
        return;
    }
    let key = "sk_live_0123456789abcdefghijklmnopqrstuvwxyza1b2".to_owned();
    let stage = Stage::with_sandbox(slow_config("0").key(key));
    let ids = locked_users(3);
    run(&stage, &ids, "--only-locked");
    let line = format!("NO_COLOR=1 \"$BU\" {RELOCK} {FAST}");
    let shown = run_on_terminal(&stage, &line, "y\n");
    assert_eq!(shown.code, Some(5), "{}", shown.text);
    assert!(shown.text.contains("not confirmed; no user was locked again"), "{}", shown.text);
    for part in [
        "About to lock 3 users again.",
        "production (key sk_live_…a1b2)",
        "they look locked on purpose (admin_locked) afterwards",
        "ids.results.relock.csv",
        "Type the number of users (3) to continue:",
    ] {
        assert!(shown.text.contains(part), "{part:?} is not in\n{}", shown.text);
    }
    assert_eq!(n_locked(&stage, &ids), 0);
    assert_eq!(run_on_terminal(&stage, &line, "3\n").code, Some(0));
    assert_eq!(n_locked(&stage, &ids), 3);
}

#[test]
fn a_killed_relock_is_resumed_with_one_row_per_user() {
    const N_KILLS: usize = 6;
    let stage = Stage::with_sandbox(slow_config("5ms..15ms"));
    let ids = locked_users(300);
    run(&stage, &ids, "--only-locked");
    let n_before = stage.n_posts();
    let line = format!("{RELOCK} --yes --resume -c 8 --rate 400/s");
    for _ in 0..N_KILLS {
        let n_rows = stage.n_rows("ids.results.relock.csv");
        let mut running = stage.spawn(&line);
        wait_until("ten more rows are written", || {
            stage.n_rows("ids.results.relock.csv") >= n_rows + 10 || !running.is_alive()
        });
        assert!(running.is_alive(), "the program must be killed before its end");
        running.signal("KILL");
        assert_eq!(running.wait().code, None);
    }
    assert!(n_locked(&stage, &ids) < ids.len(), "some users are not locked yet");
    stage.run(&line).exits_with(0).prints("Resuming ids.results.relock.csv");
    stage.check_one_row_each("ids.results.relock.csv", &ids);
    assert_eq!(n_locked(&stage, &ids), ids.len());
    let n_calls = stage.n_posts() - n_before;
    assert!(n_calls <= ids.len() + N_KILLS * 8, "{n_calls} calls for {} users", ids.len());
}

#[test]
fn every_user_is_locked_again_despite_faults() {
    let stage = Stage::with_sandbox(SandboxConfig::default().faults(Faults::mix(0.2)));
    let ids = locked_users(200);
    run(&stage, &ids, "--only-locked --snapshot none");
    relock(&stage, "--snapshot none").exits_with(0);
    stage.check_one_row_each("ids.results.relock.csv", &ids);
    // A fault may hide a successful lock request, but the look-up came before it.
    stage.check_all_outcomes("ids.results.relock.csv", "relocked");
    assert_eq!(n_locked(&stage, &ids), ids.len());
}

#[test]
fn relock_shares_the_quota_with_other_runs_of_the_key() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(6);
    run(&stage, &ids, "--only-locked");
    let n_before = stage.sandbox().requests().len();
    let line = format!("{RELOCK} --yes --quota 4/1s --quota-share 100%");
    stage.run(&line).exits_with(0);
    let requests = stage.requests_since(n_before);
    assert_eq!(requests.len(), 7);
    assert!(max_in_any(&requests, Duration::from_secs(1)) <= 4);
}

#[test]
fn a_stopped_relock_prints_the_command_that_continues() {
    let stage = Stage::with_sandbox(slow_config("10ms..20ms"));
    let ids = locked_users(120);
    run(&stage, &ids, "--only-locked");
    stage.write("keep.txt", format!("{}\n", ids[0]));
    let line = format!("{RELOCK} --yes -c 4 --rate 100/s --exclude keep.txt --expect-count 119");
    let running = stage.spawn(&line);
    wait_until("some are locked", || stage.n_rows("ids.results.relock.csv") > 10);
    running.signal("INT");
    let next = running.wait().exits_with(130).next_command();
    for part in ["relock ids.results.csv", "--resume", "--exclude=keep.txt", "--expect-count=119"] {
        assert!(next.contains(part), "{part} is not in {next}");
    }
    stage.run(&next.replace("--exclude=keep.txt", "")).exits_with(0).prints("--exclude keep.txt");
    stage.check_one_row_each("ids.results.relock.csv", &ids);
    assert_eq!(n_locked(&stage, &ids), ids.len() - 1, "the excluded user stays unlocked");
}

#[test]
fn the_printed_command_retries_failed_users() {
    let ids = locked_users(4);
    let stage = after_run(&ids);
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let ended = relock(&stage, "--max-retries 0").exits_with(1);
    stage.sandbox().set_mode(Mode::Normal);
    let next = ended.next_command();
    assert!(next.contains("-o") || next.contains("--output"), "{next}");
    stage.run(&next).exits_with(0);
    stage.check_all_outcomes("ids.results.relock.again.csv", "relocked");
    stage.check_all_outcomes("ids.results.relock.csv", "failed");
    assert_eq!(n_locked(&stage, &ids), 4);
}

#[test]
fn relocked_rows_are_refused_as_plain_input() {
    let ids = locked_users(2);
    let stage = after_run(&ids);
    relock(&stage, "").exits_with(0);
    let refused = stage.run_refused(&format!("run ids.results.relock.csv --yes {FAST}"), 2);
    refused.prints("locked again on purpose (relocked)");
    let line = format!("run ids.results.relock.csv --retry-failed --yes {FAST}");
    stage.run_refused(&line, 2).prints("is not a results file of `run`");
    stage.run(&format!("run ids.txt --only-locked --yes --force {FAST}")).exits_with(1);
    stage.check_all_outcomes("ids.results.csv", "admin_locked");
    assert_eq!(n_locked(&stage, &ids), 2);
}

#[test]
fn users_named_by_email_are_locked_again() {
    let ids = locked_users(3);
    let stage = Stage::with_quick_sandbox();
    let emails: Vec<String> = ids.iter().map(|id| stage.emails(id).remove(0)).collect();
    stage.write("ids.txt", emails.join("\n"));
    stage.run(&format!("run ids.txt --by email --yes {FAST}")).exits_with(0);
    relock(&stage, "").exits_with(0);
    assert_eq!(stage.column("ids.results.relock.csv", "input"), emails);
    assert_eq!(n_locked(&stage, &ids), 3);
}

#[test]
fn admin_locked_users_whom_a_run_unlocked_are_locked_again() {
    let ids = admin_locked_users(2);
    let stage = Stage::with_quick_sandbox();
    run(&stage, &ids, "--only-locked --include-admin-locked");
    relock(&stage, "").exits_with(0);
    assert_eq!(n_locked(&stage, &ids), 2);
}

#[test]
fn json_report_and_page_show_a_relock() {
    let ids = locked_users(3);
    let stage = after_run(&ids);
    let ended = relock(&stage, "--json --report undo.html --reason INC-9").exits_with(0);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&json["command"], &json["counts"]["relocked"]), (&"relock".into(), &3.into()));
    let page = stage.read("undo.html");
    assert!(page.contains("Users locked again") && page.contains("INC-9"));
    assert!(page.contains("look locked on purpose"));
    let report = stage.run("report ids.results.relock.csv").exits_with(0);
    assert!(report.stdout.contains("Done: locked 3 of 3 users again"), "{}", report.stdout);
}

/// An added row could name a user that the run did not unlock.
#[test]
fn results_changed_after_their_run_are_refused() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(3)));
    stage.run(&format!("run ids.txt --only-locked --yes {FAST}")).exits_with(0);
    let results = stage.read("ids.results.csv");
    let id = locked_users(4)[3].to_string();
    let row = results.lines().nth(1).expect("a row");
    let cells: Vec<&str> = row.splitn(4, ',').collect();
    let added = format!("{results}9,{id},{id},{}\n", cells[3]);
    let cut = results.lines().take(2).fold(String::new(), |text, line| text + line + "\n");
    for changed in [added, cut] {
        stage.write("ids.results.csv", changed);
        let line = format!("relock ids.results.csv --yes {FAST}");
        stage.run_refused(&line, 2).prints("ids.results.csv was changed after its run");
        let verify = format!("verify ids.results.csv --force {FAST}");
        assert!(stage.run(&verify).stderr.contains("was changed after its run"));
    }
}
