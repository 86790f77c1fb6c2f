//! `sandbox`: a server to rehearse against, until it is interrupted.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context as _;
use tokio::runtime::Builder;

use crate::cli::Context;
use crate::cli::failure::Failure;
use crate::cli::sandbox_args::SandboxArgs;
use crate::cli::status::Status;
use crate::report::text;
use crate::sandbox::{RunningSandbox, Sandbox, SandboxConfig, Stats};
use crate::stop::Stop;

pub(in crate::cli) fn sandbox(args: SandboxArgs, context: Context<'_>) -> Result<Status, Failure> {
    let console = context.console;
    let config = SandboxConfig {
        quota: args.quota.0,
        latency: args.latency,
        faults: args.faults,
        n_users: args.users,
        seed: args.seed,
        ..SandboxConfig::default()
    };
    let running = Sandbox::start(config, args.port)
        .with_context(|| format!("the sandbox can't listen on 127.0.0.1:{}", args.port))
        .map_err(|error| Failure::new(Status::Usage, error))?;
    // Whoever reads this from a pipe waits for it.
    let mut stdout = std::io::stdout();
    // A person pastes the lines; a script reads name and value.
    let word = if stdout.is_terminal() { "export " } else { "" };
    let (url, key) = (running.url(), running.key());
    let exports = format!("{word}CLERK_API_URL={url}\n{word}CLERK_SECRET_KEY={key}\n");
    let _ = stdout.write_all(exports.as_bytes()).and_then(|()| stdout.flush());
    console.note("the sandbox answers until it is interrupted (Ctrl-C)");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    Ok(runtime.block_on(serve(&running, context)))
}

/// A line a second about what was answered, as long as there is anything to say.
async fn serve(running: &RunningSandbox, context: Context<'_>) -> Status {
    let stop = Stop::default();
    let watch = async {
        let mut before = Stats::default();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = running.stats();
            // An answer may come in another second than its request.
            if now != before {
                context.console.note(&line(&before, &now));
            }
            before = now;
        }
    };
    tokio::select! {
        never = context.signals.forward(&stop, || ()) => match never {},
        () = watch => Status::Success,
        () = stop.asked() => stop.reason().map_or(Status::Success, Status::of_stop),
    }
}

fn line(before: &Stats, now: &Stats) -> String {
    let n_of =
        |stats: &Stats, status: u16| stats.by_status.get(&status).copied().unwrap_or_default();
    let answers: Vec<String> = now
        .by_status
        .keys()
        .map(|&status| (status, n_of(now, status) - n_of(before, status)))
        .filter(|(_, n)| *n > 0)
        .map(|(status, n)| format!("{n} × {status}"))
        .collect();
    let n_unanswered = now.n_unanswered - before.n_unanswered;
    let unanswered =
        if n_unanswered > 0 { format!(", {n_unanswered} unanswered") } else { String::new() };
    format!(
        "{} in, {} out{unanswered}; {} unlocked in all",
        text::counted(now.n_requests - before.n_requests, "request", "requests"),
        if answers.is_empty() { "no answer".to_owned() } else { answers.join(", ") },
        text::number(now.n_unlocks)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said when these are the answers since the last line.
    fn told(by_status: &[(u16, u64)], n_requests: u64, n_unanswered: u64) -> String {
        let before =
            Stats { n_requests: 1_000, by_status: [(200, 1_000)].into(), ..Stats::default() };
        let mut now = before.clone();
        now.n_requests += n_requests;
        now.n_unanswered += n_unanswered;
        now.n_unlocks = 12_345;
        for (status, n) in by_status {
            *now.by_status.entry(*status).or_default() += n;
        }
        line(&before, &now)
    }

    #[test]
    fn a_second_is_told_in_these_words() {
        let told = [
            told(&[(200, 1)], 1, 0),
            told(&[(429, 2), (200, 98), (500, 7)], 1_107, 0),
            told(&[], 3, 0),
            told(&[(200, 4)], 0, 2),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        1 request in, 1 × 200 out; 12,345 unlocked in all
        1,107 requests in, 98 × 200, 2 × 429, 7 × 500 out; 12,345 unlocked in all
        3 requests in, no answer out; 12,345 unlocked in all
        0 requests in, 4 × 200 out, 2 unanswered; 12,345 unlocked in all
        ");
    }
}
