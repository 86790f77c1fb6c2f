//! The screen that the terminal flags ask for.

use std::io::IsTerminal;

use super::args::{ColorArg, ProgressArg, TerminalArgs};
use crate::report::{LogFormat, Progress, Screen, Style, Voice};

/// The screen, and how progress is shown on it.
pub(super) fn screen(args: &TerminalArgs) -> (Screen, Progress) {
    let is_terminal = std::io::stderr().is_terminal();
    let voice = match (args.quiet, args.verbose) {
        (true, _) => Voice::Quiet,
        (false, 0) => Voice::Normal,
        (false, 1) => Voice::Verbose,
        (false, _) => Voice::VeryVerbose,
    };
    let style = Style { colour: wants_colour(args.color, is_terminal) };
    let progress = match args.progress {
        ProgressArg::Auto if is_terminal => Progress::Bar,
        ProgressArg::Auto | ProgressArg::Lines => Progress::Lines,
        ProgressArg::Bar => Progress::Bar,
        ProgressArg::None => Progress::None,
    };
    (Screen::stderr(voice, style, LogFormat::Text), progress)
}

/// `NO_COLOR`: see <https://no-color.org>; present and not empty, it turns colour off.
fn wants_colour(color: ColorArg, is_terminal: bool) -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match color {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => {
            let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
            is_terminal && !is_set("NO_COLOR") && !is_dumb
        }
    }
}
