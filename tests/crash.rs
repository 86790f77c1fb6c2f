//! A run that is killed at any moment can be resumed, and each record gets exactly one row.

#![cfg(unix)]

mod common;

use std::fs;
use std::thread;
use std::time::Duration;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Mode, SandboxConfig, Script, Scripted};
use common::watch::{FAST, for_each_in_parallel, slow_config, wait_until};
use common::{SEED, Stage, exists, list, locked_users, users};

/// A rate that keeps fewer than the sixteen workers busy on average, as in any run that its quota
/// limits.
const LINE: &str = "run ids.txt --yes --resume -c 16 --rate 250/s";

/// Checks what must hold right after a kill, at any stage of the run.
#[track_caller]
fn check_files_after_a_kill(stage: &Stage, ids: &[UserId]) {
    let results = fs::read(stage.path("ids.results.csv")).unwrap_or_default();
    let whole = results.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let mut reader = csv::Reader::from_reader(&results[..whole]);
    let recorded: Vec<String> =
        reader.records().map(|row| row.expect("a whole row")[2].to_owned()).collect();

    if exists(&stage.path("ids.results.manifest.json")) {
        let manifest = stage.json("ids.results.manifest.json");
        assert_eq!(manifest["ending"], "running", "{manifest:#}");
        assert!(manifest["finished_at"].is_null(), "{manifest:#}");
    }
    for name in ["ids.results.failed.csv", "ids.results.unprocessed.csv"] {
        if exists(&stage.path(name)) {
            assert!(stage.read(name).ends_with('\n'), "{name} is torn");
            stage.rows(name);
        }
    }
    if exists(&stage.path("ids.results.unprocessed.csv")) {
        let mut known = recorded;
        let rest = stage.rows("ids.results.unprocessed.csv");
        known.extend(rest.into_iter().map(|row| row["user_id"].clone()));
        known.sort();
        let missing = ids.iter().find(|id| known.binary_search(&id.to_string()).is_err());
        assert_eq!(missing, None, "is in neither file");
    }
}

#[test]
fn a_run_killed_a_dozen_times_ends_with_one_row_per_user() {
    const N_KILLS: usize = 12;
    let stage = Stage::with_sandbox(slow_config("10ms..40ms"));
    let ids = users(800);
    stage.write("ids.txt", list(&ids));
    let mut rng = fastrand::Rng::with_seed(SEED);
    for n_kills in 0..N_KILLS {
        let n_before = stage.n_rows("ids.results.csv");
        let mut running = stage.spawn(LINE);
        // Some are killed while they start, some in the middle of the run.
        if n_kills % 3 > 0 {
            let n_more = rng.usize(1..30);
            wait_until("it works", || stage.n_rows("ids.results.csv") >= n_before + n_more);
        }
        thread::sleep(Duration::from_millis(rng.u64(0..80)));
        assert!(running.is_alive(), "it should have been killed in the middle");
        running.signal("KILL");
        assert_eq!(running.wait().code, None);
        check_files_after_a_kill(&stage, &ids);
    }
    let n_before = stage.n_rows("ids.results.csv");
    assert!(0 < n_before && n_before < ids.len(), "{n_before} rows before the last run");

    stage.run(LINE).exits_with(0).prints("Resuming ids.results.csv");
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    stage.check_one_row_each("ids.results.csv", &ids);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    let n_again: usize = stage.posts().into_values().map(|n_calls| n_calls - 1).sum();
    assert!(n_again <= N_KILLS * 16, "{n_again} calls were made again");
}

#[test]
fn a_run_killed_during_its_look_up_is_resumed() {
    const N_KILLS: usize = 10;
    let stage = Stage::with_sandbox(slow_config("20ms..80ms"));
    let ids = users(600);
    stage.write("ids.txt", list(&ids));
    let line = "run ids.txt --yes --resume --only-locked --include-admin-locked -c 4 --rate 200/s";
    let n_gets = || stage.sandbox().stats().n_gets;
    let mut rng = fastrand::Rng::with_seed(SEED);
    let mut n_in_look_ups = 0;
    for n_kills in 0..N_KILLS {
        let (n_posts_before, n_gets_before) = (stage.n_posts(), n_gets());
        let mut running = stage.spawn(line);
        // Some are killed during the first look-ups, some at any other time.
        if n_kills % 2 == 0 {
            wait_until("it looks up", || n_gets() > n_gets_before || !running.is_alive());
        } else {
            thread::sleep(Duration::from_millis(rng.u64(0..250)));
        }
        if running.is_alive() {
            running.signal("KILL");
        }
        let is_killed = running.wait().code.is_none();
        let in_look_up = n_gets() > n_gets_before && stage.n_posts() == n_posts_before;
        n_in_look_ups += usize::from(is_killed && in_look_up);
    }
    assert!(n_in_look_ups > 0, "at least one was killed while it looked users up");
    stage.run(line).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    assert!(ids.iter().all(|id| !stage.sandbox().is_locked(id)));
    let n_again: usize = stage.posts().into_values().map(|n_calls| n_calls - 1).sum();
    assert!(n_again <= N_KILLS * 4, "{n_again} calls were made again");
    let n_look_ups = usize::try_from(n_gets()).unwrap();
    assert!(n_look_ups <= (N_KILLS + 1) * 6, "six look-ups each time at most: {n_look_ups}");
}

#[test]
fn a_torn_row_is_removed_reported_and_repeated() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(20);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    let rows = stage.read("ids.results.csv");
    stage.write("ids.results.csv", &rows[..rows.len() - 25]);
    stage
        .run(&format!("run ids.txt --yes --resume {FAST}"))
        .exits_with(0)
        .prints("19 rows recorded")
        .prints("Removed an incomplete row");
    stage.check_one_row_each("ids.results.csv", &ids);
    assert_eq!(stage.n_posts(), 21);
}

#[test]
fn a_hole_left_by_a_power_cut_costs_only_the_rows_after_it() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(20);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    let mut rows = fs::read(stage.path("ids.results.csv")).unwrap();
    let half = rows.len() / 2;
    rows[half..].fill(0);
    stage.write("ids.results.csv", rows);
    stage
        .run(&format!("run ids.txt --yes --resume {FAST}"))
        .exits_with(0)
        .prints("Removed an incomplete row");
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn resume_restarts_a_file_cut_off_in_its_header() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(5);
    stage.write("ids.txt", list(&ids));
    for torn in ["", "line,input,user_id,outc"] {
        stage.write("ids.results.csv", torn);
        stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
        stage.check_one_row_each("ids.results.csv", &ids);
        fs::remove_file(stage.path("ids.results.manifest.json")).unwrap();
    }
}

#[test]
fn resume_without_a_file_starts_a_new_one() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(5);
    stage.write("ids.txt", list(&ids));
    stage
        .run(&format!("run ids.txt --yes --resume {FAST}"))
        .exits_with(0)
        .prints("ids.results.csv does not exist yet");
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn resume_of_a_finished_run_sends_no_request() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(5)));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    let rows = stage.read("ids.results.csv");
    stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    assert_eq!(stage.read("ids.results.csv"), rows);
    assert_eq!(stage.n_posts(), 5);
}

#[test]
fn resume_reports_an_edited_input_and_matches_it_by_user() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(12);
    stage.write("ids.txt", list(&ids[..8]));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    let mut edited = ids[4..].to_vec();
    edited.reverse();
    stage.write("ids.txt", list(&edited));
    stage
        .run(&format!("run ids.txt --yes --resume {FAST}"))
        .exits_with(0)
        .prints("the input has changed since");
    stage.check_one_row_each("ids.results.csv", &ids);
    assert!(stage.posts().into_values().all(|n_calls| n_calls == 1), "no user was called twice");
}

/// The server counts the requests of both runs in its window.
#[test]
fn a_resumed_run_shares_the_quota_with_the_earlier_run() {
    for signal in ["INT", "KILL"] {
        let config = slow_config("10ms..30ms").quota("20/4s".parse().ok());
        let stage = Stage::with_sandbox(config);
        stage.write("ids.txt", list(&users(40)));
        let line = "run ids.txt --yes -c 4 --quota 20/4s --quota-share 100%";
        let running = stage.spawn(line);
        wait_until("some are done", || stage.n_rows("ids.results.csv") > 12);
        running.signal(signal);
        running.wait();
        stage.run(&format!("{line} --resume")).exits_with(0);
        stage.check_one_row_each("ids.results.csv", &users(40));
        assert_eq!(stage.sandbox().stats().by_status.get(&429), None, "after {signal}");
    }
}

/// The results have no row for a request that was in flight when the run was killed.
#[test]
fn interrupted_requests_count_in_the_window_of_the_resumed_run() {
    for_each_in_parallel([["INT", "INT"], ["KILL", "KILL"]], |signals| {
        let config = slow_config("1s").quota("20/3s".parse().ok());
        let stage = Stage::with_sandbox(config);
        stage.write("ids.txt", list(&users(24)));
        let line = "run ids.txt --yes -c 16 --quota 20/3s --quota-share 100%";
        let running = stage.spawn_with_stderr_in_file(line);
        wait_until("all workers wait", || stage.n_posts() == 16);
        running.signal(signals[0]);
        if signals[1] == "INT" {
            stage.wait_for_stderr("Stopping: waiting for requests in flight");
            running.signal(signals[1]);
        }
        running.wait();
        stage.run(&format!("{line} --resume")).exits_with(0);
        stage.check_one_row_each("ids.results.csv", &users(24));
        assert_eq!(stage.sandbox().stats().by_status.get(&429), None, "after {signals:?}");
    });
}

#[test]
fn resume_refuses_files_that_do_not_match() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(3);
    stage.write("ids.csv", format!("user_id,team\n{}", list(&ids).replace('\n', ",red\n")));
    let refused = |content: &str, flags: &str, code, text: &str| {
        stage.write("out.csv", content);
        stage
            .run(&format!("run ids.csv --yes -o out.csv --resume {flags}"))
            .exits_with(code)
            .prints(text);
        assert_eq!(stage.read("out.csv"), content);
    };
    stage.run(&format!("run ids.csv --yes -o done.csv {FAST}")).exits_with(0);
    let done = stage.read("done.csv");
    let n_posts = stage.n_posts();

    refused("a,b\n1,2\n", "", 6, "out.csv is not a bulk-unlock results file");
    refused("just some text, which must not be lost", "", 6, "out.csv");
    refused(&done, "--carry team", 6, "use the same --carry");
    refused(&done.replacen('\n', ",some_new_column\n", 1), "", 6, "some_new_column");
    let (header, rows) = done.split_once('\n').unwrap();
    let not_a_row = format!("{header}\nwhat is this\n{rows}");
    refused(&not_a_row, "", 6, "out.csv:2");
    stage.run(&format!("plan ids.csv -o plan.csv {FAST}")).exits_with(0);
    let line = "run ids.csv --yes -o plan.csv --resume";
    stage.run(line).exits_with(6).prints("plan.csv was written by `plan`, not by `run`");
    assert_eq!(stage.n_posts(), n_posts);
}

/// All rows of a file are of one kind, and what was redacted stays redacted.
#[test]
fn resume_refuses_settings_that_change_the_kind_of_rows() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(6)));
    let begin = format!("run ids.txt --yes --limit 3 --redact last_name,first_name {FAST}");
    stage.run(&begin).exits_with(0);
    let rows = stage.read("ids.results.csv");
    let go_on = format!("run ids.txt --yes --resume {FAST}");
    for (flags, message) in [
        ("", "--by user-id --snapshot full --redact first_name,last_name"),
        ("--redact first_name,last_name --snapshot none", "this command has --by user-id --snap"),
        (
            "--redact first_name,last_name --by email --lenient",
            "--by email --snapshot full --redact",
        ),
    ] {
        stage
            .run(&format!("{go_on} {flags}"))
            .exits_with(6)
            .prints(message)
            .prints("use the same flags");
    }
    let manifest = stage.read("ids.results.manifest.json");
    let newer = manifest.replacen("\"schema_version\": 1", "\"schema_version\": 2", 1);
    stage.write("ids.results.manifest.json", newer);
    let flags = "--redact first_name,last_name";
    stage.run(&format!("{go_on} {flags}")).prints("written by a later version").exits_with(6);
    assert_eq!((stage.read("ids.results.csv"), stage.n_posts()), (rows, 3));

    stage.write("ids.results.manifest.json", manifest);
    stage.run(&format!("{go_on} {flags}")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &users(6));
}

#[test]
fn retry_failed_refuses_results_of_another_instance() {
    let mut stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    stage.set("CLERK_SECRET_KEY", "sk_live_another_instance_altogether");
    let line = "run ids.results.csv --retry-failed --yes -o again.csv";
    stage.run(line).exits_with(2).prints("was made for the development instance");
    assert_eq!(stage.n_posts(), 3);
}

/// Two rows with one line and one user, but different times, are not copies.
#[test]
fn a_run_with_a_reordered_input_is_resumed_repeatedly() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(2);
    stage.write("ids.txt", format!("{}\n{}\n", ids[0], ids[1]));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    stage.write("ids.txt", format!("{1}\n{1}\n{0}\n", ids[0], ids[1]));
    for _ in 0..3 {
        stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    }
    assert_eq!((stage.rows("ids.results.csv").len(), stage.n_posts()), (3, 2));
}

#[test]
fn retry_failed_by_email_keeps_the_email() {
    let stage = Stage::with_quick_sandbox();
    let emails: Vec<String> = locked_users(2).iter().map(|id| stage.emails(id).remove(0)).collect();
    stage.write("who.csv", format!("email\n{}\n", emails.join("\n")));
    stage.sandbox().set_mode(Mode::AllStatus(503));
    stage.run(&format!("run who.csv --by email --yes --max-retries 0 {FAST}")).exits_with(1);
    stage.check_all_outcomes("who.results.csv", "failed");
    stage.sandbox().set_mode(Mode::Normal);
    let again = "run who.results.csv --retry-failed --yes -o again.csv";
    stage.run(&format!("{again} {FAST}")).exits_with(0);
    assert_eq!(stage.column("again.csv", "input"), emails);
}

/// After a hole that a power cut left: the run is resumed, and no byte of the file is lost.
#[test]
fn a_file_damaged_in_the_middle_is_cut_there_and_the_rest_is_kept() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(9)));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    let whole = stage.read("ids.results.csv");
    let damaged = whole.replacen("\n4,", "\n\0,", 1);
    stage.write("ids.results.csv", &damaged);
    let ended = stage.run(&format!("run ids.txt --yes --resume {FAST}")).exits_with(0);
    ended.prints("is damaged in the middle").prints("moved to ids.results.csv.cut");
    stage.check_one_row_each("ids.results.csv", &users(9));
    let (_, behind) = damaged.split_once('\0').expect("the damage");
    assert_eq!(stage.read("ids.results.csv.cut"), format!("\0{behind}"));
}

#[test]
fn resume_refuses_a_file_of_another_instance() {
    let mut stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    let rows = stage.read("ids.results.csv");
    stage.set("CLERK_SECRET_KEY", "sk_live_another_instance_altogether");
    stage
        .run("run ids.txt --yes --resume")
        .exits_with(2)
        .prints("was made for the development instance");
    assert_eq!(stage.read("ids.results.csv"), rows);
    assert_eq!(stage.n_posts(), 3);
}

#[test]
fn retry_failed_calls_only_users_who_may_yet_succeed() {
    let ids = users(6);
    let faults = [
        (&ids[1], vec![Scripted::status(500); 2]),
        (&ids[2], vec![Scripted::Fault(FaultKind::StillLocked); 2]),
        (&ids[3], vec![Scripted::status(422)]),
    ];
    let script: Script =
        faults.into_iter().map(|(id, answers)| (id.clone(), answers.into())).collect();
    let stage = Stage::with_sandbox(SandboxConfig::default().script(script).log_requests(true));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes --max-retries 1 {FAST}")).exits_with(1);
    assert_eq!(
        stage.column("ids.results.csv", "outcome"),
        ["unlocked", "failed", "still_locked", "rejected", "unlocked", "unlocked"]
    );
    stage
        .run(&format!("run ids.results.csv --retry-failed --yes -o again.csv {FAST}"))
        .exits_with(0);
    stage.check_one_row_each("again.csv", &ids[1..3]);
    stage.check_all_outcomes("again.csv", "unlocked");
}
