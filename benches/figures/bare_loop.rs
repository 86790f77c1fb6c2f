//! What people write today: a loop around an HTTP client on one thread, and no more. No pace, no
//! retries, no resume.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What the benchmark calls itself with to be this loop.
pub(crate) const WORD: &str = "--bare-loop";

/// What the loop does with a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Reads it and drops it: the least that a client can do.
    Unread,
    /// Decodes it to a `serde_json::Value` and writes a row of CSV.
    Value,
}

impl Body {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Unread => "unread",
            Self::Value => "value",
        }
    }
}

pub(crate) fn run(body: &str, connections: usize, url: &str, list: &Path, out: &Path) {
    let ids = std::fs::read_to_string(list).expect("a list");
    let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
    let body = if body == Body::Unread.word() { Body::Unread } else { Body::Value };
    let out = BufWriter::new(File::create(out).expect("a file"));
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
    out: Mutex<BufWriter<File>>,
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
}

async fn unlock_next(job: &Job, client: &reqwest::Client) -> bool {
    let Some(id) = job.ids.lock().expect("no panic").next() else { return false };
    let address = format!("{}/v1/users/{id}/unlock", job.url);
    let answer = client.post(address).bearer_auth(&job.key).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body = answer.bytes().await.expect("a body");
    if job.body == Body::Value {
        let user: Value = serde_json::from_slice(&body).expect("JSON");
        let row = format!("{id},{status},\"{}\"\n", user.to_string().replace('"', "\"\""));
        job.out.lock().expect("no panic").write_all(row.as_bytes()).expect("written");
    }
    true
}
