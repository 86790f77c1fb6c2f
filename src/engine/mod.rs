//! The engine joins decisions to edges: a crew of workers sends, a fold records.
//!
//! ```text
//! queue ─tasks─▶ crew: workers ─events─▶ fold: record, count, tell, judge
//!    ▲              │  ▲   ▲                                   │
//!    └── again ─────┘  │   └──────── stop (one bit) ◀──────────┘
//!                    pacer
//! ```
//!
//! Invariants: a row is in the file before any screen says so. A job cut off by a stop has no row
//! and is simply outstanding. Nothing is held across a wait but a place in the line.

mod canary;
mod clock;
mod crew;
mod fold;
mod look_up;
mod pacer;
mod queue;
mod recorded;
mod session;
mod spacing;
#[cfg(test)]
mod testing;
mod unlock;
mod walk;
mod work;

pub use clock::wall_clock;
pub use crew::{Crew, CrewSettings, Ears};
pub use fold::{Fold, Folded};
pub use look_up::{Batch, LookUp, Purpose, batches};
pub use pacer::{Pacer, Turn};
pub use queue::Task;
pub use recorded::Recorded;
pub use session::{EVENTS_IN_FLIGHT, Session};
pub use unlock::{Unlock, UnlockJob};
pub use walk::{Count, Shortfall, Span, Stretch, Walk, spans};
pub use work::{Conclusion, End, Last, Work};
