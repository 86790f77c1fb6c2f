//! The console of the terminal flags, and the report of a failed command: a message on stderr, and
//! with `--json` an object on stdout in place of a summary.

use std::ffi::OsString;
use std::io::{IsTerminal as _, Write as _};

use clap::Command;
use clap::error::ErrorKind;
use serde_json::json;

use super::args::{ColorArg, ProgressArg, TerminalArgs};
use super::settings::{find, variable};
use crate::job::{ExitStatus, Failure};
use crate::report::{Console, LogFormat, Progress, Style, Verbosity};
use crate::stats::summary::ErrorReport;

pub(super) fn console(args: &TerminalArgs) -> (Console, Progress) {
    let is_terminal = std::io::stderr().is_terminal();
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::VeryVerbose,
    };
    let format = args.log_format;
    let is_text = format == LogFormat::Text;
    let style = Style { color: is_text && wants_color(args.color, is_terminal) };
    let progress = progress(args.progress, is_text && is_terminal, is_dumb());
    (begin(verbosity, style, format), progress)
}

/// A console before its flags are parsed.
pub(super) fn early(format: LogFormat) -> Console {
    begin(Verbosity::Normal, Style { color: false }, format)
}

/// Creates a console and writes the first line of a JSON log.
fn begin(verbosity: Verbosity, style: Style, format: LogFormat) -> Console {
    let console = Console::stderr(verbosity, style, format);
    let traceparent = std::env::var("TRACEPARENT").ok().filter(|it| !it.is_empty());
    console.begin(traceparent.as_deref());
    console
}

/// A bar needs a terminal that can move the cursor. Where a bar cannot be drawn, lines replace it.
fn progress(asked: ProgressArg, is_terminal: bool, is_dumb: bool) -> Progress {
    match asked {
        ProgressArg::Auto if is_terminal && !is_dumb => Progress::Bar,
        ProgressArg::Bar if is_terminal => Progress::Bar,
        ProgressArg::Auto | ProgressArg::Bar | ProgressArg::Lines => Progress::Lines,
        ProgressArg::None => Progress::None,
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// `NO_COLOR`: see <https://no-color.org>; present and not empty, it turns color off.
fn wants_color(color: ColorArg, is_terminal: bool) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => is_terminal && !is_set("NO_COLOR") && !is_dumb(),
    }
}

/// How to report an error before the arguments are parsed, or if they cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reporting {
    /// `--log-format`.
    pub(super) format: LogFormat,
    /// `--json`.
    pub(super) json: bool,
}

impl Reporting {
    /// The values in arguments and variables, as far as they can be read.
    pub(super) fn of(top: &Command, arguments: &[OsString]) -> Self {
        let words: Vec<&str> = arguments.iter().skip(1).map_while(|it| it.to_str()).collect();
        let words = words.split(|word| *word == "--").next().unwrap_or_default();
        let pairs = words.windows(2).filter(|pair| pair[0] == "--log-format").map(|pair| pair[1]);
        let joined = words.iter().filter_map(|word| word.strip_prefix("--log-format="));
        let set = |long| std::env::var(variable(long)).ok();
        let format = pairs.chain(joined).last().map(str::to_owned).or_else(|| set("log-format"));
        let is_json = format.as_deref() == Some("json");
        let command = words.first().and_then(|name| top.find_subcommand(name));
        let has_json = command.is_some_and(|command| find(command, "json").is_some());
        let wants_json = words.contains(&"--json") || set("json").as_deref() == Some("true");
        Self {
            format: if is_json { LogFormat::Json } else { LogFormat::Text },
            json: has_json && wants_json,
        }
    }
}

/// Reports that a command failed.
pub(super) fn report(failure: &Failure, console: &Console, json: bool) {
    let (status, message) = (failure.status, failure.to_string());
    print(status, &message, status.hint(), console, json);
}

/// Prints an error, and with `--json` its object.
pub(super) fn print(
    status: ExitStatus,
    message: &str,
    hint: Option<&str>,
    console: &Console,
    json: bool,
) {
    let fields = json!({ "code": status.word(), "hint": hint, "exit_code": status.code() });
    console.error_with(message, fields);
    if json {
        print_object(status, message, hint);
    }
}

/// Prints the object in place of a summary. A closed stdout is not another error.
pub(super) fn print_object(status: ExitStatus, message: &str, hint: Option<&str>) {
    let report = ErrorReport::new(status.word(), message, hint, status.code());
    if let Ok(object) = report.to_json() {
        let _ = writeln!(std::io::stdout(), "{object}");
    }
}

/// The message of clap's error, without the usage lines.
pub(super) fn message_of(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is given".to_owned();
    }
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    let end = ["\n\nUsage:", "\n\nFor more"].iter().filter_map(|end| text.find(end)).min();
    let text = &text[..end.unwrap_or(text.len())];
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace(" tip: ", "; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;

    #[test]
    fn a_bar_needs_a_terminal() {
        use ProgressArg::{Auto, Bar, Lines, None};
        for (asked, is_terminal, is_dumb, expected) in [
            (Auto, true, false, Progress::Bar),
            (Auto, true, true, Progress::Lines),
            (Auto, false, false, Progress::Lines),
            (Bar, true, false, Progress::Bar),
            // An explicit request takes precedence over `TERM`.
            (Bar, true, true, Progress::Bar),
            (Bar, false, false, Progress::Lines),
            (Lines, true, false, Progress::Lines),
            (None, true, false, Progress::None),
        ] {
            let shown = progress(asked, is_terminal, is_dumb);
            assert_eq!(shown, expected, "{asked:?} {is_terminal} {is_dumb}");
        }
    }

    #[track_caller]
    fn check(line: &str, format: LogFormat, json: bool) {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let expected = Reporting { format, json };
        assert_eq!(Reporting::of(&args::command(), &arguments), expected, "{line}");
    }

    #[test]
    fn reporting_is_read_from_arguments_that_cannot_be_parsed() {
        use LogFormat::{Json, Text};
        check("bulk-unlock run --frobnicate", Text, false);
        check("bulk-unlock run --frobnicate --json", Text, true);
        check("bulk-unlock run --log-format json --frobnicate", Json, false);
        check("bulk-unlock run --log-format=json --json", Json, true);
        check("bulk-unlock run --log-format=xml", Text, false);
        check("bulk-unlock run --log-format", Text, false);
        check("bulk-unlock run -- --log-format=json --json", Text, false);
        check("bulk-unlock locked --json", Text, false);
        check("bulk-unlock --json", Text, false);
    }
}
