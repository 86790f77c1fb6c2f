//! What the stories of the contract ask again and again.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::process::ChildStdout;

use bulk_unlock::sandbox::{SandboxConfig, Script};
use sha2::Digest as _;

use super::{Ended, Running, Stage};

impl Stage {
    /// With a quick server that answers the first unlock calls as the script says.
    pub fn with_script(script: Script) -> Self {
        let config = SandboxConfig::default().script(script).log_requests(true);
        Self::with_sandbox(config)
    }

    /// Runs the program, which must refuse with this code: nothing is sent, nothing is written to
    /// stdout, and no file appears, disappears or changes.
    #[track_caller]
    pub fn refuses(&self, line: &str, code: i32) -> Ended {
        let (n_before, before) = (self.n_requests(), self.contents());
        let ended = self.run(line).exits_with(code);
        assert_eq!(ended.stdout, "", "{line}");
        assert_eq!(self.n_requests(), n_before, "{line}: something was sent");
        assert_eq!(self.contents(), before, "{line}: files were touched");
        ended
    }

    /// How many requests have arrived at the server.
    pub fn n_requests(&self) -> u64 {
        self.sandbox.as_ref().map_or(0, |it| it.stats().n_requests)
    }

    /// One results row, by its `line`.
    #[track_caller]
    pub fn row(&self, name: &str, line: u64) -> HashMap<String, String> {
        let line = line.to_string();
        let mut rows = self.rows(name).into_iter().filter(|row| row["line"] == line);
        rows.next().unwrap_or_else(|| panic!("{name} has no row of line {line}"))
    }

    /// `line outcome`, a row each, sorted by line.
    #[track_caller]
    pub fn outcomes(&self, name: &str) -> Vec<String> {
        let lines = self.column(name, "line");
        let outcomes = self.column(name, "outcome");
        lines.iter().zip(outcomes).map(|(line, outcome)| format!("{line} {outcome}")).collect()
    }

    /// The SHA-256 of a file there.
    #[track_caller]
    pub fn sha256(&self, name: &str) -> String {
        let mut hasher = sha2::Sha256::new();
        hasher.update(std::fs::read(self.path(name)).expect("a file"));
        hex::encode(hasher.finalize())
    }

    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let bytes = |name: &String| std::fs::read(self.path(name)).unwrap_or_default();
        self.files().into_iter().map(|name| (name.clone(), bytes(&name))).collect()
    }
}

impl Running {
    /// Its stdout, to be read while it runs.
    pub fn take_stdout(&mut self) -> ChildStdout {
        let child = self.child.as_mut().expect("a child");
        child.stdout.take().expect("nobody has taken it")
    }
}

impl Ended {
    /// What it said, with everything that differs from run to run replaced.
    pub fn steady(&self) -> String {
        let program = env!("CARGO_BIN_EXE_bulk-unlock");
        without_times(&self.stderr.replace(program, "bulk-unlock"))
    }
}

/// A sample that comes with the program.
pub fn sample(name: &str) -> String {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples");
    samples.join(name).display().to_string()
}

/// The text with each SHA-256 replaced by `HASH`.
fn without_hashes(text: &str) -> String {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let words = text.split_inclusive(|c| !is_hex(c)).map(|word| {
        let digits = word.trim_end_matches(|c| !is_hex(c));
        if digits.len() == 64 { word.replace(digits, "HASH") } else { word.to_owned() }
    });
    words.collect()
}

/// The text with each duration replaced by `T`, the server's port by `PORT`, and hashes by `HASH`.
pub fn without_times(text: &str) -> String {
    let text = without_ports(text);
    let words: Vec<&str> = text.split(' ').collect();
    let mut steady: Vec<String> = Vec::new();
    for word in words {
        let unit = word.split('\n').next().map(|it| it.trim_end_matches([',', '.', ')', ':', ';']));
        let is_time = matches!(unit, Some("ms" | "s" | "min"));
        let is_after_number = steady.last().is_some_and(|it| is_number(it));
        if is_time && is_after_number {
            let rest = word.trim_start_matches(char::is_alphabetic);
            if let Some(number) = steady.last_mut() {
                *number = format!("T{rest}");
            }
        } else {
            steady.push(word.to_owned());
        }
    }
    without_hashes(&steady.join(" "))
}

fn without_ports(text: &str) -> String {
    const HOST: &str = "127.0.0.1:";
    let mut parts = text.split(HOST);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| {
        text + HOST + "PORT" + part.trim_start_matches(|c: char| c.is_ascii_digit())
    })
}

fn is_number(word: &str) -> bool {
    let number = word.trim_start_matches('<');
    !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.')
}
