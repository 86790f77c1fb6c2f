//! The environment variables that stand for flags.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

/// What an environment variable of ours begins with; behind it the long flag's name, in capitals.
const PREFIX: &str = "BULK_UNLOCK_";
const SANDBOX: &str = "sandbox";

/// Gives each flag its variable.
pub(super) fn with_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) else {
            return arg;
        };
        let name = format!("{PREFIX}{}", long.replace('-', "_").to_uppercase());
        arg.env(name).hide_env(true)
    })
}

/// Takes away the variables that say nothing beside these arguments.
///
/// clap asks conflicts of variables as it does of flags, and counts one that says `false` as
/// given. But a flag goes before its variable, so it also goes before those of the flags that it
/// can't be had with.
pub(super) fn without_overruled(command: Command, arguments: &[OsString]) -> Command {
    let bare = command.clone().mut_subcommands(|it| it.mut_args(|arg| arg.env(Resettable::Reset)));
    // Whatever is wrong with them is told when they are parsed in earnest.
    let Ok(matches) = bare.ignore_errors(true).try_get_matches_from(arguments) else {
        return command;
    };
    let Some((name, matches)) = matches.subcommand() else { return command };
    command.mut_subcommand(name, |command| {
        let typed = Typed { command: command.clone(), matches };
        command.mut_args(|arg| if typed.overrules(&arg) { arg.env(Resettable::Reset) } else { arg })
    })
}

struct Typed<'a> {
    command: Command,
    matches: &'a ArgMatches,
}

impl Typed<'_> {
    fn overrules(&self, arg: &Arg) -> bool {
        is_false(arg) || self.is_without_sandbox(arg) || self.contradicts(arg)
    }

    fn is_given(&self, arg: &Arg) -> bool {
        self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    }

    /// Whoever set the sandbox for all runs wants it for those too that name another address.
    fn contradicts(&self, arg: &Arg) -> bool {
        let conflicts = |one: &Arg, other: &Arg| {
            self.command.get_arg_conflicts_with(one).iter().any(|it| it.get_id() == other.get_id())
        };
        let mut given = self.command.get_arguments().filter(|it| self.is_given(it));
        arg.get_id() != SANDBOX && given.any(|it| conflicts(it, arg) || conflicts(arg, it))
    }

    /// What the sandbox of a run is like says nothing about a run without one.
    fn is_without_sandbox(&self, arg: &Arg) -> bool {
        let is_of_sandbox = arg.get_id().as_str().starts_with("sandbox_");
        let is_sandbox =
            |it: &Arg| it.get_id() == SANDBOX && (self.is_given(it) || is_set(it) && !is_false(it));
        is_of_sandbox && !self.command.get_arguments().any(is_sandbox)
    }
}

fn is_set(arg: &Arg) -> bool {
    arg.get_env().is_some_and(|name| std::env::var_os(name).is_some())
}

fn is_false(arg: &Arg) -> bool {
    let is_switch = matches!(arg.get_action(), ArgAction::SetTrue);
    let value = arg.get_env().and_then(std::env::var_os);
    is_switch && value.is_some_and(|value| value == "false")
}
