//! The command line: key, address, variables, confirmation, help, and sandbox.

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use bulk_unlock::sandbox::{Mode, Scripted};
use common::sample;
use common::{Running, Stage, list, users};

/// A run without a confirmation prompt, at a fast pace.
const RUN: &str = "run ids.csv --yes --quota 1000/1s";

/// A stage with a sandbox and a list of two users.
fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(2)));
    stage
}

/// A part of keys that must not appear in any output.
const SECRET: &str = "9vJq7TzXw2RkLmN4";

#[track_caller]
fn check_key_refused(key: &str, expected: &str) {
    let mut stage = stage();
    stage.set("CLERK_SECRET_KEY", key);
    let ended = stage.run_refused(RUN, 4).prints("CLERK_SECRET_KEY").prints(expected);
    ended.does_not_print(SECRET).does_not_print(&SECRET[..6]);
    stage.unset("CLERK_SECRET_KEY");
    stage.write("key", key);
    let ended = stage.run_refused(&format!("{RUN} --secret-key-file key"), 4).prints(expected);
    ended.does_not_print(SECRET).does_not_print(&SECRET[..6]);
}

#[test]
fn missing_key_error_names_the_ways_to_set_one_and_the_sandbox() {
    let mut stage = stage();
    stage.unset("CLERK_SECRET_KEY");
    let ended = stage.run_refused(RUN, 4).prints("CLERK_SECRET_KEY");
    ended.prints("--secret-key-file").prints("--sandbox").prints("sk_live_");
}

#[test]
fn malformed_key_is_refused_and_not_shown() {
    check_key_refused(&format!("pk_live_{SECRET}"), "publishable key");
    check_key_refused(&format!("sk_live_{SECRET} {SECRET}"), "white space");
    check_key_refused(&format!("sk_live_{SECRET}\n{SECRET}"), "white space");
    check_key_refused(&format!("sk_live_{SECRET}\u{7}{SECRET}"), "not allowed in a key");
    check_key_refused(&format!("sk_live_{SECRET}é"), "not allowed in a key");
    check_key_refused(&format!("\"sk_live_{SECRET}\""), "quotes");
    check_key_refused(&format!("'sk_live_{SECRET}'"), "quotes");
    check_key_refused(&format!("CLERK_SECRET_KEY=sk_live_{SECRET}"), "NAME=");
    check_key_refused(&format!("export CLERK_SECRET_KEY=\"sk_live_{SECRET}\""), "NAME=");
    check_key_refused(&format!("key={SECRET}"), "NAME=");
    check_key_refused(&format!(" sk_live_{SECRET}"), "white space");
    check_key_refused("", "empty");
    check_key_refused(" \n", "empty");
    check_key_refused("sk_live_", "ends after its prefix");
}

#[test]
fn key_file_may_end_with_a_line_break() {
    let mut stage = stage();
    stage.unset("CLERK_SECRET_KEY");
    stage.write("key", format!("{}\n", stage.sandbox().key()));
    stage.run(&format!("{RUN} --secret-key-file key")).exits_with(0);
    let ended = stage.run_refused(&format!("{RUN} -o o.csv --secret-key-file nowhere"), 4);
    ended.prints("nowhere").prints("No such file");
    stage.run_refused(&format!("{RUN} -o o.csv --secret-key-file -"), 4);
}

#[test]
fn key_with_unknown_prefix_causes_a_warning() {
    let mut stage = stage();
    stage.set("CLERK_SECRET_KEY", &format!("ak_{SECRET}"));
    let ended = stage.run(RUN).exits_with(4).prints("warning: the key starts with neither");
    let ended = ended.does_not_print(SECRET);
    assert!(ended.stderr.contains("the API refused the key …LmN4"), "{}", ended.stderr);
}

/// The first line on stderr of a run with this key in the variable, and a key file that others can
/// read.
#[cfg(unix)]
#[track_caller]
fn first_line(line: &str, key: Option<&str>) -> String {
    let mut stage = stage();
    stage.unset("CLERK_SECRET_KEY");
    if let Some(key) = key {
        stage.set("CLERK_SECRET_KEY", key);
    }
    let path = stage.write("key", stage.sandbox().key());
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(path, open).expect("permissions");
    let ended = stage.run(&format!("{RUN} {line}"));
    ended.stderr.lines().next().unwrap_or_default().to_owned()
}

#[cfg(unix)]
#[test]
fn messages_about_keys_and_addresses() {
    insta::assert_snapshot!(first_line("", None), @"error: no secret key: set CLERK_SECRET_KEY, or give --secret-key-file PATH or --secret-key-command CMD. The key is in Clerk's dashboard under API keys and starts with sk_live_ or sk_test_. To try this program without a key or an account, add --sandbox");
    insta::assert_snapshot!(first_line("", Some("pk_live_x")), @"error: CLERK_SECRET_KEY: this is a publishable key (pk_…), which cannot unlock users; use the secret key, which is next to it in Clerk's dashboard and starts with sk_live_ or sk_test_");
    insta::assert_snapshot!(first_line("", Some(&format!("ak_{SECRET}"))), @"warning: the key starts with neither sk_live_ nor sk_test_; it is handled with the care of a production key and the quota of a development key");
    insta::assert_snapshot!(first_line("--secret-key-file key", None), @"warning: others can read the secret key file key; chmod 600 key keeps it to its owner");
    insta::assert_snapshot!(first_line("--secret-key-file nowhere", None), @"error: cannot read the secret key file nowhere: No such file or directory (os error 2)");
    insta::assert_snapshot!(first_line("--secret-key-file ids.csv", None), @"error: the secret key file ids.csv does not hold a secret key: the secret key contains white space; copy only the key");
    insta::assert_snapshot!(first_line("--secret-key-file -", None), @"error: the secret key cannot be read from stdin (-); name a file, or set CLERK_SECRET_KEY");
    let key = Some("sk_test_0123456789abcdef");
    insta::assert_snapshot!(first_line("--api-url http://clerk.test", key), @"error: the API's address (--api-url, CLERK_API_URL): the API address is http:, which would send the secret key unencrypted; use https:, or add --allow-http if you trust the network");
    let flags = "--api-url http://0.0.0.0:1 --allow-http --max-retries 0";
    insta::assert_snapshot!(first_line(flags, key), @"warning: the address is http: the secret key travels in the clear");
}

#[test]
fn key_appears_in_no_file_and_no_output() {
    let mut stage = stage();
    let key = stage.sandbox().key().to_owned();
    let tail = key.trim_start_matches("sk_test_").to_owned();
    let ended = stage.run(&format!("{RUN} -vv --json")).exits_with(0);
    assert!(!ended.stderr.contains(&tail) && !ended.stdout.contains(&tail));
    stage.set("CLERK_SECRET_KEY", &format!("sk_test_{SECRET}"));
    let ended = stage.run(&format!("{RUN} -vv --json --force")).exits_with(4);
    assert!(!ended.stderr.contains(SECRET) && !ended.stdout.contains(SECRET));
    for name in stage.files() {
        let text = stage.read(&name);
        assert!(!text.contains(&tail) && !text.contains(SECRET), "{name}");
    }
}

#[test]
fn key_refused_by_the_server_stops_the_run() {
    let stage = stage();
    stage.sandbox().set_mode(Mode::Revoked);
    stage.run(RUN).exits_with(4).prints("401").prints("sk_test_…").prints(" at 127.0.0.1:");
    assert_eq!((stage.files(), stage.n_requests()), (vec!["ids.csv".to_owned()], 1));
}

#[test]
fn address_may_end_with_v1_and_a_slash() {
    let mut stage = stage();
    let url = stage.sandbox().url();
    for end in ["", "/", "/v1", "/v1/"] {
        stage.set("CLERK_API_URL", &format!("{url}{end}"));
        stage.run(&format!("{RUN} --force")).exits_with(0);
    }
    let paths = stage.sandbox().requests();
    assert!(paths.iter().all(|it| it.path_and_query.starts_with("/v1/users/user_")));
    assert_eq!(paths.len(), 8);
    // The flag takes precedence over the variable.
    stage.set("CLERK_API_URL", "http://127.0.0.1:1");
    stage.run(&format!("{RUN} --force --api-url {url}")).exits_with(0);
}

#[test]
fn unsafe_or_malformed_address_is_refused() {
    let mut stage = stage();
    let mut check = |url: &str, expected: &str| {
        stage.set("CLERK_API_URL", url);
        stage.run_refused(RUN, 2).prints("address").prints(expected);
    };
    check("http://api.clerk.test", "unencrypted");
    check("http://127.0.0.1.example.test", "unencrypted");
    check("https://me:word@api.clerk.test", "user name or password");
    check("https://api.clerk.test/?x=1", "query");
    check("https://api.clerk.test/v2", "path other than /v1");
    check("api.clerk.test", "not an https: URL");
    check("ftp://api.clerk.test", "not an https: URL");
}

#[test]
fn key_in_place_of_the_address_is_not_shown() {
    let mut stage = stage();
    stage.set("CLERK_API_URL", &format!("sk_live_{SECRET}"));
    stage.run_refused(RUN, 2).does_not_print(SECRET);
}

#[test]
fn redirect_is_not_followed() {
    let id = users(1).remove(0);
    let elsewhere = Stage::with_quick_sandbox();
    let target = format!("{}/v1/users/{id}/unlock", elsewhere.sandbox().url());
    let response = Scripted::status(307).with_header("Location", &target);
    let stage = Stage::with_script([(id.clone(), [response].into())].into());
    stage.write("ids.csv", list(&[id]));
    stage.run(RUN).exits_with(1);
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 rejected"]);
    assert_eq!(elsewhere.n_requests(), 0);
}

#[test]
fn run_without_terminal_and_without_yes_is_refused() {
    let stage = stage();
    stage.run_refused("run ids.csv", 5).prints("no terminal").prints("--yes");
    stage.run("run ids.csv --sandbox --sandbox-latency 0ms").exits_with(0);
}

#[test]
fn flag_takes_precedence_over_its_variable() {
    let mut stage = stage();
    stage.set("BULK_UNLOCK_YES", "true");
    stage.set("BULK_UNLOCK_LIMIT", "1");
    stage.set("BULK_UNLOCK_QUOTA", "1000/1s");
    stage.run("run ids.csv").exits_with(0);
    assert_eq!(stage.rows("ids.results.csv").len(), 1);
    stage.run("run ids.csv --limit 2 --force").exits_with(0);
    assert_eq!(stage.rows("ids.results.csv").len(), 2);
    stage.set("BULK_UNLOCK_YES", "false");
    stage.run_refused("run ids.csv --force", 5);
    stage.set("BULK_UNLOCK_YES", "perhaps");
    stage.run_refused("run ids.csv --force", 2);
    stage.unset("BULK_UNLOCK_YES");
    stage.set("BULK_UNLOCK_LIMIT", "some");
    stage.run_refused("run ids.csv --yes --force", 2).prints("some");
}

#[test]
fn flag_replaces_conflicting_variable_that_restricts_nothing() {
    let mut stage = stage();
    let mut check = |name: &str, value: &str, flags: &str| {
        stage.set(name, value);
        stage.run(&format!("run ids.csv --yes {flags}")).exits_with(0);
        stage.unset(name);
    };
    check("BULK_UNLOCK_FORCE", "true", "--resume");
    check("BULK_UNLOCK_QUIET", "true", "-v --force");
    check("BULK_UNLOCK_COLUMN", "none", "--column 1 --force");
    check("BULK_UNLOCK_API_URL", "http://127.0.0.1:1", "--sandbox --sandbox-latency 0ms --force");
}

#[test]
fn conflict_of_flag_and_restricting_variable_is_refused() {
    let mut stage = stage();
    stage.run("plan ids.csv").exits_with(0);
    let mut check = |name: &str, value: &str, line: &str| {
        let name = format!("BULK_UNLOCK_{name}");
        stage.set(&name, value);
        stage.run_refused(line, 2).prints(&name).prints("cannot be used with");
        stage.unset(&name);
    };
    for (name, value) in [
        ("DRY_RUN", "true"),
        ("LIMIT", "1"),
        ("SKIP", "1"),
        ("COLUMN", "id"),
        ("BY", "email"),
        ("CARRY", "all"),
        ("MAX_INPUT_AGE", "1h"),
        ("RETRY_FAILED", "true"),
    ] {
        check(name, value, "run --plan ids.plan.csv --yes");
    }
    check("PLAN", "ids.plan.csv", "run ids.csv --yes");
    check("QUOTA_SHARE", "1%", "run ids.csv --yes --rate 1000/s");
    check("QUOTA", "10/10s", "run ids.csv --yes --rate 1000/s");
    check("RATE", "1/h", "run ids.csv --yes --quota-share 100%");
    check("RESUME", "true", "run ids.csv --yes --force");
}

#[test]
fn misspelt_variable_is_an_error_with_a_suggestion() {
    let mut stage = stage();
    stage.set("BULK_UNLOCK_EXLUDE", "compromised.csv");
    let ended = stage.run_refused("run ids.csv --yes", 2);
    ended.prints("BULK_UNLOCK_EXLUDE").prints("did you mean BULK_UNLOCK_EXCLUDE?");
    stage.run_refused("report ids.csv", 2);
    stage.unset("BULK_UNLOCK_EXLUDE");
    stage.set("BULK_UNLOCK_SOMETHING_ELSE_ALTOGETHER", "1");
    stage
        .run_refused("run ids.csv --yes", 2)
        .prints("does not belong to a flag")
        .does_not_print("did you mean");
}

#[test]
fn false_variable_equals_an_unset_one() {
    let mut stage = stage();
    let url = stage.sandbox().url();
    for name in ["SANDBOX", "QUIET", "RESUME", "FORCE", "DRY_RUN", "RETRY_FAILED", "ONLY_LOCKED"] {
        stage.set(&format!("BULK_UNLOCK_{name}"), "false");
    }
    stage.run(&format!("{RUN} -v --api-url {url}")).exits_with(0);
    stage.run(&format!("{RUN} --resume")).exits_with(0);
    stage.run(&format!("{RUN} --force")).exits_with(0);
    assert_eq!(stage.n_requests(), 4);
}

#[test]
fn sandbox_variables_apply_only_with_sandbox() {
    let mut stage = stage();
    stage.set("BULK_UNLOCK_SANDBOX_LATENCY", "0ms");
    stage.set("BULK_UNLOCK_SANDBOX_USERS", "10");
    stage.run(RUN).exits_with(0);
    assert_eq!(stage.n_requests(), 2);
    stage.set("BULK_UNLOCK_SANDBOX", "true");
    stage.run(&format!("{RUN} --force")).exits_with(0);
    assert_eq!(stage.n_requests(), 2);
    // With the variable, a run never reaches a real instance.
    stage.run_refused(&format!("{RUN} --force --api-url {}", stage.sandbox().url()), 2);
}

#[test]
fn invalid_flags_and_values_are_refused() {
    let stage = stage();
    for flags in [
        "--frobnicate",
        "--quota 1000",
        "--quota-share 0%",
        "--rate fast",
        "--timeout 30",
        "--concurrency 0",
        "--max-fail 0",
        "--by telepathy",
        "--snapshot some",
        "--progress loud",
        "--limit -1",
        "--quiet --verbose",
        "--resume --force",
        "--sandbox-latency 0ms",
    ] {
        stage.run_refused(&format!("run ids.csv --yes {flags}"), 2);
    }
    stage.run_refused("", 2);
    stage.run_refused("unlock ids.csv", 2);
}

#[test]
fn sandbox_flags_without_sandbox_are_refused_also_with_an_address() {
    let mut stage = stage();
    let expected = "--sandbox-latency requires --sandbox";
    let url = stage.sandbox().url();
    stage
        .run_refused(&format!("{RUN} --sandbox-latency 0ms --api-url {url}"), 2)
        .prints(expected)
        .prints("Usage: bulk-unlock run ");
    stage.unset("CLERK_API_URL");
    stage.run_refused(&format!("{RUN} --sandbox-latency 0ms"), 2).prints(expected);
}

#[test]
fn conflict_names_only_the_variables_in_conflict() {
    let mut stage = stage();
    stage.set("BULK_UNLOCK_RATE", "1/h");
    stage.set("BULK_UNLOCK_MAX_USERS", "5");
    let ended = stage.run_refused("run ids.csv --yes --quota-share 100%", 2);
    ended.prints("Set in the environment: BULK_UNLOCK_RATE. ").does_not_print("MAX_USERS");
}

#[cfg(unix)]
#[test]
fn variable_that_is_not_utf8_is_named() {
    use std::os::unix::ffi::OsStrExt;
    let stage = stage();
    for name in ["BULK_UNLOCK_BY", "CLERK_API_URL"] {
        let mut command = stage.command(RUN);
        command.env(name, std::ffi::OsStr::from_bytes(b"\xff"));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(2));
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(stderr.contains(&format!("{name} is not UTF-8")), "{stderr}");
    }
}

#[test]
fn variable_holds_beside_an_input_whose_name_reads_like_its_flag() {
    let mut stage = stage();
    stage.write("--max-users=1", list(&users(2)));
    stage.set("BULK_UNLOCK_MAX_USERS", "1");
    stage.run_refused("run --yes -- --max-users=1", 2).prints("--max-users is 1");
    stage.unset("BULK_UNLOCK_MAX_USERS");
    stage.write("--dry-run", list(&users(2)));
    stage.set("BULK_UNLOCK_DRY_RUN", "true");
    stage.run("run --yes -o planned.csv -- --dry-run").exits_with(0).prints("Nothing was changed");
}

#[test]
fn max_users_and_expect_count_refuse_other_numbers() {
    let stage = stage();
    stage
        .run_refused(&format!("{RUN} --max-users 1"), 2)
        .prints("found 2 users")
        .prints("--max-users is 1");
    stage
        .run_refused(&format!("{RUN} --expect-count 3"), 2)
        .prints("found 2 users")
        .prints("--expect-count is 3");
    stage.run(&format!("{RUN} --max-users 2 --expect-count 2")).exits_with(0);
}

#[test]
fn help_and_version_go_to_stdout() {
    let stage = Stage::new();
    let version = stage.run("-V").exits_with(0);
    assert_eq!(version.stdout, format!("bulk-unlock {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(version.stderr, "");
    let help = stage.run("--help").exits_with(0);
    assert!(help.stdout.contains("BULK_UNLOCK_"));
}

/// The two lines that `sandbox` prints.
fn exports(child: &mut Running) -> Vec<String> {
    let stdout = child.take_stdout();
    BufReader::new(stdout).lines().take(2).map(|line| line.expect("a line")).collect()
}

#[test]
fn sandbox_prints_exports_and_serves_until_a_signal() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let mut stage = Stage::new();
        stage.write("ids.csv", list(&users(2)));
        let mut sandbox = stage.spawn("sandbox --port 0 --latency 0ms --quota none");
        let lines = exports(&mut sandbox);
        for line in &lines {
            let (name, value) = line.split_once('=').expect("a name and a value");
            stage.set(name, value);
        }
        assert!(lines[0].starts_with("CLERK_API_URL=http://127.0.0.1:"), "{lines:?}");
        assert!(lines[1].starts_with("CLERK_SECRET_KEY=sk_live_"), "{lines:?}");
        stage.run(RUN).exits_with(0);
        sandbox.signal(signal);
        let ended = sandbox.wait().exits_with(code);
        assert!(ended.stderr.contains("press Ctrl-C to stop"), "{}", ended.stderr);
    }
}

#[test]
fn sandbox_port_in_use_is_refused() {
    let taken = Stage::with_quick_sandbox();
    let port = taken.sandbox().addr().port();
    Stage::new()
        .run_refused(&format!("sandbox --port {port}"), 2)
        .prints(&format!("127.0.0.1:{port}"));
}

#[test]
fn embedded_sandbox_needs_neither_key_nor_confirmation() {
    let stage = Stage::new();
    for command in ["run", "plan"] {
        let line = format!("{command} {} --sandbox --sandbox-latency 0ms", sample("exclude.txt"));
        stage.run(&line).exits_with(0);
    }
    let manifest = stage.json("exclude.results.manifest.json");
    let of = ["instance", "host", "key"].map(|it| manifest[it].clone());
    assert_eq!(of, ["sandbox".into(), "sandbox".into(), serde_json::Value::Null]);
}

#[test]
fn closed_stdout_and_stderr_do_not_stop_a_run() {
    let stage = stage();
    let mut command = stage.command(RUN);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the program starts");
    drop(child.stderr.take());
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("the program ends").code(), Some(0));
    assert_eq!(stage.rows("ids.results.csv").len(), 2);
}
