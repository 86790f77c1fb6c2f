//! Flags about whom to unlock, and about being allowed to.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::duration;

/// What chooses users in an input, or reads them in another way than a plan holds them: passed over
/// in silence, `--limit 5` of a plan would unlock everybody on it.
const OF_AN_INPUT: [&str; 11] = [
    "input",
    "dry_run",
    "column",
    "by",
    "delimiter",
    "lenient",
    "limit",
    "skip",
    "carry",
    "max_input_age",
    "retry_failed",
];

/// Whom to unlock.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(in crate::cli) struct SelectionArgs {
    /// Plan instead of run: the same road, reads in place of unlocks
    #[arg(short = 'n', long)]
    pub(in crate::cli) dry_run: bool,
    /// Look users up first (100 a call) and unlock only those who are locked
    #[arg(long)]
    pub(in crate::cli) only_locked: bool,
    /// Run exactly the `would_unlock` rows of this plan file
    #[arg(long, value_name = "PLAN", conflicts_with_all = OF_AN_INPUT)]
    pub(in crate::cli) plan: Option<PathBuf>,
    /// How old that plan may be
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "24h")]
    pub(in crate::cli) plan_max_age: Duration,
    /// Unlock so many first; stop there unless all of them end well
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(in crate::cli) canary: Option<u32>,
    /// Read back what was unlocked, when the run is over
    #[arg(long)]
    pub(in crate::cli) verify: bool,
}

/// What a look-up decides.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(in crate::cli) struct LookUpArgs {
    /// Also unlock users who look locked on purpose: locked with verification attempts left
    #[arg(long)]
    pub(in crate::cli) include_admin_locked: bool,
}

/// Being allowed to.
#[derive(Debug, Args)]
#[command(next_help_heading = "Selection and consent")]
pub(in crate::cli) struct ConsentArgs {
    /// Refuse to start when the number of users to unlock is another
    #[arg(long, value_name = "N")]
    pub(in crate::cli) expect_count: Option<u64>,
    /// Refuse to start when the number of users to unlock is larger
    #[arg(long, value_name = "N")]
    pub(in crate::cli) max_users: Option<u64>,
    /// No question
    #[arg(short, long)]
    pub(in crate::cli) yes: bool,
    /// Why; kept in the manifest and on the report
    #[arg(long, value_name = "TEXT")]
    pub(in crate::cli) reason: Option<String>,
}
