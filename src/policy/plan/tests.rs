use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::model::{IdentifierKind, UserId};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn records(cells: &[&str]) -> Records {
    let record = |(index, cell): (usize, &&str)| InputRecord::new(index as u64 + 2, cell);
    Records { records: cells.iter().enumerate().map(record).collect(), ..Records::default() }
}

fn excluded(ids: &[&str]) -> ExcludeList {
    ExcludeList::of_lines("keep.txt", ids)
}

fn done(records: &Records, rows: &[(&str, Outcome)]) -> Done {
    let mut done = Done::default();
    for (input, outcome) in rows {
        let user: Option<UserId> = input.parse().ok();
        done.note(records, 2, &Arc::from(*input), user.as_ref(), *outcome);
    }
    done
}

fn jobs(plan: &Plan, records: &Records) -> Vec<String> {
    let targets = plan.jobs.iter().map(|&place| records.target(place as usize).unwrap());
    targets.map(|target| target.as_str().to_owned()).collect()
}

fn left_out(plan: &Plan) -> Vec<(usize, Outcome)> {
    plan.left_out.iter().map(|(record, row)| (*record, row.outcome)).collect()
}

#[test]
fn each_user_becomes_one_job_and_other_records_become_rows() {
    let records = records(&["user_a", "oops", "user_b", "user_a", "user_c"]);
    let plan = Plan::build(&records, &excluded(&["user_c"]), Done::default(), NOW);
    assert_eq!(jobs(&plan, &records), ["user_a", "user_b"]);
    assert_eq!(
        left_out(&plan),
        [(1, Outcome::Invalid), (3, Outcome::Duplicate), (4, Outcome::Excluded)]
    );
}

/// A plan by email may be run when the user has another email address.
#[test]
fn a_user_whom_an_earlier_job_looked_up_is_excluded_by_the_cell_too() {
    let mut records = records(&["a@x.org", "b@x.org", "c@x.org"]);
    for (record, id) in records.records.iter_mut().zip(["user_a", "user_b", "user_c"]) {
        *record = record.clone().with_user(id.parse().ok());
    }
    let list = excluded(&["A@x.org", "user_b"]);
    let plan = Plan::build(&records, &list, Done::default(), NOW);
    assert_eq!(jobs(&plan, &records), ["user_c"]);
    assert_eq!(left_out(&plan), [(0, Outcome::Excluded), (1, Outcome::Excluded)]);
    let message = plan.left_out[0].1.error_message.as_deref();
    assert_eq!(message, Some("excluded by \"A@x.org\" on line 1 of keep.txt"));
}

#[test]
fn a_record_that_repeats_the_header_is_invalid() {
    let mut records = records(&["user_a", "user_id"]);
    records.repeated_headers.insert(1);
    let plan = Plan::build(&records, &excluded(&[]), Done::default(), NOW);
    assert_eq!(
        (jobs(&plan, &records), left_out(&plan)),
        (vec!["user_a".to_owned()], vec![(1, Outcome::Invalid)])
    );
}

#[test]
fn a_duplicate_names_the_line_of_the_first() {
    let plan = Plan::build(&records(&["user_a", "user_a"]), &excluded(&[]), Done::default(), NOW);
    let message = plan.left_out[0].1.error_message.as_deref();
    assert_eq!(message, Some("the same user is on line 2"));
}

#[test]
fn recorded_users_are_skipped_on_any_line() {
    let records = records(&["user_a", "user_b"]);
    let rows = done(&records, &[("user_b", Outcome::Failed), ("user_z", Outcome::Unlocked)]);
    let plan = Plan::build(&records, &excluded(&[]), rows, NOW);
    assert_eq!(jobs(&plan, &records), ["user_a"]);
    assert_eq!(plan.recorded, [1]);
    assert_eq!(plan.n_rows_without_record, 1);
}

#[test]
fn each_invalid_row_counts_for_one_record() {
    let records = records(&["oops", "oops"]);
    let rows = done(&records, &[("oops", Outcome::Invalid)]);
    let plan = Plan::build(&records, &excluded(&[]), rows, NOW);
    assert_eq!(plan.recorded, [0]);
    assert_eq!(left_out(&plan), [(1, Outcome::Invalid)]);
}

#[test]
fn a_duplicate_row_never_counts_for_the_first_line_of_its_user() {
    let records = records(&["user_a", "user_a", "user_a"]);
    let rows = done(&records, &[("user_a", Outcome::Duplicate)]);
    let plan = Plan::build(&records, &excluded(&[]), rows, NOW);
    assert_eq!(jobs(&plan, &records), ["user_a"]);
    assert_eq!(plan.recorded, [1]);
    assert_eq!(left_out(&plan), [(2, Outcome::Duplicate)]);
}

/// A part of the input was run first, and then all of it: each record keeps the row of its line.
#[test]
fn rows_count_for_the_records_on_their_own_lines() {
    let records = records(&["user_a", "user_b", "user_a", "oops", "user_a", "oops"]);
    let mut rows = Done::default();
    for (line, cell, outcome) in [
        (3, "user_b", Outcome::Unlocked),
        (4, "user_a", Outcome::Unlocked),
        (6, "user_a", Outcome::Duplicate),
        (7, "oops", Outcome::Invalid),
    ] {
        let user: Option<UserId> = cell.parse().ok();
        rows.note(&records, line, &Arc::from(cell), user.as_ref(), outcome);
    }
    let plan = Plan::build(&records, &excluded(&[]), rows, NOW);
    assert_eq!(plan.recorded, [1, 2, 4, 5]);
    assert_eq!(left_out(&plan), [(0, Outcome::Duplicate), (3, Outcome::Invalid)]);
    let message = plan.left_out[0].1.error_message.as_deref();
    assert_eq!(message, Some("the same user is on line 4"));
}

/// What a crash leaves when it comes between the row of the second name and that of the first.
#[test]
fn a_user_found_by_a_second_identifier_is_still_processed_under_the_first() {
    let mut records = records(&["first@x.org", "second@x.org", "second@x.org"]);
    records.kind = IdentifierKind::Email;
    let user: UserId = "user_a".parse().unwrap();
    let mut done = Done::default();
    for (line, user) in [(3, Some(&user)), (4, None)] {
        let cell = Arc::from("second@x.org");
        done.note(&records, line, &cell, user, Outcome::Duplicate);
    }
    assert!(done.users().is_empty(), "nobody is done yet");
    let plan = Plan::build(&records, &excluded(&[]), done, NOW);
    assert_eq!(jobs(&plan, &records), ["first@x.org"]);
    assert_eq!(plan.recorded, [1, 2]);
    assert_eq!(left_out(&plan), []);
}

#[test]
fn two_spellings_of_one_address_are_one_user() {
    let mut records = records(&["A@x.org", "a@X.org"]);
    records.kind = IdentifierKind::Email;
    let plan = Plan::build(&records, &ExcludeList::default(), Done::default(), NOW);
    assert_eq!(jobs(&plan, &records), ["a@x.org"]);
    assert_eq!(left_out(&plan), [(1, Outcome::Duplicate)]);
}

proptest! {
    #[test]
    fn every_record_is_a_job_a_row_or_recorded(
        cells in prop::collection::vec("(user_[ab]?[0-9]|oops[0-3])", 0..60),
        earlier in prop::collection::vec("(user_[ab]?[0-9]|oops[0-3])", 0..60),
        out in prop::collection::vec("user_[ab]?[0-9]", 0..5),
        n_lost in 0_usize..60,
    ) {
        let cells: Vec<&str> = cells.iter().map(String::as_str).collect();
        let earlier: Vec<&str> = earlier.iter().map(String::as_str).collect();
        let out: Vec<&str> = out.iter().map(String::as_str).collect();

        // What a run over the earlier input would have written before it was killed.
        let before = Plan::build(&records(&earlier), &excluded(&[]), Done::default(), NOW);
        let mut rows: Vec<_> = before.left_out.iter().map(|(at, row)| (earlier[*at], row.outcome))
            .chain(before.jobs.iter().map(|&place| (earlier[place as usize], Outcome::Unlocked)))
            .collect();
        rows.truncate(rows.len().saturating_sub(n_lost));
        let n_earlier = rows.len() as u64;

        let records = records(&cells);
        let done = done(&records, &rows);
        let plan = Plan::build(&records, &excluded(&out), done, NOW);
        let mut all: Vec<usize> = plan.jobs.iter().chain(&plan.recorded)
            .map(|&place| place as usize)
            .chain(plan.left_out.iter().map(|(record, _)| *record))
            .collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..cells.len()).collect::<Vec<_>>());
        prop_assert_eq!(plan.recorded.len() as u64 + plan.n_rows_without_record, n_earlier);
        let users: HashSet<String> = jobs(&plan, &records).into_iter().collect();
        prop_assert_eq!(users.len(), plan.jobs.len());
        for cell in cells.iter().filter(|cell| cell.starts_with("user_") && !out.contains(cell)) {
            let is_done = rows.contains(&(cell, Outcome::Unlocked));
            prop_assert_eq!(is_done, !users.contains(*cell), "{}", cell);
        }
    }
}
