//! The configuration file (`--config`): settings in TOML under the long names of their flags.
//!
//! Each value is checked by the parser of its flag. It then becomes an argument before clap parses
//! the command line, so that conflicts are found as they are between flags.

mod merge;

use std::any::TypeId;
use std::path::PathBuf;

use clap::builder::PathBufValueParser;
use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

pub(super) use merge::Merged;

use super::failure::message_of;
use super::settings::{is_number, is_of_clap};
use super::variables::Given;

/// The long name of the flag that names the file.
pub(super) const FLAG: &str = "config";

/// Settings that belong to one run: a file that is used for many runs must not repeat them.
const OF_ONE_RUN: [&str; 6] = ["yes", "force", "plan", "reason", "limit", "skip"];

/// The settings of a file.
#[derive(Debug)]
pub(super) struct Config {
    path: PathBuf,
    settings: Vec<Setting>,
}

/// One setting of a file.
#[derive(Debug, PartialEq, Eq)]
struct Setting {
    /// The long name of the flag.
    flag: String,
    /// The line of its key, 1-based.
    line: usize,
    /// The arguments that say the same; none for a switch that is off.
    arguments: Vec<String>,
}

/// Adds the flag to a command that has settings.
pub(super) fn with_flag(command: Command) -> Command {
    let has_settings = command.get_arguments().any(|arg| arg.get_id() == "verbose");
    if !has_settings {
        return command;
    }
    command.arg(
        Arg::new(FLAG)
            .long(FLAG)
            .value_name("FILE.toml")
            .value_parser(PathBufValueParser::new())
            .help_heading("Configuration")
            .hide_short_help(true)
            .help("File of settings in TOML")
            .long_help(
                "File of settings in TOML, such as quota-share = \"30%\"\n\n\
                 Keys are long flag names, with `-` or `_`. A flag takes precedence over its \
                 environment variable, and both over the file; only --exclude files of the file \
                 are added to the others. `yes`, `force`, `plan`, `reason`, `limit`, and `skip` \
                 are errors in the file. Paths are relative to the current directory",
            ),
    )
}

impl Config {
    /// Reads the file that the arguments or the variable name; `None` where they name none.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, and on which line.
    pub(super) fn find(top: &Command, given: &Given) -> Result<Option<Self>, String> {
        let Some(path) = given.path(FLAG) else { return Ok(None) };
        let shown = path.display();
        let bytes = std::fs::read(&path)
            .map_err(|error| format!("cannot read the configuration file {shown}: {error}"))?;
        let text = str::from_utf8(&bytes).map_err(|error| {
            let line = line_at(&bytes, error.valid_up_to());
            format!("{shown}:{line}: not UTF-8; save the file as UTF-8")
        })?;
        Self::parse(path.clone(), text, top, given.command()).map(Some)
    }

    fn parse(path: PathBuf, text: &str, top: &Command, present: &Command) -> Result<Self, String> {
        let at = |offset| format!("{}:{}", path.display(), line_at(text.as_bytes(), offset));
        let table = DeTable::parse(text).map_err(|error| {
            let offset = error.span().map_or(0, |span| span.start);
            format!("{}: {}", at(offset), error.message())
        })?;
        let mut entries: Vec<_> = table.into_inner().into_iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let mut settings: Vec<Setting> = Vec::new();
        for (key, value) in entries {
            let offset = key.span().start;
            let refused = |why: String| format!("{}: {why}", at(offset));
            let setting = setting(&key, value.get_ref(), top, present).map_err(refused)?;
            if let Some(other) = settings.iter().find(|it| it.flag == setting.flag) {
                let (flag, line) = (&other.flag, other.line);
                return Err(refused(format!("`{flag}` is set on line {line} already")));
            }
            settings.push(Setting { line: line_at(text.as_bytes(), offset), ..setting });
        }
        Ok(Self { path, settings })
    }

    /// The place of a flag's setting, as `FILE:LINE`.
    fn place(&self, setting: &Setting) -> String {
        format!("{}:{}", self.path.display(), setting.line)
    }

    /// Whether a switch is on.
    pub(super) fn has_switch(&self, flag: &str) -> bool {
        self.settings.iter().any(|it| it.flag == flag && !it.arguments.is_empty())
    }

    /// The flags that the present command does not have, with their values; `None` for a switch.
    pub(super) fn of_other_commands<'a>(
        &'a self,
        present: &'a Command,
    ) -> impl Iterator<Item = (&'a str, Vec<Option<&'a str>>)> {
        let others = self.settings.iter().filter(move |it| find(present, &it.flag).is_none());
        others.map(|it| (it.flag.as_str(), it.arguments.iter().map(|it| value(it)).collect()))
    }
}

impl Setting {
    fn values(&self) -> impl Iterator<Item = &str> {
        self.arguments.iter().filter_map(|argument| value(argument))
    }
}

/// The value in `--flag=value`.
fn value(argument: &str) -> Option<&str> {
    argument.split_once('=').map(|(_, value)| value)
}

fn line_at(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

/// The argument with this long name.
fn find<'a>(command: &'a Command, flag: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(flag))
}

fn setting(
    key: &Spanned<impl AsRef<str>>,
    value: &DeValue<'_>,
    top: &Command,
    present: &Command,
) -> Result<Setting, String> {
    let key = key.get_ref().as_ref();
    let flag = key.replace('_', "-");
    if OF_ONE_RUN.contains(&flag.as_str()) || flag == FLAG {
        return Err(format!(
            "`{key}` cannot be set in a configuration file; give it on the command line"
        ));
    }
    // A flag may differ from command to command: that of the present one decides.
    let own = find(present, &flag);
    let args: Vec<&Arg> = match own {
        Some(arg) => vec![arg],
        None => top.get_subcommands().filter_map(|it| find(it, &flag)).collect(),
    };
    if args.first().is_none_or(|arg| is_of_clap(arg)) {
        let hint = match value {
            DeValue::Table(_) => "; write flag names as keys, without tables".to_owned(),
            _ => suggestion(&flag, top),
        };
        return Err(format!("`{key}` is not a flag of any command{hint}"));
    }
    let mut tried = args.into_iter().map(|arg| {
        let arguments = arguments(&flag, arg, value).map_err(|why| format!("`{key}`: {why}"))?;
        check(&flag, arg, &arguments)?;
        Ok(Setting { flag: flag.clone(), line: 0, arguments })
    });
    let first = tried.next().unwrap_or_else(|| Err(format!("`{key}` is not a flag")));
    first.or_else(|why| tried.find_map(Result::ok).ok_or(why))
}

fn suggestion(flag: &str, top: &Command) -> String {
    let flags = top.get_subcommands().flat_map(Command::get_arguments);
    let known = flags.filter(|arg| !is_of_clap(arg)).filter_map(Arg::get_long);
    let distance = |it: &&str| strsim::damerau_levenshtein(flag, it);
    let near = known.min_by_key(distance).filter(|it| distance(it) <= (flag.len() / 2).min(4));
    near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default()
}

/// A value as it would be given on the command line.
fn arguments(flag: &str, arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let expected = |what: &str| Err(format!("expected {what}, found {}", found(value)));
    let switch = format!("--{flag}");
    match (arg.get_action(), value) {
        (ArgAction::SetTrue, DeValue::Boolean(is_on)) => {
            Ok(is_on.then_some(switch).into_iter().collect())
        }
        (ArgAction::SetTrue, _) => expected("true or false"),
        (ArgAction::Count, DeValue::Boolean(is_on)) => Ok(vec![switch; usize::from(*is_on)]),
        (ArgAction::Count, value) => match integer(value).map(u8::try_from) {
            Some(Ok(n)) => Ok(vec![switch; n.into()]),
            _ => expected("true, false, or a small number"),
        },
        (ArgAction::Append, DeValue::Array(items)) => {
            let items = items.iter().map(|item| text(arg, item.get_ref()));
            let items = items.collect::<Result<Vec<_>, _>>()?;
            if arg.get_value_delimiter().is_none() {
                return Ok(items.iter().map(|item| format!("{switch}={item}")).collect());
            }
            if let Some(item) = items.iter().find(|item| item.contains(',')) {
                return Err(format!("the value {item:?} contains a comma"));
            }
            let is_empty = items.is_empty();
            Ok((!is_empty).then(|| format!("{switch}={}", items.join(","))).into_iter().collect())
        }
        (ArgAction::Append, DeValue::String(path))
            if arg.get_value_delimiter().is_none() && path.contains(',') =>
        {
            Err(format!("one value or several? Write a list: {flag} = [\"…\", \"…\"]"))
        }
        _ => text(arg, value).map(|text| vec![format!("{switch}={text}")]),
    }
}

/// A value that is not a list, as text. Numbers are taken where the flag takes numbers.
fn text(arg: &Arg, value: &DeValue<'_>) -> Result<String, String> {
    let is_percentage = arg.get_value_parser().type_id() == TypeId::of::<f64>();
    let is_or_number = arg
        .get_value_names()
        .is_some_and(|names| names.iter().any(|name| name.as_str().split('|').any(|it| it == "N")));
    match value {
        DeValue::String(text) if !is_number(arg) => Ok(text.clone().into_owned()),
        DeValue::Integer(_) if is_number(arg) || is_percentage || is_or_number => integer(value)
            .map(|n| n.to_string())
            .ok_or_else(|| "the number is too large".to_owned()),
        DeValue::Float(number) if is_percentage => Ok(number.as_str().to_owned()),
        _ => {
            let expected = if is_number(arg) { "a whole number" } else { "a string" };
            Err(format!("expected {expected}, found {}", found(value)))
        }
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let number = value.as_integer()?;
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::Boolean(value) => format!("`{value}`"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Integer(_) => "an integer".to_owned(),
        other => format!("a {}", other.type_str()),
    }
}

/// Whether the flag's own parser takes these arguments.
fn check(flag: &str, arg: &Arg, arguments: &[String]) -> Result<(), String> {
    let mut alone = Arg::new(flag.to_owned())
        .long(flag.to_owned())
        .action(arg.get_action().clone())
        .value_parser(arg.get_value_parser().clone());
    if let Some(delimiter) = arg.get_value_delimiter() {
        alone = alone.value_delimiter(delimiter);
    }
    if let Some(names) = arg.get_value_names() {
        alone = alone.value_names(names.iter().cloned());
    }
    let command = Command::new("config").no_binary_name(true).arg(alone);
    let parsed = command.try_get_matches_from(arguments);
    parsed.map(drop).map_err(|mut error| {
        // Of a long list of values, the similar ones will do.
        let is_long =
            |it: &ContextValue| matches!(it, ContextValue::Strings(values) if values.len() > 10);
        if error.get(ContextKind::ValidValue).is_some_and(is_long) {
            error.remove(ContextKind::ValidValue);
        }
        message_of(&error)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cli::args;

    fn parse(text: &str) -> Result<Config, String> {
        let top = args::command();
        let run = top.find_subcommand("run").unwrap();
        Config::parse(Path::new("ops.toml").to_owned(), text, &top, run)
    }

    #[track_caller]
    fn check_arguments(text: &str, expected: &[&str]) {
        let arguments: Vec<_> =
            parse(text).unwrap().settings.into_iter().flat_map(|it| it.arguments).collect();
        assert_eq!(arguments, expected, "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(parse(text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn values_become_arguments_in_the_order_of_the_file() {
        check_arguments(
            "quota-share = \"30%\"\nmax_users = 5",
            &["--quota-share=30%", "--max-users=5"],
        );
        check_arguments("only-locked = true\nburst = false", &["--only-locked"]);
        check_arguments(
            "exclude = [\"a.csv\", \"b,c.csv\"]",
            &["--exclude=a.csv", "--exclude=b,c.csv"],
        );
        check_arguments("exclude = \"a.csv\"", &["--exclude=a.csv"]);
        check_arguments(
            "redact = [\"username\", \"first_name\"]",
            &["--redact=username,first_name"],
        );
        check_arguments("redact = \"username,first_name\"", &["--redact=username,first_name"]);
        check_arguments("redact = []", &[]);
        check_arguments("max-fail = 3", &["--max-fail=3"]);
        check_arguments("max-fail = \"1%\"", &["--max-fail=1%"]);
        check_arguments("column = 2", &["--column=2"]);
        check_arguments("quota-share = 12.5", &["--quota-share=12.5"]);
        check_arguments("max-users = 0x10", &["--max-users=16"]);
        check_arguments("verbose = 2", &["--verbose", "--verbose"]);
        check_arguments("verbose = true", &["--verbose"]);
        // Of other commands: `sandbox` and `report`.
        check_arguments("port = 0\nhtml = \"page.html\"", &["--port=0", "--html=page.html"]);
        check_arguments("", &[]);
    }

    #[test]
    fn an_error_names_the_line_and_the_fix() {
        check_error(
            "\n\nexlude = \"a\"",
            "ops.toml:3: `exlude` is not a flag of any command; did you mean `exclude`?",
        );
        check_error("zzzzzz = 1", "ops.toml:1: `zzzzzz` is not a flag of any command");
        check_error("help = true", "ops.toml:1: `help` is not a flag of any command");
        check_error(
            "[run]\nby = \"email\"",
            "ops.toml:1: `run` is not a flag of any command; write flag names as keys, without tables",
        );
        check_error(
            "max-users = \"5\"",
            "ops.toml:1: `max-users`: expected a whole number, found a string",
        );
        check_error(
            "max-users = -1",
            "ops.toml:1: invalid value '-1' for '--max-users <N>': invalid digit found in string",
        );
        check_error(
            "max-users = 1.5",
            "ops.toml:1: `max-users`: expected a whole number, found a float",
        );
        check_error(
            "only-locked = \"true\"",
            "ops.toml:1: `only-locked`: expected true or false, found a string",
        );
        check_error("timeout = 30", "ops.toml:1: `timeout`: expected a string, found an integer");
        check_error(
            "timeout = \"30\"",
            "ops.toml:1: invalid value '30' for '--timeout <DURATION>': a duration is written with its unit, such as 500ms, 30s, 15m, 2h or 7d",
        );
        check_error(
            "by = \"mail\"",
            "ops.toml:1: invalid value 'mail' for '--by <KIND>' [possible values: user-id, email, phone, username, external-id]; a similar value exists: 'email'",
        );
        check_error("exclude = [1]", "ops.toml:1: `exclude`: expected a string, found an integer");
        check_error(
            "exclude = \"a,b\"",
            "ops.toml:1: `exclude`: one value or several? Write a list: exclude = [\"…\", \"…\"]",
        );
        check_error(
            "redact = [\"username,first_name\"]",
            "ops.toml:1: `redact`: the value \"username,first_name\" contains a comma",
        );
        check_error(
            "redact = [\"usrname\"]",
            "ops.toml:1: invalid value 'usrname' for '--redact <FIELD,...>'; a similar value exists: 'username'",
        );
        check_error(
            "max-users = 1\nmax_users = 2",
            "ops.toml:2: `max-users` is set on line 1 already",
        );
        check_error("json = true\nby 1", "ops.toml:2: key with no value, expected `=`");
        check_error("latency = true", "ops.toml:1: `latency`: expected a string, found `true`");
    }

    #[test]
    fn settings_of_one_run_are_refused() {
        for key in ["yes", "force", "plan", "reason", "limit", "skip", "config"] {
            let expected = format!(
                "ops.toml:2: `{key}` cannot be set in a configuration file; give it on the command line"
            );
            check_error(&format!("# settings\n{key} = true"), &expected);
        }
    }
}
