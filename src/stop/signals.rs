//! What the operating system asks of the program: heard on the main thread from the first moment
//! to the last, forwarded to whatever work is under way.

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

/// What was heard so far. It only ever grows, so nobody can come too late to hear of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Heard {
    n_stops: u32,
    reason: Option<StopReason>,
    n_status: u32,
}

/// The signals of this process. Shared by reference; any work may heed them.
#[derive(Debug, Default)]
pub struct Signals {
    heard: watch::Sender<Heard>,
    is_heeded: AtomicBool,
}

impl Signals {
    /// Forwards what was heard, and what will be, to the stop bit of some work. Never comes back.
    ///
    /// The first SIGINT or SIGTERM drains, the second aborts; SIGUSR1 calls `on_status`.
    pub async fn forward(&self, stop: &Stop, on_status: impl Fn()) -> Infallible {
        let mut heard = self.heard.subscribe();
        let mut n_status = heard.borrow().n_status;
        loop {
            self.apply(stop);
            if heard.changed().await.is_err() {
                // The sender lives in `self`.
                std::future::pending::<()>().await;
            }
            let now = *heard.borrow_and_update();
            if now.n_status > n_status {
                n_status = now.n_status;
                on_status();
            }
        }
    }

    /// Why to stop, if that was heard.
    pub fn reason(&self) -> Option<StopReason> {
        self.heard.borrow().reason
    }

    /// Asks for the stop that was already heard, if any. From now on there is work that drains: a
    /// first signal no longer ends the process at once.
    pub fn apply(&self, stop: &Stop) {
        self.is_heeded.store(true, Ordering::Relaxed);
        let heard = *self.heard.borrow();
        if let Some(reason) = heard.reason {
            stop.ask(reason);
        }
        if heard.n_stops > 1 {
            stop.abort();
        }
    }

    fn hear_stop(&self, reason: StopReason) -> u32 {
        self.heard.send_modify(|heard| {
            heard.n_stops = heard.n_stops.saturating_add(1);
            heard.reason = heard.reason.max(Some(reason));
        });
        self.heard.borrow().n_stops
    }

    fn hear_status(&self) {
        self.heard.send_modify(|heard| heard.n_status = heard.n_status.wrapping_add(1));
    }

    /// How long the work may go on after so many stops; `None` is as long as it likes.
    fn patience(&self, n_stops: u32) -> Option<Duration> {
        /// What was recorded is still to be brought to its files.
        const AFTER_ABORT: Duration = Duration::from_secs(2);
        match n_stops {
            1 if self.is_heeded.load(Ordering::Relaxed) => None,
            2 if self.is_heeded.load(Ordering::Relaxed) => Some(AFTER_ABORT),
            _ => Some(Duration::ZERO),
        }
    }
}

/// How supervised work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<T> {
    /// By itself.
    Done(T),
    /// It panicked; the panic has told why.
    Panicked,
    /// Somebody asked twice, or before there was anything to drain, and it did not come to an
    /// end: a write that blocks, say. Its thread ends with the process.
    CutOff(StopReason),
}

/// Does the work on a thread of its own and hears signals on this one.
///
/// So a second signal ends the program whatever blocks, without an `exit` in the middle of it.
///
/// # Errors
///
/// When the operating system gives no thread, or does not let a handler be set.
pub fn supervise<T: Send + 'static>(
    work: impl FnOnce(Arc<Signals>) -> T + Send + 'static,
) -> io::Result<Ended<T>> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let signals = Arc::new(Signals::default());
    let _in_it = runtime.enter();
    let mut ears = SignalStreams::new()?;
    let (tell, told) = oneshot::channel();
    let at_work = Arc::clone(&signals);
    // Whoever waits for it may be gone: then nobody wants to know.
    thread::Builder::new().name("work".into()).spawn(move || drop(tell.send(work(at_work))))?;
    Ok(runtime.block_on(async {
        tokio::select! {
            biased;
            done = told => done.map_or(Ended::Panicked, Ended::Done),
            reason = cut_off(&mut ears, &signals) => Ended::CutOff(reason),
        }
    }))
}

/// Comes back when the work has had its time.
async fn cut_off(ears: &mut SignalStreams, signals: &Signals) -> StopReason {
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
            heard = ears.next() => match heard {
                Asked::Stop(reason) => {
                    let n_stops = signals.hear_stop(reason);
                    patience = signals.patience(n_stops).map(|length| (length, reason));
                }
                Asked::Status => signals.hear_status(),
            },
        }
    }
}

enum Asked {
    Stop(StopReason),
    // Only Unix has a signal for it.
    #[cfg_attr(not(unix), expect(dead_code, reason = "SIGUSR1 is Unix's"))]
    Status,
}

#[cfg(unix)]
struct SignalStreams {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    /// A terminal that was closed, an ssh session that was lost: as good as SIGTERM. `None` where
    /// it is ignored, as under `nohup`, or where nobody can say whether it is.
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
            hangup: heeds_hangup().then(|| signal(SignalKind::hangup())).transpose()?,
            status: signal(SignalKind::user_defined1())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop(StopReason::Interrupted),
            _ = self.terminate.recv() => Asked::Stop(StopReason::Terminated),
            () = heard(self.hangup.as_mut()) => Asked::Stop(StopReason::Terminated),
            _ = self.status.recv() => Asked::Status,
        }
    }
}

/// Comes back when the signal came, and never where there is none.
#[cfg(unix)]
async fn heard(signal: Option<&mut tokio::signal::unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Whether SIGHUP is not ignored: a handler of ours would take that away. Linux tells.
#[cfg(unix)]
fn heeds_hangup() -> bool {
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

    async fn next(&mut self) -> Asked {
        self.0.recv().await;
        Asked::Stop(StopReason::Interrupted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_begins_after_a_signal_hears_of_it() {
        let (signals, stop) = (Signals::default(), Stop::default());
        assert_eq!(signals.hear_stop(StopReason::Interrupted), 1);
        signals.apply(&stop);
        assert_eq!(stop.reason(), Some(StopReason::Interrupted));
        tokio::select! {
            biased;
            () = stop.aborted() => panic!("one signal drains"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn the_second_signal_aborts_and_status_is_asked_as_often_as_it_was() {
        let (signals, stop) = (Signals::default(), Stop::default());
        let n_status = std::cell::Cell::new(0);
        let told = async {
            tokio::task::yield_now().await;
            signals.hear_status();
            tokio::task::yield_now().await;
            signals.hear_stop(StopReason::Interrupted);
            signals.hear_stop(StopReason::Terminated);
            stop.aborted().await;
        };
        tokio::select! {
            never = signals.forward(&stop, || n_status.set(n_status.get() + 1)) => match never {},
            () = told => {}
        }
        assert_eq!((n_status.get(), stop.reason()), (1, Some(StopReason::Terminated)));
    }

    #[test]
    fn before_there_is_anything_to_drain_the_first_signal_ends_the_program_and_later_the_second() {
        let signals = Signals::default();
        assert_eq!(signals.patience(1), Some(Duration::ZERO));
        signals.apply(&Stop::default());
        assert_eq!(signals.patience(1), None);
        assert!(signals.patience(2) > Some(Duration::ZERO));
        assert_eq!(signals.patience(3), Some(Duration::ZERO), "whoever asks again is in a hurry");
    }

    #[test]
    fn work_that_ends_is_done_and_work_that_panics_is_told() {
        assert_eq!(supervise(|_| 7).unwrap(), Ended::Done(7));
        assert_eq!(supervise(|_| assert_eq!(1, 2, "a test of panics")).unwrap(), Ended::Panicked);
    }
}
