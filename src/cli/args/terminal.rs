//! Flags about what is said.

use clap::{Args, ValueEnum};

use super::values::verbosity;

/// What is said, and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Terminal")]
pub(in crate::cli) struct TerminalArgs {
    /// A bar on a terminal and lines elsewhere; or always one of them, or none
    #[arg(long, value_enum, value_name = "HOW", default_value = "auto")]
    pub(in crate::cli) progress: ProgressArg,
    /// Only errors and one closing line
    #[arg(short, long, conflicts_with = "verbose")]
    pub(in crate::cli) quiet: bool,
    /// Each failed attempt and each row that did not end well; twice: each request
    #[arg(short, long, action = clap::ArgAction::Count, value_parser = verbosity)]
    pub(in crate::cli) verbose: u8,
    /// Colour
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub(in crate::cli) color: ColorArg,
}

/// `--progress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ProgressArg {
    Auto,
    Bar,
    Lines,
    None,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ColorArg {
    Auto,
    Always,
    Never,
}
