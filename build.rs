//! Records the commit and the build that `--version` prints.

#![allow(clippy::print_stdout, reason = "cargo reads the output of a build script")]

use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=BUILD_COMMIT");
    let commit = given().or_else(packaged).or_else(checked_out);
    let commit = commit.as_deref().and_then(|it| it.get(..12)).unwrap_or("unknown");
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    let [profile, target] = ["PROFILE", "TARGET"].map(|name| env::var(name).unwrap_or_default());
    let compiler = output(&env::var("RUSTC").unwrap_or_default(), &["--version"]);
    let compiler = compiler.unwrap_or_else(|| "unknown compiler".to_owned());
    println!("cargo::rustc-env=BUILD_KIND={profile}, {target}, {compiler}");
}

/// The commit that the caller names, where the sources come without a repository.
fn given() -> Option<String> {
    env::var("BUILD_COMMIT").ok().filter(|it| !it.is_empty())
}

/// The commit that `cargo package` has recorded.
fn packaged() -> Option<String> {
    let info = fs::read_to_string(".cargo_vcs_info.json").ok()?;
    let (_, rest) = info.split_once("\"sha1\": \"")?;
    rest.split('"').next().map(str::to_owned)
}

/// The commit of the repository whose top directory this is: a repository further up, into which
/// the sources were unpacked, is not theirs.
fn checked_out() -> Option<String> {
    let git = |words: &[&str]| output("git", words);
    if !git(&["rev-parse", "--show-prefix"])?.is_empty() {
        return None;
    }
    // A line is added to the log for each new commit. Without a log, as after a shallow clone in
    // CI, nobody builds a second time.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    if fs::exists(&log).is_ok_and(|it| it) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "HEAD"])
}

fn output(program: &str, words: &[&str]) -> Option<String> {
    let output = Command::new(program).args(words).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
