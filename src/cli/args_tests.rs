use std::collections::BTreeSet;

use clap::ArgAction;

use super::*;

/// Every flag of every subcommand.
fn flags() -> Vec<(String, clap::Arg)> {
    let of = |command: &clap::Command| -> Vec<(String, clap::Arg)> {
        let name = command.get_name().to_owned();
        let is_ours = |arg: &&clap::Arg| !matches!(arg.get_long(), Some("help" | "version"));
        command.get_arguments().filter(is_ours).map(|arg| (name.clone(), arg.clone())).collect()
    };
    command().get_subcommands().flat_map(of).collect()
}

#[test]
fn the_command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_command_has_examples_and_exit_codes() {
    let command = command();
    let names: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(names, help::COMMANDS.iter().map(|it| it.command).collect());
}

#[test]
fn every_flag_says_what_it_does_in_a_sentence_without_full_stop() {
    for (command, arg) in flags() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let name = format!("{command} {}", arg.get_id());
        assert!(help.starts_with(|c: char| c.is_uppercase()), "{name}: {help:?}");
        assert!(!help.ends_with('.'), "{name}: {help:?}");
    }
}

#[test]
fn every_flag_has_a_variable_named_after_it() {
    for (command, arg) in flags() {
        let Some(long) = arg.get_long() else { continue };
        let expected = format!("BULK_UNLOCK_{}", long.replace('-', "_").to_uppercase());
        let variable = arg.get_env().map(|name| name.to_string_lossy().into_owned());
        assert_eq!(variable, Some(expected), "{command} --{long}");
    }
}

#[test]
fn no_flag_takes_a_key() {
    for (command, arg) in flags() {
        let takes_value = matches!(arg.get_action(), ArgAction::Set | ArgAction::Append);
        let long = arg.get_long().unwrap_or_default();
        let is_place = matches!(long, "secret-key-file" | "secret-key-command");
        let is_key = long.contains("key") && !is_place;
        assert!(!(takes_value && is_key), "{command} --{long}");
    }
}
