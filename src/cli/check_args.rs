//! The flags of `check`: those of a run that decide how the API is reached and paced.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::args::{ConnectionArgs, ExecutionArgs, TerminalArgs};
use super::sandbox_args::EmbeddedSandboxArgs;
use super::values::{duration, percent, quota, rate};
use crate::policy::pacing::Quota;

/// `check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Write the result as JSON
    #[arg(long, help_heading = "Output")]
    pub(super) json: bool,
    #[command(flatten)]
    pace: PaceArgs,
    #[command(flatten)]
    pub(super) connection: ConnectionArgs,
    #[command(flatten)]
    pub(super) sandbox: EmbeddedSandboxArgs,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// How to send two requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
struct PaceArgs {
    /// Documented rate limit of the instance
    ///
    /// [default: 1000/10s in production, 100/10s in development]
    #[arg(long, value_name = "N/TIME", value_parser = quota, hide_short_help = true)]
    quota: Option<Quota>,
    /// Part of the rate limit to use
    ///
    /// The rest is left to the live application
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "50%")]
    quota_share: f64,
    /// Send the share of a window at once instead of evenly spaced
    ///
    /// For instances without a live application
    #[arg(long, hide_short_help = true)]
    burst: bool,
    /// Even pace in place of a share, such as 80/s
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    #[arg(conflicts_with_all = ["quota", "quota_share", "burst"])]
    rate: Option<Quota>,
    /// Timeout of one attempt
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    #[arg(hide_short_help = true)]
    timeout: Duration,
    /// Timeout for connecting
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    #[arg(hide_short_help = true)]
    connect_timeout: Duration,
    /// Directory in which runs with the same key share their pace
    ///
    /// [default: $XDG_STATE_HOME/bulk-unlock or ~/.local/state/bulk-unlock]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    state_dir: Option<PathBuf>,
}

impl CheckArgs {
    /// How its requests are sent: one after the other, each once.
    pub(super) fn execution(&self) -> ExecutionArgs {
        let PaceArgs { quota, quota_share, burst, rate, timeout, connect_timeout, state_dir } =
            &self.pace;
        ExecutionArgs {
            quota: *quota,
            quota_share: *quota_share,
            burst: *burst,
            rate: *rate,
            timeout: *timeout,
            connect_timeout: *connect_timeout,
            state_dir: state_dir.clone(),
            concurrency: 1,
            max_retries: 0,
            max_duration: None,
            max_outage: Duration::MAX,
            shards: 1,
        }
    }
}
