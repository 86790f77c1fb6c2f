//! The help of every command, as snapshots; `terminal.rs` has `run -h`.

mod common;

use common::tools::is_installed;
use common::{Stage, list, locked_users};

const COMMANDS: [&str; 10] = [
    "run",
    "plan",
    "locked",
    "verify",
    "relock",
    "report",
    "check",
    "sandbox",
    "completions",
    "man",
];

/// Help goes to stdout, with exit code 0.
#[track_caller]
fn check(line: &str) {
    let ended = Stage::new().run(line).exits_with(0);
    assert_eq!(ended.stderr, "", "{line}");
    insta::assert_snapshot!(line.replace(' ', "_"), ended.stdout);
}

#[test]
fn program_help() {
    check("-h");
    check("--help");
}

#[test]
fn short_help_of_each_command() {
    for command in COMMANDS.into_iter().filter(|it| *it != "run") {
        check(&format!("{command} -h"));
    }
}

#[test]
fn long_help_of_each_command() {
    for command in COMMANDS {
        check(&format!("{command} --help"));
    }
}

#[test]
fn short_help_fits_fifty_lines_of_eighty_columns() {
    for command in COMMANDS {
        let mut stage = Stage::new();
        stage.set("COLUMNS", "80");
        let help = stage.run(&format!("{command} -h")).exits_with(0).stdout;
        assert!(help.lines().count() <= 50, "{command}: {} lines", help.lines().count());
        assert!(help.lines().all(|line| line.chars().count() <= 80), "{help}");
    }
}

/// The commands of the examples at the end of a command's long help.
fn examples(command: &str) -> Vec<String> {
    let help = Stage::new().run(&format!("{command} --help")).exits_with(0).stdout;
    let (_, examples) = help.split_once("\nExamples:\n").expect("examples");
    let lines = examples.lines().take_while(|line| line.starts_with("  "));
    lines.filter_map(|line| line.strip_prefix("    ")).map(str::to_owned).collect()
}

/// A stage in which every example of the help can run without a confirmation prompt.
fn stage_for_examples() -> Stage {
    let mut stage = Stage::with_users(300);
    let bin = stage.path("bin");
    std::fs::create_dir(&bin).expect("a directory");
    let program = env!("CARGO_BIN_EXE_bulk-unlock");
    std::os::unix::fs::symlink(program, bin.join("bulk-unlock")).expect("a link");
    stage.set("BULK_UNLOCK_YES", "true");
    stage.set("BULK_UNLOCK_RATE", "100000/s");
    let home = stage.path("").display().to_string();
    stage.set("HOME", &home);
    for dir in [".config/fish/completions", ".zfunc", ".local/share/man/man1"] {
        std::fs::create_dir_all(stage.path(dir)).expect("a directory");
    }
    let locked = locked_users(4);
    let emails: Vec<String> = locked.iter().filter_map(|id| stage.emails(id).pop()).collect();
    assert!(emails.len() > 1, "locked users with addresses");
    stage.write("users.csv", list(&locked));
    stage.write("emails.csv", emails.join("\n"));
    stage.write("clerk.key", stage.sandbox().key());
    stage.write("compromised.csv", format!("{}\n", locked[0]));
    stage
}

/// Runs a line in a shell with the program in its PATH.
#[track_caller]
fn shell(stage: &Stage, line: &str, code: i32) {
    let command = stage.command("");
    let path = format!("{}:{}", stage.path("bin").display(), std::env::var("PATH").expect("PATH"));
    let environment: Vec<_> = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
        .collect();
    let output = std::process::Command::new("bash")
        .args(["-o", "pipefail", "-c", line])
        .current_dir(stage.path(""))
        .env_clear()
        .envs(environment)
        .env("PATH", path)
        .output()
        .expect("a shell");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{line}\n{stderr}");
}

#[test]
fn help_examples_work() {
    let stage = stage_for_examples();
    for command in
        ["plan", "run", "locked", "verify", "relock", "report", "check", "completions", "man"]
    {
        let examples = examples(command);
        assert_eq!(examples.len(), 3, "{examples:?}");
        let runs = |example: &String| !example.contains("| man ") || is_installed("man");
        for example in examples.iter().filter(|it| runs(it)) {
            shell(&stage, &example.replace("--watch 24h", "--watch 1s"), 0);
        }
        if command == "verify" {
            // Only a run that looked its users up can be undone.
            for id in locked_users(4) {
                stage.lock(&id);
            }
            let run = "bulk-unlock run users.csv --only-locked --include-admin-locked --force";
            shell(&stage, run, 0);
        }
    }
    assert!(stage.read(".local/share/man/man1/bulk-unlock-run.1").contains("\n.SH EXAMPLES\n"));
    for example in examples("sandbox") {
        let line = format!("timeout -s INT 1 {example} > exports.txt");
        shell(&stage, &line, 124);
        assert!(stage.read("exports.txt").contains("CLERK_API_URL="), "{example}");
    }
}

#[test]
fn missing_command_prints_help_and_exits_2() {
    let ended = Stage::new().run("").exits_with(2);
    assert_eq!(ended.stdout, "");
    assert_eq!(ended.stderr, Stage::new().run("-h").stdout);
}
