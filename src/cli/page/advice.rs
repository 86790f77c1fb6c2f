//! What goes on from finished files.

use std::path::PathBuf;

use crate::report::page::Source;
use crate::stats::summary::{Next, NextStep, Summary};

/// The commands that go on from here, the most useful first.
pub(super) fn advice(paths: &[PathBuf], sources: &[Source], summary: &Summary) -> Vec<NextStep> {
    let resumes = sources.iter().filter_map(resume);
    let each = paths.iter().zip(sources).filter_map(|(path, source)| {
        let name = path.to_string_lossy().into_owned();
        next_of(source, &name, summary)
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

fn next_of(source: &Source, name: &str, summary: &Summary) -> Option<NextStep> {
    // A sandbox ends with its run: there is nothing to read back, and no key for the rest.
    let is_rehearsal = source.instance.as_deref() == Some("sandbox");
    let what = Next::of(source.kind?, &summary.counts)?;
    if what == Next::ReadBack && is_rehearsal {
        return None;
    }
    let mut words = [vec!["bulk-unlock", what.command()], what.input(name)].concat();
    if is_rehearsal {
        words.push("--sandbox");
    }
    Some(NextStep { why: what.why().to_owned(), command: shell_words::join(words) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Outcome;
    use crate::stats::summary::CommandKind;

    fn check(kind: CommandKind, instance: &str, outcome: Outcome, expected: &[&str]) {
        let source =
            Source { kind: Some(kind), instance: Some(instance.to_owned()), ..Source::default() };
        let mut summary = Summary::default();
        summary.counts.add(outcome);
        let next = advice(&[PathBuf::from("a b.csv")], &[source], &summary);
        let commands: Vec<_> = next.into_iter().map(|it| it.command).collect();
        assert_eq!(commands, expected);
    }

    #[test]
    fn each_file_is_gone_on_with_where_it_was_made() {
        let (run, plan) = (CommandKind::Run, CommandKind::Plan);
        check(plan, "live", Outcome::WouldUnlock, &["bulk-unlock run --plan 'a b.csv'"]);
        check(run, "live", Outcome::Failed, &["bulk-unlock run 'a b.csv' --retry-failed"]);
        check(run, "live", Outcome::Unlocked, &["bulk-unlock verify 'a b.csv'"]);
        let rehearsed = ["bulk-unlock run --plan 'a b.csv' --sandbox"];
        check(plan, "sandbox", Outcome::WouldUnlock, &rehearsed);
        let again = ["bulk-unlock run 'a b.csv' --retry-failed --sandbox"];
        check(run, "sandbox", Outcome::Failed, &again);
        check(run, "sandbox", Outcome::Unlocked, &[]);
    }
}
