//! Runs the programs in `samples/library` against the sandbox.

mod common;

use std::path::PathBuf;
use std::process::Command;

use bulk_unlock::sandbox::SandboxConfig;
use common::population::listed;
use common::{Ended, Stage, locked_users, missing_user};

/// Runs an example. Cargo builds examples with the tests.
fn example(stage: &Stage, name: &str, arguments: &[&str]) -> Ended {
    let program = std::env::current_exe().expect("this test");
    let target = program.parent().and_then(|it| it.parent()).expect("the target directory");
    let path: PathBuf = target.join("examples").join(name);
    assert!(path.is_file(), "{} is not built", path.display());
    let plain = stage.command("");
    let mut command = Command::new(path);
    command.args(arguments).env_clear();
    for (name, value) in plain.get_envs() {
        value.map(|value| command.env(name, value));
    }
    Ended::of(name, &command.output().expect("the example starts"))
}

#[test]
fn unlock_unlocks_a_user() {
    let stage = Stage::with_quick_sandbox();
    let id = locked_users(1).remove(0);
    let ended = example(&stage, "unlock", &[id.as_str()]).exits_with(0);
    assert_eq!(ended.stdout, format!("{id} is locked: Some(false)\n"));
    assert!(!stage.sandbox().is_locked(&id));
    let missing = missing_user();
    let ended = example(&stage, "unlock", &[missing.as_str()]).exits_with(0);
    assert_eq!(ended.stdout, format!("{missing} does not exist\n"));
    example(&stage, "unlock", &["not-an-id"]).exits_with(1);
}

#[test]
fn lock_locks_users_by_email() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(2);
    for id in &ids {
        stage.unlock(id);
    }
    let emails: Vec<String> = ids.iter().map(|id| stage.emails(id).remove(0)).collect();
    let arguments: Vec<&str> = emails.iter().map(String::as_str).collect();
    let ended = example(&stage, "lock", &arguments).exits_with(0);
    assert_eq!(ended.stdout.matches(" is locked: Some(true)").count(), 2, "{}", ended.stdout);
    assert!(ids.iter().all(|id| stage.sandbox().is_locked(id)));
}

#[test]
fn locked_walks_the_instance() {
    let stage = Stage::with_sandbox(SandboxConfig::default().n_users(1_200));
    let ended = example(&stage, "locked", &["20000"]).exits_with(0);
    assert!(ended.stdout.starts_with("1200 users were created"), "{}", ended.stdout);
    let n_locked = listed(0..1_200).iter().filter(|id| stage.sandbox().is_locked(id)).count();
    let n_printed = ended.stdout.lines().filter(|line| line.ends_with(" is locked")).count();
    assert_eq!(n_printed, n_locked, "{}", ended.stdout);
}
