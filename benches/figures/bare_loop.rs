//! What people write today: a loop around an HTTP client, and no more.
//!
//! 64 requests in flight, each answer decoded to a `serde_json::Value`, a row of CSV for each. No
//! pace, no retries, no resume: the least that could be called the same job.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What the benchmark calls itself with to be this loop.
pub(crate) const WORD: &str = "--bare-loop";

const IN_FLIGHT: usize = 64;

pub(crate) fn run(url: &str, list: &Path, out: &Path) {
    let ids = std::fs::read_to_string(list).expect("a list");
    let ids: Vec<String> = ids.lines().map(str::to_owned).collect();
    let out = Mutex::new(BufWriter::new(File::create(out).expect("a file")));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(unlock_all(url, ids, out));
}

async fn unlock_all(url: &str, ids: Vec<String>, out: Mutex<BufWriter<File>>) {
    // The provider that the program itself installs.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = std::env::var("CLERK_SECRET_KEY").expect("a key");
    let client = reqwest::Client::new();
    let ids = Arc::new(Mutex::new(ids.into_iter()));
    let workers = (0..IN_FLIGHT).map(|_| async {
        loop {
            let Some(id) = ids.lock().expect("no panic").next() else { return };
            let address = format!("{url}/v1/users/{id}/unlock");
            let answer = client.post(address).bearer_auth(&key).send().await.expect("an answer");
            let status = answer.status().as_u16();
            let body = answer.bytes().await.expect("a body");
            let user: Value = serde_json::from_slice(&body).expect("JSON");
            let row = format!("{id},{status},\"{}\"\n", user.to_string().replace('"', "\"\""));
            out.lock().expect("no panic").write_all(row.as_bytes()).expect("written");
        }
    });
    futures_util::future::join_all(workers).await;
}
