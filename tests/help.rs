//! The help of every command, word by word; `run -h` stands in `terminal.rs`.

mod common;

use common::Stage;

/// What this asks for, on a terminal of a hundred columns: help goes to stdout and is no mistake.
#[track_caller]
fn check(line: &str) {
    let ended = Stage::new().run(line).exits_with(0);
    assert_eq!(ended.stderr, "", "{line}");
    insta::assert_snapshot!(line.replace(' ', "_"), ended.stdout);
}

#[test]
fn the_help_of_the_program_is_this() {
    check("-h");
    check("--help");
}

#[test]
fn the_short_help_of_each_command_is_this() {
    for command in ["plan", "locked", "verify", "report", "sandbox"] {
        check(&format!("{command} -h"));
    }
}

#[test]
fn the_long_help_of_each_command_is_this() {
    for command in ["run", "plan", "locked", "verify", "report", "sandbox"] {
        check(&format!("{command} --help"));
    }
}

#[test]
fn without_a_command_the_help_is_shown_as_a_mistake() {
    let ended = Stage::new().run("").exits_with(2);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr, Stage::new().run("-h").stdout);
}
