//! The question, and being allowed to ask it.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::time::Duration;

use super::connection::{Connection, Instance};
use super::failure::Failure;
use super::status::Status;
use crate::policy::pacing::Pace;
use crate::report::text;
use crate::report::{Console, Level, Paint};
use crate::stats::Ceiling;

/// Reads the answer: it comes when a person types it.
pub(super) type ReadAnswer = Box<dyn FnOnce() -> io::Result<String> + Send>;

/// Somebody who can answer.
pub(super) enum Consent {
    /// `--yes`, or the sandbox: nobody is asked.
    Given,
    /// A person at the controlling terminal, wherever the users come from.
    Ask(BufReader<File>),
}

impl Consent {
    /// Finds out who can answer, before anything is read or sent.
    ///
    /// The question goes to stderr and the answer comes from the controlling terminal, so both
    /// must be one: a question that nobody sees would wait for ever.
    pub(super) fn new(yes: bool, instance: Instance) -> Result<Self, Failure> {
        if yes || instance == Instance::Sandbox {
            return Ok(Self::Given);
        }
        let terminal = controlling_terminal().filter(|_| io::stderr().is_terminal());
        terminal.map(|terminal| Self::Ask(BufReader::new(terminal))).ok_or_else(|| {
            Failure::new(
                Status::NotConfirmed,
                anyhow::anyhow!(
                    "there is no terminal to ask at; give --yes to go on without a question \
                     (and --expect-count or --max-users to be sure of how many)"
                ),
            )
        })
    }

    /// Asks. `Ok` is yes. `facts` are told too, each under its name; `wait` reads the answer, or
    /// gives up.
    pub(super) fn ask(
        &mut self,
        n_users: u64,
        connection: &Connection,
        facts: &[(&str, String)],
        console: &Console,
        wait: impl FnOnce(ReadAnswer) -> Option<io::Result<String>>,
    ) -> Result<(), Failure> {
        if n_users == 0 {
            return Ok(());
        }
        let Self::Ask(mut terminal) = std::mem::replace(self, Self::Given) else { return Ok(()) };
        let is_careful = matches!(connection.instance, Instance::Live | Instance::Other);
        console.print(Level::Answer, &question(n_users, connection, facts, is_careful, console));
        let read: ReadAnswer = Box::new(move || {
            /// A Ctrl-C that was typed before the answer is acks on another thread.
            const UNTIL_HEARD: Duration = Duration::from_millis(100);
            let mut answer = String::new();
            let read = terminal.read_line(&mut answer).map(|_| answer);
            std::thread::sleep(UNTIL_HEARD);
            read
        });
        let answer = wait(read).transpose().map_err(Failure::internal)?.unwrap_or_default();
        if is_yes(&answer, n_users, is_careful) {
            return Ok(());
        }
        let text = "not confirmed; nobody was unlocked";
        Err(Failure::new(Status::NotConfirmed, anyhow::anyhow!(text)))
    }
}

fn is_yes(answer: &str, n_users: u64, is_careful: bool) -> bool {
    let answer = answer.trim();
    if is_careful {
        let digits: String =
            answer.chars().filter(|c| !matches!(c, ',' | '.' | ' ' | '_')).collect();
        digits.parse() == Ok(n_users)
    } else {
        answer.eq_ignore_ascii_case("y") || answer.eq_ignore_ascii_case("yes")
    }
}

fn question(
    n_users: u64,
    connection: &Connection,
    facts: &[(&str, String)],
    is_careful: bool,
    console: &Console,
) -> String {
    let kind = match connection.instance {
        Instance::Live => "production",
        Instance::Test => "development",
        Instance::Other => "unknown; treated as production",
        Instance::Sandbox => "sandbox",
    };
    let key = connection.fingerprint.as_deref().unwrap_or_default();
    let pace = pace_in_words(connection.pace, connection.share_of.map(|(percent, _)| percent));
    let takes = text::duration(connection.pace.duration_of(n_users).max(Duration::from_secs(1)));
    let users = text::number(n_users);
    let what = format!("About to unlock {users} {}.", if n_users == 1 { "user" } else { "users" });
    let what = console.style().paint(Paint::Bold, &what);
    let ask = if is_careful {
        format!("Type the number of users ({n_users}) to go on: ")
    } else {
        "Go on? [y/N] ".to_owned()
    };
    let facts = facts.iter().fold(String::new(), |told, (name, fact)| {
        told + &format!("  {name:<8}  {}\n", text::clean(fact))
    });
    format!(
        "\n{what}\n  instance  {kind} (key {key})\n  host      {}\n  pace      {pace}\n  \
         takes     about {takes}\n{facts}{ask}",
        connection.host
    )
}

/// The pace as the bar says it.
pub(super) fn ceiling(pace: Pace) -> Ceiling {
    let quota = pace.quota();
    let is_spaced = !matches!(pace, Pace::Burst(_));
    Ceiling { n_requests: quota.n.get(), per: quota.per, is_spaced }
}

/// The pace as people say it.
pub(super) fn pace_in_words(pace: Pace, percent: Option<f64>) -> String {
    let quota = pace.quota();
    let n = text::number(u64::from(quota.n.get()));
    let per = text::duration(quota.per);
    let share = percent.map(|it| format!(" ({it} % of the quota)")).unwrap_or_default();
    match pace {
        Pace::Share(_) => format!("{n} requests in {per}{share}, evenly spaced"),
        Pace::Burst(_) => format!("at most {n} requests in {per}{share}"),
        Pace::Rate(_) => format!("{n} requests in {per}, evenly spaced"),
    }
}

#[cfg(unix)]
fn controlling_terminal() -> Option<File> {
    OpenOptions::new().read(true).open("/dev/tty").ok()
}

#[cfg(not(unix))]
fn controlling_terminal() -> Option<File> {
    OpenOptions::new().read(true).write(true).open("CONIN$").ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_instance_wants_the_number_and_nothing_else() {
        assert!(is_yes("4812\n", 4_812, true));
        assert!(is_yes(" 4,812 ", 4_812, true));
        for answer in ["y", "yes", "", "4811", "48120", "\n"] {
            assert!(!is_yes(answer, 4_812, true), "{answer}");
        }
    }

    #[test]
    fn any_other_wants_a_y() {
        assert!(is_yes("y\n", 3, false));
        assert!(is_yes("YES", 3, false));
        for answer in ["", "n", "3", "yeah"] {
            assert!(!is_yes(answer, 3, false), "{answer}");
        }
    }
}
