//! The key, the address, and a client with both; or a sandbox in their place.

use std::fmt::Display;
use std::io::{self, BufRead, BufReader, Read};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus as ProcessStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use secrecy::zeroize::Zeroizing;

use super::args::{ConnectionArgs, EmbeddedSandboxArgs, ExecutionArgs, PaceArgs};
use crate::clerk::{ApiAddress, Client, KeyError, KeyKind, SecretKey};
use crate::engine::{PaceFile, Pacer, now};
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
The key is in Clerk's dashboard under API keys and starts with sk_live_ or sk_test_. To try this \
program without a key or an account, add --sandbox";

/// How long `--secret-key-command` may take.
const KEY_COMMAND_TIMEOUT: Duration = Duration::from_secs(30);

// Clerk's documented quotas: <https://clerk.com/docs/guides/how-clerk-works/system-limits>.
const PRODUCTION_QUOTA: Quota =
    Quota { n: NonZeroU32::new(1_000).expect("not zero"), per: Duration::from_secs(10) };
const DEVELOPMENT_QUOTA: Quota =
    Quota { n: NonZeroU32::new(100).expect("not zero"), ..PRODUCTION_QUOTA };

/// Checks key and address, and starts the sandbox for `--sandbox`.
pub(super) fn open(
    args: &ConnectionArgs,
    execution: &ExecutionArgs,
    console: &Console,
) -> Result<Connection, Failure> {
    let sandbox = args.sandbox.sandbox.then(|| start_sandbox(&args.sandbox)).transpose()?;
    let (key, address) = match &sandbox {
        Some(sandbox) => (
            SecretKey::parse(sandbox.key()).map_err(Failure::internal)?,
            ApiAddress::parse(&sandbox.url(), false).map_err(Failure::internal)?,
        ),
        None => (secret_key(args, console)?, address(args, console)?),
    };
    let (instance, quota) = match key.kind() {
        _ if sandbox.is_some() => {
            let limit = args.sandbox.sandbox_quota;
            let quota = limit.map(|limit| Quota { n: limit.n(), per: limit.per() });
            (Instance::Sandbox, quota.unwrap_or(PRODUCTION_QUOTA))
        }
        KeyKind::Production => (Instance::Production, PRODUCTION_QUOTA),
        KeyKind::Development => (Instance::Development, DEVELOPMENT_QUOTA),
        KeyKind::Unknown => {
            console.warning(
                "the key starts with neither sk_live_ nor sk_test_; it is handled with the \
                 care of a production key and the quota of a development key",
            );
            (Instance::Unknown, DEVELOPMENT_QUOTA)
        }
    };
    let (host, fingerprint) = match &sandbox {
        Some(_) => ("sandbox".to_owned(), None),
        None => (address.host().to_owned(), Some(key.fingerprint())),
    };
    let PaceArgs { quota_share, burst, rate, shards, .. } = execution.pace;
    let quota = execution.pace.quota.unwrap_or(quota);
    let pace_of = |percent| {
        let share = quota.share(percent);
        if burst { Pace::Burst(share) } else { Pace::Share(share) }
    };
    let (pace, share_of, pace_of_all, shards) = if let Some(rate) = rate {
        // A rate is each process's own.
        (Pace::Rate(rate), None, Pace::Rate(rate), 1)
    } else {
        check_share(quota, quota_share, shards)?;
        let percent = quota_share / f64::from(shards);
        (pace_of(percent), Some((percent, quota)), pace_of(quota_share), shards)
    };
    // The digest does not reveal the key.
    let pace_file = hex::encode(&key.digest(host.as_bytes())[..16]);
    let mut client = Client::builder(key)
        .address(address)
        .timeout(execution.timeouts.timeout)
        .connect_timeout(execution.timeouts.connect_timeout)
        .max_idle_connections(usize::from(execution.concurrency));
    if let Some(path) = args.ca_file.as_ref().filter(|_| sandbox.is_none()) {
        client = client.ca_file(path);
    }
    let client = client.build().map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    let gate = GateSettings { pace: pace_of_all, shards, give_up_after: execution.max_outage };
    let mut pacer = Pacer::new(gate);
    if sandbox.is_none() {
        pacer = shared(pacer, execution.state_dir.as_ref(), &pace_file, console)?;
    }
    Ok(Connection { instance, host, fingerprint, client, pace, pacer, share_of, sandbox })
}

fn start_sandbox(args: &EmbeddedSandboxArgs) -> Result<Sandbox, Failure> {
    let config = SandboxConfig::default()
        .quota(args.sandbox_quota)
        .latency(args.sandbox_latency)
        .faults(args.sandbox_faults.clone())
        .n_users(args.sandbox_users)
        .seed(args.sandbox_seed);
    let started = Sandbox::start(config, 0);
    started.context("cannot start the sandbox").map_err(Failure::internal)
}

/// Refuses a share of which a shard would get less than one request per window: the shards
/// together would use more than the share.
fn check_share(quota: Quota, percent: f64, shards: u32) -> Result<(), Failure> {
    let share = quota.share(percent).n.get();
    if shards <= share || shards == 1 {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "--shard: {shards} shards cannot divide {share} requests per window; use fewer shards or a \
         larger --quota-share"
    )))
}

/// Shares the pace with the other runs that use this key on this machine.
fn shared(
    pacer: Pacer,
    state_dir: Option<&PathBuf>,
    file: &str,
    console: &Console,
) -> Result<Pacer, Failure> {
    let console = console.clone();
    let note = move |why: &dyn Display| {
        console.log(Level::Detail, &format!("not sharing the pace with other runs: {why}"));
    };
    let Some(dir) = state_dir.cloned().or_else(default_state_dir) else {
        note(&"neither XDG_STATE_HOME nor HOME is set");
        return Ok(pacer);
    };
    match PaceFile::open(&dir, file) {
        Ok(file) => Ok(pacer.shared_through(file, move |error| note(error))),
        Err(error) if state_dir.is_some() => {
            let error = anyhow::Error::new(error).context("--state-dir");
            Err(Failure::new(ExitStatus::Usage, error))
        }
        Err(error) => {
            note(&error);
            Ok(pacer)
        }
    }
}

/// `$XDG_STATE_HOME/bulk-unlock`, else `~/.local/state/bulk-unlock`. As in the XDG
/// specification, a relative path counts as none.
fn default_state_dir() -> Option<PathBuf> {
    let dir = |name| std::env::var_os(name).map(PathBuf::from).filter(|it| it.is_absolute());
    let state = dir("XDG_STATE_HOME").or_else(|| Some(dir("HOME")?.join(".local/state")))?;
    Some(state.join("bulk-unlock"))
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
        let key =
            command.run(KEY_COMMAND_TIMEOUT).context("--secret-key-command").map_err(refused)?;
        mask_also(key.clone());
        return Ok(key);
    }
    let text = std::env::var_os(KEY_VARIABLE)
        .ok_or_else(|| refused(anyhow!(NO_KEY)))?
        .into_string()
        .map_err(|_| refused(anyhow!("CLERK_SECRET_KEY is not text; copy the key again")))?;
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

/// The program and the arguments of `--secret-key-command`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyCommand {
    pub(super) program: String,
    arguments: Vec<String>,
}

impl KeyCommand {
    /// Splits a command as a POSIX shell does, without expanding anything.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let words = shell_words::split(text).map_err(|error| error.to_string())?;
        let mut words = words.into_iter();
        let program = words.next().filter(|program| !program.is_empty());
        let program = program.ok_or("a command begins with a program")?;
        Ok(Self { program, arguments: words.collect() })
    }

    /// Runs the program and takes the first line of its output. It has this program's environment
    /// and stderr, and no stdin: that may hold the users. Errors do not repeat its output.
    fn run(&self, limit: Duration) -> anyhow::Result<SecretKey> {
        let program = &self.program;
        let timed_out =
            || anyhow!("{program} did not end within {} s and was killed", limit.as_secs_f64());
        let unreadable = |error| anyhow!("cannot read the output of {program}: {error}");
        let deadline = now() + limit;
        let mut child = Command::new(program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| anyhow!("cannot run {program}: {error}"))?;
        let output = child.stdout.take();
        let (sender, first_line) = mpsc::channel();
        // If children of the program keep its stdout open, this thread ends with the process.
        thread::spawn(move || output.map(|output| read_first_line(output, &sender)));
        let status = wait_until(&mut child, deadline).map_err(unreadable)?;
        let status = status.ok_or_else(timed_out)?;
        if !status.success() {
            bail!("{program} failed: {status}");
        }
        let left = deadline.saturating_duration_since(now());
        let line = match first_line.recv_timeout(left) {
            Ok(line) => line.map_err(unreadable)?,
            Err(mpsc::RecvTimeoutError::Timeout) => return Err(timed_out()),
            Err(mpsc::RecvTimeoutError::Disconnected) => Zeroizing::default(),
        };
        let key = str::from_utf8(&line).map_err(|_| KeyError::BadCharacter);
        key.and_then(|key| SecretKey::parse(key.trim())).map_err(|error| {
            anyhow!("the first line that {program} printed is not a secret key: {error}")
        })
    }
}

/// Sends the first line, and discards the rest so that the program can write it.
fn read_first_line(output: ChildStdout, sender: &mpsc::Sender<io::Result<Zeroizing<Vec<u8>>>>) {
    /// Keys have fewer than 100 bytes.
    const MAX_LINE: u64 = 16 << 10;
    // The whole capacity at once: a vector that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_LINE).unwrap_or(0)));
    let mut output = BufReader::new(output);
    let read = output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
    // After the deadline the receiver is gone.
    let _ = sender.send(read.map(|_| line));
    let _ = io::copy(&mut output, &mut io::sink());
}

/// Waits for the end of a program and kills it at the deadline; `None` where it was killed.
fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<ProcessStatus>> {
    const INTERVAL: Duration = Duration::from_millis(10);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if now() >= deadline {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(INTERVAL);
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str) -> anyhow::Result<SecretKey> {
        KeyCommand::parse(command).unwrap().run(Duration::from_secs(20))
    }

    #[test]
    fn key_command_is_split_like_shell_words() {
        let command = KeyCommand::parse("op read 'op://Private/Clerk key' \"a b\" $HOME").unwrap();
        assert_eq!(command.program, "op");
        assert_eq!(command.arguments, ["read", "op://Private/Clerk key", "a b", "$HOME"]);
        for text in ["", "  ", "op 'read", "''"] {
            assert!(KeyCommand::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn key_is_the_first_line_trimmed() {
        let commands = [
            "printf 'sk_test_abcdefghijklmnop1234'",
            "printf '  sk_test_abcdefghijklmnop1234 \\t\\r\\nsecond line\\n'",
            "sh -c 'echo sk_test_abcdefghijklmnop1234; yes | head -n 100000'",
        ];
        for command in commands {
            assert_eq!(run(command).unwrap().fingerprint(), "sk_test_…1234", "{command}");
        }
    }

    #[test]
    fn key_command_error_names_the_program_without_its_output() {
        for (command, expected) in [
            ("sh -c 'echo sk_test_abcdefghijklmnop1234; exit 3'", "sh failed: exit status: 3"),
            ("sh -c 'kill -9 $$'", "sh failed: signal: 9 (SIGKILL)"),
            (
                "true",
                "the first line that true printed is not a secret key: the secret key is empty",
            ),
            ("printf '\\nsk_test_abcdefghijklmnop1234'", "the secret key is empty"),
            ("printf 'not a key'", "contains white space"),
            ("printf '\\377'", "a character that is not allowed"),
            ("/no/such/program x", "cannot run /no/such/program: No such file"),
        ] {
            let text = run(command).unwrap_err().to_string();
            assert!(text.contains(expected), "{command}: {text}");
            assert!(!text.contains("abcdef") && !text.contains("not a key"), "{text}");
        }
    }

    #[test]
    fn key_command_is_killed_at_the_deadline() {
        let command = KeyCommand::parse("sleep 1000").unwrap();
        let error = command.run(Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "sleep did not end within 0.05 s and was killed");
    }
}
