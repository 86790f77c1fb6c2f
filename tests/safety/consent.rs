//! The question, asked at a terminal: `script` of util-linux makes one. Where it is missing, only
//! what needs no terminal is shown; in CI that is a failure.

use bulk_unlock::sandbox::Population;

use crate::common::lookups::admin_locked_users;
use crate::common::terminal::{Shown, at_a_terminal, typing_ahead};
use crate::common::tools::is_installed;
use crate::common::watch::{FAST, slow_config};
use crate::common::{SEED, Stage, list, locked_users, users};

const N_USERS: usize = 12;

fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

fn live_stage() -> Stage {
    let key = "sk_live_0123456789abcdefghijklmnopqrstuvwxyza1b2".to_owned();
    let stage = Stage::with_sandbox(slow_config("0").key(key));
    stage.write("ids.txt", list(&users(N_USERS)));
    stage
}

#[test]
fn without_a_terminal_and_without_yes_nothing_is_sent_and_no_file_is_left() {
    let stage = stage();
    stage.run("run ids.txt").exits_with(5).says("use --yes");
    stage.pipe(list(&users(3)), "run").exits_with(5).says("use --yes");
    assert_eq!(stage.files(), ["ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn the_sandbox_and_the_dry_run_ask_nothing() {
    let stage = stage();
    stage.run(&format!("run ids.txt --dry-run {FAST}")).exits_with(0);
    assert_eq!(stage.n_posts(), 0);
    stage.run("run ids.txt --sandbox --sandbox-latency 0 --sandbox-quota none").exits_with(0);
    assert_eq!(stage.n_posts(), 0);
}

#[track_caller]
fn is_confirmed(stage: &Stage, shown: &Shown) {
    assert_eq!(shown.code, Some(0), "{}", shown.text);
    stage.has_each_once("ids.results.csv", &users(N_USERS));
}

#[track_caller]
fn is_refused(stage: &Stage, shown: &Shown) {
    assert_eq!(shown.code, Some(5), "{}", shown.text);
    assert!(shown.text.contains("not confirmed; no user was unlocked"), "{}", shown.text);
    assert_eq!(stage.files(), ["ids.txt"]);
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn the_question_names_instance_host_key_users_pace_and_time() {
    if !is_installed("script") {
        return;
    }
    let stage = live_stage();
    let shown = at_a_terminal(&stage, "\"$BU\" run ids.txt", "12\n");
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
    is_confirmed(&stage, &shown);
}

#[test]
fn what_was_typed_before_the_question_is_no_answer() {
    if !is_installed("script") {
        return;
    }
    let key = "sk_live_0123456789abcdefghijklmnopqrstuvwxyza1b2".to_owned();
    let stage = Stage::with_sandbox(slow_config("300ms").key(key));
    stage.write("ids.txt", list(&locked_users(N_USERS)));
    let line = "\"$BU\" run ids.txt --only-locked";
    let shown = typing_ahead(&stage, line, "12\n12\n", "no\n");
    is_refused(&stage, &shown);
}

/// What was shown before the answer, of an instance that this key opens, without what differs from
/// run to run.
fn question(key: &str, flags: &str) -> String {
    let stage = Stage::with_sandbox(slow_config("0").key(key.to_owned()));
    stage.write("ids.txt", list(&users(N_USERS)));
    let shown = at_a_terminal(&stage, &format!("NO_COLOR=1 \"$BU\" run ids.txt {flags}"), "n\n");
    assert_eq!(stage.n_requests(), 0);
    let text = shown.text.replace('\r', "").replace(&stage.sandbox().addr().to_string(), "HOST");
    let (_, text) = text.split_once("\n\n").expect("what comes first, and the question");
    let (question, _) = text.split_once("n\n").expect("the question, and the answer");
    question.to_owned()
}

#[test]
fn the_question_is_this_for_each_kind_of_instance() {
    if !is_installed("script") {
        return;
    }
    let secret = "0123456789abcdefghijklmnopqrstuvwxyza1b2";
    insta::assert_snapshot!(question(&format!("sk_live_{secret}"), ""), @"
    About to unlock 12 users.
      instance  production (key sk_live_…a1b2)
      host      HOST
      pace      500 requests in 10 s (50 % of the quota), evenly spaced
      duration  about 1 s
      results   ids.results.csv
    Type the number of users (12) to continue:
    ");
    insta::assert_snapshot!(question(&format!("sk_test_{secret}"), "--limit 1 --rate 2/s"), @"
    About to unlock 1 user.
      instance  development (key sk_test_…a1b2)
      host      HOST
      pace      2 requests in 1 s, evenly spaced
      duration  about 1 s
      results   ids.results.csv
    Continue? [y/N]
    ");
    insta::assert_snapshot!(question(&format!("ak_{secret}"), "--quota-share 30% --burst"), @"
    About to unlock 12 users.
      instance  unknown, treated as production (key …a1b2)
      host      HOST
      pace      at most 30 requests in 10 s (30 % of the quota)
      duration  about 1 s
      results   ids.results.csv
    Type the number of users (12) to continue:
    ");
}

/// Who is left alone, what guards the run, and why it is.
#[test]
fn the_question_after_a_look_up_tells_who_is_left_out_and_what_guards_the_run() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let ids = [locked_users(3), admin_locked_users(2)].concat();
    stage.write("ids.txt", list(&ids) + "nobody\n");
    let flags = "--only-locked --canary 2 --max-fail 1% --reason 'INC 7'";
    let shown = at_a_terminal(&stage, &format!("NO_COLOR=1 \"$BU\" run ids.txt {flags}"), "n\n");
    let text = shown.text.replace('\r', "");
    let told = text.lines().skip_while(|line| !line.starts_with("  results")).take(4);
    insta::assert_snapshot!(told.collect::<Vec<_>>().join("\n"), @"
    results   ids.results.csv
    left out  2 admin_locked, 1 invalid
    guards    canary of 2 (the run continues by itself if all succeed), stop when 1 % of users fail
    reason    INC 7
    ");
}

#[test]
fn for_a_live_key_the_number_is_typed_and_nothing_else_will_do() {
    if !is_installed("script") {
        return;
    }
    for typed in ["y\n", "11\n", "\n", "\u{4}"] {
        let stage = live_stage();
        is_refused(&stage, &at_a_terminal(&stage, "\"$BU\" run ids.txt", typed));
        assert!(stage.sandbox().requests().is_empty());
    }
}

#[test]
fn for_a_test_key_a_y_will_do() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let shown = at_a_terminal(&stage, "\"$BU\" run ids.txt", "y\n");
    assert!(shown.text.contains("development"), "{}", shown.text);
    is_confirmed(&stage, &shown);
}

#[test]
fn no_is_no() {
    if !is_installed("script") {
        return;
    }
    for typed in ["n\n", "\n", "12\n"] {
        let stage = stage();
        is_refused(&stage, &at_a_terminal(&stage, "\"$BU\" run ids.txt", typed));
        assert!(stage.sandbox().requests().is_empty());
    }
}

#[test]
fn the_terminal_is_asked_even_when_the_users_come_from_stdin() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let shown = at_a_terminal(&stage, "cat ids.txt | \"$BU\" run -o ids.results.csv", "y\n");
    is_confirmed(&stage, &shown);
    let stage = self::stage();
    is_refused(&stage, &at_a_terminal(&stage, "cat ids.txt | \"$BU\" run", "n\n"));
}

#[test]
fn a_question_that_nobody_would_see_is_not_asked() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let shown = at_a_terminal(&stage, "\"$BU\" run ids.txt 2>/dev/null", "");
    assert_eq!(shown.code, Some(5), "{}", shown.text);
    assert_eq!(stage.files(), ["ids.txt"]);
}

#[test]
fn after_a_look_up_those_are_asked_about_who_are_locked_and_no_takes_the_files_away() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let n_locked = n_locked();
    let line = "\"$BU\" run ids.txt --only-locked";
    let shown = at_a_terminal(&stage, line, "n\n");
    let what = format!("About to unlock {n_locked} users.");
    assert!(shown.text.contains(&what), "{what:?} is not in\n{}", shown.text);
    is_refused(&stage, &shown);
    let shown = at_a_terminal(&stage, line, "y\n");
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
fn ctrl_c_at_the_question_ends_the_program_before_and_after_a_look_up() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    for flag in ["", "--only-locked"] {
        let shown = at_a_terminal(&stage, &format!("exec \"$BU\" run ids.txt {flag}"), "\u{3}");
        assert_eq!(shown.code, Some(130), "{flag}: {}", shown.text);
        assert_eq!(stage.files(), ["ids.txt"], "{flag}");
        assert_eq!(stage.n_posts(), 0, "{flag}");
    }
}

/// Nobody sees a list before the question is asked, so the question describes it.
#[test]
fn the_question_about_all_locked_users_says_who_is_listed_and_who_is_left_out() {
    if !is_installed("script") {
        return;
    }
    let stage = stage();
    let flags = "--all-locked --skip-banned --email-domain example.com";
    let shown = at_a_terminal(&stage, &format!("NO_COLOR=1 \"$BU\" run {flags} {FAST}"), "n\n");
    is_refused(&stage, &shown);
    let text = shown.text.replace('\r', "");
    let told = text.lines().skip_while(|line| !line.starts_with("  list")).take(1);
    insta::assert_snapshot!(told.collect::<String>(), @"  list      799 of 829 locked users are listed (978 users read): 41 with a lock that never expires. Left out by the API of 1,000 users, locked or not: --skip-banned: 22. Left out of 829 locked users: --email-domain: 0, locked on purpose: 30.");
}
