//! Decisions, pure: what an answer means, what to do next, when to send, when to stop.
//!
//! Time and chance are parameters; nothing here sleeps.

pub mod classify;
pub mod exclude;
pub mod pacing;
pub mod plan;
pub mod retry;
pub mod selection;
pub mod shard;
pub mod stop_rule;
