//! Stories through the real binary: a directory of their own, a server of their own, and no
//! variable of whoever runs them.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]

pub mod contract;
pub mod door;
pub mod lookups;
pub mod pages;
pub mod server;
pub mod terminal;
pub mod tools;
pub mod watch;

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Population, Sandbox, SandboxConfig, Scripted};
use tempfile::TempDir;

/// The seed of every sandbox here.
pub const SEED: u64 = 1;

/// A story's stage.
#[must_use]
pub struct Stage {
    dir: TempDir,
    /// Where the runs of this story share their pace, away from those of others.
    state: TempDir,
    env: HashMap<String, String>,
    sandbox: Option<Sandbox>,
}

impl Stage {
    /// An empty directory, and no server.
    pub fn new() -> Self {
        let dir = || tempfile::tempdir().expect("a temporary directory");
        let mut stage = Self { dir: dir(), state: dir(), env: HashMap::new(), sandbox: None };
        let home = stage.state.path().to_string_lossy().into_owned();
        stage.set("XDG_STATE_HOME", &home);
        stage
    }

    /// With a server that the environment points at, as `sandbox` prints it.
    pub fn with_sandbox(config: SandboxConfig) -> Self {
        let mut stage = Self::new();
        let running = Sandbox::start(config, 0).expect("the sandbox starts");
        stage.set("CLERK_API_URL", &running.url());
        stage.set("CLERK_SECRET_KEY", running.key());
        stage.sandbox = Some(running);
        stage
    }

    /// With a server without limits, latency or faults that remembers what it was asked.
    pub fn with_quick_sandbox() -> Self {
        Self::with_sandbox(SandboxConfig::default().log_requests(true))
    }

    /// The server.
    pub fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("a stage with a sandbox")
    }

    /// Sets a variable for all programs of the story.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a variable away again.
    pub fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// The directory of the pace files.
    pub fn state_dir(&self) -> PathBuf {
        self.state.path().join("bulk-unlock")
    }

    /// A path in the story's directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file there.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// Reads a file there.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Reads a file there; empty where there is none.
    pub fn read_if_there(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The rows of a CSV file there, by column.
    #[track_caller]
    pub fn rows(&self, name: &str) -> Vec<HashMap<String, String>> {
        let mut reader = csv::Reader::from_path(self.path(name)).expect("a CSV file");
        reader.deserialize().map(|row| row.expect("a row")).collect()
    }

    /// One column of a CSV file there, by the column `line` as a number; sorted by that.
    #[track_caller]
    pub fn column(&self, name: &str, column: &str) -> Vec<String> {
        let mut rows = self.rows(name);
        rows.sort_by_key(|row| row["line"].parse::<u64>().expect("a line number"));
        rows.into_iter().map(|mut row| row.remove(column).expect("the column")).collect()
    }

    /// A JSON file there.
    #[track_caller]
    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    /// The names of all files there, sorted.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("a directory");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// The program, ready to be started there with these arguments, split as a shell does.
    pub fn command(&self, line: &str) -> Command {
        let words = shell_words::split(line).expect("a command line");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bulk-unlock"));
        command.current_dir(self.dir.path()).args(words).env_clear().envs(&self.env);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, line: &str) -> Ended {
        let output = self.command(line).output().expect("the program starts");
        Ended::of(line, &output)
    }

    /// Runs a command that the program printed, in a shell.
    pub fn run_printed(&self, command: &str) -> Ended {
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).current_dir(self.dir.path()).env_clear().envs(&self.env);
        shell.env("PATH", std::env::var_os("PATH").unwrap_or_default()).stdin(Stdio::null());
        Ended::of(command, &shell.output().expect("a shell"))
    }

    /// Runs the program to its end with this on its stdin.
    pub fn pipe(&self, input: impl AsRef<[u8]>, line: &str) -> Ended {
        let mut child =
            self.command(line).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program that refuses its input closes the pipe early.
        let _ = stdin.write_all(input.as_ref());
        drop(stdin);
        Ended::of(line, &child.wait_with_output().expect("the program ends"))
    }

    /// Starts the program and lets it run.
    pub fn spawn(&self, line: &str) -> Running {
        let child = self.command(line).spawn().expect("the program starts");
        Running { line: line.to_owned(), child: Some(child) }
    }
}

/// A program that runs; killed when it is dropped.
pub struct Running {
    line: String,
    child: Option<Child>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("a child").id()
    }

    /// Sends it a signal, by name: `INT`, `TERM`, `KILL`, `USR1`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(sent.success(), "kill -s {name} {id}");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        let child = self.child.take().expect("a child");
        Ended::of(&self.line, &child.wait_with_output().expect("the program ends"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A program that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The command line.
    pub line: String,
    /// Its exit code; `None`: ended by a signal.
    pub code: Option<i32>,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Ended {
    /// What a program that was started with this line left.
    pub fn of(line: &str, output: &Output) -> Self {
        let ended = Self {
            line: line.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        ended.printed_commands().iter().for_each(|command| check_printed(command));
        ended
    }

    /// The commands of this program that it printed, each on a line of its own unless a file name
    /// contains a line break.
    pub fn printed_commands(&self) -> Vec<String> {
        let begin = format!("  {}", env!("CARGO_BIN_EXE_bulk-unlock"));
        let text = if self.line.starts_with("report ") { &self.stdout } else { &self.stderr };
        let mut commands: Vec<String> = Vec::new();
        let is_open = |command: &String| shell_words::split(command).is_err();
        for line in text.lines() {
            match commands.last_mut().filter(|command| is_open(command)) {
                Some(command) => *command = format!("{command}\n{line}"),
                None if line.starts_with(&begin) => commands.push(line.trim_start().to_owned()),
                None => {}
            }
        }
        commands
    }

    /// Fails with all that it said unless it ended with this code.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.line, self.stderr, self.stdout);
        self
    }

    /// Fails unless it said this on stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{}: {text:?} is not in\n{}", self.line, self.stderr);
        self
    }
}

/// A shell and the program accept a printed command. Without a key, it ends before it reads or sends
/// anything.
#[track_caller]
fn check_printed(command: &str) {
    if ["--sandbox", "--secret-key"].iter().any(|flag| command.contains(flag)) {
        return;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let dir = tempfile::tempdir().expect("a directory");
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(dir.path()).env_clear().env("PATH", path);
    shell.stdin(Stdio::null());
    let output = shell.output().expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "printed: {command}\n{stderr}");
    assert!(stderr.contains("no secret key"), "printed: {command}\n{stderr}");
}

/// So many users of the sandbox who exist, locked or not.
pub fn users(n_users: usize) -> Vec<UserId> {
    let population = Population::new(SEED);
    (0..).map(|index| population.listed_id(index)).take(n_users).collect()
}

/// So many users of the sandbox who are locked by failed attempts.
pub fn locked_users(n_users: usize) -> Vec<UserId> {
    lookups::listed_where(n_users, |user| user.is_locked() && !user.is_admin_locked())
}

/// A user who does not exist in the sandbox.
pub fn missing_user() -> UserId {
    lookups::missing_users(1).remove(0)
}

/// A plain list of them.
pub fn list(users: &[UserId]) -> String {
    users.iter().fold(String::new(), |list, user| list + user.as_str() + "\n")
}

/// A 429 with this `Retry-After`. The body is there so that the sandbox adds none of its own.
pub fn throttled(retry_after: &str) -> Scripted {
    Scripted::status(429).with_body("{}").with_header("Retry-After", retry_after)
}

/// Whether a path is there.
pub fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
