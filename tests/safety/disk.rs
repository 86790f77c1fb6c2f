//! A disk that fails: full, limited, read-only, taken away; and a reader who goes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use crate::common::tools::own_mounts;
use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Running, Stage, list, users};

const N_USERS: usize = 250;
const N_WORKERS: usize = 4;

/// A stage with a list of users, and answers that take a moment.
fn stage() -> Stage {
    let stage = Stage::with_sandbox(slow_config("5ms..15ms"));
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

fn line(flags: &str) -> String {
    format!("run ids.txt --yes -c {N_WORKERS} --rate 300/s {flags}")
}

/// Requests are counted where they are sent, rows where they are written; and no request was cut
/// off.
#[track_caller]
fn manifest_tells_of_the_failure(stage: &Stage) {
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["ending"], &manifest["exit_code"]), (&"output_failed".into(), &6.into()));
    let pass = &manifest["passes"][0];
    assert_eq!((&pass["requests"], &pass["given_up"]), (&stage.n_posts().into(), &0.into()));
    assert_eq!(pass["ending"], "output_failed");
    assert_eq!(manifest["files"][1]["sha256"], stage.sha256("ids.results.csv"));
}

/// Whose row is not in the file takes no other user: the requests in flight are unrecorded, and no
/// more.
#[track_caller]
fn few_are_unrecorded(n_posts: usize, n_rows: usize) {
    assert!(n_posts - n_rows <= N_WORKERS, "{n_posts} calls, {n_rows} rows");
    assert!(n_posts < N_USERS, "it stopped before the end");
}

#[test]
fn a_file_that_reaches_its_largest_size_stops_the_run_and_resume_finishes_it() {
    let stage = stage();
    let limited = Running::start(stage.command_after("ulimit -f 64", &line(""))).wait();
    limited
        .exits_with(6)
        .says("cannot write ids.results.csv: the disk quota or the maximum file size")
        .says("Free some space, then run the same command with --resume")
        .says("To resume when there is room to write:");
    let n_rows = stage.adds_up("ids.results", &users(N_USERS));
    assert!(n_rows > 0, "some rows were whole");
    assert!(stage.read("ids.results.csv").ends_with('\n'));
    few_are_unrecorded(stage.n_posts(), n_rows);
    manifest_tells_of_the_failure(&stage);

    stage.run(&line("--resume")).exits_with(0);
    stage.has_each_once("ids.results.csv", &users(N_USERS));
    assert_eq!(stage.adds_up("ids.results", &users(N_USERS)), N_USERS);
}

/// Plays a shell script that may mount disks, on a stage of its own; `$0` is the program. Gives
/// what was said. `None` where nobody may mount; `ulimit` tells much the same.
#[track_caller]
fn play(script: &str) -> Option<(Stage, String)> {
    let [unshare, flags] = own_mounts()?;
    let stage = stage();
    fs::create_dir(stage.path("disk")).expect("an empty stage");
    let plain = stage.command("");
    let mut shell = Command::new(unshare);
    shell.args([flags, "sh", "-ec", script]).arg(plain.get_program());
    shell.current_dir(stage.path("")).stdin(Stdio::null());
    for (name, value) in plain.get_envs() {
        value.map(|value| shell.env(name, value));
    }
    let output = shell.output().expect("unshare");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    Some((stage, said))
}

#[test]
fn a_full_disk_stops_the_run_and_resume_finishes_it_once_there_is_room() {
    let (first, again) = (line(""), line("--resume"));
    let Some((stage, said)) = play(&format!(
        "mount -t tmpfs -o size=96k tmpfs disk; cp ids.txt disk; cd disk
         code=0; \"$0\" {first} || code=$?
         cp -r . ../full; test $code = 6
         mount -o remount,size=16m .
         \"$0\" {again}
         cp -r . ../roomy"
    )) else {
        return;
    };
    assert!(said.contains("cannot write ids.results.csv: the disk is full"), "{said}");
    assert!(said.contains("Free some space, then run the same command with --resume"), "{said}");
    let n_rows = stage.rows("full/ids.results.csv").len();
    assert!(0 < n_rows && n_rows < N_USERS, "{n_rows}");
    assert!(stage.read("full/ids.results.csv").ends_with('\n'));
    assert!(stage.read("roomy/ids.results.csv").starts_with(&stage.read("full/ids.results.csv")));
    stage.has_each_once("roomy/ids.results.csv", &users(N_USERS));
    let n_again: usize = stage.posts().into_values().map(|n_calls| n_calls - 1).sum();
    assert!(n_again <= N_WORKERS, "{n_again} calls were made again");
}

/// The results file begins with little more than its header, and the list of unprocessed records is
/// larger than any file may be.
#[test]
fn closing_lines_name_only_files_that_were_written() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(2_000)));
    let line = format!("run ids.txt --yes --json {FAST}");
    let limited = Running::start(stage.command_after("ulimit -f 64", &line)).wait().exits_with(6);
    let limited = limited.says("cannot write ids.results.unprocessed.csv");
    let summary: serde_json::Value = serde_json::from_str(&limited.stdout).expect("JSON");
    let files = summary["files"].as_object().expect("files");
    for path in files.values().filter_map(|path| path.as_str()) {
        assert!(stage.path(path).exists(), "{path}");
    }
    assert!(files["unprocessed"].is_null(), "{files:?}");
    limited.never_says("  ids.results.unprocessed.csv");
}

/// Rows of records that nobody is asked about are not requests that were cut off.
#[test]
fn rows_that_do_not_fit_are_not_requests() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", "not a user\n".repeat(3_000));
    let line = format!("run ids.txt --yes --lenient {FAST}");
    let limited = Running::start(stage.command_after("ulimit -f 64", &line)).wait();
    limited.exits_with(6).never_says("given up");
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["ending"], &manifest["exit_code"]), (&"output_failed".into(), &6.into()));
    let pass = &manifest["passes"][0];
    assert_eq!((&pass["requests"], &pass["given_up"]), (&0.into(), &0.into()));
    let sums = ["records", "rows", "unprocessed"].map(|name| manifest[name].as_u64().unwrap_or(0));
    assert_eq!(sums[0], sums[1] + sums[2]);
    assert_eq!(stage.n_rows("ids.results.csv") as u64, sums[1]);
    stage.run(&format!("{line} --resume")).exits_with(1);
    assert_eq!(stage.rows("ids.results.csv").len(), 3_000);
}

#[test]
fn a_disk_too_small_for_the_files_beside_it_is_told_before_anything_is_sent() {
    let first = line("-o disk/out.csv");
    let Some((stage, said)) = play(&format!(
        "mount -t tmpfs -o size=4k tmpfs disk
         code=0; \"$0\" {first} || code=$?
         test $code = 6"
    )) else {
        return;
    };
    assert!(said.contains("the disk is full"), "{said}");
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_read_only_disk_is_told_before_anything_is_sent() {
    let first = line("-o disk/out.csv");
    let Some((stage, said)) = play(&format!(
        "mount -t tmpfs -o ro tmpfs disk
         code=0; \"$0\" {first} || code=$?
         test $code = 6"
    )) else {
        return;
    };
    assert!(said.contains("cannot open disk/out.csv for writing"), "{said}");
    assert!(said.contains("Read-only"), "{said}");
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_path_that_can_not_be_written_fails_at_once_and_nothing_is_sent() {
    let stage = stage();
    let refused = |output: &str, text: &str| {
        stage.run(&line(&format!("-o {output}"))).exits_with(6).says(text);
        assert_eq!(stage.n_posts(), 0, "{output}");
    };
    fs::create_dir(stage.path("folder")).unwrap();
    refused("no/such/out.csv", "its directory does not exist");
    refused("folder", "folder is a directory");
    refused("/dev/full", "is not a regular file");
    refused("ids.txt/out.csv", "ids.txt/out.csv");
}

#[test]
fn results_that_are_taken_away_stop_the_run_within_moments() {
    let stage = stage();
    let ids = users(1_000);
    stage.write("ids.txt", list(&ids));
    fs::create_dir(stage.path("out")).unwrap();
    let running = stage.spawn(&line("-o out/done.csv"));
    wait_until("a row is written", || stage.n_rows("out/done.csv") > 2);
    fs::remove_dir_all(stage.path("out")).unwrap();
    let n_before = stage.n_posts();
    running
        .wait()
        .exits_with(6)
        .says("cannot write out/done.csv: it was removed or replaced")
        .says("Put it back, then run the same command with --resume");
    // It looks every second; at three hundred a second that is half of this.
    let n_after = stage.n_posts() - n_before;
    assert!(n_after < 600, "{n_after} users were asked and have no row");
}

/// Within the first second, so that nothing but the last look can notice it.
#[test]
fn results_that_are_replaced_just_before_the_end_are_missed_at_the_end() {
    let stage = Stage::with_sandbox(slow_config("200ms"));
    stage.write("ids.txt", list(&users(3)));
    stage.run(&format!("run ids.txt --yes -o others.csv {FAST}")).exits_with(0);
    let running = stage.spawn(&format!("run ids.txt --yes {FAST}"));
    wait_until("a call arrives", || stage.n_posts() > 3);
    fs::rename(stage.path("others.csv"), stage.path("ids.results.csv")).unwrap();
    running.wait().exits_with(6).says("cannot write ids.results.csv: it was removed or replaced");
}

#[test]
fn a_closed_pipe_under_stdout_stops_the_run() {
    let stage = stage();
    let mut command = stage.command(&line("-o -"));
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        assert!(lines.next().is_some());
    }
    drop(lines);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("cannot write standard output: the reader closed the pipe"), "{said}");
    assert!(stage.n_posts() < N_USERS, "it stopped before the end");
    assert_eq!(stage.files(), ["ids.txt"], "with -o - there are no files beside");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_under_stdout_is_no_reason_to_speak_of_resume() {
    let stage = stage();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = stage.command(&line("-o -"));
    command.stdout(full);
    let ended = Running::start(command).wait().exits_with(6);
    let ended = ended.says("cannot write standard output: the disk is full");
    ended.says("use --output to write to a file").never_says("--resume");
}

#[test]
fn nobody_reading_stderr_is_no_fault() {
    let stage = stage();
    let mut child = stage.command(&line("-vv")).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    stage.has_each_once("ids.results.csv", &users(N_USERS));
}

#[test]
fn all_files_are_there_before_the_first_call_and_for_their_owner_alone() {
    let stage = Stage::with_sandbox(slow_config("2s"));
    stage.write("ids.txt", list(&users(3)));
    let running = stage.spawn(&format!("run ids.txt --yes {FAST}"));
    wait_until("a call arrives", || stage.n_posts() > 0);
    let files = [
        "ids.results.csv",
        "ids.results.failed.csv",
        "ids.results.manifest.json",
        "ids.results.unprocessed.csv",
        "ids.txt",
    ];
    let named: Vec<String> = stage.files().into_iter().filter(|it| !it.starts_with('.')).collect();
    assert_eq!(named, files);
    assert_eq!(stage.json("ids.results.manifest.json")["ending"], "running");
    assert_eq!(stage.rows("ids.results.unprocessed.csv").len(), 3);
    running.wait().exits_with(0);
    assert_eq!(stage.files(), files);
    for name in &files[..4] {
        let mode = stage.path(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}
