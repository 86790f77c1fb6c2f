//! Answers requests: as Clerk does, as scripted, or with a fault.
#![allow(clippy::disallowed_methods, reason = "a server has its own time")]

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use serde::Serialize;
use serde_json::json;

use crate::model::UserId;

use super::faults::FaultInjector;
use super::population::hash;
use super::query::{Directory, ListQuery};
use super::quota::Admission;
use super::response::{ApiError, Delivery, Response};
use super::stats::RequestLog;
use super::user::Lock;
use super::{
    FakeUser, FaultKind, Latency, LoggedRequest, Mode, Population, SandboxConfig, Script, Scripted,
    Stats,
};

/// Answers all requests of a sandbox.
pub(super) struct Handler {
    bearer: String,
    pub(super) directory: Directory,
    state: Mutex<State>,
}

pub(super) struct State {
    started_at: Instant,
    pub(super) mode: Mode,
    admission: Admission,
    pub(super) log: RequestLog,
    injector: FaultInjector,
    script: Script,
    latency: Latency,
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

impl Handler {
    pub(super) fn new(config: SandboxConfig) -> Self {
        let started_at = Instant::now();
        let state = State {
            started_at,
            mode: Mode::Normal,
            admission: Admission::new(&config, started_at),
            log: RequestLog::new(&config),
            injector: FaultInjector::new(config.faults, config.seed),
            script: config.script,
            latency: config.latency,
            rng: fastrand::Rng::with_seed(!config.seed),
            changes: HashMap::new(),
        };
        Self {
            bearer: format!("Bearer {}", config.key),
            directory: Directory::new(Population::new(config.seed), config.n_users),
            state: Mutex::new(state),
        }
    }

    /// Admits a request, waits for the latency, carries the request out and answers it.
    pub(super) async fn handle(&self, request: &Parts) -> axum::response::Response {
        let now = Instant::now();
        let (path, query) = (request.uri.path(), request.uri.query().unwrap_or_default());
        let call = Call::parse(request.method.as_str(), path, query);
        let (serial, admitted) = {
            let state = &mut *self.state();
            let method = request.method.as_str();
            let serial = state.log.arrived(method, now, || LoggedRequest {
                at: now,
                method: method.to_owned(),
                path_and_query: request.uri.to_string().trim_end_matches('?').to_owned(),
                user_ids: call.as_ref().map(Call::user_ids).unwrap_or_default(),
                status: None,
            });
            let admitted = self.admit(request, state, now).and_then(|()| {
                let call = call.map_err(ApiError::into_response)?;
                Ok((call, state.latency.pick(state.rng.f64())))
            });
            (serial, admitted)
        };
        let response = match admitted {
            Ok((call, latency)) => {
                if !latency.is_zero() {
                    tokio::time::sleep(latency).await;
                }
                self.answer(&call, hash(hash(0, path), query))
            }
            Err(response) => response,
        };
        self.state().log.answered(serial, response.status);
        response.into_http().await
    }

    /// Checks mode, key and quota, in this order: only requests with the key use up the quota.
    fn admit(&self, request: &Parts, state: &mut State, now: Instant) -> Result<(), Response> {
        let refuse = |error: ApiError| Err(error.into_response());
        match state.mode {
            Mode::Normal => {}
            Mode::AllStatus(status) => return refuse(ApiError::of_status(status)),
            Mode::Refuse => return Err(Response::closed()),
            Mode::Revoked => return refuse(ApiError::of_status(401)),
        }
        let key = request.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if key != Some(self.bearer.as_str()) {
            return refuse(ApiError::of_status(401));
        }
        if let Err(wait) = state.admission.admit(now) {
            state.log.stats.n_throttled += 1;
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            let retry_after = Some(seconds.max(1));
            return refuse(ApiError { retry_after, ..ApiError::of_status(429) });
        }
        Ok(())
    }

    /// `request` is the same number for the same request.
    fn answer(&self, call: &Call, request: u64) -> Response {
        let state = &mut *self.state();
        if let Call::Unlock(id) | Call::Lock(id) = call
            && let Some(scripted) = state.script.get_mut(id).and_then(VecDeque::pop_front)
        {
            return self.play(scripted, call, state);
        }
        match state.injector.next(request) {
            Some(fault) => self.inject_fault(fault, call, state),
            None => self.respond(call, state),
        }
    }

    fn play(&self, scripted: Scripted, call: &Call, state: &mut State) -> Response {
        let (status, body, headers) = match scripted {
            Scripted::Fault(fault) => return self.inject_fault(fault, call, state),
            Scripted::Answer { status, body, headers } => (status, body, headers),
        };
        let mut response = match body {
            Some(body) => Response::json(status, body),
            None if (200..300).contains(&status) => {
                Response { status: Some(status), ..self.respond(call, state) }
            }
            None => ApiError::of_status(status).into_response(),
        };
        let is_scripted = |name: &str| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        response.headers.retain(|(name, _)| !is_scripted(name));
        response.headers.extend(headers);
        response
    }

    /// The right response.
    fn respond(&self, call: &Call, state: &mut State) -> Response {
        match self.execute(call, state) {
            Ok(body) => Response::json(200, body),
            Err(error) => error.into_response(),
        }
    }

    /// The body of the right response.
    fn execute(&self, call: &Call, state: &mut State) -> Result<String, ApiError> {
        let user = |id: &UserId, state: &State| {
            let user = self.directory.population.user(id);
            user.map(|user| state.now(user)).ok_or_else(|| ApiError::no_user(id.as_str()))
        };
        match call {
            Call::Get(id) => Ok(body_of(&user(id, state)?)),
            Call::Unlock(id) => {
                let user = user(id, state)?;
                state.log.stats.n_unlocks += 1;
                Ok(body_of(&state.change(user, Lock::OPEN)))
            }
            Call::Lock(id) => {
                let user = user(id, state)?;
                let lock = Lock { locked: true, expires_in: None, ..user.lock };
                Ok(body_of(&state.change(user, lock)))
            }
            Call::List(query) => {
                let page = self.directory.page(query)?.into_iter();
                Ok(body_of(&page.map(|user| state.now(user)).collect::<Vec<_>>()))
            }
            Call::Count(query) => {
                let n = self.directory.count(query)?;
                Ok(body_of(&json!({ "object": "total_count", "total_count": n })))
            }
        }
    }

    fn inject_fault(&self, fault: FaultKind, call: &Call, state: &mut State) -> Response {
        let error = |status| ApiError::of_status(status).into_response();
        match fault {
            FaultKind::InternalError => error(500),
            FaultKind::BadGateway => Response::new(502, "text/html; charset=UTF-8", BAD_GATEWAY),
            FaultKind::Unavailable => {
                ApiError { retry_after: Some(1), ..ApiError::of_status(503) }.into_response()
            }
            FaultKind::GatewayTimeout => {
                let _ = self.execute(call, state);
                error(504)
            }
            FaultKind::Throttled => error(429),
            FaultKind::Reset => Response::closed(),
            FaultKind::ResetAfter => {
                let _ = self.execute(call, state);
                Response::closed()
            }
            FaultKind::Hang => Response::closed().with_delivery(Delivery::Late),
            FaultKind::Truncated => self.respond(call, state).with_delivery(Delivery::Truncated),
            FaultKind::Garbage => Response::json(200, "{\"id\":\"user_\u{fffd}\",,,upstream"),
            FaultKind::Empty => {
                let _ = self.execute(call, state);
                Response::json(200, "")
            }
            FaultKind::Slow => self.respond(call, state).with_delivery(Delivery::Slow),
            FaultKind::OtherUser => self.other_user(call, state),
            FaultKind::StillLocked => match call {
                Call::Unlock(id) => self.still_locked(id),
                _ => self.respond(call, state),
            },
            FaultKind::Huge => Response::json(200, "").with_delivery(Delivery::Huge),
            FaultKind::Gzip => {
                Response::json(200, &GZIP[..]).with_header("Content-Encoding", "gzip")
            }
            // The discard port: a key that is sent there reaches nobody.
            FaultKind::Redirect => {
                Response::new(307, "text/plain", "").with_header("Location", "http://127.0.0.1:9/")
            }
            FaultKind::Deep => Response::json(200, "[".repeat(DEPTH) + &"]".repeat(DEPTH)),
            FaultKind::Escapes => ApiError::new(422, ESCAPES).into_response(),
        }
    }

    /// Another user's object, where the request names users.
    fn other_user(&self, call: &Call, state: &mut State) -> Response {
        let is_list = match call {
            Call::List(query) if query.identifies_users() => true,
            Call::List(_) | Call::Count(_) => return self.respond(call, state),
            Call::Unlock(_) | Call::Lock(_) | Call::Get(_) => false,
        };
        let asked = call.user_ids();
        let population = &self.directory.population;
        let mut users = (0..Population::MAX_LISTED)
            .filter_map(|index| population.user(&population.listed_id(index)));
        let other = users.find(|user| !asked.iter().any(|id| id == user.id.as_str()));
        let user = other.map(|user| state.now(user));
        let body = if is_list { body_of(&user.as_slice()) } else { body_of(&user) };
        Response::json(200, body)
    }

    fn still_locked(&self, id: &UserId) -> Response {
        let expires_in = Some(Duration::from_secs(1_800));
        let lock = Lock { locked: true, attempts_left: 0, expires_in };
        match self.directory.population.user(id) {
            Some(user) => Response::json(200, body_of(&FakeUser { lock, ..user })),
            None => ApiError::no_user(id.as_str()).into_response(),
        }
    }

    pub(super) fn is_locked(&self, id: &UserId) -> bool {
        let user = self.directory.population.user(id);
        user.is_some_and(|user| self.state().now(user).is_locked())
    }

    pub(super) fn stats(&self) -> Stats {
        let state = &mut *self.state();
        let (n_live_calls, n_live_refused) = state.admission.live_calls(Instant::now());
        Stats { n_live_calls, n_live_refused, ..state.log.stats.clone() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The user as of now: changed by requests, and with a lock that has come closer to its end.
    fn now(&self, mut user: FakeUser) -> FakeUser {
        if let Some(&(lock, changed_at)) = self.changes.get(&user.id) {
            (user.lock, user.updated_at) = (lock, changed_at);
        }
        user.lock = user.lock.after(self.started_at.elapsed());
        user
    }

    fn change(&mut self, user: FakeUser, lock: Lock) -> FakeUser {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let now = u64::try_from(since_epoch.unwrap_or_default().as_millis()).unwrap_or_default();
        self.changes.insert(user.id.clone(), (lock, now));
        FakeUser { lock, updated_at: now, ..user }
    }
}

impl Call {
    fn parse(method: &str, path: &str, query: &str) -> Result<Self, ApiError> {
        let user = |id: &str| id.parse().map_err(|_| ApiError::no_user(id));
        let no_route = || ApiError::new(404, "The sandbox does not have this path.");
        let segments: Vec<&str> = path.split('/').collect();
        let ["", "v1", "users", rest @ ..] = segments.as_slice() else {
            return Err(no_route());
        };
        match (method, rest) {
            ("GET", []) => Ok(Self::List(ListQuery::parse(query)?)),
            ("GET", ["count"]) => Ok(Self::Count(ListQuery::parse(query)?)),
            ("GET", [id]) => Ok(Self::Get(user(id)?)),
            ("POST", [id, "unlock"]) => Ok(Self::Unlock(user(id)?)),
            ("POST", [id, "lock"]) => Ok(Self::Lock(user(id)?)),
            (_, [] | [_] | [_, "unlock" | "lock"]) => {
                Err(ApiError::new(405, "The path does not accept this method."))
            }
            _ => Err(no_route()),
        }
    }

    /// IDs of the users that the request names.
    fn user_ids(&self) -> Vec<String> {
        match self {
            Self::Unlock(id) | Self::Lock(id) | Self::Get(id) => vec![id.to_string()],
            Self::List(query) | Self::Count(query) => query.user_ids.clone(),
        }
    }
}

fn body_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
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
        let call = Call::parse(method, path, "").map_err(|error| error.status);
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
    fn requests_are_told_apart_by_method_and_path() {
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
