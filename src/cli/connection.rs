//! The key, the address, and the client that knows both; or a sandbox in their place.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::args::{ConnectionArgs, EmbeddedSandboxArgs, ExecutionArgs};
use super::shard::check_share;
use crate::clerk::{ApiAddress, Client, ClientBuilder, KeyKind, SecretKey};
use crate::engine::{PaceFile, Pacer};
use crate::job::{Connection, ExitStatus, Failure, Instance};
use crate::model::mask_also;
use crate::policy::pacing::{GateSettings, Pace, Quota};
use crate::report::{Console, Level};
use crate::sandbox::{Sandbox, SandboxConfig};

/// The variable that holds the secret key.
pub(super) const KEY_VARIABLE: &str = "CLERK_SECRET_KEY";

/// The variable that holds the address of the API for all of Clerk's tools.
pub(super) const ADDRESS_VARIABLE: &str = "CLERK_API_URL";

const NO_KEY: &str = "\
no secret key: set CLERK_SECRET_KEY, or give --secret-key-file PATH or --secret-key-command CMD. \
The key stands in Clerk's dashboard under API keys and starts with sk_live_ or sk_test_. To try \
this program without a key or an account, add --sandbox";

/// Checks key and address, and starts the sandbox where one is asked for.
pub(super) fn open(
    connection: &ConnectionArgs,
    execution: &ExecutionArgs,
    console: &Console,
) -> Result<Connection, Failure> {
    if connection.sandbox.sandbox {
        return to_sandbox(&connection.sandbox, execution);
    }
    let key = secret_key(connection, console)?;
    let address = address(connection, console)?;
    let instance = match key.kind() {
        KeyKind::Production => Instance::Production,
        KeyKind::Development => Instance::Development,
        KeyKind::Unknown => {
            console.warning(
                "the key starts with neither sk_live_ nor sk_test_; it is handled with the \
                 care of a production key and the quota of a development key",
            );
            Instance::Unknown
        }
    };
    let quota = if instance == Instance::Production { LIVE_QUOTA } else { TEST_QUOTA };
    let (pace, share_of) = pace(execution, quota)?;
    let host = address.host().to_owned();
    let fingerprint = Some(key.fingerprint());
    let name = pace_file_name(&key, &host);
    let mut builder = client(address, key, execution);
    if let Some(path) = &connection.ca_file {
        builder = builder.ca_file(path);
    }
    let client = builder.build().map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let pacer = shared_pacer(execution, quota, &name, console)?;
    Ok(Connection { instance, host, fingerprint, client, pace, pacer, share_of, sandbox: None })
}

fn to_sandbox(
    args: &EmbeddedSandboxArgs,
    execution: &ExecutionArgs,
) -> Result<Connection, Failure> {
    let sandbox = SandboxConfig::default()
        .quota(args.sandbox_quota)
        .latency(args.sandbox_latency)
        .faults(args.sandbox_faults.clone())
        .n_users(args.sandbox_users)
        .seed(args.sandbox_seed);
    let limit = args.sandbox_quota;
    let quota = limit.map_or(LIVE_QUOTA, |limit| Quota { n: limit.n(), per: limit.per() });
    let running = Sandbox::start(sandbox, 0)
        .context("the sandbox can't be started")
        .map_err(Failure::internal)?;
    let address = ApiAddress::parse(&running.url(), false).map_err(Failure::internal)?;
    let key = SecretKey::parse(running.key()).map_err(Failure::internal)?;
    let (pace, share_of) = pace(execution, quota)?;
    let client = client(address, key, execution).build().map_err(Failure::internal)?;
    Ok(Connection {
        instance: Instance::Sandbox,
        host: "sandbox".to_owned(),
        fingerprint: None,
        client,
        pace,
        pacer: pacer(execution, quota),
        share_of,
        sandbox: Some(running),
    })
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

/// The pace of this process, and of which share it is the pace.
fn pace(
    execution: &ExecutionArgs,
    default: Quota,
) -> Result<(Pace, Option<(f64, Quota)>), Failure> {
    if execution.pace.rate.is_some() {
        return Ok((pace_of_all(execution, default), None));
    }
    let quota = execution.pace.quota.unwrap_or(default);
    let shards = execution.pace.shards;
    check_share(quota, execution.pace.quota_share, shards)?;
    let percent = execution.pace.quota_share / f64::from(shards);
    let share = quota.share(percent);
    let pace = if execution.pace.burst { Pace::Burst(share) } else { Pace::Share(share) };
    Ok((pace, Some((percent, quota))))
}

/// The pace of all shards together.
fn pace_of_all(execution: &ExecutionArgs, default: Quota) -> Pace {
    let share = || execution.pace.quota.unwrap_or(default).share(execution.pace.quota_share);
    match execution.pace.rate {
        Some(rate) => Pace::Rate(rate),
        None if execution.pace.burst => Pace::Burst(share()),
        None => Pace::Share(share()),
    }
}

fn pacer(execution: &ExecutionArgs, quota: Quota) -> Pacer {
    // A rate is each process's own.
    let shards = if execution.pace.rate.is_some() { 1 } else { execution.pace.shards };
    let pace = pace_of_all(execution, quota);
    Pacer::new(GateSettings { pace, shards, give_up_after: execution.max_outage })
}

/// A pacer that shares its pace with the other runs that use this key on this machine.
fn shared_pacer(
    execution: &ExecutionArgs,
    quota: Quota,
    name: &str,
    console: &Console,
) -> Result<Pacer, Failure> {
    let pacer = pacer(execution, quota);
    let console = console.clone();
    let note = move |why: &dyn std::fmt::Display| {
        console.log(Level::Detail, &format!("not sharing the pace with other runs: {why}"));
    };
    let Some(dir) = execution.state_dir.clone().or_else(default_state_dir) else {
        note(&"neither XDG_STATE_HOME nor HOME is set");
        return Ok(pacer);
    };
    match PaceFile::open(&dir, name) {
        Ok(file) => Ok(pacer.shared_through(file, move |error| note(error))),
        Err(error) if execution.state_dir.is_some() => {
            let error = anyhow::Error::new(error).context("--state-dir");
            Err(Failure::new(ExitStatus::Usage, error))
        }
        Err(error) => {
            note(&error);
            Ok(pacer)
        }
    }
}

/// Does not reveal the key: the digest cannot be reversed.
fn pace_file_name(key: &SecretKey, host: &str) -> String {
    let digest = key.digest(host.as_bytes());
    digest.iter().take(16).fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}

/// `$XDG_STATE_HOME/bulk-unlock`, else `~/.local/state/bulk-unlock`. As the XDG specification says,
/// a relative path counts as none.
fn default_state_dir() -> Option<PathBuf> {
    let dir = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = dir("XDG_STATE_HOME").or_else(|| Some(dir("HOME")?.join(".local/state")))?;
    Some(state.join("bulk-unlock"))
}

fn client(address: ApiAddress, key: SecretKey, execution: &ExecutionArgs) -> ClientBuilder {
    Client::builder(key)
        .address(address)
        .timeout(execution.timeouts.timeout)
        .connect_timeout(execution.timeouts.connect_timeout)
        .max_idle_connections(usize::from(execution.concurrency))
}

fn secret_key(args: &ConnectionArgs, console: &Console) -> Result<SecretKey, Failure> {
    let refused = |error: anyhow::Error| Failure::new(ExitStatus::Key, error);
    if let Some(path) = &args.secret_key_file {
        let file = SecretKey::from_file(path).map_err(|error| refused(error.into()))?;
        if file.readable_by_others {
            console.warning(&format!(
                "others can read the secret key file {0}; chmod 600 {0} keeps it to its owner",
                path.display()
            ));
        }
        mask_also(file.key.clone());
        return Ok(file.key);
    }
    if let Some(command) = &args.secret_key_command {
        let key = command.run().context("--secret-key-command").map_err(refused)?;
        mask_also(key.clone());
        return Ok(key);
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
    let Some(url) = &args.api_url else { return Ok(ApiAddress::default()) };
    let address = ApiAddress::parse(url, args.allow_http)
        .context("the API's address (--api-url, CLERK_API_URL)")
        .map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    if !address.is_https() && !address.is_loopback() {
        console.warning("the address is http: the secret key travels in the clear");
    }
    Ok(address)
}
