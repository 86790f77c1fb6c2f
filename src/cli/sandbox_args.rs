//! Flags of the sandbox, embedded and alone.

use clap::Args;
use clap::builder::RangedI64ValueParser;

use super::args::TerminalArgs;
use crate::sandbox::{Faults, InvalidSetting, Latency, Population, Rate};

/// A sandbox inside the program, for one run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct EmbeddedSandboxArgs {
    /// Use a built-in server: no key, no account
    #[arg(long, conflicts_with_all = ["api_url", "secret_key_file"])]
    pub(super) sandbox: bool,
    /// Number of users that the sandbox lists, at most 10 million
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = n_users())]
    #[arg(requires = "sandbox", hide_short_help = true)]
    pub(super) sandbox_users: u32,
    /// Seed for the generated users
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_seed: u64,
    /// Faults to inject, such as 20% or reset=2%,500=5%
    #[arg(
        long,
        value_name = "FAULTS",
        default_value = "0%",
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_faults: Faults,
    /// Latency of each response, such as 20ms..200ms
    #[arg(
        long,
        value_name = "RANGE",
        default_value = "50ms..250ms",
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_latency: Latency,
    /// Rate limit of the sandbox, or none
    #[arg(long, value_name = "N/TIME", default_value = "1000/10s", value_parser = quota)]
    #[arg(requires = "sandbox", hide_short_help = true)]
    pub(super) sandbox_quota: Quota,
}

/// `sandbox`.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// Port on 127.0.0.1; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    pub(super) port: u16,
    /// Play a development instance, with a development key and a quota of 100/10s
    #[arg(long)]
    pub(super) development: bool,
    /// Rate limit, or none [default: 1000/10s, with --development 100/10s]
    #[arg(long, value_name = "N/TIME", value_parser = quota)]
    pub(super) quota: Option<Quota>,
    /// Play a live application with calls at this rate, such as 25/s, and report its refused calls
    #[arg(long, value_name = "N/TIME")]
    pub(super) live_app: Option<Rate>,
    /// Latency of each response, such as 20ms..200ms
    #[arg(long, value_name = "RANGE", default_value = "50ms..250ms")]
    pub(super) latency: Latency,
    /// Faults to inject, such as 20% or reset=2%,500=5%
    #[arg(long, value_name = "FAULTS", default_value = "0%")]
    pub(super) faults: Faults,
    /// Number of users that it lists, at most 10 million
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = n_users())]
    pub(super) users: u32,
    /// Seed for the generated users
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}

/// A rate limit or none. (An alias, as clap reads a literal `Option` as a flag that may be absent.)
pub(super) type Quota = Option<Rate>;

fn quota(text: &str) -> Result<Quota, InvalidSetting> {
    if text.trim() == "none" { Ok(None) } else { text.parse().map(Some) }
}

fn n_users() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=i64::from(Population::MAX_LISTED))
}
