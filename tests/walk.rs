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

/// So many locked users.
fn page(n_users: usize) -> String {
    let user = |at| format!(r#"{{"id":"user_{at}","object":"user","locked":true}}"#);
    format!("[{}]", (0..n_users).map(user).collect::<Vec<_>>().join(","))
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
    let stage = stage(|target| {
        if target.contains("/count") {
            (200, r#"{"object":"total_count","total_count":500}"#.to_owned())
        } else {
            (200, page(500))
        }
    });
    stage.run("locked -o locked.csv").exits_with(1).says("user_499").says("not whole");
    assert!(!stage.path("locked.csv").exists());
}
