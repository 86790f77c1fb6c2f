//! The environment variables that stand for flags.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::config::Config;

/// The prefix of the variables; the flag's long name in capitals follows.
const PREFIX: &str = "BULK_UNLOCK_";
const SANDBOX: &str = "sandbox";

/// Variables that restrict nothing: a flag that excludes them replaces them. All others are kept, so
/// that a conflict with a flag is an error: a guard must never be dropped in silence.
const REPLACEABLE: [&str; 6] =
    ["quiet", "verbose", "force", "api_url", "secret_key_file", "secret_key_command"];

/// The variable of a flag.
pub(super) fn variable(long: &str) -> String {
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
pub(super) fn without_idle(command: Command, given: &Given, file: Option<&Config>) -> Command {
    let name = given.command.get_name();
    command.mut_subcommand(name, |command| {
        command.mut_args(
            |arg| {
                if given.is_idle(&arg, file) { arg.env(Resettable::Reset) } else { arg }
            },
        )
    })
}

/// A command, and the flags that were given to it as arguments.
pub(super) struct Given {
    command: Command,
    matches: ArgMatches,
}

impl Given {
    /// `None` where the arguments name no command or ask for help. Errors are reported when the
    /// arguments are parsed in earnest.
    pub(super) fn of(top: &Command, arguments: &[OsString]) -> Option<Self> {
        let bare = top.clone().mut_subcommands(|it| it.mut_args(|arg| arg.env(Resettable::Reset)));
        let mut matches = bare.ignore_errors(true).try_get_matches_from(arguments).ok()?;
        let (name, matches) = matches.remove_subcommand()?;
        Some(Self { command: top.find_subcommand(name)?.clone(), matches })
    }

    /// The command.
    pub(super) fn command(&self) -> &Command {
        &self.command
    }

    /// The path that a flag or its variable names.
    pub(super) fn path(&self, flag: &str) -> Option<PathBuf> {
        let arg = self.command.get_arguments().find(|arg| arg.get_long() == Some(flag))?;
        let given = self.matches.get_one::<PathBuf>(arg.get_id().as_str());
        let set = || value_of(arg).map(PathBuf::from).filter(|it| !it.as_os_str().is_empty());
        given.cloned().or_else(set)
    }

    /// Whether a flag was given as an argument with the value of its variable.
    pub(super) fn is_value_of_variable(&self, arg: &Arg) -> bool {
        if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count) {
            return !is_false(arg);
        }
        let given = self.matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
        value_of(arg).is_some_and(|value| given.eq([value.as_os_str()]))
    }

    /// Whether a flag was given as an argument.
    pub(super) fn has(&self, arg: &Arg) -> bool {
        self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    }

    /// Whether the argument or variable of a flag has these values; of a switch, whether it is on.
    pub(super) fn says_the_same<'a>(
        &self,
        arg: &Arg,
        is_on: bool,
        values: impl Iterator<Item = &'a str>,
    ) -> bool {
        let values: Vec<&OsStr> = values.map(OsStr::new).collect();
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            return is_on == (self.has(arg) || !is_false(arg));
        }
        if !self.has(arg) {
            return value_of(arg).is_some_and(|it| values == [it.as_os_str()]);
        }
        let given = self.matches.get_raw(arg.get_id().as_str());
        given.into_iter().flatten().eq(values)
    }

    /// The flag or variable that excludes this one, if any is given.
    pub(super) fn excludes(&self, arg: &Arg) -> Option<String> {
        let mut others = self.command.get_arguments().filter(|it| self.conflict(it, arg));
        others.find_map(|other| match (self.has(other), other.get_long()) {
            (true, Some(long)) => Some(format!("--{long}")),
            (true, None) => Some(other.get_id().as_str().to_uppercase()),
            (false, _) => variable_that_is_set(other).filter(|_| !is_false(other)),
        })
    }

    /// Whether the command uses the built-in sandbox.
    pub(super) fn is_in_sandbox(&self, file: Option<&Config>) -> bool {
        self.command.get_arguments().filter(|it| it.get_id() == SANDBOX).any(|it| {
            let is_set = value_of(it).map(|_| !is_false(it));
            self.has(it) || is_set.unwrap_or(file.is_some_and(|file| file.has_switch(SANDBOX)))
        })
    }

    fn is_idle(&self, arg: &Arg, file: Option<&Config>) -> bool {
        let is_without_sandbox =
            arg.get_id().as_str().starts_with("sandbox_") && !self.is_in_sandbox(file);
        is_false(arg) || is_without_sandbox || self.is_replaced(arg)
    }

    fn is_replaced(&self, arg: &Arg) -> bool {
        let mut given = self.command.get_arguments().filter(|it| self.has(it));
        is_replaceable(arg) && given.any(|it| self.conflict(it, arg))
    }

    fn conflict(&self, one: &Arg, other: &Arg) -> bool {
        let excludes = |one: &Arg, other: &Arg| {
            self.command.get_arg_conflicts_with(one).iter().any(|it| it.get_id() == other.get_id())
        };
        excludes(one, other) || excludes(other, one)
    }
}

/// The name of a flag's variable, where it is set.
pub(super) fn variable_that_is_set(arg: &Arg) -> Option<String> {
    value_of(arg)?;
    arg.get_env().map(|name| name.to_string_lossy().into_owned())
}

/// Whether a setting restricts nothing, so that what excludes it replaces it.
pub(super) fn is_replaceable(arg: &Arg) -> bool {
    REPLACEABLE.contains(&arg.get_id().as_str())
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
