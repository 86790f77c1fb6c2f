//! The figures that the README quotes, measured in one run, as ratios beside something else.
//!
//! `cargo bench` measures all of them; `cargo bench -- throughput` (or `pacing`, `memory`,
//! `start`, `walk`) one. Nothing here passes or fails: machines differ, and tests assert no times.

#![allow(clippy::print_stdout, reason = "a benchmark is there to print")]

mod bare_loop;
mod process;

use std::path::Path;
use std::time::Duration;

use bulk_unlock::sandbox::{Population, Rate, Sandbox, SandboxConfig, max_in_any};
use process::{Measured, measure};

const SEED: u64 = 1;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, url, list, out] = arguments.as_slice()
        && word == bare_loop::WORD
    {
        return bare_loop::run(url, Path::new(list), Path::new(out));
    }
    let wanted = |name: &str| {
        let named: Vec<&String> = arguments.iter().filter(|it| !it.starts_with('-')).collect();
        named.is_empty() || named.iter().any(|it| *it == name)
    };
    let benches: [(&str, fn()); 5] = [
        ("start", start),
        ("throughput", throughput),
        ("memory", memory),
        ("pacing", pacing),
        ("walk", walk),
    ];
    for (name, bench) in benches {
        if wanted(name) {
            println!("\n{name}");
            bench();
        }
    }
}

/// `--version`: how long a person waits for the program itself.
fn start() {
    let mut walls: Vec<Duration> =
        (0..21).map(|_| measure(&program(), &["--version"], None).wall).collect();
    walls.sort();
    println!("  --version: median {:.1} ms", ms(walls[walls.len() / 2]));
}

/// Without limits, 64 in flight, whole snapshots, beside a bare loop that decodes to a `Value`.
fn throughput() {
    let n_users = 20_000;
    let (mut walls, mut cpus) = (Vec::new(), Vec::new());
    for round in 0..5 {
        let ours = unlimited(n_users, "full", false);
        let bare = unlimited(n_users, "full", true);
        println!(
            "  round {round}: bulk-unlock {:.2} s, {:.2} CPU s; bare loop {:.2} s, {:.2} CPU s",
            ours.wall.as_secs_f64(),
            ours.cpu.as_secs_f64(),
            bare.wall.as_secs_f64(),
            bare.cpu.as_secs_f64()
        );
        walls.push(ours.wall.as_secs_f64() / bare.wall.as_secs_f64());
        cpus.push(ours.cpu.as_secs_f64() / bare.cpu.as_secs_f64());
    }
    println!("  median ratio: wall {:.2}, CPU {:.2}", median(walls), median(cpus));
}

/// The peak of memory at two sizes.
fn memory() {
    for n_users in [20_000, 200_000] {
        let measured = unlimited(n_users, "full", false);
        println!("  {n_users} users: peak {:.1} MB", f64::from(measured.peak_kb) / 1_000.0);
    }
}

/// A server that counts strictly: the whole quota for 3,000 users, and the default share.
fn pacing() {
    for (share, n_users) in [("100%", 3_000), ("80%", 2_000)] {
        let sandbox = sandbox(Some(Rate::PRODUCTION_QUOTA));
        let dir = tempfile::tempdir().expect("a directory");
        let list = list(dir.path(), n_users);
        let flags = ["--quota", "1000/10s", "--quota-share", share];
        let ours = ours(&sandbox, &list, &dir.path().join("out.csv"), "full", &flags);
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
fn walk() {
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

fn unlimited(n_users: u32, snapshot: &str, is_bare: bool) -> Measured {
    let sandbox = sandbox(None);
    let dir = tempfile::tempdir().expect("a directory");
    let (list, out) = (list(dir.path(), n_users), dir.path().join("out.csv"));
    if is_bare {
        let me = std::env::current_exe().expect("a path");
        let paths = [list.as_path(), out.as_path()].map(|it| it.to_string_lossy().into_owned());
        let url = sandbox.url();
        measure(&me, &[bare_loop::WORD, &url, &paths[0], &paths[1]], Some(sandbox.key()))
    } else {
        ours(&sandbox, &list, &out, snapshot, &["--quota", "10000000/10s"])
    }
}

fn ours(sandbox: &Sandbox, list: &Path, out: &Path, snapshot: &str, flags: &[&str]) -> Measured {
    let (list, out) = (list.to_string_lossy(), out.to_string_lossy());
    let url = sandbox.url();
    let fixed =
        ["run", &list, "-o", &out, "--yes", "-q", "--snapshot", snapshot, "--api-url", &url];
    measure(&program(), &[&fixed, flags].concat(), Some(sandbox.key()))
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
