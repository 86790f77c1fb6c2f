//! `locked` with servers that differ from Clerk's.

mod common;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::mpsc;

use common::Stage;
use common::server::serve;
use common::watch::FAST;

/// Locked users with these numbers.
fn users(places: std::ops::Range<usize>) -> String {
    let user = |at| format!(r#"{{"id":"user_{at}","object":"user","locked":true}}"#);
    format!("[{}]", places.map(user).collect::<Vec<_>>().join(","))
}

/// A page of `n_users` locked users.
fn page(n_users: usize) -> String {
    users(0..n_users)
}

fn total(n_users: usize) -> (u16, String) {
    (200, format!(r#"{{"object":"total_count","total_count":{n_users}}}"#))
}

/// The number of the first user after the cursor of a request.
fn first_of(target: &str) -> usize {
    let cursor = target.split("starting_after=user_").nth(1);
    let number = cursor.map(|it| it.split('&').next().unwrap_or_default());
    number.map_or(0, |it| it.parse::<usize>().expect("a number") + 1)
}

fn stage(answer: impl Fn(&str) -> (u16, String) + Send + 'static) -> Stage {
    let mut stage = Stage::new();
    stage.set("CLERK_API_URL", &serve(answer));
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage
}

#[test]
fn a_walk_without_a_count_succeeds() {
    let stage = stage(|target| match target {
        _ if target.contains("/count") => (404, String::new()),
        _ if target.contains("starting_after") => (200, "[]".into()),
        _ => (200, page(3)),
    });
    let ended = stage.run("locked").exits_with(0).prints("cannot count the users");
    assert_eq!(ended.prints("3 of 3 users are locked").stdout.lines().count(), 4);
}

#[test]
fn a_server_without_a_cursor_ends_the_walk() {
    let stage =
        stage(|target| if target.contains("/count") { total(500) } else { (200, page(500)) });
    let ended = stage.run("locked -o locked.csv").exits_with(3).prints("user_499");
    ended.prints("incomplete");
    assert_eq!(stage.files(), ["locked.part.csv"]);
}

/// The value of a parameter of a request.
fn parameter(target: &str, name: &str) -> Option<i64> {
    let (_, query) = target.split_once('?')?;
    let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    values.next()?.parse().ok()
}

/// A page of 100 users, created a minute apart. Bounds are included.
fn page_of_a_hundred(target: &str) -> String {
    let after = parameter(target, "created_at_after").unwrap_or(i64::MIN);
    let before = parameter(target, "created_at_before").unwrap_or(i64::MAX);
    let mut made: Vec<i64> = (0..100).map(|n| n * 60_000).collect();
    made.retain(|moment| (after..=before).contains(moment));
    let cursor = target.split_once("starting_after=user_").map(|(_, rest)| rest.split('&'));
    let cursor = cursor.and_then(|mut it| it.next()?.parse::<i64>().ok());
    made.retain(|&moment| cursor.is_none_or(|last| moment < last));
    if !target.contains("order_by") {
        made.reverse();
    }
    made.truncate(parameter(target, "limit").map_or(10, |limit| limit.try_into().unwrap_or(10)));
    let user = |at: &i64| {
        format!(r#"{{"id":"user_{at}","object":"user","locked":true,"created_at":{at}}}"#)
    };
    format!("[{}]", made.iter().map(user).collect::<Vec<_>>().join(","))
}

/// An instance that counts `n_users` users is walked in `n_stretches` stretches, and each of its 100
/// users is listed once.
#[track_caller]
fn is_cut(n_users: u64, n_stretches: usize) {
    let (seen, requested) = mpsc::channel();
    let stage = stage(move |target| {
        let _ = seen.send(target.to_owned());
        let count = format!(r#"{{"object":"total_count","total_count":{n_users}}}"#);
        (200, if target.contains("/count") { count } else { page_of_a_hundred(target) })
    });
    // The list is shorter than the count.
    let code = if n_users > 100 { 3 } else { 0 };
    let ended = stage.run(&format!("locked -o list.csv {FAST}")).exits_with(code);
    let list = stage.read(if code == 0 { "list.csv" } else { "list.part.csv" });
    let users: BTreeSet<&str> = list.lines().skip(1).collect();
    assert_eq!((users.len(), list.lines().count()), (100, 101), "{n_users}: {}", ended.stderr);
    let is_first = |it: &String| it.contains("limit=500") && !it.contains("starting_after");
    let pages: Vec<String> = requested.try_iter().filter(is_first).collect();
    assert_eq!(pages.len(), n_stretches, "{n_users}: {pages:?}");
    assert_eq!(pages.iter().collect::<BTreeSet<_>>().len(), n_stretches, "{pages:?}");
}

#[test]
fn a_walk_is_cut_into_a_stretch_for_each_5_000_users_and_sixteen_at_most() {
    for (n_users, n_stretches) in
        [(0, 1), (9_999, 1), (10_000, 2), (15_000, 3), (79_999, 15), (80_000, 16), (9_000_000, 16)]
    {
        is_cut(n_users, n_stretches);
    }
}

#[test]
fn a_server_with_short_pages_is_walked_to_the_end() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(250);
        }
        let first = first_of(target);
        (200, users(first..(first + 100).min(250)))
    });
    let ended = stage.run("locked").exits_with(0).prints("250 of 250 users");
    assert_eq!(ended.stdout.lines().count(), 251);
}

#[test]
fn a_list_with_fewer_users_than_the_count_is_incomplete() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(7);
        }
        (200, if target.contains("starting_after") { "[]".into() } else { page(3) })
    });
    let ended = stage.run("locked").exits_with(3);
    assert_eq!(ended.prints("the API counted 7 users, but listed 3").stdout, "");
}

#[test]
fn a_server_with_endless_pages_ends_the_walk() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(500);
        }
        let first = first_of(target);
        (200, users(first..first + 500))
    });
    let ended = stage.run("locked -o locked.csv").exits_with(3);
    ended.prints("incomplete").prints("the API counted 500 users, but lists 11500 and more");
    assert_eq!(stage.files(), ["locked.part.csv"]);
}

#[test]
fn a_walk_that_cannot_continue_after_a_page_is_incomplete() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(3);
        }
        (200, r#"[{"id":"user_1","locked":true},{"id":"../admin","locked":true}]"#.to_owned())
    });
    let ended = stage.run("locked -o locked.csv").exits_with(3);
    ended.prints("incomplete").prints("has no valid ID to continue after");
    assert_eq!(stage.files(), ["locked.part.csv"]);
}

#[test]
fn an_unreachable_host_is_an_outage() {
    let mut stage = stage(|_| (200, String::new()));
    // The port is free again after it was bound.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    stage.set("CLERK_API_URL", &format!("http://{free}"));
    stage.run("locked -o locked.csv --max-retries 0").exits_with(3).prints("incomplete");
    assert_eq!(stage.files(), ["locked.part.csv"], "a list without users");
}

/// A user who is on two pages of a walk, locked on the first and not locked on the second.
#[test]
fn a_user_who_differs_between_pages_is_looked_up() {
    for (look_up, is_listed) in [("true", true), ("false", false)] {
        let stage = stage(move |target| {
            if target.contains("/count") {
                return total(3);
            }
            let user = |id, locked: &str| format!(r#"{{"id":"user_{id}","locked":{locked}}}"#);
            let users = match target {
                _ if target.contains("user_id=") => user("a", look_up),
                _ if target.contains("starting_after=user_b") => {
                    user("a", "false") + "," + &user("c", "true")
                }
                _ if target.contains("starting_after") => String::new(),
                _ => user("a", "true") + "," + &user("b", "true"),
            };
            (200, format!("[{users}]"))
        });
        stage.run("locked -o locked.csv").exits_with(0);
        let list = stage.read("locked.csv");
        assert_eq!(list.contains("\nuser_a,"), is_listed, "{list}");
        assert_eq!(list.lines().count(), 3 + usize::from(is_listed), "{list}");
    }
}

#[test]
fn a_user_whose_lock_is_unknown_is_counted_and_not_listed() {
    for locked in [r#""true""#, "1", "null", "0", "[]"] {
        let stage = stage(move |target| {
            if target.contains("/count") {
                return total(2);
            }
            let unknown = format!(r#"{{"id":"user_a","locked":{locked}}}"#);
            (200, format!(r#"[{unknown},{{"id":"user_b","locked":true}}]"#))
        });
        let ended = stage.run("locked -o locked.csv").exits_with(1);
        ended.prints("warning: not listed: 1 user whose `locked` is neither true nor false");
        let list = stage.read("locked.csv");
        assert_eq!(list.lines().count(), 2, "{locked}: {list}");
        assert!(list.contains("\nuser_b,"), "{locked}: {list}");
    }
}

/// It is known that the user is locked, but not whether on purpose.
#[test]
fn a_locked_user_with_unreadable_attempts_is_listed_and_refused_as_input() {
    let stage = stage(move |target| {
        if target.contains("/count") {
            return total(1);
        }
        let user = r#"{"id":"user_a","locked":true,"verification_attempts_remaining":"5"}"#;
        (
            200,
            if target.contains("/unlock") {
                user.replace("true", "false")
            } else {
                format!("[{user}]")
            },
        )
    });
    stage.run("locked -o locked.csv").exits_with(0);
    assert!(stage.read("locked.csv").contains("true,unknown,"));
    stage.run("run locked.csv --yes").exits_with(2).prints("admin_locked");
    stage.run("run --all-locked --yes -o left.csv").exits_with(1);
    stage.run("run --all-locked --yes --include-admin-locked -o all.csv").exits_with(0);
    stage.check_all_outcomes("all.csv", "unlocked");
}

/// A user object does not contain organizations, so only counts show whether the filter was applied.
#[test]
fn a_server_that_ignores_the_organization_filter_is_detected() {
    // `None`: ignores it.
    for n_members in [Some(1), Some(5), None] {
        let stage = stage(move |target| {
            let n_users = match n_members {
                Some(n) if target.contains("organization_id=org_a") => n,
                Some(n) if target.contains("organization_id=-org_a") => 5 - n,
                _ => 5,
            };
            if target.contains("/count") { total(n_users) } else { (200, page(n_users)) }
        });
        let line = "run --all-locked --organization org_a --yes -n";
        let ended = stage.run(line).exits_with(match n_members {
            // The server answers the look-up of the one member with all five users.
            Some(1) => 1,
            Some(_) => 0,
            None => 3,
        });
        if n_members.is_none() {
            ended.prints("cannot check that the API applies --organization");
        }
    }
}
