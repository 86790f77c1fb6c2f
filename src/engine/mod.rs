//! The engine: a worker pool sends requests, a recorder records their outcomes.
//!
//! ```text
//! queue ─tasks─▶ workers ─events─▶ recorder: record, count, report, check
//!    ▲           │  ▲   ▲                                   │
//!    └── retry ──┘  │   └──── stop request, acknowledgements┘
//!                 pacer ◀─────▶ pace file (other runs)
//! ```
//!
//! Invariants: a row is in the file before it is reported. A job that a stop interrupts has no row
//! and is not done. The queue of the pacer is the only lock that is held across an await.

use std::time::{Instant, SystemTime};

mod look_up;
mod pace_file;
mod pacer;
mod queue;
mod recorder;
mod session;
#[cfg(test)]
mod testing;
mod unlock;
mod walk;
mod work;
mod worker_pool;

pub use look_up::{LookUp, Purpose, batches};
pub use pace_file::PaceFile;
pub use pacer::Pacer;
pub use recorder::{EventSender, Recorder, RecorderGone, Recording};
pub use session::Session;
pub use unlock::{Unlock, UnlockJobs};
pub use walk::{Count, Recheck, Shortfall, Stretch, Walk};
pub use work::Work;
pub use worker_pool::{PoolSettings, WorkerPool};

/// The wall clock, for files and messages.
#[allow(clippy::disallowed_methods, reason = "all other code uses this function")]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

/// The clock of the runtime, which tests can pause.
#[allow(clippy::disallowed_methods, reason = "all other code uses this function")]
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
