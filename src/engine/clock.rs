//! Time, from one place: the runtime's for waiting, the wall's for writing down.

use std::time::{Instant, SystemTime};

/// The wall clock, for what is written down.
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The runtime's clock, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
