//! `report`: the summary of finished files, its JSON, and the page.

mod common;

use bulk_unlock::sandbox::{SandboxConfig, Script, Scripted};
use common::normalize::without_times;
use common::page::outcomes_on_page;
use common::watch::wait_until;
use common::{Ended, Stage, list, locked_users, missing_user};
use serde_json::Value;

/// A finished run of twelve users: nine unlocked, one not found, one refused, one a duplicate.
fn finished() -> Stage {
    let mut ids = locked_users(10);
    let refused = Scripted::status(422).with_body(
        r#"{"errors":[{"code":"form_param_invalid","message":"<script>alert(1)</script>"}]}"#,
    );
    let script: Script = [(ids[0].clone(), [refused].into())].into();
    let stage = Stage::with_sandbox(SandboxConfig::default().script(script));
    ids.push(missing_user());
    ids.push(ids[1].clone());
    stage.write("ids.txt", list(&ids));
    stage.run("run ids.txt --yes --quota 1000/1s --reason INC-1").exits_with(1);
    stage
}

#[test]
fn the_counts_on_the_page_are_those_of_the_csv() {
    let stage = finished();
    stage.run("report ids.results.csv --html page.html").exits_with(0);
    let html = stage.read("page.html");
    assert_eq!(outcomes_on_page(&html), stage.counts("ids.results.csv"));
    assert!(html.contains("INC-1"), "the reason is on the page");
    assert!(!html.contains("<script>alert"), "text from the server is not markup");
}

#[test]
fn an_existing_page_is_refused_with_the_name_of_its_flag() {
    let stage = finished();
    stage.write("page.html", "other content");
    let ended = stage.run("report ids.results.csv --html page.html").exits_with(6);
    ended.prints(
        "page.html already exists; use --force to overwrite it, or name another file with --html",
    );
    let run = "run ids.txt --yes -o new.csv --report page.html";
    stage
        .run(run)
        .exits_with(6)
        .prints("use --force to overwrite it, or name another file with --report");
    assert_eq!(stage.read("page.html"), "other content");
}

#[test]
fn the_page_shows_only_ids_without_report_pii() {
    let stage = finished();
    stage.run("report ids.results.csv --html page.html").exits_with(0);
    stage.run("report ids.results.csv --html pii.html --report-pii").exits_with(0);
    let emails: Vec<String> = stage.column("ids.results.csv", "email");
    let emails: Vec<&String> = emails.iter().filter(|email| !email.is_empty()).collect();
    assert!(!emails.is_empty());
    let (page, pii) = (stage.read("page.html"), stage.read("pii.html"));
    assert!(emails.iter().all(|email| !page.contains(email.as_str())));
    assert!(emails.iter().any(|email| pii.contains(&email.replace('+', "&#43;")) || pii.contains(email.as_str())));
}

#[test]
fn the_summary_is_written_to_stdout_as_text_and_as_json() {
    let stage = finished();
    let report = stage.run("report ids.results.csv").exits_with(0);
    assert!(report.stdout.contains("unlocked 9 of 12 users"), "{}", report.stdout);
    let json = stage.run("report ids.results.csv --json").exits_with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["counts"]["unlocked"], 9);
    assert_eq!(json["counts"]["rejected"], 1);
    assert_eq!(json["records"], 12);
    assert_eq!(json["ending"], "completed");
}

#[test]
fn several_files_are_counted_by_user() {
    let stage = finished();
    stage.write("more.txt", list(&locked_users(14)[10..]));
    stage.run("run more.txt --yes --quota 1000/1s").exits_with(0);
    let json = stage.run("report ids.results.csv more.results.csv --json").exits_with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["counts"]["unlocked"], 13);
    assert_eq!(
        (&json["records"], &json["rows"]),
        (&15.into(), &15.into()),
        "a duplicate is not counted"
    );
}

/// A user who failed and was retried is one user, with the state of the retry.
#[test]
fn a_run_and_its_retry_count_each_user_once() {
    let ids = locked_users(6);
    let script: Script =
        [1, 4].map(|at| (ids[at].clone(), vec![Scripted::status(500); 2].into())).into();
    let config = SandboxConfig::default().script(script);
    let stage = Stage::with_sandbox(config);
    stage.write("ids.txt", list(&ids));
    let run = |flags: &str| stage.run(&format!("run {flags} --yes --quota 1000/1s --quiet"));
    run("ids.txt --max-retries 1").exits_with(1);
    run("ids.results.csv --retry-failed -o again.csv").exits_with(0);
    for files in ["ids.results.csv again.csv", "again.csv ids.results.csv"] {
        let ended = stage.run(&format!("report {files} --json --html page.html --force"));
        let ended = ended.exits_with(0);
        let json = json(&ended);
        assert_eq!((&json["records"], &json["rows"]), (&6.into(), &6.into()));
        assert_eq!(json["counts"]["unlocked"], 6);
        assert!(json["counts"].get("failed").is_none_or(|n| n == 0));
        assert_eq!(json["exit_code"], 0);
        assert_eq!(outcomes_on_page(&stage.read("page.html")), [("unlocked".to_owned(), 6)].into());
    }
    let twice = stage.run("report again.csv again.csv --json").exits_with(0).prints("named twice");
    let json = json(&twice);
    assert_eq!(json["records"], 2);
}

#[test]
fn the_report_of_a_killed_run_counts_its_rows_and_suggests_resume() {
    let ids = locked_users(200);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes --rate 50/s");
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 9);
    drop(running);
    let n_rows = stage.n_rows("ids.results.csv");
    let ended = stage.run("report ids.results.csv --json").exits_with(0).prints(
        "is incomplete: its run was killed or is still running; finish the run with --resume first",
    );
    let json = json(&ended);
    assert_eq!((&json["records"], &json["rows"]), (&200.into(), &n_rows.into()));
    assert_eq!(json["unprocessed"], 200 - n_rows);
    assert_eq!((&json["ending"], &json["exit_code"]), (&"running".into(), &Value::Null));
}

/// Records that one run left unprocessed are counted in the run that processed them.
#[test]
fn a_stopped_run_and_the_run_of_its_unprocessed_records_leave_no_record() {
    let ids = locked_users(60);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes --rate 50/s");
    wait_until("some rows are written", || stage.n_rows("ids.results.csv") > 3);
    running.signal("INT");
    running.wait().exits_with(130);
    let rest = "run ids.results.unprocessed.csv --yes --quota 1000/1s -o rest.csv";
    stage.run(rest).exits_with(0);
    let ended = stage.run("report ids.results.csv rest.csv --json").exits_with(0);
    let json = json(&ended);
    assert_eq!((&json["records"], &json["unprocessed"]), (&60.into(), &0.into()));
    assert_eq!((&json["counts"]["unlocked"], &json["exit_code"]), (&60.into(), &0.into()));
}

/// In any order of the files: a stopped run, a killed run of its rest, and a run of the remaining records.
#[test]
fn a_chain_of_runs_of_unprocessed_records_leaves_no_record() {
    let ids = locked_users(60);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let stopped = |line: &str, results: &str, signal: &str| {
        let running = stage.spawn(&format!("{line} --yes --rate 50/s"));
        wait_until("some rows are written", || stage.n_rows(results) > 3);
        running.signal(signal);
        running.wait();
    };
    stopped("run ids.txt -o a.csv", "a.csv", "INT");
    stopped("run a.unprocessed.csv -o b.csv", "b.csv", "KILL");
    stage.run("run b.unprocessed.csv --yes --quota 1000/1s -o c.csv").exits_with(0);
    for files in ["a.csv b.csv c.csv", "c.csv a.csv b.csv", "b.csv c.csv a.csv"] {
        let ended = stage.run(&format!("report {files} --json")).exits_with(0);
        let json = json(&ended);
        assert_eq!((&json["records"], &json["unprocessed"]), (&60.into(), &0.into()), "{files}");
        assert_eq!((&json["counts"]["unlocked"], &json["exit_code"]), (&60.into(), &0.into()));
    }
}

#[test]
fn a_changed_results_file_gives_a_warning() {
    let stage = finished();
    let edited = stage.read("ids.results.csv").replacen(",not_found,", ",unlocked,", 1);
    stage.write("ids.results.csv", edited);
    stage.run("report ids.results.csv --html page.html").exits_with(0).prints("was changed since");
    assert!(stage.read("page.html").contains("was changed since"));
}

#[test]
fn an_existing_page_is_overwritten_only_with_force() {
    let stage = finished();
    stage.write("page.html", "other content");
    stage.run("report ids.results.csv --html page.html").exits_with(6);
    assert_eq!(stage.read("page.html"), "other content");
    stage.run("report ids.results.csv --html page.html --force").exits_with(0);
    stage.run("report ids.results.csv --html ids.results.csv --force").exits_with(2);
}

#[test]
fn a_file_that_is_not_a_results_file_is_refused() {
    let stage = finished();
    stage.run("report ids.txt").exits_with(2).prints("ids.txt");
    stage.run("report nowhere.csv").exits_with(2).prints("nowhere.csv");
}

#[test]
fn run_plan_and_verify_write_the_page() {
    let stage = finished();
    stage.run("plan ids.txt --report plan.html --quota 1000/1s").exits_with(0);
    assert_eq!(outcomes_on_page(&stage.read("plan.html")), stage.counts("ids.plan.csv"));
    stage.run("verify ids.results.csv --report verify.html --quota 1000/1s").exits_with(0);
    let verified = stage.counts("ids.results.verify.csv");
    assert_eq!(outcomes_on_page(&stage.read("verify.html")), verified);
    stage.run("run ids.txt -o again.csv --yes --report run.html --quota 1000/1s").exits_with(1);
    assert_eq!(outcomes_on_page(&stage.read("run.html")), stage.counts("again.csv"));
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_the_first_request() {
    let stage = finished();
    let before = stage.sandbox().stats().n_requests;
    stage.run("run ids.txt -o b.csv --yes --report nowhere/p.html").exits_with(6);
    assert_eq!(stage.sandbox().stats().n_requests, before);
}

#[test]
fn summary_of_a_run() {
    let report = finished().run("report ids.results.csv").exits_with(0);
    insta::assert_snapshot!(steady(&report.stdout), @"
    Done: unlocked 9 of 12 users in T.

      unlocked   9  unlocked by this run
      duplicate  1  same user as on an earlier line
      not_found  1  user does not exist
      rejected   1  refused by the API

    Most frequent errors, each with its first example:
      form_param_invalid  1  line 1 user_20CQupOStJJy6OYXwzhWVfF8nV2: <script>alert(1)</script>
      resource_not_found  1  line 11 user_170: No user was found with id user_170.

    11 requests, 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      results      ids.results.csv

    Next step:
      bulk-unlock verify ids.results.csv --quota=1000/1s --api-url=http://127.0.0.1:PORT
    ");
    assert_eq!(report.stderr, "");
}

#[test]
fn summary_of_a_plan_with_a_page() {
    let stage = finished();
    stage.run("plan ids.txt --quota 1000/1s").exits_with(0);
    let report = stage.run("report ids.plan.csv --html page.html").exits_with(0);
    insta::assert_snapshot!(steady(&report.stdout), @"
    Planned: `run` would unlock 1 of 12 users. Nothing was changed.

      would_unlock      1  locked; the run would unlock this user
      already_unlocked  9  not locked; no unlock request was sent
      duplicate         1  same user as on an earlier line
      not_found         1  user does not exist

    Most frequent errors, each with its first example:
      resource_not_found  1  line 11 user_170: no user has this user ID

    1 request (1 look-up), 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      plan         ids.plan.csv
      report       page.html

    Next step:
      bulk-unlock run --quota=1000/1s --api-url=http://127.0.0.1:PORT --plan=ids.plan.csv --plan-sha256=HASH
    ");
    insta::assert_snapshot!(report.stderr, @"wrote the page page.html");
}

#[test]
fn summary_of_several_files() {
    let stage = finished();
    stage.write("more.txt", list(&locked_users(14)[10..]));
    stage.run("run more.txt --yes --quota 1000/1s").exits_with(0);
    let report = stage.run("report ids.results.csv more.results.csv").exits_with(0);
    insta::assert_snapshot!(steady(&report.stdout), @"
    13 of 15 users are unlocked; 2 not unlocked.

      WHEN  ids.results.csv: Done: unlocked 9 of 12 users in T.
      WHEN  more.results.csv: Done: unlocked 4 of 4 users in T.

    Final state of each user:
      unlocked   13  unlocked by this run
      not_found   1  user does not exist
      rejected    1  refused by the API

    Most frequent errors, each with its first example:
      form_param_invalid  1  line 1 user_20CQupOStJJy6OYXwzhWVfF8nV2: <script>alert(1)</script>
      resource_not_found  1  line 11 user_170: No user was found with id user_170.

    Next step:
      bulk-unlock verify more.results.csv --quota=1000/1s --api-url=http://127.0.0.1:PORT
    ");
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).expect("JSON")
}

/// A plan of ten locked users, two of them excluded; its run, in which one user fails; the retry; and a
/// verification after which two users are locked again.
fn incident() -> (Stage, Vec<String>) {
    let ids = locked_users(10);
    let script: Script = [(ids[1].clone(), vec![Scripted::status(500); 2].into())].into();
    let stage = Stage::with_sandbox(SandboxConfig::default().script(script));
    let mut listed = ids.clone();
    listed.extend([ids[1].clone(), missing_user()]);
    stage.write("ids.txt", list(&listed));
    stage.write("keep.txt", list(&ids[8..]));
    let run = |line: &str| stage.run(&format!("{line} --quota 1000/1s --quiet"));
    let exclude = "--exclude keep.txt --reason INC-7";
    run(&format!("plan ids.txt {exclude}")).exits_with(0);
    run(&format!("run --plan ids.plan.csv {exclude} --yes --max-retries 1 -o run.csv"))
        .exits_with(1);
    run(&format!("run run.csv --retry-failed {exclude} --yes -o retry.csv")).exits_with(0);
    run("verify run.csv").exits_with(0);
    let verified = stage.read("run.verify.csv");
    stage.write("run.verify.csv", verified.replacen(",still_unlocked,", ",locked_again,", 2));
    (stage, ids.iter().map(ToString::to_string).collect())
}

const FILES: [&str; 4] = ["ids.plan.csv", "run.csv", "retry.csv", "run.verify.csv"];

#[test]
fn an_incident_has_one_final_state_per_user_in_any_order_of_the_files() {
    let (stage, _) = incident();
    let [plan, run, retry, verify] = FILES;
    for files in
        [[plan, run, retry, verify], [verify, retry, run, plan], [retry, plan, verify, run]]
    {
        let files = files.join(" ");
        let ended = stage.run(&format!("report {files} --json --html page.html --force"));
        let json = json(&ended.exits_with(0));
        let counts = serde_json::json!({
            "unlocked": 1, "still_unlocked": 5, "excluded": 2, "not_found": 1, "locked_again": 2,
        });
        assert_eq!(json["counts"], counts, "{files}");
        assert_eq!((&json["records"], &json["unprocessed"]), (&11.into(), &0.into()));
        let stages = json["stages"].as_array().expect("stages");
        let of = |name: &str| stages.iter().map(|it| it[name].clone()).collect::<Vec<_>>();
        assert_eq!(of("file"), FILES.map(Value::from), "in the order of time");
        assert_eq!(of("command"), ["plan", "run", "run", "verify"].map(Value::from));
        assert_eq!(of("exit_code"), [0, 1, 0, 0].map(Value::from));
        assert_eq!(stages[0]["counts"]["would_unlock"], 8);
        assert_eq!(stages[1]["counts"], serde_json::json!({"unlocked": 7, "failed": 1}));
        assert_eq!(stages[2]["counts"], serde_json::json!({"unlocked": 1}));
        assert_eq!(json["requests"], Value::Null, "requests of different commands are not summed");
        assert!(stages.iter().all(|stage| stage["requests"].as_u64() > Some(0)));
        let page = stage.read("page.html");
        let shown = serde_json::to_value(outcomes_on_page(&page)).expect("JSON");
        assert_eq!(shown, counts);
        assert!(page.contains("<h1>INC-7</h1>"));
    }
}

#[test]
fn summary_of_an_incident() {
    let (stage, ids) = incident();
    let report = stage.run(&format!("report {}", FILES.join(" "))).exits_with(0);
    let missing = missing_user().to_string();
    let text = steady(&report.stdout).replace(&missing, "MISSING");
    assert!(!ids.iter().any(|id| text.contains(id)));
    insta::assert_snapshot!(text, @"
    6 of 11 users are unlocked; 2 locked again, 2 excluded, 1 not unlocked.

      WHEN  ids.plan.csv: Planned: `run` would unlock 8 of 12 users. Nothing was changed.
      WHEN  run.csv: Done: unlocked 7 of 8 users in T.
      WHEN  retry.csv: Done: unlocked 1 of 1 user in T.
      WHEN  run.verify.csv: Verified: 5 of 7 users are still unlocked.

    Final state of each user:
      unlocked        1  unlocked by this run
      still_unlocked  5  read back: not locked
      excluded        2  listed in the exclude file; not changed
      not_found       1  user does not exist
      locked_again    2  read back: locked again

    Most frequent errors, each with its first example:
      resource_not_found  1  line 12 MISSING: no user has this user ID
    ");
    insta::assert_snapshot!(report.stderr, @"warning: run.verify.csv was changed since its manifest was written");
}

/// Users of the plan that the run did not process keep the state of the plan.
#[test]
fn planned_users_of_a_stopped_run_are_not_counted_as_done() {
    let ids = locked_users(60);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    stage.run("plan ids.txt --quiet").exits_with(0);
    let running = stage.spawn("run --plan ids.plan.csv --yes --rate 50/s -o run.csv");
    wait_until("some rows are written", || stage.n_rows("run.csv") > 3);
    running.signal("INT");
    running.wait().exits_with(130);
    let n_rows = stage.n_rows("run.csv");
    let left = 60 - n_rows;
    let line = "report run.csv ids.plan.csv --json --html page.html";
    let ended = stage.run(line).exits_with(0);
    let json = json(&ended);
    assert_eq!(json["counts"], serde_json::json!({"unlocked": n_rows, "would_unlock": left}));
    assert_eq!((&json["records"], &json["exit_code"]), (&60.into(), &130.into()));
    assert_eq!(json["stages"][1]["unprocessed"], left);
    assert!(json["next_command"].as_str().expect("a command").contains("--resume"));
    let ended = ended.prints(&format!("run.csv is incomplete: {left} record"));
    ended.prints("unprocessed; finish the run with --resume first");
    assert!(stage.read("page.html").contains(&format!("{left} planned but not unlocked")));
}

#[test]
fn the_exit_code_is_that_of_the_run() {
    let stage = finished();
    let code = |line: &str| json(&stage.run(line).exits_with(0))["exit_code"].clone();
    assert_eq!(code("report ids.results.csv --json"), 1);
    stage.run("plan ids.txt --quota 1000/1s").exits_with(0);
    assert_eq!(code("report ids.plan.csv --json"), 0, "a complete plan");
    std::fs::remove_file(stage.path("ids.plan.manifest.json")).expect("a manifest");
    assert_eq!(code("report ids.plan.csv --json"), Value::Null);
}

#[test]
fn a_missing_manifest_gives_a_warning_of_what_cannot_be_checked() {
    let stage = finished();
    std::fs::remove_file(stage.path("ids.results.manifest.json")).expect("a manifest");
    let ended = stage.run("report ids.results.csv --json").exits_with(0);
    let found = json(&ended);
    assert_eq!((&found["ending"], &found["counts"]["unlocked"]), (&Value::Null, &9.into()));
    assert_eq!(found["next_command"], Value::Null);
    ended.prints(
        "ids.results.manifest.json is missing: cannot check which instance ids.results.csv is of, \
         whether it is complete, and whether it was changed",
    );
}

#[test]
fn a_row_cut_off_inside_its_json_is_an_incomplete_run() {
    let stage = finished();
    let whole = stage.read("ids.results.csv");
    let torn = &whole[..whole.rfind("\"\"object\"\"").expect("a user")];
    for (torn, code) in [(torn.to_owned(), 0), (format!("{torn}\n"), 2)] {
        stage.write("ids.results.csv", torn);
        let ended = stage.run("report ids.results.csv").exits_with(code).prints("is incomplete");
        assert!(!ended.stderr.contains("close"), "{}", ended.stderr);
        ended.prints("finish the run with --resume first");
    }
}

#[test]
fn a_plan_with_missing_users_is_not_shown_as_a_failure() {
    let stage = finished();
    stage.run("plan ids.txt --quota 1000/1s --report plan.html").exits_with(0);
    let page = stage.read("plan.html");
    assert!(page.contains("<div class=\"verdict warn\">"));
    assert!(page.contains("Nothing was changed."));
    let (_, body) = page.split_once("<body>").expect("a body");
    assert!(!body.contains("class=\"bad\"") && !body.contains("did not end well"));
}

#[test]
fn without_manifests_files_are_ordered_by_their_rows() {
    let (stage, _) = incident();
    for name in FILES {
        let manifest = name.replace(".csv", ".manifest.json");
        std::fs::remove_file(stage.path(&manifest)).expect("a manifest");
    }
    let [plan, run, retry, verify] = FILES;
    let ended = stage.run(&format!("report {verify} {plan} {retry} {run} --json")).exits_with(0);
    let json = json(&ended);
    let stages = json["stages"].as_array().expect("stages");
    let files: Vec<_> = stages.iter().map(|it| it["file"].clone()).collect();
    assert_eq!(files, FILES.map(Value::from));
    let outcomes = ["unlocked", "still_unlocked", "excluded", "not_found", "locked_again"];
    assert_eq!(outcomes.map(|it| json["counts"][it].as_u64()), [1, 5, 2, 1, 2].map(Some));
    assert!(stages.iter().all(|it| it["exit_code"].is_null() && it["ending"].is_null()));
}

/// Rows of a run have `banned` too, although only the plan gave a warning.
#[test]
fn banned_users_are_counted_after_they_were_unlocked() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(100)));
    stage.run("plan ids.txt --quiet --quota 1000/1s").exits_with(0);
    stage.run("run --plan ids.plan.csv --yes --quiet --quota 1000/1s -o run.csv").exits_with(0);
    let n_banned = stage.rows("run.csv").iter().filter(|row| row["banned"] == "true").count();
    assert!(n_banned > 0);
    for files in ["ids.plan.csv run.csv", "run.csv"] {
        let line = format!("report {files} --json --html page.html --force");
        assert_eq!(json(&stage.run(&line).exits_with(0))["banned"], n_banned, "{files}");
        assert!(stage.read("page.html").contains("Unlocking does not lift a ban."));
    }
}

/// Results with one row per user, and a manifest of that instance.
fn write_run(stage: &Stage, name: &str, instance: &str, rows: &[(&str, &str)], unprocessed: u64) {
    let header = "line,input,user_id,outcome,http_status,error_code,error_message,attempts,\
        duration_ms,finished_at,trace_id,locked,banned,lockout_expires_in_seconds,\
        verification_attempts_remaining,username,email,external_id,first_name,last_name,\
        last_sign_in_at,updated_at,user,was_locked\n";
    let row = |(id, outcome): &(&str, &str)| {
        let cells = ",".repeat(14);
        format!("2,{id},{id},{outcome},200,,,1,80,2026-01-31T03:12:45.000Z{cells}\n")
    };
    let rows: String = rows.iter().map(row).collect();
    let n_records = rows.lines().count() as u64 + unprocessed;
    stage.write(&format!("{name}.csv"), format!("{header}{rows}"));
    let manifest = serde_json::json!({
        "schema_version": 1, "program_version": "0.1.0", "command": "bulk-unlock run x.csv",
        "kind": "run", "instance": instance, "host": "api.clerk.com",
        "started_at": "2026-01-31T03:12:45Z", "finished_at": "2026-01-31T03:12:46Z",
        "ending": if unprocessed > 0 { "max_fail" } else { "completed" },
        "exit_code": if unprocessed > 0 { 3 } else { 0 },
        "records": n_records, "unprocessed": unprocessed,
    });
    stage.write(&format!("{name}.manifest.json"), manifest.to_string());
}

#[test]
fn a_rehearsal_does_not_change_the_state_of_a_real_user() {
    let stage = Stage::new();
    write_run(&stage, "rehearsal", "sandbox", &[("user_a", "unlocked")], 0);
    write_run(&stage, "real", "production", &[("user_a", "failed")], 0);
    let ended = stage.run("report real.csv rehearsal.csv --json").exits_with(0);
    assert_eq!(json(&ended)["counts"], serde_json::json!({"unlocked": 1, "failed": 1}));
    ended.prints("the files are of different instances");
}

#[test]
fn unprocessed_records_are_counted_without_their_file() {
    let stage = Stage::new();
    write_run(&stage, "one", "production", &[("user_a", "unlocked")], 3);
    write_run(&stage, "two", "production", &[("user_b", "unlocked")], 0);
    let ended = stage.run("report one.csv two.csv --json --html page.html").exits_with(0);
    let json = json(&ended);
    assert_eq!((&json["records"], &json["unprocessed"]), (&5.into(), &3.into()));
    assert_eq!((&json["exit_code"], &json["ending"]), (&3.into(), &"max_fail".into()));
    ended.prints("one.csv is incomplete: 3 records are unprocessed");
    assert!(stage.read("page.html").contains("<div class=\"verdict bad\">"));
}

/// The text without values that differ between runs.
fn steady(text: &str) -> String {
    let program = env!("CARGO_BIN_EXE_bulk-unlock");
    let text = without_times(text).replace(program, "bulk-unlock");
    // The date and time at which a command began.
    let is_date = |line: &&str| line.starts_with("  20") && line.contains(" UTC  ");
    let line = |line| match Some(line).filter(is_date) {
        Some(dated) => format!("  WHEN{}", &dated["  2026-01-31 03:12 UTC".len()..]),
        None => line.to_owned(),
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_shortened_file_does_not_add_up_in_text_and_json() {
    let stage = finished();
    let results = stage.read("ids.results.csv");
    let cut = results.lines().take(3).fold(String::new(), |text, line| text + line + "\n");
    stage.write("ids.results.csv", cut);
    let text = stage.run("report ids.results.csv").exits_with(0).stdout;
    assert!(text.contains("The accounting does not add up"), "{text}");
    let json = stage.run("report ids.results.csv --json").exits_with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["ending"], "unaccounted");
}

#[test]
fn the_page_names_who_ran_the_command() {
    let mut stage = Stage::with_users(20);
    stage.set("USER", "ada");
    stage.write("ids.txt", list(&locked_users(3)));
    stage.run("run ids.txt --yes --report page.html --quota 1000/1s").exits_with(0);
    assert!(stage.read("page.html").contains("Run by") && stage.read("page.html").contains("ada"));
    assert_eq!(stage.json("ids.results.manifest.json")["operator"], "ada");
}
