//! The configuration file and the environment variables: the precedence of sources, messages, and
//! printed commands.

mod common;

use bulk_unlock::sandbox::{Script, Scripted};
use common::sample;
use common::{PROGRAM, Stage, list, locked_users, users};

/// A stage with four users to unlock in `ids.csv`.
fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&locked_users(4)));
    stage
}

/// A stage whose `ops.toml` is this.
fn stage_with(file: &str) -> Stage {
    let stage = stage();
    stage.write("ops.toml", file);
    stage
}

const RUN: &str = "run ids.csv --yes --config ops.toml";

/// The value of a setting in the manifest of `ids.csv`.
#[track_caller]
fn setting(stage: &Stage, name: &str) -> serde_json::Value {
    stage.json("ids.results.manifest.json")["settings"][name].clone()
}

#[test]
fn keys_are_long_flag_names() {
    let stage = stage_with(
        "quota-share = \"30%\"\nmax_users = 4\nonly-locked = true\ncarry = []\nmax-fail = 2\n",
    );
    stage.run(RUN).exits_with(0);
    assert_eq!(setting(&stage, "quota_share"), "30%");
    assert_eq!(setting(&stage, "max_users"), 4);
    assert_eq!(setting(&stage, "only_locked"), true);
    assert_eq!(setting(&stage, "max_fail"), "2");
    assert_eq!(setting(&stage, "config"), "ops.toml");
}

#[test]
fn variable_names_the_file_and_flag_takes_precedence() {
    let mut stage = stage_with("max-users = 3\n");
    stage.set("BULK_UNLOCK_CONFIG", "ops.toml");
    stage.run_refused("run ids.csv --yes", 2).prints("--max-users");
    stage.write("other.toml", "max-users = 4\n");
    stage.run("run ids.csv --yes --config other.toml").exits_with(0);
}

#[test]
fn no_file_is_searched_for() {
    let stage = stage();
    for name in ["bulk-unlock.toml", ".bulk-unlock.toml"] {
        stage.write(name, "max-users = 1\n");
    }
    stage.run("run ids.csv --yes").exits_with(0);
}

#[test]
fn flag_takes_precedence_over_variable_and_both_over_file() {
    let mut stage = stage_with("max-users = 1\n");
    let note = "--max-users replaces max-users of ops.toml:1";
    stage.run(&format!("{RUN} --max-users 4")).exits_with(0).prints(note);
    stage.set("BULK_UNLOCK_MAX_USERS", "4");
    let note = "BULK_UNLOCK_MAX_USERS replaces max-users of ops.toml:1";
    stage.run(&format!("{RUN} --force")).exits_with(0).prints(note);
    stage.set("BULK_UNLOCK_MAX_USERS", "2");
    let note = "--max-users replaces BULK_UNLOCK_MAX_USERS";
    stage.run(&format!("{RUN} --force --max-users 5")).exits_with(0).prints(note);
    stage.set("BULK_UNLOCK_MAX_USERS", "5");
    stage.write("ops.toml", "max-users = 5\nonly-locked = true\n");
    let same = stage.run(&format!("{RUN} --force --max-users 5 --only-locked")).exits_with(0);
    assert!(!same.stderr.contains("replaces"), "{}", same.stderr);
}

#[test]
fn false_variable_turns_off_a_switch_of_the_file() {
    let mut stage = stage_with("only-locked = true\n");
    stage.set("BULK_UNLOCK_ONLY_LOCKED", "false");
    stage.run(RUN).exits_with(0).prints("BULK_UNLOCK_ONLY_LOCKED replaces only-locked");
    assert_eq!(setting(&stage, "only_locked"), false);
}

#[test]
fn clerk_variables_take_precedence_over_the_file() {
    let stage = stage_with("api-url = \"http://127.0.0.1:1\"\nsecret-key-file = \"nowhere\"\n");
    let ended = stage.run(RUN).exits_with(0);
    ended
        .prints("CLERK_API_URL replaces api-url")
        .prints("CLERK_SECRET_KEY replaces secret-key-file");
}

#[test]
fn file_can_set_address_and_key_file() {
    let mut stage = stage();
    let (url, key) = (stage.sandbox().url(), stage.sandbox().key().to_owned());
    stage.unset("CLERK_API_URL");
    stage.unset("CLERK_SECRET_KEY");
    stage.write("key", key);
    stage.write("ops.toml", format!("api-url = \"{url}\"\nsecret-key-file = \"key\"\n"));
    stage.run(RUN).exits_with(0);
    assert_eq!(stage.n_requests(), 4);
}

#[test]
fn exclude_files_of_all_sources_add_up() {
    let users = locked_users(4);
    let mut stage = stage_with("exclude = [\"file.txt\"]\n");
    for (name, user) in [("flag.txt", 0), ("variable.txt", 1), ("file.txt", 2)] {
        stage.write(name, list(&users[user..=user]));
    }
    let outcomes = |stage: &Stage| stage.column("ids.results.csv", "outcome");
    stage.run(&format!("{RUN} --exclude flag.txt")).exits_with(0);
    assert_eq!(outcomes(&stage), ["excluded", "unlocked", "excluded", "unlocked"]);
    stage.set("BULK_UNLOCK_EXCLUDE", "variable.txt");
    stage.run(&format!("{RUN} --force")).exits_with(0);
    assert_eq!(outcomes(&stage), ["unlocked", "excluded", "excluded", "unlocked"]);
}

#[test]
fn conflict_of_flag_and_restricting_setting_is_refused() {
    let stage = stage();
    stage.run("plan ids.csv").exits_with(0);
    for (file, line, place) in [
        ("\ndry-run = true", "run --plan ids.plan.csv", "dry-run (ops.toml:2)"),
        ("retry-failed = true", "run --plan ids.plan.csv", "retry-failed (ops.toml:1)"),
        ("quota-share = \"1%\"", "run ids.csv --rate 1000/s", "quota-share (ops.toml:1)"),
        ("rate = \"1/h\"", "run ids.csv --quota-share 100%", "rate (ops.toml:1)"),
        ("rate = \"1/h\"\nburst = true", "run ids.csv", "ops.toml:1"),
        ("sandbox = true", "run ids.csv --api-url http://127.0.0.1:1", "sandbox (ops.toml:1)"),
    ] {
        stage.write("ops.toml", file);
        let ended = stage.run_refused(&format!("{line} --yes --config ops.toml"), 2);
        ended.prints("cannot be used with").prints("Set in the configuration file: ").prints(place);
    }
}

#[test]
fn conflict_of_setting_and_variable_is_refused() {
    let mut stage = stage_with("quota-share = \"1%\"\n");
    stage.set("BULK_UNLOCK_RATE", "1000/s");
    stage.run_refused(RUN, 2).prints("quota-share (ops.toml:1)").prints("BULK_UNLOCK_RATE");
}

#[test]
fn plan_replaces_settings_about_reading_an_input() {
    let stage = stage_with("by = \"user-id\"\ncolumn = 1\ndelimiter = \"none\"\ncarry = \"all\"\n");
    stage.run("plan ids.csv --config ops.toml").exits_with(0);
    let ended = stage.run("run --plan ids.plan.csv --yes --config ops.toml").exits_with(0);
    ended.prints("--plan replaces column of ops.toml:2").prints("--plan replaces by of ops.toml:1");
}

#[test]
fn sandbox_settings_apply_only_with_sandbox() {
    let mut stage = stage_with("sandbox-latency = \"0ms\"\nsandbox-users = 7\n");
    stage.run(RUN).exits_with(0);
    assert_eq!(stage.n_requests(), 4);
    stage.run(&format!("{RUN} --sandbox --force")).exits_with(0);
    stage.write("ops.toml", "sandbox = true\n");
    stage.set("BULK_UNLOCK_SANDBOX_LATENCY", "0ms");
    stage.run(&format!("{RUN} --force")).exits_with(0);
    assert_eq!(stage.n_requests(), 4);
    assert_eq!(setting(&stage, "sandbox_latency"), "0ms");
    stage.run("run ids.csv --sandbox-users 9 --force --config ops.toml").exits_with(0);
    assert_eq!(stage.n_requests(), 4);
}

#[test]
fn every_command_refuses_an_invalid_setting_with_file_and_line() {
    let stage = stage();
    let commands = [
        "run ids.csv --yes",
        "plan ids.csv",
        "locked",
        "verify ids.csv",
        "report ids.csv",
        "sandbox --port 0",
    ];
    for (file, expected) in [
        (
            "# limits\nmax-usrs = 5\n",
            "ops.toml:2: `max-usrs` is not a flag of any command; did you mean `max-users`?",
        ),
        (
            "max-users = \"many\"\n",
            "ops.toml:1: `max-users`: expected a whole number, found a string",
        ),
        ("\nyes = true\n", "ops.toml:2: `yes` cannot be set in a configuration file"),
        ("force = true\n", "ops.toml:1: `force` cannot be set"),
        ("plan = \"x.plan.csv\"\n", "ops.toml:1: `plan` cannot be set"),
        ("reason = \"INC-1\"\n", "ops.toml:1: `reason` cannot be set"),
        ("limit = 1\n", "ops.toml:1: `limit` cannot be set"),
        ("skip = 1\n", "ops.toml:1: `skip` cannot be set"),
        ("config = \"x.toml\"\n", "ops.toml:1: `config` cannot be set"),
        ("max-users = 1\n\nmax-users = 2\n", "ops.toml:3: duplicate key"),
        ("max-users = \n", "ops.toml:1: "),
    ] {
        stage.write("ops.toml", file);
        for command in commands {
            stage.run_refused(&format!("{command} --config ops.toml"), 2).prints(expected);
        }
    }
}

#[test]
fn unreadable_file_is_refused() {
    let mut stage = stage();
    stage
        .run_refused("run ids.csv --yes --config nowhere.toml", 2)
        .prints("nowhere.toml: No such file");
    stage.write("ops.toml", b"max-users = 5\n# caf\xe9\n");
    stage.run_refused(RUN, 2).prints("ops.toml:2: not UTF-8");
    stage.set("BULK_UNLOCK_CONFIG", "nowhere.toml");
    stage.run_refused("run ids.csv --yes", 2).prints("nowhere.toml: No such file");
    let help = stage.run("run --help").exits_with(0).stdout;
    assert!(help.contains("--config <FILE.toml>"), "{help}");
}

#[test]
fn settings_of_other_commands_are_accepted() {
    let stage = stage_with("html = \"page.html\"\nport = 0\nmax-users = 4\n");
    stage.run(RUN).exits_with(0);
    stage.run("locked --config ops.toml").exits_with(0);
    stage.run("report ids.results.csv --config ops.toml").exits_with(0);
    assert!(stage.files().contains(&"page.html".to_owned()));
}

#[test]
fn verbose_prints_each_setting_with_its_source_and_no_secret() {
    let mut stage =
        stage_with("# pace\nquota-share = \"30%\"\nredact = [\"username\", \"last_name\"]\n");
    stage.set("BULK_UNLOCK_MAX_USERS", "9");
    stage.set("BULK_UNLOCK_BURST", "false");
    let tail = stage.sandbox().key().trim_start_matches("sk_test_").to_owned();
    let ended = stage.run(&format!("{RUN} -v --concurrency 8")).exits_with(0);
    assert!(!ended.stderr.contains(&tail));
    for line in [
        "setting quota-share: 30% (file ops.toml:2)",
        "setting redact: username, last_name (file ops.toml:3)",
        "setting max-users: 9 (environment)",
        "setting burst: false (environment)",
        "setting concurrency: 8 (flag)",
        "setting timeout: 30s (default)",
        "setting CLERK_SECRET_KEY: sk_test_…",
    ] {
        assert!(ended.stderr.lines().any(|it| it.starts_with(line)), "{line}\n{}", ended.stderr);
    }
    let address = format!("setting api-url: {} (environment)", stage.sandbox().url());
    assert!(ended.stderr.contains(&address), "{}", ended.stderr);
    let quiet = stage.run(&format!("{RUN} --force")).exits_with(0);
    assert!(!quiet.stderr.contains("setting "), "{}", quiet.stderr);
}

/// The printed command, without the program's path.
#[track_caller]
fn next_command(stage: &Stage, manifest: &str) -> String {
    let manifest = stage.json(manifest);
    let line = manifest["next"].as_str().expect("a command");
    line.split_once(' ').expect("arguments").1.to_owned()
}

#[test]
fn printed_commands_repeat_settings_of_the_file() {
    let mut stage = stage_with(
        "exclude = [\"vip.txt\"]\nquota-share = \"30%\"\nmax-users = 9\nby = \"user-id\"\ncolumn = 1\n\
         carry = \"all\"\nmax-input-age = \"1h\"\nstate-dir = \"state\"\n",
    );
    stage.write("vip.txt", list(&locked_users(1)));
    stage.run("plan ids.csv --config ops.toml").exits_with(0);
    let line = next_command(&stage, "ids.plan.manifest.json");
    for flag in ["--exclude=vip.txt", "--quota-share=30%", "--max-users=9", "--state-dir=state"] {
        assert!(line.contains(flag), "{line}");
    }
    assert!(!line.contains("--config") && !line.contains("--column"), "{line}");
    stage.run(&format!("{line} --yes")).exits_with(0);
    assert_eq!(stage.column("ids.plan.results.csv", "outcome"), ["unlocked"; 3]);
    let verify = next_command(&stage, "ids.plan.results.manifest.json");
    assert!(verify.starts_with("verify ids.plan.results.csv --"), "{verify}");
    stage.run(&verify).exits_with(0);
    for rest in ["", " --config ops.toml"] {
        stage.run(&format!("{verify} --force{rest}")).exits_with(0);
        stage.run(&format!("{line} --yes --force --output again.csv{rest}")).exits_with(0);
        stage.set("BULK_UNLOCK_CONFIG", "ops.toml");
    }
}

#[test]
fn command_printed_by_locked_repeats_guards_of_the_file() {
    let stage = stage_with(
        "exclude = [\"vip.txt\"]\nmax-users = 9\nquota-share = \"30%\"\nby = \"email\"\n",
    );
    let ended = stage.run("locked -o locked.csv --config ops.toml").exits_with(0);
    let line = ended.stderr.lines().last().expect("a command").trim().to_owned();
    for flag in ["plan locked.csv", "--exclude=vip.txt", "--max-users=9", "--quota-share=30%"] {
        assert!(line.contains(flag), "{line}");
    }
    assert!(!line.contains("--by"), "{line}");
}

/// The command that a job printed, with the path of the program replaced.
#[track_caller]
fn printed(stage: &Stage, manifest: &str) -> String {
    let manifest = stage.json(manifest);
    manifest["next"].as_str().expect("a command").replace(PROGRAM, "bulk-unlock")
}

/// Runs a printed command in a shell with the variables of the stage.
#[track_caller]
fn run_printed(stage: &Stage, command: &str) {
    stage.run_printed(&command.replace("bulk-unlock", PROGRAM)).exits_with(0);
}

#[test]
fn printed_retry_does_not_skip_what_a_variable_skipped() {
    let ids = locked_users(5);
    let failures = ids[2..].iter().map(|id| (id.clone(), [Scripted::status(500)].into()));
    let mut stage = Stage::with_script(failures.collect());
    stage.write("ids.csv", list(&ids));
    stage.set("BULK_UNLOCK_SKIP", "2");
    stage.run("run ids.csv --yes --max-retries 0").exits_with(1);
    let line = printed(&stage, "ids.results.manifest.json");
    let expected = "env -u BULK_UNLOCK_SKIP bulk-unlock run ids.results.csv --";
    assert!(line.starts_with(expected), "{line}");
    run_printed(&stage, &format!("{line} -o again.csv"));
    assert_eq!(stage.column("again.csv", "outcome"), ["unlocked"; 3]);
}

#[test]
fn variable_that_a_flag_replaced_does_not_hold_in_the_printed_command() {
    let mut stage = stage();
    stage.set("BULK_UNLOCK_LIMIT", "1");
    stage.run("plan ids.csv --limit 3").exits_with(0);
    let line = printed(&stage, "ids.plan.manifest.json");
    assert!(line.starts_with("env -u BULK_UNLOCK_LIMIT bulk-unlock run --"), "{line}");
    run_printed(&stage, &format!("{line} --yes"));
    assert_eq!(stage.column("ids.plan.results.csv", "outcome"), ["unlocked"; 3]);
}

#[test]
fn printed_commands_unset_variables_of_settings_that_they_leave_out() {
    let mut stage = stage();
    for (name, value) in [
        ("BY", "user-id"),
        ("CARRY", "all"),
        ("COLUMN", "1"),
        ("DRY_RUN", "true"),
        ("MAX_INPUT_AGE", "1h"),
        ("METRICS_FILE", "m.prom"),
        ("OUTPUT", "p.csv"),
        ("REPORT", "p.html"),
        ("MAX_USERS", "9"),
        ("FORCE", "false"),
        ("PROGRESS", "none"),
    ] {
        stage.set(&format!("BULK_UNLOCK_{name}"), value);
    }
    stage.run("run ids.csv").exits_with(0);
    let line = printed(&stage, "p.manifest.json");
    let expected = "env -u BULK_UNLOCK_BY -u BULK_UNLOCK_CARRY -u BULK_UNLOCK_COLUMN \
                    -u BULK_UNLOCK_DRY_RUN -u BULK_UNLOCK_MAX_INPUT_AGE -u BULK_UNLOCK_METRICS_FILE \
                    -u BULK_UNLOCK_OUTPUT -u BULK_UNLOCK_REPORT bulk-unlock run --";
    assert!(line.starts_with(expected), "{line}");
    assert!(line.contains(" --max-users=9"), "{line}");
    run_printed(&stage, &format!("{line} --yes"));
    assert_eq!(stage.column("p.results.csv", "outcome"), ["unlocked"; 4]);
    // `report` prints the same.
    let report = stage.run("report p.csv").exits_with(0);
    let report = report.stdout.replace(PROGRAM, "bulk-unlock");
    assert!(report.contains(&format!("  {line}\n")), "{report}");
}

#[test]
fn printed_resume_does_not_overwrite_under_a_variable() {
    let ids = locked_users(4);
    let refusal = (ids[1].clone(), [Scripted::status(422)].into());
    let mut stage = Stage::with_script(Script::from([refusal]));
    stage.write("ids.csv", list(&ids));
    stage.set("BULK_UNLOCK_FORCE", "true");
    stage.set("BULK_UNLOCK_SKIP", "1");
    stage.run("run ids.csv --yes --max-fail 1 --concurrency 1").exits_with(3);
    let line = printed(&stage, "ids.results.manifest.json");
    assert!(line.starts_with("env -u BULK_UNLOCK_FORCE bulk-unlock run ids.csv --"), "{line}");
    assert!(line.contains(" --skip=1") && line.ends_with(" --resume"), "{line}");
    let line = line.replace("--max-fail=1", "").replace("bulk-unlock", PROGRAM);
    stage.run_printed(&line).exits_with(1).prints("Resuming ids.results.csv");
    assert_eq!(stage.rows("ids.results.csv").len(), 3);
}

#[test]
fn variables_that_the_printed_command_does_not_read_are_not_unset() {
    let mut stage = stage();
    for (name, value) in [
        ("SKIP", "1"),
        ("QUIET", "true"),
        ("SHARD", "1/1"),
        ("SANDBOX_LATENCY", "0ms"),
        ("EXCLUDE", "vip.txt"),
    ] {
        stage.set(&format!("BULK_UNLOCK_{name}"), value);
    }
    stage.write("vip.txt", list(&users(1)));
    stage.run("run ids.csv --yes -o r.csv").exits_with(0);
    let line = printed(&stage, "r.manifest.json");
    assert!(line.starts_with("bulk-unlock verify r.csv --"), "{line}");
    run_printed(&stage, &line);
}

#[test]
fn printed_commands_unset_the_variable_of_a_file_whose_settings_they_leave_out() {
    let mut stage = stage_with("output = \"p.csv\"\nmax-users = 9\n");
    stage.set("BULK_UNLOCK_CONFIG", "ops.toml");
    stage.run("plan ids.csv").exits_with(0);
    let line = printed(&stage, "p.manifest.json");
    assert!(line.starts_with("env -u BULK_UNLOCK_CONFIG bulk-unlock run --"), "{line}");
    assert!(line.contains(" --max-users=9"), "{line}");
    // All settings of this file are repeated.
    stage.write("ops.toml", "max-users = 9\n");
    stage.run("plan ids.csv").exits_with(0);
    let line = printed(&stage, "ids.plan.manifest.json");
    assert!(line.starts_with("bulk-unlock run --"), "{line}");
    // The file of the variable was not read.
    stage.set("BULK_UNLOCK_CONFIG", "nowhere.toml");
    stage.run("plan ids.csv --force --config ops.toml").exits_with(0);
    let line = printed(&stage, "ids.plan.manifest.json");
    assert!(line.starts_with("env -u BULK_UNLOCK_CONFIG bulk-unlock run --"), "{line}");
    run_printed(&stage, &format!("{line} --yes"));
    assert_eq!(stage.column("ids.plan.results.csv", "outcome"), ["unlocked"; 4]);
}

#[test]
fn command_printed_by_locked_repeats_variables_of_other_commands() {
    let mut stage = stage_with("exclude = [\"file.txt\"]\nonly-locked = false\nmax-users = 8\n");
    for (name, value) in [("EXCLUDE", "vip.txt"), ("MAX_USERS", "9"), ("BY", "email")] {
        stage.set(&format!("BULK_UNLOCK_{name}"), value);
    }
    let ended = stage.run("locked -o locked.csv --config ops.toml").exits_with(0);
    let line = ended.printed_commands().pop().expect("a command").replace(PROGRAM, "bulk-unlock");
    let expected = "env -u BULK_UNLOCK_BY bulk-unlock plan locked.csv --";
    assert!(line.starts_with(expected) && !line.contains("--only-locked"), "{line}");
    for flag in ["--exclude=vip.txt --exclude=file.txt", "--max-users=9"] {
        assert!(line.contains(flag), "{line}");
    }
}

#[test]
fn sample_file_works() {
    let stage = stage();
    let path = sample("bulk-unlock.toml");
    let text = std::fs::read_to_string(&path).expect("the sample");
    stage.write("exclude.txt", list(&locked_users(1)));
    stage.run(&format!("run ids.csv --yes --config {path}")).exits_with(0);
    assert_eq!(stage.column("ids.results.csv", "outcome")[0], "excluded");
    // Settings that are commented out are valid too.
    let is_setting = |line: &&str| line.starts_with('#') && line.contains(" = ");
    let commented: Vec<&str> =
        text.lines().filter(is_setting).map(|it| it.trim_start_matches(['#', ' '])).collect();
    assert!(commented.len() > 5, "{commented:?}");
    for line in commented {
        stage.write("one.toml", format!("{line}\n"));
        stage.run("report ids.results.csv --config one.toml").exits_with(0);
    }
}
