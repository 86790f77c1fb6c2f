//! The signals of the operating system, received on the main thread from start to end.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::Stop;
use crate::model::StopReason;

/// The signals of this process. The first SIGINT or SIGTERM asks for a stop, the second cuts off
/// requests in flight; SIGUSR1 asks for a status line.
#[derive(Debug, Default)]
pub struct Signals {
    stop: Stop,
    n_status: watch::Sender<u32>,
    is_orderly: AtomicBool,
}

impl Signals {
    /// The stop that signals ask for, as the parent of each job's own.
    pub fn stop(&self) -> &Stop {
        &self.stop
    }

    /// From now on a first signal is a request to end in order, which takes its time. Before that,
    /// while input is read, say, it ends the process at once.
    pub fn begin_orderly(&self) {
        self.is_orderly.store(true, Ordering::Relaxed);
    }

    /// Calls `on_status` for each status line that is asked for. Never returns.
    pub async fn watch_status(&self, on_status: impl Fn()) -> Infallible {
        let mut n_status = self.n_status.subscribe();
        // The sender lives in `self`, so waiting cannot fail.
        while n_status.changed().await.is_ok() {
            on_status();
        }
        std::future::pending().await
    }

    /// How long the work may continue after this many signals; `None` is without a limit.
    fn patience(&self, n_signals: u32) -> Option<Duration> {
        /// For writing what was recorded.
        const AFTER_ABORT: Duration = Duration::from_secs(2);
        match n_signals {
            1 if self.is_orderly.load(Ordering::Relaxed) => None,
            2 if self.is_orderly.load(Ordering::Relaxed) => Some(AFTER_ABORT),
            _ => Some(Duration::ZERO),
        }
    }
}

/// How supervised work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// It returned.
    Done(T),
    /// It panicked; the panic message is printed.
    Panicked,
    /// It did not end after a second signal, or after a first one that came early: a write that
    /// blocks, say. Its thread ends with the process.
    CutOff(StopReason),
}

/// Runs the work on its own thread and receives signals on this one, so that a second signal ends
/// the program whatever blocks, without an `exit` in the middle.
///
/// # Errors
///
/// When the thread cannot be started or the signal handlers cannot be installed.
pub fn supervise<T: Send + 'static>(
    work: impl FnOnce(Arc<Signals>) -> T + Send + 'static,
) -> io::Result<Ended<T>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = Arc::new(Signals::default());
    let _guard = runtime.enter();
    let mut streams = SignalStreams::new()?;
    let (sender, result) = oneshot::channel();
    let of_work = Arc::clone(&signals);
    // After a cut-off, no receiver is left.
    thread::Builder::new().name("work".into()).spawn(move || drop(sender.send(work(of_work))))?;
    Ok(runtime.block_on(async {
        tokio::select! {
            biased;
            done = result => done.map_or(Ended::Panicked, Ended::Done),
            reason = cut_off(&mut streams, &signals) => Ended::CutOff(reason),
        }
    }))
}

/// Returns when the work has had its time to end.
async fn cut_off(streams: &mut SignalStreams, signals: &Signals) -> StopReason {
    let mut n_signals = 0;
    let mut patience: Option<(Duration, StopReason)> = None;
    loop {
        let over = async {
            match patience {
                Some((length, reason)) => {
                    sleep(length).await;
                    reason
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reason = over => return reason,
            signal = streams.next() => match signal {
                Signal::Stop(reason) => {
                    n_signals += 1;
                    signals.stop.ask(reason);
                    if n_signals > 1 {
                        signals.stop.abort();
                    }
                    patience = signals.patience(n_signals).map(|length| (length, reason));
                }
                Signal::Status => signals.n_status.send_modify(|n| *n = n.wrapping_add(1)),
            },
        }
    }
}

enum Signal {
    Stop(StopReason),
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has SIGUSR1"))]
    Status,
}

#[cfg(unix)]
struct SignalStreams {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// A closed terminal or a lost ssh session, which counts as SIGTERM. `None` where it is ignored,
    /// as under `nohup`, or where that is not known.
    hangup: Option<tokio::signal::unix::Signal>,
    status: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl SignalStreams {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: handles_hangup().then(|| signal(SignalKind::hangup())).transpose()?,
            status: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::Stop(StopReason::Interrupted),
            _ = self.terminate.recv() => Signal::Stop(StopReason::Terminated),
            () = received(self.hangup.as_mut()) => Signal::Stop(StopReason::Terminated),
            _ = self.status.recv() => Signal::Status,
        }
    }
}

/// Waits for the signal; without one, forever.
#[cfg(unix)]
async fn received(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP is not ignored: installing a handler would end that. Known on Linux only.
#[cfg(unix)]
fn handles_hangup() -> bool {
    const SIGHUP: u32 = 1;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGHUP - 1) & 1 == 0)
}

#[cfg(windows)]
struct SignalStreams(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl SignalStreams {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> Signal {
        self.0.recv().await;
        Signal::Stop(StopReason::Interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_status_signal_asks_for_a_status_line() {
        let signals = Signals::default();
        let n_lines = std::cell::Cell::new(0);
        let two = async {
            for _ in 0..2 {
                tokio::task::yield_now().await;
                signals.n_status.send_modify(|n| *n += 1);
            }
            tokio::task::yield_now().await;
        };
        tokio::select! {
            biased;
            never = signals.watch_status(|| n_lines.set(n_lines.get() + 1)) => match never {},
            () = two => {}
        }
        assert_eq!(n_lines.get(), 2);
    }

    #[test]
    fn an_early_signal_ends_the_program_and_later_the_second_does() {
        let signals = Signals::default();
        assert_eq!(signals.patience(1), Some(Duration::ZERO));
        signals.begin_orderly();
        assert_eq!(signals.patience(1), None);
        assert!(signals.patience(2) > Some(Duration::ZERO));
        assert_eq!(signals.patience(3), Some(Duration::ZERO));
    }

    #[test]
    fn work_that_panics_is_reported() {
        assert_eq!(supervise(|_| 7).unwrap(), Ended::Done(7));
        assert_eq!(supervise(|_| assert_eq!(1, 2, "a test of panics")).unwrap(), Ended::Panicked);
    }
}
