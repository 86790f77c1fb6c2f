//! For stories in which something happens while the program runs: waiting for it, watching it,
//! and checking what it left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::process::{ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Sandbox, SandboxConfig};

use super::{Ended, Running, SEED, Stage};

/// A pace that stands in nobody's way.
pub const FAST: &str = "--quota 1000000/1s --quota-share 100%";

/// How long anything may take before a story is given up: far more than it needs.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A sandbox that remembers what it was asked, and takes so long for each answer.
pub fn slow_config(latency: &str) -> SandboxConfig {
    SandboxConfig::default()
        .latency(latency.parse().expect("a latency"))
        .log_requests(true)
        .seed(SEED)
}

/// Plays the same story with each of these, all at once: stories mostly wait.
#[track_caller]
pub fn with_each<T: Send>(items: impl IntoIterator<Item = T>, story: impl Fn(T) + Sync) {
    let story = &story;
    thread::scope(|scope| {
        for item in items {
            scope.spawn(move || story(item));
        }
    });
}

/// Waits until it is so; fails when it never is.
#[track_caller]
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

impl Stage {
    /// Stops the server: from here on connections are refused.
    pub fn close_sandbox(&mut self) {
        self.sandbox = None;
    }

    /// Starts another server, on that port.
    pub fn open_sandbox(&mut self, config: SandboxConfig, port: u16) {
        self.sandbox = Some(Sandbox::start(config, port).expect("the sandbox starts"));
    }

    /// A stage with a server on a port that the system gives to nobody else, so that it is still
    /// free when it was closed for a while.
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

    /// The same command line through a shell that does this first.
    pub fn command_after(&self, first: &str, line: &str) -> Command {
        let plain = self.command(line);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{first}\nexec \"$0\" \"$@\"")]);
        command.arg(plain.get_program()).args(plain.get_args());
        command.current_dir(self.dir.path()).env_clear();
        for (name, value) in plain.get_envs() {
            value.map(|value| command.env(name, value));
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// How many whole rows a file has so far; none when it is not there.
    pub fn n_rows(&self, name: &str) -> usize {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        bytes
            .split_inclusive(|&byte| byte == b'\n')
            .filter(|line| line.ends_with(b"\n"))
            .skip(1)
            .count()
    }

    /// How often each user was asked to be unlocked, in the server's own log.
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

    /// How many unlock calls the server saw.
    pub fn n_posts(&self) -> usize {
        self.posts().values().sum()
    }

    /// Fails unless each of these users has exactly one row, and nobody else has.
    #[track_caller]
    pub fn has_each_once(&self, results: &str, users: &[UserId]) {
        let rows = self.rows(results);
        let ids: BTreeSet<String> = rows.iter().map(|row| row["user_id"].clone()).collect();
        let expected: BTreeSet<String> = users.iter().map(ToString::to_string).collect();
        assert_eq!(rows.len(), users.len(), "one row each");
        assert_eq!(ids, expected);
    }

    /// Fails unless every row has this outcome.
    #[track_caller]
    pub fn all_are(&self, results: &str, outcome: &str) {
        for row in self.rows(results) {
            assert_eq!(row["outcome"], outcome, "{row:?}");
        }
    }

    /// Fails unless each of these users stands either in the results or in `unprocessed`, once,
    /// and the manifest says so too. Gives the number of rows.
    #[track_caller]
    pub fn adds_up(&self, stem: &str, users: &[UserId]) -> usize {
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
        let said = ["records", "rows", "unprocessed"].map(|name| manifest[name].as_u64());
        let counted = [users.len(), rows.len(), unprocessed.len()].map(|n| Some(n as u64));
        assert_eq!(said, counted, "the manifest's records, rows, unprocessed");
        rows.len()
    }
}

impl Running {
    /// Starts a program that was made ready by hand.
    pub fn start(mut command: Command) -> Self {
        let child = command.spawn().expect("the program starts");
        Self { line: format!("{command:?}"), child: Some(child) }
    }

    /// Waits until the program has taken all its signals over, where the system tells.
    pub fn hears_signals(&self) {
        const SIGUSR1: u32 = 10;
        let status = format!("/proc/{}/status", self.id());
        let hears = || {
            let text = fs::read_to_string(&status).ok()?;
            let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?;
            let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
            Some(mask >> (SIGUSR1 - 1) & 1 == 1)
        };
        if fs::exists("/proc/self/status").unwrap_or(false) {
            wait_until("it hears signals", || hears() == Some(true));
        } else {
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// Its stdin, to be written while it runs.
    pub fn take_stdin(&mut self) -> ChildStdin {
        let stdin = self.child.as_mut().and_then(|child| child.stdin.take());
        stdin.expect("a pipe that nobody has taken")
    }

    /// Writes this to its stdin and closes it.
    pub fn feed(&mut self, input: &str) {
        self.take_stdin().write_all(input.as_bytes()).expect("it reads");
    }

    /// Whether it still runs.
    pub fn is_alive(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Waits for its end and says how much memory it took at most, in MiB, where the system tells.
    pub fn wait_and_weigh(mut self) -> (Ended, Option<u64>) {
        // Nobody reads its pipes meanwhile: for programs that say little.
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

impl Ended {
    /// Fails when it said this.
    #[track_caller]
    pub fn never_says(self, text: &str) -> Self {
        for said in [&self.stderr, &self.stdout] {
            assert!(!said.contains(text), "{}: {text:?} is in\n{said}", self.line);
        }
        self
    }
}

/// Where [`Stage::spawn_and_listen`] puts what the program says.
const HEARD: &str = "stderr.txt";

impl Stage {
    /// Starts the program so that [`hears`](Stage::hears) can follow what it says on stderr.
    pub fn spawn_and_listen(&self, line: &str) -> Running {
        let file = fs::File::create(self.path(HEARD)).expect("a file can be made");
        let mut command = self.command(line);
        command.stderr(file);
        Running::start(command)
    }

    /// Waits until that program said this on stderr.
    #[track_caller]
    pub fn hears(&self, text: &str) {
        wait_until(text, || self.heard().contains(text));
    }

    /// What that program said so far.
    pub fn heard(&self) -> String {
        self.read(HEARD)
    }
}
