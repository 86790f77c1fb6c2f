//! Tools of the system that some stories are played with.

#![allow(clippy::print_stdout, reason = "a story that is passed over says so")]

use std::env;
use std::process::{Command, Stdio};

/// Whether the tool is there. In CI it has to be; elsewhere its stories are passed over.
#[track_caller]
pub fn is_installed(tool: &str) -> bool {
    let is_there = succeeds(&[tool, "--version"]);
    if !is_there {
        assert!(env::var_os("CI").is_none_or(|it| it != "true"), "CI has no `{tool}`");
        println!("note: no `{tool}` here, so this was not tried");
    }
    is_there
}

/// What gives a shell a name space of its own, in which it may mount disks that end with it:
/// as anybody, or as root where name spaces of users are switched off. `None` where the machine
/// allows neither, as in a container without privileges.
#[track_caller]
pub fn own_mounts() -> Option<[&'static str; 2]> {
    const MOUNT: [&str; 7] = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", "/mnt"];
    if !is_installed("unshare") || !is_installed("mount") {
        return None;
    }
    let ways = [["unshare", "-rm"], ["unshare", "-m"]];
    let way = ways.into_iter().find(|way| succeeds(&[&way[..], &MOUNT].concat()));
    if way.is_none() {
        println!("note: this machine lets nobody mount a disk, so this was not tried");
    }
    way
}

fn succeeds(words: &[&str]) -> bool {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
