//! Settings and their sources: a flag takes precedence over its environment variable, and both over
//! the configuration file.
//!
//! Variables and settings of the file become arguments before clap parses the command line, so that
//! their values and conflicts are checked as those of flags are.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::config;
use super::connection::{ADDRESS_VARIABLE, KEY_VARIABLE};
use crate::clerk::SecretKey;
use crate::job::command_line::{CommandLine, FILTERS, VariablesOfFlags};
use crate::job::{Effective, Source};
use crate::report::{Console, Level, LogType};

/// The prefix of the variables; the flag's long name in capitals follows.
const PREFIX: &str = "BULK_UNLOCK_";

/// Flags about what is shown: they do not change what is done, and are not repeated.
pub(super) const OF_THE_TERMINAL: [&str; 5] =
    ["progress", "quiet", "verbose", "color", "log-format"];

/// Flags whose values are files that are read.
const FILES: [&str; 3] = [config::FLAG, "secret-key-file", "ca-file"];

/// Settings that restrict nothing: a flag that excludes them replaces them. All others are kept, so
/// that a conflict with a flag is an error: a guard must not be dropped silently.
const REPLACEABLE: [&str; 6] =
    ["quiet", "verbose", "force", "api-url", "secret-key-file", "secret-key-command"];

/// How an input is read. A plan or a results file has its own columns and names the users itself,
/// so in a file these settings are replaceable too.
const OF_AN_INPUT: [&str; 6] = ["column", "by", "delimiter", "lenient", "carry", "max-input-age"];

/// Flags that restrict which users a command processes, or whether it starts; so do the filters. A
/// command without such a flag does not drop it silently.
const RESTRICTING: [&str; 8] =
    ["exclude", "limit", "max-input-age", "plan", "plan-sha256", "retry-failed", "shard", "skip"];

/// Flags that widen what a command may do, and consent. A command that does not have such a flag does
/// not pass its variable on: the printed command may be run by someone else, in another shell.
const WIDENING: [&str; 5] = ["yes", "force", "lenient", "include-admin-locked", "include-unknown"];

/// The variable of a flag.
pub(super) fn variable(long: &str) -> String {
    format!("{PREFIX}{}", long.replace('-', "_").to_uppercase())
}

/// A setting of a variable or of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The long name of the flag.
    pub(super) flag: String,
    /// The equivalent arguments; none for a switch that is off.
    pub(super) arguments: Vec<OsString>,
    pub(super) source: Source,
    /// How messages name it: the variable, or the flag and its place in the file.
    pub(super) name: String,
}

/// The command line with the settings of variables and the file.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    /// The arguments to parse.
    pub(super) arguments: Vec<OsString>,
    /// The source of each setting that was not given as a flag, by the long name of its flag.
    sources: BTreeMap<String, Source>,
    /// Settings for other commands.
    of_other_commands: Vec<Setting>,
    /// The variables that set flags of any command.
    variables: VariablesOfFlags,
    /// Settings that were replaced by others with another value.
    pub(super) notes: Vec<String>,
    /// Restrictions that the command cannot apply.
    pub(super) warnings: Vec<String>,
}

/// Adds the settings of variables and the file to the arguments.
pub(super) fn resolve(top: &Command, arguments: &[OsString]) -> Result<Resolved, String> {
    check_variables(top)?;
    let Some(given) = Given::new(top, arguments) else {
        return Ok(Resolved { arguments: arguments.to_vec(), ..Resolved::default() });
    };
    let command = given.command;
    let mut settings = variables(top, command)?;
    if let Some(path) = given.config_file() {
        settings.extend(config::read(&path, top, command)?);
    }
    let mut resolved =
        Resolved { variables: given.variables_of_flags(&settings), ..Resolved::default() };
    let is_of_other = |setting: &mut Setting| find(command, &setting.flag).is_none();
    for setting in settings.extract_if(.., is_of_other) {
        resolved.add_of_other_command(setting);
    }
    resolved.check_restrictions(command.get_name())?;
    let mut added: Vec<OsString> = Vec::new();
    for setting in &settings {
        match given.fate(setting, &settings) {
            Fate::Holds => {
                // clap's message does not name the variable.
                let is_text = find(command, &setting.flag).is_some_and(|arg| !is_path(arg));
                if is_text && setting.arguments.iter().any(|it| it.to_str().is_none()) {
                    return Err(format!("{} is not UTF-8", setting.name));
                }
                let is_new = |it: &&OsString| !given.has_argument(&setting.flag, it);
                added.extend(setting.arguments.iter().filter(is_new).cloned());
                resolved.sources.insert(setting.flag.clone(), setting.source.clone());
            }
            Fate::ReplacedBy(name) => {
                resolved.notes.push(format!("{name} replaces {}", setting.name));
            }
            Fate::Dropped => {}
        }
    }
    // The program and the command come first.
    let (head, tail) = arguments.split_at(arguments.len().min(2));
    resolved.arguments = [head, &added, tail].concat();
    Ok(resolved)
}

/// Refuses a variable that does not belong to a flag: it is most likely misspelt.
fn check_variables(top: &Command) -> Result<(), String> {
    let known: Vec<String> = long_names(top).map(variable).collect();
    let mut set: Vec<String> =
        std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
    set.sort();
    let Some(name) = set.iter().find(|it| it.starts_with(PREFIX) && !known.contains(it)) else {
        return Ok(());
    };
    let near = nearest(name, known.iter().map(String::as_str), 4);
    let hint = near.map(|near| format!(" (did you mean {near}?)")).unwrap_or_default();
    Err(format!(
        "the environment variable {name} does not belong to a flag{hint}; correct or unset it, \
         because a misspelt guard would have no effect"
    ))
}

/// The long names of the flags of all commands.
pub(super) fn long_names(top: &Command) -> impl Iterator<Item = &str> {
    top.get_subcommands().flat_map(Command::get_arguments).filter_map(Arg::get_long)
}

/// The most similar known word within a distance.
pub(super) fn nearest<'a>(
    word: &str,
    known: impl Iterator<Item = &'a str>,
    max_distance: usize,
) -> Option<&'a str> {
    let distance = |other: &&str| strsim::damerau_levenshtein(word, other);
    known.min_by_key(distance).filter(|other| distance(other) <= max_distance)
}

/// The variables that are set, those of other commands last.
fn variables(top: &Command, command: &Command) -> Result<Vec<Setting>, String> {
    let mut settings: Vec<Setting> = Vec::new();
    let of_others = top.get_subcommands().flat_map(Command::get_arguments);
    for arg in command.get_arguments().chain(of_others) {
        let Some(flag) = arg.get_long() else { continue };
        if settings.iter().any(|it| it.flag == flag) {
            continue;
        }
        let mut name = variable(flag);
        let mut value = std::env::var_os(&name);
        if value.is_none() && flag == "api-url" {
            ADDRESS_VARIABLE.clone_into(&mut name);
            value = clerk_variable(ADDRESS_VARIABLE);
        }
        let Some(value) = value else { continue };
        let arguments = match arguments(arg, flag, &value) {
            Err(problem) if find(command, flag).is_some() => {
                return Err(format!("{name} is {problem}"));
            }
            // The command that has the flag refuses the value.
            Err(_) => vec![argument(flag, &value)],
            Ok(arguments) => arguments,
        };
        settings.push(Setting {
            flag: flag.to_owned(),
            arguments,
            source: Source::Environment,
            name,
        });
    }
    Ok(settings)
}

/// The value of a variable as arguments.
fn arguments(arg: &Arg, flag: &str, value: &OsStr) -> Result<Vec<OsString>, String> {
    let switch = OsString::from(format!("--{flag}"));
    let text = value.to_string_lossy();
    match (arg.get_action(), &*text) {
        (ArgAction::SetTrue | ArgAction::Count, "true") => Ok(vec![switch]),
        (ArgAction::SetTrue | ArgAction::Count, "false") => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err(format!("{text:?}, expected true or false")),
        (ArgAction::Count, number) => match number.parse::<u8>() {
            Ok(n) => Ok(vec![switch; n.into()]),
            Err(_) => Err(format!("{text:?}, expected true, false, or a number")),
        },
        _ => Ok(vec![argument(flag, value)]),
    }
}

/// `--flag=value`.
fn argument(flag: &str, value: &OsStr) -> OsString {
    let mut argument = OsString::from(format!("--{flag}="));
    argument.push(value);
    argument
}

/// The value of a variable of Clerk's own tools, for which empty means not set.
fn clerk_variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The configuration file that the variable names.
fn config_variable() -> Option<PathBuf> {
    let path = std::env::var_os(variable(config::FLAG)).filter(|path| !path.is_empty());
    path.map(PathBuf::from)
}

/// What becomes of a setting.
enum Fate {
    Holds,
    /// A flag or variable of this name has another value for it, or excludes it.
    ReplacedBy(String),
    /// It has no effect, or changes nothing.
    Dropped,
}

/// A command and the flags that the arguments give it.
struct Given<'a> {
    command: &'a Command,
    matches: ArgMatches,
}

impl<'a> Given<'a> {
    /// `None` where the arguments name no command or ask for help. Errors in the arguments are
    /// reported later, by the parser of the whole command line.
    fn new(top: &'a Command, arguments: &[OsString]) -> Option<Self> {
        let parsed = top.clone().ignore_errors(true).try_get_matches_from(arguments);
        let (name, matches) = parsed.ok()?.remove_subcommand()?;
        Some(Self { command: top.find_subcommand(name)?, matches })
    }

    fn has(&self, arg: &Arg) -> bool {
        self.matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    }

    /// Whether a flag with a value was given as this argument, `--flag=value` or `--flag value`.
    fn has_argument(&self, flag: &str, wanted: &OsStr) -> bool {
        let Some(arg) = find(self.command, flag).filter(|arg| self.has(arg)) else { return false };
        values(arg, &self.matches).iter().any(|value| argument(flag, value) == *wanted)
    }

    fn config_file(&self) -> Option<PathBuf> {
        let arg = find(self.command, config::FLAG)?;
        let given = self.matches.get_one::<PathBuf>(arg.get_id().as_str()).cloned();
        given.or_else(config_variable)
    }

    /// The variables that set each flag, whether or not another source replaces them: a printed
    /// command may leave out what replaced them.
    fn variables_of_flags(&self, settings: &[Setting]) -> VariablesOfFlags {
        let mut variables = VariablesOfFlags::new();
        let of_config = variable(config::FLAG);
        let is_file_of_variable = config_variable() == self.config_file();
        for setting in settings.iter().filter(|it| !it.arguments.is_empty()) {
            let name = match setting.source {
                Source::File(_) if is_file_of_variable => &of_config,
                Source::Environment if setting.flag != config::FLAG => &setting.name,
                _ => continue,
            };
            if !OF_THE_TERMINAL.contains(&setting.flag.as_str()) {
                variables.entry(setting.flag.clone()).or_default().insert(name.clone());
            }
        }
        // The file of the variable was not read, and must not be read by the next command.
        if config_variable().is_some() && !is_file_of_variable {
            variables.entry(config::FLAG.to_owned()).or_default().insert(of_config);
        }
        variables
    }

    /// `all` are the settings of all sources in the order of their precedence.
    fn fate(&self, setting: &Setting, all: &[Setting]) -> Fate {
        let flag = setting.flag.as_str();
        let Some(arg) = find(self.command, flag) else { return Fate::Dropped };
        // Exclude files of all sources add up.
        if flag == "exclude" {
            return Fate::Holds;
        }
        let is_of_file = matches!(setting.source, Source::File(_));
        if self.has(arg) {
            let is_noted =
                is_of_file || !OF_THE_TERMINAL.contains(&flag) && setting.name != ADDRESS_VARIABLE;
            let is_changed = is_noted && !self.has_value_of(arg, setting);
            return if is_changed { Fate::ReplacedBy(format!("--{flag}")) } else { Fate::Dropped };
        }
        let first = all.iter().find(|it| it.flag == flag).filter(|first| *first != setting);
        if let Some(first) = first {
            let is_changed = first.arguments != setting.arguments;
            return if is_changed { Fate::ReplacedBy(first.name.clone()) } else { Fate::Dropped };
        }
        if setting.arguments.is_empty() {
            return Fate::Holds;
        }
        let is_in_sandbox = self.is_in_sandbox(all);
        let is_for_sandbox = flag.starts_with("sandbox-");
        if is_for_sandbox && !is_in_sandbox || setting.name == ADDRESS_VARIABLE && is_in_sandbox {
            return Fate::Dropped;
        }
        if REPLACEABLE.contains(&flag) || is_of_file && OF_AN_INPUT.contains(&flag) {
            match self.excluded_by(arg, all, is_of_file) {
                Some(other) if is_of_file => return Fate::ReplacedBy(other),
                Some(_) => return Fate::Dropped,
                None => {}
            }
        }
        let is_key = matches!(flag, "secret-key-file" | "secret-key-command");
        if is_of_file && is_key && clerk_variable(KEY_VARIABLE).is_some() {
            return Fate::ReplacedBy(KEY_VARIABLE.to_owned());
        }
        Fate::Holds
    }

    /// Whether a flag was given with the value of this setting.
    fn has_value_of(&self, arg: &Arg, setting: &Setting) -> bool {
        if matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count) {
            return !setting.arguments.is_empty();
        }
        let given = values(arg, &self.matches).into_iter();
        given.map(|value| argument(&setting.flag, &value)).eq(setting.arguments.iter().cloned())
    }

    fn is_in_sandbox(&self, all: &[Setting]) -> bool {
        let set = all.iter().find(|it| it.flag == "sandbox");
        find(self.command, "sandbox").is_some_and(|arg| self.has(arg))
            || set.is_some_and(|it| !it.arguments.is_empty())
    }

    /// The flag or, for a setting of the file, the variable that excludes a flag.
    fn excluded_by(&self, arg: &Arg, all: &[Setting], is_of_file: bool) -> Option<String> {
        let excludes = |one: &Arg, other: &Arg| {
            self.command.get_arg_conflicts_with(one).iter().any(|it| it.get_id() == other.get_id())
        };
        let others = self.command.get_arguments();
        let others = others.filter(|other| excludes(other, arg) || excludes(arg, other));
        others.into_iter().find_map(|other| {
            let long = other.get_long();
            if self.has(other) {
                let positional = || other.get_id().as_str().to_uppercase();
                return Some(long.map_or_else(positional, |long| format!("--{long}")));
            }
            let is_set = |it: &&Setting| {
                long == Some(&it.flag)
                    && it.source == Source::Environment
                    && !it.arguments.is_empty()
            };
            all.iter().filter(|_| is_of_file).find(is_set).map(|it| it.name.clone())
        })
    }
}

/// The argument with this long name.
pub(super) fn find<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(flag))
}

impl Resolved {
    /// Keeps a setting for the commands that follow. A variable takes precedence over the file; their
    /// exclude files add up.
    fn add_of_other_command(&mut self, setting: Setting) {
        if setting.source == Source::Environment && WIDENING.contains(&setting.flag.as_str()) {
            return;
        }
        match self.of_other_commands.iter_mut().find(|it| it.flag == setting.flag) {
            Some(first) if setting.flag == "exclude" => first.arguments.extend(setting.arguments),
            Some(_) => {}
            None => self.of_other_commands.push(setting),
        }
    }

    /// Refuses or reports restrictions that `relock` and `locked` do not have: one locks users, and
    /// the list of the other is the input of the next command. One file serves all commands, so its
    /// settings are not refused.
    fn check_restrictions(&mut self, command: &str) -> Result<(), String> {
        let set = self.of_other_commands.iter().filter(|it| !it.arguments.is_empty());
        let restricting = set.filter(|it| {
            let flag = it.flag.as_str();
            RESTRICTING.contains(&flag) || FILTERS.contains(&flag)
        });
        let (of_variables, of_file): (Vec<&Setting>, Vec<&Setting>) =
            restricting.partition(|it| it.source == Source::Environment);
        let join = |settings: &[&Setting], part: fn(&Setting) -> String| {
            settings.iter().map(|it| part(it)).collect::<Vec<_>>().join(", ")
        };
        let problem = |settings: &[&Setting]| {
            let flags = join(settings, |it| format!("--{}", it.flag));
            let names = join(settings, |it| it.name.clone());
            format!("`{command}` has no {flags} and cannot apply {names}")
        };
        match command {
            "relock" if !of_variables.is_empty() => {
                let names = join(&of_variables, |it| it.name.clone());
                let problem = problem(&of_variables);
                return Err(format!("{problem}; unset {names} (--exclude leaves users out)"));
            }
            "relock" if !of_file.is_empty() => {
                self.warnings.push(problem(&of_file) + " (--exclude leaves users out)");
            }
            "locked" if !of_variables.is_empty() => {
                let advice = "to its list; unset variables that are not meant for the next command";
                self.warnings.push(format!("{} {advice}", problem(&of_variables)));
            }
            _ => {}
        }
        Ok(())
    }

    /// What to add to clap's message about a conflict, which does not name a variable or the file.
    pub(super) fn conflict_note(&self, error: &clap::Error) -> String {
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
            .filter_map(|text| text.split([' ', '=']).next()?.strip_prefix("--"))
            .collect();
        let (mut of_file, mut variables) = (Vec::new(), Vec::new());
        for (flag, source) in self.sources.iter().filter(|(flag, _)| named.contains(&&***flag)) {
            match source {
                Source::File(place) => of_file.push(format!("{flag} ({place})")),
                _ => variables.push(variable(flag)),
            }
        }
        let mut note = String::new();
        if !of_file.is_empty() {
            note += &format!(
                "Set in the configuration file: {}. A setting is never overruled by another flag; \
                 remove it from the file.\n",
                of_file.join(", ")
            );
        }
        if !variables.is_empty() {
            note += &format!(
                "Set in the environment: {}. A variable is never overruled by another flag; unset \
                 it.\n",
                variables.join(", ")
            );
        }
        note
    }

    /// The settings in effect. The printed commands repeat the settings of the file as flags, so
    /// they do not name the file itself.
    pub(super) fn effective(&self, top: &Command, matches: &ArgMatches) -> Effective {
        let program = self.arguments.first().map(OsString::as_os_str).unwrap_or_default();
        let (name, matches) = matches.subcommand().unwrap_or(("", matches));
        let mut map = Map::new();
        let mut sources = BTreeMap::new();
        let mut files = Vec::new();
        let flags = |command: &Command| {
            command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect()
        };
        let accepted = top.get_subcommands().map(|it| (it.get_name().to_owned(), flags(it)));
        let line = CommandLine::new(program, name, accepted.collect(), self.variables.clone());
        let mut line = line.without(&[config::FLAG]);
        let arguments = top.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
        for arg in arguments {
            let Some(long) = arg.get_long() else {
                if let Some(operand) = values(arg, matches).into_iter().next() {
                    line = line.operand(operand);
                }
                continue;
            };
            let value = value(arg, matches);
            let id = arg.get_id().as_str();
            if FILES.contains(&long) {
                files.extend(values(arg, matches).into_iter().map(PathBuf::from));
            }
            let is_given = matches.value_source(id) == Some(ValueSource::CommandLine);
            if is_given && !OF_THE_TERMINAL.contains(&long) && long != config::FLAG {
                line = match &value {
                    Value::Bool(true) => line.switch(long),
                    Value::Bool(false) => line,
                    _ if is_repeated(arg) => line.values(long, values(arg, matches)),
                    _ => line.value(long, values(arg, matches).join(OsStr::new(","))),
                };
            }
            let default = if is_given { Source::Flag } else { Source::Default };
            let name = long.replace('-', "_");
            sources.insert(name.clone(), self.sources.get(long).cloned().unwrap_or(default));
            map.insert(name, value);
        }
        for Setting { flag, arguments, .. } in &self.of_other_commands {
            let texts = arguments.iter().filter_map(|it| it.to_str()?.split_once('='));
            let values: Vec<OsString> = texts.map(|(_, value)| value.into()).collect();
            line = match arguments.as_slice() {
                [switch] if *switch == *format!("--{flag}") => line.switch(flag),
                // Off; or a variable that is not UTF-8, which still holds in the user's shell.
                _ if values.is_empty() => line,
                _ => line.values(flag, values),
            };
        }
        Effective { map, line, sources, files }
    }
}

fn values(arg: &Arg, matches: &ArgMatches) -> Vec<OsString> {
    let values = matches.get_raw(arg.get_id().as_str()).into_iter().flatten();
    values.map(OsStr::to_owned).collect()
}

fn is_path(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == TypeId::of::<PathBuf>()
}

/// Whether a flag is given once for each value, as values may contain commas.
fn is_repeated(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Append) && arg.get_value_delimiter().is_none()
}

/// A setting as JSON: switches as booleans, numbers as numbers, lists as arrays, all else as it is
/// typed; null where it is not set.
fn value(arg: &Arg, matches: &ArgMatches) -> Value {
    let id = arg.get_id().as_str();
    match arg.get_action() {
        ArgAction::SetTrue => Value::Bool(matches.get_flag(id)),
        ArgAction::Count => matches.get_count(id).into(),
        _ => {
            let texts = values(arg, matches).into_iter();
            let mut texts = texts.map(|it| it.to_string_lossy().into_owned());
            if arg.get_value_delimiter().is_some() || is_repeated(arg) && texts.len() > 1 {
                return texts.collect();
            }
            match texts.next() {
                None => Value::Null,
                Some(text) if is_number(arg) => {
                    text.parse::<u64>().map_or(text.into(), Value::from)
                }
                Some(text) => text.into(),
            }
        }
    }
}

/// Whether a flag takes whole numbers.
pub(super) fn is_number(arg: &Arg) -> bool {
    let kind = arg.get_value_parser().type_id();
    [TypeId::of::<u16>(), TypeId::of::<u32>(), TypeId::of::<u64>()].iter().any(|it| kind == *it)
}

/// The settings that have a value, with their sources.
pub(super) fn with_value(effective: &Effective) -> impl Iterator<Item = (&str, &Value, &Source)> {
    let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
    let settings = effective.map.iter().filter(move |(_, it)| !it.is_null() && !is_empty(it));
    settings.map(|(name, value)| {
        (name.as_str(), value, effective.sources.get(name).unwrap_or(&Source::Default))
    })
}

/// Prints each setting that has a value, and where it comes from (`-v`).
pub(super) fn print(effective: &Effective, console: &Console) {
    if !console.is_enabled(Level::Detail) {
        return;
    }
    let print = |name: &str, value: &str, source: &Source| {
        let text = format!("setting {name}: {value} ({source})");
        let fields = json!({ "name": name, "value": value, "source": source.to_string() });
        console.log_as(LogType::Setting, Level::Detail, &text, fields);
    };
    let shown = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    for (name, value, source) in with_value(effective) {
        let value = match value {
            Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
            value => shown(value),
        };
        print(&name.replace('_', "-"), &value, source);
    }
    // Where neither flag has a value, the key comes from the variable.
    let is_null = |name: &str| effective.map.get(name).is_some_and(Value::is_null);
    let key = std::env::var(KEY_VARIABLE).ok().and_then(|key| SecretKey::parse(&key).ok());
    let is_used = is_null("secret_key_file") && is_null("secret_key_command");
    if let Some(key) = key.filter(|_| is_used) {
        print(KEY_VARIABLE, &key.fingerprint(), &Source::Environment);
    }
}
