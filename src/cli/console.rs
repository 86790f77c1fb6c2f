//! The console that the terminal flags ask for.

use std::io::IsTerminal;

use super::args::{ColorArg, ProgressArg, TerminalArgs};
use crate::report::{Console, LogFormat, Progress, Style, Verbosity};

/// The console, and how progress is shown on it.
pub(super) fn console(args: &TerminalArgs) -> (Console, Progress) {
    let is_terminal = std::io::stderr().is_terminal();
    let verbosity = match (args.quiet, args.verbose) {
        (true, _) => Verbosity::Quiet,
        (false, 0) => Verbosity::Normal,
        (false, 1) => Verbosity::Verbose,
        (false, _) => Verbosity::VeryVerbose,
    };
    let format = LogFormat::from(args.log_format);
    let is_text = format == LogFormat::Text;
    let style = Style { color: is_text && wants_color(args.color, is_terminal) };
    let progress = progress(args.progress, is_text && is_terminal, is_dumb());
    (begin(verbosity, style, format), progress)
}

/// A console for errors before the flags about it are parsed.
pub(super) fn early(format: LogFormat) -> Console {
    begin(Verbosity::Normal, Style { color: false }, format)
}

/// A console; the first line of a JSON log is written.
fn begin(verbosity: Verbosity, style: Style, format: LogFormat) -> Console {
    let console = Console::stderr(verbosity, style, format);
    let traceparent = std::env::var("TRACEPARENT").ok().filter(|it| !it.is_empty());
    console.begin(traceparent.as_deref());
    console
}

/// A bar needs a terminal that can go back to a line. Nobody who asked for one is left without a
/// word of how things stand where there is none.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_drawn_on_a_terminal_that_can_and_elsewhere_there_are_lines() {
        use ProgressArg::{Auto, Bar, Lines, None};
        for (asked, is_terminal, is_dumb, expected) in [
            (Auto, true, false, Progress::Bar),
            (Auto, true, true, Progress::Lines),
            (Auto, false, false, Progress::Lines),
            (Bar, true, false, Progress::Bar),
            // Whoever asks by name knows better than `TERM`.
            (Bar, true, true, Progress::Bar),
            (Bar, false, false, Progress::Lines),
            (Lines, true, false, Progress::Lines),
            (None, true, false, Progress::None),
        ] {
            let told = progress(asked, is_terminal, is_dumb);
            assert_eq!(told, expected, "{asked:?} {is_terminal} {is_dumb}");
        }
    }
}
