//! The figures that the README quotes, measured in one run, as ratios beside something else.
//!
//! `cargo bench --bench figures` measures all of them; `cargo bench --bench figures -- throughput
//! --users 50000` one of them, with options (`--help` lists both). Nothing here passes or fails:
//! machines differ, and tests assert no times.

#![allow(clippy::print_stdout, reason = "a benchmark is there to print")]

mod bare_loop;
mod end_to_end;
mod process;
mod server;

use std::path::Path;
use std::time::Duration;

use bulk_unlock::sandbox::{Population, Rate, Sandbox, SandboxConfig, max_in_any};
use clap::Parser;
use process::{Measured, measure};
use server::Protocol;

const SEED: u64 = 1;

/// Measures bulk-unlock end to end
#[derive(Parser)]
struct Options {
    /// What to measure: start, one, throughput, protocols, memory, resume, plan, pacing, walk,
    /// locked (default: all)
    names: Vec<String>,
    /// Number of users; default: that of each benchmark
    #[arg(long)]
    users: Option<u32>,
    /// Concurrent requests, and thus connections
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// Size of a user object in bytes
    #[arg(long, default_value_t = 2_900)]
    body_size: usize,
    /// Milliseconds the server waits before each response
    #[arg(long, default_value_t = 0)]
    latency: u64,
    /// Number of rounds of which the medians are shown
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How much of each user is recorded: full, summary or none
    #[arg(long, default_value = "full")]
    snapshot: String,
    /// Passed by `cargo bench`
    #[arg(long, hide = true)]
    bench: bool,
}

type Bench = fn(&Options);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [bare_loop::WORD, body, connections, url, list, out] => {
            let connections = connections.parse().expect("a number");
            return bare_loop::run(body, connections, url, Path::new(list), Path::new(out));
        }
        [server::WORD, body_size, latency, protocol] => {
            let latency = Duration::from_micros(latency.parse().expect("a number"));
            let protocol = Protocol::of(protocol).expect("a protocol");
            return server::serve(body_size.parse().expect("a number"), latency, protocol);
        }
        _ => {}
    }
    let options = Options::parse();
    let benches: [(&str, Bench); 10] = [
        ("start", start),
        ("one", end_to_end::one_user),
        ("throughput", end_to_end::throughput),
        ("protocols", end_to_end::protocols),
        ("memory", end_to_end::memory),
        ("resume", end_to_end::resume),
        ("plan", end_to_end::plan),
        ("pacing", pacing),
        ("walk", walk),
        ("locked", locked),
    ];
    for (name, bench) in benches {
        if options.names.is_empty() || options.names.iter().any(|it| it == name) {
            println!("\n{name}");
            bench(&options);
        }
    }
}

/// `--version`: how long a person waits for the program itself.
fn start(_: &Options) {
    let mut walls: Vec<Duration> =
        (0..21).map(|_| measure(&program(), &["--version"], None).wall).collect();
    walls.sort();
    println!("  --version: median {:.1} ms", ms(walls[walls.len() / 2]));
}

/// A server that counts strictly: the whole quota for 3,000 users, and the default share.
fn pacing(_: &Options) {
    for (share, n_users) in [("100%", 3_000), ("80%", 2_000)] {
        let sandbox = sandbox(Some(Rate::PRODUCTION_QUOTA));
        let dir = tempfile::tempdir().expect("a directory");
        let list = list(dir.path(), n_users);
        let ours = paced(&sandbox, &list, &dir.path().join("out.csv"), share);
        let stats = sandbox.stats();
        let most = max_in_any(&sandbox.requests(), Duration::from_secs(10));
        println!(
            "  {n_users} users at {share}: {:.2} s, {} answers 429, at most {most} in any 10 s",
            ours.wall.as_secs_f64(),
            stats.n_throttled
        );
    }
}

/// `locked` over 50,000 users who take 50 ms a page: stretches side by side, beside one page after
/// the other.
fn walk(_: &Options) {
    let latency = "50ms".parse().expect("a latency");
    let config = SandboxConfig::default().n_users(50_000).latency(latency).seed(SEED);
    let sandbox = Sandbox::start(config, 0).expect("the sandbox starts");
    let url = sandbox.url();
    let fixed =
        ["locked", "-q", "--snapshot", "none", "--quota", "10000000/10s", "--api-url", &url];
    let wall = |flags: &[&str]| {
        measure(&program(), &[&fixed, flags].concat(), Some(sandbox.key())).wall.as_secs_f64()
    };
    let ratios = (0..5).map(|round| {
        let (together, alone) = (wall(&[]), wall(&["-c", "1"]));
        println!("  round {round}: side by side {together:.2} s; one at a time {alone:.2} s");
        together / alone
    });
    println!("  median ratio: {:.2}", median(ratios.collect()));
}

/// `locked`, as the instance grows. The sandbox counts for nothing: it has a process of its own.
fn locked(options: &Options) {
    for n_users in options.users.map_or(vec![100_000, 1_000_000], |n| vec![n]) {
        let config = SandboxConfig::default().n_users(n_users).seed(SEED);
        let sandbox = Sandbox::start(config, 0).expect("the sandbox starts");
        let dir = tempfile::tempdir().expect("a directory");
        let out = dir.path().join("locked.csv");
        let out = out.to_string_lossy();
        let url = sandbox.url();
        let pace = ["--quota", "10000000/10s", "--quota-share", "100%", "-c", "8"];
        let arguments = ["locked", "-q", "-o", &out, "--api-url", &url];
        let run = measure(&program(), &[&arguments, &pace[..]].concat(), Some(sandbox.key()));
        println!(
            "  {n_users:>8} users: peak {:.1} MB; {:.2} s, {:.1} CPU µs per user",
            run.peak_mb(),
            run.wall.as_secs_f64(),
            ms(run.cpu) * 1_000.0 / f64::from(n_users),
        );
    }
}

fn paced(sandbox: &Sandbox, list: &Path, out: &Path, share: &str) -> Measured {
    let (list, out) = (list.to_string_lossy(), out.to_string_lossy());
    let url = sandbox.url();
    let arguments = ["run", &list, "-o", &out, "--yes", "-q", "--api-url", &url];
    let pace = ["--burst", "--quota", "1000/10s", "--quota-share", share];
    measure(&program(), &[&arguments, &pace[..]].concat(), Some(sandbox.key()))
}

fn sandbox(quota: Option<Rate>) -> Sandbox {
    let log_requests = quota.is_some();
    let config = SandboxConfig::default().quota(quota).log_requests(log_requests).seed(SEED);
    Sandbox::start(config, 0).expect("the sandbox starts")
}

fn list(dir: &Path, n_users: u32) -> std::path::PathBuf {
    let population = Population::new(SEED);
    let ids = (0..n_users).map(|index| population.listed_id(index));
    let text = ids.fold(String::new(), |text, id| text + id.as_str() + "\n");
    let path = dir.join("ids.txt");
    std::fs::write(&path, text).expect("a file can be written");
    path
}

fn program() -> std::path::PathBuf {
    env!("CARGO_BIN_EXE_bulk-unlock").into()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
