//! The page as text, section by section.

use super::*;

/// What a section says, by the id of its heading.
fn section(page: &str, id: &str) -> String {
    let (_, rest) = page.split_once(&format!("<h2 id=\"{id}\">")).unwrap();
    text_of(&format!("<body>{}<script>", rest.split_once("</section>").unwrap().0))
}

fn of_a_run(id: &str) -> String {
    section(&html(&facts()), id)
}

/// Two files, of runs side by side and of one on the next day.
fn two_shards() -> String {
    let mut facts = facts();
    facts.sources[0].n_records = Some(1);
    facts.sources.push(Source {
        name: "second.results.csv".to_owned(),
        host: Some("api.eu.example".to_owned()),
        n_records: Some(1),
        passes: vec![pass(2), pass(90_000)],
        ..source()
    });
    let second = TableRow { source: 1, ..failed(9, Outcome::Failed, "http_503") };
    let first = failed(2, Outcome::Failed, "http_503");
    facts.rows = [second, first].into_iter().collect();
    html(&facts)
}

#[test]
fn the_head_and_the_foot() {
    let page = html(&facts());
    let (head, _) = page.split_once("<main>").unwrap();
    let (_, foot) = page.split_once("</main>").unwrap();
    insta::assert_snapshot!(text_of(&format!("{head}{foot}")), @"
            bulk-unlock
            Unlock run
            4 of 8 records did not end well.
            3 users unlocked. 4 records are left to look at.
            Records 8 100 %;
            Ended well 4 50 %;
            Did not end well 4 50 %;
            Not processed 0 0 %;
            This page names users by their ids alone. Names, addresses and messages that may quote them are left out.
            Made by bulk-unlock 0.1.0 on 2026-01-31 03:22:45 UTC. Times are in UTC.
            ");
}

#[test]
fn the_job() {
    insta::assert_snapshot!(of_a_run("job"), @"
            The job
            Why: INC-4312
            What: Users were unlocked
            Instance: live
            Host: api.clerk.com
            Key: sk_live_…a1b2
            Began: 2026-01-31 03:12:45 UTC
            Ended: 2026-01-31 03:13:46 UTC, after 1 min 1 s
            How it ended: ran to its end (exit code 1)
            Program: bulk-unlock 0.1.0
            Command: bulk-unlock run ids.csv
            Files, and the SHA-256 of each
            Role | Name | SHA-256
            input | ids.csv | 5feceb66
            results | ids.results.csv | 5feceb66
            ");
}

#[test]
fn the_outcomes_as_a_bar_and_as_a_table() {
    insta::assert_snapshot!(of_a_run("outcomes"), @"
            Outcomes
            Records by outcome
            3 unlocked, 1 duplicate, 1 admin_locked, 1 invalid, 1 rejected, 1 failed
            unlocked: 3
            duplicate: 1
            admin_locked: 1
            invalid: 1
            rejected: 1
            failed: 1
            Records by outcome. 8 records = 8 rows + 0 without a row.
            Outcome | Records | Share |  | Meaning
            unlocked | 3 | 37.5 % |  | unlocked by this run
            duplicate | 1 | 12.5 % |  | same user as on an earlier line
            admin_locked | 1 | 12.5 % |  | looks locked on purpose; not changed
            invalid | 1 | 12.5 % |  | not a valid user; nothing was sent
            rejected | 1 | 12.5 % |  | refused by the API
            failed | 1 | 12.5 % |  | all retries failed; a later retry may succeed
            ");
}

#[test]
fn what_goes_on_next() {
    insta::assert_snapshot!(of_a_run("next"), @"
            What goes on next
            To try again those that may yet succeed:
            bulk-unlock run --retry-failed ids.results.csv
            1 admin_locked: Most likely locked on purpose. Find out by whom and why before unlocking any of them.
            1 invalid: Correct these lines of the list.
            1 rejected: Read the code below; trying again will not help by itself.
            1 failed: Try again: nothing speaks against them.
            ");
    let done = Facts { rows: Rows::default(), next: Vec::new(), ..facts() };
    let done = Facts { sources: vec![Source { n_records: Some(0), ..source() }], ..done };
    insta::assert_snapshot!(section(&html(&done), "next"), @"
            What goes on next
            Nothing is left to do.
            ");
}

#[test]
fn the_errors() {
    insta::assert_snapshot!(of_a_run("errors"), @"
            Errors
            Records that did not end well, by code.
            Code | Records | Meaning | The first of them
            http_503 | 1 | The API had a fault of its own. | line 5 user_5;
            invalid_input | 1 | The cell can't be a user; nothing was sent. | line 7;
            (unusual code) | 1 | The API's own code. | line 8 user_8;
            ");
    insta::assert_snapshot!(section(&html(&Facts { rows: Rows::default(), ..facts() }), "errors"), @"
            Errors
            No errors.
            ");
}

#[test]
fn the_requests() {
    insta::assert_snapshot!(of_a_run("requests"), @"
            Requests
            12 requests (1 look-up), 2 retries, 1 answered 429, paused for 2.5 s.
            Requests a second, from 2026-01-31 03:12:45 UTC
            Requests a second, from 2026-01-31 03:12:45 UTC
            From 03:12:45 to 03:12:48 UTC, in columns of 1 s: at most 5 requests a second on average; 1 answered 429, 1 failed otherwise.
            0
            2
            4
            6
            03:12:45
            03:12:46
            03:12:47
            03:12:48
            answered; 429; failed otherwise;
            From 03:12:45 to 03:12:48 UTC, in columns of 1 s: at most 5 requests a second on average; 1 answered 429, 1 failed otherwise.
            The same as a table
            Requests in each column of the chart
            From (UTC) | Requests | 429 | Failed
            03:12:45 | 5 | 0 | 0
            03:12:46 | 4 | 0 | 1
            03:12:47 | 3 | 1 | 0
            Each start of the program
            Began (UTC) | Took | Requests | Look-ups | Retries | 429s | Paused | How it ended
            2026-01-31 03:12:45 | 1 min 1 s | 12 | 1 | 2 | 1 | 2.5 s | ran to its end
            ");
}

#[test]
fn the_latency_and_the_attempts() {
    insta::assert_snapshot!(of_a_run("latency"), @"
            Latency and attempts
            Answers: how long each request took
            Began (UTC) | p50 | p90 | p99 | Slowest
            2026-01-31 03:12:45 | 80 ms | 120 ms | 900 ms | 1.2 s
            Users: from the first attempt to the last answer; the slowest took 1 min 1 s
            Time | Users | Share
            100 ms – 150 ms | 1 | 20 %
            150 ms – 200 ms | 1 | 20 %
            200 ms – 300 ms | 1 | 20 %
            300 ms – 500 ms | 0 | 0 %
            500 ms – 1 s | 0 | 0 %
            1 s – 2 s | 0 | 0 %
            2 s – 5 s | 0 | 0 %
            5 s – 10 s | 0 | 0 %
            10 s – 30 s | 0 | 0 %
            30 s – 1 min | 0 | 0 %
            1 min – 5 min | 2 | 40 %
            Users by number of attempts
            Attempts | Users | Share
            none of its own | 3 | 37.5 %
            1 attempt | 3 | 37.5 %
            9 attempts | 2 | 25 %
            ");
}

#[test]
fn the_sign_off() {
    insta::assert_snapshot!(of_a_run("sign"), @"
            Sign-off
            I have read this report, and that what it says is left to do is done or has an owner.
            Signatures
            Role | Name | Date | Signature
            Incident lead
            Carried out by
            Reviewed by
            ");
}

#[test]
fn the_users() {
    insta::assert_snapshot!(of_a_run("users-heading"), @"
            Users
            Search
            Outcome alladmin_lockedinvalidrejectedfailedunlockedduplicate
            8 rows, those that did not end well first.
            User | Line | Code | Lock | Attempts | Ended (UTC)
            admin_locked – looks locked on purpose; not changed (1 row)
            user_6 | 6 |  | locked, does not end by itself; 3 sign-in attempts left
            invalid – not a valid user; nothing was sent (1 row)
            (not shown) | 7 | invalid_input |  |  | 2026-01-31 03:13:46
            rejected – refused by the API (1 row)
            user_8 | 8 | (unusual code) |  | 9 | 2026-01-31 03:13:46
            failed – all retries failed; a later retry may succeed (1 row)
            user_5 | 5 | http_503 |  | 9 | 2026-01-31 03:13:46
            unlocked – unlocked by this run (3 rows)
            user_2 | 2 |  |  | 1 | 2026-01-31 03:12:47
            user_3 | 3 |  |  | 1 | 2026-01-31 03:12:48
            user_4 | 4 |  |  | 1 | 2026-01-31 03:12:49
            duplicate – same user as on an earlier line (1 row)
            user_9 | 9
            ");
}

#[test]
fn the_users_with_all_that_is_known_of_them() {
    let page = render(&facts(), true).unwrap();
    insta::assert_snapshot!(section(&page, "users-heading"), @"
            Users
            Search
            Outcome alladmin_lockedinvalidrejectedfailedunlockedduplicate
            8 rows, those that did not end well first.
            User | Line | Code | Lock | Attempts | Ended (UTC) | Email | Name | Message
            admin_locked – looks locked on purpose; not changed (1 row)
            user_6 | 6 |  | locked, does not end by itself; 3 sign-in attempts left
            invalid – not a valid user; nothing was sent (1 row)
            private-cell@x.org | 7 | invalid_input |  |  | 2026-01-31 03:13:46 | private-email@x.org | private-first private-last @private-username | taken by private-message@x.org
            rejected – refused by the API (1 row)
            user_8 | 8 | private code@x.org |  | 9 | 2026-01-31 03:13:46 | private-email@x.org | private-first private-last @private-username | taken by private-message@x.org
            failed – all retries failed; a later retry may succeed (1 row)
            user_5 | 5 | http_503 |  | 9 | 2026-01-31 03:13:46 | private-email@x.org | private-first private-last @private-username | taken by private-message@x.org
            unlocked – unlocked by this run (3 rows)
            user_2 | 2 |  |  | 1 | 2026-01-31 03:12:47
            user_3 | 3 |  |  | 1 | 2026-01-31 03:12:48
            user_4 | 4 |  |  | 1 | 2026-01-31 03:12:49
            duplicate – same user as on an earlier line (1 row)
            user_9 | 9
            ");
}

#[test]
fn the_job_of_two_shards() {
    let page = two_shards();
    assert!(page.contains("<title>Unlock run, 2 files – api.clerk.com</title>"));
    insta::assert_snapshot!(section(&page, "job"), @"
            The job
            Why: INC-4312
            What: Users were unlocked
            Instance: live
            Host: api.clerk.com api.eu.example
            Key: sk_live_…a1b2
            Began: 2026-01-31 03:12:45 UTC
            Ended: 2026-01-31 03:13:46 UTC, after 1 min 1 s
            How it ended: ran to its end (exit code 1)
            Program: bulk-unlock 0.1.0
            Command: bulk-unlock run ids.csv
            Files, and the SHA-256 of each
            Role | Name | SHA-256
            input | ids.csv | 5feceb66
            results | ids.results.csv | 5feceb66
            ");
}

#[test]
fn the_users_and_errors_of_two_shards_name_the_file() {
    insta::assert_snapshot!(section(&two_shards(), "errors"), @"
            Errors
            Records that did not end well, by code.
            Code | Records | Meaning | The first of them
            http_503 | 2 | The API had a fault of its own. | second.results.csv, line 9 user_9; ids.results.csv, line 2 user_2;
            ");
    insta::assert_snapshot!(section(&two_shards(), "users-heading"), @"
            Users
            Search
            Outcome allfailed
            2 rows, those that did not end well first.
            User | Line | File | Code | Attempts | Ended (UTC)
            failed – all retries failed; a later retry may succeed (2 rows)
            user_2 | 2 | ids.results.csv | http_503 | 9 | 2026-01-31 03:13:46
            user_9 | 9 | second.results.csv | http_503 | 9 | 2026-01-31 03:13:46
            ");
}

#[test]
fn shards_that_ran_side_by_side_share_a_chart() {
    let requests = section(&two_shards(), "requests");
    let titles: Vec<_> =
        requests.lines().filter(|line| line.starts_with("Requests a second")).collect();
    insta::assert_snapshot!(titles.join("\n"), @"
            Requests a second, from 2026-01-31 03:12:45 UTC
            Requests a second, from 2026-01-31 03:12:45 UTC
            Requests a second, from 2026-02-01 04:12:45 UTC
            Requests a second, from 2026-02-01 04:12:45 UTC
            ");
}
