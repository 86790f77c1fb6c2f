//! Users identified by something other than their ID.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FaultKind, Faults, SandboxConfig};
use common::population::{admin_locked_users, check_resumed_outcomes, listed, planned_outcomes};
use common::watch::{FAST, slow_config, wait_until};
use common::{Stage, list, locked_users};
use serde_json::Value;

/// Number of users on one page.
const PAGE: u32 = 500;

/// A stage and the first page of its users. Listing them adds one request to the log.
fn with_page_of_users() -> (Stage, Vec<Value>) {
    let stage = Stage::with_users(PAGE);
    let people = people(&stage);
    (stage, people)
}

/// The users that the server lists.
fn people(stage: &Stage) -> Vec<Value> {
    let people = stage.request_ok("GET", &format!("/v1/users?limit={PAGE}"));
    people.as_array().expect("a list").clone()
}

fn text(user: &Value, field: &str) -> Option<String> {
    user[field].as_str().map(str::to_owned)
}

fn primary_email(user: &Value) -> Option<String> {
    text(&user["email_addresses"][0], "email_address")
}

/// The identifiers that belong to exactly one user, with that user.
fn unambiguous(
    people: &[Value],
    identifier: impl Fn(&Value) -> Option<String>,
) -> BTreeMap<String, String> {
    let mut owners: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for user in people {
        if let (Some(value), Some(id)) = (identifier(user), text(user, "id")) {
            owners.entry(value).or_default().push(id);
        }
    }
    let single = owners.into_iter().filter(|(_, ids)| ids.len() == 1);
    single.map(|(value, mut ids)| (value, ids.remove(0))).collect()
}

/// The primary email addresses that no other user has, not even as a secondary one.
fn unambiguous_emails(people: &[Value]) -> BTreeMap<String, String> {
    let mut owners = unambiguous(people, primary_email);
    for user in people {
        if let Some(second) = text(&user["email_addresses"][1], "email_address") {
            owners.remove(&second);
        }
    }
    owners
}

/// The secondary email addresses that exactly one user has, with the primary one of that user.
fn second_emails(people: &[Value]) -> Vec<(String, String, UserId)> {
    let with_two = people.iter().filter_map(|user| {
        let second = text(&user["email_addresses"][1], "email_address")?;
        Some((primary_email(user)?, second, text(user, "id")?.parse().ok()?))
    });
    with_two.filter(|(_, second, _)| second.ends_with("@work.example")).collect()
}

/// A CSV with one column.
fn column(header: &str, values: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    values.into_iter().fold(header.to_owned() + "\n", |text, value| text + value.as_ref() + "\n")
}

/// Plans these users by that kind of identifier, and compares the plan with the sandbox.
#[track_caller]
fn check(
    stage: &Stage,
    by: &str,
    header: &str,
    owners: &BTreeMap<String, String>,
    typed: impl Fn(&str) -> String,
) {
    assert!(owners.len() > 200, "{} users have one", owners.len());
    stage.write("who.csv", column(header, owners.keys().map(|value| typed(value))));
    let n_before = stage.sandbox().requests().len();
    let ended = stage.run(&format!("plan who.csv --by {by} {FAST}")).exits_with(0);
    ended.prints(&format!(" from column 1 (\"{header}\")"));
    let requests = stage.requests_since(n_before);
    assert_eq!(requests.len(), owners.len().div_ceil(100), "a hundred a call");
    let ids: Vec<UserId> = owners.values().map(|id| id.parse().expect("an id")).collect();
    assert_eq!(stage.outcomes_by_user("who.plan.csv"), planned_outcomes(&ids));
    let guarded = |value: String| if value.starts_with('+') { format!("'{value}") } else { value };
    for row in stage.rows("who.plan.csv") {
        let owner = owners.iter().find(|(_, id)| **id == row["user_id"]).expect("an owner");
        assert_eq!(row["input"], guarded(typed(owner.0)), "the cell as it was typed");
    }
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn users_are_found_by_email_with_a_plus_and_in_any_case() {
    let (stage, people) = with_page_of_users();
    let owners = unambiguous_emails(&people);
    assert!(owners.keys().all(|email| email.contains('+')));
    check(&stage, "email", "Email address", &owners, str::to_uppercase);
}

#[test]
fn users_are_found_by_phone_in_any_notation() {
    let (stage, people) = with_page_of_users();
    let owners = unambiguous(&people, |user| text(&user["phone_numbers"][0], "phone_number"));
    let typed = |phone: &str| format!("+1 ({}) {}-{}", &phone[2..5], &phone[5..8], &phone[8..]);
    check(&stage, "phone", "Phone", &owners, typed);
}

#[test]
fn users_are_found_by_username_in_any_case() {
    let (stage, people) = with_page_of_users();
    let owners = unambiguous(&people, |user| text(user, "username"));
    check(&stage, "username", "login", &owners, str::to_uppercase);
}

#[test]
fn users_are_found_by_external_id() {
    let (stage, people) = with_page_of_users();
    let owners = unambiguous(&people, |user| text(user, "external_id"));
    check(&stage, "external-id", "external_id", &owners, str::to_owned);
}

#[test]
fn external_ids_are_case_sensitive() {
    let stage = Stage::with_quick_sandbox();
    let external_id = |user: &Value| text(user, "external_id");
    let external_id = people(&stage).iter().find_map(external_id).expect("somebody has one");
    stage.write("who.csv", column("external_id", [&external_id.to_uppercase(), &external_id]));
    stage.run(&format!("plan who.csv --by external-id {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes("who.plan.csv")[0], "2 not_found");
    assert_ne!(stage.outcomes("who.plan.csv")[1], "3 not_found");
}

#[test]
fn an_external_id_that_begins_with_a_sign_is_found() {
    let (stage, people) = with_page_of_users();
    let known = people.iter().find(|user| user["external_id"].is_string()).expect("somebody");
    let known_id = text(known, "external_id").expect("a text");
    let signed = [format!("-{known_id}"), format!("+{known_id}"), known_id.clone()];
    stage.write("who.csv", column("external_id", &signed));
    let n_before = stage.sandbox().requests().len();
    stage.run(&format!("plan who.csv --by external-id {FAST}")).exits_with(0);
    let outcomes = stage.outcomes("who.plan.csv");
    assert_eq!(outcomes[..2], ["2 not_found", "3 not_found"]);
    assert_eq!(stage.row("who.plan.csv", 4)["user_id"], text(known, "id").expect("an id"));
    assert_eq!(stage.row("who.plan.csv", 2)["input"], format!("'-{known_id}"));
    let query = stage.requests_since(n_before)[0].path_and_query.clone();
    for value in ["%2B-ext_", "%2B%2Bext_", "ext_"] {
        assert!(query.contains(&format!("external_id={value}")), "{query}");
    }
}

#[test]
fn an_unknown_identifier_is_not_found_and_affects_no_other_user() {
    let (stage, people) = with_page_of_users();
    let known = primary_email(&people[0]).expect("an email");
    let cells = ["nobody@nowhere.example", "a&b=c#d%e+f@nowhere.example", &known];
    stage.write("who.csv", column("email", cells));
    stage.run(&format!("plan who.csv --by email {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes("who.plan.csv")[..2], ["2 not_found", "3 not_found"]);
    let row = stage.row("who.plan.csv", 2);
    let cells = ["user_id", "error_code", "error_message"].map(|it| row[it].as_str());
    assert_eq!(cells, ["", "resource_not_found", "no user has this email address"]);
    assert_eq!(stage.row("who.plan.csv", 4)["user_id"], text(&people[0], "id").expect("an id"));
}

#[test]
fn an_invalid_identifier_is_not_sent() {
    let stage = Stage::with_quick_sandbox();
    for (by, cell) in [("email", "alice"), ("phone", "5551234567"), ("username", "two words")] {
        stage.write("who.csv", column("user", [cell]));
        let line = format!("run who.csv --by {by} --column user --lenient --yes {FAST} --force");
        stage.run(&line).exits_with(1);
        assert_eq!(stage.column("who.results.csv", "outcome"), ["invalid"], "{by}");
    }
    assert_eq!(stage.n_requests(), 0);
}

#[test]
fn an_identifier_of_several_users_is_ambiguous_and_calls_none_of_them() {
    let stage = Stage::with_quick_sandbox();
    let shared = stage.user(&listed(50..51)[0]);
    let phone = text(&shared["phone_numbers"][0], "phone_number").expect("a phone");
    stage.write("phones.csv", column("phone", [&phone]));
    stage.run(&format!("run phones.csv --by phone --yes {FAST}")).exits_with(1);
    let email = stage.emails(&listed(52..53)[0]).remove(0);
    stage.write("emails.csv", column("email", [&email]));
    stage.run(&format!("run emails.csv --by email --yes {FAST}")).exits_with(1);
    for (file, users) in
        [("phones.results.csv", listed(50..52)), ("emails.results.csv", listed(52..54))]
    {
        let row = stage.row(file, 2);
        let cells = ["outcome", "user_id", "error_code", "user"].map(|it| row[it].as_str());
        assert_eq!(cells, ["ambiguous", "", "ambiguous_identifier", ""]);
        assert!(row["error_message"].starts_with("2 users have this "), "{row:?}");
        assert!(users.iter().all(|id| row["error_message"].contains(id.as_str())), "{row:?}");
    }
    assert_eq!(stage.n_posts(), 0);
}

#[test]
fn a_user_listed_by_two_emails_is_called_once() {
    let (stage, people) = with_page_of_users();
    // The primary addresses are in other look-ups than the secondary ones.
    let pairs: Vec<_> = second_emails(&people).into_iter().take(30).collect();
    let (first, second): (Vec<_>, Vec<_>) =
        pairs.iter().map(|(first, second, _)| (first.clone(), second.clone())).unzip();
    let filler = (0..100).map(|n| format!("nobody{n}@nowhere.example"));
    let emails: Vec<String> = second.into_iter().chain(filler).chain(first).collect();
    stage.write("who.csv", column("email", &emails));
    stage.run(&format!("run who.csv --by email --only-locked --yes {FAST}")).exits_with(1);
    for (n, (_, _, id)) in pairs.iter().enumerate() {
        let (line, earlier) = (n as u64 + 132, n as u64 + 2);
        let row = stage.row("who.results.csv", line);
        let message = format!("the same user is on line {earlier}");
        let cells = ["outcome", "user_id", "error_message"].map(|it| row[it].as_str());
        assert_eq!(cells, ["duplicate", id.as_str(), &message]);
        let row = stage.row("who.results.csv", earlier);
        assert_eq!(row["user_id"], id.as_str());
        assert_ne!(row["outcome"], "duplicate");
    }
    assert!(stage.posts().values().all(|&n_calls| n_calls == 1));
}

#[test]
fn the_same_email_in_two_cases_is_looked_up_once() {
    let (stage, people) = with_page_of_users();
    let email = primary_email(&people[0]).expect("an email");
    stage.write("who.csv", column("email", [&email, &email.to_uppercase()]));
    let n_before = stage.sandbox().requests().len();
    stage.run(&format!("plan who.csv --by email {FAST}")).exits_with(0);
    assert_eq!(stage.outcomes("who.plan.csv")[1], "3 duplicate");
    let query = stage.requests_since(n_before)[0].path_and_query.clone();
    assert_eq!(query.matches("email_address=").count(), 1, "{query}");
}

#[test]
fn excluded_users_are_left_alone_by_each_of_their_identifiers() {
    let (stage, people) = with_page_of_users();
    let pairs: Vec<_> = second_emails(&people).into_iter().take(3).collect();
    let emails = pairs.iter().map(|(first, ..)| first.as_str());
    stage.write("who.csv", column("email", emails));
    // By the email itself, by the id, and by another email of the same user.
    let keep = [pairs[0].0.to_uppercase(), pairs[1].2.to_string(), pairs[2].1.clone()];
    stage.write("keep.csv", column("email", keep));
    let n_before = stage.sandbox().requests().len();
    let line = format!("run who.csv --by email --exclude keep.csv --yes {FAST}");
    stage.run(&line).exits_with(0);
    assert_eq!(stage.outcomes("who.results.csv"), ["2 excluded", "3 excluded", "4 excluded"]);
    assert_eq!(stage.n_posts(), 0);
    let query = stage.requests_since(n_before)[0].path_and_query.clone();
    assert_eq!(query.matches("email_address=").count(), 2, "who is known by name is not asked");
}

#[test]
fn the_run_of_a_plan_by_email_applies_an_exclude_file_of_emails() {
    let (stage, people) = with_page_of_users();
    let pairs = second_emails(&people);
    stage.write("who.csv", column("email", pairs.iter().map(|(first, ..)| first.as_str())));
    stage.run(&format!("plan who.csv --by email {FAST}")).exits_with(0);
    let plan = stage.rows("who.plan.csv");
    let is_planned = |id: &UserId| {
        let mut rows = plan.iter().filter(|row| row["user_id"] == id.as_str());
        rows.any(|row| row["outcome"] == "would_unlock")
    };
    let (_, other, kept) = pairs.iter().find(|(.., id)| is_planned(id)).expect("one is locked");
    stage.write("keep.csv", column("email", [other]));
    stage.run(&format!("run --plan who.plan.csv --exclude keep.csv --yes {FAST}")).exits_with(0);
    let rows = stage.rows("who.plan.results.csv");
    let row = rows.iter().find(|row| row["user_id"] == kept.as_str()).expect("a row");
    assert_eq!(row["outcome"], "excluded");
    assert!(!stage.posts().contains_key(kept.as_str()));
}

#[test]
fn an_admin_locked_user_is_left_alone_after_any_look_up() {
    let stage = Stage::with_quick_sandbox();
    let ids = admin_locked_users(2);
    let emails: Vec<String> = ids.iter().map(|id| stage.emails(id).remove(0)).collect();
    stage.write("who.csv", column("email", &emails));
    let line = format!("run who.csv --by email --yes {FAST}");
    stage.run(&line).exits_with(1);
    stage.check_all_outcomes("who.results.csv", "admin_locked");
    assert_eq!(stage.n_posts(), 0);
    stage.run(&format!("{line} --force --include-admin-locked")).exits_with(0);
    assert!(!ids.iter().any(|id| stage.sandbox().is_locked(id)));
}

#[test]
fn a_killed_run_by_email_is_resumed_and_calls_every_user() {
    let stage = Stage::with_sandbox(slow_config("15ms"));
    let pairs: Vec<_> = second_emails(&people(&stage))
        .into_iter()
        .filter(|(_, _, id)| stage.sandbox().is_locked(id) && !admin_locked_users(100).contains(id))
        .take(40)
        .collect();
    let emails: Vec<&String> =
        pairs.iter().flat_map(|(first, second, _)| [first, second]).collect();
    stage.write("who.csv", column("email", &emails));
    let line = format!("run who.csv --by email --yes {FAST}");
    let run = stage.spawn(&format!("{line} -c 1"));
    // The rows of the secondary addresses are written before the first user is called.
    wait_until("some are unlocked", || stage.n_rows("who.results.csv") >= pairs.len() + 5);
    run.signal("KILL");
    run.wait();
    assert!(stage.n_rows("who.results.csv") < emails.len());
    stage.run(&format!("{line} --resume")).exits_with(0);
    let outcomes = stage.column("who.results.csv", "outcome");
    assert_eq!(outcomes.len(), emails.len());
    check_resumed_outcomes(outcomes.iter().step_by(2));
    assert!(outcomes.iter().skip(1).step_by(2).all(|outcome| outcome == "duplicate"));
    assert!(!pairs.iter().any(|(_, _, id)| stage.sandbox().is_locked(id)));
}

#[test]
fn look_ups_by_email_are_correct_despite_faults() {
    let (_, people) = with_page_of_users();
    let faults = Faults::mix(0.2);
    let stage = Stage::with_sandbox(SandboxConfig::default().faults(faults));
    let owners = unambiguous_emails(&people);
    stage.write("who.csv", column("email", owners.keys()));
    stage.run(&format!("plan who.csv --by email --snapshot summary {FAST}")).exits_with(0);
    let ids: Vec<UserId> = owners.values().map(|id| id.parse().expect("an id")).collect();
    assert_eq!(stage.outcomes_by_user("who.plan.csv"), planned_outcomes(&ids));
}

#[test]
fn a_look_up_refused_for_one_value_is_split_until_the_others_are_found() {
    // Half of the calls get a final error, as they do when the server rejects one value.
    let faults = Faults::only(FaultKind::Escapes, 0.5);
    let config = SandboxConfig::default().faults(faults).log_requests(true);
    let stage = Stage::with_sandbox(config);
    let ids = listed(0..500);
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("plan ids.txt --snapshot summary {FAST}")).exits_with(0);
    let truth = planned_outcomes(&ids);
    let recorded = stage.outcomes_by_user("ids.plan.csv");
    let refused: BTreeSet<&String> =
        recorded.keys().filter(|id| recorded[*id] == "rejected").collect();
    assert!(refused.len() < 100, "{} of 500 refused", refused.len());
    assert!(recorded.iter().all(|(id, outcome)| refused.contains(id) || *outcome == truth[id]));
    let n_calls = stage.n_requests();
    assert!(n_calls > 5, "no look-up was refused");
}

const FAILED_BY_EMAIL: &str = "email,line,outcome,error_code,error_message";

#[test]
fn a_plan_by_email_runs_by_id_and_keeps_its_lines() {
    let stage = Stage::with_quick_sandbox();
    let ids = locked_users(3);
    let emails: Vec<String> = ids.iter().map(|id| stage.emails(id).remove(0)).collect();
    stage.write("who.csv", column("email", &emails));
    let ended = stage.run(&format!("plan who.csv --by email {FAST}")).exits_with(0);
    stage.run(&format!("{} --yes", ended.next_command())).exits_with(0);
    let file = "who.plan.results.csv";
    assert_eq!(stage.outcomes(file), ["2 unlocked", "3 unlocked", "4 unlocked"]);
    assert_eq!(stage.column(file, "input"), emails, "the cell is the plan's, as the line is");
    assert_eq!(stage.column(file, "user_id"), ids.iter().map(UserId::as_str).collect::<Vec<_>>());
    assert_eq!(stage.read("who.plan.results.failed.csv").lines().next(), Some(FAILED_BY_EMAIL));
    let ended = stage.run(&format!("verify {file} {FAST}")).exits_with(0);
    ended.prints("Verified: 3 of 3 users are still unlocked.");
}
