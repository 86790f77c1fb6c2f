//! For stories at a terminal: `script` of util-linux makes one. Where it is missing, only what
//! needs no terminal is shown.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Stage;
use super::watch::PATIENCE;

/// What was shown on the terminal, and the exit code.
pub struct Shown {
    /// The exit code.
    pub code: Option<i32>,
    /// All that was written to it, escape sequences too.
    pub text: String,
}

/// Runs a shell's command line (`$BU` is the program) at a terminal, and types this when it shows
/// the question.
pub fn at_a_terminal(stage: &Stage, line: &str, typed: &str) -> Shown {
    typing_ahead(stage, line, "", typed)
}

/// The same, with this typed before the question is shown.
pub fn typing_ahead(stage: &Stage, line: &str, ahead: &str, typed: &str) -> Shown {
    let plain = stage.command("");
    let mut command = Command::new("script");
    let log = stage.path("typescript");
    command.args(["-qefc", line]).arg(&log).current_dir(stage.path("")).env_clear();
    for (name, value) in plain.get_envs() {
        value.map(|value| command.env(name, value));
    }
    command.env("BU", plain.get_program()).env("TERM", "xterm").env("SHELL", "/bin/sh");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("script");
    let shown = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
    let asks = |text: &str| text.contains("[y/N] ") || text.contains("to continue: ");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(ahead.as_bytes()).expect("script listens");
    let start = Instant::now();
    while !asks(&shown()) && matches!(child.try_wait(), Ok(None)) && start.elapsed() < PATIENCE {
        thread::sleep(Duration::from_millis(5));
    }
    stdin.write_all(typed.as_bytes()).expect("script listens");
    let code = child.wait().expect("script ends").code();
    drop(stdin);
    let text = shown();
    std::fs::remove_file(&log).expect("script made its file");
    Shown { code, text }
}
