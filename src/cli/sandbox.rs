//! `sandbox`: serves until a signal.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Builder;

use super::args::SandboxArgs;
use crate::job::{Context, ExitStatus, Failure};
use crate::report::{Level, text};
use crate::sandbox::{Rate, Sandbox, SandboxConfig, Stats};

pub(super) fn sandbox(args: SandboxArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let (key, quota) = if args.development {
        (SandboxConfig::DEVELOPMENT_KEY, Rate::DEVELOPMENT_QUOTA)
    } else {
        (SandboxConfig::PRODUCTION_KEY, Rate::PRODUCTION_QUOTA)
    };
    let config = SandboxConfig::default()
        .key(key)
        .quota(args.quota.unwrap_or(Some(quota)))
        .live_app(args.live_app)
        .latency(args.latency)
        .faults(args.faults)
        .n_users(args.users)
        .seed(args.seed);
    let sandbox = Sandbox::start(config, args.port)
        .with_context(|| format!("cannot start the sandbox on 127.0.0.1:{}", args.port))
        .map_err(|error| Failure::new(ExitStatus::Usage, error))?;
    // A signal may follow as soon as the address is printed.
    context.signals.begin_orderly();
    let mut stdout = std::io::stdout();
    // On a terminal, the lines can be pasted into a shell; a script reads names and values.
    let word = if stdout.is_terminal() { "export " } else { "" };
    let (url, key) = (sandbox.url(), sandbox.key());
    let exports = format!("{word}CLERK_API_URL={url}\n{word}CLERK_SECRET_KEY={key}\n");
    let _ = stdout.write_all(exports.as_bytes()).and_then(|()| stdout.flush());
    let kind = if args.development { "development" } else { "production" };
    console.note(&format!("Sandbox of a {kind} instance; press Ctrl-C to stop"));
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    let status = runtime.block_on(serve(&sandbox, context));
    if args.live_app.is_some() {
        let totals = sandbox.stats();
        let refused = refused_of(totals.n_live_refused, totals.n_live_calls);
        console.log(Level::Answer, &format!("Live application: {refused}"));
    }
    Ok(status)
}

/// Prints a line for every second with requests.
async fn serve(sandbox: &Sandbox, context: Context<'_>) -> ExitStatus {
    let watch = async {
        let mut before = Stats::default();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = sandbox.stats();
            if let Some(line) = line(&before, &now) {
                context.console.note(&line);
            }
            before = now;
        }
    };
    let stop = context.signals.stop();
    tokio::select! {
        () = watch => ExitStatus::Success,
        () = stop.asked() => stop.reason().map_or(ExitStatus::Success, ExitStatus::of_stop),
    }
}

/// The difference of the two; `None` if it has only calls of the live application.
fn line(before: &Stats, now: &Stats) -> Option<String> {
    let n_requests = now.n_requests - before.n_requests;
    let since = |status: &u16, n: u64| n - before.by_status.get(status).copied().unwrap_or(0);
    let mut responses: Vec<String> = now
        .by_status
        .iter()
        .filter(|&(status, n)| since(status, *n) > 0)
        .map(|(status, n)| format!("{} × {status}", text::number(since(status, *n))))
        .collect();
    let n_unanswered = now.n_unanswered - before.n_unanswered;
    if n_unanswered > 0 {
        responses.push(format!("{} unanswered", text::number(n_unanswered)));
    }
    let mut parts = Vec::new();
    if n_requests > 0 || !responses.is_empty() {
        parts.push(text::counted(n_requests, "request", "requests"));
        let responses = responses.join(", ");
        parts.push(if responses.is_empty() { "no responses".to_owned() } else { responses });
        parts.push(format!("{} unlocked in total", text::number(now.n_unlocks)));
    }
    let n_refused = now.n_live_refused - before.n_live_refused;
    let n_calls = now.n_live_calls - before.n_live_calls;
    if n_refused > 0 || n_calls > 0 && !parts.is_empty() {
        parts.push(format!("live application: {}", refused_of(n_refused, n_calls)));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn refused_of(n_refused: u64, n_calls: u64) -> String {
    format!("{} of {} calls refused", text::number(n_refused), text::number(n_calls))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_summarizes_one_second() {
        let mut before = Stats::default();
        (before.n_requests, before.by_status) = (1_000, [(200, 1_000)].into());
        let with = |by_status: &[(u16, u64)], n_requests: u64, n_unanswered| {
            let mut now = before.clone();
            (now.n_requests, now.n_unlocks) = (1_000 + n_requests, 12_345);
            now.n_unanswered = n_unanswered;
            for (status, n) in by_status {
                *now.by_status.entry(*status).or_default() += n;
            }
            now
        };
        let live = |n_calls, n_refused| {
            let mut now = with(&[], 0, 0);
            (now.n_live_calls, now.n_live_refused) = (n_calls, n_refused);
            now
        };
        let lines = [
            with(&[(200, 1)], 1, 0),
            with(&[(429, 2), (200, 98), (500, 7)], 1_107, 0),
            with(&[], 3, 0),
            with(&[(200, 4)], 0, 2),
            live(25, 0),
            live(25, 3),
            Stats { n_live_calls: 25, ..with(&[(200, 4)], 4, 0) },
        ]
        .map(|now| line(&before, &now).unwrap_or_default());
        insta::assert_snapshot!(lines.join("\n"), @"
        1 request; 1 × 200; 12,345 unlocked in total
        1,107 requests; 98 × 200, 2 × 429, 7 × 500; 12,345 unlocked in total
        3 requests; no responses; 12,345 unlocked in total
        0 requests; 4 × 200, 2 unanswered; 12,345 unlocked in total

        live application: 3 of 25 calls refused
        4 requests; 4 × 200; 12,345 unlocked in total; live application: 0 of 25 calls refused
        ");
    }
}
