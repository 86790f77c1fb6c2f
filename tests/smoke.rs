//! The main job, end to end.

mod common;

use common::{Stage, list, missing_user, users};

#[test]
fn every_user_is_unlocked_and_every_record_has_one_row() {
    let stage = Stage::with_quick_sandbox();
    let mut ids = users(30);
    ids.push(missing_user());
    ids.push(ids[0].clone());
    stage.write("ids.txt", list(&ids));
    stage.run("run ids.txt --yes --quota 1000/1s").exits_with(1).says("30 of 32 users unlocked");
    let outcomes = stage.column("ids.results.csv", "outcome");
    assert_eq!(outcomes.len(), 32);
    assert!(outcomes[..30].iter().all(|outcome| outcome == "unlocked"));
    assert_eq!(outcomes[30..], ["not_found", "duplicate"]);
    assert!(ids[..30].iter().all(|id| !stage.sandbox().is_locked(id)));
}

#[test]
fn the_samples_can_be_run_in_the_sandbox_without_key_or_question() {
    let stage = Stage::new();
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/clerk-export.csv");
    stage.run(&format!("run {sample} --sandbox --sandbox-latency 0ms")).exits_with(0);
    assert_eq!(stage.rows("clerk-export.results.csv").len(), 200);
}
