//! What finished files are told as: the summary, its JSON, and the page.

mod common;

use bulk_unlock::sandbox::{SandboxConfig, Script, Scripted};
use common::contract::without_times;
use common::pages::outcomes_on_page;
use common::watch::wait_until;
use common::{Stage, list, locked_users, missing_user};

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
    assert!(!html.contains("<script>alert"), "what a server says is no markup");
}

#[test]
fn a_page_that_is_in_the_way_is_told_of_in_the_words_of_the_command() {
    let stage = finished();
    stage.write("page.html", "precious");
    let ended = stage.run("report ids.results.csv --html page.html").exits_with(6);
    ended.says(
        "page.html already exists; use --force to overwrite it, or name another file with --html",
    );
    let run = "run ids.txt --yes -o new.csv --report page.html";
    stage
        .run(run)
        .exits_with(6)
        .says("use --force to overwrite it, or name another file with --report");
    assert_eq!(stage.read("page.html"), "precious");
}

#[test]
fn the_page_names_nobody_but_by_id_unless_it_is_asked_to() {
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
fn the_summary_is_on_stdout_and_as_json_for_machines() {
    let stage = finished();
    let told = stage.run("report ids.results.csv").exits_with(0);
    assert!(told.stdout.contains("unlocked 9 of 12 users"), "{}", told.stdout);
    let json = stage.run("report ids.results.csv --json").exits_with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["counts"]["unlocked"], 9);
    assert_eq!(json["counts"]["rejected"], 1);
    assert_eq!(json["records"], 12);
    assert_eq!(json["ending"], "completed");
}

#[test]
fn several_files_are_told_as_one() {
    let stage = finished();
    stage.write("more.txt", list(&locked_users(14)[10..]));
    stage.run("run more.txt --yes --quota 1000/1s").exits_with(0);
    let json = stage.run("report ids.results.csv more.results.csv --json").exits_with(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["counts"]["unlocked"], 13);
    assert_eq!((&json["records"], &json["rows"]), (&16.into(), &16.into()));
}

/// A user who failed and was tried again is one user, and the last word on them counts.
#[test]
fn a_run_and_its_retry_tell_of_each_user_once() {
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
        let ended = ended.exits_with(0).says("2 rows of ids.results.csv tell of users");
        let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!((&json["records"], &json["rows"]), (&6.into(), &6.into()));
        assert_eq!(json["counts"]["unlocked"], 6);
        assert!(json["counts"].get("failed").is_none_or(|n| n == 0));
        assert_eq!(json["exit_code"], 0);
        assert_eq!(outcomes_on_page(&stage.read("page.html")), [("unlocked".to_owned(), 6)].into());
    }
    let twice = stage.run("report again.csv again.csv --json").exits_with(0).says("named twice");
    let json: serde_json::Value = serde_json::from_str(&twice.stdout).expect("JSON");
    assert_eq!(json["records"], 2);
}

#[test]
fn a_run_that_was_killed_is_told_by_the_rows_it_has() {
    let ids = locked_users(200);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes --rate 50/s");
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 9);
    drop(running);
    let n_rows = stage.n_rows("ids.results.csv");
    let ended = stage.run("report ids.results.csv --json").exits_with(0).says("is not finished");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&json["records"], &json["rows"]), (&200.into(), &n_rows.into()));
    assert_eq!(json["unprocessed"], 200 - n_rows);
}

/// What one run left and another took as its input is accounted for there.
#[test]
fn a_stopped_run_and_the_run_of_its_unprocessed_records_are_one_whole() {
    let ids = locked_users(60);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let running = stage.spawn("run ids.txt --yes --rate 50/s");
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 3);
    running.signal("INT");
    running.wait().exits_with(130);
    let rest = "run ids.results.unprocessed.csv --yes --quota 1000/1s -o rest.csv";
    stage.run(rest).exits_with(0);
    let ended = stage.run("report ids.results.csv rest.csv --json").exits_with(0);
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!((&json["records"], &json["unprocessed"]), (&60.into(), &0.into()));
    assert_eq!((&json["counts"]["unlocked"], &json["exit_code"]), (&60.into(), &0.into()));
}

/// In whatever order they are named: stopped, its rest stopped, and the rest of that.
#[test]
fn a_chain_of_runs_each_over_what_the_one_before_left_is_one_whole() {
    let ids = locked_users(60);
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&ids));
    let stopped = |line: &str, results: &str, signal: &str| {
        let running = stage.spawn(&format!("{line} --yes --rate 50/s"));
        wait_until("some are done", || stage.n_rows(results) > 3);
        running.signal(signal);
        running.wait();
    };
    stopped("run ids.txt -o a.csv", "a.csv", "INT");
    stopped("run a.unprocessed.csv -o b.csv", "b.csv", "KILL");
    stage.run("run b.unprocessed.csv --yes --quota 1000/1s -o c.csv").exits_with(0);
    for files in ["a.csv b.csv c.csv", "c.csv a.csv b.csv", "b.csv c.csv a.csv"] {
        let ended = stage.run(&format!("report {files} --json")).exits_with(0);
        let json: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!((&json["records"], &json["unprocessed"]), (&60.into(), &0.into()), "{files}");
        assert_eq!((&json["counts"]["unlocked"], &json["exit_code"]), (&60.into(), &0.into()));
    }
}

#[test]
fn a_file_that_was_changed_since_is_told_with_a_warning() {
    let stage = finished();
    let edited = stage.read("ids.results.csv").replacen(",not_found,", ",unlocked,", 1);
    stage.write("ids.results.csv", edited);
    stage.run("report ids.results.csv --html page.html").exits_with(0).says("was changed since");
    assert!(stage.read("page.html").contains("was changed since"));
}

#[test]
fn a_page_that_is_there_is_not_overwritten_unless_forced() {
    let stage = finished();
    stage.write("page.html", "mine");
    stage.run("report ids.results.csv --html page.html").exits_with(6);
    assert_eq!(stage.read("page.html"), "mine");
    stage.run("report ids.results.csv --html page.html --force").exits_with(0);
    stage.run("report ids.results.csv --html ids.results.csv --force").exits_with(2);
}

#[test]
fn what_is_no_results_file_is_refused() {
    let stage = finished();
    stage.run("report ids.txt").exits_with(2).says("ids.txt");
    stage.run("report nowhere.csv").exits_with(2).says("nowhere.csv");
}

#[test]
fn run_plan_and_verify_write_the_page_too() {
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
fn a_page_that_can_not_be_written_is_refused_before_anything_is_sent() {
    let stage = finished();
    let before = stage.sandbox().stats().n_requests;
    stage.run("run ids.txt -o b.csv --yes --report nowhere/p.html").exits_with(6);
    assert_eq!(stage.sandbox().stats().n_requests, before);
}

#[test]
fn the_summary_of_a_run_is_this() {
    let told = finished().run("report ids.results.csv").exits_with(0);
    insta::assert_snapshot!(steady(&told.stdout), @"
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
    assert_eq!(told.stderr, "");
}

#[test]
fn the_summary_of_a_plan_with_a_page_is_this() {
    let stage = finished();
    stage.run("plan ids.txt --quota 1000/1s").exits_with(0);
    let told = stage.run("report ids.plan.csv --html page.html").exits_with(0);
    insta::assert_snapshot!(steady(&told.stdout), @"
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
    insta::assert_snapshot!(told.stderr, @"the page is page.html");
}

#[test]
fn the_summary_of_several_files_is_this() {
    let stage = finished();
    stage.write("more.txt", list(&locked_users(14)[10..]));
    stage.run("run more.txt --yes --quota 1000/1s").exits_with(0);
    let told = stage.run("report ids.results.csv more.results.csv").exits_with(0);
    insta::assert_snapshot!(steady(&told.stdout), @"
    Done: unlocked 13 of 16 users in T.

      unlocked   13  unlocked by this run
      duplicate   1  same user as on an earlier line
      not_found   1  user does not exist
      rejected    1  refused by the API

    Most frequent errors, each with its first example:
      form_param_invalid  1  line 1 user_20CQupOStJJy6OYXwzhWVfF8nV2: <script>alert(1)</script>
      resource_not_found  1  line 11 user_170: No user was found with id user_170.

    15 requests, 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

    Next step:
      bulk-unlock verify more.results.csv --quota=1000/1s --api-url=http://127.0.0.1:PORT
    ");
}

/// The text without what differs from run to run.
fn steady(text: &str) -> String {
    let program = env!("CARGO_BIN_EXE_bulk-unlock");
    without_times(text).replace(program, "bulk-unlock")
}
