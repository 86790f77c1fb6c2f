//! `sandbox` alone: what its flags say is what it does, as a client of another program sees it.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ChildStdout;

use common::watch::wait_until;
use common::{Running, Stage};
use serde_json::Value;

/// A sandbox that was started with these flags, and a connection to it.
struct Rehearsal {
    stage: Stage,
    program: Running,
    stdout: BufReader<ChildStdout>,
    stream: BufReader<TcpStream>,
    key: String,
}

impl Rehearsal {
    #[track_caller]
    fn start(flags: &str) -> Self {
        let stage = Stage::new();
        let mut program = stage.spawn_and_listen(&format!("sandbox --port 0 {flags}"));
        let mut stdout = BufReader::new(program.take_stdout());
        let mut value = |name: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line");
            line.trim_end().strip_prefix(name).expect("what a shell sources").to_owned()
        };
        let address = value("CLERK_API_URL=http://");
        let key = value("CLERK_SECRET_KEY=");
        let stream = BufReader::new(TcpStream::connect(address).expect("a connection"));
        Self { stage, program, stdout, stream, key }
    }

    /// Sends one request and gives the status and the body of its answer.
    #[track_caller]
    fn ask(&mut self, request: &str) -> (u16, Value) {
        let head = format!(
            "{request} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {}\r\n\
             Content-Length: 0\r\n\r\n",
            self.key
        );
        self.stream.get_mut().write_all(head.as_bytes()).expect("a request");
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.stream.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        let head = head.to_ascii_lowercase();
        let (_, length) = head.split_once("content-length: ").expect("a length");
        let length = length.split("\r\n").next().and_then(|it| it.parse().ok());
        let mut body = vec![0; length.expect("a number")];
        self.stream.read_exact(&mut body).expect("a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        (status.expect("a status"), serde_json::from_slice(&body).expect("JSON"))
    }

    /// The ids of all users whom it lists.
    #[track_caller]
    fn users(&mut self) -> Vec<String> {
        let (status, users) = self.ask("GET /v1/users?limit=500");
        assert_eq!(status, 200);
        let users = users.as_array().expect("a list").iter();
        users.map(|user| user["id"].as_str().expect("an id").to_owned()).collect()
    }
}

/// A sandbox in nobody's way.
const QUICK: &str = "--quota none --latency 0ms";

#[test]
fn after_the_quota_every_request_is_answered_429_until_it_is_there_again() {
    let mut sandbox = Rehearsal::start("--quota 100/10m --latency 5ms..10ms");
    for n in 1..=100 {
        assert_eq!(sandbox.ask("GET /v1/users/count").0, 200, "request {n}");
    }
    for _ in 0..3 {
        let (status, body) = sandbox.ask("POST /v1/users/user_1/unlock");
        assert_eq!(status, 429);
        assert!(body["errors"][0]["code"].is_string(), "{body}");
    }
}

#[test]
fn a_quota_of_a_short_time_comes_back() {
    let mut sandbox = Rehearsal::start("--quota 2/100ms --latency 0ms");
    let mut is_throttled = || sandbox.ask("GET /v1/users/count").0 == 429;
    wait_until("it is used up", &mut is_throttled);
    wait_until("it is there again", || !is_throttled());
}

#[test]
fn half_of_the_answers_are_the_fault_that_was_asked_for() {
    let mut sandbox = Rehearsal::start("--quota none --latency 5ms..10ms --faults 500=50%");
    let statuses: Vec<u16> =
        (0..100).map(|n| sandbox.ask(&format!("POST /v1/users/user_{n}/unlock")).0).collect();
    let n_of = |status| statuses.iter().filter(|it| **it == status).count();
    assert!((30..=70).contains(&n_of(500)), "{statuses:?}");
    // Two of a hundred such users do not exist.
    assert_eq!(n_of(500) + n_of(200) + n_of(404), 100, "{statuses:?}");
}

#[test]
fn users_says_how_many_there_are_and_seed_who_they_are() {
    let start = |flags: &str| Rehearsal::start(&format!("{QUICK} {flags}"));
    let mut sandbox = start("--users 37 --seed 9");
    let (status, count) = sandbox.ask("GET /v1/users/count");
    assert_eq!((status, &count["total_count"]), (200, &37.into()));
    let users = sandbox.users();
    assert_eq!(users.len(), 37);
    assert_eq!(start("--users 37 --seed 9").users(), users, "the same seed");
    let others = start("--users 37 --seed 8").users();
    assert!(others.iter().all(|user| !users.contains(user)), "another seed");
}

#[test]
fn a_line_a_second_says_what_came_in_what_went_out_and_how_many_are_unlocked() {
    let mut sandbox = Rehearsal::start(&format!("{QUICK} --users 50"));
    for user in sandbox.users() {
        assert_eq!(sandbox.ask(&format!("POST /v1/users/{user}/unlock")).0, 200);
    }
    sandbox.ask("GET /v1/nowhere");
    // An answer may come in another second than its request.
    sandbox.stage.hears("1 × 404 out; 50 unlocked in all\n");
    let heard = sandbox.stage.heard();
    assert_eq!((told(&heard, " request"), told(&heard, " × 200")), (52, 51), "{heard}");
    assert_eq!(sandbox.ask("POST /v1/users/user_1/nothing").0, 404);
    wait_until("that is told too", || told(&sandbox.stage.heard(), " × 404") == 2);
    let first = "the sandbox answers until it is interrupted (Ctrl-C)\n";
    assert!(sandbox.stage.heard().starts_with(first));
    sandbox.program.signal("INT");
    sandbox.program.wait().exits_with(130);
    let mut rest = String::new();
    sandbox.stdout.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "", "stdout is two lines and no more");
}

/// The sum of the numbers that stand before that word in its lines.
fn told(heard: &str, word: &str) -> u64 {
    let befores = heard.match_indices(word).map(|(at, _)| &heard[..at]);
    let numbers =
        befores.filter_map(|before| before.rsplit([' ', '\n']).next()?.parse::<u64>().ok());
    numbers.sum()
}
