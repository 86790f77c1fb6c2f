//! What must not be lost by mistake: files that are read, files that are not ours, and the sum.

#![cfg(unix)]

mod common;

use common::{Stage, list, users};

/// Runs without a question, at a pace that keeps nobody waiting.
const RUN: &str = "--yes --quota 1000/1s";

fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&users(3)));
    stage
}

/// The command is refused with that code, no file is made, and nothing is sent.
#[track_caller]
fn refused(stage: &Stage, line: &str, code: i32, text: &str) {
    let before = stage.files();
    stage.run(line).exits_with(code).says(text);
    assert_eq!(stage.files(), before, "{line}");
    assert_eq!(stage.n_requests(), 0, "{line}");
}

#[test]
fn the_excluded_may_come_through_a_pipe() {
    let stage = stage();
    let line = format!("run ids.csv {RUN} --exclude /dev/stdin");
    stage.pipe(format!("{}\n", users(1)[0]), &line).exits_with(0);
    let files = &stage.json("ids.results.manifest.json")["files"];
    let is_excluded = |file: &&serde_json::Value| file["role"] == "exclude";
    let excluded = files.as_array().and_then(|files| files.iter().find(is_excluded));
    let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_ne!(excluded.expect("the exclude file")["sha256"], of_nothing);
}
