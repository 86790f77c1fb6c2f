//! Stories of a worker pool, on a clock that jumps, against an API that plays a script.

mod canary;
mod outage;
mod recorded;
mod retries;
mod stopping;
mod throttling;
