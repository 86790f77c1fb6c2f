//! Flags of the sandbox, embedded and alone.

use clap::Args;

use super::args::TerminalArgs;

use crate::sandbox::{Faults, Latency, Quota};

/// A sandbox inside the program, for one run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(super) struct EmbeddedSandboxArgs {
    /// Use a built-in server: no key, no account
    #[arg(long, conflicts_with_all = ["api_url", "secret_key_file"])]
    pub(super) sandbox: bool,
    /// How many users it lists
    #[arg(
        long,
        value_name = "N",
        default_value_t = 10_000,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_users: u32,
    /// Another number, other users
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_seed: u64,
    /// Faults it makes, such as 20% or reset=2%,500=5%
    #[arg(
        long,
        value_name = "FAULTS",
        default_value = "0%",
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_faults: Faults,
    /// How long it takes to answer, such as 20ms..200ms
    #[arg(
        long,
        value_name = "RANGE",
        default_value = "50ms..250ms",
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_latency: Latency,
    /// Its rate limit, or none
    #[arg(
        long,
        value_name = "N/TIME",
        default_value = "1000/10s",
        requires = "sandbox",
        hide_short_help = true
    )]
    pub(super) sandbox_quota: Quota,
}

/// `sandbox`.
#[derive(Debug, Args)]
pub(super) struct SandboxArgs {
    /// The port on 127.0.0.1; 0 picks a free one
    #[arg(long, value_name = "PORT", default_value_t = 8787)]
    pub(super) port: u16,
    /// The rate limit, or none
    #[arg(long, value_name = "N/TIME", default_value = "100/10s")]
    pub(super) quota: Quota,
    /// How long it takes to answer, such as 20ms..200ms
    #[arg(long, value_name = "RANGE", default_value = "50ms..250ms")]
    pub(super) latency: Latency,
    /// Faults it makes, such as 20% or reset=2%,500=5%
    #[arg(long, value_name = "FAULTS", default_value = "0%")]
    pub(super) faults: Faults,
    /// How many users it lists
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    pub(super) users: u32,
    /// Another number, other users
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) seed: u64,
    #[command(flatten)]
    pub(super) terminal: TerminalArgs,
}
