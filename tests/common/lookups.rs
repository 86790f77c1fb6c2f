//! For stories about looking users up: whom there is to find, what is true of them, and how to
//! change it behind the program's back.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;

use bulk_unlock::clerk::UserId;
use bulk_unlock::sandbox::{FakeUser, LoggedRequest, Population, SandboxConfig};
use serde_json::Value;

use super::{Ended, SEED, Stage};

/// The users that the instance lists with these places.
pub fn listed(places: Range<u32>) -> Vec<UserId> {
    let population = Population::new(SEED);
    places.map(|place| population.listed_id(place)).collect()
}

/// Users whom the instance does not list; two of a hundred of them do not exist.
pub fn unlisted(numbers: Range<u32>) -> Vec<UserId> {
    numbers.map(|number| format!("user_{number}").parse().expect("an id")).collect()
}

/// So many listed users of whom this is true.
pub fn listed_where(n_users: usize, is_wanted: impl Fn(&FakeUser) -> bool) -> Vec<UserId> {
    let population = Population::new(SEED);
    let users = (0..).filter_map(|place| population.user(&population.listed_id(place)));
    users.filter(is_wanted).take(n_users).map(|user| user.id).collect()
}

/// So many users who look locked on purpose.
pub fn admin_locked_users(n_users: usize) -> Vec<UserId> {
    listed_where(n_users, FakeUser::is_admin_locked)
}

/// So many users who are not locked.
pub fn open_users(n_users: usize) -> Vec<UserId> {
    listed_where(n_users, |user| !user.is_locked())
}

/// So many users who do not exist.
pub fn missing_users(n_users: usize) -> Vec<UserId> {
    let population = Population::new(SEED);
    let ids = unlisted(0..10_000).into_iter();
    ids.filter(|id| population.user(id).is_none()).take(n_users).collect()
}

/// What a plan has to say of a user about whom this is true.
pub fn planned(user: Option<&FakeUser>) -> &'static str {
    match user {
        None => "not_found",
        Some(user) if user.is_admin_locked() => "admin_locked",
        Some(user) if user.is_locked() => "would_unlock",
        Some(_) => "already_unlocked",
    }
}

/// What a plan has to say of each of these users.
pub fn plan_of(ids: &[UserId]) -> BTreeMap<String, String> {
    let population = Population::new(SEED);
    let plan_of = |id: &UserId| (id.to_string(), planned(population.user(id).as_ref()).to_owned());
    ids.iter().map(plan_of).collect()
}

/// The locked ones among these users, on purpose or not.
pub fn locked_of(ids: &[UserId]) -> BTreeSet<String> {
    let population = Population::new(SEED);
    let users = ids.iter().filter_map(|id| population.user(id));
    users.filter(FakeUser::is_locked).map(|user| user.id.to_string()).collect()
}

/// Fails unless all of these were unlocked by a run that was killed and resumed: whoever was
/// unlocked while it was killed is found unlocked, and one at most is in flight with `-c 1`.
#[track_caller]
pub fn all_were_unlocked(outcomes: impl IntoIterator<Item = impl AsRef<str>>) {
    let others = outcomes.into_iter().filter(|it| it.as_ref() != "unlocked");
    let others: Vec<String> = others.map(|it| it.as_ref().to_owned()).collect();
    assert!(others.is_empty() || others == ["already_unlocked"], "{others:?}");
}

impl Stage {
    /// With a quick server that lists so many users and remembers what it was asked.
    pub fn with_users(n_users: u32) -> Self {
        Self::with_sandbox(SandboxConfig::default().n_users(n_users).log_requests(true))
    }

    /// Asks the server behind the program's back; such requests are in its log too.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str) -> Value {
        let (status, body) = self.request(method, path);
        assert_eq!(status, 200, "{method} {path}: {body}");
        body
    }

    /// The same, for any status.
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
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
        let status = head.split(' ').nth(1).and_then(|it| it.parse().ok());
        (status.expect("a status"), serde_json::from_str(body).expect("JSON"))
    }

    /// The user object, as the server has it now.
    #[track_caller]
    pub fn user(&self, id: &UserId) -> Value {
        self.ask("GET", &format!("/v1/users/{id}"))
    }

    /// Locks a user, as somebody does in the dashboard.
    #[track_caller]
    pub fn lock(&self, id: &UserId) {
        self.ask("POST", &format!("/v1/users/{id}/lock"));
        assert!(self.sandbox().is_locked(id));
    }

    /// Unlocks a user, as somebody does in the dashboard.
    #[track_caller]
    pub fn unlock(&self, id: &UserId) {
        self.ask("POST", &format!("/v1/users/{id}/unlock"));
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

    /// Each user of a results or plan file and what it says about them.
    #[track_caller]
    pub fn told(&self, name: &str) -> BTreeMap<String, String> {
        let rows = self.rows(name);
        let n_rows = rows.len();
        let told: BTreeMap<String, String> = rows
            .into_iter()
            .map(|mut row| {
                let user = row.remove("user_id").expect("a user");
                (user, row.remove("outcome").expect("an outcome"))
            })
            .collect();
        assert_eq!(told.len(), n_rows, "{name}: each user has one row");
        told
    }

    /// The requests since the log was so long.
    pub fn requests_since(&self, n_before: usize) -> Vec<LoggedRequest> {
        self.sandbox().requests().split_off(n_before)
    }

    /// The users for whom an unlock call was sent.
    pub fn posted(&self) -> BTreeSet<String> {
        self.posts().into_keys().collect()
    }
}

impl Ended {
    /// The command that its closing lines end with, without the program's own name.
    #[track_caller]
    pub fn next(&self) -> String {
        let program = concat!("  ", env!("CARGO_BIN_EXE_bulk-unlock"), " ");
        let line = self.stderr.lines().last().and_then(|line| line.strip_prefix(program));
        line.unwrap_or_else(|| panic!("no command in\n{}", self.stderr)).to_owned()
    }
}
