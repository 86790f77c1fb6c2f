//! What both pages show, as finished strings: the templates call the methods of [`View`] and place
//! their texts.

use std::time::SystemTime;

use super::{Facts, advice};
use crate::model::{Outcome, UserId, mask_keys};
use crate::report::closing::{self, relocked_remark};
use crate::report::stopped_by;
use crate::report::text::{clean, clipped, counted, duration, number, utc};
use crate::results::Manifest;
use crate::results::manifest::FileEntry;
use crate::stats::Example;
use crate::stats::summary::{CommandKind, Ending, Summary};

/// The content of the HTML page and of the Markdown page.
pub(super) struct View<'a> {
    pub(super) facts: &'a Facts,
    pub(super) pii: bool,
}

/// A name, the class of its values, and the values: several if the files differ. The class `code`
/// marks text that must be exact.
pub(super) type Fact = (&'static str, &'static str, Vec<String>);

pub(super) struct Verdict {
    /// The class that colors it.
    pub(super) tone: &'static str,
    pub(super) headline: String,
    pub(super) detail: String,
}

/// The records of one outcome, or those without a row.
pub(super) struct OutcomeLine {
    pub(super) tone: &'static str,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) count: u64,
    pub(super) n: String,
    pub(super) share: String,
    /// The length of its own bar, of 100.
    pub(super) length: String,
    /// The part of the common bar, of 100.
    pub(super) x: String,
    pub(super) width: String,
    /// The link that shows these users; empty for records without a row.
    pub(super) link: String,
}

/// The rows with one error code.
pub(super) struct ErrorLine {
    pub(super) code: String,
    pub(super) count: u64,
    pub(super) n: String,
    pub(super) meaning: &'static str,
    pub(super) advice: &'static str,
    pub(super) example: String,
}

/// The maximum number of error codes. The results have all.
const MAX_CODES: usize = 30;
/// The maximum length of a text from a manifest, in characters.
const MAX_TEXT: usize = 2_000;
/// The maximum length of a digest, which has 64 digits.
const MAX_DIGEST: usize = 80;

impl View<'_> {
    fn summary(&self) -> &Summary {
        &self.facts.incident.summary
    }

    fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.facts.sources.iter().filter_map(|it| it.manifest.as_ref())
    }

    /// The values in all manifests, each once.
    fn values(&self, of: impl Fn(&Manifest) -> Option<String>) -> Vec<String> {
        unique(self.manifests().filter_map(of))
    }

    pub(super) fn title(&self) -> String {
        let kind = self.kind();
        let reasons = self.values(|it| it.reason.clone());
        let hosts = self.values(|it| Some(it.host.clone()));
        match (reasons.first(), hosts.first()) {
            (Some(reason), _) => format!("{reason} – {kind}"),
            (None, Some(host)) => format!("{kind} – {host}"),
            (None, None) => kind,
        }
    }

    pub(super) fn heading(&self) -> String {
        let reasons = self.values(|it| it.reason.clone());
        if reasons.is_empty() { self.kind() } else { reasons.join("; ") }
    }

    /// The kind of the report.
    pub(super) fn kind(&self) -> String {
        let what = match self.command_of_all() {
            Some(CommandKind::Run) => "Unlock run",
            Some(CommandKind::Plan) => "Unlock plan",
            Some(CommandKind::Verify) => "Verification of unlocked users",
            Some(CommandKind::Relock) => "Users locked again",
            Some(CommandKind::RelockPlan) => "Relock plan",
            Some(CommandKind::Locked) | None => "Unlock report",
        };
        match self.facts.sources.len() {
            0 | 1 => what.to_owned(),
            n => format!("{what}, {}", counted(n as u64, "file", "files")),
        }
    }

    /// The command of all files; `None` if they are of several, or if it is not known.
    fn command_of_all(&self) -> Option<CommandKind> {
        let first = self.facts.sources.first()?.kind;
        first.filter(|_| self.facts.sources.iter().all(|it| it.kind == first))
    }

    /// Who, where and when.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let plan_sha256 = self.facts.sources.iter().filter_map(|it| it.plan_sha256.clone());
        let plan_sha256 = unique(plan_sha256);
        with_values([
            ("Run by", "", self.values(|it| it.operator.clone())),
            ("Instance", "", self.values(|it| Some(format!("{}, {}", it.instance, it.host)))),
            ("Key", "code", self.values(|it| it.key.clone())),
            ("When", "", when(self.facts)),
            ("Plan SHA-256", "code", plan_sha256),
        ])
    }

    /// How the files were made.
    pub(super) fn commands(&self) -> Vec<Fact> {
        with_values([
            ("Command", "code", self.values(|it| Some(it.command.clone()))),
            ("Ended", "", self.values(|it| Some(ended(it)))),
            ("Program", "", self.values(|it| Some(format!("bulk-unlock {}", it.program_version)))),
        ])
    }

    pub(super) fn verdict(&self) -> Verdict {
        let (incident, summary) = (&self.facts.incident, self.summary());
        let mut each = incident.stages.iter().map(|it| &it.summary);
        if each.any(|it| it.n_rows().checked_add(it.n_unprocessed) != Some(it.n_records)) {
            return Verdict {
                tone: "bad",
                headline: "The accounting does not add up.".to_owned(),
                detail: "The rows of a file do not match its manifest. The file was changed, or \
                         bulk-unlock has a fault: do not rely on this report."
                    .to_owned(),
            };
        }
        let is_open = self.n_open() > 0 || incident.stages.iter().any(|stage| stage.n_left > 0);
        let n_not_well = summary.counts.n_not_well();
        Verdict {
            tone: match n_not_well {
                _ if is_open => "bad",
                0 => "good",
                _ => "warn",
            },
            headline: closing::incident_headline(incident),
            detail: match n_not_well {
                0 if is_open => String::new(),
                0 => "No record needs attention.".to_owned(),
                n => format!("{} attention.", counted(n, "record needs", "records need")),
            },
        }
    }

    /// Number of users who are not unlocked although a run was to unlock them.
    fn n_open(&self) -> u64 {
        let n_planned_only = self.facts.incident.n_planned_only();
        self.summary().n_unprocessed.saturating_add(n_planned_only)
    }

    /// Warnings that belong to the verdict.
    pub(super) fn notices(&self) -> Vec<String> {
        let summary = self.summary();
        let warning = |warning: &String| cleaned(&format!("Warning: {warning}."));
        let mut notices: Vec<String> = self.facts.warnings.iter().map(warning).collect();
        if self.manifests().any(|it| it.instance == "sandbox") {
            notices.push(
                "This is a rehearsal against the sandbox. No real user was changed.".to_owned(),
            );
        }
        if summary.n_banned > 0 {
            let are = if summary.n_banned == 1 { "user is" } else { "users are" };
            let n = number(summary.n_banned);
            notices.push(format!("{n} {are} banned. Unlocking does not lift a ban."));
        }
        notices.extend(relocked_remark(&summary.counts).map(str::to_owned));
        notices
    }

    /// The next command that the newest job printed; empty if it printed none.
    pub(super) fn command(&self) -> String {
        // It is not clipped: without its last flags, a command does something else.
        let next = self.summary().next.as_ref();
        next.map(|next| clean(&mask_keys(&next.command)).into_owned()).unwrap_or_default()
    }

    /// The command of a single plan contains the plan's hash, so that only the reviewed plan is run.
    pub(super) fn purpose(&self) -> &'static str {
        let command = self.command();
        let has_hash = |hash: &String| command.contains(&format!("--plan-sha256={hash}"));
        match self.facts.sources.as_slice() {
            [plan] if plan.plan_sha256.as_ref().is_some_and(has_hash) => {
                "Command for the operator. It runs exactly this plan, and refuses one with another hash:"
            }
            _ => "Next command:",
        }
    }

    pub(super) fn advice(&self) -> Vec<(String, &'static str)> {
        let summary = self.summary();
        let mut advice = Vec::new();
        if summary.n_unprocessed > 0 {
            let records = counted(summary.n_unprocessed, "record", "records");
            let text = "Not attempted or interrupted. Resume the run.";
            advice.push((records + " without a row", text));
        }
        if self.facts.incident.n_planned_only() > 0 {
            let n = number(self.facts.incident.n_planned_only());
            let text = "No run processed these users. Resume or run the plan.";
            advice.push((format!("{n} planned only"), text));
        }
        let outcomes = summary.counts.iter().map(|(outcome, n)| {
            (format!("{} {outcome}", number(n)), advice::of_outcome(outcome).1)
        });
        advice.extend(outcomes.filter(|(_, text)| !text.is_empty()));
        advice
    }

    /// Numbers in large digits: the tone, the name, the number, its text, and the share.
    pub(super) fn tiles(&self) -> Vec<(&'static str, &'static str, u64, String, String)> {
        let summary = self.summary();
        let n = |outcome| summary.counts.get(outcome);
        let all = if self.facts.sources.len() > 1 { "Users" } else { "Records" };
        let (aim, n_aimed) = match self.command_of_all() {
            Some(CommandKind::Plan) => ("Would unlock", n(Outcome::WouldUnlock)),
            Some(CommandKind::Verify) => ("Still unlocked", n(Outcome::StillUnlocked)),
            _ => ("Unlocked", n(Outcome::Unlocked) + n(Outcome::StillUnlocked)),
        };
        let tiles = [
            ("plain", all, summary.n_records),
            ("good", aim, n_aimed),
            ("warn", "Need attention", summary.counts.n_not_well()),
            ("bad", "Not processed", self.n_open()),
        ];
        let tile = |(tone, name, n)| {
            let tone = if n == 0 { "none" } else { tone };
            (tone, name, n, number(n), share(n, summary.n_records))
        };
        tiles.map(tile).into()
    }

    /// The files in order of time; empty for a single file. Each has the time at which its command
    /// began, the command, its name, the result, and the exit code.
    pub(super) fn stages(&self) -> Vec<(String, &'static str, String, String, String)> {
        let stages = &self.facts.incident.stages;
        if stages.len() < 2 {
            return Vec::new();
        }
        let stages = stages.iter().zip(&self.facts.sources).map(|(stage, source)| {
            let began = stage.started_at.map(moment).unwrap_or_default();
            let command = source.kind.map_or("unknown", CommandKind::code);
            let code = stage.exit_code.map_or("unknown".to_owned(), |code| code.to_string());
            (began, command, cleaned(&stage.file), closing::headline(&stage.summary), code)
        });
        stages.collect()
    }

    pub(super) fn outcomes(&self) -> Vec<OutcomeLine> {
        /// The common bar in hundredths of a per cent, and the shortest part that can be seen.
        const WHOLE: u128 = 10_000;
        const SHORTEST: u128 = 60;
        let summary = self.summary();
        let rows = summary.counts.iter().map(|(outcome, n)| {
            (advice::of_outcome(outcome).0, outcome.code(), outcome.meaning(), n)
        });
        let meaning = "no row: not attempted or interrupted";
        let unprocessed = ("open", "unprocessed", meaning, summary.n_unprocessed);
        let lines: Vec<_> = rows.chain([unprocessed]).filter(|(.., n)| *n > 0).collect();
        let n_all: u64 = lines.iter().map(|(.., n)| *n).fold(0, u64::saturating_add);
        let longest = lines.iter().map(|(.., n)| *n).max().unwrap_or_default();
        let width = |n: u64| (u128::from(n) * WHOLE).div_ceil(n_all.into()).max(SHORTEST);
        let sum: u128 = lines.iter().map(|(.., n)| width(*n)).sum();
        let mut end = 0;
        let line = |(tone, name, meaning, count)| {
            let x = end * WHOLE / sum;
            end += width(count);
            OutcomeLine {
                tone,
                name,
                meaning,
                count,
                n: number(count),
                share: share(count, n_all),
                length: length(count, longest),
                x: hundredths(x),
                width: hundredths(end * WHOLE / sum - x),
                link: if tone == "open" { String::new() } else { format!("#outcome={name}") },
            }
        };
        lines.into_iter().map(line).collect()
    }

    /// How records and rows add up.
    pub(super) fn sum(&self) -> String {
        let summary = self.summary();
        format!(
            "{} = {} + {} without a row.",
            counted(summary.n_records, "record", "records"),
            counted(summary.n_rows(), "row", "rows"),
            number(summary.n_unprocessed),
        )
    }

    pub(super) fn errors(&self) -> Vec<ErrorLine> {
        let groups = self.summary().errors.iter().take(MAX_CODES);
        let lines = groups.map(|group| {
            let (meaning, advice) = advice::of_code(&group.code);
            ErrorLine {
                code: code(&group.code, self.pii),
                count: group.n,
                n: number(group.n),
                meaning,
                advice,
                example: example(&group.example, self.pii),
            }
        });
        lines.collect()
    }

    /// Number of rows with other codes, as a sentence.
    pub(super) fn more_errors(&self) -> String {
        match self.summary().errors.iter().skip(MAX_CODES).map(|group| group.n).sum() {
            0 => String::new(),
            n => format!("{} further codes.", counted(n, "more row has", "more rows have")),
        }
    }

    pub(super) fn files(&self) -> Vec<FileEntry> {
        let mut files: Vec<FileEntry> = Vec::new();
        for file in self.manifests().flat_map(|it| &it.files) {
            let file = FileEntry {
                role: cleaned(&file.role),
                name: cleaned(&file.name),
                sha256: clipped(&file.sha256, MAX_DIGEST),
            };
            if !files.contains(&file) {
                files.push(file);
            }
        }
        files
    }

    pub(super) fn privacy(&self) -> &'static str {
        if self.pii {
            "This page contains personal data: names, addresses and messages that may quote them. \
             Share it accordingly."
        } else {
            "This page shows user IDs only. It contains no names, addresses or messages that may \
             quote them."
        }
    }

    pub(super) fn made(&self) -> String {
        let at = self.facts.made_at.map(|at| format!(" on {} UTC", moment(at)));
        let version = env!("CARGO_PKG_VERSION");
        format!("Made by bulk-unlock {version}{}.", at.unwrap_or_default())
    }
}

fn with_values<const N: usize>(facts: [Fact; N]) -> Vec<Fact> {
    facts.into_iter().filter(|(.., values)| !values.is_empty()).collect()
}

/// The texts that are not empty, each once.
fn unique(texts: impl Iterator<Item = String>) -> Vec<String> {
    let mut unique: Vec<String> = Vec::new();
    for text in texts.map(|it| cleaned(&it)) {
        if !text.is_empty() && !unique.contains(&text) {
            unique.push(text);
        }
    }
    unique
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

fn ended(manifest: &Manifest) -> String {
    let ending = ending(&manifest.ending);
    match manifest.exit_code {
        Some(code) => format!("{ending} (exit code {code})"),
        None => ending,
    }
}

/// `line 17 user_abc: No user was found.`
fn example(example: &Example, pii: bool) -> String {
    let is_shown = pii || example.user.parse::<UserId>().is_ok();
    let user = if is_shown { format!(" {}", clean(&example.user)) } else { String::new() };
    let message = match clean(&example.message) {
        message if pii && !message.is_empty() => format!(": {message}"),
        _ => String::new(),
    };
    format!("line {}{user}{message}", example.line)
}

/// A text from outside, safe to show.
pub(super) fn cleaned(text: &str) -> String {
    clipped(text, MAX_TEXT)
}

/// An error code. Without personal data, a code that could be a message is not shown: it comes from
/// outside.
pub(super) fn code(code: &str, pii: bool) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    if pii || code.chars().all(is_word) { cleaned(code) } else { "(unusual code)".to_owned() }
}

/// How a job ended, by its code in the manifest.
pub(super) fn ending(code: &str) -> String {
    let ending = Ending::of_code(code);
    match ending {
        _ if ending.code() != code => cleaned(code),
        Ending::Completed => "completed".to_owned(),
        Ending::Stopped(reason) => format!("stopped {}", stopped_by(reason)),
        Ending::NotConfirmed => "not confirmed; nothing was sent".to_owned(),
        Ending::Unfinished => "killed, or still running".to_owned(),
        Ending::Unaccounted => "the accounting does not add up".to_owned(),
    }
}

/// `2026-01-31 03:12:45`, in UTC.
pub(super) fn moment(wall: SystemTime) -> String {
    utc(wall, "%Y-%m-%d %H:%M:%S")
}

/// `12.3 %`. Only 0 is shown as 0 %, and only all as 100 %.
fn share(n: u64, of: u64) -> String {
    let (n, of) = (u128::from(n), u128::from(of));
    let tenths = (n * 1000 + of / 2).checked_div(of).unwrap_or_default();
    match (n, tenths) {
        (0, _) => "0 %".to_owned(),
        (_, 0) => "<0.1 %".to_owned(),
        (_, 1000) if n < of => "99.9 %".to_owned(),
        _ => format!("{}.{} %", tenths / 10, tenths % 10).replace(".0 %", " %"),
    }
}

/// The length of a bar in per cent of the longest, at least long enough to be seen.
fn length(n: u64, longest: u64) -> String {
    const SHORTEST: u128 = 50;
    if n == 0 || longest == 0 {
        return "0".to_owned();
    }
    hundredths((u128::from(n) * 10_000 / u128::from(longest)).clamp(SHORTEST, 10_000))
}

/// `1234` as `12.34`.
pub(super) fn hundredths(n: u128) -> String {
    format!("{}.{:02}", n / 100, n % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_zero_and_all_are_shown_as_0_and_100_percent() {
        let found = [(0, 9), (1, 100_000), (1, 8), (99_999, 100_000), (7, 7), (0, 0)];
        let found = found.map(|(n, of)| share(n, of));
        assert_eq!(found, ["0 %", "<0.1 %", "12.5 %", "99.9 %", "100 %", "0 %"]);
    }

    #[test]
    fn a_bar_is_as_long_as_its_share_and_long_enough_to_be_seen() {
        let found = [(0, 9), (1, 100_000), (1, 3), (9, 9)].map(|(n, of)| length(n, of));
        assert_eq!(found, ["0", "0.50", "33.33", "100.00"]);
    }

    #[test]
    fn every_ending_has_a_text() {
        let codes = ["completed", "running", "not_confirmed", "unaccounted", "max_fail", "eaten\n"];
        insta::assert_snapshot!(codes.map(ending).join("\n"), @"
            completed
            killed, or still running
            not confirmed; nothing was sent
            the accounting does not add up
            stopped by --max-fail
            eaten 
            ");
    }

    #[test]
    fn a_code_that_could_be_a_message_is_personal_data() {
        assert_eq!(code("http_503", false), "http_503");
        assert_eq!(code("taken by a@x.org", false), "(unusual code)");
        assert_eq!(code("taken by a@x.org", true), "taken by a@x.org");
    }
}
