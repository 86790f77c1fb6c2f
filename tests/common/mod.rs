//! Runs the binary in a temporary directory, against a sandbox, and without the environment of the
//! caller.

#![allow(dead_code, unreachable_pub, reason = "each test file uses only a part")]

pub mod normalize;
pub mod page;
pub mod population;
pub mod proxy;
pub mod server;
pub mod terminal;
pub mod tools;
pub mod watch;

use std::collections::{BTreeMap, HashMap};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{Population, Sandbox, SandboxConfig, Script, Scripted};
use normalize::without_times;
use sha2::Digest as _;
use tempfile::TempDir;

/// The path of the binary.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_bulk-unlock");

/// The seed of every sandbox.
pub const SEED: u64 = 1;

/// A temporary directory, an environment, and a sandbox for one test.
#[must_use]
pub struct Stage {
    dir: TempDir,
    /// The state directory, in which the runs of this test share their pace.
    state: TempDir,
    env: HashMap<String, String>,
    sandbox: Option<Sandbox>,
}

impl Stage {
    /// An empty directory without a sandbox.
    pub fn new() -> Self {
        let dir = || tempfile::tempdir().expect("a temporary directory");
        let mut stage = Self { dir: dir(), state: dir(), env: HashMap::new(), sandbox: None };
        let home = stage.state.path().to_string_lossy().into_owned();
        stage.set("XDG_STATE_HOME", &home);
        stage
    }

    /// A stage with a sandbox, whose address and key are in the environment.
    pub fn with_sandbox(config: SandboxConfig) -> Self {
        let mut stage = Self::new();
        let running = Sandbox::start(config, 0).expect("the sandbox starts");
        stage.set("CLERK_API_URL", &running.url());
        stage.set("CLERK_SECRET_KEY", running.key());
        stage.sandbox = Some(running);
        stage
    }

    /// A stage with a sandbox without limits, latency, and faults that logs its requests.
    pub fn with_quick_sandbox() -> Self {
        Self::with_sandbox(SandboxConfig::default().log_requests(true))
    }

    /// A stage with such a sandbox, which gives these responses to the first unlock requests.
    pub fn with_script(script: Script) -> Self {
        Self::with_sandbox(SandboxConfig::default().script(script).log_requests(true))
    }

    /// The sandbox.
    pub fn sandbox(&self) -> &Sandbox {
        self.sandbox.as_ref().expect("a stage with a sandbox")
    }

    /// Number of requests that the sandbox received.
    pub fn n_requests(&self) -> u64 {
        self.sandbox.as_ref().map_or(0, |it| it.stats().n_requests)
    }

    /// Sets an environment variable of the programs of this stage.
    pub fn set(&mut self, name: &str, value: &str) {
        self.env.insert(name.to_owned(), value.to_owned());
    }

    /// Unsets an environment variable.
    pub fn unset(&mut self, name: &str) {
        self.env.remove(name);
    }

    /// The directory of the pace files.
    pub fn state_dir(&self) -> PathBuf {
        self.state.path().join("bulk-unlock")
    }

    /// The path of a file in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).expect("a file can be written");
        path
    }

    /// The text of a file.
    #[track_caller]
    pub fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The text of a file, which is empty if the file does not exist.
    pub fn read_or_empty(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// The rows of a CSV file, by column.
    #[track_caller]
    pub fn rows(&self, name: &str) -> Vec<HashMap<String, String>> {
        let mut reader = csv::Reader::from_path(self.path(name)).expect("a CSV file");
        reader.deserialize().map(|row| row.expect("a row")).collect()
    }

    /// The row of a results file with this `line`.
    #[track_caller]
    pub fn row(&self, name: &str, line: u64) -> HashMap<String, String> {
        let line = line.to_string();
        let mut rows = self.rows(name).into_iter().filter(|row| row["line"] == line);
        rows.next().unwrap_or_else(|| panic!("{name} has no row of line {line}"))
    }

    /// `line outcome` of each row, in the order of lines.
    #[track_caller]
    pub fn outcomes(&self, name: &str) -> Vec<String> {
        let lines = self.column(name, "line");
        let outcomes = self.column(name, "outcome");
        lines.iter().zip(outcomes).map(|(line, outcome)| format!("{line} {outcome}")).collect()
    }

    /// Number of rows with each outcome in a results or plan file.
    #[track_caller]
    pub fn counts(&self, name: &str) -> BTreeMap<String, u64> {
        self.rows(name).into_iter().fold(BTreeMap::new(), |mut counts, mut row| {
            *counts.entry(row.remove("outcome").expect("an outcome")).or_default() += 1;
            counts
        })
    }

    /// One column of a CSV file, in the order of the column `line`.
    #[track_caller]
    pub fn column(&self, name: &str, column: &str) -> Vec<String> {
        let mut rows = self.rows(name);
        rows.sort_by_key(|row| row["line"].parse::<u64>().expect("a line number"));
        rows.into_iter().map(|mut row| row.remove(column).expect("the column")).collect()
    }

    /// The value in a JSON file.
    #[track_caller]
    pub fn json(&self, name: &str) -> serde_json::Value {
        serde_json::from_str(&self.read(name)).expect("JSON")
    }

    /// The SHA-256 of a file.
    #[track_caller]
    pub fn sha256(&self, name: &str) -> String {
        hex::encode(sha2::Sha256::digest(std::fs::read(self.path(name)).expect("a file")))
    }

    /// The sorted names of all files in the directory.
    pub fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path()).expect("a directory");
        let name = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.map(|entry| name(entry.expect("an entry"))).collect();
        names.sort();
        names
    }

    /// The names and contents of all files in the directory.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let bytes = |name: &String| std::fs::read(self.path(name)).unwrap_or_default();
        self.files().into_iter().map(|name| (name.clone(), bytes(&name))).collect()
    }

    /// Any program in the directory and the environment of this stage.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        command.current_dir(self.dir.path()).env_clear().envs(&self.env);
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The program with a command line, which is split like in a shell.
    pub fn command(&self, line: &str) -> Command {
        let words = shell_words::split(line).expect("a command line");
        let mut command = self.program(PROGRAM);
        command.args(words);
        command
    }

    /// The program, started by a shell after a shell command such as `ulimit`.
    pub fn command_after(&self, first: &str, line: &str) -> Command {
        let words = shell_words::split(line).expect("a command line");
        let mut command = self.program("sh");
        command.args(["-c", &format!("{first}\nexec \"$0\" \"$@\""), PROGRAM]).args(words);
        command
    }

    /// Runs the program until it exits.
    pub fn run(&self, line: &str) -> Ended {
        let output = self.command(line).output().expect("the program starts");
        Ended::of(line, &output)
    }

    /// Runs the program; it must exit with this code, send no request, print nothing to stdout, and
    /// change no file.
    #[track_caller]
    pub fn run_refused(&self, line: &str, code: i32) -> Ended {
        let (n_before, before) = (self.n_requests(), self.contents());
        let ended = self.run(line).exits_with(code);
        assert_eq!(ended.stdout, "", "{line}");
        assert_eq!(self.n_requests(), n_before, "{line}: a request was sent");
        assert_eq!(self.contents(), before, "{line}: a file was changed");
        ended
    }

    /// Runs a printed command in a shell.
    pub fn run_printed(&self, command: &str) -> Ended {
        let output = self.program("sh").args(["-c", command]).output().expect("a shell");
        Ended::of(command, &output)
    }

    /// Runs the program until it exits, with this on its stdin.
    pub fn pipe(&self, input: impl AsRef<[u8]>, line: &str) -> Ended {
        let mut child =
            self.command(line).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program that refuses its input closes the pipe early.
        let _ = stdin.write_all(input.as_ref());
        drop(stdin);
        Ended::of(line, &child.wait_with_output().expect("the program ends"))
    }

    /// Starts the program.
    pub fn spawn(&self, line: &str) -> Running {
        let child = self.command(line).spawn().expect("the program starts");
        Running { line: line.to_owned(), child: Some(child) }
    }
}

/// A running program, which is killed when it is dropped.
pub struct Running {
    line: String,
    child: Option<Child>,
}

impl Running {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("a child").id()
    }

    /// Sends a signal, such as `INT`, `TERM`, `KILL`, or `USR1`.
    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-s", name, &id]).status().expect("kill");
        assert!(sent.success(), "kill -s {name} {id}");
    }

    /// Waits until it exits.
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

/// The result of a program that has exited.
#[derive(Debug)]
pub struct Ended {
    /// The command line.
    pub line: String,
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// The output on stdout.
    pub stdout: String,
    /// The output on stderr.
    pub stderr: String,
}

impl Ended {
    /// The result of a command line. Checks that a shell accepts the printed commands.
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

    /// The commands of this program that it printed, one per line unless a file name contains a line
    /// break.
    pub fn printed_commands(&self) -> Vec<String> {
        let begin = [format!("  {PROGRAM}"), "  env -u ".to_owned()];
        let text = if self.line.starts_with("report ") { &self.stdout } else { &self.stderr };
        let mut commands: Vec<String> = Vec::new();
        let is_open = |command: &String| shell_words::split(command).is_err();
        for line in text.lines() {
            match commands.last_mut().filter(|command| is_open(command)) {
                Some(command) => *command = format!("{command}\n{line}"),
                None if begin.iter().any(|it| line.starts_with(it)) => {
                    commands.push(line.trim_start().to_owned());
                }
                None => {}
            }
        }
        commands
    }

    /// Checks the exit code.
    #[track_caller]
    pub fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.line, self.stderr, self.stdout);
        self
    }

    /// Checks that stderr contains this.
    #[track_caller]
    pub fn prints(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{}: {text:?} is not in\n{}", self.line, self.stderr);
        self
    }

    /// Checks that neither stdout nor stderr contains this.
    #[track_caller]
    pub fn does_not_print(self, text: &str) -> Self {
        for output in [&self.stderr, &self.stdout] {
            assert!(!output.contains(text), "{}: {text:?} is in\n{output}", self.line);
        }
        self
    }

    /// The command at the end of the closing lines, without the name of the program.
    #[track_caller]
    pub fn next_command(&self) -> String {
        let line = self.stderr.lines().last();
        let command = line.and_then(|line| line.strip_prefix("  ")?.strip_prefix(PROGRAM));
        let command = command.unwrap_or_else(|| panic!("no command in\n{}", self.stderr));
        command.trim_start().to_owned()
    }

    /// Stderr, with the path of the program and parts that differ between runs replaced.
    pub fn normalized_stderr(&self) -> String {
        without_times(&self.stderr.replace(PROGRAM, "bulk-unlock"))
    }
}

/// Checks that a shell and the program accept a printed command. Without a key, the program exits
/// before it reads or sends anything.
#[track_caller]
fn check_printed(command: &str) {
    if ["--sandbox", "--secret-key"].iter().any(|flag| command.contains(flag)) {
        return;
    }
    let output = Stage::new().program("sh").args(["-c", command]).output().expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "printed: {command}\n{stderr}");
    assert!(stderr.contains("no secret key"), "printed: {command}\n{stderr}");
}

/// The path of a file in `samples/`.
pub fn sample(name: &str) -> String {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    samples.join(name).display().to_string()
}

/// `n_users` users of the sandbox, locked or not.
pub fn users(n_users: usize) -> Vec<UserId> {
    let population = Population::new(SEED);
    (0..).map(|index| population.listed_id(index)).take(n_users).collect()
}

/// `n_users` users who are locked by failed sign-ins.
pub fn locked_users(n_users: usize) -> Vec<UserId> {
    population::listed_where(n_users, |user| user.is_locked() && !user.is_admin_locked())
}

/// A user who does not exist.
pub fn missing_user() -> UserId {
    population::missing_users(1).remove(0)
}

/// A plain list of users.
pub fn list(users: &[UserId]) -> String {
    users.iter().fold(String::new(), |list, user| list + user.as_str() + "\n")
}

/// A 429 response with this `Retry-After` and an empty object as its body.
pub fn throttled(retry_after: &str) -> Scripted {
    Scripted::status(429).with_body("{}").with_header("Retry-After", retry_after)
}

/// Whether a path exists, be it a broken link.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}
