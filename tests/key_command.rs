//! `--secret-key-command`: reads the key from the output of a program.

#![cfg(unix)]

mod common;

use bulk_unlock::sandbox::SandboxConfig;
use common::watch::FAST;
use common::{Stage, list, locked_users};

const KEY: &str = "sk_test_0123456789abcdefghijklmnopqrstuvwxyzKEY1";

/// A stage whose server accepts one key, which is not in the environment.
fn stage() -> Stage {
    let config = SandboxConfig::default().key(KEY).log_requests(true);
    let mut stage = Stage::with_sandbox(config);
    stage.unset("CLERK_SECRET_KEY");
    stage.write("ids.txt", list(&locked_users(2)));
    stage.write("key", format!("  {KEY}\t\nsecond line\n"));
    stage
}

#[test]
fn every_command_that_calls_the_api_accepts_a_key_command() {
    let stage = stage();
    let key = "--secret-key-command 'cat key'";
    for line in [
        "plan ids.txt",
        "run ids.txt --only-locked --yes",
        "verify ids.results.csv",
        "relock ids.results.csv --yes",
        "locked -o locked.csv",
    ] {
        stage.run(&format!("{line} {key} {FAST}")).exits_with(0);
    }
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["key"], "sk_test_…KEY1");
    assert_eq!(manifest["settings"]["secret_key_command"], "cat key");
}

#[test]
fn key_command_replaces_the_variable_and_conflicts_with_the_file() {
    let mut stage = stage();
    stage.set("CLERK_SECRET_KEY", "sk_test_a_key_that_is_not_the_right_one");
    let line = format!("plan ids.txt {FAST}");
    stage.run(&format!("{line} --secret-key-command 'cat key'")).exits_with(0);
    let both = format!("{line} --secret-key-file key --secret-key-command 'cat key'");
    stage.run_refused(&both, 2).prints("cannot be used with");
    stage.set("BULK_UNLOCK_SECRET_KEY_COMMAND", "cat key");
    stage.run(&format!("{line} --force")).exits_with(0);
    stage.set("BULK_UNLOCK_SECRET_KEY_FILE", "key");
    stage.run_refused(&format!("{line} --force"), 2).prints("cannot be used with");
}

#[test]
fn check_names_the_key_command_as_the_source_of_the_key() {
    let mut stage = stage();
    stage.set("CLERK_SECRET_KEY", "sk_test_a_key_that_is_not_the_right_one");
    let ended = stage.run("check -v --secret-key-command 'cat key'").exits_with(0);
    let expected = "sk_test_…KEY1 (development), from --secret-key-command cat\n";
    assert!(ended.stdout.contains(expected), "{}", ended.stdout);
    ended.does_not_print("setting CLERK_SECRET_KEY");
}

#[test]
fn key_command_runs_without_a_shell_and_inherits_the_environment() {
    let mut stage = stage();
    stage.set("VAULT", KEY);
    let line = format!("plan ids.txt {FAST}");
    let ended = stage.run(&format!("{line} --secret-key-command 'echo $VAULT'")).exits_with(4);
    ended.prints("the API refused").does_not_print(KEY);
    stage.run(&format!("{line} --secret-key-command 'printenv VAULT'")).exits_with(0);
}

#[test]
fn failed_key_command_is_named_without_its_output() {
    let stage = stage();
    for (command, expected) in [
        ("sh -c \"cat key; exit 7\"", "--secret-key-command: sh failed: exit status: 7"),
        ("true", "true printed is not a secret key: the secret key is empty"),
        ("no-such-program", "cannot run no-such-program"),
        ("echo pk_test_0123456789", "publishable key"),
        ("echo not-a-key and-more", "contains white space"),
    ] {
        let line = format!("plan ids.txt {FAST} --secret-key-command '{command}'");
        let ended = stage.run_refused(&line, 4).prints(expected);
        ended.does_not_print(KEY).does_not_print("0123456789").does_not_print("and-more");
    }
    let line = format!("plan ids.txt {FAST} --secret-key-command \"cat 'key\"");
    stage.run_refused(&line, 2).prints("missing closing quote");
}

#[test]
fn key_command_keeps_stderr_and_has_no_stdin() {
    let stage = stage();
    let command = "--secret-key-command 'sh -c \"cat; echo touch the device >&2; cat key\"'";
    let line = format!("plan {command} {FAST}");
    let ended = stage.pipe(list(&locked_users(3)), &line).exits_with(0);
    ended.prints("touch the device").does_not_print(KEY);
    assert_eq!(stage.rows("stdin.plan.csv").len(), 3);
}

#[test]
fn key_of_the_command_is_masked_everywhere() {
    let stage = stage();
    let line = format!("run ids.txt --yes --secret-key-command 'echo {KEY}' --reason {KEY} {FAST}");
    let ended = stage.run(&line).exits_with(0);
    ended.does_not_print(KEY);
    for name in stage.files().iter().filter(|name| *name != "key") {
        assert!(!stage.read(name).contains(KEY), "{name}");
    }
}
