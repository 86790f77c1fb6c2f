//! The settings that are in effect, whatever their source: a flag, a variable, a file, or a default.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde_json::{Map, Value, json};

use super::config::{self, Config, Merged};
use super::connection::KEY_VARIABLE;
use super::variables::variable;
use crate::clerk::SecretKey;
use crate::job::command_line::{AcceptedFlags, CommandLine};
use crate::job::{Effective, Source};
use crate::report::{Console, Level, LogType};

/// The variable that names the API's address for all of Clerk's tools.
pub(super) const ADDRESS_VARIABLE: &str = "CLERK_API_URL";

/// Flags about what is shown: they change nothing that is done, and are not repeated.
pub(super) const OF_THE_TERMINAL: [&str; 5] =
    ["progress", "quiet", "verbose", "color", "log-format"];

/// The settings in effect: those of the matches of the whole command line, and the values that a
/// file has for the commands that may come next.
///
/// The settings of a file are repeated as flags, so the file itself is not named.
pub(super) fn effective(
    program: &OsStr,
    top: &Command,
    matches: &ArgMatches,
    file: Option<(&Config, &Merged)>,
) -> Effective {
    let accepted = accepted(top);
    let (name, matches) = matches.subcommand().unwrap_or(("", matches));
    let mut map = Map::new();
    let mut sources = BTreeMap::new();
    let mut line = CommandLine::new(program, name, accepted);
    let arguments = top.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
    for arg in arguments.filter(|arg| !is_of_clap(arg)) {
        let Some(long) = arg.get_long() else {
            if let Some(operand) = values(arg, matches).into_iter().next() {
                line = line.operand(operand);
            }
            continue;
        };
        let value = value(arg, matches);
        if is_given(arg, matches) && !OF_THE_TERMINAL.contains(&long) && long != config::FLAG {
            line = match &value {
                Value::Bool(true) => line.switch(long),
                Value::Bool(false) => line,
                _ if is_repeated(arg) => line.values(long, values(arg, matches)),
                _ => line.value(long, values(arg, matches).join(OsStr::new(","))),
            };
        }
        let name = long.replace('-', "_");
        sources.insert(name.clone(), source(long, arg, matches, file.map(|(_, merged)| merged)));
        map.insert(name, value);
    }
    if let (Some((config, _)), Some(present)) = (file, top.find_subcommand(name)) {
        for (flag, values) in config.of_other_commands(present) {
            let values: Vec<OsString> = values.into_iter().flatten().map(Into::into).collect();
            line = if values.is_empty() { line.switch(flag) } else { line.values(flag, values) };
        }
    }
    let mut effective = Effective { map, line, sources };
    add_address(&mut effective);
    effective
}

/// Prints each setting that has a value, and where it comes from (`-v`).
pub(super) fn print(effective: &Effective, console: &Console) {
    if !console.is_enabled(Level::Detail) {
        return;
    }
    for (name, value) in &effective.map {
        let value = match value {
            Value::Null => continue,
            Value::Array(values) if values.is_empty() => continue,
            Value::Array(values) => values.iter().map(shown).collect::<Vec<_>>().join(", "),
            value => shown(value),
        };
        let source = effective.sources.get(name).unwrap_or(&Source::Default);
        print_setting(&name.replace('_', "-"), &value, source, console);
    }
    let is_null = |name: &str| effective.map.get(name).is_some_and(Value::is_null);
    let key = std::env::var(KEY_VARIABLE).ok().and_then(|key| SecretKey::parse(&key).ok());
    if let Some(key) = key.filter(|_| is_null("secret_key_file")) {
        print_setting(KEY_VARIABLE, &key.fingerprint(), &Source::Environment, console);
    }
}

fn print_setting(name: &str, value: &str, source: &Source, console: &Console) {
    let text = format!("setting {name}: {value} ({source})");
    let fields = json!({ "name": name, "value": value, "source": source.to_string() });
    console.log_as(LogType::Setting, Level::Detail, &text, fields);
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn source(long: &str, arg: &Arg, matches: &ArgMatches, file: Option<&Merged>) -> Source {
    let place = file.and_then(|file| file.places.get(long));
    match (matches.value_source(arg.get_id().as_str()), place) {
        (Some(ValueSource::CommandLine), None) => Source::Flag,
        (Some(ValueSource::EnvVariable), _) => Source::Environment,
        (_, Some(place)) => Source::File(place.clone()),
        // Also a switch that is off, whose variable clap does not see.
        (_, None) if std::env::var_os(variable(long)).is_some() => Source::Environment,
        _ => Source::Default,
    }
}

/// `CLERK_API_URL` is a setting like any other.
fn add_address(effective: &mut Effective) {
    let is_open = effective.map.get("api_url").is_some_and(Value::is_null)
        && effective.map.get("sandbox").is_none_or(|it| *it == Value::Bool(false));
    let address = std::env::var(ADDRESS_VARIABLE).ok().filter(|it| !it.is_empty());
    if let Some(address) = address.filter(|_| is_open) {
        effective.map.insert("api_url".to_owned(), address.clone().into());
        effective.sources.insert("api_url".to_owned(), Source::Environment);
        effective.line = effective.line.clone().value("api-url", address);
    }
}

/// The long flag names that each command accepts.
fn accepted(top: &Command) -> AcceptedFlags {
    let names = |command: &Command| {
        command.get_arguments().filter_map(Arg::get_long).map(str::to_owned).collect()
    };
    top.get_subcommands().map(|it| (it.get_name().to_owned(), names(it))).collect()
}

/// Whether clap itself handles an argument.
pub(super) fn is_of_clap(arg: &Arg) -> bool {
    matches!(arg.get_action(), ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong)
        || matches!(arg.get_action(), ArgAction::Version)
}

fn is_given(arg: &Arg, matches: &ArgMatches) -> bool {
    let source = matches.value_source(arg.get_id().as_str());
    matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn values(arg: &Arg, matches: &ArgMatches) -> Vec<OsString> {
    let values = matches.get_raw(arg.get_id().as_str());
    values.into_iter().flatten().map(OsStr::to_owned).collect()
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
