//! What goes on from finished files.

use std::path::PathBuf;

use crate::model::Outcome;
use crate::report::page::Source;
use crate::summary::{CommandKind, NextStep, Summary};

/// The commands that go on from here, the most useful first.
pub(super) fn advice(paths: &[PathBuf], sources: &[Source], summary: &Summary) -> Vec<NextStep> {
    let resumes = sources.iter().filter_map(resume);
    let each = paths.iter().zip(sources).filter_map(|(path, source)| {
        let name = path.to_string_lossy().into_owned();
        next_of(source.kind?, &name, summary)
    });
    resumes.chain(each).collect()
}

/// The command of a file that is not complete, to be gone on with.
fn resume(source: &Source) -> Option<NextStep> {
    source.n_unprocessed.filter(|&n| n > 0)?;
    let mut words = shell_words::split(source.command.as_deref()?).ok()?;
    words.retain(|word| word != "--force");
    if !words.iter().any(|word| word == "--resume") {
        words.push("--resume".to_owned());
    }
    let why = format!("To go on with {}", source.name);
    Some(NextStep { why, command: shell_words::join(words) })
}

fn next_of(kind: CommandKind, name: &str, summary: &Summary) -> Option<NextStep> {
    let n_again: u64 = Outcome::ALL
        .into_iter()
        .filter(|outcome| outcome.may_yet_succeed())
        .map(|outcome| summary.counts.get(outcome))
        .sum();
    let (why, words) = match kind {
        CommandKind::Plan if summary.counts.get(Outcome::WouldUnlock) > 0 => {
            ("To unlock them", vec!["bulk-unlock", "run", "--plan", name])
        }
        CommandKind::Run if n_again > 0 => (
            "To try those again that may yet succeed",
            vec!["bulk-unlock", "run", name, "--retry-failed"],
        ),
        CommandKind::Run if summary.counts.get(Outcome::Unlocked) > 0 => {
            ("To read back whether they stay unlocked", vec!["bulk-unlock", "verify", name])
        }
        _ => return None,
    };
    Some(NextStep { why: why.to_owned(), command: shell_words::join(words) })
}
