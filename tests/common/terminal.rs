//! Runs the program on a terminal, which `script` (util-linux) provides.

use std::io::Write as _;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use super::watch::TIMEOUT;
use super::{PROGRAM, Stage};

/// The exit code and the output on the terminal.
pub struct TerminalOutput {
    /// The exit code.
    pub code: Option<i32>,
    /// The output, including escape sequences.
    pub text: String,
}

/// Runs a shell command (`$BU` is the program) on a terminal, and types this at the confirmation
/// prompt.
pub fn run_on_terminal(stage: &Stage, line: &str, typed: &str) -> TerminalOutput {
    run_on_terminal_typing_ahead(stage, line, "", typed)
}

/// Like [`run_on_terminal`], with `ahead` typed before the prompt is shown.
pub fn run_on_terminal_typing_ahead(
    stage: &Stage,
    line: &str,
    ahead: &str,
    typed: &str,
) -> TerminalOutput {
    let log = stage.path("typescript");
    let mut command = stage.program("script");
    command.args(["-qefc", line]).arg(&log);
    command.env("BU", PROGRAM).env("TERM", "xterm").env("SHELL", "/bin/sh");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("script");
    let shown = || String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
    let has_prompt = |text: &str| text.contains("[y/N] ") || text.contains("to continue: ");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(ahead.as_bytes()).expect("script reads");
    let start = Instant::now();
    while !has_prompt(&shown()) && matches!(child.try_wait(), Ok(None)) && start.elapsed() < TIMEOUT
    {
        thread::sleep(Duration::from_millis(5));
    }
    stdin.write_all(typed.as_bytes()).expect("script reads");
    let code = child.wait().expect("script ends").code();
    drop(stdin);
    let text = shown();
    std::fs::remove_file(&log).expect("script made its file");
    TerminalOutput { code, text }
}
