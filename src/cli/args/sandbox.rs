//! Flags of the sandbox, embedded and alone.

use clap::Args;
use clap::builder::RangedI64ValueParser;

use super::TerminalArgs;

use crate::sandbox::{Faults, InvalidSetting, Latency, Population, Rate};

/// A sandbox inside the program, for one run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(in crate::cli) struct EmbeddedSandboxArgs {
    /// Run against a server inside the program, without a key, an account or a question
    #[arg(long, conflicts_with_all = ["api_url", "secret_key_file"])]
    pub(in crate::cli) sandbox: bool,
    /// Number of users that the sandbox lists, at most 10 million
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = n_users(),
        requires = "sandbox")]
    pub(in crate::cli) sandbox_users: u32,
    /// Seed for the generated users
    #[arg(long, value_name = "N", default_value_t = 1, requires = "sandbox")]
    pub(in crate::cli) sandbox_seed: u64,
    /// Faults to inject, such as 20% or reset=2%,500=5%
    #[arg(long, value_name = "FAULTS", default_value = "0%", requires = "sandbox")]
    pub(in crate::cli) sandbox_faults: Faults,
    /// Latency of each response, such as 20ms..200ms
    #[arg(long, value_name = "RANGE", default_value = "50ms..250ms", requires = "sandbox")]
    pub(in crate::cli) sandbox_latency: Latency,
    /// Rate limit of the sandbox, or none
    #[arg(long, value_name = "N/TIME", default_value = "1000/10s", value_parser = quota,
        requires = "sandbox")]
    pub(in crate::cli) sandbox_quota: Quota,
}

/// `sandbox`.
#[derive(Debug, Args)]
pub(in crate::cli) struct SandboxArgs {
    /// Port on 127.0.0.1; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    pub(in crate::cli) port: u16,
    /// Play a development instance, with a development key and a quota of 100/10s
    #[arg(long)]
    pub(in crate::cli) development: bool,
    /// Rate limit, or none [default: 1000/10s, with --development 100/10s]
    #[arg(long, value_name = "N/TIME", value_parser = quota)]
    pub(in crate::cli) quota: Option<Quota>,
    /// Play a live application with calls at this rate, such as 25/s, and report its refused calls
    #[arg(long, value_name = "N/TIME")]
    pub(in crate::cli) live_app: Option<Rate>,
    /// Latency of each response, such as 20ms..200ms
    #[arg(long, value_name = "RANGE", default_value = "50ms..250ms")]
    pub(in crate::cli) latency: Latency,
    /// Faults to inject, such as 20% or reset=2%,500=5%
    #[arg(long, value_name = "FAULTS", default_value = "0%")]
    pub(in crate::cli) faults: Faults,
    /// Number of users that it lists, at most 10 million
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = n_users())]
    pub(in crate::cli) users: u32,
    /// Seed for the generated users
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(in crate::cli) seed: u64,
    #[command(flatten)]
    pub(in crate::cli) terminal: TerminalArgs,
}

/// A rate limit or none. (An alias, as clap reads a literal `Option` as a flag that may be absent.)
pub(in crate::cli) type Quota = Option<Rate>;

fn quota(text: &str) -> Result<Quota, InvalidSetting> {
    if text.trim() == "none" { Ok(None) } else { text.parse().map(Some) }
}

fn n_users() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(..=i64::from(Population::MAX_LISTED))
}
