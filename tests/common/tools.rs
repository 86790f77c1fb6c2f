//! System tools that some tests need.

#![allow(clippy::print_stdout, reason = "a skipped test prints why")]

use std::env;
use std::process::{Command, Stdio};

/// Whether a tool is installed. A missing tool fails the test in CI; elsewhere the test is skipped.
#[track_caller]
pub fn is_installed(tool: &str) -> bool {
    let is_found = succeeds(&[tool, "--version"]);
    if !is_found {
        assert!(env::var_os("CI").is_none_or(|it| it != "true"), "CI has no `{tool}`");
        println!("note: skipped, as `{tool}` is not installed");
    }
    is_found
}

/// The command that starts a shell in its own mount namespace: as any user, or as root where user
/// namespaces are disabled. `None` where neither is permitted, as in an unprivileged container.
#[track_caller]
pub fn own_mounts() -> Option<[&'static str; 2]> {
    const MOUNT: [&str; 7] = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"];
    if !is_installed("unshare") || !is_installed("mount") {
        return None;
    }
    let commands = [["unshare", "-rm"], ["unshare", "-m"]];
    let command = commands.into_iter().find(|command| succeeds(&[&command[..], &MOUNT].concat()));
    if command.is_none() {
        println!("note: skipped, as mounts are not permitted");
    }
    command
}

fn succeeds(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
