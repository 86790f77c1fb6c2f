//! Waits for events during a run, and checks the files that it leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{ChildStdin, ChildStdout, Command};
use std::thread;
use std::time::{Duration, Instant};

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Sandbox, SandboxConfig};

use super::{Ended, Running, SEED, Stage};

/// Flags for a pace that never delays a request.
pub const FAST: &str = "--quota 1000000/1s --quota-share 100%";

/// Maximum time to wait for an event, far more than any takes.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// A sandbox that logs its requests and responds after this latency.
pub fn slow_config(latency: &str) -> SandboxConfig {
    SandboxConfig::default()
        .latency(latency.parse().expect("a latency"))
        .log_requests(true)
        .seed(SEED)
}

/// Runs a test with each item, in parallel, as tests mostly wait.
#[track_caller]
pub fn for_each_in_parallel<T: Send>(items: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for item in items {
            scope.spawn(move || test(item));
        }
    });
}

/// Waits until the condition holds; fails after [`TIMEOUT`].
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < TIMEOUT, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Stage {
    /// Stops the sandbox, so that connections are refused.
    pub fn stop_sandbox(&mut self) {
        self.sandbox = None;
    }

    /// Starts another sandbox, on this port.
    pub fn start_sandbox(&mut self, config: SandboxConfig, port: u16) {
        self.sandbox = Some(Sandbox::start(config, port).expect("the sandbox starts"));
    }

    /// A stage with a sandbox on a port outside the ephemeral range, so that no other program takes it
    /// while the sandbox is closed.
    pub fn with_sandbox_on_own_port(config: &SandboxConfig) -> Self {
        let mut stage = Self::new();
        let first = 10_000 + u16::try_from(std::process::id() % 20_000).expect("below 20,000");
        let start = |port| Sandbox::start(config.clone(), port).ok();
        let running: Sandbox = (first..32_000).find_map(start).expect("a free port");
        stage.set("CLERK_API_URL", &running.url());
        stage.set("CLERK_SECRET_KEY", running.key());
        stage.sandbox = Some(running);
        stage
    }

    /// Number of complete rows of a file, which may not exist yet.
    pub fn n_rows(&self, name: &str) -> usize {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        bytes
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .skip(1)
            .count()
    }

    /// Number of POST requests for each user, from the log of the sandbox.
    pub fn posts(&self) -> BTreeMap<String, usize> {
        let requests = self.sandbox().requests();
        let posts = requests.iter().filter(|request| request.method == "POST");
        posts.fold(BTreeMap::new(), |mut counts, request| {
            for id in &request.user_ids {
                *counts.entry(id.clone()).or_default() += 1;
            }
            counts
        })
    }

    /// Number of users in all POST requests.
    pub fn n_posts(&self) -> usize {
        self.posts().values().sum()
    }

    /// Checks that each of these users has exactly one row, and that there are no other rows.
    #[track_caller]
    pub fn check_one_row_each(&self, results: &str, users: &[UserId]) {
        let rows = self.rows(results);
        let ids: BTreeSet<String> = rows.iter().map(|row| row["user_id"].clone()).collect();
        let expected: BTreeSet<String> = users.iter().map(ToString::to_string).collect();
        assert_eq!(rows.len(), users.len(), "one row each");
        assert_eq!(ids, expected);
    }

    /// Checks that each row has this outcome.
    #[track_caller]
    pub fn check_all_outcomes(&self, results: &str, outcome: &str) {
        for row in self.rows(results) {
            assert_eq!(row["outcome"], outcome, "{row:?}");
        }
    }

    /// Checks that each of these users is once in either the results or `unprocessed`, and that the
    /// manifest has the same counts. Returns the number of rows.
    #[track_caller]
    pub fn check_accounting(&self, stem: &str, users: &[UserId]) -> usize {
        let rows = self.rows(&format!("{stem}.csv"));
        let unprocessed = self.rows(&format!("{stem}.unprocessed.csv"));
        let done = rows.iter().map(|row| row["user_id"].as_str());
        let rest = unprocessed.iter().map(|row| row["user_id"].as_str());
        let mut ids: Vec<&str> = done.chain(rest).collect();
        ids.sort_unstable();
        let mut expected: Vec<&str> = users.iter().map(UserId::as_str).collect();
        expected.sort_unstable();
        assert_eq!(ids, expected, "records = rows + unprocessed");
        let manifest = self.json(&format!("{stem}.manifest.json"));
        let recorded = ["records", "rows", "unprocessed"].map(|name| manifest[name].as_u64());
        let counted = [users.len(), rows.len(), unprocessed.len()].map(|n| Some(n as u64));
        assert_eq!(recorded, counted, "the manifest's records, rows, unprocessed");
        rows.len()
    }
}

impl Running {
    /// Starts a prepared command.
    pub fn start(mut command: Command) -> Self {
        let child = command.spawn().expect("the program starts");
        Self { line: format!("{command:?}"), child: Some(child) }
    }

    /// Waits until the program has installed its signal handlers, for half a second where `/proc`
    /// does not exist.
    pub fn wait_for_signal_handlers(&self) {
        const SIGUSR1: u32 = 10;
        let status = format!("/proc/{}/status", self.id());
        let is_installed = || {
            let text = fs::read_to_string(&status).ok()?;
            let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            Some(mask >> (SIGUSR1 - 1) & 1 == 1)
        };
        if fs::exists("/proc/self/status").unwrap_or(false) {
            wait_until("signal handlers are installed", || is_installed() == Some(true));
        } else {
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// Takes the pipe to its stdin.
    pub fn take_stdin(&mut self) -> ChildStdin {
        let stdin = self.child.as_mut().and_then(|child| child.stdin.take());
        stdin.expect("a pipe that was not taken yet")
    }

    /// Takes the pipe from its stdout.
    pub fn take_stdout(&mut self) -> ChildStdout {
        let stdout = self.child.as_mut().and_then(|child| child.stdout.take());
        stdout.expect("a pipe that was not taken yet")
    }

    /// Writes this to its stdin and closes it.
    pub fn write_stdin(&mut self, input: &str) {
        self.take_stdin().write_all(input.as_bytes()).expect("the program reads");
    }

    /// Whether it is still running.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Waits until it exits. Returns its peak memory in MiB, where `/proc` shows it.
    pub fn wait_with_peak_memory(mut self) -> (Ended, Option<u64>) {
        // Its pipes are not read until it exits, so it must not print much.
        let status = format!("/proc/{}/status", self.id());
        let mut peak = None;
        while self.is_alive() {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let kib = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kib = kib.and_then(|kib| kib.trim().trim_end_matches(" kB").parse::<u64>().ok());
            peak = kib.map(|kib| kib / 1024).or(peak);
            thread::sleep(Duration::from_millis(1));
        }
        (self.wait(), peak)
    }
}

/// The file to which [`Stage::spawn_with_stderr_in_file`] redirects stderr.
const STDERR_FILE: &str = "stderr.txt";

impl Stage {
    /// Starts the program with stderr in a file, for [`wait_for_stderr`](Stage::wait_for_stderr).
    pub fn spawn_with_stderr_in_file(&self, line: &str) -> Running {
        let file = fs::File::create(self.path(STDERR_FILE)).expect("a file can be made");
        let mut command = self.command(line);
        command.stderr(file);
        Running::start(command)
    }

    /// Waits until the stderr of that program contains this.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) {
        wait_until(text, || self.stderr_so_far().contains(text));
    }

    /// The stderr of that program so far.
    pub fn stderr_so_far(&self) -> String {
        self.read(STDERR_FILE)
    }
}
