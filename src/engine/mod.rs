//! The engine joins decisions to edges: a worker pool sends, a recorder records.
//!
//! ```text
//! queue ─tasks─▶ workers ─events─▶ recorder: record, count, report, check
//!    ▲           │  ▲   ▲                                   │
//!    └── retry ──┘  │   └──── stop request, acknowledgements┘
//!                 pacer ◀─────▶ pace file (other runs)
//! ```
//!
//! Invariants: a row is in the file before any screen shows it. A job interrupted by a stop has no
//! row and is simply not done. Nothing is held across a wait but a place in the pacer's queue.

mod api;
mod clock;
mod look_up;
mod pace_file;
mod pacer;
mod queue;
mod recorder;
mod session;
mod spacing;
#[cfg(test)]
mod testing;
mod unlock;
mod walk;
mod work;
mod worker_pool;

pub use clock::{now, wall_clock};
pub use look_up::{LookUp, Purpose, batches};
pub use pace_file::PaceFile;
pub use pacer::Pacer;
pub use recorder::{EventSender, Recorded, Recorder, RecorderGone, Recording};
pub use session::Session;
pub use unlock::{Unlock, UnlockJobs};
pub use walk::{Count, Recheck, Shortfall, Stretch, Walk};
pub use work::Work;
pub use worker_pool::{PoolSettings, WorkerPool};
