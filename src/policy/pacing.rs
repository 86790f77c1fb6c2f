//! When a request may leave.
//!
//! Pure state machines, and one gate that combines them:
//!
//! - [`Ledger`]: at most the share in any window, whatever the latency, of all runs together.
//! - [`Throttle`]: a 429 sets a pause and a smaller share, which recovers slowly.
//! - [`Breaker`]: while the API does not answer, one probe at a time with growing pauses.
//! - [`Gate`]: the three together. It answers "ready" or how long to wait; the caller waits.
//! - [`PaceRecord`]: what the runs with one key share, as it is stored in a file.

mod breaker;
mod gate;
mod ledger;
mod quota;
mod record;
mod throttle;

pub use breaker::{Breaker, Miss};
pub use gate::{Change, Delivery, Entry, Gate, GateSettings, Report, Sent};
pub use ledger::{Ledger, Limits, Room};
pub use quota::{Pace, Quota};
pub use record::{Moment, PaceRecord};
pub use throttle::{Refusal, Throttle};
