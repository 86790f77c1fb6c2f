//! Flags for pace, retries and guards.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{duration, max_fail, percent, quota, rate};
use crate::policy::pacing::Quota;
use crate::policy::stop_rule::MaxFail;

/// How to send requests.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(in crate::cli) struct ExecutionArgs {
    /// Documented quota of the instance [default: 1000/10s for `sk_live_`, 100/10s for `sk_test_`]
    #[arg(long, value_name = "N/TIME", value_parser = quota)]
    pub(in crate::cli) quota: Option<Quota>,
    /// Share of the quota that this job may use; the live application needs the rest
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "50%")]
    pub(in crate::cli) quota_share: f64,
    /// Send the share of a window at once instead of evenly spaced; for instances without a live
    /// application
    #[arg(long)]
    pub(in crate::cli) burst: bool,
    /// Even pace in place of quota and share, such as 80/s or 6000/m
    #[arg(long, value_name = "N/TIME", value_parser = rate)]
    #[arg(conflicts_with_all = ["quota", "quota_share", "burst"])]
    pub(in crate::cli) rate: Option<Quota>,
    /// Directory in which runs with the same key share their pace [default:
    /// `$XDG_STATE_HOME/bulk-unlock` or `~/.local/state/bulk-unlock`]
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) state_dir: Option<PathBuf>,
    /// Maximum concurrent requests
    #[arg(short, long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) concurrency: u16,
    /// Retries per user after the first attempt; a 429 does not use one up
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(in crate::cli) max_retries: u32,
    /// Timeout of one attempt
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(in crate::cli) timeout: Duration,
    /// Timeout of connecting
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(in crate::cli) connect_timeout: Duration,
    /// Stop after this time: start no new users, wait for requests in flight
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) max_duration: Option<Duration>,
    /// Stop when the API has been unreachable for this long
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    pub(in crate::cli) max_outage: Duration,
    /// Stop when this many users ended as `failed`, `rejected`, `still_locked` or `not_found`
    #[arg(long, value_name = "N|N%", value_parser = max_fail)]
    pub(in crate::cli) max_fail: Option<MaxFail>,
}
