//! When a request may leave.
//!
//! Four small machines, each pure, and one gate that asks them all:
//!
//! - [`Ledger`]: never more than the share in any window, whatever the latency.
//! - [`Throttle`]: a 429 sets a time and shrinks the share, which recovers step by step.
//! - [`Breaker`]: when the API stops answering, one probe at a time with growing pauses.
//! - [`Gate`]: the three together. It says "go" or how long; the caller waits.

mod breaker;
mod gate;
mod ledger;
mod quota;
mod throttle;

pub use breaker::{Breaker, Miss};
pub use gate::{Change, Entry, Gate, GateSettings, Report, Ticket};
pub use ledger::{Ledger, Room};
pub use quota::{Pace, Quota};
pub use throttle::Throttle;
