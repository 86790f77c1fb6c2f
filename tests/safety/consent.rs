//! The confirmation prompt, on a terminal of `script` (util-linux). Without `script`, tests that need
//! a terminal are skipped; in CI they fail.

use bulk_unlock::sandbox::Population;

use crate::common::population::admin_locked_users;
use crate::common::terminal::{TerminalOutput, run_on_terminal, run_on_terminal_typing_ahead};
use crate::common::tools::is_installed;
use crate::common::watch::{FAST, slow_config};
use crate::common::{SEED, Stage, list, locked_users, users};

const N_USERS: usize = 12;

fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

fn production_stage() -> Stage {
    let key = "sk_live_0123456789abcdefghijklmnopqrstuvwxyza1b2".to_owned();
    let stage = Stage::with_sandbox(slow_config("0").key(key));
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

#[test]
fn run_without_terminal_and_yes_sends_nothing_and_leaves_no_file() {
    let stage = stage();
    stage.run("run ids.txt").exits_with(5).prints("use --yes");
    stage.pipe(list(&users(3)), "run").exits_with(5).prints("use --yes");
    assert_eq!(stage.files(), ["ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn sandbox_and_dry_run_need_no_confirmation() {
    let stage = stage();
    stage.run(&format!("run ids.txt --dry-run {FAST}")).exits_with(0);
    assert_eq!(stage.n_posts(), 0);
    stage.run("run ids.txt --sandbox --sandbox-latency 0 --sandbox-quota none").exits_with(0);
    assert_eq!(stage.n_posts(), 0);
}

#[track_caller]
fn check_confirmed(stage: &Stage, shown: &TerminalOutput) {
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
}

#[track_caller]
fn check_refused(stage: &Stage, shown: &TerminalOutput) {
    assert_eq!(shown.code, Some(5), "{}", shown.text);
    assert!(shown.text.contains("not confirmed; no user was unlocked"), "{}", shown.text);
    assert_eq!(stage.files(), ["ids.txt"]);
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn prompt_shows_instance_host_key_users_pace_and_duration() {
    if !is_installed("script") {
        return;
    }
    let stage = production_stage();
    let shown = run_on_terminal(&stage, "\"$BU\" run ids.txt", "12\n");
    for part in [
        "About to unlock 12 users.",
        "production (key sk_live_…a1b2)",
        &format!("127.0.0.1:{}", stage.sandbox().addr().port()),
        "500 requests in 10 s (50 % of the quota), evenly spaced",
        "duration  about",
        "ids.results.csv",
        "Type the number of users (12) to continue:",
    ] {
        assert!(shown.text.contains(part), "{part:?} is not in\n{}", shown.text);
    }
    check_confirmed(&stage, &shown);
}

#[test]
fn input_typed_before_the_prompt_is_ignored() {
    if !is_installed("script") {
        return;
    }
    let key = "sk_live_0123456789abcdefghijklmnopqrstuvwxyza1b2".to_owned();
    let stage = Stage::with_sandbox(slow_config("300ms").key(key));
    stage.write("ids.txt", list(&locked_users(N_USERS)));
    let line = "\"$BU\" run ids.txt --only-locked";
    let shown = run_on_terminal_typing_ahead(&stage, line, "12\n12\n", "no\n");
    check_refused(&stage, &shown);
}

/// The prompt for a key, with parts that differ between runs replaced.
fn prompt(key: &str, flags: &str) -> String {
    let stage = Stage::with_sandbox(slow_config("0").key(key.to_owned()));
    stage.write("ids.txt", list(&users(N_USERS)));
    let shown = run_on_terminal(&stage, &format!("NO_COLOR=1 \"$BU\" run ids.txt {flags}"), "n\n");
    assert_eq!(stage.n_requests(), 0);
    let text = shown.text.replace('\r', "").replace(&stage.sandbox().addr().to_string(), "HOST");
    let (_, text) = text.split_once("\n\n").expect("a blank line before the prompt");
    let (prompt, _) = text.split_once("n\n").expect("the typed answer");
    prompt.to_owned()
}

#[test]
fn prompt_of_each_kind_of_instance() {
    if !is_installed("script") {
        return;
    }
    let secret = "0123456789abcdefghijklmnopqrstuvwxyza1b2";
    insta::assert_snapshot!(prompt(&format!("sk_live_{secret}"), ""), @"
    About to unlock 12 users.
      instance  production (key sk_live_…a1b2)
      host      HOST
      pace      500 requests in 10 s (50 % of the quota), evenly spaced
      duration  about 1 s
      results   ids.results.csv
    Type the number of users (12) to continue:
    ");
    insta::assert_snapshot!(prompt(&format!("sk_test_{secret}"), "--limit 1 --rate 2/s"), @"
    About to unlock 1 user.
      instance  development (key sk_test_…a1b2)
      host      HOST
      pace      2 requests in 1 s, evenly spaced
      duration  about 1 s
      results   ids.results.csv
    Continue? [y/N]
    ");
    insta::assert_snapshot!(prompt(&format!("ak_{secret}"), "--quota-share 30% --burst"), @"
    About to unlock 12 users.
      instance  unknown, treated as production (key …a1b2)
      host      HOST
      pace      at most 30 requests in 10 s (30 % of the quota)
      duration  about 1 s
      results   ids.results.csv
    Type the number of users (12) to continue:
    ");
}

#[test]
fn prompt_after_a_look_up_shows_users_left_out_and_guards() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let ids = [locked_users(3), admin_locked_users(2)].concat();
    stage.write("ids.txt", list(&ids) + "nobody\n");
    let flags = "--only-locked --canary 2 --max-fail 1% --reason 'INC 7'";
    let shown = run_on_terminal(&stage, &format!("NO_COLOR=1 \"$BU\" run ids.txt {flags}"), "n\n");
    let text = shown.text.replace('\r', "");
    let shown = text.lines().skip_while(|line| !line.starts_with("  results")).take(4);
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @"
    results   ids.results.csv
    left out  2 admin_locked, 1 invalid
    guards    canary of 2 (the run continues by itself if all succeed), stop when 1 % of users fail
    reason    INC 7
    ");
}

#[test]
fn prompt_shows_the_limits_of_time_that_were_given() {
    if !is_installed("script") {
        return;
    }
    let check = |flags: &str, expected: Option<&str>| {
        let stage = stage();
        let line = format!("NO_COLOR=1 \"$BU\" run ids.txt {flags}");
        let text = run_on_terminal(&stage, &line, "n\n").text;
        let guards = text.lines().find_map(|line| line.strip_prefix("  guards    "));
        assert_eq!(guards.map(str::trim_end), expected, "{text}");
    };
    let both = "at most 99 users, stop after 30 min 0 s, stop after an outage of 5 min 0 s";
    check("--max-users 99 --max-duration 30m --max-outage 5m", Some(both));
    check("--max-outage 900s", None);
}

#[test]
fn production_requires_the_number_of_users() {
    if !is_installed("script") {
        return;
    }
    for typed in ["y\n", "11\n", "\n", "\u{4}"] {
        let stage = production_stage();
        check_refused(&stage, &run_on_terminal(&stage, "\"$BU\" run ids.txt", typed));
        assert!(stage.sandbox().requests().is_empty());
    }
}

#[test]
fn development_accepts_y() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let shown = run_on_terminal(&stage, "\"$BU\" run ids.txt", "y\n");
    assert!(shown.text.contains("development"), "{}", shown.text);
    check_confirmed(&stage, &shown);
}

#[test]
fn development_refuses_any_other_answer() {
    if !is_installed("script") {
        return;
    }
    for typed in ["n\n", "\n", "12\n"] {
        let stage = stage();
        check_refused(&stage, &run_on_terminal(&stage, "\"$BU\" run ids.txt", typed));
        assert!(stage.sandbox().requests().is_empty());
    }
}

#[test]
fn prompt_reads_the_terminal_when_users_come_from_stdin() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let shown = run_on_terminal(&stage, "cat ids.txt | \"$BU\" run -o ids.results.csv", "y\n");
    check_confirmed(&stage, &shown);
    let stage = self::stage();
    check_refused(&stage, &run_on_terminal(&stage, "cat ids.txt | \"$BU\" run", "n\n"));
}

#[test]
fn prompt_requires_stderr_on_a_terminal() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let shown = run_on_terminal(&stage, "\"$BU\" run ids.txt 2>/dev/null", "");
    assert_eq!(shown.code, Some(5), "{}", shown.text);
    assert_eq!(stage.files(), ["ids.txt"]);
}

#[test]
fn prompt_after_a_look_up_counts_locked_users_and_no_leaves_no_file() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let n_locked = n_locked();
    let line = "\"$BU\" run ids.txt --only-locked";
    let shown = run_on_terminal(&stage, line, "n\n");
    let what = format!("About to unlock {n_locked} users.");
    assert!(shown.text.contains(&what), "{what:?} is not in\n{}", shown.text);
    check_refused(&stage, &shown);
    let shown = run_on_terminal(&stage, line, "y\n");
    assert_eq!(stage.n_posts(), n_locked, "{}", shown.text);
}

fn n_locked() -> usize {
    let population = Population::new(SEED);
    let is_to_unlock = |id: &&bulk_unlock::clerk::UserId| {
        let user = population.user(id);
        user.is_some_and(|user| user.is_locked() && !user.is_admin_locked())
    };
    users(N_USERS).iter().filter(is_to_unlock).count()
}

#[test]
fn ctrl_c_at_the_prompt_exits_before_and_after_a_look_up() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    for flag in ["", "--only-locked"] {
        let shown = run_on_terminal(&stage, &format!("exec \"$BU\" run ids.txt {flag}"), "\u{3}");
        assert_eq!(shown.code, Some(130), "{flag}: {}", shown.text);
        assert_eq!(stage.files(), ["ids.txt"], "{flag}");
        assert_eq!(stage.n_posts(), 0, "{flag}");
    }
}

/// The user has not seen the list, so the prompt describes it.
#[test]
fn prompt_of_all_locked_shows_users_listed_and_left_out() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let flags = "--all-locked --skip-banned --email-domain example.com";
    let shown = run_on_terminal(&stage, &format!("NO_COLOR=1 \"$BU\" run {flags} {FAST}"), "n\n");
    check_refused(&stage, &shown);
    let text = shown.text.replace('\r', "");
    let shown = text.lines().skip_while(|line| !line.starts_with("  list")).take(1);
    insta::assert_snapshot!(shown.collect::<String>(), @"  list      799 of 829 locked users are listed (978 users read): 41 with a lock that never expires. Left out by the API of 1,000 users, locked or not: --skip-banned: 22. Left out of 829 locked users: --email-domain: 0, locked on purpose: 30.");
}
