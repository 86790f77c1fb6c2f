//! What is said where stderr is no terminal.

mod common;

use bulk_unlock::sandbox::{Mode, Script, Scripted};
use common::{Ended, Stage, list, locked_users, missing_user, users};

/// Runs without a question, at a pace that keeps nobody waiting.
const RUN: &str = "run ids.csv --yes --quota 1000/1s";

/// A stage with a list of two users, a third who does not exist, and a line that is nobody.
fn stage() -> Stage {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[users(2), vec![missing_user()]].concat()) + "nobody\n");
    stage
}

/// What was said, with what differs from run to run replaced.
fn told(ended: &Ended) -> String {
    ended.steady().replace(missing_user().as_str(), "user_GONE")
}

#[test]
fn the_closing_lines_say_what_happened_and_where_the_files_are() {
    let ended = stage().run(RUN).exits_with(1);
    assert_eq!(ended.stdout, "");
    insta::assert_snapshot!(told(&ended), @r#"
    4 records; users are read from a plain list, one a line
    Done: 2 of 4 users unlocked in T.

      unlocked   2  unlocked by this run
      not_found  1  user does not exist
      invalid    1  not a valid user; nothing was sent

    Commonest errors, each with its first example:
      invalid_input       1  line 4 nobody: a user id starts with "user_"
      resource_not_found  1  line 3 user_GONE: No user was found with id user_GONE.

    3 requests, 0 retries, no 429.
    Answers: half within T, 99 % within T, the slowest after T.

      results      ids.results.csv
      failed       ids.results.failed.csv  (2 rows)
      unprocessed  ids.results.unprocessed.csv  (0 records)
      manifest     ids.results.manifest.json

    To check that the users are still unlocked:
      bulk-unlock verify ids.results.csv --quota 1000/1s
    "#);
}

#[test]
fn the_closing_lines_of_a_stop_name_the_command_that_goes_on() {
    let stage = Stage::with_quick_sandbox();
    let mut ids = vec![missing_user()];
    ids.extend(users(9));
    stage.write("my ids.csv", list(&ids));
    let ended = stage.run("run 'my ids.csv' -y --rate 1000/s --canary 1 --force").exits_with(3);
    insta::assert_snapshot!(told(&ended), @"
    10 records; users are read from a plain list, one a line
    Stopped by --canary (not all of the first users ended well) after 1 of 10 records: 9 not processed.

      not_found    1  user does not exist
      unprocessed  9  no row: never tried, or cut off

    Commonest errors, each with its first example:
      resource_not_found  1  line 1 user_GONE: No user was found with id user_GONE.

    1 request, 0 retries, no 429.
    Answers: half within T, 99 % within T, the slowest after T.

      results      my ids.results.csv
      failed       my ids.results.failed.csv  (1 row)
      unprocessed  my ids.results.unprocessed.csv  (9 records)
      manifest     my ids.results.manifest.json

    To go on from here:
      bulk-unlock run 'my ids.csv' --canary 1 --yes --rate 1000/s --resume
    ");
}

#[test]
fn the_closing_lines_of_a_plan_say_what_a_run_would_do() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[locked_users(3), vec![missing_user()]].concat()));
    let ended = stage.run("plan ids.csv --quota 1000/1s").exits_with(0);
    insta::assert_snapshot!(told(&ended), @"
    4 records; users are read from a plain list, one a line
    Plan: a run would unlock 3 of 4 users. Nothing was changed.

      would_unlock  3  locked; the run would unlock this user
      not_found     1  user does not exist

    Commonest errors, each with its first example:
      resource_not_found  1  line 4 user_GONE: no user has this user id

    1 request (1 look-up), 0 retries, no 429.
    Answers: half within T, 99 % within T, the slowest after T.

      plan         ids.plan.csv
      failed       ids.plan.failed.csv  (1 row)
      unprocessed  ids.plan.unprocessed.csv  (0 records)
      manifest     ids.plan.manifest.json

    The run: 3 users to unlock, 4 requests, about T at 800/s.

    To unlock these users:
      bulk-unlock run --quota 1000/1s --plan ids.plan.csv
    ");
}

#[test]
fn the_closing_lines_of_a_failure_name_the_command_that_tries_again() {
    let id = users(1).remove(0);
    let stage = Stage::with_script(Script::from([(id.clone(), [Scripted::status(503)].into())]));
    stage.write("ids.csv", list(&[id]));
    let ended = stage.run(&format!("{RUN} --max-retries 0")).exits_with(1);
    insta::assert_snapshot!(told(&ended), @"
    1 record; users are read from a plain list, one a line
    Done: 0 of 1 user unlocked in T.

      failed  1  all retries failed; a later retry may succeed

    Commonest errors, each with its first example:
      http_503  1  line 1 user_20CQupOStJJy6OYXwzhWVfF8nV2: Oops, an unexpected error occurred

    1 request, 0 retries, no 429.
    Answers: half within T, 99 % within T, the slowest after T.

      results      ids.results.csv
      failed       ids.results.failed.csv  (1 row)
      unprocessed  ids.results.unprocessed.csv  (0 records)
      manifest     ids.results.manifest.json

    To retry the users who may still be unlocked:
      bulk-unlock run ids.results.csv --retry-failed --yes --quota 1000/1s --max-retries 0
    ");
}

/// The command that the closing lines name, without the program's own name.
#[track_caller]
fn next_command(ended: &Ended) -> String {
    let program = concat!("  ", env!("CARGO_BIN_EXE_bulk-unlock"), " ");
    let line = ended.stderr.lines().last().and_then(|line| line.strip_prefix(program));
    line.unwrap_or_else(|| panic!("no command in\n{}", ended.stderr)).to_owned()
}

#[test]
fn the_command_that_goes_on_is_one_that_does() {
    let ids = [vec![missing_user()], locked_users(5)].concat();
    let answer = Scripted::status(503);
    let stage = Stage::with_script(Script::from([(ids[3].clone(), [answer].into())]));
    let rows = ids.iter().fold("team,id".to_owned(), |rows, id| rows + "\nred," + id.as_str());
    stage.write("it's mine.csv", rows);
    let flags = "--carry team --redact private_metadata --max-retries 0";
    let line = format!(r#"-y -o "my out.csv" --column ID --quota 1000/1s {flags}"#);
    let ended = stage.run(&format!(r#"run "it's mine.csv" {line} --canary 1 --force"#));
    let ended = stage.run(&next_command(&ended.exits_with(3))).exits_with(1);
    assert!(ended.line.contains("--resume") && !ended.line.contains("--force"));
    assert_eq!(stage.rows("my out.csv").len(), 6);
    let ended = stage.run(&next_command(&ended)).exits_with(0);
    assert_eq!(stage.rows("my out.results.csv").len(), 1);
    let ended = stage.run(&next_command(&ended)).exits_with(0);
    ended.says("Read back: 1 of 1 user is still unlocked.");
    assert_eq!(stage.rows("my out.results.verify.csv").len(), 1);
}

#[test]
fn the_command_that_runs_a_plan_does() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.csv", list(&[locked_users(3), vec![missing_user()]].concat()));
    let ended = stage.run("run -n ids.csv --quota 1000/1s --yes --max-users 9 --reason 'a b'");
    stage.run(&next_command(&ended.exits_with(0))).exits_with(0);
    assert_eq!(stage.column("ids.plan.results.csv", "outcome"), ["unlocked"; 3]);
    assert_eq!(stage.json("ids.plan.results.manifest.json")["reason"], "a b");
}

#[test]
fn the_command_that_tries_failed_look_ups_again_looks_up_by_the_same() {
    let stage = Stage::with_quick_sandbox();
    stage.write("who.csv", "email\nnobody@nowhere.example\n");
    stage.sandbox().set_mode(Mode::AllStatus(503));
    let line = "run who.csv --by email --yes --quota 1000/1s --max-retries 0";
    let ended = stage.run(line).exits_with(1);
    assert_eq!(stage.outcomes("who.results.csv"), ["2 failed"]);
    stage.sandbox().set_mode(Mode::Normal);
    stage.run(&next_command(&ended)).exits_with(1);
    assert_eq!(stage.outcomes("who.results.results.csv"), ["2 not_found"]);
}

#[test]
fn the_command_that_goes_on_with_piped_users_is_one_that_does() {
    let stage = Stage::with_quick_sandbox();
    let ids = [vec![missing_user()], users(4)].concat();
    let line = "run --yes --quota 1000/1s --canary 1";
    let ended = stage.pipe(list(&ids), line).exits_with(3).says("piped in again");
    stage.pipe(list(&ids), &next_command(&ended)).exits_with(1);
    assert_eq!(stage.rows("stdin.results.csv").len(), 5);
}

#[test]
fn quiet_is_one_closing_line_and_nothing_else() {
    let ended = stage().run(&format!("{RUN} -q")).exits_with(1);
    insta::assert_snapshot!(told(&ended), @"Done: 2 of 4 users unlocked in T.");
    assert_eq!(ended.stdout, "");
}

#[test]
fn quiet_says_errors() {
    let stage = stage();
    stage.write("ids.results.csv", "");
    let ended = stage.refuses(&format!("{RUN} -q"), 6);
    insta::assert_snapshot!(told(&ended), @"error: ids.results.csv already exists; use --resume to continue it, --force to overwrite it, or --output to name another file");
}

#[test]
fn verbose_tells_each_failed_attempt_and_each_row_that_did_not_end_well() {
    let id = users(1).remove(0);
    let stage = Stage::with_script(Script::from([(id.clone(), [Scripted::status(503)].into())]));
    stage.write("ids.csv", list(&[id.clone(), missing_user()]));
    let ended = stage.run(&format!("{RUN} -v")).exits_with(1);
    let said = told(&ended);
    assert!(said.contains(&format!("line 1 {id}: http_503 after T: ")), "{said}");
    assert!(said.contains("line 2 user_GONE: not_found (resource_not_found: "), "{said}");
    assert!(!said.contains(&format!("line 1 {id}: unlocked")), "{said}");
}

#[test]
fn very_verbose_tells_each_row_and_each_request() {
    let said = told(&stage().run(&format!("{RUN} -vv")).exits_with(1));
    assert!(said.contains(&format!("line 1 {}: unlocked (200 in T, waited T)", users(1)[0])));
}

#[test]
fn nothing_is_coloured_where_no_terminal_is_unless_color_says_always() {
    let mut stage = stage();
    let has_colour = |stage: &Stage, flags: &str| {
        stage.run(&format!("{RUN} --force {flags}")).exits_with(1).stderr.contains('\u{1b}')
    };
    assert!(!has_colour(&stage, ""));
    assert!(!has_colour(&stage, "--color auto"));
    assert!(!has_colour(&stage, "--color never"));
    assert!(has_colour(&stage, "--color always"));
    stage.set("NO_COLOR", "1");
    assert!(!has_colour(&stage, ""));
    // The flag goes before the variable.
    assert!(has_colour(&stage, "--color always"));
}

#[test]
fn control_characters_of_the_input_and_the_server_reach_no_screen() {
    let id = users(1).remove(0);
    let body = r#"{"errors":[{"message":"no\u001b[2Jno\u0007","code":"\u001b]0;x\u0007"}]}"#;
    let answer = Scripted::status(422).with_body(body);
    let stage = Stage::with_script(Script::from([(id.clone(), [answer].into())]));
    stage.write("ids.csv", format!("the\u{1b}[31m id,user_id\nx,{id}\ny,\u{1b}[2Jevil\u{7}\n"));
    let ended = stage.run(&format!("{RUN} -vv --column user_id")).exits_with(1);
    let is_moving = |c: char| c.is_control() && c != '\n';
    assert!(!ended.stderr.contains(is_moving), "{:?}", ended.stderr);
    let ended = stage.run(&format!("{RUN} --force --column none")).exits_with(2);
    assert!(!ended.stderr.contains(is_moving), "{:?}", ended.stderr);
}

#[test]
fn progress_none_and_lines_leave_a_short_run_without_any() {
    let stage = stage();
    for progress in ["auto", "lines", "none"] {
        let ended = stage.run(&format!("{RUN} --force --progress {progress}")).exits_with(1);
        ended.never_says("%):").says("Done: 2 of 4 users unlocked");
    }
}

#[test]
fn the_short_help_of_run_is_this() {
    let help = Stage::new().run("run -h").exits_with(0).stdout;
    insta::assert_snapshot!(help, @r#"
    Unlock every listed user and write the results CSV

    Usage: bulk-unlock run [OPTIONS] [INPUT]

    Options:
      -h, --help  Print help (see more with '--help')

    Input:
          --column <NAME|N>           The column that holds the users, by name or 1-based number
          --by <KIND>                 What that column holds [default: user-id] [possible values:
                                      user-id, email, phone, username, external-id]
          --limit <N>                 Only so many records
          --skip <N>                  Pass over so many records first
          --exclude <FILE>            Users never to touch: a file like the input
          --carry <COL,...>           Input columns to repeat in the results, or `all`
          --retry-failed              INPUT is a results file: only its rows that may yet succeed, into
                                      a new file
          --if-empty <WHAT>           An input without any record: fine, a warning, or an error
                                      [default: fail] [possible values: ok, warn, fail]
          --max-input-age <DURATION>  Refuse an input file that was changed longer ago
      [INPUT]                         CSV or a plain list of users; `-` is stdin, and so is none when
                                      stdin is no terminal

    Selection and consent:
      -n, --dry-run                  Plan instead of run: the same road, reads in place of unlocks
          --only-locked              Look users up first (100 a call) and unlock only those who are
                                     locked
          --plan <PLAN>              Run exactly the `would_unlock` rows of this plan file
          --plan-max-age <DURATION>  How old that plan may be [default: 24h]
          --canary <N>               Unlock so many first; stop there unless all of them end well
          --verify                   Read back what was unlocked, when the run is over
          --include-admin-locked     Also unlock users who look locked on purpose: locked with
                                     verification attempts left
          --expect-count <N>         Refuse to start when the number of users to unlock is another
          --max-users <N>            Refuse to start when the number of users to unlock is larger
      -y, --yes                      No question
          --reason <TEXT>            Why; kept in the manifest and on the report

    Execution:
          --quota <N/TIME>              The instance's documented quota [default: 1000/10s for
                                        `sk_live_`, 100/10s for `sk_test_`]
          --quota-share <PERCENT>       The part of it that this job may use; the rest is the live
                                        application's [default: 80%]
          --rate <N/TIME>               An even pace in place of quota and share, such as 80/s or 6000/m
      -c, --concurrency <N>             Requests in flight at most [default: 64]
          --max-retries <N>             Further attempts per user after the first; a 429 does not use
                                        one up [default: 8]
          --timeout <DURATION>          How long one attempt may take [default: 30s]
          --connect-timeout <DURATION>  How long connecting may take [default: 10s]
          --max-duration <DURATION>     Stop after this long: no new users, what is in flight ends
          --max-outage <DURATION>       How long the API may stop answering before the run is given up
                                        [default: 15m]
          --max-fail <N|N%>             Stop when so many users ended as `failed`, `rejected`,
                                        `still_locked` or `not_found`

    Output:
      -o, --output <PATH>       The results CSV; `-` is stdout [default: <input stem>.results.csv,
                                .plan.csv, .verify.csv]
          --resume              Go on with an existing file: users it records are not called again
          --force               Overwrite an existing file
          --snapshot <WHAT>     The returned user: whole JSON and columns, columns only, or neither
                                [default: full] [possible values: full, summary, none]
          --redact <FIELD,...>  Top-level fields of the user that are replaced by "[redacted]"
          --json                The summary as JSON on stdout
          --report <PATH>       Also write the page, one self-contained HTML file
          --report-pii          Names, addresses and messages on the page too, not ids alone

    Secrets and addresses:
          --secret-key-file <PATH>  A file that holds the secret key, in place of `CLERK_SECRET_KEY`
          --api-url <URL>           The API's address, in place of `CLERK_API_URL` [default: Clerk's
                                    own]
          --allow-http              Take an http: address that is not loopback: the key travels in the
                                    clear
          --ca-file <PEM>           Certificates (PEM) of a private authority, trusted beside the
                                    system's

    Sandbox:
          --sandbox                  Rehearse against a server inside the program: no key, no account,
                                     no question
          --sandbox-users <N>        How many users it lists [default: 10000]
          --sandbox-seed <N>         Another number, other users [default: 1]
          --sandbox-faults <FAULTS>  Faults it makes, such as 20% or reset=2%,500=5% [default: 0%]
          --sandbox-latency <RANGE>  How long it takes to answer, such as 20ms..200ms [default:
                                     50ms..250ms]
          --sandbox-quota <N/TIME>   Its rate limit, or none [default: 1000/10s]

    Terminal:
          --progress <HOW>  A bar on a terminal and lines elsewhere; or always one of them, or none
                            [default: auto] [possible values: auto, bar, lines, none]
      -q, --quiet           Only errors and one closing line
      -v, --verbose...      Each failed attempt and each row that did not end well; twice: each request
          --color <WHEN>    Colour [default: auto] [possible values: auto, always, never]
    "#);
}
