//! `sandbox`: a server to rehearse against, until it is interrupted.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Builder;

use crate::cli::Caller;
use crate::cli::args::SandboxArgs;
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::report::text;
use crate::sandbox::{RunningSandbox, Sandbox, SandboxConfig, Stats};
use crate::stop::Stop;

pub(in crate::cli) fn sandbox(args: SandboxArgs, caller: Caller<'_>) -> Result<Status, Failure> {
    let screen = caller.screen;
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
    screen.note("the sandbox answers until it is interrupted (Ctrl-C)");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    Ok(runtime.block_on(serve(&running, caller)))
}

/// A line a second about what was answered, as long as there is anything to say.
async fn serve(running: &RunningSandbox, caller: Caller<'_>) -> Status {
    let stop = Stop::default();
    let watch = async {
        let mut before = Stats::default();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let now = running.stats();
            // An answer may come in another second than its request.
            if now != before {
                caller.screen.note(&line(&before, &now));
            }
            before = now;
        }
    };
    tokio::select! {
        never = caller.signals.forward(&stop, || ()) => match never {},
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
