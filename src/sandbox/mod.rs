//! A local server that behaves like Clerk's Backend API: to rehearse against, and to test with.
//!
//! # The faults
//!
//! | name | what happens | unlock done | in the mix |
//! | --- | --- | --- | --- |
//! | `500` | Clerk's error body | no | yes |
//! | `502` | an HTML page, as a proxy sends it | no | yes |
//! | `503` | `Retry-After: 1` | no | yes |
//! | `504` | the gateway gave up waiting | yes | yes |
//! | `429` | throttled for no reason, `Retry-After: 1` | no | no |
//! | `reset` | the connection is closed without an answer | no | yes |
//! | `reset-after` | the same, too late | yes | yes |
//! | `hang` | no answer; closed after two minutes | no | no |
//! | `truncated` | `Content-Length` promises twice what comes, then the connection is closed | yes | yes |
//! | `garbage` | 200, not JSON | no | yes |
//! | `empty` | 200 without a body | yes | yes |
//! | `slow` | the right answer in 20 pieces, 100 ms apart | yes | no |
//! | `other-user` | 200 with somebody else's object (in a look-up: that alone) | no | yes |
//! | `still-locked` | 200, `locked: true` | no | yes |
//! | `huge` | 200 with a body of 64 MiB | no | no |
//! | `gzip` | 200, compressed though nobody asked | no | no |
//! | `redirect` | 307 to `http://127.0.0.1:9/`, where nobody listens | no | no |
//! | `deep` | 200, JSON nested 100,000 levels deep | no | no |
//! | `escapes` | a final 422 whose message holds escape sequences and control characters | no | no |
//!
//! `--faults 20%` is an even mix of those marked so: they pass, and none makes a client wait for
//! long. Faults befall look-ups as well; `still-locked` does nothing to those, and `other-user`
//! nothing to a walk or a count, where nobody could tell. The same request meets at most three
//! faults in a row, so that every user can be unlocked within eight retries. The seed decides, in
//! the order of arrival.

mod duration;
mod fault;
mod faults;
mod latency;
mod rate_limit;
mod world;

pub use fault::FaultKind;
pub use faults::{Faults, InvalidFaults};
pub use latency::{InvalidLatency, Latency};
pub use rate_limit::{InvalidRateLimit, Quota, RateLimit};
pub use world::{Lock, Truth, World};
