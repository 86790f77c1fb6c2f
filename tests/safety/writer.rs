//! Existing files: a results file has one writer, and files of earlier runs are not lost.

use std::fs;
use std::time::Duration;

use crate::common::server::serve;
use crate::common::watch::{FAST, slow_config, wait_until};
use crate::common::{Running, Stage, list, locked_users, users};

#[test]
fn second_run_on_the_same_file_is_refused() {
    let stage = Stage::with_sandbox(slow_config("20ms..40ms"));
    let ids = users(300);
    stage.write("ids.txt", list(&ids));
    let mut first = stage.spawn("run ids.txt --yes -c 8 --rate 150/s");
    wait_until("a row is written", || stage.n_rows("ids.results.csv") > 2);
    for flag in ["", "--resume", "--force"] {
        stage
            .run(&format!("run ids.txt --yes {flag}"))
            .exits_with(6)
            .prints("ids.results.csv is in use by another run");
    }
    assert!(first.is_alive(), "the first run outlasts the other three");
    first.wait().exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    assert_eq!(stage.n_posts(), ids.len(), "the refused runs called no user");
}

#[test]
fn existing_results_are_not_overwritten() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    stage.write("ids.results.csv", "precious\n");
    stage.run("run ids.txt --yes").exits_with(6).prints(
        "ids.results.csv already exists; use --resume to continue it, --force to overwrite it",
    );
    assert_eq!(stage.read("ids.results.csv"), "precious\n");
    assert_eq!(stage.files(), ["ids.results.csv", "ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn force_overwrites_existing_results() {
    let stage = Stage::with_quick_sandbox();
    let ids = users(3);
    stage.write("ids.txt", list(&ids));
    stage.write("ids.results.csv", "no longer wanted\n".repeat(1_000));
    stage.run(&format!("run ids.txt --yes --force {FAST}")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn results_are_not_written_through_a_symlink() {
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
fn output_never_overwrites_the_input() {
    let stage = Stage::with_quick_sandbox();
    let before = list(&users(3));
    stage.write("ids.txt", &before);
    for output in ["ids.txt", "./ids.txt"] {
        stage.run(&format!("run ids.txt --yes --force -o {output}")).exits_with(2);
        assert_eq!(stage.read("ids.txt"), before);
    }
    assert!(stage.sandbox().requests().is_empty());
}

/// Guards are checked after the look-up, and earlier files are replaced only after the confirmation.
#[test]
fn run_refused_after_its_look_up_leaves_earlier_files_unchanged() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(3)));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    stage.write("again.txt", list(&locked_users(6)[3..]));
    let before = stage.contents();
    let refused = format!("run again.txt -o ids.results.csv --only-locked --max-users 1 {FAST}");
    stage.run(&format!("{refused} --yes --force")).exits_with(2).prints("--max-users is 1");
    assert_eq!(stage.contents(), before);

    // Sidecar files without their results belong to an earlier run, too.
    fs::remove_file(stage.path("ids.results.csv")).expect("a file");
    let before = stage.contents();
    stage.run(&format!("{refused} --yes")).exits_with(2);
    assert_eq!(stage.contents(), before);
    let allowed = refused.replace("--max-users 1", "--max-users 3");
    stage.run(&format!("{allowed} --yes")).exits_with(0);
    assert!(!stage.files().iter().any(|name| name.starts_with('.')), "{:?}", stage.files());
}

/// After a finished run, forced runs are killed in their look-up, interrupted, and refused.
#[cfg(unix)]
#[test]
fn forced_run_that_unlocks_no_user_keeps_the_earlier_run() {
    let stage = Stage::with_sandbox(slow_config("300ms"));
    stage.write("monday.txt", list(&locked_users(3)));
    stage.run(&format!("run monday.txt --yes -o out.csv {FAST}")).exits_with(0);
    stage.write("other.txt", list(&locked_users(250)[3..]));
    let (monday, rows) = (stage.contents(), stage.read("out.csv"));
    let n_posts = stage.n_posts();
    let n_gets = || stage.sandbox().stats().n_gets;
    let force = format!("run other.txt --yes -o out.csv --force --only-locked {FAST}");
    let stop_in_look_up = |signal| {
        let n_before = n_gets();
        let running = stage.spawn(&force);
        wait_until("a look-up arrives", || n_gets() > n_before);
        running.signal(signal);
        running.wait()
    };

    assert_eq!(stop_in_look_up("KILL").code, None);
    let is_temporary = |name: &String| name.starts_with(".out.");
    assert!(stage.files().iter().any(is_temporary), "{:?}", stage.files());
    let mut visible = stage.contents();
    visible.retain(|name, _| !is_temporary(name));
    assert!(visible == monday, "nothing was changed");

    let resumed = stage.run(&format!("run monday.txt --yes -o out.csv --resume {FAST}"));
    resumed.exits_with(0).prints("3 rows recorded");
    assert!(stage.files().iter().eq(monday.keys()), "the next run removes temporary files");
    assert!(stage.read("out.csv") == rows, "no row was added");
    let monday = stage.contents();

    stop_in_look_up("INT").exits_with(130).prints("the earlier run in out.csv is unchanged");
    assert!(stage.contents() == monday, "nothing was changed");
    stage.run(&format!("{force} --max-users 1")).exits_with(2);
    assert!(stage.contents() == monday && stage.n_posts() == n_posts, "nothing was changed");

    stage.run(&force).exits_with(0);
    stage.check_one_row_each("out.csv", &locked_users(250)[3..]);
    assert!(!stage.files().iter().any(is_temporary), "{:?}", stage.files());
}

#[test]
fn dry_run_applies_the_guards() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(3)));
    for guard in ["--max-users 2", "--expect-count 2", "--expect-count 4"] {
        stage
            .run(&format!("run ids.txt --dry-run {guard} {FAST}"))
            .exits_with(2)
            .prints("found 3 users");
        assert_eq!(stage.files(), ["ids.txt"]);
    }
    stage.run(&format!("run ids.txt --dry-run --expect-count 3 {FAST}")).exits_with(0);
}

/// `NAME.failed.csv` may be the results file of another run or a file of the user.
#[test]
fn foreign_sidecar_files_are_not_replaced() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(3)));
    stage.run(&format!("run ids.txt --yes -o other.failed.csv {FAST}")).exits_with(0);
    stage.write("mine.unprocessed.csv", "precious\n");
    stage.write("notes.manifest.json", "precious");
    let n_posts = stage.n_posts();
    let before = stage.contents();
    for (output, flag, name) in [
        ("other.csv", "", "other.failed.csv"),
        ("other.csv", "--force", "other.failed.csv"),
        ("other.csv", "--resume", "other.failed.csv"),
        ("mine.csv", "", "mine.unprocessed.csv"),
        ("notes.csv", "", "notes.manifest.json"),
    ] {
        let ended = stage.run(&format!("run ids.txt --yes -o {output} {flag} {FAST}"));
        ended.exits_with(6).prints(name).prints("was not written by an earlier run");
    }
    assert_eq!((stage.contents(), stage.n_posts()), (before, n_posts));
}

#[cfg(unix)]
#[test]
fn stdout_redirected_to_the_input_is_refused() {
    let stage = Stage::with_quick_sandbox();
    let path = stage.write("ids.txt", list(&users(3)));
    let mut command = stage.command(&format!("run ids.txt --yes -o - {FAST}"));
    command.stdout(fs::File::options().append(true).open(path).expect("a file"));
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert_eq!((stage.read("ids.txt"), stage.n_posts()), (list(&users(3)), 0));
}

#[cfg(unix)]
#[test]
fn output_to_the_file_on_stdin_is_refused() {
    let stage = Stage::with_quick_sandbox();
    let path = stage.write("ids.txt", list(&users(3)));
    let mut command = stage.command(&format!("run - --yes --force -o ids.txt {FAST}"));
    command.stdin(fs::File::open(&path).expect("a file"));
    assert_eq!(command.output().expect("the program starts").status.code(), Some(2));
    assert_eq!((stage.read("ids.txt"), stage.n_posts()), (list(&users(3)), 0));
}

#[cfg(unix)]
#[test]
fn refused_run_keeps_a_symlink_at_the_results_path() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&locked_users(3)));
    stage.write("real.csv", "old\n");
    std::os::unix::fs::symlink("real.csv", stage.path("ids.results.csv")).expect("a link");
    let line = format!("run ids.txt --yes --force --only-locked --expect-count 2 {FAST}");
    stage.run(&line).exits_with(2);
    assert_eq!(
        (stage.read("real.csv"), stage.read("ids.results.csv")),
        ("old\n".into(), "old\n".into())
    );
}

/// Connections may use all descriptors but those reserved for the end of the run.
#[cfg(unix)]
#[test]
fn output_files_are_written_when_descriptors_run_out() {
    let stage = Stage::with_sandbox(slow_config("20ms..40ms"));
    let ids = users(300);
    stage.write("ids.txt", list(&ids));
    let line = format!("run ids.txt --yes -c 64 {FAST} --report page.html");
    let ended = Running::start(stage.command_after("ulimit -n 40", &line)).wait();
    ended.exits_with(0);
    assert_eq!(stage.check_accounting("ids.results", &ids), ids.len());
    let manifest = stage.json("ids.results.manifest.json");
    assert_eq!(manifest["ending"], "completed");
    assert_eq!(manifest["files"][4]["role"], "report");
}

/// The server unlocks the user, but its response comes too late.
#[test]
fn forced_run_whose_first_response_is_late_keeps_its_own_files() {
    let url = serve(|target| {
        if target.contains("late") {
            std::thread::sleep(Duration::from_millis(600));
        }
        let id = target.split('/').rev().nth(1).unwrap_or_default();
        (200, format!(r#"{{"id":"{id}","locked":false}}"#))
    });
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.set("CLERK_API_URL", &url);
    stage.write("monday.txt", "user_early\n");
    stage.run(&format!("run monday.txt --yes -o out.csv {FAST}")).exits_with(0);
    stage.write("ids.txt", "user_late\nuser_b\n");
    let late = format!("run ids.txt --yes -o out.csv --force {FAST}");
    let ended = stage.run(&format!("{late} --timeout 100ms --max-duration 1s")).exits_with(3);
    ended.does_not_print("before any user was unlocked").does_not_print("unchanged");
    let manifest = stage.json("out.manifest.json");
    let counts = ["records", "rows", "unprocessed"].map(|name| manifest[name].as_u64());
    assert_eq!((&manifest["exit_code"], counts), (&3.into(), [Some(2), Some(0), Some(2)]));
    assert!(stage.read("out.unprocessed.csv").contains("user_late"));
}

#[test]
fn forced_run_with_a_wrong_key_keeps_the_earlier_results() {
    for (command, flags) in [("run", "--yes"), ("run", "--yes --canary 2"), ("plan", "")] {
        let mut stage = Stage::with_quick_sandbox();
        stage.write("ids.txt", list(&locked_users(5)));
        let line = format!("{command} ids.txt {flags} -o out.csv {FAST}");
        stage.run(&line).exits_with(0);
        let (before, n_before) = (stage.contents(), stage.n_requests());
        let key = stage.sandbox().key().to_owned();
        stage.set("CLERK_SECRET_KEY", "sk_test_a_key_that_is_not_the_right_one");
        let ended = stage.run(&format!("{line} --force")).exits_with(4);
        ended.prints("the earlier run in out.csv is unchanged");
        assert_eq!(stage.contents(), before);
        assert_eq!(stage.n_requests(), n_before + 1);

        stage.set("CLERK_SECRET_KEY", &key);
        stage.run(&format!("{line} --force")).exits_with(0);
        assert_eq!(stage.rows("out.csv").len(), 5);
        assert_eq!(
            stage.files(),
            ["ids.txt", "out.csv", "out.failed.csv", "out.manifest.json", "out.unprocessed.csv"]
        );
    }
}
