//! What people write today: a loop around an HTTP client on one thread, and no more. No pace, no
//! retries, no resume.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// What the benchmark calls itself with to be this loop.
pub(crate) const WORD: &str = "--bare-loop";

/// What the loop does with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Reads it and drops it: the least that a client can do.
    Unread,
    /// Decodes it to a `serde_json::Value` and writes a row of CSV.
    Value,
    /// Does what a results file of this program needs, with the same crates: decodes the properties
    /// of the columns, writes all columns, and hashes the file.
    Recorded,
}

impl Body {
    const ALL: [Self; 3] = [Self::Unread, Self::Value, Self::Recorded];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Value => "value",
            Self::Recorded => "recorded",
        }
    }
}

pub(crate) fn run(body: &str, connections: usize, url: &str, list: &Path, out: &Path) {
    let ids = std::fs::read_to_string(list).expect("a list");
    let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
    let body = Body::ALL.into_iter().find(|it| it.word() == body).expect("a kind of loop");
    let out = Out::new(File::create(out).expect("a file"));
    let job = Arc::new(Job {
        url: url.to_owned(),
        key: std::env::var("CLERK_SECRET_KEY").expect("a key"),
        ids: Mutex::new(ids.into_iter()),
        out: Mutex::new(out),
        body,
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(unlock_all(job, connections));
}

struct Job {
    url: String,
    key: String,
    ids: Mutex<std::vec::IntoIter<String>>,
    out: Mutex<Out>,
    body: Body,
}

async fn unlock_all(job: Arc<Job>, connections: usize) {
    // The provider that the program itself installs.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let workers = (0..connections).map(|_| {
        let (job, client) = (Arc::clone(&job), client.clone());
        tokio::spawn(async move { while unlock_next(&job, &client).await {} })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.expect("no panic");
    }
    job.out.lock().expect("no panic").finish();
}

async fn unlock_next(job: &Job, client: &reqwest::Client) -> bool {
    let Some(id) = job.ids.lock().expect("no panic").next() else { return false };
    let address = format!("{}/v1/users/{id}/unlock", job.url);
    let began = Instant::now();
    let answer = client.post(address).bearer_auth(&job.key).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("a body");
    let mut out = job.out.lock().expect("no panic");
    match job.body {
        Body::Unread => {}
        Body::Value => {
            let user: Value = serde_json::from_slice(&body).expect("JSON");
            out.write(&[&id, &status.to_string(), &user.to_string()]);
        }
        Body::Recorded => out.record(&id, status, began.elapsed(), &body),
    }
    true
}

/// The properties that have columns.
#[derive(Deserialize)]
struct User<'a> {
    id: &'a str,
    locked: Option<bool>,
    banned: Option<bool>,
    lockout_expires_in_seconds: Option<i64>,
    verification_attempts_remaining: Option<i64>,
    username: Option<String>,
    primary_email_address_id: Option<String>,
    email_addresses: Vec<Email>,
    external_id: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
    last_sign_in_at: Option<i64>,
    updated_at: Option<i64>,
}

#[derive(Deserialize)]
struct Email {
    id: String,
    email_address: String,
}

/// A CSV file, written in pieces.
struct Out {
    file: File,
    lines: csv::Writer<Vec<u8>>,
    hasher: Option<Sha256>,
    n_lines: u64,
}

impl Out {
    /// About as much as this program writes at once.
    const PIECE: usize = 64 * 1024;

    fn new(file: File) -> Self {
        Self { file, lines: csv::Writer::from_writer(Vec::new()), hasher: None, n_lines: 0 }
    }

    fn record(&mut self, id: &str, status: u16, took: Duration, body: &[u8]) {
        let json = str::from_utf8(body).expect("UTF-8");
        let user: User<'_> = serde_json::from_str(json).expect("a user");
        assert_eq!(user.id, id, "the response is another user's");
        let primary = |it: &&Email| user.primary_email_address_id.as_ref() == Some(&it.id);
        let email = user.email_addresses.iter().find(primary).map(|it| it.email_address.as_str());
        let text = |number: Option<i64>| number.map_or_else(String::new, |it| it.to_string());
        let flag = |flag: Option<bool>| flag.map_or("", |it| if it { "true" } else { "false" });
        self.n_lines += 1;
        self.hasher.get_or_insert_default();
        let row = [
            &self.n_lines.to_string(),
            id,
            id,
            "unlocked",
            &status.to_string(),
            "",
            "",
            "1",
            &took.as_millis().to_string(),
            &jiff::Timestamp::now().to_string(),
            "",
            flag(user.locked),
            flag(user.banned),
            &text(user.lockout_expires_in_seconds),
            &text(user.verification_attempts_remaining),
            user.username.as_deref().unwrap_or_default(),
            email.unwrap_or_default(),
            user.external_id.as_deref().unwrap_or_default(),
            user.first_name.as_deref().unwrap_or_default(),
            user.last_name.as_deref().unwrap_or_default(),
            &text(user.last_sign_in_at),
            &text(user.updated_at),
            json,
            "",
        ];
        self.write(&row);
    }

    fn write(&mut self, row: &[&str]) {
        self.lines.write_record(row).expect("written");
        if self.lines.get_ref().len() >= Self::PIECE {
            self.finish();
        }
    }

    /// Writes the lines so far.
    fn finish(&mut self) {
        let empty = csv::Writer::from_writer(Vec::with_capacity(2 * Self::PIECE));
        let lines = std::mem::replace(&mut self.lines, empty).into_inner().expect("written");
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&lines);
        }
        self.file.write_all(&lines).expect("written");
    }
}
