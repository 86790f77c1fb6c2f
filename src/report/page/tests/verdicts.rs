//! The line that is signed.

use super::*;

/// The headline, its detail and the notices, with their colour.
fn verdict(facts: &Facts) -> String {
    let page = html(facts);
    let (_, rest) = page.split_once("<div class=\"verdict ").unwrap();
    let (tone, rest) = rest.split_once('"').unwrap();
    let (told, _) = rest.split_once("<ul").unwrap();
    let text = text_of(&format!("<body>{}<script>", told.split_once('>').unwrap().1));
    format!("{tone}: {text}")
}

fn of(kind: CommandKind, ending: &str, n_records: u64, outcomes: &[(Outcome, u64)]) -> Facts {
    let outcomes = outcomes.iter().flat_map(|&(outcome, n)| (0..n).map(move |_| outcome));
    let rows: Rows = (2..).zip(outcomes).map(|(line, it)| row(line, it)).collect();
    let source = Source {
        kind: Some(kind),
        ending: Some(ending.to_owned()),
        n_records: Some(n_records),
        n_unprocessed: Some(n_records.saturating_sub(rows.counts().total())),
        ..source()
    };
    Facts { sources: vec![source], rows, ..facts() }
}

#[test]
fn a_run_that_came_to_its_end() {
    use Outcome::{Duplicate, Failed, Unlocked};
    let run = |outcomes: &[_]| {
        let n = outcomes.iter().map(|(_, n)| n).sum();
        verdict(&of(CommandKind::Run, "completed", n, outcomes))
    };
    insta::assert_snapshot!(run(&[(Unlocked, 8), (Duplicate, 1)]), @"
            good: 9 of 9 records ended well.
            8 users unlocked. Nothing is left to look at.
            ");
    insta::assert_snapshot!(run(&[(Unlocked, 8), (Failed, 2)]), @"
            warn: 2 of 10 records did not end well.
            8 users unlocked. 2 records are left to look at.
            ");
    insta::assert_snapshot!(run(&[]), @"good: There was nothing to do.");
}

#[test]
fn a_run_that_did_not() {
    let run = |ending| verdict(&of(CommandKind::Run, ending, 9, &[(Outcome::Unlocked, 4)]));
    insta::assert_snapshot!(run("max_fail"), @"
            bad: Stopped by --max-fail.
            5 of 9 records not processed. 4 users unlocked.
            ");
    insta::assert_snapshot!(run("running"), @"
            bad: The job did not come to its end: it still runs, or was killed.
            5 of 9 records not processed. 4 users unlocked.
            ");
}

#[test]
fn a_plan_and_a_reading_back() {
    use Outcome::{Gone, LockedAgain, NotFound, StillUnlocked, WouldUnlock};
    let plan = of(CommandKind::Plan, "completed", 9, &[(WouldUnlock, 8), (NotFound, 1)]);
    insta::assert_snapshot!(verdict(&plan), @"
            warn: A run would unlock 8 of 9 users.
            Nothing was changed. 1 record is left to look at.
            ");
    let outcomes = [(StillUnlocked, 7), (LockedAgain, 1), (Gone, 1)];
    insta::assert_snapshot!(verdict(&of(CommandKind::Verify, "completed", 9, &outcomes)), @"
            warn: 7 of 9 users are still unlocked.
            1 locked again, 1 gone. 2 records are left to look at.
            ");
}

#[test]
fn rows_that_do_not_add_up_are_not_signed_off() {
    let mut lost = of(CommandKind::Run, "completed", 9, &[(Outcome::Unlocked, 8)]);
    lost.sources[0].n_unprocessed = Some(0);
    insta::assert_snapshot!(verdict(&lost), @"
            bad: The accounting does not add up.
            9 records, yet 8 rows in the results. A file was changed, or the program is at fault: do not sign this off.
            ");
    let many = of(CommandKind::Run, "running", 7, &[(Outcome::Unlocked, 8)]);
    assert!(verdict(&many).starts_with("bad: The accounting"));
}

#[test]
fn what_must_be_known_is_said_beside_it() {
    let banned = TableRow { banned: Some(true), ..row(2, Outcome::WouldUnlock) };
    let mut facts = of(CommandKind::Plan, "completed", 1, &[]);
    facts.rows = [banned].into_iter().collect();
    facts.sources[0].n_unprocessed = Some(0);
    facts.sources[0].instance = Some("sandbox".to_owned());
    facts.warnings = vec!["The results were changed since.".to_owned()];
    insta::assert_snapshot!(verdict(&facts), @"
            good: A run would unlock 1 of 1 user.
            Nothing was changed. Nothing is left to look at.
            The results were changed since.
            A rehearsal: this ran against the sandbox, and no real user was touched.
            1 user to unlock is banned; unlocking does not lift a ban.
            ");
}

#[test]
fn the_shard_that_was_stopped_is_named() {
    let mut facts = of(CommandKind::Run, "completed", 4, &[(Outcome::Unlocked, 6)]);
    facts.sources[0].n_unprocessed = Some(0);
    facts.sources.push(Source {
        name: "second.results.csv".to_owned(),
        ending: Some("outage".to_owned()),
        n_records: Some(5),
        n_unprocessed: Some(3),
        ..source()
    });
    insta::assert_snapshot!(verdict(&facts), @"
            bad: second.results.csv: Stopped by an outage of the API.
            3 of 9 records not processed. 6 users unlocked.
            ");
}

#[test]
fn a_file_without_a_manifest_is_told_by_its_rows() {
    let mut facts = facts();
    facts.sources = vec![Source { name: "x.csv".to_owned(), ..Source::default() }];
    insta::assert_snapshot!(verdict(&facts), @"
            warn: 4 of 8 records did not end well.
            4 records are left to look at.
            ");
}
