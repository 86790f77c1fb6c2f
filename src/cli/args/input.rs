//! Flags about the input.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};

use super::values::duration;
use crate::input::Delimiter;
use crate::model::IdentifierKind;

/// What to read and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(in crate::cli) struct InputArgs {
    /// CSV file or plain list of users; `-` is stdin (the default if stdin is not a terminal)
    #[arg(value_name = "INPUT")]
    pub(in crate::cli) input: Option<PathBuf>,
    /// Column that holds the users: its header or 1-based number
    #[arg(long, value_name = "NAME|N")]
    pub(in crate::cli) column: Option<String>,
    /// What that column holds
    #[arg(long, value_parser = identifier_kind(), value_name = "KIND", default_value = "user-id")]
    pub(in crate::cli) by: IdentifierKind,
    /// What separates the cells; `none` takes each line whole
    #[arg(long, value_parser = delimiter(), value_name = "WHAT", default_value = "auto")]
    pub(in crate::cli) delimiter: Delimiter,
    /// Continue if the form of the input is suspicious, such as a column with few valid users
    #[arg(long)]
    pub(in crate::cli) lenient: bool,
    /// Process at most N records
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<u64>,
    /// Skip the first N records
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(in crate::cli) skip: u64,
    /// File of users who must not be changed
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) exclude: Option<PathBuf>,
    /// Input columns to repeat in the results, or `all`
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(in crate::cli) carry: Vec<String>,
    /// Retry the failed rows of INPUT, a results file, into a new file
    #[arg(long, conflicts_with_all = ["column", "resume"])]
    pub(in crate::cli) retry_failed: bool,
    /// What to do if the input has no record: succeed, warn, or fail
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail")]
    pub(in crate::cli) if_empty: IfEmpty,
    /// Refuse an input file that was last changed longer ago than this
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) max_input_age: Option<Duration>,
}

/// `--if-empty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum IfEmpty {
    /// Exit 0
    Ok,
    /// Exit 0 with a warning
    Warn,
    /// Exit 2
    Fail,
}

fn identifier_kind() -> impl TypedValueParser<Value = IdentifierKind> {
    let values = PossibleValuesParser::new(IdentifierKind::ALL.map(IdentifierKind::flag_value));
    values.try_map(|it| IdentifierKind::from_flag_value(&it).ok_or("not a kind of identifier"))
}

fn delimiter() -> impl TypedValueParser<Value = Delimiter> {
    let values = PossibleValuesParser::new(Delimiter::ALL.map(Delimiter::flag_value));
    values.try_map(|it| Delimiter::from_flag_value(&it).ok_or("not a delimiter"))
}
