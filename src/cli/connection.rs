//! The key, the address, and the client that knows both; or a sandbox in their place.

use std::time::Duration;

use anyhow::Context;

use super::args::{ConnectionArgs, EmbeddedSandboxArgs, ExecutionArgs};
use super::failure::Failure;
use super::status::Status;
use crate::clerk::{ApiAddress, Client, ClientConfig, KeyKind, SecretKey};
use crate::engine::Pacer;
use crate::model::mask_also;
use crate::policy::pacing::{GateSettings, Pace, Quota};
use crate::report::Console;
use crate::sandbox::{RunningSandbox, Sandbox, SandboxConfig};

/// The variable that holds the secret key.
pub(super) const KEY_VARIABLE: &str = "CLERK_SECRET_KEY";

const NO_KEY: &str = "\
no secret key: set CLERK_SECRET_KEY, or give --secret-key-file PATH. The key stands in Clerk's \
dashboard under API keys and starts with sk_live_ or sk_test_. To try this program without a key \
or an account, add --sandbox";

/// What kind of instance is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instance {
    /// `sk_live_…`.
    Live,
    /// `sk_test_…`.
    Test,
    /// A key of another shape: the care of a live one, the quota of a test one.
    Other,
    /// A server inside this program.
    Sandbox,
}

impl Instance {
    /// The word that manifests and summaries use.
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Live => "production",
            Self::Test => "development",
            Self::Other => "unknown",
            Self::Sandbox => "sandbox",
        }
    }
}

/// A way to the API that has been checked; nothing was sent yet.
pub(super) struct Connection {
    pub(super) instance: Instance,
    /// How results and plans name the instance.
    pub(super) host: String,
    /// What people know the key by; none in the sandbox.
    pub(super) fingerprint: Option<String>,
    pub(super) client: Client,
    pub(super) pace: Pace,
    /// Every request of this process passes it: what a run sent counts for what reads it back.
    pub(super) pacer: Pacer,
    /// The quota that the pace is a share of; `None` under `--rate`.
    pub(super) share_of: Option<(f64, Quota)>,
    // Ends with the run.
    _sandbox: Option<RunningSandbox>,
}

impl Connection {
    /// Checks key and address, and starts the sandbox where one is asked for.
    pub(super) fn open(
        connection: &ConnectionArgs,
        sandbox: &EmbeddedSandboxArgs,
        execution: &ExecutionArgs,
        console: &Console,
    ) -> Result<Self, Failure> {
        if sandbox.sandbox {
            return Self::to_sandbox(sandbox, execution);
        }
        let key = secret_key(connection, console)?;
        let address = address(connection, console)?;
        let instance = match key.kind() {
            KeyKind::Live => Instance::Live,
            KeyKind::Test => Instance::Test,
            KeyKind::Other => {
                console.warning(
                    "the key is of a shape that is not known (neither sk_live_… nor sk_test_…): it \
                     is treated with the care of a live one and the quota of a test one",
                );
                Instance::Other
            }
        };
        let quota = if instance == Instance::Live { LIVE_QUOTA } else { TEST_QUOTA };
        let (pace, share_of) = pace(execution, quota);
        let host = address.host().to_owned();
        let fingerprint = Some(key.fingerprint());
        let mut config = config(address, key, execution);
        config.ca_file.clone_from(&connection.ca_file);
        let client = Client::new(config).map_err(|error| Failure::new(Status::Usage, error))?;
        let pacer = pacer(pace, execution);
        Ok(Self { instance, host, fingerprint, client, pace, pacer, share_of, _sandbox: None })
    }

    fn to_sandbox(args: &EmbeddedSandboxArgs, execution: &ExecutionArgs) -> Result<Self, Failure> {
        let sandbox = SandboxConfig {
            quota: args.sandbox_quota.0,
            latency: args.sandbox_latency,
            faults: args.sandbox_faults.clone(),
            n_users: args.sandbox_users,
            seed: args.sandbox_seed,
            ..SandboxConfig::default()
        };
        let quota = sandbox.quota.map_or(LIVE_QUOTA, |limit| Quota { n: limit.n, per: limit.per });
        let running = Sandbox::start(sandbox, 0)
            .context("the sandbox can't be started")
            .map_err(Failure::internal)?;
        let address = ApiAddress::parse(&running.url(), false).map_err(Failure::internal)?;
        let key = SecretKey::parse(running.key()).map_err(Failure::internal)?;
        let (pace, share_of) = pace(execution, quota);
        let client = Client::new(config(address, key, execution)).map_err(Failure::internal)?;
        Ok(Self {
            instance: Instance::Sandbox,
            host: "sandbox".to_owned(),
            fingerprint: None,
            client,
            pace,
            pacer: pacer(pace, execution),
            share_of,
            _sandbox: Some(running),
        })
    }
}

/// Clerk's documented quotas: <https://clerk.com/docs/guides/how-clerk-works/system-limits>.
const LIVE_QUOTA: Quota = quota(1_000);
const TEST_QUOTA: Quota = quota(100);

const fn quota(n: u32) -> Quota {
    let n = match std::num::NonZeroU32::new(n) {
        Some(n) => n,
        None => std::num::NonZeroU32::MIN,
    };
    Quota { n, per: Duration::from_secs(10) }
}

fn pace(execution: &ExecutionArgs, default: Quota) -> (Pace, Option<(f64, Quota)>) {
    if let Some(rate) = execution.rate {
        return (Pace::Even(rate), None);
    }
    let quota = execution.quota.unwrap_or(default);
    let percent = execution.quota_share;
    (Pace::Window(quota.share(percent)), Some((percent, quota)))
}

fn pacer(pace: Pace, execution: &ExecutionArgs) -> Pacer {
    Pacer::new(GateSettings { pace, give_up_after: execution.max_outage })
}

fn config(address: ApiAddress, key: SecretKey, execution: &ExecutionArgs) -> ClientConfig {
    let mut config = ClientConfig::new(address, key);
    config.timeout = execution.timeout;
    config.connect_timeout = execution.connect_timeout;
    config.n_idle_connections = usize::from(execution.concurrency);
    config
}

fn secret_key(args: &ConnectionArgs, console: &Console) -> Result<SecretKey, Failure> {
    let refused = |error: anyhow::Error| Failure::new(Status::Key, error);
    if let Some(path) = &args.secret_key_file {
        let file = SecretKey::from_file(path).map_err(|error| refused(error.into()))?;
        if file.readable_by_others {
            console.warning(&format!(
                "others can read the secret key file {0}; chmod 600 {0} keeps it to its owner",
                path.display()
            ));
        }
        let key = file.key.clone();
        mask_also(move |text| key.hidden_in(text));
        return Ok(file.key);
    }
    let text = std::env::var_os(KEY_VARIABLE)
        .ok_or_else(|| refused(anyhow::anyhow!(NO_KEY)))?
        .into_string()
        .map_err(|_| {
            refused(anyhow::anyhow!("CLERK_SECRET_KEY is not text; copy the key again"))
        })?;
    SecretKey::parse(&text).context("CLERK_SECRET_KEY").map_err(refused)
}

fn address(args: &ConnectionArgs, console: &Console) -> Result<ApiAddress, Failure> {
    let from_env = || std::env::var("CLERK_API_URL").ok().filter(|url| !url.is_empty());
    let Some(url) = args.api_url.clone().or_else(from_env) else {
        return Ok(ApiAddress::default());
    };
    let address = ApiAddress::parse(&url, args.allow_http)
        .context("the API's address (--api-url, CLERK_API_URL)")
        .map_err(|error| Failure::new(Status::Usage, error))?;
    if !address.is_https() && !address.is_loopback() {
        console.warning("the address is http: the secret key travels in the clear");
    }
    Ok(address)
}
