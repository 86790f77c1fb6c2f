//! A local server that behaves like Clerk's Backend API: to rehearse against, and to test with.
//!
//! It runs on a thread of its own and takes connections from this machine alone. HTTP/1.1 with
//! keep-alive, or HTTP/2 with prior knowledge.
//!
//! ```text
//! request ─▶ mode? ─▶ key? ─▶ quota? ─▶ path? ─▶ latency ─▶ script? ─▶ fault? ─▶ office ─▶ wire
//!             │        401     429     404/405/422                                 │
//!             └ 401, any status, closed                    world + changes ─▶ user object
//! ```
//!
//! # What it answers
//!
//! | request | answer |
//! | --- | --- |
//! | `POST /v1/users/{id}/unlock` | the user, unlocked, with all attempts left |
//! | `POST /v1/users/{id}/lock` | the user, locked on purpose for an hour; the attempts left stay |
//! | `GET /v1/users/{id}` | the user |
//! | `GET /v1/users` | users by identifier (`user_id`, `email_address`, `phone_number`, `username`, `external_id`; 100 values each), `banned`, `created_at_before`, `created_at_after` (both leave that very moment out), `order_by` (`created_at` alone), `limit`, `offset`, `starting_after` |
//! | `GET /v1/users/count` | how many; the same filters |
//!
//! A parameter that the sandbox does not know is a 422, never ignored.
//!
//! # Who exists
//!
//! Any well-formed id but two of a hundred; see [`World`]. The instance *lists* a number of users,
//! who all exist. Everybody has an email address, nearly everybody a user name and an external id
//! (`ext_` and the id after `user_`), by which they are found like at Clerk; listed users may have
//! a phone number too. Of every hundred listed users number 51 has the phone of number 50, and
//! number 53 has the address of number 52 as a second one: these are ambiguous. Anybody who is not
//! listed has the address `<id after user_>@sandbox.example` (where the id has capitals: in lower
//! case, with `-` and a mask of the capitals behind it).
//!
//! # The quota
//!
//! A sliding window: in no window of that length are more requests let in. Each that comes with the
//! right key counts, also those answered 404, 422 or with a fault; those answered 429 do not, nor
//! do they prolong the wait. `Retry-After` is the time until there is room, in whole seconds.
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

mod answer;
mod call;
mod changes;
mod config;
mod core;
mod dice;
mod directory;
mod duration;
mod fault;
mod faults;
mod json;
mod latency;
mod ledger;
mod list_query;
mod office;
mod rate_limit;
mod refusal;
mod script;
mod server;
mod spoilt;
mod state;
mod user_json;
mod window;
mod wire;
mod world;

use std::time::Duration;

pub use config::SandboxConfig;
pub use fault::FaultKind;
pub use faults::{Faults, InvalidFaults};
pub use latency::{InvalidLatency, Latency};
pub use ledger::{LoggedRequest, Stats};
pub use rate_limit::{InvalidRateLimit, Quota, RateLimit};
pub use script::{Mode, Script, Scripted};
pub use server::{RunningSandbox, Sandbox};
pub use world::{Lock, Truth, World};

/// How many of these requests arrived in the fullest window of that length, wherever it starts.
/// The requests are in the order of arrival, as [`RunningSandbox::requests`] gives them.
pub fn max_in_any(requests: &[LoggedRequest], window: Duration) -> usize {
    window::max_in_any(requests.iter().map(|request| request.at), window)
}

#[cfg(test)]
mod tests;
