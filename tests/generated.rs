//! Output generated from the command line: completions, manual pages, and the version.

mod common;

use std::fs::OpenOptions;
use std::process::Command;

use common::Stage;
use common::tools::is_installed;

/// The commands in the help, without `help` itself.
fn commands() -> Vec<String> {
    let help = Stage::new().run("-h").exits_with(0).stdout;
    let (_, list) = help.split_once("\nCommands:\n").expect("a list of commands");
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names = lines.filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// The completions of bash for these words.
fn completed_by_bash(words: &str) -> Vec<String> {
    let stage = Stage::new();
    stage.write("completions", stage.run("completions bash").exits_with(0).stdout);
    let last = words.split(' ').count() - 1;
    let line = format!(
        "source ./completions; COMP_WORDS=({words}); COMP_CWORD={last}; \
         $(complete -p bulk-unlock | sed 's/.* -F \\([^ ]*\\).*/\\1/') bulk-unlock \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash").args(["-c", &line]).current_dir(stage.path("")).output();
    let output = output.expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{words}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_values() {
    assert_eq!(completed_by_bash("bulk-unlock ver"), ["verify"]);
    assert_eq!(completed_by_bash("bulk-unlock run --only-l"), ["--only-locked"]);
    assert_eq!(completed_by_bash("bulk-unlock run --if-empty w"), ["warn"]);
    assert_eq!(completed_by_bash("bulk-unlock completions z"), ["zsh"]);
}

#[test]
fn each_shell_accepts_its_completion_script() {
    let stage = Stage::new();
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let script = stage.run(&format!("completions {shell}")).exits_with(0).stdout;
        assert!(commands().iter().all(|command| script.contains(command.as_str())), "{shell}");
        let path = stage.write(shell, script);
        if !is_installed(shell) {
            continue;
        }
        let output = Command::new(shell).arg(check).arg(path).output().expect("a shell");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{shell}");
        assert!(output.status.success(), "{shell}");
    }
    // No PowerShell is packaged for Debian.
    let script = stage.run("completions powershell").exits_with(0).stdout;
    assert!(script.contains("Register-ArgumentCompleter"), "{script}");
    stage.run("completions tcsh").exits_with(2);
}

#[test]
fn each_command_has_a_manual_page() {
    let stage = Stage::new();
    let main_page = stage.run("man").exits_with(0).stdout;
    for command in commands() {
        let page = stage.run(&format!("man {command}")).exits_with(0).stdout;
        assert!(page.contains(&format!(".TH bulk-unlock-{command} 1 ")), "{page}");
        for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "\"EXIT STATUS\""] {
            assert!(page.contains(&format!("\n.SH {section}\n")), "{command}: {section}");
        }
        let in_list = format!("bulk\\-unlock\\-{command}(1)");
        assert!(main_page.contains(&in_list), "{command}: {main_page}");
    }
    stage.run("man unlock").exits_with(2);
    stage.run("man help").exits_with(2);
}

#[test]
fn manual_pages_name_every_flag_of_the_help() {
    let stage = Stage::new();
    for command in commands() {
        let help = stage.run(&format!("{command} --help")).exits_with(0).stdout;
        let page = stage.run(&format!("man {command}")).exits_with(0).stdout.replace('\\', "");
        let words = help.lines().map(str::trim).filter(|line| line.starts_with('-'));
        let flags = words.flat_map(str::split_whitespace).filter(|word| word.starts_with("--"));
        let missing: Vec<&str> = flags
            .map(|flag| flag.trim_end_matches("..."))
            .filter(|flag| !page.contains(flag))
            .collect();
        assert_eq!(missing, Vec::<&str>::new(), "{command}");
    }
}

#[test]
fn a_page_that_cannot_be_written_is_an_error() {
    let stage = Stage::new();
    for line in ["man run", "completions bash"] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let mut command = stage.command(line);
        let output = command.stdout(full).output().expect("the program starts");
        assert_eq!(output.status.code(), Some(6), "{line}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains("failed to write to stdout: "), "{stderr}");
    }
}

#[test]
fn the_version_names_commit_and_build() {
    let version = Stage::new().run("--version").exits_with(0).stdout;
    let lines: Vec<&str> = version.lines().collect();
    assert_eq!(lines.len(), 3, "{version}");
    assert_eq!(lines[0], format!("bulk-unlock {}", env!("CARGO_PKG_VERSION")));
    let mut git = Command::new("git");
    let git = git.args(["rev-parse", "--short=12", "HEAD"]).current_dir(env!("CARGO_MANIFEST_DIR"));
    let head = git.output().ok().filter(|output| output.status.success());
    let head = head.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    assert_eq!(lines[1], format!("commit: {}", head.as_deref().unwrap_or("unknown")));
    let build: Vec<&str> = lines[2].strip_prefix("build: ").expect("a build").split(", ").collect();
    assert!(["debug", "release"].contains(&build[0]), "{version}");
    assert!(build[1].contains(std::env::consts::ARCH), "{version}");
    assert!(build[2].starts_with("rustc "), "{version}");
}
