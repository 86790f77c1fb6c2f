//! `--secret-key-command`: the secret key from the output of a program, such as a password manager.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use secrecy::zeroize::Zeroizing;

use crate::clerk::{KeyError, SecretKey};
use crate::engine::now;

/// How long the program may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Keys have fewer than 100 bytes.
const MAX_LINE: u64 = 16 << 10;

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyCommand {
    program: String,
    arguments: Vec<String>,
}

/// Why a program gives no key. The program's output is never repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyCommandError {
    #[error("cannot run {program}: {reason}")]
    Start { program: String, reason: io::Error },
    #[error("cannot read the output of {program}: {reason}")]
    Read { program: String, reason: io::Error },
    #[error("{program} failed: {status}")]
    Failed { program: String, status: ExitStatus },
    #[error("{program} did not end within {} s and was killed", limit.as_secs_f64())]
    TimedOut { program: String, limit: Duration },
    #[error("the first line that {program} printed is not a secret key: {reason}")]
    NoKey { program: String, reason: KeyError },
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
    /// and stderr, and no stdin: that may hold the users.
    pub(super) fn run(&self) -> Result<SecretKey, KeyCommandError> {
        self.run_within(TIMEOUT)
    }

    fn run_within(&self, limit: Duration) -> Result<SecretKey, KeyCommandError> {
        let program = || self.program.clone();
        let unreadable = |reason| KeyCommandError::Read { program: program(), reason };
        let deadline = now() + limit;
        let mut child = Command::new(OsStr::new(&self.program))
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|reason| KeyCommandError::Start { program: program(), reason })?;
        let output = child.stdout.take();
        let (sender, first_line) = mpsc::channel();
        // Where the program leaves others behind that hold its stdout, this thread ends with the
        // process.
        thread::spawn(move || output.map(|output| read_first_line(output, &sender)));
        let status = wait_until(&mut child, deadline).map_err(unreadable)?;
        let Some(status) = status else {
            return Err(KeyCommandError::TimedOut { program: program(), limit });
        };
        if !status.success() {
            return Err(KeyCommandError::Failed { program: program(), status });
        }
        let left = deadline.saturating_duration_since(now());
        let line = match first_line.recv_timeout(left) {
            Ok(line) => line.map_err(unreadable)?,
            Err(RecvTimeoutError::Timeout) => {
                return Err(KeyCommandError::TimedOut { program: program(), limit });
            }
            Err(RecvTimeoutError::Disconnected) => Zeroizing::default(),
        };
        let key = str::from_utf8(&line).map_err(|_| KeyError::BadCharacter);
        key.and_then(|key| SecretKey::parse(key.trim()))
            .map_err(|reason| KeyCommandError::NoKey { program: program(), reason })
    }
}

/// Sends the first line, and discards the rest so that the program can write it.
fn read_first_line(output: ChildStdout, sender: &mpsc::Sender<io::Result<Zeroizing<Vec<u8>>>>) {
    // The whole capacity at once: a vector that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(usize::try_from(MAX_LINE).unwrap_or(0)));
    let mut output = BufReader::new(output);
    let read = output.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
    // Nobody waits for it any more when the time is over.
    let _ = sender.send(read.map(|_| line));
    let _ = io::copy(&mut output, &mut io::sink());
}

/// Waits for the end of a program and kills it at the deadline; `None` where it was killed.
fn wait_until(child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
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

    fn run(command: &str) -> Result<SecretKey, KeyCommandError> {
        KeyCommand::parse(command).unwrap().run_within(Duration::from_secs(20))
    }

    #[test]
    fn a_command_is_split_as_a_shell_splits_words() {
        let command = KeyCommand::parse("op read 'op://Private/Clerk key' \"a b\" $HOME").unwrap();
        assert_eq!(command.program, "op");
        assert_eq!(command.arguments, ["read", "op://Private/Clerk key", "a b", "$HOME"]);
        for text in ["", "  ", "op 'read", "''"] {
            assert!(KeyCommand::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_key_is_the_first_line_without_white_space_around_it() {
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
    fn an_error_names_the_program_and_not_its_output() {
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
    fn a_program_that_does_not_end_is_killed() {
        let command = KeyCommand::parse("sleep 1000").unwrap();
        let error = command.run_within(Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.to_string(), "sleep did not end within 0.05 s and was killed");
    }
}
