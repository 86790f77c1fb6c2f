//! The definition of the command line, and the commands of the samples, which the real parser reads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use clap::ArgAction;

use super::args::command;
use super::help;

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
fn command_line_is_consistent() {
    command().debug_assert();
}

#[test]
fn every_command_has_examples_and_exit_codes() {
    let command = command();
    let names: BTreeSet<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(names, help::COMMANDS.iter().map(|it| it.command).collect());
}

#[test]
fn flag_help_is_a_sentence_without_full_stop() {
    for (command, arg) in flags() {
        let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let name = format!("{command} {}", arg.get_id());
        assert!(help.starts_with(|c: char| c.is_uppercase()), "{name}: {help:?}");
        assert!(!help.ends_with('.'), "{name}: {help:?}");
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

fn samples() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    let engines = ["kubernetes", "systemd", "github", "cron"].map(|name| directory.join(name));
    let entries = engines.iter().flat_map(|path| fs::read_dir(path).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The command lines of a sample, as words.
fn commands(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    if path.parent().unwrap().ends_with("kubernetes") {
        return vec![container_command(&text)];
    }
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let text = lines.collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let text = text.replace("%%", "%");
    text.lines().filter_map(shell_command).collect()
}

/// The arguments of the container in a Kubernetes manifest.
fn container_command(text: &str) -> Vec<String> {
    let document: serde_json::Value = serde_norway::from_str(text).unwrap();
    let pods = ["/spec/template/spec", "/spec/jobTemplate/spec/template/spec"];
    let pod = pods.iter().find_map(|pointer| document.pointer(pointer)).unwrap();
    let args = serde_json::from_value(pod["containers"][0]["args"].clone()).unwrap();
    [vec!["bulk-unlock".to_owned()], args].concat()
}

/// The words from the program's name to the end of the simple command.
fn shell_command(line: &str) -> Option<Vec<String>> {
    let names: Vec<String> =
        command().get_subcommands().map(|it| format!("bulk-unlock {} ", it.get_name())).collect();
    let start = names.iter().find_map(|name| line.find(name.as_str()))?;
    let line = expanded(&line[start..]);
    let end = line.find(['|', ';', '>', '&', '\'']).unwrap_or(line.len());
    Some(shell_words::split(&line[..end]).unwrap())
}

/// With a value in place of each `$(command)` and each variable.
fn expanded(line: &str) -> String {
    let mut text = line.to_owned();
    while let Some(start) = text.find('$') {
        let rest = &text[start + 1..];
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let len = match rest.strip_prefix('(') {
            Some(_) => rest.find(')').unwrap() + 1,
            None => rest.find(|c| !is_name(c)).unwrap_or(rest.len()),
        };
        let value = if rest.starts_with("PLAN_SHA256") { "0".repeat(64) } else { "1".to_owned() };
        text.replace_range(start..=start + len, &value);
    }
    text
}

#[test]
fn parser_accepts_every_command_of_the_samples() {
    let mut n_commands = BTreeMap::new();
    for path in samples() {
        for words in commands(&path) {
            *n_commands
                .entry(path.file_name().unwrap().to_string_lossy().into_owned())
                .or_insert(0) += 1;
            let parsed = command().try_get_matches_from(&words);
            assert!(parsed.is_ok(), "{words:?}\n{}", parsed.unwrap_err());
        }
    }
    let expected = [
        ("bulk-unlock.service", 1),
        ("cronjob.yaml", 1),
        ("job.yaml", 1),
        ("unlock-nightly", 1),
        ("unlock.yml", 4),
    ];
    assert_eq!(n_commands, expected.map(|(name, n)| (name.to_owned(), n)).into());
}
