//! What, where, when, by which version, and why.

use std::time::SystemTime;

use super::verdict::kind;
use super::words::{self, moment, told};
use crate::report::page::{Facts, Source, SourceFile};
use crate::report::text::{clipped, counted, duration};
use crate::stats::summary::CommandKind;

/// The head of the page.
pub(super) struct Header {
    pub(super) title: String,
    pub(super) heading: String,
    pub(super) made: String,
    pub(super) facts: Vec<Fact>,
    pub(super) files: Vec<FileLine>,
}

/// A fact under its name; several values where the files differ.
pub(super) struct Fact {
    pub(super) name: &'static str,
    /// `code` where the values are to be read letter by letter.
    pub(super) class: &'static str,
    pub(super) values: Vec<String>,
}

pub(super) struct FileLine {
    pub(super) role: String,
    pub(super) name: String,
    pub(super) sha256: String,
}

/// A digest has 64 digits; another text under that name is cut.
const MAX_DIGEST: usize = 80;

pub(super) fn header(facts: &Facts) -> Header {
    let heading = heading(facts);
    let hosts = values(facts, |it| it.host.as_deref().map(told));
    let title = match hosts.first() {
        Some(host) => format!("{heading} – {host}"),
        None => heading.clone(),
    };
    Header { title, heading, made: made(facts), facts: lines(facts), files: files(facts) }
}

fn heading(facts: &Facts) -> String {
    let what = match kind(facts) {
        Some(CommandKind::Run) => "Unlock run",
        Some(CommandKind::Plan) => "Unlock plan",
        Some(CommandKind::Verify) => "Unlocked users, read back",
        Some(CommandKind::Relock) => "Unlocked users, locked again",
        Some(CommandKind::RelockPlan) => "Relock plan",
        Some(CommandKind::Locked) | None => "Unlock report",
    };
    match facts.sources.len() {
        0 | 1 => what.to_owned(),
        n => format!("{what}, {}", counted(n as u64, "file", "files")),
    }
}

fn made(facts: &Facts) -> String {
    let when = facts.made_at.map(|at| format!(" on {} UTC", moment(at))).unwrap_or_default();
    format!("Made by bulk-unlock {}{when}.", told(&facts.made_by))
}

fn lines(facts: &Facts) -> Vec<Fact> {
    let fact = |name, class, values| Fact { name, class, values };
    let of = |text: fn(&Source) -> Option<&str>| values(facts, |it| text(it).map(told));
    let lines = [
        fact("Why", "", of(|it| it.reason.as_deref())),
        fact("What", "", values(facts, |it| it.kind.map(|kind| what(kind).to_owned()))),
        fact("Instance", "", of(|it| it.instance.as_deref())),
        fact("Host", "code", of(|it| it.host.as_deref())),
        fact("Key", "code", of(|it| it.key.as_deref())),
        fact("Began", "", first(facts)),
        fact("Ended", "", last(facts)),
        fact("How it ended", "", values(facts, how)),
        fact("Program", "", values(facts, program)),
        fact("Command", "code", of(|it| it.command.as_deref())),
    ];
    lines.into_iter().filter(|it| !it.values.is_empty()).collect()
}

fn program(source: &Source) -> Option<String> {
    source.program_version.as_deref().map(|it| format!("bulk-unlock {}", told(it)))
}

fn what(kind: CommandKind) -> &'static str {
    match kind {
        CommandKind::Run => "Users were unlocked",
        CommandKind::Plan => "Users were looked up; nothing was changed",
        CommandKind::Verify => "Users unlocked earlier were read back",
        CommandKind::Locked => "Locked users were listed",
        CommandKind::Relock => "Users unlocked earlier were locked again",
        CommandKind::RelockPlan => "Users unlocked earlier were looked up; nothing was changed",
    }
}

fn how(source: &Source) -> Option<String> {
    let ending = told(&words::ending(source.ending.as_deref()?));
    Some(match source.exit_code {
        Some(code) => format!("{ending} (exit code {code})"),
        None => ending,
    })
}

fn first(facts: &Facts) -> Vec<String> {
    let first = facts.sources.iter().filter_map(|it| it.started_at).min();
    first.map(|at| moment(at) + " UTC").into_iter().collect()
}

fn last(facts: &Facts) -> Vec<String> {
    let Some(last) = facts.sources.iter().filter_map(|it| it.finished_at).max() else {
        return Vec::new();
    };
    let first = facts.sources.iter().filter_map(|it| it.started_at).min();
    let took = first.and_then(|first: SystemTime| last.duration_since(first).ok());
    let took = took.map(|it| format!(", after {}", duration(it))).unwrap_or_default();
    vec![format!("{} UTC{took}", moment(last))]
}

/// What the sources say, each value once.
fn values(facts: &Facts, of: impl Fn(&Source) -> Option<String>) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    for value in facts.sources.iter().filter_map(of) {
        if !value.is_empty() && !values.contains(&value) {
            values.push(value);
        }
    }
    values
}

fn files(facts: &Facts) -> Vec<FileLine> {
    let mut files: Vec<_> = Vec::new();
    for file in facts.sources.iter().flat_map(|it| &it.files) {
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let line = |file: &SourceFile| FileLine {
        role: told(&file.role),
        name: told(&file.name),
        sha256: clipped(&file.sha256, MAX_DIGEST),
    };
    files.into_iter().map(line).collect()
}
