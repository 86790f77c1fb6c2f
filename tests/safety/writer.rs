//! One writer: a results file is one run's.

use std::fs;

use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Stage, list, users};

#[test]
fn a_second_run_on_the_same_file_is_refused_and_the_first_is_not_harmed() {
    let stage = Stage::with_sandbox(slow_config("20ms..40ms"));
    let ids = users(300);
    stage.write("ids.txt", list(&ids));
    let mut first = stage.spawn("run ids.txt --yes -c 8 --rate 150/s");
    wait_until("a row is written", || stage.n_rows("ids.results.csv") > 2);
    for flag in ["", "--resume", "--force"] {
        stage
            .run(&format!("run ids.txt --yes {flag}"))
            .exits_with(6)
            .says("ids.results.csv is in use by another run");
    }
    assert!(first.is_alive(), "the first run was to see all three");
    first.wait().exits_with(0);
    stage.has_each_once("ids.results.csv", &ids);
    assert_eq!(stage.adds_up("ids.results", &ids), ids.len());
    assert_eq!(stage.n_posts(), ids.len(), "the second run called nobody");
}

#[test]
fn an_existing_file_is_left_untouched_and_nothing_is_sent() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    stage.write("ids.results.csv", "precious\n");
    stage
        .run("run ids.txt --yes")
        .exits_with(6)
        .says("ids.results.csv exists already: --resume goes on with it, --force overwrites it");
    assert_eq!(stage.read("ids.results.csv"), "precious\n");
    assert_eq!(stage.files(), ["ids.results.csv", "ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn force_overwrites_it() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(3);
    stage.write("ids.txt", list(&ids));
    stage.write("ids.results.csv", "no longer wanted\n".repeat(1_000));
    stage.run(&format!("run ids.txt --yes --force {FAST}")).exits_with(0);
    stage.has_each_once("ids.results.csv", &ids);
}

#[test]
fn a_link_in_the_place_of_the_results_is_not_written_through() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    let victim = stage.write("victim", "untouched");
    std::os::unix::fs::symlink(&victim, stage.path("ids.results.csv")).unwrap();
    stage.run("run ids.txt --yes").exits_with(6);
    fs::remove_file(&victim).unwrap();
    stage.run("run ids.txt --yes").exits_with(6);
    assert_eq!(stage.files(), ["ids.results.csv", "ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn the_input_is_never_written_over() {
    let stage = Stage::with_quick_sandbox();
    let before = list(&users(3));
    stage.write("ids.txt", &before);
    for output in ["ids.txt", "./ids.txt"] {
        stage.run(&format!("run ids.txt --yes --force -o {output}")).exits_with(2);
        assert_eq!(stage.read("ids.txt"), before);
    }
    assert!(stage.sandbox().requests().is_empty());
}
