//! The request to stop a job: who asks for it and why, and who waits for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::model::StopReason;

mod signals;

pub use signals::{Ended, Signals, supervise};

/// A request to stop, in two steps: first no new users are started and requests in flight end; then
/// requests in flight are cut off. Clones are the same request, and any thread may make it.
///
/// What is asked of a parent is asked of its children: signals are for the process, a guard is for
/// one job.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    draining: CancellationToken,
    aborted: CancellationToken,
    reasons: Arc<Reasons>,
}

#[derive(Debug, Default)]
struct Reasons {
    own: Mutex<Option<StopReason>>,
    parent: Option<Arc<Reasons>>,
}

impl Stop {
    /// How long requests in flight may take to end after a stop was asked for.
    pub const GRACE: Duration = Duration::from_secs(10);

    /// A stop of its own that is asked for when this one is.
    #[must_use]
    pub fn child(&self) -> Self {
        let parent = Some(Arc::clone(&self.reasons));
        Self {
            draining: self.draining.child_token(),
            aborted: self.aborted.child_token(),
            reasons: Arc::new(Reasons { own: Mutex::default(), parent }),
        }
    }

    /// Asks for an orderly stop. A stronger reason replaces a weaker one.
    pub fn ask(&self, reason: StopReason) {
        let mut own = self.reasons.own.lock().unwrap_or_else(PoisonError::into_inner);
        *own = (*own).max(Some(reason));
        drop(own);
        self.draining.cancel();
    }

    /// Cuts off requests in flight.
    pub fn abort(&self) {
        self.draining.cancel();
        self.aborted.cancel();
    }

    /// Why a stop was asked for, if it was.
    pub fn reason(&self) -> Option<StopReason> {
        self.reasons.strongest()
    }

    /// Whether a stop was asked for.
    pub fn is_asked(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Waits until a stop is asked for.
    pub async fn asked(&self) {
        self.draining.cancelled().await;
    }

    /// Waits until requests in flight are to be cut off.
    pub async fn aborted(&self) {
        self.aborted.cancelled().await;
    }

    /// Cuts off requests in flight [`Stop::GRACE`] after a stop was asked for. Never returns: it is
    /// polled beside the work.
    pub async fn keep_grace(&self) -> std::convert::Infallible {
        self.asked().await;
        tokio::time::sleep(Self::GRACE).await;
        self.abort();
        std::future::pending().await
    }
}

impl Reasons {
    fn strongest(&self) -> Option<StopReason> {
        let own = *self.own.lock().unwrap_or_else(PoisonError::into_inner);
        own.max(self.parent.as_ref().and_then(|parent| parent.strongest()))
    }
}

/// Makes a file that reaches the size limit of the system (`ulimit -f`) a write error, like a full
/// disk: by default, SIGXFSZ kills the process.
///
/// # Errors
///
/// When the handler cannot be installed.
#[cfg(all(unix, not(any(target_arch = "mips", target_arch = "mips64"))))]
pub fn outlive_file_size_limit() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};

    /// The same on Linux, macOS and the BSDs.
    const SIGXFSZ: i32 = 25;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _guard = runtime.enter();
    // The handler remains when the runtime is dropped; nothing has to receive the signal.
    signal(SignalKind::from_raw(SIGXFSZ)).map(drop)
}

/// This system has no such signal, or another number for it.
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

    #[tokio::test]
    async fn a_parent_stops_its_children_and_a_child_only_itself() {
        let parent = Stop::default();
        let (first, second) = (parent.child(), parent.child());
        first.ask(StopReason::MaxFail);
        assert!(!parent.is_asked() && !second.is_asked());
        parent.ask(StopReason::Interrupted);
        second.asked().await;
        assert_eq!(second.reason(), Some(StopReason::Interrupted));
        assert_eq!(first.reason(), Some(StopReason::Interrupted.max(StopReason::MaxFail)));
        assert_eq!(parent.child().reason(), Some(StopReason::Interrupted), "a later child too");
        parent.abort();
        second.aborted().await;
    }
}
