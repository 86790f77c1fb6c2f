//! The engine joins decisions to edges: a worker pool of workers sends, a recorder records.
//!
//! ```text
//! queue ─tasks─▶ pool: workers ─events─▶ recorder: record, count, report, check
//!    ▲              │  ▲   ▲                                   │
//!    └── again ─────┘  │   └──────── stop (one bit) ◀──────────┘
//!                    pacer
//! ```
//!
//! Invariants: a row is in the file before any console says so. A job cut off by a stop has no row
//! and is simply outstanding. Nothing is held across a wait but a place in the line.

mod canary;
mod clock;
mod look_up;
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

pub use clock::wall_clock;
pub use look_up::{Batch, LookUp, Purpose, batches};
pub use pacer::{Pacer, Turn};
pub use queue::Task;
pub use recorder::{EventSender, Recorded, Recorder, RecorderGone, Recording};
pub use session::Session;
pub use unlock::{Unlock, UnlockJob};
pub use walk::{Count, Shortfall, Span, Stretch, Walk, spans};
pub use work::{Conclusion, End, Last, Work};
pub use worker_pool::{PoolSettings, WorkerPool};
