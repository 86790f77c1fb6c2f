//! Why, what, where and when; and, at the end of the page, the commands and the files.

use super::totals::Totals;
use super::words::{self, cleaned, moment};
use crate::report::closing;
use crate::report::page::{Facts, Source, SourceFile};
use crate::report::text::{clipped, counted, duration};
use crate::stats::summary::{CommandKind, Stage};

/// The head and the foot of the page.
pub(super) struct Header {
    pub(super) title: String,
    /// What kind of report this is.
    pub(super) kind: String,
    pub(super) heading: String,
    pub(super) facts: Vec<Fact>,
    /// What each file says, in order of time; empty where the page is about one file.
    pub(super) stages: Vec<StageLine>,
    pub(super) made: String,
    /// How it was run.
    pub(super) commands: Vec<Fact>,
    pub(super) files: Vec<FileLine>,
}

/// A fact under its name; several values where the files differ.
pub(super) struct Fact {
    pub(super) name: &'static str,
    /// `code` where the values are to be read letter by letter.
    pub(super) class: &'static str,
    pub(super) values: Vec<String>,
}

/// What one file says.
pub(super) struct StageLine {
    pub(super) began: String,
    pub(super) command: &'static str,
    pub(super) file: String,
    pub(super) result: String,
    pub(super) exit_code: String,
}

pub(super) struct FileLine {
    pub(super) role: String,
    pub(super) name: String,
    pub(super) sha256: String,
}

/// A digest has 64 digits; another text under that name is cut.
const MAX_DIGEST: usize = 80;

pub(super) fn header(facts: &Facts, totals: &Totals) -> Header {
    let kind = kind(facts, totals);
    let reasons = values(facts, |it| it.reason.as_deref().map(cleaned));
    let hosts = values(facts, |it| it.host.as_deref().map(cleaned));
    let heading = if reasons.is_empty() { kind.clone() } else { reasons.join("; ") };
    let title = match (reasons.first(), hosts.first()) {
        (Some(reason), _) => format!("{reason} – {kind}"),
        (None, Some(host)) => format!("{kind} – {host}"),
        (None, None) => kind.clone(),
    };
    let stages = &facts.incident.stages;
    let stages = if stages.len() > 1 { stages.as_slice() } else { &[] };
    Header {
        title,
        kind,
        heading,
        facts: lines(facts),
        stages: stages.iter().zip(&facts.sources).map(stage_line).collect(),
        made: made(facts),
        commands: commands(facts),
        files: files(facts),
    }
}

fn kind(facts: &Facts, totals: &Totals) -> String {
    let what = match totals.kind {
        Some(CommandKind::Run) => "Unlock run",
        Some(CommandKind::Plan) => "Unlock plan",
        Some(CommandKind::Verify) => "Verification of unlocked users",
        Some(CommandKind::Relock) => "Users locked again",
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
    format!("Made by bulk-unlock {}{when}.", cleaned(&facts.made_by))
}

fn lines(facts: &Facts) -> Vec<Fact> {
    let instance = |it: &Source| {
        let parts = [it.instance.as_deref(), it.host.as_deref()];
        let parts: Vec<_> = parts.into_iter().flatten().map(cleaned).collect();
        Some(parts.join(", "))
    };
    let lines = [
        Fact {
            name: "Run by",
            class: "",
            values: values(facts, |it| it.operator.as_deref().map(cleaned)),
        },
        Fact { name: "Instance", class: "", values: values(facts, instance) },
        Fact {
            name: "Key",
            class: "code",
            values: values(facts, |it| it.key.as_deref().map(cleaned)),
        },
        Fact { name: "When", class: "", values: when(facts) },
        Fact {
            name: "Plan SHA-256",
            class: "code",
            values: values(facts, |it| it.plan_sha256.clone()),
        },
    ];
    lines.into_iter().filter(|it| !it.values.is_empty()).collect()
}

/// From the first start to the last end.
fn when(facts: &Facts) -> Vec<String> {
    let stages = &facts.incident.stages;
    let first = stages.iter().filter_map(|it| it.started_at).min();
    let last = stages.iter().filter_map(|it| it.finished_at).max();
    let Some(first) = first else { return Vec::new() };
    match last.and_then(|last| Some((last, last.duration_since(first).ok()?))) {
        Some((last, took)) => {
            vec![format!("{} to {} UTC ({})", moment(first), moment(last), duration(took))]
        }
        None => vec![format!("{} UTC, end not recorded", moment(first))],
    }
}

fn stage_line((stage, source): (&Stage, &Source)) -> StageLine {
    StageLine {
        began: stage.started_at.map(moment).unwrap_or_default(),
        command: source.kind.map_or("unknown", CommandKind::code),
        file: cleaned(&stage.file),
        result: closing::headline(&stage.summary),
        exit_code: stage.exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string()),
    }
}

fn commands(facts: &Facts) -> Vec<Fact> {
    let lines = [
        ("Command", "code", values(facts, |it| it.command.as_deref().map(cleaned))),
        ("Ended", "", values(facts, ended)),
        (
            "Program",
            "",
            values(facts, |it| {
                it.program_version.as_deref().map(|it| format!("bulk-unlock {}", cleaned(it)))
            }),
        ),
    ];
    let lines = lines.into_iter().map(|(name, class, values)| Fact { name, class, values });
    lines.filter(|it| !it.values.is_empty()).collect()
}

fn ended(source: &Source) -> Option<String> {
    let ending = cleaned(&words::ending(source.ending.as_deref()?));
    Some(match source.exit_code {
        Some(code) => format!("{ending} (exit code {code})"),
        None => ending,
    })
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
        role: cleaned(&file.role),
        name: cleaned(&file.name),
        sha256: clipped(&file.sha256, MAX_DIGEST),
    };
    files.into_iter().map(line).collect()
}
