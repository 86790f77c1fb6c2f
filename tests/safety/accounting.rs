//! The sum at the end, records = rows + unprocessed: the rows are counted in the file itself.

use std::fs::OpenOptions;
use std::io::Write as _;

use crate::common::watch::{slow_config, wait_until};
use crate::common::{Stage, list, users};

const N_USERS: usize = 100;

/// While a run is under way another hand does this to its results.
#[track_caller]
fn is_noticed(n_more: i64, meddle: impl Fn(&Stage)) {
    let stage = Stage::with_sandbox(slow_config("5ms..15ms"));
    stage.write("ids.txt", list(&users(N_USERS)));
    let running = stage.spawn("run ids.txt --yes -c 4 --rate 100/s");
    wait_until("some are done", || stage.n_rows("ids.results.csv") > 5);
    meddle(&stage);
    let ended = running.wait().exits_with(7).says("the accounting does not add up");
    let n_rows = i64::try_from(stage.n_rows("ids.results.csv")).expect("a number of rows");
    assert!(n_more == 0 || n_rows == 100 + n_more, "{n_rows} rows");
    ended.says(&format!("100 rows were recorded, and the results hold {n_rows}."));
    assert_eq!(stage.n_posts(), N_USERS, "everybody was called");
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["exit_code"], 7);
    assert_eq!(manifest["ending"], "unaccounted");
}

#[test]
fn a_row_that_another_hand_adds_is_noticed_at_the_end_and_exits_with_7() {
    is_noticed(1, |stage| {
        let rows = stage.read("ids.results.csv");
        let again = rows.lines().nth(1).expect("a row");
        let mut file = OpenOptions::new().append(true).open(stage.path("ids.results.csv")).unwrap();
        file.write_all(format!("{again}\n").as_bytes()).unwrap();
    });
}

#[test]
fn rows_that_another_hand_takes_away_are_noticed_at_the_end_and_exit_with_7() {
    is_noticed(0, |stage| {
        let rows = stage.read("ids.results.csv");
        let header = rows.lines().next().expect("a header");
        let file = OpenOptions::new().write(true).open(stage.path("ids.results.csv")).unwrap();
        file.set_len(header.len() as u64 + 1).unwrap();
    });
}
