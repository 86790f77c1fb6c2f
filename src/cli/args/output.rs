//! Flags about what is written.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::results::SnapshotMode;

/// The results and the files beside them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct OutputArgs {
    /// The results CSV; `-` is stdout [default: <input stem>.results.csv, .plan.csv, .verify.csv]
    #[arg(short, long, value_name = "PATH")]
    pub(in crate::cli) output: Option<PathBuf>,
    /// Go on with an existing file: users it records are not called again
    #[arg(long, conflicts_with = "force")]
    pub(in crate::cli) resume: bool,
    /// Overwrite an existing file
    #[arg(long)]
    pub(in crate::cli) force: bool,
    /// The returned user: whole JSON and columns, columns only, or neither
    #[arg(long, value_enum, value_name = "WHAT", default_value = "full")]
    pub(in crate::cli) snapshot: SnapshotArg,
    /// Top-level fields of the user that are replaced by "[redacted]"
    #[arg(long, value_name = "FIELD,...", value_delimiter = ',')]
    pub(in crate::cli) redact: Vec<String>,
    /// The summary as JSON on stdout
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

/// The page.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(in crate::cli) struct PageArgs {
    /// Also write the page, one self-contained HTML file
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) report: Option<PathBuf>,
    /// Names, addresses and messages on the page too, not ids alone
    #[arg(long)]
    pub(in crate::cli) report_pii: bool,
}

/// `--snapshot`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum SnapshotArg {
    /// Whole JSON and columns
    Full,
    /// Columns only
    Summary,
    /// Neither
    None,
}

impl From<SnapshotArg> for SnapshotMode {
    fn from(snapshot: SnapshotArg) -> Self {
        match snapshot {
            SnapshotArg::Full => Self::Full,
            SnapshotArg::Summary => Self::Summary,
            SnapshotArg::None => Self::None,
        }
    }
}
