//! The stop bit: one bit that runs back from whoever sees a reason to whoever starts new work.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::StopReason;

mod signals;

pub use signals::{Ended, Signals, supervise};

/// How far a stop has gone. It only ever grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    #[default]
    Running,
    /// No new users, no waits; attempts in flight end and are recorded.
    Draining,
    /// Attempts in flight are given up.
    Aborted,
}

/// Tells everybody to stop, and why. Shared by reference; any thread may ask.
#[derive(Debug, Default)]
pub struct Stop {
    level: watch::Sender<Level>,
    reason: Mutex<Option<StopReason>>,
}

impl Stop {
    /// How long attempts in flight may take to end once a stop was asked for.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// Asks for an orderly stop. A stronger reason replaces a weaker one.
    pub fn ask(&self, reason: StopReason) {
        let mut known = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        *known = (*known).max(Some(reason));
        drop(known);
        self.raise(Level::Draining);
    }

    /// Asks for a stop at once.
    pub fn abort(&self) {
        self.raise(Level::Aborted);
    }

    /// Why, if a stop was asked for.
    pub fn reason(&self) -> Option<StopReason> {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a stop was asked for.
    pub fn is_asked(&self) -> bool {
        *self.level.borrow() >= Level::Draining
    }

    /// Comes back when a stop was asked for.
    pub async fn asked(&self) {
        self.reached(Level::Draining).await;
    }

    /// Comes back when attempts in flight are to be given up: asked for, or the grace is over.
    pub async fn aborted(&self) {
        self.reached(Level::Aborted).await;
    }

    /// Gives those in flight [`Stop::GRACE`] from the moment a stop is asked for. Never comes
    /// back: it is polled beside the work.
    pub async fn keep_grace(&self) -> std::convert::Infallible {
        self.asked().await;
        tokio::time::sleep(Self::GRACE).await;
        self.abort();
        std::future::pending().await
    }

    fn raise(&self, level: Level) {
        self.level.send_if_modified(|known| {
            let is_more = *known < level;
            *known = (*known).max(level);
            is_more
        });
    }

    async fn reached(&self, level: Level) {
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.level.subscribe().wait_for(|known| *known >= level).await;
    }
}

/// From here on a file that reaches the largest size that the system allows (`ulimit -f`) is an
/// error of writing, like a full disk, and not the end of the process: by default SIGXFSZ kills it.
///
/// # Errors
///
/// When the operating system does not let a handler be set.
#[cfg(all(unix, not(any(target_arch = "mips", target_arch = "mips64"))))]
pub fn outlive_file_size_limit() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    /// The same on Linux, macOS and the BSDs.
    const SIGXFSZ: i32 = 25;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _in_it = runtime.enter();
    // The handler stays when the runtime is gone; that nobody listens is what is wanted.
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

/// There is no such signal here, or it has another number.
///
/// # Errors
///
/// None.
#[cfg(not(all(unix, not(any(target_arch = "mips", target_arch = "mips64")))))]
pub fn outlive_file_size_limit() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stronger_reason_replaces_a_weaker_one_and_never_the_other_way() {
        let stop = Stop::default();
        assert_eq!(stop.reason(), None);
        stop.ask(StopReason::Interrupted);
        stop.ask(StopReason::MaxDuration);
        assert_eq!(stop.reason(), Some(StopReason::Interrupted));
        stop.ask(StopReason::OutputFailed);
        assert_eq!(stop.reason(), Some(StopReason::OutputFailed));
        stop.asked().await;
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_in_flight_has_ten_seconds() {
        let stop = Stop::default();
        let start = tokio::time::Instant::now();
        stop.ask(StopReason::Interrupted);
        tokio::select! {
            _ = stop.keep_grace() => {}
            () = stop.aborted() => {}
        }
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
