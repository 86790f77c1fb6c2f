//! Number of records by outcome: a bar, and a table.

use super::Bar;
use super::totals::Totals;
use super::words::{self, hundredths, tone};
use crate::model::Outcome;
use crate::report::page::Facts;
use crate::report::text::{counted, number};
use crate::stats::summary::CommandKind;

/// Number of records by outcome.
pub(super) struct Outcomes {
    /// What the bar shows, in words.
    pub(super) summary: String,
    pub(super) segments: Vec<Segment>,
    pub(super) lines: Vec<OutcomeLine>,
    pub(super) tiles: Vec<Tile>,
    pub(super) sum: String,
}

/// A part of the bar, in hundredths of its length.
pub(super) struct Segment {
    pub(super) tone: &'static str,
    pub(super) x: String,
    pub(super) width: String,
    pub(super) summary: String,
}

/// A line of the table.
pub(super) struct OutcomeLine {
    pub(super) tone: &'static str,
    pub(super) bar: Bar,
    pub(super) meaning: &'static str,
    /// The address that shows these users; empty where none have a row.
    pub(super) place: String,
}

/// A number in large digits.
pub(super) struct Tile {
    pub(super) tone: &'static str,
    pub(super) name: &'static str,
    pub(super) count: u64,
    pub(super) n: String,
    pub(super) share: String,
}

/// One outcome, or the records without one.
struct End {
    tone: &'static str,
    name: &'static str,
    meaning: &'static str,
    n: u64,
    has_rows: bool,
}

pub(super) fn outcomes(facts: &Facts, totals: &Totals) -> Outcomes {
    let ends = ends(facts, totals);
    let parts: Vec<_> = ends.iter().map(|it| format!("{} {}", number(it.n), it.name)).collect();
    Outcomes {
        summary: parts.join(", "),
        segments: segments(&ends),
        lines: lines(&ends),
        tiles: tiles(facts, totals),
        sum: format!(
            "{} = {} + {} without a row.",
            counted(totals.n_records, "record", "records"),
            counted(totals.n_rows, "row", "rows"),
            number(totals.n_unprocessed),
        ),
    }
}

fn ends(facts: &Facts, totals: &Totals) -> Vec<End> {
    let rows = facts.incident.summary.counts.iter().map(|(outcome, n)| End {
        tone: tone(outcome),
        name: outcome.code(),
        meaning: outcome.meaning(),
        n,
        has_rows: true,
    });
    let unprocessed = End {
        tone: "open",
        name: "unprocessed",
        meaning: "no row: not attempted or interrupted",
        n: totals.n_unprocessed,
        has_rows: false,
    };
    rows.chain(Some(unprocessed).filter(|it| it.n > 0)).collect()
}

/// Side by side. Short ones are lengthened so that they can be seen.
fn segments(ends: &[End]) -> Vec<Segment> {
    const WHOLE: u128 = 10_000;
    let n_all: u128 = ends.iter().map(|it| u128::from(it.n)).sum();
    let seen = |end: &End| (u128::from(end.n) * WHOLE).div_ceil(n_all.max(1)).max(60);
    let sum: u128 = ends.iter().map(seen).sum();
    let mut so_far = 0;
    let place = |end: &End| {
        let from = so_far * WHOLE / sum;
        so_far += seen(end);
        let width = so_far * WHOLE / sum - from;
        let summary = format!("{}: {}", end.name, number(end.n));
        Segment { tone: end.tone, x: hundredths(from), width: hundredths(width), summary }
    };
    ends.iter().map(place).collect()
}

fn lines(ends: &[End]) -> Vec<OutcomeLine> {
    let n_all = ends.iter().map(|it| it.n).sum();
    let longest = ends.iter().map(|it| it.n).max().unwrap_or_default();
    let line = |end: &End| OutcomeLine {
        tone: end.tone,
        bar: Bar::new(end.name.to_owned(), end.n, n_all, longest),
        meaning: end.meaning,
        place: if end.has_rows { format!("#outcome={}", end.name) } else { String::new() },
    };
    ends.iter().map(line).collect()
}

fn tiles(facts: &Facts, totals: &Totals) -> Vec<Tile> {
    let n = |outcome| facts.incident.summary.counts.get(outcome);
    let tile = |name, count: u64, tone| Tile {
        tone: if count == 0 { "none" } else { tone },
        name,
        count,
        n: number(count),
        share: words::share(count, totals.n_records),
    };
    let aim = match totals.kind {
        Some(CommandKind::Plan) => tile("Would unlock", n(Outcome::WouldUnlock), "good"),
        Some(CommandKind::Verify) => tile("Still unlocked", n(Outcome::StillUnlocked), "good"),
        _ => tile("Unlocked", n(Outcome::Unlocked) + n(Outcome::StillUnlocked), "good"),
    };
    vec![
        tile(if facts.sources.len() > 1 { "Users" } else { "Records" }, totals.n_records, "plain"),
        aim,
        tile("Need attention", totals.n_not_well, "warn"),
        tile("Not processed", totals.n_open(), "bad"),
    ]
}
