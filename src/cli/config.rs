//! The configuration file (`--config`): settings in TOML under the long names of their flags. The
//! parser of its flag checks each value.

use std::any::TypeId;
use std::path::Path;

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};

use super::console::message_of;
use super::settings::{Setting, find, is_number, long_names, nearest};
use crate::job::Source;

/// The long name of the flag that names the file.
pub(super) const FLAG: &str = "config";

/// Settings that belong to one run: a file that is used for many runs must not repeat them.
const OF_ONE_RUN: [&str; 6] = ["yes", "force", "plan", "reason", "limit", "skip"];

/// Reads a file for this command. An error names the line.
pub(super) fn read(path: &Path, top: &Command, command: &Command) -> Result<Vec<Setting>, String> {
    let shown = path.display();
    let bytes = std::fs::read(path)
        .map_err(|error| format!("cannot read the configuration file {shown}: {error}"))?;
    let text = str::from_utf8(&bytes).map_err(|error| {
        let line = line_at(&bytes, error.valid_up_to());
        format!("{shown}:{line}: not UTF-8; save the file as UTF-8")
    })?;
    parse(path, text, top, command)
}

fn parse(
    path: &Path,
    text: &str,
    top: &Command,
    command: &Command,
) -> Result<Vec<Setting>, String> {
    let line_at = |offset| line_at(text.as_bytes(), offset);
    let table = DeTable::parse(text).map_err(|error| {
        let line = line_at(error.span().map_or(0, |span| span.start));
        format!("{}:{line}: {}", path.display(), error.message())
    })?;
    let mut entries: Vec<_> = table.into_inner().into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let mut lines: Vec<(String, usize)> = Vec::new();
    let mut settings = Vec::new();
    for (key, value) in entries {
        let line = line_at(key.span().start);
        let place = format!("{}:{line}", path.display());
        let refused = |why: String| format!("{place}: {why}");
        let key = key.get_ref();
        let flag = key.replace('_', "-");
        let arguments = setting(key, &flag, value.get_ref(), top, command).map_err(refused)?;
        if let Some((_, line)) = lines.iter().find(|(it, _)| *it == flag) {
            return Err(refused(format!("`{flag}` is set on line {line} already")));
        }
        lines.push((flag.clone(), line));
        settings.push(Setting {
            arguments: arguments.into_iter().map(Into::into).collect(),
            name: format!("{flag} of {place}"),
            source: Source::File(place),
            flag,
        });
    }
    Ok(settings)
}

fn line_at(text: &[u8], offset: usize) -> usize {
    text.iter().take(offset).filter(|&&byte| byte == b'\n').count() + 1
}

/// The arguments for a setting.
fn setting(
    key: &str,
    flag: &str,
    value: &DeValue<'_>,
    top: &Command,
    command: &Command,
) -> Result<Vec<String>, String> {
    if OF_ONE_RUN.contains(&flag) || flag == FLAG {
        return Err(format!(
            "`{key}` cannot be set in a configuration file; give it on the command line"
        ));
    }
    // A flag may differ from command to command: that of the present one decides.
    let args: Vec<&Arg> = match find(command, flag) {
        Some(arg) => vec![arg],
        None => top.get_subcommands().filter_map(|it| find(it, flag)).collect(),
    };
    let mut tried = args.into_iter().map(|arg| {
        let arguments = arguments(flag, arg, value).map_err(|why| format!("`{key}`: {why}"))?;
        check(flag, arg, &arguments).map(|()| arguments)
    });
    let first = tried.next().unwrap_or_else(|| {
        let hint = match value {
            DeValue::Table(_) => "; write flag names as keys, without tables".to_owned(),
            _ => nearest(flag, long_names(top), (flag.len() / 2).min(4))
                .map(|near| format!("; did you mean `{near}`?"))
                .unwrap_or_default(),
        };
        Err(format!("`{key}` is not a flag of any command{hint}"))
    });
    first.or_else(|why| tried.find_map(Result::ok).ok_or(why))
}

/// A value as it would be given on the command line.
fn arguments(flag: &str, arg: &Arg, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let expected = |what: &str| Err(format!("expected {what}, found {}", found(value)));
    let switch = format!("--{flag}");
    match (arg.get_action(), value) {
        (ArgAction::SetTrue | ArgAction::Count, DeValue::Boolean(is_on)) => {
            Ok(vec![switch; usize::from(*is_on)])
        }
        (ArgAction::SetTrue, _) => expected("true or false"),
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
            let argument = format!("{switch}={}", items.join(","));
            Ok(vec![argument; usize::from(!items.is_empty())])
        }
        (ArgAction::Append, DeValue::String(path))
            if arg.get_value_delimiter().is_none() && path.contains(',') =>
        {
            Err(format!("one value or several? Write a list: {flag} = [\"…\", \"…\"]"))
        }
        _ => text(arg, value).map(|text| vec![format!("{switch}={text}")]),
    }
}

/// A value that is not a list, as text. Only flags that take numbers accept numbers.
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

/// Checks the arguments with the flag's own parser.
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
        // The similar values suffice in place of a long list.
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
    use super::*;
    use crate::cli::args;

    fn parse_for_run(text: &str) -> Result<Vec<Setting>, String> {
        let top = args::command();
        let run = top.find_subcommand("run").unwrap();
        parse(Path::new("ops.toml"), text, &top, run)
    }

    #[track_caller]
    fn check_arguments(text: &str, expected: &[&str]) {
        let arguments: Vec<_> =
            parse_for_run(text).unwrap().into_iter().flat_map(|it| it.arguments).collect();
        assert_eq!(arguments, expected, "{text}");
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        assert_eq!(parse_for_run(text).unwrap_err(), expected, "{text}");
    }

    #[test]
    fn values_become_arguments_in_file_order() {
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
    fn error_names_the_line_and_the_fix() {
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
