//! Answers requests: as Clerk does, as scripted, or with a fault.
#![allow(clippy::disallowed_methods, reason = "a server has its own time")]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use serde_json::{Value, json};

use crate::clerk::UserId;

use super::faults::FaultInjector;
use super::query::{Directory, ListQuery};
use super::quota::Quota;
use super::response::{Delivery, Response};
use super::{FakeUser, FaultKind, Lock, Mode, Population, SandboxConfig, Scripted};

/// Counts of requests and responses so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Requests that arrived.
    pub n_requests: u64,
    /// Requests with the method `GET`.
    pub n_gets: u64,
    /// Responses by status. A request whose client disconnected before the response is in none.
    pub by_status: BTreeMap<u16, u64>,
    /// Requests left unanswered on purpose: closed connections and hangs.
    pub n_unanswered: u64,
    /// Requests refused because the quota was used up; injected 429s are not included.
    pub n_throttled: u64,
    /// Unlocks carried out, whether or not the response arrived.
    pub n_unlocks: u64,
    /// Calls of the live application.
    pub n_live_calls: u64,
    /// Calls of the live application refused because the quota was used up.
    pub n_live_refused: u64,
}

/// A request in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoggedRequest {
    /// Time of arrival.
    pub at: Instant,
    /// HTTP method.
    pub method: String,
    /// Path and query as sent, without an empty query.
    pub path_and_query: String,
    /// IDs of the users in the path or in `user_id`.
    pub user_ids: Vec<String>,
    /// Status of the response; `None` if none was sent, or not yet.
    pub status: Option<u16>,
}

/// The state of a running sandbox.
pub(super) struct Handler {
    pub(super) mode: Mode,
    pub(super) requests: Vec<LoggedRequest>,
    config: SandboxConfig,
    directory: Directory,
    started_at: Instant,
    quota: Quota,
    stats: Stats,
    injector: FaultInjector,
    rng: fastrand::Rng,
    /// Users whose lock a request changed, and the time of the change in Unix milliseconds.
    changes: HashMap<UserId, (Lock, u64)>,
}

/// A request that the sandbox understands.
enum Call {
    Unlock(UserId),
    Lock(UserId),
    Get(UserId),
    List(ListQuery),
    Count(ListQuery),
}

/// Answers one request, after the latency.
pub(super) async fn handle(handler: &Mutex<Handler>, request: &Parts) -> axum::response::Response {
    let (serial, admitted) = lock(handler).admit(request, Instant::now());
    let response = match admitted {
        Ok((call, latency)) => {
            if !latency.is_zero() {
                tokio::time::sleep(latency).await;
            }
            lock(handler).answer(&call, path_and_query(request))
        }
        Err(response) => response,
    };
    lock(handler).count_response(serial, response.sent_status());
    response.into_http().await
}

fn path_and_query(request: &Parts) -> &str {
    request.uri.path_and_query().map_or("", PathAndQuery::as_str)
}

pub(super) fn lock(handler: &Mutex<Handler>) -> MutexGuard<'_, Handler> {
    handler.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handler {
    pub(super) fn new(config: SandboxConfig) -> Self {
        let started_at = Instant::now();
        Self {
            mode: Mode::Normal,
            requests: Vec::new(),
            directory: Directory::new(Population::new(config.seed), config.n_users),
            started_at,
            quota: Quota::new(config.quota, config.live_app, started_at),
            stats: Stats::default(),
            injector: FaultInjector::new(config.faults.clone(), config.seed),
            rng: fastrand::Rng::with_seed(!config.seed),
            changes: HashMap::new(),
            config,
        }
    }

    /// Counts and logs a request, and checks mode, key, quota, path and parameters, in this order:
    /// only requests with the key use up the quota. Returns the serial number of the request, from
    /// 0, and either the latency to wait or the refusal.
    fn admit(
        &mut self,
        request: &Parts,
        now: Instant,
    ) -> (usize, Result<(Call, Duration), Response>) {
        let (method, uri) = (request.method.as_str(), &request.uri);
        let query = uri.query().unwrap_or_default();
        let call = Call::parse(method, uri.path(), query, self.directory.population);
        let serial = usize::try_from(self.stats.n_requests).unwrap_or(usize::MAX);
        self.stats.n_requests += 1;
        self.stats.n_gets += u64::from(method == "GET");
        if self.config.log_requests {
            self.requests.push(LoggedRequest {
                at: now,
                method: method.to_owned(),
                path_and_query: path_and_query(request).trim_end_matches('?').to_owned(),
                user_ids: call.as_ref().map(Call::user_ids).unwrap_or_default(),
                status: None,
            });
        }
        let admitted = self.check_access(request, now).and(call);
        (serial, admitted.map(|call| (call, self.config.latency.pick(self.rng.f64()))))
    }

    fn check_access(&mut self, request: &Parts, now: Instant) -> Result<(), Response> {
        match self.mode {
            Mode::Normal => {}
            Mode::AllStatus(status) => return Err(Response::of_status(status)),
            Mode::Refuse => return Err(Response::closed()),
            Mode::Revoked => return Err(Response::of_status(401)),
        }
        let value = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if value.and_then(|value| value.strip_prefix("Bearer ")) != Some(&self.config.key) {
            return Err(Response::of_status(401));
        }
        self.quota.admit(now).map_err(|wait| {
            self.stats.n_throttled += 1;
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            Response::of_status(429).with_header("Retry-After", &seconds.max(1).to_string())
        })
    }

    fn count_response(&mut self, serial: usize, status: Option<u16>) {
        match status {
            Some(status) => *self.stats.by_status.entry(status).or_default() += 1,
            None => self.stats.n_unanswered += 1,
        }
        if let Some(request) = self.requests.get_mut(serial) {
            request.status = status;
        }
    }

    fn answer(&mut self, call: &Call, path_and_query: &str) -> Response {
        let mut scripted = None;
        if let Call::Unlock(id) | Call::Lock(id) = call {
            scripted = self.config.script.get_mut(id).and_then(VecDeque::pop_front);
        }
        let (status, body, headers) = match scripted {
            Some(Scripted::Answer { status, body, headers }) => (status, body, headers),
            Some(Scripted::Fault(fault)) => return self.inject_fault(fault, call),
            None => {
                return match self.injector.next(path_and_query) {
                    Some(fault) => self.inject_fault(fault, call),
                    None => self.respond(call),
                };
            }
        };
        let response = match body {
            Some(body) => Response::json(status, body),
            None if (200..300).contains(&status) => Response { status, ..self.respond(call) },
            None => Response::of_status(status),
        };
        headers.iter().fold(response, |response, (name, value)| response.with_header(name, value))
    }

    /// The right response.
    fn respond(&mut self, call: &Call) -> Response {
        match call {
            Call::Unlock(id) | Call::Lock(id) | Call::Get(id) => {
                let Some(mut user) = self.user(id) else { return Response::no_user(id.as_str()) };
                match call {
                    Call::Unlock(_) => {
                        self.stats.n_unlocks += 1;
                        self.change(&mut user, Lock::OPEN);
                    }
                    Call::Lock(_) => {
                        let lock = Lock { locked: true, expires_in: None, ..user.lock };
                        self.change(&mut user, lock);
                    }
                    _ => {}
                }
                Response::json(200, user.to_json().to_string())
            }
            Call::List(query) => {
                let page = self.directory.page(query).into_iter();
                let page: Value = page.map(|user| self.as_of_now(user).to_json()).collect();
                Response::json(200, page.to_string())
            }
            Call::Count(query) => {
                let n = self.directory.count(query);
                let body = json!({ "object": "total_count", "total_count": n });
                Response::json(200, body.to_string())
            }
        }
    }

    fn inject_fault(&mut self, fault: FaultKind, call: &Call) -> Response {
        match fault {
            FaultKind::InternalError => Response::of_status(500),
            FaultKind::BadGateway => Response::new(502, "text/html; charset=UTF-8", BAD_GATEWAY),
            FaultKind::Unavailable => Response::of_status(503).with_header("Retry-After", "1"),
            FaultKind::GatewayTimeout => {
                self.respond(call);
                Response::of_status(504)
            }
            FaultKind::Throttled => Response::of_status(429),
            FaultKind::Reset => Response::closed(),
            FaultKind::ResetAfter => Response { delivery: Delivery::Closed, ..self.respond(call) },
            FaultKind::Hang => Response { delivery: Delivery::Hang, ..Response::closed() },
            FaultKind::Truncated => {
                Response { delivery: Delivery::Truncated, ..self.respond(call) }
            }
            FaultKind::Garbage => Response::json(200, "{\"id\":\"user_\u{fffd}\",,,upstream"),
            FaultKind::Empty => {
                self.respond(call);
                Response::json(200, "")
            }
            FaultKind::Slow => Response { delivery: Delivery::Slow, ..self.respond(call) },
            FaultKind::OtherUser => self.other_user(call),
            FaultKind::StillLocked => self.still_locked(call),
            FaultKind::Huge => Response { delivery: Delivery::Huge, ..Response::json(200, "") },
            FaultKind::Gzip => {
                Response::json(200, &GZIP[..]).with_header("Content-Encoding", "gzip")
            }
            // The discard port: no server receives a key that is sent there.
            FaultKind::Redirect => {
                Response::new(307, "text/plain", "").with_header("Location", "http://127.0.0.1:9/")
            }
            FaultKind::Deep => Response::json(200, "[".repeat(DEPTH) + &"]".repeat(DEPTH)),
            FaultKind::Escapes => Response::error(422, ESCAPES),
        }
    }

    /// Another user's object, where the request names users.
    fn other_user(&mut self, call: &Call) -> Response {
        let is_list = match call {
            Call::Unlock(_) | Call::Lock(_) | Call::Get(_) => false,
            Call::List(query) if query.identifies_users() => true,
            Call::List(_) | Call::Count(_) => return self.respond(call),
        };
        let named = call.user_ids();
        let mut listed = (0..).map(|index| self.directory.population.listed_id(index));
        let other = listed.find(|id| !named.iter().any(|it| it == id.as_str()));
        let user = other.and_then(|id| self.user(&id)).map(|user| user.to_json());
        let body = if is_list { json!([user]) } else { json!(user) };
        Response::json(200, body.to_string())
    }

    fn still_locked(&mut self, call: &Call) -> Response {
        let Call::Unlock(id) = call else { return self.respond(call) };
        let Some(mut user) = self.user(id) else { return Response::no_user(id.as_str()) };
        let expires_in = Some(Duration::from_secs(1_800));
        user.lock = Lock { locked: true, attempts_left: 0, expires_in };
        Response::json(200, user.to_json().to_string())
    }

    /// The user as of now.
    fn user(&self, id: &UserId) -> Option<FakeUser> {
        self.directory.population.user(id).map(|user| self.as_of_now(user))
    }

    /// Applies the changes by requests, and the time that passed, to the user's lock.
    fn as_of_now(&self, mut user: FakeUser) -> FakeUser {
        if let Some(&(lock, changed_at)) = self.changes.get(&user.id) {
            (user.lock, user.updated_at) = (lock, changed_at);
        }
        user.lock = user.lock.after(self.started_at.elapsed());
        user
    }

    fn change(&mut self, user: &mut FakeUser, lock: Lock) {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or_default();
        (user.lock, user.updated_at) = (lock, now);
        self.changes.insert(user.id.clone(), (lock, now));
    }

    pub(super) fn is_locked(&self, id: &UserId) -> bool {
        self.user(id).is_some_and(|user| user.is_locked())
    }

    pub(super) fn stats(&mut self) -> Stats {
        let (n_live_calls, n_live_refused) = self.quota.live_calls(Instant::now());
        Stats { n_live_calls, n_live_refused, ..self.stats.clone() }
    }
}

impl Call {
    fn parse(
        method: &str,
        path: &str,
        query: &str,
        population: Population,
    ) -> Result<Self, Response> {
        let user = |id: &str| id.parse().map_err(|_| Response::no_user(id));
        let list = || ListQuery::parse(query, population);
        let no_route = || Response::error(404, "The sandbox does not have this path.");
        let path = path.strip_prefix("/v1/users").ok_or_else(no_route)?;
        let segments: Vec<&str> = path.split('/').collect();
        match (method, segments.as_slice()) {
            ("GET", [""]) => Ok(Self::List(list()?)),
            ("GET", ["", "count"]) => Ok(Self::Count(list()?)),
            ("GET", ["", id]) => Ok(Self::Get(user(id)?)),
            ("POST", ["", id, "unlock"]) => Ok(Self::Unlock(user(id)?)),
            ("POST", ["", id, "lock"]) => Ok(Self::Lock(user(id)?)),
            (_, [""] | ["", _] | ["", _, "unlock" | "lock"]) => Err(Response::of_status(405)),
            _ => Err(no_route()),
        }
    }

    /// IDs of the users that the request names.
    fn user_ids(&self) -> Vec<String> {
        match self {
            Self::Unlock(id) | Self::Lock(id) | Self::Get(id) => vec![id.to_string()],
            Self::List(query) | Self::Count(query) => query.user_ids().to_vec(),
        }
    }
}

/// Error page of a proxy.
const BAD_GATEWAY: &str = "<!DOCTYPE html>\n<html><head><title>502: Bad gateway</title></head>\
    <body><h1>Bad gateway</h1><p>The web server reported a bad gateway error.</p></body></html>\n";

/// `{"id":"user_gzip","object":"user","locked":false}`, compressed.
const GZIP: [u8; 61] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xab, 0x56, 0xca, 0x4c, 0x51, 0xb2,
    0x52, 0x2a, 0x2d, 0x4e, 0x2d, 0x8a, 0x4f, 0xaf, 0xca, 0x2c, 0x50, 0xd2, 0x51, 0xca, 0x4f, 0xca,
    0x4a, 0x4d, 0x2e, 0x81, 0x0a, 0x02, 0xf9, 0x39, 0xf9, 0xc9, 0xd9, 0xa9, 0x40, 0x45, 0x69, 0x89,
    0x39, 0xc5, 0xa9, 0xb5, 0x00, 0x9c, 0x9e, 0x59, 0xfb, 0x31, 0x00, 0x00, 0x00,
];

const DEPTH: usize = 100_000;

/// Colors, a window title, a bell, cursor movement, NUL, C1, line breaks, a right-to-left override.
const ESCAPES: &str = "\u{1b}[31mred\u{1b}[0m \u{1b}]0;owned\u{7} \u{1b}[2J\u{1b}[H a\u{0}b \
    \u{9b}5m one\r\ntwo\u{2028}three \u{202e}drawkcab";

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &str, path: &str, expected: Result<&str, u16>) {
        let call = Call::parse(method, path, "", Population::new(1)).map_err(|error| error.status);
        let name = call.map(|call| match call {
            Call::Unlock(_) => "unlock",
            Call::Lock(_) => "lock",
            Call::Get(_) => "get",
            Call::List(_) => "list",
            Call::Count(_) => "count",
        });
        assert_eq!(name, expected, "{method} {path}");
    }

    #[test]
    fn method_and_path_select_the_call() {
        check("POST", "/v1/users/user_a/unlock", Ok("unlock"));
        check("POST", "/v1/users/user_a/lock", Ok("lock"));
        check("GET", "/v1/users/user_a", Ok("get"));
        check("GET", "/v1/users", Ok("list"));
        check("GET", "/v1/users/count", Ok("count"));
    }

    #[test]
    fn another_method_of_a_known_path_is_405() {
        check("GET", "/v1/users/user_a/unlock", Err(405));
        check("DELETE", "/v1/users/user_a", Err(405));
        check("POST", "/v1/users", Err(405));
    }

    #[test]
    fn anything_else_is_404() {
        for path in
            ["/", "/users", "/v1/usersx", "/v1/users/user_a/ban", "/v1/users/user_a/unlock/"]
        {
            check("POST", path, Err(404));
        }
        check("POST", "/v1/users/sess_1/unlock", Err(404));
        check("GET", "/v1/users/", Err(404));
    }
}
