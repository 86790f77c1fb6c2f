//! Tests through a real socket.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::*;
use crate::clerk::{UserId, UserSnapshot};

/// A minimal HTTP/1.1 client with one connection.
struct Client {
    stream: TcpStream,
    key: String,
}

#[derive(Debug, Default)]
struct Reply {
    /// 0 if the connection was closed without a response.
    status: u16,
    head: String,
    body: Vec<u8>,
    is_whole: bool,
}

impl Client {
    fn of(sandbox: &Sandbox) -> Self {
        let stream = TcpStream::connect(sandbox.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream, key: sandbox.key().to_owned() }
    }

    fn post(&mut self, path: &str) -> Reply {
        self.send("POST", path)
    }

    fn get(&mut self, path: &str) -> Reply {
        self.send("GET", path)
    }

    fn send(&mut self, method: &str, path: &str) -> Reply {
        let key = &self.key;
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Length: 0\r\n\r\n"
        );
        // Reading reports a closed connection.
        let _ = self.stream.write_all(request.as_bytes());
        self.read()
    }

    fn read(&mut self) -> Reply {
        let mut bytes = Vec::new();
        let mut reply = Reply::default();
        let Some(end) = self.read_until(&mut bytes, |bytes| {
            bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
        }) else {
            assert!(bytes.is_empty(), "closed inside the head");
            return reply;
        };
        reply.head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        reply.status = reply.head[9..12].parse().unwrap();
        let length = reply.header("content-length").map(|it| it.parse::<usize>().unwrap());
        let whole = |bytes: &[u8]| (bytes.len() >= end + length?).then_some(end + length?);
        reply.is_whole = self.read_until(&mut bytes, whole).is_some();
        reply.body = bytes.split_off(end);
        reply
    }

    /// Reads until `found` returns something; `None` if the connection is closed first.
    fn read_until(
        &mut self,
        bytes: &mut Vec<u8>,
        found: impl Fn(&[u8]) -> Option<usize>,
    ) -> Option<usize> {
        let mut chunk = [0; 8 * 1024];
        loop {
            if let Some(at) = found(bytes) {
                return Some(at);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn user(&self) -> UserSnapshot {
        UserSnapshot::parse(self.text()).unwrap()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

fn start(config: SandboxConfig) -> Sandbox {
    Sandbox::start(config.log_requests(true), 0).unwrap()
}

fn plain() -> Sandbox {
    start(SandboxConfig::default())
}

fn with_fault(kind: FaultKind) -> Sandbox {
    start(SandboxConfig::default().faults(Faults::only(kind, 1.0)))
}

/// The first listed user for whom this is true.
fn listed(is_wanted: impl Fn(&FakeUser) -> bool) -> UserId {
    let population = Population::new(1);
    let mut users = (0..).filter_map(|index| population.user(&population.listed_id(index)));
    users.find(is_wanted).unwrap().id
}

fn locked() -> UserId {
    listed(|user| user.is_locked() && !user.is_admin_locked() && user.lock.expires_in.is_some())
}

fn missing() -> UserId {
    let mut ids = (0..).map(|n| format!("user_{n}").parse().unwrap());
    ids.find(|id| Population::new(1).user(id).is_none()).unwrap()
}

fn unlock(id: &UserId) -> String {
    format!("/v1/users/{id}/unlock")
}

#[test]
fn an_unlocked_user_stays_unlocked() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    let id = locked();
    assert!(sandbox.is_locked(&id));
    let reply = client.post(&unlock(&id));
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    let user = reply.user();
    assert!(user.is_of(&id));
    assert_eq!(user.locked, Some(false));
    assert_eq!(user.lockout_expires_in_seconds, None);
    assert_eq!(user.verification_attempts_remaining, Some(10));
    assert_eq!(client.get(&format!("/v1/users/{id}")).user().locked, Some(false));
    assert!(!sandbox.is_locked(&id));
    assert_eq!(sandbox.stats().n_unlocks, 1);
}

#[test]
fn a_lock_call_locks_forever_and_keeps_the_attempts() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    let open = listed(|user| !user.is_locked() && user.lock.attempts_left == 7);
    let lock = |id: &UserId| format!("/v1/users/{id}/lock");
    let user = client.post(&lock(&open)).user();
    assert!(user.is_admin_locked() == Some(true) && sandbox.is_locked(&open));
    assert_eq!(
        (user.verification_attempts_remaining, user.lockout_expires_in_seconds),
        (Some(7), None)
    );
    // A user whose failed sign-ins used up the attempts has none left afterwards either.
    let user = client.post(&lock(&locked())).user();
    assert!(user.is_locked() && user.is_admin_locked() == Some(false));
    assert_eq!(
        (user.verification_attempts_remaining, user.lockout_expires_in_seconds),
        (Some(0), None)
    );
    assert_eq!(client.post(&unlock(&open)).user().verification_attempts_remaining, Some(10));
    assert_eq!(client.post(&lock(&missing())).status, 404);
}

#[test]
fn a_missing_user_is_404_with_an_error_body() {
    let sandbox = plain();
    let id = missing();
    let reply = Client::of(&sandbox).post(&unlock(&id));
    assert_eq!(reply.status, 404);
    assert!(reply.header("cf-ray").is_some());
    let body = reply.json();
    assert_eq!(body["errors"][0]["code"], "resource_not_found");
    assert_eq!(body["errors"][0]["long_message"], format!("No user was found with id {id}."));
    assert_eq!(body["clerk_trace_id"].as_str().map(str::len), Some(32));
}

#[test]
fn a_wrong_key_is_401_and_changes_nothing() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    client.key = "sk_test_another".to_owned();
    let reply = client.post(&unlock(&locked()));
    assert_eq!(reply.status, 401);
    assert_eq!(reply.json()["errors"][0]["code"], "authentication_invalid");
    assert!(sandbox.is_locked(&locked()));
}

#[test]
fn users_are_listed_and_counted() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    assert_eq!(client.get("/v1/users").json().as_array().map(Vec::len), Some(10));
    assert_eq!(client.get("/v1/users?limit=500").json().as_array().map(Vec::len), Some(500));
    assert_eq!(client.get("/v1/users/count").json()["total_count"], 1_000);
    let refusal = client.get("/v1/users?limit=0");
    assert_eq!(
        (refusal.status, refusal.json()["errors"][0]["meta"]["param_name"].as_str()),
        (422, Some("limit"))
    );
}

#[test]
fn filters_agree_with_the_bodies() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    let mut list = |filter: &str| {
        let users = client.get(&format!("/v1/users?limit=500&{filter}")).json();
        let count = client.get(&format!("/v1/users/count?{filter}")).json();
        let users = users.as_array().unwrap().clone();
        assert_eq!(count["total_count"], users.len(), "{filter}");
        assert!(!users.is_empty(), "{filter}");
        users
    };
    let in_acme = |user: &serde_json::Value| {
        let memberships = user["organization_memberships"].as_array().unwrap();
        memberships.iter().any(|it| it["organization"]["id"] == "org_acme")
    };
    assert!(list("organization_id=org_acme").iter().all(in_acme));
    let banned = list("banned=true&organization_id=-org_acme");
    assert!(banned.iter().all(|user| user["banned"] == true && !in_acme(user)));
    let signed_in = list("last_sign_in_at_after=1746057600000");
    let after =
        |user: &serde_json::Value| user["last_sign_in_at"].as_u64() > Some(1_746_057_600_000);
    assert!(signed_in.iter().all(after));
}

#[test]
fn a_look_up_shows_unlocked_users_and_omits_missing_ones() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    client.post(&unlock(&locked()));
    let path = format!("/v1/users?limit=100&user_id={}&user_id={}", locked(), missing());
    let users = client.get(&path).json();
    assert_eq!(users.as_array().map(Vec::len), Some(1));
    assert_eq!(users[0]["locked"], false);
}

#[test]
fn over_the_quota_is_429_with_retry_after() {
    let sandbox = start(SandboxConfig::default().quota("2/60s".parse().ok()));
    let mut client = Client::of(&sandbox);
    let statuses: Vec<u16> = (0..4).map(|_| client.get("/v1/users/count").status).collect();
    assert_eq!(statuses, [200, 200, 429, 429]);
    let reply = client.get("/v1/users/count");
    let seconds: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    assert_eq!(reply.json()["errors"][0]["code"], "rate_limit_exceeded");
    assert_eq!(sandbox.stats().n_throttled, 3);
}

#[test]
fn a_request_without_the_key_uses_no_quota() {
    let sandbox = start(SandboxConfig::default().quota("1/60s".parse().ok()));
    let mut stranger = Client::of(&sandbox);
    stranger.key = "sk_test_another".to_owned();
    assert_eq!(stranger.get("/v1/users/count").status, 401);
    assert_eq!(Client::of(&sandbox).get("/v1/users/count").status, 200);
}

/// Checks the status of a fault (0: no response), whether the body is whole, and whether the user
/// was unlocked.
#[track_caller]
fn check(kind: FaultKind, status: u16, is_whole: bool, is_unlocked: bool) -> Reply {
    let sandbox = with_fault(kind);
    let reply = Client::of(&sandbox).post(&unlock(&locked()));
    let found = (reply.status, reply.is_whole, !sandbox.is_locked(&locked()));
    assert_eq!(found, (status, is_whole, is_unlocked), "{kind}");
    reply
}

#[test]
fn each_fault_does_what_is_documented() {
    check(FaultKind::InternalError, 500, true, false);
    assert!(check(FaultKind::BadGateway, 502, true, false).text().starts_with("<!DOCTYPE html>"));
    let unavailable = check(FaultKind::Unavailable, 503, true, false);
    assert_eq!(unavailable.header("retry-after"), Some("1"));
    check(FaultKind::GatewayTimeout, 504, true, true);
    assert_eq!(check(FaultKind::Throttled, 429, true, false).header("retry-after"), Some("1"));
    check(FaultKind::Reset, 0, false, false);
    check(FaultKind::ResetAfter, 0, false, true);
    let truncated = check(FaultKind::Truncated, 200, false, true);
    let announced: usize = truncated.header("content-length").unwrap().parse().unwrap();
    assert_eq!(truncated.body.len(), announced / 2);
    assert!(UserSnapshot::parse(check(FaultKind::Garbage, 200, true, false).text()).is_err());
    assert_eq!(check(FaultKind::Empty, 200, true, true).body, b"");
    assert!(!check(FaultKind::OtherUser, 200, true, false).user().is_of(&locked()));
    assert!(check(FaultKind::StillLocked, 200, true, false).user().is_locked());
    let gzip = check(FaultKind::Gzip, 200, true, false);
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    let redirect = check(FaultKind::Redirect, 307, true, false);
    assert_eq!(redirect.header("location"), Some("http://127.0.0.1:9/"));
    assert_eq!(check(FaultKind::Deep, 200, true, false).body.len(), 200_000);
    let message =
        check(FaultKind::Escapes, 422, true, false).json()["errors"][0]["message"].clone();
    assert!(message.as_str().unwrap().contains("\u{1b}[31m"));
}

#[test]
fn a_slow_response_is_right() {
    let reply = check(FaultKind::Slow, 200, true, true);
    assert!(reply.user().is_of(&locked()));
}

#[test]
fn a_hanging_request_is_not_answered_and_does_not_delay_the_stop() {
    let sandbox = with_fault(FaultKind::Hang);
    let mut client = Client::of(&sandbox);
    client.stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let request = format!(
        "POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        unlock(&locked()),
        client.key
    );
    client.stream.write_all(request.as_bytes()).unwrap();
    assert!(client.stream.read(&mut [0; 1]).is_err());
    drop(sandbox);
}

#[test]
fn a_client_may_disconnect_during_a_huge_response() {
    let sandbox = with_fault(FaultKind::Huge);
    let mut client = Client::of(&sandbox);
    let request = format!(
        "GET /v1/users/count HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n",
        client.key
    );
    client.stream.write_all(request.as_bytes()).unwrap();
    client.stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
    drop(client);
    let mut next = Client::of(&sandbox);
    next.key = "sk_test_another".to_owned();
    assert_eq!(next.get("/v1/users").status, 401);
}

#[test]
fn every_user_is_unlocked_within_four_attempts() {
    let sandbox = start(SandboxConfig::default().faults(Faults::mix(0.9)));
    let mut client = Client::of(&sandbox);
    for index in 0..200 {
        let id = Population::new(1).listed_id(index);
        let is_done = (0..4).any(|_| {
            let reply = client.post(&unlock(&id));
            if !reply.is_whole {
                client = Client::of(&sandbox);
            }
            let user = UserSnapshot::parse(String::from_utf8_lossy(&reply.body)).ok();
            reply.is_whole && user.is_some_and(|it| it.is_of(&id) && !it.is_locked())
        });
        assert!(is_done, "{id}");
    }
}

#[test]
fn a_script_is_played_in_order_before_normal_responses() {
    let scripted = VecDeque::from([
        Scripted::status(503).with_header("Retry-After", "7"),
        Scripted::status(200).with_body("[]"),
        Scripted::Fault(FaultKind::Reset),
        Scripted::status(204),
    ]);
    let script = Script::from([(locked(), scripted)]);
    let sandbox = start(SandboxConfig::default().script(script));
    let mut client = Client::of(&sandbox);
    let first = client.post(&unlock(&locked()));
    assert_eq!((first.status, first.header("retry-after")), (503, Some("7")));
    assert_eq!(client.post(&unlock(&locked())).text(), "[]");
    assert!(sandbox.is_locked(&locked()));
    assert_eq!(client.post(&unlock(&locked())).status, 0);
    let mut client = Client::of(&sandbox);
    assert_eq!(client.get(&format!("/v1/users/{}", locked())).status, 200);
    let statuses: Vec<_> = sandbox.requests().into_iter().map(|it| it.status).collect();
    assert_eq!(statuses, [Some(503), Some(200), None, Some(200)]);
}

#[test]
fn a_mode_affects_all_requests_until_it_is_changed() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    let path = unlock(&locked());
    sandbox.set_mode(Mode::AllStatus(503));
    assert_eq!(client.post(&path).status, 503);
    sandbox.set_mode(Mode::Revoked);
    assert_eq!(client.post(&path).status, 401);
    sandbox.set_mode(Mode::Refuse);
    assert_eq!(client.post(&path).status, 0);
    assert_eq!(Client::of(&sandbox).post(&path).status, 0);
    assert!(sandbox.is_locked(&locked()));
    sandbox.set_mode(Mode::Normal);
    assert_eq!(Client::of(&sandbox).post(&path).status, 200);
}

#[test]
fn the_log_has_users_and_statuses() {
    let sandbox = plain();
    let mut client = Client::of(&sandbox);
    client.post(&unlock(&missing()));
    client.get("/v1/users?limit=5&user_id=user_a&user_id=user_b");
    let log = sandbox.requests();
    assert_eq!((log[0].method.as_str(), log[0].status), ("POST", Some(404)));
    assert_eq!(log[0].user_ids, [missing().as_str()]);
    assert_eq!(log[1].path_and_query, "/v1/users?limit=5&user_id=user_a&user_id=user_b");
    assert_eq!(log[1].user_ids, ["user_a", "user_b"]);
    assert_eq!(max_in_any(&log, Duration::from_secs(60)), 2);
    let stats = sandbox.stats();
    assert_eq!((stats.n_requests, stats.n_gets), (2, 1));
    assert_eq!(stats.by_status.into_iter().collect::<Vec<_>>(), [(200, 1), (404, 1)]);
}

#[test]
fn a_dropped_sandbox_does_not_listen() {
    let sandbox = plain();
    let addr = sandbox.addr();
    drop(sandbox);
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_port_in_use_is_an_error() {
    let sandbox = plain();
    let error = Sandbox::start(SandboxConfig::default(), sandbox.addr().port()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[test]
fn too_many_users_are_refused() {
    let config = SandboxConfig::default().n_users(10_000_001);
    assert_eq!(Sandbox::start(config, 0).err().unwrap().kind(), ErrorKind::InvalidInput);
}
