//! `verify`: read back the users whom a run unlocked.

mod common;

use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Faults, Mode, SandboxConfig, Script, Scripted, max_in_any};
use common::population::{admin_locked_users, listed, unlocked_users};
use common::server::serve;
use common::watch::FAST;
use common::{Stage, list, locked_users, missing_user};

/// A stage on which these users were run.
fn after_run(ids: &[UserId], flags: &str) -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(ids));
    let ended = stage.run(&format!("run ids.txt --yes {FAST} {flags}"));
    assert!(matches!(ended.code, Some(0 | 1)), "{}", ended.stderr);
    stage
}

/// A stage whose server says that the first of these users is unlocked, although it is not.
fn with_a_false_answer(ids: &[UserId]) -> Stage {
    let lie = format!("{{\"id\":\"{}\",\"object\":\"user\",\"locked\":false}}", ids[0]);
    let answer = Scripted::status(200).with_body(lie);
    let stage = Stage::with_script(Script::from([(ids[0].clone(), [answer].into())]));
    stage.write("ids.txt", list(ids));
    stage
}

#[test]
fn unlocked_users_are_read_back_a_hundred_per_request() {
    let ids = locked_users(250);
    let stage = after_run(&ids, "");
    let n_before = stage.sandbox().requests().len();
    let ended = stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(0);
    ended.prints("Verified: 250 of 250 users are still unlocked.");
    stage.check_one_row_each("ids.results.verify.csv", &ids);
    stage.check_all_outcomes("ids.results.verify.csv", "still_unlocked");
    let requests = stage.requests_since(n_before);
    assert_eq!(requests.len(), 3);
    assert!(requests.iter().all(|it| it.method == "GET"));
    let lines: Vec<String> = (1..=250).map(|line| line.to_string()).collect();
    assert_eq!(stage.column("ids.results.verify.csv", "line"), lines);
    let row = stage.row("ids.results.verify.csv", 1);
    let user: serde_json::Value = serde_json::from_str(&row["user"]).expect("JSON");
    assert_eq!((row["locked"].as_str(), user["id"].as_str()), ("false", Some(ids[0].as_str())));
}

/// Users whom the run did not reach are still locked.
#[test]
fn an_unfinished_run_gets_a_warning_and_torn_results_are_refused() {
    let ids = locked_users(6);
    let stage = after_run(&ids, "--max-fail 1 --limit 5");
    let whole = stage.read("ids.results.csv");
    let manifest = stage.json("ids.results.manifest.json");
    let edited = |field: &str, value: serde_json::Value| {
        let mut manifest = manifest.clone();
        manifest[field] = value;
        stage.write("ids.results.manifest.json", manifest.to_string());
    };
    let first = "finish the run with --resume first";
    let verify = format!("verify ids.results.csv --force {FAST}");
    let retry =
        format!("run ids.results.csv --retry-failed --yes --if-empty ok -o a.csv --force {FAST}");
    for line in [&verify, &retry] {
        edited("unprocessed", 3.into());
        stage.run(line).prints("its run left 3 records unprocessed").prints(first).exits_with(0);
        edited("ending", "running".into());
        stage
            .run(line)
            .prints("its run was killed or is still running")
            .prints(first)
            .exits_with(0);
        // In the middle of its JSON.
        stage.write("ids.results.csv", &whole[..whole.len() - 300]);
        let n_before = stage.sandbox().requests().len();
        let refused =
            stage.run(line).exits_with(2).prints("a crash tore its last row").prints(first);
        refused.does_not_print("quote");
        assert_eq!(stage.sandbox().requests().len(), n_before);
        stage.write("ids.results.csv", &whole);
    }
}

#[test]
fn users_locked_again_or_gone_are_listed_and_exit_with_1() {
    let ids = locked_users(6);
    let stage = after_run(&ids, "");
    stage.lock(&ids[1]);
    stage.lock(&ids[4]);
    // The sandbox cannot delete users: the last row names one who does not exist.
    let results = stage.read("ids.results.csv").replace(ids[5].as_str(), missing_user().as_str());
    stage.write("ids.results.csv", results);
    let ended = stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(1);
    let expected = [
        "1 still_unlocked",
        "2 locked_again",
        "3 still_unlocked",
        "4 still_unlocked",
        "5 locked_again",
        "6 gone",
    ];
    assert_eq!(stage.outcomes("ids.results.verify.csv"), expected);
    let gone = stage.row("ids.results.verify.csv", 6);
    let cells = ["user_id", "error_code", "error_message"].map(|it| gone[it].as_str());
    let missing = missing_user();
    assert_eq!(cells, [missing.as_str(), "resource_not_found", "no such user any more"]);
    assert_eq!(stage.row("ids.results.verify.csv", 2)["locked"], "true");
    assert_eq!(stage.json("ids.results.verify.manifest.json")["kind"], "verify");
    insta::assert_snapshot!(ended.normalized_stderr(), @r#"
    warning: ids.results.csv was changed after its run, which left 6 rows; using it as it is now
    Read 6 records; user IDs from column 3 ("user_id")
    Verified: 3 of 6 users are still unlocked.

      still_unlocked  3  read back: not locked
      locked_again    2  read back: locked again
      gone            1  read back: user no longer exists

    Most frequent errors, each with its first example:
      resource_not_found  1  line 6 user_170: no such user any more

    1 request (1 look-up), 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      results      ids.results.verify.csv
      failed       ids.results.verify.failed.csv  (3 rows)
      unprocessed  ids.results.verify.unprocessed.csv  (0 records)
      manifest     ids.results.verify.manifest.json
    "#);
}

#[test]
fn users_who_were_not_unlocked_are_not_read_back() {
    let ids = [
        locked_users(2),
        unlocked_users(2),
        admin_locked_users(1),
        vec![missing_user(), locked_users(1)[0].clone()],
    ];
    let stage = after_run(&ids.concat(), "--only-locked");
    stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(0);
    let expected = ["1 still_unlocked", "2 still_unlocked"];
    assert_eq!(stage.outcomes("ids.results.verify.csv"), expected);
}

#[test]
fn results_without_unlocked_users_get_a_warning() {
    let stage = after_run(&unlocked_users(2), "--only-locked");
    let n_before = stage.n_requests();
    let ended = stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(0);
    ended.prints("warning: ids.results.csv has no unlocked rows");
    assert_eq!(stage.n_requests(), n_before);
}

#[test]
fn results_of_another_host_or_kind_of_instance_are_refused() {
    let mut stage = after_run(&locked_users(2), "");
    let line = format!("verify ids.results.csv {FAST}");
    let ended = stage.run_refused("verify ids.results.csv --sandbox", 2);
    ended.prints("would call the sandbox instance");
    stage.set("CLERK_SECRET_KEY", "sk_live_sandboxOnly");
    stage
        .run_refused(&line, 2)
        .prints("was made for the development instance")
        .prints("the production instance");
    stage.set("CLERK_SECRET_KEY", "sk_test_sandbox_only");
    let other = Stage::with_quick_sandbox();
    stage.set("CLERK_API_URL", &other.sandbox().url());
    stage.run_refused(&line, 2).prints(&other.sandbox().addr().to_string());
    assert_eq!(other.n_requests(), 0);
}

#[test]
fn a_missing_manifest_gets_a_warning() {
    let stage = after_run(&locked_users(2), "");
    std::fs::remove_file(stage.path("ids.results.manifest.json")).expect("a file");
    let ended = stage.run(&format!("verify ids.results.csv {FAST}")).exits_with(0);
    ended.prints("warning: ids.results.manifest.json is missing");
}

#[test]
fn an_earlier_read_back_is_overwritten_only_with_force() {
    let stage = after_run(&locked_users(2), "");
    let line = format!("verify ids.results.csv {FAST}");
    stage.run(&line).exits_with(0);
    stage.run_refused(&line, 6).prints("ids.results.verify.csv already exists");
    stage.lock(&locked_users(1)[0]);
    stage.run(&format!("{line} --force")).exits_with(1);
    assert_eq!(stage.outcomes("ids.results.verify.csv")[0], "1 locked_again");
    stage.run(&format!("{line} -o other.csv")).exits_with(1);
    assert_eq!(stage.rows("other.csv").len(), 2);
    let ended = stage.run(&format!("{line} -o -")).exits_with(1);
    assert_eq!(ended.stdout.lines().count(), 1 + 2);
}

#[test]
fn a_file_that_is_not_a_results_file_is_refused() {
    let stage = after_run(&locked_users(2), "");
    for file in ["ids.txt", "gone.csv"] {
        stage.run_refused(&format!("verify {file} {FAST}"), 2).prints(file);
    }
}

#[test]
fn the_results_cannot_be_overwritten() {
    let stage = after_run(&locked_users(2), "");
    let line = format!("verify ids.results.csv -o ids.results.csv --force {FAST}");
    stage.run_refused(&line, 2).prints("is both an input and an output");
}

#[test]
fn a_read_back_is_correct_despite_faults() {
    let config = SandboxConfig::default().faults(Faults::mix(0.2));
    let stage = Stage::with_sandbox(config);
    let ids = locked_users(300);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --snapshot none --yes {FAST}")).exits_with(0);
    stage.run(&format!("verify ids.results.csv --snapshot none {FAST}")).exits_with(0);
    stage.check_all_outcomes("ids.results.verify.csv", "still_unlocked");
}

#[test]
fn users_who_cannot_be_read_back_are_failed() {
    let stage = after_run(&locked_users(2), "");
    stage.sandbox().set_mode(Mode::AllStatus(503));
    stage.run(&format!("verify ids.results.csv --max-retries 0 {FAST}")).exits_with(1);
    assert_eq!(stage.outcomes("ids.results.verify.csv"), ["1 failed", "2 failed"]);
    stage.sandbox().set_mode(Mode::Revoked);
    stage.run(&format!("verify ids.results.csv --force {FAST}")).exits_with(4);
}

#[test]
fn the_json_counts_what_was_found() {
    let ids = locked_users(3);
    let stage = after_run(&ids, "");
    stage.lock(&ids[0]);
    let ended = stage.run(&format!("verify ids.results.csv --json {FAST}")).exits_with(1);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(summary["counts"]["still_unlocked"], 2);
    assert_eq!(summary["counts"]["locked_again"], 1);
}

#[test]
fn run_verify_reads_back_at_the_end() {
    let ids = locked_users(120);
    let stage = after_run(&ids, "--verify");
    stage.check_one_row_each("ids.results.verify.csv", &ids);
    stage.check_all_outcomes("ids.results.verify.csv", "still_unlocked");
    let requests = stage.sandbox().requests();
    let n_posts = requests.iter().take_while(|it| it.method == "POST").count();
    assert_eq!((n_posts, requests.len()), (120, 122), "the read-back comes last");
}

#[test]
fn run_verify_finds_a_user_who_is_locked_despite_the_response() {
    let ids = locked_users(3);
    let stage = with_a_false_answer(&ids);
    let ended = stage.run(&format!("run ids.txt --verify --yes {FAST}")).exits_with(1);
    assert_eq!(stage.outcomes("ids.results.csv")[0], "1 unlocked");
    assert_eq!(stage.outcomes("ids.results.verify.csv")[0], "1 locked_again");
    ended
        .prints("Done: unlocked 3 of 3 users")
        .prints("Verified: 2 of 3 users are still unlocked.");
}

#[test]
fn the_json_of_a_run_with_verify_counts_the_read_back_and_has_the_final_exit_code() {
    let stage = with_a_false_answer(&locked_users(3));
    let ended = stage.run(&format!("run ids.txt --verify --json --yes {FAST}")).exits_with(1);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON value");
    assert_eq!((&json["exit_code"], &json["counts"]["unlocked"]), (&1.into(), &3.into()));
    let verified = &json["verified"];
    assert_eq!((&verified["still_unlocked"], &verified["locked_again"]), (&2.into(), &1.into()));
    assert_eq!(json["next_command"], serde_json::Value::Null, "it was verified");
}

#[test]
fn a_read_back_that_is_refused_does_not_hide_the_run() {
    for (refusal, code) in [(407, 3), (401, 4)] {
        let url = serve(move |target| match target.strip_suffix("/unlock") {
            Some(path) => {
                let id = path.rsplit('/').next().unwrap_or_default();
                (200, format!(r#"{{"id":"{id}","locked":false}}"#))
            }
            None => (refusal, "{}".to_owned()),
        });
        let mut stage = Stage::new();
        stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
        stage.set("CLERK_API_URL", &url);
        stage.write("ids.txt", "user_a\nuser_b\n");
        let ended = stage.run(&format!("run ids.txt --verify --json --yes {FAST}"));
        let ended = ended.exits_with(code).does_not_print("no user was unlocked");
        let ended = ended.prints("error: cannot read back the unlocked users: ");
        let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("one JSON value");
        assert_eq!((&json["exit_code"], &json["counts"]["unlocked"]), (&code.into(), &2.into()));
        assert_eq!(stage.json("ids.results.manifest.json")["exit_code"], code);
    }
}

/// What it found may have changed since.
#[test]
fn resuming_a_finished_read_back_gets_a_warning() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(3)));
    stage.run(&format!("run ids.txt --verify --yes {FAST}")).exits_with(0);
    let ended = stage.run(&format!("verify ids.results.csv --resume {FAST}")).exits_with(0);
    ended.prints("not looked up again").prints("--force looks them up again");
}

#[test]
fn only_the_results_of_a_run_are_read_back() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(3)));
    stage.run(&format!("plan ids.txt {FAST}")).exits_with(0);
    stage
        .run(&format!("verify ids.plan.csv {FAST}"))
        .exits_with(2)
        .prints("is not a results file of `run`");
}

#[test]
fn run_verify_keeps_the_exit_code_of_the_run_if_all_are_still_unlocked() {
    let ids = [locked_users(2), vec![missing_user()]].concat();
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --verify --yes {FAST}")).exits_with(1);
    stage.check_all_outcomes("ids.results.verify.csv", "still_unlocked");
    stage.run(&format!("run ids.txt --verify --yes --limit 2 --force {FAST}")).exits_with(0);
}

#[test]
fn a_stopped_run_is_not_read_back() {
    let ids = [vec![missing_user()], locked_users(4)].concat();
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --verify --canary 2 --yes {FAST}")).exits_with(3);
    assert!(!stage.files().contains(&"ids.results.verify.csv".to_owned()));
}

#[test]
fn a_run_and_its_read_back_share_the_pace() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(8)));
    stage.run("run ids.txt --verify --yes --quota 8/1s --quota-share 100%").exits_with(0);
    let requests = stage.sandbox().requests();
    assert_eq!(requests.len(), 9);
    assert!(max_in_any(&requests, Duration::from_secs(1)) <= 8);
}

#[test]
fn a_resumed_run_is_read_back_completely() {
    let ids = [vec![missing_user()], listed(0..9)].concat();
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --canary 3 --yes -c 1 {FAST}")).exits_with(3);
    stage.run(&format!("run ids.txt --verify --resume --yes {FAST}")).exits_with(1);
    let n_unlocked = stage.column("ids.results.csv", "outcome");
    let n_unlocked = n_unlocked.iter().filter(|it| *it == "unlocked").count();
    assert_eq!((n_unlocked, stage.rows("ids.results.verify.csv").len()), (9, 9));
}
