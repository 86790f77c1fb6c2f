//! Which settings of a file hold, as flags and variables take precedence.

use std::collections::BTreeMap;
use std::ffi::OsString;

use clap::Arg;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::{Config, Setting, find};
use crate::cli::connection::KEY_VARIABLE;
use crate::cli::settings::ADDRESS_VARIABLE;
use crate::cli::settings::OF_THE_TERMINAL;
use crate::cli::variables::{Given, is_replaceable, variable_that_is_set};

/// Users whom any source excludes are excluded.
const ADDED_UP: &str = "exclude";

/// How an input is to be read. A plan or a results file in its place has columns of its own and
/// names the users itself, so flags that exclude these settings replace them.
const OF_AN_INPUT: [&str; 6] = ["column", "by", "delimiter", "lenient", "carry", "max-input-age"];

/// The variables of Clerk's own tools, and the settings that they take precedence over.
const OF_CLERK: [(&str, &[&str]); 2] =
    [(ADDRESS_VARIABLE, &["api-url"]), (KEY_VARIABLE, &["secret-key-file", "secret-key-command"])];

/// The arguments with a file's settings.
#[derive(Debug, Default)]
pub(in crate::cli) struct Merged {
    /// The arguments to parse.
    pub(in crate::cli) arguments: Vec<OsString>,
    /// The place of each setting that holds, as `FILE:LINE`, by the long name of its flag.
    pub(in crate::cli) places: BTreeMap<String, String>,
    /// What replaces settings of the file by other values.
    pub(in crate::cli) notes: Vec<String>,
}

impl Merged {
    /// The arguments as they are.
    pub(in crate::cli) fn without_file(arguments: Vec<OsString>) -> Self {
        Self { arguments, ..Self::default() }
    }

    /// Adds the exclude file of the variable to those of the flag, and notes other variables that a
    /// flag replaces: what restricts is never overruled in silence.
    pub(in crate::cli) fn add_variables(&mut self, given: &Given) {
        for arg in given.command().get_arguments().filter(|arg| given.has(arg)) {
            let (Some(flag), Some(name)) = (arg.get_long(), variable_that_is_set(arg)) else {
                continue;
            };
            if flag == ADDED_UP {
                let at = self.arguments.len().min(2);
                self.arguments.splice(at..at, argument_of_variable(arg));
            } else if !OF_THE_TERMINAL.contains(&flag) && !given.is_value_of_variable(arg) {
                self.notes.push(format!("--{flag} replaces {name}"));
            }
        }
    }

    /// What to add to clap's message about a conflict: it does not say that a file set a flag.
    pub(in crate::cli) fn conflict_note(&self, error: &clap::Error) -> String {
        if error.kind() != ErrorKind::ArgumentConflict {
            return String::new();
        }
        let named: Vec<&str> = [ContextKind::InvalidArg, ContextKind::PriorArg]
            .into_iter()
            .filter_map(|kind| error.get(kind))
            .flat_map(|value| match value {
                ContextValue::String(text) => vec![text.as_str()],
                ContextValue::Strings(texts) => texts.iter().map(String::as_str).collect(),
                _ => Vec::new(),
            })
            .collect();
        let is_named = |flag: &str| {
            let flag = format!("--{flag}");
            named.iter().any(|it| it.split([' ', '=']).next() == Some(&flag))
        };
        let set = self.places.iter().filter(|(flag, _)| is_named(flag));
        let set: Vec<String> = set.map(|(flag, place)| format!("{flag} ({place})")).collect();
        if set.is_empty() {
            return String::new();
        }
        format!(
            "Set in the configuration file: {}. A setting is never overruled by another flag; \
             remove it from the file.\n",
            set.join(", ")
        )
    }
}

/// What becomes of a setting.
enum Fate {
    Holds,
    /// A flag or a variable of this name sets the same, or excludes it.
    ReplacedBy(String),
    /// It has no effect without the sandbox.
    Idle,
}

impl Config {
    /// Adds the settings that hold to the arguments, behind the name of the command.
    pub(in crate::cli) fn merge(&self, given: &Given, arguments: &[OsString]) -> Merged {
        let mut merged = Merged::default();
        let mut added: Vec<OsString> = Vec::new();
        for setting in &self.settings {
            let Some(arg) = find(given.command(), &setting.flag) else { continue };
            let place = self.place(setting);
            match self.fate(setting, arg, given) {
                Fate::Holds => {
                    if setting.flag == ADDED_UP {
                        added.extend(variable_to_add_to(arg, given));
                    }
                    let already = |it: &&String| arguments.iter().any(|given| given == it.as_str());
                    let new = setting.arguments.iter().filter(|it| !already(it));
                    added.extend(new.map(OsString::from));
                    merged.places.insert(setting.flag.clone(), place);
                }
                Fate::ReplacedBy(name) => {
                    let is_on = !setting.arguments.is_empty();
                    if !given.says_the_same(arg, is_on, setting.values()) {
                        merged.notes.push(format!("{name} replaces {} of {place}", setting.flag));
                    }
                }
                Fate::Idle => {}
            }
        }
        // The program and the command come first.
        let (head, tail) = arguments.split_at(arguments.len().min(2));
        merged.arguments = [head, &added, tail].concat();
        merged
    }

    fn fate(&self, setting: &Setting, arg: &Arg, given: &Given) -> Fate {
        let flag = setting.flag.as_str();
        if flag == ADDED_UP {
            return Fate::Holds;
        }
        if given.has(arg) {
            return Fate::ReplacedBy(format!("--{flag}"));
        }
        if let Some(name) = variable_that_is_set(arg) {
            return Fate::ReplacedBy(name);
        }
        if setting.arguments.is_empty() {
            return Fate::Holds;
        }
        if flag.starts_with("sandbox-") && !given.is_in_sandbox(Some(self)) {
            return Fate::Idle;
        }
        let is_replaceable = OF_AN_INPUT.contains(&flag) || is_replaceable(arg);
        if let Some(other) = given.excludes(arg).filter(|_| is_replaceable) {
            return Fate::ReplacedBy(other);
        }
        let of_clerk = OF_CLERK.into_iter().find(|(_, flags)| flags.contains(&flag));
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        match of_clerk {
            Some((name, _)) if is_set(name) => Fate::ReplacedBy(name.to_owned()),
            _ => Fate::Holds,
        }
    }
}

/// An argument for a variable's value, which clap ignores where the flag is given: the file gives it.
fn variable_to_add_to(arg: &Arg, given: &Given) -> Option<OsString> {
    variable_that_is_set(arg).filter(|_| !given.has(arg))?;
    argument_of_variable(arg)
}

fn argument_of_variable(arg: &Arg) -> Option<OsString> {
    let mut argument = OsString::from(format!("--{}=", arg.get_long()?));
    argument.push(std::env::var_os(arg.get_env()?)?);
    Some(argument)
}
