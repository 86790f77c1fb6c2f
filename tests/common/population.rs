//! The users of the sandbox: their state, the outcomes expected of them, and direct requests that
//! read or change them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FakeUser, LoggedRequest, Population, SandboxConfig};
use serde_json::Value;

use super::{SEED, Stage};

/// The users at these positions in the list of the instance.
pub fn listed(positions: Range<u32>) -> Vec<UserId> {
    let population = Population::new(SEED);
    positions.map(|position| population.listed_id(position)).collect()
}

/// Users that the instance does not list. 2 % of them do not exist.
pub fn unlisted(numbers: Range<u32>) -> Vec<UserId> {
    numbers.map(|number| format!("user_{number}").parse().expect("an id")).collect()
}

/// The first `n_users` listed users that are wanted.
pub fn listed_where(n_users: usize, is_wanted: impl Fn(&FakeUser) -> bool) -> Vec<UserId> {
    let population = Population::new(SEED);
    let users = (0..).filter_map(|position| population.user(&population.listed_id(position)));
    users.filter(is_wanted).take(n_users).map(|user| user.id).collect()
}

/// `n_users` users who look locked on purpose.
pub fn admin_locked_users(n_users: usize) -> Vec<UserId> {
    listed_where(n_users, FakeUser::is_admin_locked)
}

/// `n_users` users who are not locked.
pub fn unlocked_users(n_users: usize) -> Vec<UserId> {
    listed_where(n_users, |user| !user.is_locked())
}

/// `n_users` users who do not exist.
pub fn missing_users(n_users: usize) -> Vec<UserId> {
    let population = Population::new(SEED);
    let ids = unlisted(0..10_000).into_iter();
    ids.filter(|id| population.user(id).is_none()).take(n_users).collect()
}

/// The outcome of a user in a plan.
fn planned_outcome(user: Option<&FakeUser>) -> &'static str {
    match user {
        None => "not_found",
        Some(user) if user.is_admin_locked() => "admin_locked",
        Some(user) if user.is_locked() => "would_unlock",
        Some(_) => "already_unlocked",
    }
}

/// The outcome of each of these users in a plan.
pub fn planned_outcomes(ids: &[UserId]) -> BTreeMap<String, String> {
    let population = Population::new(SEED);
    let outcome = |id: &UserId| planned_outcome(population.user(id).as_ref()).to_owned();
    ids.iter().map(|id| (id.to_string(), outcome(id))).collect()
}

/// The users among these who are locked, on purpose or not.
pub fn locked_among(ids: &[UserId]) -> BTreeSet<String> {
    let population = Population::new(SEED);
    let users = ids.iter().filter_map(|id| population.user(id));
    users.filter(FakeUser::is_locked).map(|user| user.id.to_string()).collect()
}

/// Checks the outcomes of a killed and resumed run with `-c 1`: at most the user in flight at the
/// kill is `already_unlocked`, and all others are `unlocked`.
#[track_caller]
pub fn check_resumed_outcomes(outcomes: impl IntoIterator<Item = impl AsRef<str>>) {
    let others = outcomes.into_iter().filter(|it| it.as_ref() != "unlocked");
    let others: Vec<String> = others.map(|it| it.as_ref().to_owned()).collect();
    assert!(others.is_empty() || others == ["already_unlocked"], "{others:?}");
}

impl Stage {
    /// A stage with a quick sandbox that lists `n_users` users.
    pub fn with_users(n_users: u32) -> Self {
        Self::with_sandbox(SandboxConfig::default().n_users(n_users).log_requests(true))
    }

    /// Sends a request to the sandbox, which logs it, too, and returns the body of its 200 response.
    #[track_caller]
    pub fn request_ok(&self, method: &str, path: &str) -> Value {
        let (status, body) = self.request(method, path);
        assert_eq!(status, 200, "{method} {path}: {body}");
        body
    }

    /// Sends a request to the sandbox and returns status and body of the response.
    #[track_caller]
    pub fn request(&self, method: &str, path: &str) -> (u16, Value) {
        let sandbox = self.sandbox();
        let mut stream = TcpStream::connect(sandbox.addr()).expect("a connection");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: sandbox\r\nAuthorization: Bearer {}\r\n\
             Content-Length: 0\r\nConnection: close\r\n\r\n",
            sandbox.key()
        );
        stream.write_all(head.as_bytes()).expect("a request");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("a response");
        let (head, body) = response.split_once("\r\n\r\n").expect("a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        (status.expect("a status"), serde_json::from_str(body).expect("JSON"))
    }

    /// The current user object.
    #[track_caller]
    pub fn user(&self, id: &UserId) -> Value {
        self.request_ok("GET", &format!("/v1/users/{id}"))
    }

    /// Locks a user directly.
    #[track_caller]
    pub fn lock(&self, id: &UserId) {
        self.request_ok("POST", &format!("/v1/users/{id}/lock"));
        assert!(self.sandbox().is_locked(id));
    }

    /// Unlocks a user directly.
    #[track_caller]
    pub fn unlock(&self, id: &UserId) {
        self.request_ok("POST", &format!("/v1/users/{id}/unlock"));
        assert!(!self.sandbox().is_locked(id));
    }

    /// All email addresses of a user, the primary one first.
    #[track_caller]
    pub fn emails(&self, id: &UserId) -> Vec<String> {
        let user = self.user(id);
        let emails = user["email_addresses"].as_array().expect("a list");
        let text = |email: &Value| email["email_address"].as_str().expect("a text").to_owned();
        emails.iter().map(text).collect()
    }

    /// The outcome of each user in a results or plan file.
    #[track_caller]
    pub fn outcomes_by_user(&self, name: &str) -> BTreeMap<String, String> {
        let rows = self.rows(name);
        let n_rows = rows.len();
        let outcomes: BTreeMap<String, String> = rows
            .into_iter()
            .map(|mut row| {
                let user = row.remove("user_id").expect("a user");
                (user, row.remove("outcome").expect("an outcome"))
            })
            .collect();
        assert_eq!(outcomes.len(), n_rows, "{name}: each user has one row");
        outcomes
    }

    /// The logged requests after the first `n_before`.
    pub fn requests_since(&self, n_before: usize) -> Vec<LoggedRequest> {
        self.sandbox().requests().split_off(n_before)
    }

    /// The users of all POST requests.
    pub fn posted_users(&self) -> BTreeSet<String> {
        self.posts().into_keys().collect()
    }
}
