//! Output on stderr when it is not a terminal.

mod common;

use bulk_unlock::sandbox::{Mode, Script, Scripted};
use common::{Ended, Stage, list, locked_users, missing_user, users};

/// A run without a confirmation prompt, at a fast pace.
const RUN: &str = "run ids.csv --yes --quota 1000/1s";

/// A stage with a list of two users, a missing user, and an invalid line.
fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[users(2), vec![missing_user()]].concat()) + "nobody\n");
    stage
}

/// Stderr, with parts that differ between runs replaced.
fn stderr_of(ended: &Ended) -> String {
    ended.normalized_stderr().replace(missing_user().as_str(), "user_GONE")
}

#[test]
fn closing_lines_of_a_run_show_outcomes_and_files() {
    let ended = stage().run(RUN).exits_with(1);
    assert_eq!(ended.stdout, "");
    insta::assert_snapshot!(stderr_of(&ended), @r#"
    Read 4 records; user IDs from a plain list, one per line
    Done: unlocked 2 of 4 users in T.

      unlocked   2  unlocked by this run
      not_found  1  user does not exist
      invalid    1  not a valid user; nothing was sent

    Most frequent errors, each with its first example:
      invalid_input       1  line 4 nobody: a user id starts with "user_"
      resource_not_found  1  line 3 user_GONE: No user was found with id user_GONE.

    3 requests, 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      results      ids.results.csv
      failed       ids.results.failed.csv  (2 rows)
      unprocessed  ids.results.unprocessed.csv  (0 records)
      manifest     ids.results.manifest.json

    To check that they stay unlocked:
      bulk-unlock verify ids.results.csv --quota=1000/1s --api-url=http://127.0.0.1:PORT
    "#);
}

#[test]
fn closing_lines_of_a_stopped_run_print_the_resume_command() {
    let stage = Stage::with_quick_sandbox();
    let mut ids = vec![missing_user()];
    ids.extend(users(9));
    stage.write("my ids.csv", list(&ids));
    let ended = stage.run("run 'my ids.csv' -y --rate 1000/s --canary 1 --force").exits_with(3);
    insta::assert_snapshot!(stderr_of(&ended), @"
    Read 10 records; user IDs from a plain list, one per line
    Stopped by --canary (not all of the first users ended well) after 1 of 10 records: 9 not processed.

      not_found    1  user does not exist
      unprocessed  9  not attempted or interrupted

    Most frequent errors, each with its first example:
      resource_not_found  1  line 1 user_GONE: No user was found with id user_GONE.

    1 request, 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      results      my ids.results.csv
      failed       my ids.results.failed.csv  (1 row)
      unprocessed  my ids.results.unprocessed.csv  (9 records)
      manifest     my ids.results.manifest.json

    Look at the failures first: my ids.results.failed.csv
    To resume:
      bulk-unlock run 'my ids.csv' --yes --rate=1000/s --canary=1 --api-url=http://127.0.0.1:PORT --resume
    ");
}

#[test]
fn closing_lines_of_a_plan_print_the_run_command() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[locked_users(3), vec![missing_user()]].concat()));
    let ended = stage.run("plan ids.csv --quota 1000/1s").exits_with(0);
    insta::assert_snapshot!(stderr_of(&ended), @"
    Read 4 records; user IDs from a plain list, one per line
    Planned: `run` would unlock 3 of 4 users. Nothing was changed.

      would_unlock  3  locked; the run would unlock this user
      not_found     1  user does not exist

    Most frequent errors, each with its first example:
      resource_not_found  1  line 4 user_GONE: no user has this user ID

    1 request (1 look-up), 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      plan         ids.plan.csv
      sha256       HASH
      failed       ids.plan.failed.csv  (1 row)
      unprocessed  ids.plan.unprocessed.csv  (0 records)
      manifest     ids.plan.manifest.json

    Forecast: 3 users to unlock, 4 requests, about T at 500/s.

    To unlock them:
      bulk-unlock run --quota=1000/1s --api-url=http://127.0.0.1:PORT --plan=ids.plan.csv --plan-sha256=HASH
    ");
}

#[test]
fn closing_lines_of_a_failed_run_print_the_retry_command() {
    let id = users(1).remove(0);
    let stage = Stage::with_script(Script::from([(id.clone(), [Scripted::status(503)].into())]));
    stage.write("ids.csv", list(&[id]));
    let ended = stage.run(&format!("{RUN} --max-retries 0")).exits_with(1);
    insta::assert_snapshot!(stderr_of(&ended), @"
    Read 1 record; user IDs from a plain list, one per line
    Done: unlocked 0 of 1 user in T.

      failed  1  all retries failed; a later retry may succeed

    Most frequent errors, each with its first example:
      http_503  1  line 1 user_20CQupOStJJy6OYXwzhWVfF8nV2: Oops, an unexpected error occurred

    1 request, 0 retries, no 429.
    Latency: p50 T, p99 T, max T.

      results      ids.results.csv
      failed       ids.results.failed.csv  (1 row)
      unprocessed  ids.results.unprocessed.csv  (0 records)
      manifest     ids.results.manifest.json

    To retry the users that failed:
      bulk-unlock run ids.results.csv --yes --quota=1000/1s --max-retries=0 --api-url=http://127.0.0.1:PORT --retry-failed
    ");
}

#[test]
fn printed_commands_resume_retry_and_verify() {
    let ids = [vec![missing_user()], locked_users(5)].concat();
    let response = Scripted::status(503);
    let stage = Stage::with_script(Script::from([(ids[3].clone(), [response].into())]));
    let rows = ids.iter().fold("team,id".to_owned(), |rows, id| rows + "\nred," + id.as_str());
    stage.write("it's new.csv", rows);
    let flags = "--carry team --redact private_metadata --max-retries 0";
    let line = format!(r#"-y -o "my out.csv" --column ID --quota 1000/1s {flags}"#);
    let ended = stage.run(&format!(r#"run "it's new.csv" {line} --canary 1 --force"#));
    let ended = stage.run(&ended.exits_with(3).next_command()).exits_with(1);
    assert!(ended.line.contains("--resume") && !ended.line.contains("--force"));
    assert_eq!(stage.rows("my out.csv").len(), 6);
    let ended = stage.run(&ended.next_command()).exits_with(0);
    assert_eq!(stage.rows("my out.results.csv").len(), 1);
    let ended = stage.run(&ended.next_command()).exits_with(0);
    ended.prints("Verified: 1 of 1 user is still unlocked.");
    assert_eq!(stage.rows("my out.results.verify.csv").len(), 1);
}

#[test]
fn printed_command_runs_the_plan() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[locked_users(3), vec![missing_user()]].concat()));
    let ended = stage.run("run -n ids.csv --quota 1000/1s --yes --max-users 9 --reason 'a b'");
    stage.run(&ended.exits_with(0).next_command()).exits_with(0);
    assert_eq!(stage.column("ids.plan.results.csv", "outcome"), ["unlocked"; 3]);
    assert_eq!(stage.json("ids.plan.results.manifest.json")["reason"], "a b");
}

#[test]
fn printed_retry_command_keeps_the_identifier_kind() {
    let stage = Stage::with_quick_sandbox();
    stage.write("who.csv", "email\nnobody@nowhere.example\n");
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let line = "run who.csv --by email --yes --quota 1000/1s --max-retries 0";
    let ended = stage.run(line).exits_with(1);
    assert_eq!(stage.outcomes("who.results.csv"), ["2 failed"]);
    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&ended.next_command()).exits_with(1);
    assert_eq!(stage.outcomes("who.results.results.csv"), ["2 not_found"]);
}

#[test]
fn printed_command_resumes_a_run_of_piped_users() {
    let stage = Stage::with_quick_sandbox();
    let ids = [vec![missing_user()], users(4)].concat();
    let line = "run --yes --quota 1000/1s --canary 1";
    let ended = stage.pipe(list(&ids), line).exits_with(3).prints("with the same users on stdin");
    stage.pipe(list(&ids), &ended.next_command()).exits_with(1);
    assert_eq!(stage.rows("stdin.results.csv").len(), 5);
}

#[test]
fn quiet_prints_one_closing_line() {
    let ended = stage().run(&format!("{RUN} -q")).exits_with(1);
    insta::assert_snapshot!(stderr_of(&ended), @"Done: unlocked 2 of 4 users in T.");
    assert_eq!(ended.stdout, "");
}

#[test]
fn quiet_prints_errors() {
    let stage = stage();
    stage.write("ids.results.csv", "");
    let ended = stage.run_refused(&format!("{RUN} -q"), 6);
    insta::assert_snapshot!(stderr_of(&ended), @"error: ids.results.csv already exists; use --resume to continue it, --force to overwrite it, or --output to name another file");
}

#[test]
fn verbose_prints_failed_attempts_and_bad_rows() {
    let id = users(1).remove(0);
    let stage = Stage::with_script(Script::from([(id.clone(), [Scripted::status(503)].into())]));
    stage.write("ids.csv", list(&[id.clone(), missing_user()]));
    let ended = stage.run(&format!("{RUN} -v")).exits_with(1);
    let stderr = stderr_of(&ended);
    assert!(stderr.contains(&format!("line 1 {id}: http_503 after T: ")), "{stderr}");
    assert!(stderr.contains("line 2 user_GONE: not_found (resource_not_found: "), "{stderr}");
    assert!(!stderr.contains(&format!("line 1 {id}: unlocked")), "{stderr}");
}

#[test]
fn very_verbose_prints_every_row_and_request() {
    let stderr = stderr_of(&stage().run(&format!("{RUN} -vv")).exits_with(1));
    assert!(stderr.contains(&format!("line 1 {}: unlocked (200 in T, waited T)", users(1)[0])));
}

#[test]
fn color_without_a_terminal_requires_color_always() {
    let mut stage = stage();
    let has_color = |stage: &Stage, flags: &str| {
        stage.run(&format!("{RUN} --force {flags}")).exits_with(1).stderr.contains('\u{1b}')
    };
    assert!(!has_color(&stage, ""));
    assert!(!has_color(&stage, "--color auto"));
    assert!(!has_color(&stage, "--color never"));
    assert!(has_color(&stage, "--color always"));
    stage.set("NO_COLOR", "1");
    assert!(!has_color(&stage, ""));
    // The flag takes precedence over the variable.
    assert!(has_color(&stage, "--color always"));
}

#[test]
fn control_characters_of_input_and_server_are_not_printed() {
    let id = users(1).remove(0);
    let body = r#"{"errors":[{"message":"no\u001b[2Jno\u0007","code":"\u001b]0;x\u0007"}]}"#;
    let response = Scripted::status(422).with_body(body);
    let stage = Stage::with_script(Script::from([(id.clone(), [response].into())]));
    stage.write("ids.csv", format!("the\u{1b}[31m id,user_id\nx,{id}\ny,\u{1b}[2Jevil\u{7}\n"));
    let ended = stage.run(&format!("{RUN} -vv --column user_id")).exits_with(1);
    let is_control = |c: char| c.is_control() && c != '\n';
    assert!(!ended.stderr.contains(is_control), "{:?}", ended.stderr);
    let ended = stage.run(&format!("{RUN} --force --column none")).exits_with(2);
    assert!(!ended.stderr.contains(is_control), "{:?}", ended.stderr);
}

#[test]
fn short_run_prints_no_progress() {
    let stage = stage();
    for progress in ["auto", "lines", "none"] {
        let ended = stage.run(&format!("{RUN} --force --progress {progress}")).exits_with(1);
        ended.does_not_print("%):").prints("Done: unlocked 2 of 4 users");
    }
}

#[test]
fn short_help_of_run() {
    let help = Stage::new().run("run -h").exits_with(0).stdout;
    insta::assert_snapshot!(help, @"
    Unlock every listed user and write the results CSV

    Usage: bulk-unlock run [OPTIONS] [INPUT]

    Options:
      -h, --help  Print help (see more with '--help')

    Input:
          --column <NAME|N>  Column that holds the users, by name or number
          --by <KIND>        What the column holds: user-id, email, phone, username, external-id
                             [default: user-id]
          --exclude <FILE>   File of users who must not be changed
          --retry-failed     Process the failed rows of a results file again
          --all-locked       Use all locked users of the instance as the input
      [INPUT]                CSV or plain list of users; `-` is stdin

    Selection and consent:
      -n, --dry-run        Show what would be done, without changing anything
          --only-locked    Look users up first; unlock only locked ones
          --plan <PLAN>    Unlock exactly the `would_unlock` rows of a plan
      -y, --yes            Skip the confirmation prompt
          --reason <TEXT>  Reason to record, such as a ticket ID
          --max-users <N>  Refuse to unlock more than N users
          --canary <N>     Unlock N users first; stop unless all succeed

    Execution:
          --quota-share <PERCENT>  Part of the rate limit to use [default: 50%]
          --rate <N/TIME>          Even pace in place of a share, such as 80/s
          --max-fail <N|N%>        Stop when this many users fail

    Output:
      -o, --output <PATH>       Results CSV; `-` is stdout
          --resume              Skip users already in the results file
          --force               Overwrite an existing results file
          --report <PATH.html>  Also write a self-contained HTML page
          --verify              Check at the end that users stay unlocked

    Secrets and addresses:
          --secret-key-file <PATH>  File with the key, instead of `CLERK_SECRET_KEY`

    Sandbox:
          --sandbox  Use a built-in server: no key, no account

    Terminal:
      -q, --quiet       Show only errors and one closing line
      -v, --verbose...  Show failed attempts; twice: every request

    Use --help for all flags, examples, and exit codes.
    ");
}
