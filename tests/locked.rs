//! `locked`: the list of locked users.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bulk_unlock::sandbox::{Faults, LoggedRequest, Mode, SandboxConfig};
use common::population::{listed, locked_among, planned_outcomes};
use common::watch::{FAST, slow_config, wait_until};
use common::{Running, Stage};

const HEADER: &str = "user_id,username,email,external_id,first_name,last_name,locked,admin_locked,\
    lockout_expires_in_seconds,verification_attempts_remaining,banned,last_sign_in_at,created_at";

/// The rows of a CSV text, by column.
fn rows(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.expect("a row")).collect()
}

/// The users of a list, in which each must be once.
#[track_caller]
fn users_of(text: &str) -> BTreeSet<String> {
    let rows = rows(text);
    let users: BTreeSet<String> = rows.iter().map(|row| row["user_id"].clone()).collect();
    assert_eq!(users.len(), rows.len(), "each user once");
    users
}

#[test]
fn the_list_is_on_stdout_and_messages_on_stderr() {
    let stage = Stage::with_users(1_200);
    let ended = stage.run(&format!("locked {FAST}")).exits_with(0);
    assert_eq!(ended.stdout.lines().next(), Some(HEADER));
    assert_eq!(users_of(&ended.stdout), locked_among(&listed(0..1_200)));
    assert!(stage.files().is_empty());
    let stats = stage.sandbox().stats();
    assert_eq!((stats.n_requests, stats.n_gets), (1 + 3, 1 + 3), "a count and three pages");
    let said = ended.normalized_stderr();
    let (_, headline) = said.split_once('\n').expect("what comes first, and the headline");
    insta::assert_snapshot!(
        headline,
        @"1,014 of 1,200 users are locked: 36 locked on purpose, 68 with a lock that never expires."
    );
}

#[test]
fn variables_of_restrictions_that_locked_does_not_have_are_reported() {
    let mut stage = Stage::with_users(20);
    stage.write("ops.toml", "shard = \"1/2\"\n");
    let line = format!("locked --force -o locked.csv --config ops.toml {FAST}");
    stage.run(&line).exits_with(0).does_not_print("cannot apply");
    for (name, value) in [("EXCLUDE", "vip.txt"), ("LIMIT", "2"), ("SKIP_BANNED", "true")] {
        stage.set(&format!("BULK_UNLOCK_{name}"), value);
    }
    let ended = stage.run(&line).exits_with(0).prints(
        "`locked` has no --exclude, --limit and cannot apply BULK_UNLOCK_EXCLUDE, BULK_UNLOCK_LIMIT \
         to its list; unset variables that are not meant for the next command",
    );
    let plan = ended.printed_commands().pop().expect("a command");
    assert!(plan.starts_with("env -u BULK_UNLOCK_LIMIT -u BULK_UNLOCK_SKIP_BANNED "), "{plan}");
    assert!(plan.contains(" --exclude=vip.txt"), "{plan}");
}

#[test]
fn a_row_has_the_user_and_the_lock() {
    let stage = Stage::with_users(200);
    let ended = stage.run(&format!("locked --snapshot full -o - {FAST}")).exits_with(0);
    let plan = planned_outcomes(&listed(0..200));
    let mut kinds = BTreeSet::new();
    for row in rows(&ended.stdout).into_iter().step_by(7) {
        let user = stage.user(&row["user_id"].parse().expect("an id"));
        let is_on_purpose = plan[&row["user_id"]] == "admin_locked";
        assert_eq!(
            (row["locked"].as_str(), &row["admin_locked"]),
            ("true", &is_on_purpose.to_string())
        );
        for field in ["banned", "verification_attempts_remaining"] {
            assert_eq!(row[field], user[field].to_string(), "{field}");
        }
        for field in ["username", "external_id"] {
            assert_eq!(row[field], user[field].as_str().unwrap_or_default(), "{field}");
        }
        assert_eq!(row["email"], user["email_addresses"][0]["email_address"]);
        let expires = user["lockout_expires_in_seconds"].as_u64();
        assert_eq!(row["lockout_expires_in_seconds"].is_empty(), expires.is_none());
        assert!(row["created_at"].ends_with('Z') && row["created_at"].len() == 24, "{row:?}");
        let whole: serde_json::Value = serde_json::from_str(&row["user"]).expect("JSON");
        assert_eq!(whole["private_metadata"], user["private_metadata"]);
        kinds.insert((is_on_purpose, expires.is_some()));
    }
    assert!(kinds.len() > 1, "{kinds:?}");
}

#[test]
fn a_walk_in_several_stretches_with_faults_lists_each_locked_user_once() {
    let stage = Stage::with_sandbox(
        SandboxConfig::default().faults(Faults::mix(0.2)).n_users(12_000).log_requests(true),
    );
    let ended = stage.run(&format!("locked --snapshot summary {FAST}")).exits_with(0);
    assert_eq!(users_of(&ended.stdout), locked_among(&listed(0..12_000)));
    let requests = stage.sandbox().requests();
    let after = |query: &str| {
        query.split('&').find(|it| it.starts_with("created_at_after=")).map(str::to_owned)
    };
    let stretches: BTreeSet<_> = requests.iter().map(|it| after(&it.path_and_query)).collect();
    assert!(stretches.len() > 1, "{stretches:?}");
    assert!(requests.iter().all(|it| it.method == "GET"));
}

/// The stretch of each requested page: its bounds, without the cursor.
fn stretches(requests: &[LoggedRequest]) -> Vec<String> {
    let bounds = |query: &str| {
        let parts = query.split(['?', '&']).filter(|it| it.starts_with("created_at_"));
        parts.collect::<Vec<_>>().join("&")
    };
    let pages = requests.iter().filter(|it| it.path_and_query.contains("limit=500"));
    pages.map(|it| bounds(&it.path_and_query)).collect()
}

/// The maximum number of stretches with a request in flight, if each request takes this long.
fn most_in_flight(requests: &[LoggedRequest], latency: Duration) -> usize {
    let pages = requests.iter().filter(|it| it.path_and_query.contains("limit=500"));
    let pages: Vec<(&LoggedRequest, String)> = pages.zip(stretches(requests)).collect();
    let at_once = |moment: Instant| {
        let is_out =
            |request: &LoggedRequest| request.at <= moment && moment < request.at + latency;
        let out = pages.iter().filter(|(request, _)| is_out(request));
        out.map(|(_, stretch)| stretch).collect::<BTreeSet<_>>().len()
    };
    pages.iter().map(|(request, _)| at_once(request.at)).max().unwrap_or(0)
}

#[test]
fn from_15_000_users_on_three_stretches_are_walked_at_once_and_everybody_is_passed_once() {
    let stage = Stage::with_sandbox(slow_config("200ms").n_users(15_500));
    let ended = stage.run(&format!("locked --snapshot none {FAST}")).exits_with(0);
    assert_eq!(users_of(&ended.stdout), locked_among(&listed(0..15_500)));
    ended.prints(" of 15,500 users are locked");
    let requests = stage.sandbox().requests();
    assert_eq!(requests[0].path_and_query, "/v1/users/count");
    let different: BTreeSet<String> = stretches(&requests).into_iter().collect();
    assert_eq!(different.len(), 3, "{different:?}");
    let most = most_in_flight(&requests, Duration::from_millis(200));
    assert!(most > 1, "{most} at once");
}

#[test]
fn the_file_is_private_and_an_existing_one_is_kept_without_force() {
    let stage = Stage::with_users(50);
    stage.run(&format!("locked -o locked.csv {FAST}")).exits_with(0).prints("plan locked.csv");
    assert_eq!(stage.files(), ["locked.csv"]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = stage.path("locked.csv").metadata().expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let list = stage.read("locked.csv");
    assert_eq!(users_of(&list), locked_among(&listed(0..50)));
    stage.write("locked.csv", "precious\n");
    let line = format!("locked -o locked.csv {FAST}");
    let refused = stage.run_refused(&line, 6).prints("locked.csv already exists").prints("--force");
    refused.prints("name another file with --output").does_not_print("--resume");
    stage.run(&format!("{line} --force")).exits_with(0);
    assert_eq!(users_of(&stage.read("locked.csv")), users_of(&list));
    stage.run_refused(&format!("locked -o nowhere/locked.csv {FAST}"), 6);
}

#[test]
fn the_list_is_an_input_of_plan_and_run() {
    let stage = Stage::with_users(120);
    stage.run(&format!("locked -o locked.csv {FAST}")).exits_with(0);
    let ended = stage.run(&format!("plan locked.csv {FAST}")).exits_with(0);
    ended.prints("user IDs from column 1 (\"user_id\")");
    let mut expected = planned_outcomes(&listed(0..120));
    expected.retain(|_, plan| plan != "already_unlocked");
    assert_eq!(stage.outcomes_by_user("locked.plan.csv"), expected);
    let list = stage.read("locked.csv");
    stage.pipe(&list, &format!("run --only-locked --yes {FAST}")).exits_with(1);
    let left = stage.run(&format!("locked {FAST}")).exits_with(0);
    expected.retain(|_, plan| plan == "admin_locked");
    assert_eq!(users_of(&left.stdout), expected.into_keys().collect());
    // Another of its columns works too.
    stage.run(&format!("plan locked.csv --by email -o by-email.csv {FAST}")).exits_with(0);
    assert_eq!(stage.rows("by-email.csv").len(), rows(&list).len());
}

#[test]
fn an_interrupted_walk_leaves_no_list() {
    let config = slow_config("60ms").n_users(4_000);
    let stage = Stage::with_sandbox(config);
    stage.write("old.csv", "precious\n");
    for (line, signal, code) in [
        ("locked -o new.csv", "INT", 130),
        ("locked -o old.csv --force", "TERM", 143),
        ("locked", "INT", 130),
    ] {
        let n_before = stage.n_requests();
        let mut command = stage.command(&format!("{line} {FAST}"));
        command.stdout(Stdio::null());
        let walk = Running::start(command);
        wait_until("it walks", || stage.n_requests() > n_before + 2);
        walk.signal(signal);
        walk.wait().exits_with(code).prints("the list is incomplete");
        assert_eq!(stage.files(), ["old.csv"]);
        assert_eq!(stage.read("old.csv"), "precious\n");
    }
}

#[test]
fn a_walk_that_exceeds_max_duration_leaves_a_partial_list() {
    let stage = Stage::with_sandbox(slow_config("60ms").n_users(4_000));
    let ended = stage.run(&format!("locked -o new.csv {FAST} --max-duration 200ms"));
    ended.exits_with(3).prints("the list is incomplete").prints("found so far are in new.part.csv");
    assert_eq!(stage.files(), ["new.part.csv"]);
    let ended = stage.run(&format!("locked {FAST} --max-duration 200ms")).exits_with(3);
    assert_eq!(ended.stdout, "", "no list for the next command");
}

#[test]
fn a_page_that_cannot_be_read_makes_the_list_incomplete() {
    let stage = Stage::with_users(1_200);
    for (mode, code) in [
        (Mode::AllStatus(500), 3),
        (Mode::AllStatus(422), 3),
        (Mode::Refuse, 3),
        (Mode::Revoked, 4),
        (Mode::AllStatus(403), 4),
    ] {
        stage.sandbox().set_mode(mode);
        let ended = stage.run(&format!("locked -o new.csv {FAST} --max-retries 0"));
        assert_eq!(ended.code, Some(code), "{mode:?}: {}", ended.stderr);
        assert!(!stage.path("new.csv").exists());
        assert_eq!(stage.path("new.part.csv").exists(), code == 3);
        let _ = std::fs::remove_file(stage.path("new.part.csv"));
    }
}

/// The error of a walk in this mode, without the parts that vary.
#[track_caller]
fn refusal(mode: Mode, flags: &str) -> String {
    let stage = Stage::with_users(1_200);
    stage.sandbox().set_mode(mode);
    let ended = stage.run(&format!("locked -o new.csv {FAST} --max-retries 0 {flags}"));
    assert!(!stage.path("new.csv").exists(), "{mode:?}");
    ended.normalized_stderr()
}

#[test]
fn errors_of_an_incomplete_walk() {
    insta::assert_snapshot!(refusal(Mode::AllStatus(500), ""), @"
    Counting users first (127.0.0.1:PORT)
    warning: cannot count the users: Oops, an unexpected error occurred
    error: the list is incomplete: Oops, an unexpected error occurred (http_500); the 0 locked users found so far are in new.part.csv
    ");
    insta::assert_snapshot!(refusal(Mode::AllStatus(422), ""), @"
    Counting users first (127.0.0.1:PORT)
    warning: cannot count the users: The sandbox is set to refuse this.
    error: the list is incomplete: The sandbox is set to refuse this. (form_param_value_invalid); the 0 locked users found so far are in new.part.csv
    ");
    insta::assert_snapshot!(refusal(Mode::Revoked, ""), @"
    Counting users first (127.0.0.1:PORT)
    Stopping because the secret key was refused (401): waiting for requests in flight
    error: the API refused the key sk_test_…only at 127.0.0.1:PORT (401)
    ");
    insta::assert_snapshot!(refusal(Mode::AllStatus(403), ""), @"
    Counting users first (127.0.0.1:PORT)
    warning: cannot count the users: Unauthorized request
    error: the list is incomplete: Unauthorized request (authorization_invalid)
    ");
    let late = refusal(Mode::AllStatus(429), "--max-duration 100ms");
    let last = late.lines().last().unwrap_or_default();
    insta::assert_snapshot!(last, @"error: the list is incomplete: the walk was stopped (max_duration); the 0 locked users found so far are in new.part.csv");
}

#[test]
fn an_instance_without_users_has_an_empty_list() {
    let stage = Stage::with_users(0);
    let ended = stage.run(&format!("locked {FAST}")).exits_with(0);
    assert_eq!(ended.stdout, format!("{HEADER}\n"));
    ended.prints("0 of 0 users are locked");
}

#[test]
fn snapshot_and_redact_apply_to_the_list() {
    let stage = Stage::with_users(100);
    let run =
        |flags: &str| rows(&stage.run(&format!("locked {flags} {FAST}")).exits_with(0).stdout);
    for flags in ["", "--snapshot summary"] {
        let is_summary =
            |row: &BTreeMap<String, String>| !row.contains_key("user") && !row["email"].is_empty();
        assert!(run(flags).iter().all(is_summary), "{flags}");
    }
    let bare = run("--snapshot none");
    assert!(bare.iter().all(|row| !row.contains_key("user") && row["email"].is_empty()));
    assert!(bare.iter().all(|row| row["locked"] == "true"));
    let redacted = run("--snapshot full --redact email_addresses,private_metadata");
    assert!(redacted.iter().all(|row| row["email"] == "[redacted]"));
    let is_left_out = |row: &BTreeMap<String, String>| {
        let user: serde_json::Value = serde_json::from_str(&row["user"]).expect("JSON");
        let redacted = ["email_addresses", "private_metadata"].map(|field| user[field].as_str());
        redacted == [Some("[redacted]"); 2] && user["id"].is_string()
    };
    assert!(redacted.iter().all(is_left_out));
}

#[test]
fn the_walk_keeps_the_pace() {
    let stage = Stage::with_users(4_000);
    stage.run("locked --snapshot none --quota 5/1s --quota-share 100%").exits_with(0);
    let requests = stage.sandbox().requests();
    let most = bulk_unlock::sandbox::max_in_any(&requests, Duration::from_secs(1));
    assert_eq!((requests.len(), most <= 5), (9 + 1, true), "{most} in a second");
}

#[test]
fn locked_needs_no_key_with_the_sandbox() {
    let stage = Stage::new();
    let line = "locked --sandbox --sandbox-users 30 --sandbox-latency 0ms";
    let ended = stage.run(line).exits_with(0);
    assert_eq!(users_of(&ended.stdout), locked_among(&listed(0..30)));
    stage.run("locked").exits_with(4);
}

#[test]
fn a_closed_stdout_is_an_output_error() {
    let stage = Stage::with_sandbox(slow_config("30ms").n_users(4_000));
    let mut walk = stage.spawn(&format!("locked {FAST}"));
    drop(walk.take_stdout());
    walk.wait().exits_with(6).prints("standard output").does_not_print("resume");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_walk_and_a_new_walk_succeeds() {
    let stage = Stage::with_users(50);
    let full = std::fs::File::options().write(true).open("/dev/full").expect("a full device");
    let mut command = stage.command(&format!("locked {FAST}"));
    command.stdout(full);
    let ended = Running::start(command).wait().exits_with(6);
    ended.prints("Free some space, then run the same command again").does_not_print("--resume");
}

/// The printed command may be run by someone else.
#[test]
fn variables_with_consent_are_not_part_of_the_printed_command() {
    let mut stage = Stage::with_quick_sandbox();
    for name in ["YES", "LENIENT", "INCLUDE_ADMIN_LOCKED"] {
        stage.set(&format!("BULK_UNLOCK_{name}"), "true");
    }
    let ended = stage.run(&format!("locked -o locked.csv {FAST}")).exits_with(0);
    let ended = ended.prints(" plan locked.csv").does_not_print("--yes");
    ended.does_not_print("--lenient").does_not_print("--include-admin-locked");
}
