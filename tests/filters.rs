//! Filters of `locked`: applied by the API or by the program, with the number of users left out.

mod common;

use std::collections::BTreeSet;

use bulk_unlock::sandbox::{FakeUser, LoggedRequest, Population};
use common::population::listed;
use common::server::serve;
use common::watch::FAST;
use common::{SEED, Stage};
use jiff::Timestamp;

const N_USERS: u32 = 1_200;

fn all_users() -> Vec<FakeUser> {
    let population = Population::new(SEED);
    listed(0..N_USERS).iter().filter_map(|id| population.user(id)).collect()
}

/// The users of a list.
fn ids(csv: &str) -> BTreeSet<String> {
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    reader.records().map(|row| row.expect("a row")[0].to_owned()).collect()
}

/// The median of these dates.
fn middle(date: impl Fn(&FakeUser) -> Option<u64>) -> u64 {
    let mut dates: Vec<u64> = all_users().iter().filter_map(date).collect();
    dates.sort_unstable();
    dates[dates.len() / 2]
}

fn text(unix_ms: u64) -> String {
    let moment = Timestamp::from_millisecond(i64::try_from(unix_ms).expect("small"));
    moment.expect("a moment").to_string()
}

/// Checks that `locked` with this filter lists exactly the wanted locked users. Returns its requests
/// and its stderr.
#[track_caller]
fn check(flags: &str, is_wanted: impl Fn(&FakeUser) -> bool) -> (Vec<LoggedRequest>, String) {
    let stage = Stage::with_users(N_USERS);
    let ended = stage.run(&format!("locked {flags} {FAST}")).exits_with(0);
    let locked = all_users().into_iter().filter(FakeUser::is_locked);
    let (wanted, others): (Vec<_>, Vec<_>) = locked.partition(is_wanted);
    assert!(!wanted.is_empty() && !others.is_empty(), "{flags}");
    let wanted: BTreeSet<String> = wanted.iter().map(|user| user.id.to_string()).collect();
    assert_eq!(ids(&ended.stdout), wanted, "{flags}");
    (stage.sandbox().requests(), ended.stderr)
}

/// Checks a filter of the API: the walk and its count have the parameter, and one more count shows
/// how many users it leaves out.
#[track_caller]
fn check_api(flags: &str, parameter: &str, is_wanted: impl Fn(&FakeUser) -> bool) {
    let n_wanted = all_users().iter().filter(|user| is_wanted(user)).count();
    let (requests, stderr) = check(flags, is_wanted);
    let (without, with): (Vec<_>, Vec<_>) =
        requests.iter().partition(|it| !it.path_and_query.contains(parameter));
    assert_eq!(without.len(), 1, "{flags}: {without:?}");
    assert!(without[0].path_and_query.starts_with("/v1/users/count"), "{without:?}");
    assert!(with.iter().any(|it| it.path_and_query.starts_with("/v1/users/count")), "{with:?}");
    let flag = flags.split(' ').next().unwrap_or_default();
    let left_out = format!(
        "Left out by the API of 1,200 users, locked or not: {flag}: {}.\n",
        text_of(N_USERS as usize - n_wanted)
    );
    assert!(stderr.contains(&left_out), "{left_out}{stderr}");
}

fn text_of(n: usize) -> String {
    if n < 1_000 { n.to_string() } else { format!("{},{:03}", n / 1_000, n % 1_000) }
}

#[test]
fn the_api_filters_organizations_dates_and_bans() {
    check_api("--organization org_acme", "organization_id=org_acme", |user| {
        user.organizations.contains(&"org_acme")
    });
    check_api("--skip-banned", "banned=false", |user| !user.banned);
    let at = middle(|user| Some(user.created_at));
    check_api(&format!("--created-after {}", text(at)), &format!("created_at_after={at}"), |it| {
        it.created_at > at
    });
    check_api(
        &format!("--created-before {}", text(at)),
        &format!("created_at_before={at}"),
        |it| it.created_at < at,
    );
    let at = middle(|user| user.last_sign_in_at);
    check_api(
        &format!("--last-sign-in-after {}", text(at)),
        &format!("last_sign_in_at_after={at}"),
        |user| user.last_sign_in_at.is_some_and(|it| it > at),
    );
    check_api(
        &format!("--last-sign-in-before {}", text(at)),
        &format!("last_sign_in_at_before={at}"),
        |user| user.last_sign_in_at.is_some_and(|it| it < at),
    );
}

/// Checks a filter of the program, for which no request has a parameter.
#[track_caller]
fn check_own(flags: &str, is_wanted: impl Fn(&FakeUser) -> bool) {
    let locked = all_users().into_iter().filter(FakeUser::is_locked);
    let (wanted, others): (Vec<_>, Vec<_>) = locked.partition(&is_wanted);
    let (requests, stderr) = check(flags, is_wanted);
    assert_eq!(requests.len(), 1 + 3, "a count and three pages");
    let n_locked = text_of(wanted.len() + others.len());
    let flag = flags.split(' ').next().unwrap_or_default();
    for line in [
        format!(
            "{} of {n_locked} locked users are listed (1,200 users read)",
            text_of(wanted.len())
        ),
        format!("Left out of {n_locked} locked users: {flag}: {}.\n", text_of(others.len())),
    ] {
        assert!(stderr.contains(&line), "{line}\n{stderr}");
    }
}

#[test]
fn the_program_filters_password_dates_and_lock_ends() {
    let at = middle(|user| user.password_last_updated_at);
    check_own(&format!("--password-changed-after {}", text(at)), |user| {
        user.password_last_updated_at.is_some_and(|it| it > at)
    });
    // Remaining lock times only get shorter while the test runs.
    let ends = all_users().into_iter().filter_map(|user| user.lock.expires_in);
    let longest = ends.max().expect("locks that end").as_secs();
    check_own(&format!("--lock-ends-after {longest}s"), |user| user.lock.expires_in.is_none());
}

#[test]
fn combined_filters_report_how_many_users_each_left_out() {
    let at = middle(|user| Some(user.created_at));
    let flags = format!("--created-after {} --skip-banned --organization org_globex", text(at));
    let (requests, stderr) = check(&flags, |user| {
        user.created_at > at && !user.banned && user.organizations.contains(&"org_globex")
    });
    let left_out = |is_wanted: &dyn Fn(&FakeUser) -> bool| {
        text_of(all_users().iter().filter(|user| !is_wanted(user)).count())
    };
    let line = format!(
        "Left out by the API of 1,200 users, locked or not: --organization: {}, \
         --created-after: {}, --skip-banned: {}.",
        left_out(&|user| user.organizations.contains(&"org_globex")),
        left_out(&|user| user.created_at > at),
        left_out(&|user| !user.banned),
    );
    assert!(stderr.contains(&line), "{line}\n{stderr}");
    let pages = requests.iter().filter(|it| it.path_and_query.contains("limit="));
    for page in pages {
        for parameter in ["organization_id=org_globex", "banned=false", "created_at_after="] {
            assert!(page.path_and_query.contains(parameter), "{page:?}");
        }
    }
}

#[test]
fn ages_are_relative_to_now() {
    let stage = Stage::with_users(N_USERS);
    let all = stage.run(&format!("locked --created-after 36500d {FAST}")).exits_with(0);
    let none = stage.run(&format!("locked --created-before 36500d {FAST}")).exits_with(0);
    assert_eq!(ids(&none.stdout), BTreeSet::new());
    assert!(ids(&all.stdout).len() > 900);
}

#[test]
fn ambiguous_filters_are_refused() {
    let stage = Stage::with_users(10);
    for flags in [
        "--created-after 2026-07-06T22:00:00",
        "--created-before 2026-07-06",
        "--last-sign-in-after 7",
        "--last-sign-in-before yesterday",
        "--password-changed-after 1783375200",
        "--lock-ends-after 30",
        "--organization acme",
        "--organization=-org_acme",
        "--email-domain a@acme.com",
    ] {
        stage.run_refused(&format!("locked {flags} {FAST}"), 2);
    }
    assert_eq!(stage.n_requests(), 0);
}

/// Six locked users, of whom the first three match all filters but `--organization`.
fn users_of_a_server() -> String {
    let user = |at: usize| {
        let (date, domain) = if at < 3 { (2_000, "acme.com") } else { (1_000, "other.org") };
        format!(
            r#"{{"id":"user_{at}","locked":true,"banned":{},"created_at":{date},
            "last_sign_in_at":{date},"password_last_updated_at":{date},
            "lockout_expires_in_seconds":{date},"primary_email_address_id":"e","email_addresses":
            [{{"id":"e","email_address":"{at}@{domain}"}}]}}"#,
            at >= 3
        )
    };
    format!("[{}]", (0..6).map(user).collect::<Vec<_>>().join(","))
}

#[test]
fn a_server_that_ignores_a_filter_does_not_widen_the_list() {
    let mut stage = Stage::new();
    let url = serve(|target| match target {
        _ if target.contains("/count") => {
            (200, r#"{"object":"total_count","total_count":6}"#.to_owned())
        }
        _ if target.contains("starting_after") => (200, "[]".to_owned()),
        _ => (200, users_of_a_server()),
    });
    stage.set("CLERK_API_URL", &url);
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    let first = ["user_0", "user_1", "user_2"].map(str::to_owned);
    for flag in [
        "--created-after 1970-01-01T00:00:01.5Z",
        "--last-sign-in-after 1970-01-01T00:00:01.5Z",
        "--password-changed-after 1970-01-01T00:00:01.5Z",
        "--skip-banned",
        "--email-domain ACME.com",
        "--lock-ends-after 1500s",
    ] {
        let ended = stage.run(&format!("locked {flag} {FAST}")).exits_with(0);
        assert_eq!(ids(&ended.stdout), BTreeSet::from(first.clone()), "{flag}");
        let name = flag.split(' ').next().unwrap_or_default();
        ended.prints(&format!("Left out of 6 locked users: {name}: 3."));
    }
}

#[test]
fn the_printed_plan_command_repeats_no_filter() {
    let stage = Stage::with_users(N_USERS);
    let flags = "--skip-banned --organization org_acme --created-after 36500d";
    let ended = stage.run(&format!("locked {flags} -o locked.csv {FAST}")).exits_with(0);
    let next = ended.next_command();
    assert!(next.starts_with("plan locked.csv "), "{next}");
    stage.run(&next).exits_with(0);
}
