//! The `sandbox` command: its flags, its output, and its responses.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::ChildStdout;

use common::watch::wait_until;
use common::{Ended, Running, Stage};
use serde_json::Value;

/// A running `sandbox` and a connection to it.
struct SandboxProgram {
    stage: Stage,
    program: Running,
    stdout: BufReader<ChildStdout>,
    stream: BufReader<TcpStream>,
    key: String,
}

impl SandboxProgram {
    #[track_caller]
    fn start(flags: &str) -> Self {
        let stage = Stage::new();
        let mut program = stage.spawn_with_stderr_in_file(&format!("sandbox --port 0 {flags}"));
        let mut stdout = BufReader::new(program.take_stdout());
        let mut value = |name: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).expect("a line");
            line.trim_end().strip_prefix(name).expect("a variable").to_owned()
        };
        let address = value("CLERK_API_URL=http://");
        let key = value("CLERK_SECRET_KEY=");
        let stream = BufReader::new(TcpStream::connect(address).expect("a connection"));
        Self { stage, program, stdout, stream, key }
    }

    /// Sends a request and returns the status and the body of the response.
    #[track_caller]
    fn request(&mut self, request: &str) -> (u16, Value) {
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

    /// IDs of the listed users.
    #[track_caller]
    fn users(&mut self) -> Vec<String> {
        let (status, users) = self.request("GET /v1/users?limit=500");
        assert_eq!(status, 200);
        let users = users.as_array().expect("a list").iter();
        users.map(|user| user["id"].as_str().expect("an ID").to_owned()).collect()
    }

    /// Number of requests until the first 429.
    #[track_caller]
    fn quota(&mut self) -> usize {
        (0..2_000).find(|_| self.request("GET /v1/users/count").0 == 429).expect("a quota")
    }

    /// Interrupts the program and waits for its end.
    fn interrupt(self) -> Ended {
        self.program.signal("INT");
        let ended = self.program.wait().exits_with(130);
        Ended { stderr: self.stage.stderr_so_far(), ..ended }
    }
}

/// No quota, no latency.
const QUICK: &str = "--quota none --latency 0ms";

#[test]
fn sandbox_is_a_production_instance_unless_development_is_set() {
    let mut production = SandboxProgram::start("--latency 0");
    assert!(production.key.starts_with("sk_live_"), "{}", production.key);
    assert_eq!(production.quota(), 1_000);
    let mut development = SandboxProgram::start("--latency 0 --development");
    assert!(development.key.starts_with("sk_test_"), "{}", development.key);
    assert_eq!(development.quota(), 100);
    let ended = production.interrupt();
    assert!(ended.stderr.starts_with("Sandbox of a production instance; press Ctrl-C to stop\n"));
}

#[test]
fn requests_beyond_the_quota_get_429() {
    let mut sandbox = SandboxProgram::start("--quota 100/10m --latency 5ms..10ms");
    assert_eq!(sandbox.quota(), 100);
    for _ in 0..3 {
        let (status, body) = sandbox.request("POST /v1/users/user_1/unlock");
        assert_eq!(status, 429);
        assert!(body["errors"][0]["code"].is_string(), "{body}");
    }
}

#[test]
fn quota_has_room_again_after_its_window() {
    let mut sandbox = SandboxProgram::start("--quota 2/100ms --latency 0ms");
    let mut is_throttled = || sandbox.request("GET /v1/users/count").0 == 429;
    wait_until("the quota is used up", &mut is_throttled);
    wait_until("the quota has room", || !is_throttled());
}

#[test]
fn live_application_uses_the_quota_and_its_refused_calls_are_reported() {
    let mut sandbox = SandboxProgram::start("--latency 0 --quota 100/10m --live-app 1000/s");
    // The live application uses up the quota within 100 ms.
    wait_until("the quota is used up", || sandbox.request("GET /v1/users/count").0 == 429);
    sandbox.stage.wait_for_stderr(" calls refused\n");
    let ended = sandbox.interrupt();
    let closing = ended.stderr.lines().last().unwrap_or_default();
    let numbers: Vec<u64> = closing
        .strip_prefix("Live application: ")
        .and_then(|rest| rest.strip_suffix(" calls refused"))
        .unwrap_or_else(|| panic!("{closing}"))
        .split(" of ")
        .map(|number| number.replace(',', "").parse().expect("a number"))
        .collect();
    let [refused, calls] = numbers[..] else { panic!("{closing}") };
    assert!(calls > 900 && refused < calls && calls - refused <= 100, "{closing}");
}

#[test]
fn live_application_without_a_quota_is_never_refused() {
    let sandbox = SandboxProgram::start(&format!("{QUICK} -q --live-app 1000/s"));
    let ended = sandbox.interrupt();
    assert!(ended.stderr.starts_with("Live application: 0 of "), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "-q prints only the closing line");
}

#[test]
fn faults_occur_at_the_requested_rate() {
    let mut sandbox = SandboxProgram::start("--quota none --latency 5ms..10ms --faults 500=50%");
    let statuses: Vec<u16> =
        (0..100).map(|n| sandbox.request(&format!("POST /v1/users/user_{n}/unlock")).0).collect();
    let n_of = |status| statuses.iter().filter(|it| **it == status).count();
    assert!((30..=70).contains(&n_of(500)), "{statuses:?}");
    // 2 % of such users do not exist.
    assert_eq!(n_of(500) + n_of(200) + n_of(404), 100, "{statuses:?}");
}

#[test]
fn users_and_seed_determine_the_listed_users() {
    let start = |flags: &str| SandboxProgram::start(&format!("{QUICK} {flags}"));
    let mut sandbox = start("--users 37 --seed 9");
    let (status, count) = sandbox.request("GET /v1/users/count");
    assert_eq!((status, &count["total_count"]), (200, &37.into()));
    let users = sandbox.users();
    assert_eq!(users.len(), 37);
    assert_eq!(start("--users 37 --seed 9").users(), users, "the same seed");
    let others = start("--users 37 --seed 8").users();
    assert!(others.iter().all(|user| !users.contains(user)), "another seed");
}

#[test]
fn flags_out_of_range_are_refused() {
    let stage = Stage::new();
    stage.write("ids.txt", "user_1\n");
    for users in ["10000001", "4294967295"] {
        stage.run_refused(&format!("sandbox --port 0 --users {users}"), 2).prints("0..=10000000");
        let line = format!("run ids.txt --sandbox --sandbox-users {users}");
        stage.run_refused(&line, 2).prints("--sandbox-users").prints("0..=10000000");
    }
    stage.run_refused("sandbox --port 0 --live-app none", 2).prints("requests per time, such as");
    stage
        .run_refused("sandbox --port 0 --quota fast", 2)
        .prints("requests per time, such as 1000/10s");
    stage.run_refused("sandbox --port 0 --latency 1h..1m", 2).prints("expected 50ms, a range");
}

#[test]
fn status_line_counts_requests_responses_and_unlocks() {
    let mut sandbox = SandboxProgram::start(&format!("{QUICK} --users 50"));
    for user in sandbox.users() {
        assert_eq!(sandbox.request(&format!("POST /v1/users/{user}/unlock")).0, 200);
    }
    sandbox.request("GET /v1/nowhere");
    // A response may be counted in a later second than its request.
    sandbox.stage.wait_for_stderr("1 × 404; 50 unlocked in total\n");
    let stderr = sandbox.stage.stderr_so_far();
    assert_eq!((sum(&stderr, " request"), sum(&stderr, " × 200")), (52, 51), "{stderr}");
    assert_eq!(sandbox.request("POST /v1/users/user_1/nothing").0, 404);
    wait_until("a status line counts the second 404", || {
        sum(&sandbox.stage.stderr_so_far(), " × 404") == 2
    });
    sandbox.program.signal("INT");
    sandbox.program.wait().exits_with(130);
    let mut rest = String::new();
    sandbox.stdout.read_to_string(&mut rest).expect("text");
    assert_eq!(rest, "", "stdout has only two lines");
}

/// The sum of the numbers before a word.
fn sum(lines: &str, word: &str) -> u64 {
    let befores = lines.match_indices(word).map(|(at, _)| &lines[..at]);
    let numbers =
        befores.filter_map(|before| before.rsplit([' ', '\n']).next()?.parse::<u64>().ok());
    numbers.sum()
}
