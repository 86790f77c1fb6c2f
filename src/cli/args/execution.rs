//! Flags about pace, patience and guards.

use std::time::Duration;

use clap::Args;

use super::values::{duration, max_fail, percent, quota, rate};
use crate::policy::pacing::Quota;
use crate::policy::stop_rule::MaxFail;

/// How to send.
#[derive(Debug, Args)]
#[command(next_help_heading = "Execution")]
pub(in crate::cli) struct ExecutionArgs {
    /// The instance's documented quota [default: 1000/10s for `sk_live_`, 100/10s for `sk_test_`]
    #[arg(long, value_name = "N/TIME", value_parser = quota)]
    pub(in crate::cli) quota: Option<Quota>,
    /// The part of it that this job may use; the rest is the live application's
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "80%")]
    pub(in crate::cli) quota_share: f64,
    /// An even pace in place of quota and share, such as 80/s or 6000/m
    #[arg(long, value_name = "N/TIME", value_parser = rate, conflicts_with_all = ["quota", "quota_share"])]
    pub(in crate::cli) rate: Option<Quota>,
    /// Requests in flight at most
    #[arg(short, long, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(in crate::cli) concurrency: u16,
    /// Further attempts per user after the first; a 429 does not use one up
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub(in crate::cli) max_retries: u32,
    /// How long one attempt may take
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "30s")]
    pub(in crate::cli) timeout: Duration,
    /// How long connecting may take
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "10s")]
    pub(in crate::cli) connect_timeout: Duration,
    /// Stop after this long: no new users, what is in flight ends
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(in crate::cli) max_duration: Option<Duration>,
    /// How long the API may stop answering before the run is given up
    #[arg(long, value_name = "DURATION", value_parser = duration, default_value = "15m")]
    pub(in crate::cli) max_outage: Duration,
    /// Stop when so many users ended as `failed`, `rejected`, `still_locked` or `not_found`
    #[arg(long, value_name = "N|N%", value_parser = max_fail)]
    pub(in crate::cli) max_fail: Option<MaxFail>,
}
