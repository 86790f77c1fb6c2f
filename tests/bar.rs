//! The progress bar, which is drawn only on a terminal.

mod common;

use std::collections::BTreeSet;

use common::terminal::run_on_terminal;
use common::tools::is_installed;
use common::watch::{FAST, for_each_in_parallel, slow_config};
use common::{Stage, list, users};

const N_USERS: usize = 60;

fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

/// The output of this command on a terminal of 100 columns.
#[track_caller]
fn shown(stage: &Stage, line: &str) -> String {
    let line = format!("stty cols 100 rows 30; exec \"$BU\" {line}");
    let shown = run_on_terminal(stage, &line, "");
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    shown.text
}

/// The number of processed records each time the bar was drawn: `12` of `12/60`.
fn drawn(text: &str, n_all: &str) -> Vec<String> {
    let total = format!("/{n_all}  ");
    let ends = text.match_indices(&total).map(|(at, _)| &text[..at]);
    let numbers = ends.map(|before| before.rsplit([' ', 'm']).next().unwrap_or_default());
    numbers.map(str::to_owned).collect()
}

#[test]
fn the_bar_is_redrawn_and_is_removed_before_the_closing_lines() {
    if !is_installed("script") {
        return;
    }
    for_each_in_parallel(["--progress bar", ""], |progress| {
        let text = shown(&stage(), &format!("run ids.txt --yes --rate 60/s {progress}"));
        let drawn: BTreeSet<String> = drawn(&text, "60").into_iter().collect();
        assert!(drawn.len() > 1, "{drawn:?}");
        for part in ["━", "/s of 60/s  ", " left", " unlocked", " · 0 failed · 0 retries"] {
            assert!(text.contains(part), "{part:?} is not in\n{text:?}");
        }
        assert_gone(&text, "Done: unlocked 60 of 60 users");
    });
}

/// Asserts that both lines of the bar were cleared after they were drawn for the last time, and that only the
/// closing lines follow.
#[track_caller]
fn assert_gone(text: &str, closing: &str) {
    let (before, _) = text.split_once(closing).expect("the closing lines");
    let last = before.rsplit(" retries").next().expect("the bar");
    assert_eq!(last.matches("\u{1b}[2K").count(), 2, "{last:?}");
    assert!(!text[before.len()..].contains('━'), "{text:?}");
}

#[test]
fn a_pipe_gets_no_bar_even_with_progress_bar() {
    for_each_in_parallel(["bar", "auto"], |progress| {
        let line = format!("run ids.txt --yes --rate 200/s --progress {progress}");
        let ended = stage().run(&line).exits_with(0).prints("Done: unlocked 60 of 60 users");
        let is_drawn = ended.stderr.contains(['\u{1b}', '\r', '━', '─']);
        assert!(!is_drawn, "{:?}", ended.stderr);
    });
}

#[test]
fn progress_lines_none_and_quiet_draw_no_bar_on_a_terminal() {
    if !is_installed("script") {
        return;
    }
    for_each_in_parallel(["--progress lines", "--progress none", "-q"], |flags| {
        let text = shown(&stage(), &format!("run ids.txt --yes --rate 200/s {flags}"));
        assert_eq!(drawn(&text, "60"), [""; 0], "{flags}");
        assert!(!text.contains('━'), "{text:?}");
    });
}

#[test]
fn the_bar_of_a_walk_counts_to_the_total_that_the_api_returns() {
    if !is_installed("script") {
        return;
    }
    let stage = Stage::with_sandbox(slow_config("200ms").n_users(1_721));
    let text = shown(&stage, &format!("locked -o locked.csv --progress bar {FAST}"));
    let drawn: BTreeSet<String> = drawn(&text, "1,721").into_iter().collect();
    assert!(drawn.len() > 1, "{drawn:?}");
    let requests = stage.sandbox().requests();
    assert_eq!(requests[0].path_and_query, "/v1/users/count");
}
