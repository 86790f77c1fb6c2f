//! The whole program over a server that costs next to nothing, beside bare loops around reqwest.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::bare_loop::{self, Body};
use crate::process::{Measured, measure};
use crate::server::{AUTHORITY, Protocol, Server};
use crate::{Options, list, median, ms, program};

const KEY: &str = "sk_test_0123456789abcdefghij";

/// One user, everything on.
pub(crate) fn one_user(options: &Options) {
    let bench = Bench::new(options, 1);
    let runs: Vec<Measured> = (0..21).map(|_| bench.ours("run", &["--force"])).collect();
    // The kernel counts CPU in steps of 10 ms, so only the mean of many runs says anything.
    let cpu: Duration = runs.iter().map(|it| it.cpu).sum();
    println!("  1 user: median {:.1} ms, mean {:.1} CPU ms", median_ms(&runs), ms(cpu) / 21.0);
}

/// Requests per second, CPU and memory, beside the loops.
pub(crate) fn throughput(options: &Options) {
    let bench = Bench::new(options, options.users.unwrap_or(20_000));
    let names = ["bulk-unlock", "reqwest, body not parsed", "reqwest, Value", "reqwest, recorded"];
    let mut runs: [Vec<Measured>; 4] = Default::default();
    for _ in 0..options.rounds {
        runs[0].push(bench.ours("run", &["--force"]));
        runs[1].push(bench.bare(Body::Unread));
        runs[2].push(bench.bare(Body::Value));
        runs[3].push(bench.bare(Body::Recorded));
    }
    println!("  {:<25} {:>10} {:>18} {:>8}", "", "requests/s", "CPU s per 10,000", "peak MB");
    let n_users = f64::from(bench.n_users);
    let figures = runs.map(|runs| {
        let of = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
        let rate = n_users / of(|it| it.wall.as_secs_f64());
        let cpu = of(|it| it.cpu.as_secs_f64()) * 10_000.0 / n_users;
        (rate, cpu, of(Measured::peak_mb))
    });
    for (name, (rate, cpu, peak)) in names.iter().zip(figures) {
        println!("  {name:<25} {rate:>10.0} {cpu:>18.3} {peak:>8.1}");
    }
    let ours = figures[0];
    for (name, other) in names.into_iter().zip(figures).skip(1) {
        println!(
            "  beside {name}: {:.2} of its requests/s, {:.2} of its CPU",
            ours.0 / other.0,
            ours.1 / other.1
        );
    }
}

/// HTTP/1.1 without TLS and with it, and HTTP/2.
pub(crate) fn protocols(options: &Options) {
    for protocol in Protocol::ALL {
        let bench = Bench::over(protocol, options, options.users.unwrap_or(20_000));
        let runs = (0..options.rounds).map(|_| bench.ours("run", &["--force"]));
        let runs: Vec<Measured> = runs.collect();
        let n_users = f64::from(bench.n_users);
        let of = |figure: fn(&Measured) -> f64| median(runs.iter().map(figure).collect());
        println!(
            "  {:<6} {:>10.0} requests/s, {:.3} CPU s per 10,000, peak {:.1} MB",
            protocol.word(),
            n_users / of(|it| it.wall.as_secs_f64()),
            of(|it| it.cpu.as_secs_f64()) * 10_000.0 / n_users,
            of(Measured::peak_mb),
        );
    }
}

/// Memory and time per user, as the number of users grows, and how long the end takes.
pub(crate) fn memory(options: &Options) {
    let sizes = options.users.map_or(vec![10_000, 20_000, 100_000, 1_000_000], |n| vec![n]);
    for n_users in sizes {
        let bench = Bench::new(options, n_users);
        let run = bench.ours("run", &["--force"]);
        println!(
            "  {n_users:>8} users: peak {:.1} MB; {:.1} µs and {:.1} CPU µs per user; {:.2} s after \
             the last row",
            run.peak_mb(),
            ms(run.wall) * 1_000.0 / f64::from(n_users),
            ms(run.cpu) * 1_000.0 / f64::from(n_users),
            run.ended_at.duration_since(bench.last_write()).unwrap_or_default().as_secs_f64(),
        );
    }
}

/// `--resume` of a run that recorded everybody, and of one that recorded half of them.
pub(crate) fn resume(options: &Options) {
    let bench = Bench::new(options, options.users.unwrap_or(1_000_000));
    let half = (bench.n_users / 2).to_string();
    let n_users = bench.n_users;
    let show = |name: &str, run: &Measured| {
        let (wall, cpu) = (run.wall.as_secs_f64(), run.cpu.as_secs_f64());
        println!("  {name}: {wall:.2} s, {cpu:.2} CPU s, peak {:.1} MB", run.peak_mb());
    };
    bench.ours("run", &["--force", "--limit", &half]);
    show(&format!("{n_users} users, half of them recorded"), &bench.ours("run", &["--resume"]));
    show(&format!("{n_users} users, all of them recorded"), &bench.ours("run", &["--resume"]));
}

/// `plan`: a hundred users per request.
pub(crate) fn plan(options: &Options) {
    let bench = Bench::new(options, options.users.unwrap_or(100_000));
    let run = bench.ours("plan", &["--force"]);
    let (wall, cpu) = (run.wall.as_secs_f64(), run.cpu.as_secs_f64());
    let manifest = std::fs::read(bench.dir.path().join("out.manifest.json")).expect("a manifest");
    let manifest: Value = serde_json::from_slice(&manifest).expect("JSON");
    println!(
        "  {} users: {} requests, {wall:.2} s, {cpu:.2} CPU s, peak {:.1} MB",
        bench.n_users,
        manifest["passes"][0]["requests"],
        run.peak_mb()
    );
}

/// A server, a list of users and a place for the results.
struct Bench<'a> {
    options: &'a Options,
    server: Server,
    dir: tempfile::TempDir,
    list: PathBuf,
    n_users: u32,
}

impl<'a> Bench<'a> {
    fn new(options: &'a Options, n_users: u32) -> Self {
        Self::over(Protocol::Plain, options, n_users)
    }

    fn over(protocol: Protocol, options: &'a Options, n_users: u32) -> Self {
        let latency = Duration::from_millis(options.latency);
        let server = Server::start(options.body_size, latency, protocol);
        let dir = tempfile::tempdir().expect("a directory");
        let list = list(dir.path(), n_users);
        Self { options, server, dir, list, n_users }
    }

    fn out(&self) -> PathBuf {
        self.dir.path().join("out.csv")
    }

    fn last_write(&self) -> SystemTime {
        let written = self.out().metadata().and_then(|it| it.modified());
        written.expect("the results are there")
    }

    /// The program without a limit that it could meet.
    fn ours(&self, command: &str, more: &[&str]) -> Measured {
        let connections = self.options.connections.to_string();
        let out = self.out();
        let [list, out, state] = [&self.list, &out, self.dir.path()].map(Path::to_string_lossy);
        let mut arguments = vec![command, &list, "-o", &out, "-q", "-c", &connections];
        arguments.extend(["--api-url", &self.server.url, "--state-dir", &state]);
        arguments.extend(["--snapshot", &self.options.snapshot, "--ca-file", AUTHORITY]);
        arguments.extend(["--quota", "100000000/10s", "--quota-share", "100%"]);
        if command == "run" {
            arguments.push("--yes");
        }
        arguments.extend(more);
        measure(&program(), &arguments, Some(KEY))
    }

    fn bare(&self, body: Body) -> Measured {
        let me = std::env::current_exe().expect("a path");
        let connections = self.options.connections.to_string();
        let (list, out) = (self.list.to_string_lossy(), self.dir.path().join("bare.csv"));
        let out = out.to_string_lossy();
        let url = &self.server.url;
        let arguments = [bare_loop::WORD, body.word(), &connections, url, &list, &out];
        measure(&me, &arguments, Some(KEY))
    }
}

fn median_ms(runs: &[Measured]) -> f64 {
    median(runs.iter().map(|it| ms(it.wall)).collect())
}
