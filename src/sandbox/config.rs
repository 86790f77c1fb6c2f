//! What a sandbox is like.

use super::{Faults, Latency, RateLimit, Script};

/// What a sandbox is like.
///
/// ```
/// use bulk_unlock::sandbox::{Faults, Sandbox, SandboxConfig};
///
/// let config = SandboxConfig { faults: Faults::mix(0.2), ..SandboxConfig::default() };
/// let sandbox = Sandbox::start(config, 0)?;
/// assert!(sandbox.url().starts_with("http://127.0.0.1:"));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// How many requests it lets through; `None`: as many as come.
    pub quota: Option<RateLimit>,
    /// How long it takes for an answer.
    pub latency: Latency,
    /// What goes wrong.
    pub faults: Faults,
    /// How many users the instance lists (10 million at most). Any other well-formed id is a user
    /// too, but for two of a hundred.
    pub n_users: u32,
    /// Makes the users and rolls the faults.
    pub seed: u64,
    /// The secret key that it takes.
    pub key: String,
    /// What the first unlock calls for some users are answered with.
    pub script: Script,
    /// Whether the requests are kept for [`RunningSandbox::requests`](super::RunningSandbox::requests).
    pub log_requests: bool,
}

impl Default for SandboxConfig {
    /// No limit, no latency, no faults, a thousand users, seed 1.
    fn default() -> Self {
        Self {
            quota: None,
            latency: Latency::default(),
            faults: Faults::NONE,
            n_users: 1_000,
            seed: 1,
            key: "sk_test_sandbox_only".to_owned(),
            script: Script::new(),
            log_requests: false,
        }
    }
}
