//! Flags about the input.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::values::duration;
use crate::model::IdentifierKind;

/// What to read and how.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(in crate::cli) struct InputArgs {
    /// CSV or a plain list of users; `-` is stdin, and so is none when stdin is no terminal
    #[arg(value_name = "INPUT")]
    pub(in crate::cli) input: Option<PathBuf>,
    /// The column that holds the users, by name or 1-based number
    #[arg(long, value_name = "NAME|N")]
    pub(in crate::cli) column: Option<String>,
    /// What that column holds
    #[arg(long, value_enum, value_name = "KIND", default_value = "user-id")]
    pub(in crate::cli) by: ByArg,
    /// Only so many records
    #[arg(long, value_name = "N")]
    pub(in crate::cli) limit: Option<u64>,
    /// Pass over so many records first
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(in crate::cli) skip: u64,
    /// Users never to touch: a file like the input
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) exclude: Option<PathBuf>,
    /// Input columns to repeat in the results, or `all`
    #[arg(long, value_name = "COL,...", value_delimiter = ',')]
    pub(in crate::cli) carry: Vec<String>,
    /// INPUT is a results file: only its rows that may yet succeed, into a new file
    #[arg(long, conflicts_with_all = ["column", "resume"])]
    pub(in crate::cli) retry_failed: bool,
    /// An input without any record: fine, a warning, or an error
    #[arg(long, value_enum, value_name = "WHAT", default_value = "fail")]
    pub(in crate::cli) if_empty: IfEmpty,
    /// Refuse an input file that was changed longer ago
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

/// `--by`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum ByArg {
    UserId,
    Email,
    Phone,
    Username,
    ExternalId,
}

impl From<ByArg> for IdentifierKind {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::UserId => Self::UserId,
            ByArg::Email => Self::Email,
            ByArg::Phone => Self::Phone,
            ByArg::Username => Self::Username,
            ByArg::ExternalId => Self::ExternalId,
        }
    }
}
