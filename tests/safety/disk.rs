//! Output failures: full, limited, and read-only disks, removed files, and closed pipes.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;

use crate::common::tools::own_mounts;
use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{PROGRAM, Running, Stage, list, users};

const N_USERS: usize = 250;
const N_WORKERS: usize = 4;

/// A stage with a list of users and a slow server.
fn stage() -> Stage {
    let stage = Stage::with_sandbox(slow_config("5ms..15ms"));
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

fn line(flags: &str) -> String {
    format!("run ids.txt --yes -c {N_WORKERS} --rate 300/s {flags}")
}

/// The manifest counts all sent requests, none of which was abandoned.
#[track_caller]
fn check_manifest_of_failed_output(stage: &Stage) {
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!((&manifest["ending"], &manifest["exit_code"]), (&"output_failed".into(), &6.into()));
    let pass = &manifest["passes"][0];
    assert_eq!((&pass["requests"], &pass["given_up"]), (&stage.n_posts().into(), &0.into()));
    assert_eq!(pass["ending"], "output_failed");
    assert_eq!(manifest["files"][1]["sha256"], stage.sha256("ids.results.csv"));
}

/// A worker takes no next user before its row is written, so at most the requests in flight are
/// unrecorded.
#[track_caller]
fn check_few_unrecorded(n_posts: usize, n_rows: usize) {
    assert!(n_posts - n_rows <= N_WORKERS, "{n_posts} calls, {n_rows} rows");
    assert!(n_posts < N_USERS, "the run stopped before its end");
}

#[test]
fn file_size_limit_stops_the_run_and_resume_finishes_it() {
    let stage = stage();
    let limited = Running::start(stage.command_after("ulimit -f 64", &line(""))).wait();
    limited
        .exits_with(6)
        .prints("cannot write ids.results.csv: the disk quota or the maximum file size")
        .prints("Free some space, then run the same command with --resume")
        .prints("To resume when there is room to write:");
    let n_rows = stage.check_accounting("ids.results", &users(N_USERS));
    assert!(n_rows > 0, "some rows were written");
    assert!(stage.read("ids.results.csv").ends_with('\n'));
    check_few_unrecorded(stage.n_posts(), n_rows);
    check_manifest_of_failed_output(&stage);

    stage.run(&line("--resume")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
    assert_eq!(stage.check_accounting("ids.results", &users(N_USERS)), N_USERS);
}

/// Runs a shell script that mounts disks, with `$0` as the program, and returns its stderr. `None`
/// where mounts are not permitted; the tests with `ulimit` cover much of the same.
#[track_caller]
fn run_script_with_mounts(script: &str) -> Option<(Stage, String)> {
    let [unshare, flags] = own_mounts()?;
    let stage = stage();
    fs::create_dir(stage.path("disk")).expect("an empty stage");
    let mut shell = stage.program(unshare);
    let output = shell.args([flags, "sh", "-ec", script, PROGRAM]).output().expect("unshare");
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    Some((stage, stderr))
}

#[test]
fn full_disk_stops_the_run_and_resume_finishes_it() {
    let (first, again) = (line(""), line("--resume"));
    let Some((stage, stderr)) = run_script_with_mounts(&format!(
        "mount -t tmpfs -o size=96k tmpfs disk; cp ids.txt disk; cd disk
         code=0; \"$0\" {first} || code=$?
         cp -r . ../full; test $code = 6
         mount -o remount,size=16m .
         \"$0\" {again}
         cp -r . ../roomy"
    )) else {
        return;
    };
    assert!(stderr.contains("cannot write ids.results.csv: the disk is full"), "{stderr}");
    assert!(
        stderr.contains("Free some space, then run the same command with --resume"),
        "{stderr}"
    );
    let n_rows = stage.rows("full/ids.results.csv").len();
    assert!(0 < n_rows && n_rows < N_USERS, "{n_rows}");
    assert!(stage.read("full/ids.results.csv").ends_with('\n'));
    assert!(stage.read("roomy/ids.results.csv").starts_with(&stage.read("full/ids.results.csv")));
    stage.check_one_row_each("roomy/ids.results.csv", &users(N_USERS));
    let n_again: usize = stage.posts().into_values().map(|n_calls| n_calls - 1).sum();
    assert!(n_again <= N_WORKERS, "{n_again} users were called again");
}

/// The size limit allows the results file, but not the list of unprocessed records.
#[test]
fn closing_lines_list_only_written_files() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(2_000)));
    let line = format!("run ids.txt --yes --json {FAST}");
    let limited = Running::start(stage.command_after("ulimit -f 64", &line)).wait().exits_with(6);
    let limited = limited.prints("cannot write ids.results.unprocessed.csv");
    let summary: serde_json::Value = serde_json::from_str(&limited.stdout).expect("JSON");
    let files = summary["files"].as_object().expect("files");
    for path in files.values().filter_map(|path| path.as_str()) {
        assert!(stage.path(path).exists(), "{path}");
    }
    assert!(files["unprocessed"].is_null(), "{files:?}");
    limited.does_not_print("  ids.results.unprocessed.csv");
}

/// The size limit allows the first row, but not the list of unprocessed records.
#[test]
fn a_forced_run_that_cannot_write_its_lists_unlocks_no_user() {
    let stage = Stage::with_quick_sandbox();
    stage.write("monday.txt", list(&users(2)));
    stage.run(&format!("run monday.txt --yes -o out.csv {FAST}")).exits_with(0);
    stage.write("ids.txt", list(&users(2_000)));
    let (before, n_posts) = (stage.contents(), stage.n_posts());
    let line = format!("run ids.txt --yes -o out.csv --force {FAST}");
    let limited = Running::start(stage.command_after("ulimit -f 64", &line)).wait().exits_with(6);
    limited
        .prints("cannot write out.unprocessed.csv")
        .prints("The earlier run in out.csv is unchanged");
    assert!(stage.contents() == before, "nothing was changed");
    assert_eq!(stage.n_posts(), n_posts);
}

/// Invalid records have rows but no requests.
#[test]
fn unwritten_rows_of_invalid_records_are_not_counted_as_requests() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", "not a user\n".repeat(3_000));
    let line = format!("run ids.txt --yes --lenient {FAST}");
    let limited = Running::start(stage.command_after("ulimit -f 64", &line)).wait();
    limited.exits_with(6).does_not_print("given up");
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
fn disk_too_small_for_the_sidecar_files_is_reported_before_any_request() {
    let first = line("-o disk/out.csv");
    let Some((stage, stderr)) = run_script_with_mounts(&format!(
        "mount -t tmpfs -o size=4k tmpfs disk
         code=0; \"$0\" {first} || code=$?
         test $code = 6"
    )) else {
        return;
    };
    assert!(stderr.contains("the disk is full"), "{stderr}");
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn read_only_disk_is_reported_before_any_request() {
    let first = line("-o disk/out.csv");
    let Some((stage, stderr)) = run_script_with_mounts(&format!(
        "mount -t tmpfs -o ro tmpfs disk
         code=0; \"$0\" {first} || code=$?
         test $code = 6"
    )) else {
        return;
    };
    assert!(stderr.contains("cannot open disk/out.csv for writing"), "{stderr}");
    assert!(stderr.contains("Read-only"), "{stderr}");
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn unwritable_path_is_refused_before_any_request() {
    let stage = stage();
    let refused = |output: &str, text: &str| {
        stage.run(&line(&format!("-o {output}"))).exits_with(6).prints(text);
        assert_eq!(stage.n_posts(), 0, "{output}");
    };
    fs::create_dir(stage.path("folder")).unwrap();
    refused("no/such/out.csv", "its directory does not exist");
    refused("folder", "folder is a directory");
    refused("/dev/full", "is not a regular file");
    refused("ids.txt/out.csv", "ids.txt/out.csv");
}

#[test]
fn removed_results_stop_the_run() {
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
        .prints("cannot write out/done.csv: it was removed or replaced")
        .prints("Put it back, then run the same command with --resume");
    // The file is checked every second, in which 300 requests are sent.
    let n_after = stage.n_posts() - n_before;
    assert!(n_after < 600, "{n_after} users were called and have no row");
}

/// The run takes less than a second, so only the final check can detect it.
#[test]
fn results_replaced_just_before_the_end_are_detected() {
    let stage = Stage::with_sandbox(slow_config("200ms"));
    stage.write("ids.txt", list(&users(3)));
    stage.run(&format!("run ids.txt --yes -o others.csv {FAST}")).exits_with(0);
    let running = stage.spawn(&format!("run ids.txt --yes {FAST}"));
    wait_until("a call arrives", || stage.n_posts() > 3);
    fs::rename(stage.path("others.csv"), stage.path("ids.results.csv")).unwrap();
    running.wait().exits_with(6).prints("cannot write ids.results.csv: it was removed or replaced");
}

#[test]
fn closed_stdout_pipe_stops_the_run() {
    let stage = stage();
    let mut command = stage.command(&line("-o -"));
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for _ in 0..3 {
        assert!(lines.next().is_some());
    }
    drop(lines);
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{stderr}");
    assert!(
        stderr.contains("cannot write standard output: the reader closed the pipe"),
        "{stderr}"
    );
    assert!(stage.n_posts() < N_USERS, "the run stopped before its end");
    assert_eq!(stage.files(), ["ids.txt"], "`-o -` writes no sidecar files");
}

#[cfg(target_os = "linux")]
#[test]
fn full_disk_under_stdout_does_not_suggest_resume() {
    let stage = stage();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = stage.command(&line("-o -"));
    command.stdout(full);
    let ended = Running::start(command).wait().exits_with(6);
    let ended = ended.prints("cannot write standard output: the disk is full");
    ended.prints("use --output to write to a file").does_not_print("--resume");
}

#[test]
fn closed_stderr_does_not_stop_the_run() {
    let stage = stage();
    let mut child = stage.command(&line("-vv")).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
}

#[test]
fn output_files_exist_before_the_first_request_with_mode_600() {
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
