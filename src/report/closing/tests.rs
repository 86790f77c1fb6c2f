use super::*;
use crate::model::PauseReason;
use crate::report::console::tests::Sink;
use crate::stats::summary::{Files, Forecast, NextStep};
use crate::stats::testing::Story;
use crate::stats::{Ceiling, Size};

const PLAIN: Style = Style { color: false };

fn summary(story: &Story, command: CommandKind, ending: Ending) -> Summary {
    Summary::new(&story.stats, command, ending)
}

fn with_files(summary: Summary, stem: &str) -> Summary {
    let path = |end: &str| Some(format!("{stem}.{end}").into());
    let files = Files {
        results: path("csv"),
        failed: path("failed.csv"),
        unprocessed: path("unprocessed.csv"),
        manifest: path("manifest.json"),
        report: None,
    };
    Summary { files, ..summary }
}

fn next(why: &str, command: &str) -> NextStep {
    NextStep { look_first: None, why: why.into(), command: command.into() }
}

#[test]
fn a_run_in_which_all_ended_well() {
    let story = Story::of(200).rows(200, Outcome::Unlocked).at(2100);
    let summary = summary(&story, CommandKind::Run, Ending::Completed);
    insta::assert_snapshot!(text(&with_files(summary, "ids.results"), PLAIN), @"
    Done: unlocked 200 of 200 users in 2.1 s.

      unlocked  200  unlocked by this run

    200 requests, 0 retries, no 429.
    Latency: p50 80 ms, p99 80 ms, max 80 ms.

      results      ids.results.csv
      failed       ids.results.failed.csv  (0 rows)
      unprocessed  ids.results.unprocessed.csv  (0 records)
      manifest     ids.results.manifest.json
    ");
}

fn mixed() -> Summary {
    let story = Story::of(204)
        .invalid_row()
        .invalid_row()
        .unasked_rows(3, Outcome::Duplicate)
        .retries(20, 503, "http_503")
        .retries(17, 0, "timeout")
        .retries(2, 429, "http_429")
        .paused(PauseReason::Throttled, 12_000)
        .at(12_000)
        .resumed()
        .rows(196, Outcome::Unlocked)
        .attempts_take(0, 1240)
        .failed_row(
            Outcome::NotFound,
            404,
            "resource_not_found",
            "No user was found with id user_202.",
        )
        .failed_row(
            Outcome::NotFound,
            404,
            "resource_not_found",
            "No user was found with id user_203.",
        )
        .failed_row(
            Outcome::Failed,
            503,
            "http_503",
            "<html>\u{1b}[2J\n<h1>Service\u{202e} Unavailable</h1>",
        )
        .at(14_200);
    let mut summary =
        with_files(summary(&story, CommandKind::Run, Ending::Completed), "ids.results");
    summary.next = Some(next(
        "To try again what may yet succeed",
        "bulk-unlock run ids.results.csv --retry-failed -o ids.again.csv",
    ));
    summary
}

#[test]
fn a_run_in_which_some_did_not_end_well() {
    insta::assert_snapshot!(text(&mixed(), PLAIN), @r#"
    Done: unlocked 196 of 204 users in 14 s.

      unlocked   196  unlocked by this run
      duplicate    3  same user as on an earlier line
      not_found    2  user does not exist
      invalid      2  not a valid user; nothing was sent
      failed       1  all retries failed; a later retry may succeed

    Most frequent errors, each with its first example:
      invalid_user_id     2  line 2 user_1: a user id starts with "user_"
      resource_not_found  2  line 203 user_202: No user was found with id user_202.
      http_503            1  line 205 user_204: <html> [2J <h1>Service� Unavailable</h1>

    238 requests, 37 retries (http_503 20, timeout 17), 2 answered 429, paused for 12 s.
    Latency: p50 80 ms, p99 1.2 s, max 1.2 s.

      results      ids.results.csv
      failed       ids.results.failed.csv  (5 rows)
      unprocessed  ids.results.unprocessed.csv  (0 records)
      manifest     ids.results.manifest.json

    To try again what may yet succeed:
      bulk-unlock run ids.results.csv --retry-failed -o ids.again.csv
    "#);
}

#[test]
fn colors_do_not_change_the_text() {
    insta::assert_snapshot!(text(&mixed(), Style { color: true }).replace('\u{1b}', "ESC"), @r#"
    ESC[1mDone: unlocked 196 of 204 users in 14 s.ESC[0m

      unlocked   ESC[32m196ESC[0m  ESC[2munlocked by this runESC[0m
      duplicate  ESC[32m  3ESC[0m  ESC[2msame user as on an earlier lineESC[0m
      not_found  ESC[31m  2ESC[0m  ESC[2muser does not existESC[0m
      invalid    ESC[31m  2ESC[0m  ESC[2mnot a valid user; nothing was sentESC[0m
      failed     ESC[31m  1ESC[0m  ESC[2mall retries failed; a later retry may succeedESC[0m

    Most frequent errors, each with its first example:
      invalid_user_id     2  ESC[2mline 2 user_1: a user id starts with "user_"ESC[0m
      resource_not_found  2  ESC[2mline 203 user_202: No user was found with id user_202.ESC[0m
      http_503            1  ESC[2mline 205 user_204: <html> [2J <h1>Service� Unavailable</h1>ESC[0m

    238 requests, 37 retries (http_503 20, timeout 17), 2 answered 429, paused for 12 s.
    Latency: p50 80 ms, p99 1.2 s, max 1.2 s.

      results      ids.results.csv
      failed       ids.results.failed.csvESC[2m  (5 rows)ESC[0m
      unprocessed  ids.results.unprocessed.csvESC[2m  (0 records)ESC[0m
      manifest     ids.results.manifest.json

    To try again what may yet succeed:
      ESC[1mbulk-unlock run ids.results.csv --retry-failed -o ids.again.csvESC[0m
    "#);
}

#[test]
fn a_run_that_a_guard_stopped() {
    let story = Story::of(5000)
        .rows(114, Outcome::Unlocked)
        .unasked_rows(6, Outcome::StillLocked)
        .stopping(StopReason::MaxFail)
        .at(2000);
    let ending = Ending::Stopped(StopReason::MaxFail);
    let mut summary = with_files(summary(&story, CommandKind::Run, ending), "ids.results");
    summary.next = Some(next("To go on", "bulk-unlock run ids.csv --resume --max-fail 50"));
    insta::assert_snapshot!(text(&summary, PLAIN), @"
    Stopped by --max-fail after 120 of 5,000 records: 4,880 not processed.

      unlocked        114  unlocked by this run
      still_locked      6  answered 200, but still locked
      unprocessed   4,880  not attempted or interrupted

    114 requests, 0 retries, no 429.
    Latency: p50 80 ms, p99 80 ms, max 80 ms.

      results      ids.results.csv
      failed       ids.results.failed.csv  (6 rows)
      unprocessed  ids.results.unprocessed.csv  (4,880 records)
      manifest     ids.results.manifest.json

    To go on:
      bulk-unlock run ids.csv --resume --max-fail 50
    ");
}

#[test]
fn each_reason_to_stop_has_its_headline() {
    let story = Story::of(5000).rows(120, Outcome::Unlocked);
    let headlines = [
        StopReason::MaxDuration,
        StopReason::Canary,
        StopReason::MaxFail,
        StopReason::Outage,
        StopReason::Interrupted,
        StopReason::Terminated,
        StopReason::Forbidden,
        StopReason::Unauthorized,
        StopReason::OutputFailed,
    ]
    .map(|reason| headline(&summary(&story, CommandKind::Run, Ending::Stopped(reason))));
    insta::assert_snapshot!(headlines.join("\n"), @"
        Stopped by --max-duration after 120 of 5,000 records: 4,880 not processed.
        Stopped by --canary (not all of the first users ended well) after 120 of 5,000 records: 4,880 not processed.
        Stopped by --max-fail after 120 of 5,000 records: 4,880 not processed.
        Stopped by an outage of the API after 120 of 5,000 records: 4,880 not processed.
        Stopped by Ctrl-C after 120 of 5,000 records: 4,880 not processed.
        Stopped by SIGTERM after 120 of 5,000 records: 4,880 not processed.
        Stopped because the key may not do this (402 or 403 for every user) after 120 of 5,000 records: 4,880 not processed.
        Stopped because the secret key was refused (401) after 120 of 5,000 records: 4,880 not processed.
        Stopped because the results can't be written after 120 of 5,000 records: 4,880 not processed.
        ");
}

#[test]
fn the_other_endings() {
    let story = Story::of(3).rows(2, Outcome::Unlocked);
    let of = |ending| headline(&summary(&story, CommandKind::Run, ending));
    insta::assert_snapshot!(of(Ending::NotConfirmed), @"Not confirmed: nothing was sent.");
    insta::assert_snapshot!(of(Ending::Unaccounted), @"The accounting does not add up: 3 records, but 2 rows and 1 unprocessed. This is a bug.");
    let nothing = summary(&Story::of(0), CommandKind::Run, Ending::Completed);
    insta::assert_snapshot!(text(&nothing, PLAIN), @"Done: the input has no records.");
}

#[test]
fn a_plan() {
    let story = Story::of(2000)
        .lookups(20)
        .unasked_rows(1497, Outcome::WouldUnlock)
        .banned_row()
        .banned_row()
        .banned_row()
        .unasked_rows(480, Outcome::AlreadyUnlocked)
        .unasked_rows(12, Outcome::AdminLocked)
        .unasked_rows(8, Outcome::NotFound)
        .at(900);
    let mut summary = with_files(summary(&story, CommandKind::Plan, Ending::Completed), "ids.plan");
    summary.forecast = Some(Forecast {
        n_requests: 1515,
        takes: Duration::from_millis(11_300),
        ceiling: Ceiling { n_requests: 800, per: Duration::from_secs(10), is_spaced: true },
    });
    summary.next = Some(next("To unlock them", "bulk-unlock run --plan ids.plan.csv"));
    insta::assert_snapshot!(text(&summary, PLAIN), @"
    Planned: `run` would unlock 1,500 of 2,000 users. Nothing was changed.

      would_unlock      1,500  locked; the run would unlock this user
      already_unlocked    480  not locked; no unlock request was sent
      admin_locked         12  looks locked on purpose; not changed
      not_found             8  user does not exist

    warning: 3 users are banned; unlocking does not lift a ban.

    20 requests (20 look-ups), 0 retries, no 429.
    Latency: p50 80 ms, p99 80 ms, max 80 ms.

      plan         ids.plan.csv
      failed       ids.plan.failed.csv  (20 rows)
      unprocessed  ids.plan.unprocessed.csv  (0 records)
      manifest     ids.plan.manifest.json

    Forecast: 1,500 users to unlock, 1,515 requests, about 11 s at 80/s.

    To unlock them:
      bulk-unlock run --plan ids.plan.csv
    ");
}

#[test]
fn a_verification() {
    let story = Story::of(198)
        .lookups(2)
        .unasked_rows(195, Outcome::StillUnlocked)
        .unasked_rows(2, Outcome::LockedAgain)
        .unasked_rows(1, Outcome::Gone)
        .at(400);
    let summary = summary(&story, CommandKind::Verify, Ending::Completed);
    insta::assert_snapshot!(text(&summary, PLAIN), @"
    Verified: 195 of 198 users are still unlocked.

      still_unlocked  195  read back: not locked
      locked_again      2  read back: locked again
      gone              1  read back: user no longer exists

    2 requests (2 look-ups), 0 retries, no 429.
    Latency: p50 80 ms, p99 80 ms, max 80 ms.
    ");
}

#[test]
fn a_resumed_run_shows_earlier_rows() {
    let earlier = Story::of(150).rows(150, Outcome::Unlocked).stats.rows.clone();
    let mut story = Story::with(Size { n_records: 200, n_jobs: 50 });
    story.stats = story.stats.resuming(earlier);
    let story = story.rows(50, Outcome::Unlocked).at(600);
    insta::assert_snapshot!(text(&summary(&story, CommandKind::Run, Ending::Completed), PLAIN), @"
    Done: unlocked 200 of 200 users in 600 ms.
    150 rows are from an earlier run.

      unlocked  200  unlocked by this run

    50 requests, 0 retries, no 429.
    Latency: p50 80 ms, p99 80 ms, max 80 ms.
    ");
}

#[test]
fn further_codes_are_counted() {
    let codes = ["a", "b", "c", "d", "e", "f", "g"];
    let story = codes
        .into_iter()
        .fold(Story::of(7), |story, code| story.failed_row(Outcome::Rejected, 422, code, "no"));
    let text = errors(&summary(&story, CommandKind::Run, Ending::Completed), PLAIN);
    insta::assert_snapshot!(text, @"
        Most frequent errors, each with its first example:
          a  1  line 2 user_1: no
          b  1  line 3 user_2: no
          c  1  line 4 user_3: no
          d  1  line 5 user_4: no
          e  1  line 6 user_5: no
          and 2 codes more
        ");
}

#[test]
fn a_quiet_console_and_a_json_log_get_one_line() {
    let printed = |verbosity, format| {
        let sink = Sink::default();
        print(&mixed(), &sink.console_in(verbosity, format));
        sink.text()
    };
    assert_eq!(printed(Verbosity::Quiet, LogFormat::Text), headline(&mixed()) + "\n");
    assert_eq!(printed(Verbosity::Normal, LogFormat::Text), text(&mixed(), PLAIN));
    assert_eq!(printed(Verbosity::Normal, LogFormat::Json).lines().count(), 1);
}

#[test]
fn only_a_complete_plan_with_users_to_unlock_has_a_forecast() {
    let forecast = |outcome, ending| {
        let story = Story::of(9).lookups(1).unasked_rows(3, outcome);
        let mut summary = summary(&story, CommandKind::Plan, ending);
        summary.forecast = Some(Forecast {
            n_requests: 4,
            takes: Duration::from_millis(184),
            ceiling: Ceiling { n_requests: 800, per: Duration::from_secs(10), is_spaced: true },
        });
        text(&summary, PLAIN).lines().find(|it| it.starts_with("Forecast")).map(str::to_owned)
    };
    let complete = forecast(Outcome::WouldUnlock, Ending::Completed);
    let line = "Forecast: 3 users to unlock, 4 requests, about 1 s at 80/s.";
    assert_eq!(complete.as_deref(), Some(line));
    assert_eq!(forecast(Outcome::AlreadyUnlocked, Ending::Completed), None);
    assert_eq!(forecast(Outcome::WouldUnlock, Ending::Stopped(StopReason::Unauthorized)), None);
}
