//! `locked` against servers that know less than Clerk's.

mod common;

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};

use common::Stage;

/// A server that answers each request by its target, one connection each, until the test is over.
fn serve(answer: fn(&str) -> (u16, String)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that leaves early is no fault.
            let _ = respond(stream, answer);
        }
    });
    format!("http://{address}")
}

fn respond(mut stream: TcpStream, answer: fn(&str) -> (u16, String)) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (status, body) = answer(request.split(' ').nth(1).unwrap_or_default());
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} Said\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// These locked users.
fn users(places: std::ops::Range<usize>) -> String {
    let user = |at| format!(r#"{{"id":"user_{at}","object":"user","locked":true}}"#);
    format!("[{}]", places.map(user).collect::<Vec<_>>().join(","))
}

/// So many locked users.
fn page(n_users: usize) -> String {
    users(0..n_users)
}

fn total(n_users: usize) -> (u16, String) {
    (200, format!(r#"{{"object":"total_count","total_count":{n_users}}}"#))
}

/// The place of the first user after the cursor of a target.
fn first_of(target: &str) -> usize {
    let cursor = target.split("starting_after=user_").nth(1);
    let number = cursor.map(|it| it.split('&').next().unwrap_or_default());
    number.map_or(0, |it| it.parse::<usize>().expect("a number") + 1)
}

fn stage(answer: fn(&str) -> (u16, String)) -> Stage {
    let mut stage = Stage::new();
    stage.set("CLERK_API_URL", &serve(answer));
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage
}

#[test]
fn without_a_count_the_walk_is_made_all_the_same() {
    let stage =
        stage(
            |target| if target.contains("/count") { (404, String::new()) } else { (200, page(3)) },
        );
    let ended = stage.run("locked").exits_with(0).says("can't be counted").says("3 of 3 users");
    assert_eq!(ended.stdout.lines().count(), 4);
}

#[test]
fn a_server_that_knows_no_cursor_is_not_walked_for_ever() {
    let stage =
        stage(|target| if target.contains("/count") { total(500) } else { (200, page(500)) });
    stage.run("locked -o locked.csv").exits_with(1).says("user_499").says("not whole");
    assert!(!stage.path("locked.csv").exists());
}

#[test]
fn a_server_that_caps_its_pages_is_walked_to_the_end() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(250);
        }
        let first = first_of(target);
        (200, users(first..(first + 100).min(250)))
    });
    let ended = stage.run("locked").exits_with(0).says("250 of 250 users");
    assert_eq!(ended.never_says("passed by").stdout.lines().count(), 251);
}

#[test]
fn fewer_users_than_were_counted_are_listed_with_a_warning() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(7);
        }
        (200, if target.contains("starting_after") { "[]".into() } else { page(3) })
    });
    stage.run("locked").exits_with(0).says("7 users were counted and 3 passed by");
}

#[test]
fn a_server_that_grows_for_ever_is_not_walked_for_ever() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(500);
        }
        let first = first_of(target);
        (200, users(first..first + 500))
    });
    let ended = stage.run("locked -o locked.csv").exits_with(1);
    ended.says("not whole").says("where 500 were counted");
    assert!(stage.files().is_empty());
}

#[test]
fn a_page_that_can_not_be_gone_on_from_makes_the_list_none() {
    let stage = stage(|target| {
        if target.contains("/count") {
            return total(3);
        }
        (200, r#"[{"id":"user_1","locked":true},{"id":"../admin","locked":true}]"#.to_owned())
    });
    stage.run("locked -o locked.csv").exits_with(1).says("not whole").says("no id to go on from");
    assert!(stage.files().is_empty());
}

#[test]
fn a_host_that_is_not_there_is_an_outage() {
    let mut stage = stage(|_| (200, String::new()));
    // Bound and let go again: nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port");
    stage.set("CLERK_API_URL", &format!("http://{free}"));
    stage.run("locked -o locked.csv --max-retries 0").exits_with(3).says("not whole");
    assert!(stage.files().is_empty());
}
