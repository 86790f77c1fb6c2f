//! The progress bar on a terminal, drawn in place.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};

use super::progress::Status;
use super::text::{self, number};
use super::{Console, Listener, Paint, ReportContext, Style};
use crate::model::{Event, PauseReason};
use crate::stats::{Limit, Stats};

/// Two lines at the lower end of the terminal, which [`lines`] makes and indicatif draws.
pub struct Bar<'a> {
    console: Console,
    context: ReportContext<'a>,
    progress: ProgressBar,
    term: Term,
}

const REDRAWS_PER_SECOND: u8 = 10;
const USUAL_WIDTH: u16 = 80;

impl<'a> Bar<'a> {
    /// Draws from now on.
    pub fn new(console: Console, context: ReportContext<'a>) -> Self {
        let term = Term::buffered_stderr();
        let target = if term.is_term() {
            let terminal = Terminal { inner: term, n_blanks: AtomicUsize::new(0) };
            ProgressDrawTarget::term_like_with_hz(Box::new(terminal), REDRAWS_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        let progress = ProgressBar::with_draw_target(None, target);
        // This template is valid. Otherwise, indicatif would use its own.
        if let Ok(style) = ProgressStyle::with_template("{msg}") {
            progress.set_style(style);
        }
        console.set_bar(Some(progress.clone()));
        Self { console, context, progress, term: Term::stderr() }
    }
}

impl Listener for Bar<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if matches!(event, Event::Ticked { .. }) {
            let columns = self.term.size_checked().map(|(_, columns)| columns);
            let width = columns.filter(|it| *it > 0).unwrap_or(USUAL_WIDTH).into();
            let progress = Status::new(stats, self.context);
            self.progress.set_message(lines(&progress, width, self.console.style).join("\n"));
        }
    }
}

/// However the run ends, the bar is removed before the closing lines.
impl Drop for Bar<'_> {
    fn drop(&mut self) {
        self.console.set_bar(None);
        self.progress.finish_and_clear();
    }
}

/// A wider bar would not show more.
const MAX_BAR: usize = 40;
const MIN_BAR: usize = 6;
const GAP: &str = "  ";
const DOT: &str = " · ";

/// The two lines of the bar, no wider than `width` columns.
fn lines(status: &Status, width: usize, style: Style) -> [String; 2] {
    // Some terminals wrap when the last column is written.
    let width = width.saturating_sub(1);
    [first_line(status, width, style), second_line(status, width, style)]
}

fn first_line(status: &Status, width: usize, style: Style) -> String {
    let done = format!("{}/{}", number(status.n_done), number(status.n_records));
    let [rate, short_rate] = status.rate.clone();
    let left = status.left.clone().unwrap_or_default();
    let mut parts = [
        Part::new(Paint::Bold, [format!("{:>3} %", status.percent)]),
        Part::new(Paint::Plain, [done]),
        Part::new(Paint::Plain, [rate, short_rate, String::new()]),
        Part::new(Paint::Dim, [left, String::new()]),
    ];
    fit(&mut parts, GAP, width.saturating_sub(MIN_BAR + 1), &[2, 2, 3]);
    let room = width.saturating_sub(line_width(&parts, GAP) + 1).min(MAX_BAR);
    if room < MIN_BAR {
        return join(&parts, GAP, width, style);
    }
    let bar = bar(status.n_done, status.n_records, room, style);
    format!("{bar} {}", join(&parts, GAP, width - room - 1, style))
}

fn second_line(status: &Status, width: usize, style: Style) -> String {
    let paint = |paint, n| if n == 0 { Paint::Plain } else { paint };
    let (limit_paint, [limit, short_limit]) = limit(status);
    let mut parts = [
        Part::new(paint(Paint::Good, status.n_aimed), [status.aimed.clone()]),
        Part::new(paint(Paint::Bad, status.n_failed), [status.failed.clone()]),
        Part::new(Paint::Plain, [status.retries.clone(), String::new()]),
        Part::new(limit_paint, [limit, short_limit, String::new()]),
    ];
    // The reason why no request is sent is more important than the retries.
    let is_idle = status.is_stopping || matches!(status.pace.limit, Some(Limit::Pause { .. }));
    fit(&mut parts, DOT, width, if is_idle { &[2, 3, 3] } else { &[3, 2, 3] });
    join(&parts, DOT, width, style)
}

/// What limits the pace, in a long and a short form.
fn limit(status: &Status) -> (Paint, [String; 2]) {
    if status.is_stopping {
        let stopping = ["stopping: waiting for requests in flight", "stopping"];
        return (Paint::Warn, stopping.map(str::to_owned));
    }
    let Some(limit) = &status.pace.limit else { return (Paint::Dim, Default::default()) };
    let paint = match limit {
        Limit::Pace | Limit::Latency => Paint::Dim,
        Limit::Pause { reason: PauseReason::Throttled, .. } => Paint::Warn,
        Limit::Pause { reason: PauseReason::Outage, .. } => Paint::Bad,
    };
    (paint, text::limit(limit))
}

/// The bar itself. It is full only when all records are done.
fn bar(n_done: u64, n_records: u64, width: usize, style: Style) -> String {
    let halves = u64::try_from(width).unwrap_or_default() * 2;
    let filled = (n_done * halves).checked_div(n_records).unwrap_or(halves).min(halves);
    let whole = usize::try_from(filled / 2).unwrap_or(width);
    let half = if filled % 2 == 1 { "╸" } else { "" };
    let rest = width - whole - half.chars().count();
    let done = format!("{}{half}", "━".repeat(whole));
    style.paint(Paint::Good, &done) + &style.paint(Paint::Dim, &"─".repeat(rest))
}

/// A part of a line, in forms from the longest to the shortest. An empty form is left out.
struct Part {
    paint: Paint,
    forms: Vec<String>,
}

impl Part {
    fn new<const N: usize>(paint: Paint, forms: [String; N]) -> Self {
        Self { paint, forms: forms.into() }
    }

    fn text(&self) -> &str {
        self.forms.first().map_or("", String::as_str)
    }
}

/// Shortens parts until the line fits into `width`. `order` lists indexes of parts: each changes its
/// part to the next shorter form.
fn fit(parts: &mut [Part], separator: &str, width: usize, order: &[usize]) {
    for &index in order {
        if line_width(parts, separator) <= width {
            return;
        }
        let forms = &mut parts[index].forms;
        if forms.len() > 1 {
            forms.remove(0);
        }
    }
}

/// The width of the line in columns. All characters are one column wide.
fn line_width(parts: &[Part], separator: &str) -> usize {
    let widths: Vec<_> =
        parts.iter().map(|it| it.text().chars().count()).filter(|n| *n > 0).collect();
    let n_separators = widths.len().saturating_sub(1);
    widths.iter().sum::<usize>() + n_separators * separator.chars().count()
}

/// The line in color. If it does not fit into `width`, it is cut off and has no color.
fn join(parts: &[Part], separator: &str, width: usize, style: Style) -> String {
    let fits = line_width(parts, separator) <= width;
    let style = if fits { style } else { Style { color: false } };
    let texts = parts.iter().filter(|it| !it.text().is_empty());
    let texts: Vec<_> = texts.map(|it| style.paint(it.paint, it.text())).collect();
    let line = texts.join(separator);
    if fits { line } else { line.chars().take(width).collect() }
}

/// A terminal that keeps the cursor right after the text of the last line.
///
/// indicatif pads that line and leaves the cursor at the right edge. There, the `^C` that a terminal
/// echoes would begin a line that indicatif does not count, and the next redraw would leave the top
/// of the bar on the screen.
#[derive(Debug)]
struct Terminal<T> {
    inner: T,
    n_blanks: AtomicUsize,
}

impl<T: TermLike> TermLike for Terminal<T> {
    fn width(&self) -> u16 {
        self.inner.width()
    }

    fn height(&self) -> u16 {
        self.inner.height()
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.inner.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.inner.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        let n_blanks = if text.bytes().all(|byte| byte == b' ') { text.len() } else { 0 };
        self.n_blanks.store(n_blanks, Ordering::Relaxed);
        self.inner.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.inner.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        // At the edge, the cursor is on the last column and not after it: one step less.
        let n_back = self.n_blanks.swap(0, Ordering::Relaxed).saturating_sub(1);
        if n_back > 0 {
            self.inner.move_cursor_left(n_back)?;
        }
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::model::{Outcome, StopReason};
    use crate::stats::summary::CommandKind;
    use crate::stats::testing::Story;
    use crate::stats::{Ceiling, Size};

    const PLAIN: Style = Style { color: false };
    const SHARE: Option<Ceiling> =
        Some(Ceiling { n_requests: 10_000, per: Duration::from_secs(10), is_spaced: true });

    fn drawn(
        story: &Story,
        command: CommandKind,
        ceiling: Option<Ceiling>,
        width: usize,
        style: Style,
    ) -> String {
        let context = ReportContext { command, ceiling, records: &[] };
        lines(&Status::new(&story.stats, context), width, style).join("\n")
    }

    fn bar(story: &Story, width: usize) -> String {
        drawn(story, CommandKind::Run, SHARE, width, PLAIN)
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
    fn before_the_first_reply() {
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
    fn a_plan_and_a_verification() {
        let plan = Story::of(200).lookups(1).unasked_rows(90, Outcome::WouldUnlock).at(100);
        insta::assert_snapshot!(drawn(&plan, CommandKind::Plan, None, 80, PLAIN), @"
            ━━━━━━━━━━━━━━━━━━──────────────────────  45 %  90/200  2/s  1 s left
            90 to unlock · 0 failed · 0 retries · limited by latency
            ");
        let verify = Story::of(200).lookups(1).unasked_rows(9, Outcome::LockedAgain).at(100);
        insta::assert_snapshot!(drawn(&verify, CommandKind::Verify, None, 80, PLAIN), @"
            ━╸──────────────────────────────────────   4 %  9/200  2/s  3 s left
            0 still unlocked · 9 locked or gone · 0 retries · limited by latency
            ");
    }

    #[test]
    fn colors_do_not_change_the_text() {
        let colored = drawn(&running(), CommandKind::Run, SHARE, 80, Style { color: true });
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
            let bar = bar(&story, width);
            prop_assert!(bar.lines().all(|line| line.chars().count() <= width), "{bar}");
        }
    }

    #[derive(Debug, Default)]
    struct Recorder(Mutex<String>);

    impl Recorder {
        fn put(&self, text: &str) {
            self.0.lock().unwrap().push_str(text);
        }
    }

    impl TermLike for Recorder {
        fn width(&self) -> u16 {
            10
        }

        fn move_cursor_up(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<up {n}>"));
            Ok(())
        }

        fn move_cursor_down(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<down {n}>"));
            Ok(())
        }

        fn move_cursor_right(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<right {n}>"));
            Ok(())
        }

        fn move_cursor_left(&self, n: usize) -> io::Result<()> {
            self.put(&format!("<left {n}>"));
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.put(&format!("{text}|"));
            Ok(())
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.put(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.put("<clear>");
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(texts: &[&str]) -> String {
        let terminal = Terminal { inner: Recorder::default(), n_blanks: AtomicUsize::new(0) };
        for text in texts {
            terminal.write_str(text).unwrap();
        }
        terminal.flush().unwrap();
        terminal.inner.0.into_inner().unwrap()
    }

    #[test]
    fn the_cursor_moves_back_over_the_blanks_of_the_last_line() {
        assert_eq!(written(&["one", "       ", "seven", "     "]), "one       seven     <left 4>");
    }

    #[test]
    fn the_cursor_stays_at_the_end_of_a_full_line() {
        assert_eq!(written(&["0123456789", ""]), "0123456789");
    }
}
