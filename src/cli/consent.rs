//! The confirmation prompt before users are changed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, IsTerminal};
use std::time::Duration;

use crate::job::{Ask, Connection, ExitStatus, Failure, Instance, Question};
use crate::policy::pacing::Pace;
use crate::report::{Console, Level, LogFormat, Paint, text};
use crate::stats::summary::CommandKind;

/// How to ask; `None` without a question (`--yes`, the sandbox). Called before anything is read or
/// sent.
///
/// The question goes to stderr and the answer comes from the controlling terminal, wherever the
/// users come from. Both must be terminals: an invisible question would wait forever.
///
/// Input from before the question is discarded: it cannot be an answer to it.
pub(super) fn ask(
    yes: bool,
    instance: Instance,
    console: &Console,
) -> Result<Option<Ask>, Failure> {
    if yes || instance == Instance::Sandbox {
        return Ok(None);
    }
    let refused = |why: &str| {
        Failure::new(
            ExitStatus::NotConfirmed,
            anyhow::anyhow!(
                "cannot ask for confirmation{why}; use --yes to skip the question (and \
                 --expect-count or --max-users as a guard)"
            ),
        )
    };
    if console.format == LogFormat::Json {
        return Err(refused(" in a JSON log"));
    }
    let terminal = controlling_terminal().filter(|_| io::stderr().is_terminal());
    let terminal = terminal.ok_or_else(|| refused(": there is no terminal"))?;
    let console = console.clone();
    Ok(Some(Box::new(move |question| {
        let is_careful = matches!(instance, Instance::Production | Instance::Unknown);
        let n_users = question.n_users;
        discard_input(&terminal);
        console.print(Level::Answer, &text_of(question, is_careful, &console));
        Box::new(move || {
            /// A Ctrl-C that was typed before the answer is handled on another thread.
            const UNTIL_HANDLED: Duration = Duration::from_millis(100);
            let mut answer = String::new();
            let read = BufReader::new(terminal).read_line(&mut answer);
            std::thread::sleep(UNTIL_HANDLED);
            read.map(|_| is_yes(&answer, n_users, is_careful))
        })
    })))
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

fn text_of(question: &Question<'_>, is_careful: bool, console: &Console) -> String {
    let Question { command, n_users, connection, facts } = question;
    let kind = match connection.instance {
        Instance::Production => "production",
        Instance::Development => "development",
        Instance::Unknown => "unknown, treated as production",
        Instance::Sandbox => "sandbox",
    };
    let key = connection.fingerprint.as_deref().unwrap_or_default();
    let takes = text::duration(connection.pace.duration_of(*n_users).max(Duration::from_secs(1)));
    let users = text::counted(*n_users, "user", "users");
    let what = match command {
        CommandKind::Relock => format!("About to lock {users} again."),
        _ => format!("About to unlock {users}."),
    };
    let effect = (*command == CommandKind::Relock)
        .then(|| ("effect", "they look locked on purpose (admin_locked) afterwards".to_owned()));
    let own = [
        ("instance", format!("{kind} (key {key})")),
        ("host", connection.host.clone()),
        ("pace", pace_in_words(connection)),
        ("duration", format!("about {takes}")),
    ];
    let lines =
        own.iter().chain(&effect).chain(facts).fold(String::new(), |lines, (name, fact)| {
            lines + &format!("  {name:<8}  {}\n", text::clean(fact))
        });
    let prompt = if is_careful {
        format!("Type the number of users ({n_users}) to continue: ")
    } else {
        "Continue? [y/N] ".to_owned()
    };
    format!("\n{}\n{lines}{prompt}", console.style.paint(Paint::Bold, &what))
}

/// The pace in words.
pub(super) fn pace_in_words(connection: &Connection) -> String {
    let Connection { pace, share_of, .. } = connection;
    let quota = pace.quota();
    let n = text::number(u64::from(quota.n.get()));
    let per = text::duration(quota.per);
    let share = share_of.map(|(percent, _)| format!(" ({percent} % of the quota)"));
    let share = share.unwrap_or_default();
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

#[cfg(unix)]
fn discard_input(terminal: &File) {
    use rustix::termios::{QueueSelector, tcflush};

    // A terminal without this call has no input to discard.
    let _ = tcflush(terminal, QueueSelector::IFlush);
}

/// Windows does not keep input from before a read.
#[cfg(not(unix))]
fn discard_input(_: &File) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn production_requires_the_number_of_users() {
        for yes in ["12", " 12\n", "12\r\n"] {
            assert!(is_yes(yes, 12, true), "{yes:?}");
        }
        assert!(is_yes("1,234\n", 1234, true) && is_yes("1 234", 1234, true));
        for no in ["", "y", "yes", "1", "13", "twelve", "12 x"] {
            assert!(!is_yes(no, 12, true), "{no:?}");
        }
    }

    #[test]
    fn development_requires_y_or_yes() {
        for yes in ["y", "Y\n", "yes", " YES "] {
            assert!(is_yes(yes, 12, false), "{yes:?}");
        }
        for no in ["", "n", "12", "yep"] {
            assert!(!is_yes(no, 12, false), "{no:?}");
        }
    }
}
