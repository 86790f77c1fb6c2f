//! The environment variables that stand for flags.

use std::ffi::{OsStr, OsString};

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// The prefix of the variables; the flag's long name in capitals follows.
const PREFIX: &str = "BULK_UNLOCK_";
const SANDBOX: &str = "sandbox";

/// Variables that restrict nothing: a flag that excludes them replaces them. All others are kept, so
/// that a conflict with a flag is an error: a guard must never be dropped in silence.
const REPLACEABLE: [&str; 6] =
    ["quiet", "verbose", "force", "api_url", "secret_key_file", "secret_key_command"];

/// The variable of a flag.
fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.replace('-', "_").to_uppercase())
}

/// Gives each flag its variable.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let long = arg.get_long().filter(|long| !matches!(*long, "help" | "version"));
        match long.map(variable) {
            Some(name) => arg.env(name).hide_env(true),
            None => arg,
        }
    })
}

/// A set variable that belongs to no flag: most likely a misspelt one.
pub(super) fn unknown(command: &Command) -> Option<String> {
    let flags = command.get_subcommands().flat_map(Command::get_arguments);
    let known: Vec<String> =
        flags.filter_map(Arg::get_env).map(|name| name.to_string_lossy().into_owned()).collect();
    let set = std::env::vars_os().map(|(name, _)| name);
    let mut ours: Vec<OsString> =
        set.filter(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes())).collect();
    ours.sort();
    let name = ours
        .iter()
        .map(|name| name.to_string_lossy())
        .find(|it| known.iter().all(|known| known != it))?;
    let distance = |other: &&String| strsim::damerau_levenshtein(&name, other);
    let near = known.iter().min_by_key(distance).filter(|it| distance(it) <= 4);
    let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Some(format!(
        "the environment variable {name} stands for no flag{hint}; correct or unset it, because a \
         misspelt guard would have no effect"
    ))
}

/// Takes away the variables that say nothing: switches that are `false`, settings of a sandbox that
/// is not used, and replaceable ones that a flag excludes.
///
/// clap checks conflicts of variables as it does of flags, and counts one that is `false` as given.
pub(super) fn without_idle(command: Command, arguments: &[OsString]) -> Command {
    let bare = command.clone().mut_subcommands(|it| it.mut_args(|arg| arg.env(Resettable::Reset)));
    // Errors are reported when the arguments are parsed in earnest.
    let Ok(matches) = bare.ignore_errors(true).try_get_matches_from(arguments) else {
        return command;
    };
    let Some((name, matches)) = matches.subcommand() else { return command };
    command.mut_subcommand(name, |command| {
        let given = Given { command: command.clone(), matches };
        command.mut_args(|arg| if given.is_idle(&arg) { arg.env(Resettable::Reset) } else { arg })
    })
}

/// The flags that were given as arguments.
struct Given<'a> {
    command: Command,
    matches: &'a ArgMatches,
}

impl Given<'_> {
    fn is_idle(&self, arg: &Arg) -> bool {
        is_false(arg) || self.is_without_sandbox(arg) || self.is_replaced(arg)
    }

    fn has(&self, arg: &Arg) -> bool {
        self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    }

    fn is_replaced(&self, arg: &Arg) -> bool {
        let conflicts = |one: &Arg, other: &Arg| {
            self.command.get_arg_conflicts_with(one).iter().any(|it| it.get_id() == other.get_id())
        };
        let mut given = self.command.get_arguments().filter(|it| self.has(it));
        REPLACEABLE.contains(&arg.get_id().as_str())
            && given.any(|it| conflicts(it, arg) || conflicts(arg, it))
    }

    fn is_without_sandbox(&self, arg: &Arg) -> bool {
        let is_sandbox = |it: &Arg| {
            it.get_id() == SANDBOX && (self.has(it) || value_of(it).is_some() && !is_false(it))
        };
        arg.get_id().as_str().starts_with("sandbox_")
            && !self.command.get_arguments().any(is_sandbox)
    }
}

fn value_of(arg: &Arg) -> Option<OsString> {
    arg.get_env().and_then(std::env::var_os)
}

fn is_false(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::SetTrue)
        && value_of(arg).is_some_and(|value| value == OsStr::new("false"))
}

/// What to add to clap's message about a conflict: it does not say that a flag is set by a variable.
pub(super) fn conflict_note(
    error: &clap::Error,
    command: &Command,
    arguments: &[OsString],
) -> String {
    if error.kind() != ErrorKind::ArgumentConflict {
        return String::new();
    }
    let is_given = |it: &&Command| arguments.iter().skip(1).any(|word| word == it.get_name());
    let Some(command) = command.get_subcommands().find(is_given) else {
        return String::new();
    };
    let set = command.get_arguments().filter(|arg| value_of(arg).is_some());
    let set: Vec<String> =
        set.filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned())).collect();
    if set.is_empty() {
        return String::new();
    }
    format!(
        "Set in the environment: {}. A variable is never overruled by another flag; unset it.\n",
        set.join(", ")
    )
}
