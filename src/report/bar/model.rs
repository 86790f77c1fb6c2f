//! What the bar shows, as lines: pure, so that tests can read it.

use crate::model::PauseReason;
use crate::report::status::Standing;
use crate::report::text::number;
use crate::report::{Paint, Style, words};
use crate::stats::summary::CommandKind;
use crate::stats::{Ceiling, Limit, Stats};

/// What the bar shows at one moment.
pub struct BarModel {
    standing: Standing,
    ceiling: Option<Ceiling>,
    is_stopping: bool,
}

/// A wider bar shows no more.
const MAX_BAR: usize = 40;
const MIN_BAR: usize = 6;
const GAP: &str = "  ";
const DOT: &str = " · ";

impl BarModel {
    /// The state at the latest event.
    pub fn new(stats: &Stats, command: CommandKind, ceiling: Option<Ceiling>) -> Self {
        let standing = Standing::of(stats, command, ceiling);
        Self { standing, ceiling, is_stopping: stats.stopping.is_some() }
    }

    /// Two lines that fit into that many columns.
    pub fn render(&self, width: usize, style: Style) -> Vec<String> {
        // The last column stays free: some terminals wrap when it is written to.
        let width = width.saturating_sub(1);
        vec![self.first_line(width, style), self.second_line(width, style)]
    }

    fn first_line(&self, width: usize, style: Style) -> String {
        let standing = &self.standing;
        let done = format!("{}/{}", number(standing.n_done), number(standing.n_records));
        let rate = vec![
            words::rate(&standing.pace, self.ceiling),
            words::short_rate(&standing.pace, self.ceiling),
        ];
        let left = standing.pace.left.map(words::left);
        let mut parts = [
            Part::fixed(Paint::Bold, vec![format!("{:>3} %", standing.percent)]),
            Part::fixed(Paint::Plain, vec![done]),
            Part::optional(Paint::Plain, rate),
            Part::optional(Paint::Dim, left.into_iter().collect()),
        ];
        fit(&mut parts, GAP, width.saturating_sub(MIN_BAR + 1), &[2, 2, 3]);
        let room = width.saturating_sub(line_width(&parts, GAP) + 1).min(MAX_BAR);
        if room < MIN_BAR {
            return join(&parts, GAP, width, style);
        }
        let bar = drawn(standing.n_done, standing.n_records, room, style);
        format!("{bar} {}", join(&parts, GAP, width - room - 1, style))
    }

    fn second_line(&self, width: usize, style: Style) -> String {
        let standing = &self.standing;
        let or_plain = |paint, n| if n == 0 { Paint::Plain } else { paint };
        let (limit_paint, limit_forms) = self.limit();
        let mut parts = [
            Part::fixed(or_plain(Paint::Good, standing.n_aimed), vec![standing.aimed.clone()]),
            Part::fixed(or_plain(Paint::Bad, standing.n_failed), vec![standing.failed.clone()]),
            Part::optional(Paint::Plain, vec![standing.retries.clone()]),
            Part::optional(limit_paint, limit_forms),
        ];
        // Why nothing new is sent is worth more than the retries.
        let is_idle = self.is_stopping || matches!(standing.pace.limit, Some(Limit::Pause { .. }));
        fit(&mut parts, DOT, width, if is_idle { &[2, 3, 3] } else { &[3, 2, 3] });
        join(&parts, DOT, width, style)
    }

    /// In a long and a short form.
    fn limit(&self) -> (Paint, Vec<String>) {
        if self.is_stopping {
            let long = "stopping: waiting for requests in flight".to_owned();
            return (Paint::Warn, vec![long, "stopping".to_owned()]);
        }
        let Some(limit) = &self.standing.pace.limit else { return (Paint::Dim, Vec::new()) };
        let paint = match limit {
            Limit::Pace | Limit::Latency => Paint::Dim,
            Limit::Pause { reason: PauseReason::Throttled, .. } => Paint::Warn,
            Limit::Pause { reason: PauseReason::Outage, .. } => Paint::Bad,
        };
        (paint, vec![words::limit(limit), words::short_limit(limit)])
    }
}

/// Full only when everything is done.
fn drawn(n_done: u64, n_records: u64, width: usize, style: Style) -> String {
    let halves = u64::try_from(width).unwrap_or_default() * 2;
    let filled = (n_done * halves).checked_div(n_records).unwrap_or(halves).min(halves);
    let whole = usize::try_from(filled / 2).unwrap_or(width);
    let half = if filled % 2 == 1 { "╸" } else { "" };
    let rest = width - whole - half.chars().count();
    let done = format!("{}{half}", "━".repeat(whole));
    style.paint(Paint::Good, &done) + &style.paint(Paint::Dim, &"─".repeat(rest))
}

/// One part of a line, in forms from the longest to the shortest. An empty form is left out.
struct Part {
    paint: Paint,
    forms: Vec<String>,
}

impl Part {
    /// A part that may be left out.
    fn optional(paint: Paint, mut forms: Vec<String>) -> Self {
        forms.push(String::new());
        Self { paint, forms }
    }

    /// A part that stays, at least in its shortest form.
    fn fixed(paint: Paint, forms: Vec<String>) -> Self {
        Self { paint, forms }
    }

    fn text(&self) -> &str {
        self.forms.first().map_or("", String::as_str)
    }

    fn shrink(&mut self) {
        if self.forms.len() > 1 {
            self.forms.remove(0);
        }
    }
}

/// Shortens parts until the line fits into that width. `order` lists their places; each time a
/// place is listed, that part changes to its next shorter form.
fn fit(parts: &mut [Part], separator: &str, width: usize, order: &[usize]) {
    for &place in order {
        if line_width(parts, separator) <= width {
            return;
        }
        parts[place].shrink();
    }
}

/// The width of the line in columns. All characters here are one column wide.
fn line_width(parts: &[Part], separator: &str) -> usize {
    let widths: Vec<_> =
        parts.iter().map(|it| it.text().chars().count()).filter(|n| *n > 0).collect();
    let n_separators = widths.len().saturating_sub(1);
    widths.iter().sum::<usize>() + n_separators * separator.chars().count()
}

/// The line in color; the end of a line that still does not fit is cut off.
fn join(parts: &[Part], separator: &str, width: usize, style: Style) -> String {
    let fits = line_width(parts, separator) <= width;
    let style = if fits { style } else { Style { color: false } };
    let texts = parts.iter().filter(|it| !it.text().is_empty());
    let texts: Vec<_> = texts.map(|it| style.paint(it.paint, it.text())).collect();
    let line = texts.join(separator);
    if fits { line } else { line.chars().take(width).collect() }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Outcome, StopReason};
    use crate::stats::Size;
    use crate::stats::story::Story;

    const PLAIN: Style = Style { color: false };
    const SHARE: Option<Ceiling> =
        Some(Ceiling { n_requests: 10_000, per: Duration::from_secs(10), is_spaced: true });

    fn bar(story: &Story, width: usize) -> String {
        BarModel::new(&story.stats, CommandKind::Run, SHARE).render(width, PLAIN).join("\n")
    }

    fn running() -> Story {
        Story::of(5000)
            .attempts_take(500, 80)
            .at(4900)
            .rows(700, Outcome::Unlocked)
            .at(44_000)
            .rows(2890, Outcome::Unlocked)
            .retries(12, 503, "http_503")
            .failed_row(Outcome::NotFound, 404, "resource_not_found", "")
    }

    #[test]
    fn before_the_first_answer() {
        insta::assert_snapshot!(bar(&Story::of(5000), 80), @"
            ────────────────────────────────────────   0 %  0/5,000  up to 1,000/s
            0 unlocked · 0 failed · 0 retries
            ");
    }

    #[test]
    fn running_at_the_usual_width() {
        insta::assert_snapshot!(bar(&running(), 80), @"
            ━━━━━━━━━━━━━━━━━━━━━━─────────  71 %  3,591/5,000  645/s of 1,000/s  15 s left
            3,590 unlocked · 1 failed · 12 retries · limited by the pace
            ");
    }

    #[test]
    fn running_on_a_wide_terminal() {
        insta::assert_snapshot!(bar(&running(), 120), @"
            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────────  71 %  3,591/5,000  645/s of 1,000/s  15 s left
            3,590 unlocked · 1 failed · 12 retries · limited by the pace
            ");
    }

    #[test]
    fn running_on_a_narrow_terminal() {
        insta::assert_snapshot!(bar(&running(), 50), @"
            ━━━━━━━━╸───  71 %  3,591/5,000  645/s  15 s left
            3,590 unlocked · 1 failed · at the pace
            ");
        insta::assert_snapshot!(bar(&running(), 30), @"
            ━━━━━━━───  71 %  3,591/5,000
            3,590 unlocked · 1 failed
            ");
    }

    #[test]
    fn limited_by_latency() {
        let story = Story::of(100).attempts_take(1, 80).at(1000).rows(40, Outcome::Unlocked);
        insta::assert_snapshot!(bar(&story, 80), @"
            ━━━━━━━━━━━━━━━───────────────────────  40 %  40/100  40/s of 1,000/s  2 s left
            40 unlocked · 0 failed · 0 retries · limited by latency
            ");
    }

    #[test]
    fn paused_by_a_429() {
        let story = running().paused(PauseReason::Throttled, 12_000);
        insta::assert_snapshot!(bar(&story, 80), @"
            ━━━━━━━━━━━━━━━━━━━━━━─────────  71 %  3,591/5,000  645/s of 1,000/s  30 s left
            3,590 unlocked · 1 failed · 12 retries · paused by a 429 until 03:13:29Z (12 s)
            ");
        insta::assert_snapshot!(bar(&story, 120), @"
            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────────  71 %  3,591/5,000  645/s of 1,000/s  30 s left
            3,590 unlocked · 1 failed · 12 retries · paused by a 429 until 03:13:29Z (12 s)
            ");
        insta::assert_snapshot!(bar(&story, 50), @"
            ━━━━━━━━╸───  71 %  3,591/5,000  645/s  30 s left
            3,590 unlocked · 1 failed · 429 until 03:13:29Z
            ");
    }

    #[test]
    fn in_an_outage() {
        let story = running().paused(PauseReason::Outage, 4000);
        insta::assert_snapshot!(bar(&story, 80), @"
            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────────  71 %  3,591/5,000  645/s of 1,000/s
            3,590 unlocked · 1 failed · the API does not answer; next probe in 4 s
            ");
        insta::assert_snapshot!(bar(&story.at(48_500), 120), @"
            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────────  71 %  3,591/5,000  645/s of 1,000/s
            3,590 unlocked · 1 failed · 12 retries · the API does not answer; waiting for a probe
            ");
    }

    #[test]
    fn stopping() {
        insta::assert_snapshot!(bar(&running().stopping(StopReason::Interrupted), 80), @"
            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━╸───────────  71 %  3,591/5,000  645/s of 1,000/s
            3,590 unlocked · 1 failed · stopping: waiting for requests in flight
            ");
    }

    #[test]
    fn done() {
        insta::assert_snapshot!(bar(&Story::of(3).at(500).rows(3, Outcome::Unlocked), 80), @"
            ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100 %  3/3  6/s of 1,000/s
            3 unlocked · 0 failed · 0 retries · limited by latency
            ");
    }

    #[test]
    fn a_plan_and_a_verification_in_their_own_words() {
        let plan = Story::of(200).lookups(1).unasked_rows(90, Outcome::WouldUnlock).at(100);
        let model = BarModel::new(&plan.stats, CommandKind::Plan, None);
        insta::assert_snapshot!(model.render(80, PLAIN).join("\n"), @"
            ━━━━━━━━━━━━━━━━━━──────────────────────  45 %  90/200  2/s  1 s left
            90 to unlock · 0 failed · 0 retries · limited by latency
            ");
        let verify = Story::of(200).lookups(1).unasked_rows(9, Outcome::LockedAgain).at(100);
        let model = BarModel::new(&verify.stats, CommandKind::Verify, None);
        insta::assert_snapshot!(model.render(80, PLAIN).join("\n"), @"
            ━╸──────────────────────────────────────   4 %  9/200  2/s  3 s left
            0 still unlocked · 9 locked or gone · 0 retries · limited by latency
            ");
    }

    #[test]
    fn colors_are_put_around_the_same_texts() {
        let model = BarModel::new(&running().stats, CommandKind::Run, SHARE);
        let colored = model.render(80, Style { color: true }).join("\n");
        insta::assert_snapshot!(colored.replace('\u{1b}', "ESC"), @"
            ESC[32m━━━━━━━━━━━━━━━━━━━━━━ESC[0mESC[2m─────────ESC[0m ESC[1m 71 %ESC[0m  3,591/5,000  645/s of 1,000/s  ESC[2m15 s leftESC[0m
            ESC[32m3,590 unlockedESC[0m · ESC[31m1 failedESC[0m · 12 retries · ESC[2mlimited by the paceESC[0m
            ");
    }

    proptest! {
        #[test]
        fn no_line_is_wider_than_the_terminal(
            width in 0usize..200, n_records in 0u64..10_000_000, n_rows in 0usize..50, n_retries in 0usize..50,
            pause in prop::option::of((any::<bool>(), 0u64..900_000)), is_stopping: bool,
        ) {
            let size = Size { n_records, n_jobs: n_records };
            let mut story = Story::with(size).at(777).retries(n_retries, 500, "x").rows(n_rows, Outcome::Unlocked);
            if let Some((is_outage, millis)) = pause {
                let reason = if is_outage { PauseReason::Outage } else { PauseReason::Throttled };
                story = story.paused(reason, millis);
            }
            if is_stopping {
                story = story.stopping(StopReason::MaxFail);
            }
            let lines = BarModel::new(&story.stats, CommandKind::Run, SHARE).render(width, PLAIN);
            prop_assert!(lines.iter().all(|line| line.chars().count() <= width), "{lines:#?}");
        }
    }
}
