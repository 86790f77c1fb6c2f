//! The clocks, in one place: the runtime's for waiting, the wall clock for files and messages.
#![allow(clippy::disallowed_methods, reason = "everything else reads the time here")]

use std::time::{Instant, SystemTime};

/// The wall clock.
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The runtime's clock, which tests can pause.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
