//! A local server that behaves like Clerk's Backend API, for rehearsals and tests.
//!
//! It listens on 127.0.0.1 only, on a thread of its own, and speaks HTTP/1.1 and HTTP/2 with prior
//! knowledge. A request is checked in this order; the first that applies answers it:
//!
//! [`Mode`], secret key (401), quota (429), path and parameters (404, 405, 422), then after the
//! [`Latency`]: [`Script`], [`Faults`], and the response that Clerk would send.
//!
//! | request | response |
//! | --- | --- |
//! | `POST /v1/users/{id}/unlock` | the user, unlocked and with all attempts left |
//! | `POST /v1/users/{id}/lock` | the user, locked forever; the attempts left are unchanged |
//! | `GET /v1/users/{id}` | the user |
//! | `GET /v1/users` | a page of users, newest first |
//! | `GET /v1/users/count` | the number of users; takes the same filters |
//!
//! # Filters
//!
//! - `user_id`, `email_address`, `phone_number`, `username`, `external_id`, `organization_id`: up
//!   to 100 values each, by repeating the parameter. IDs may have a sign: `-` excludes.
//! - `created_at`, `last_sign_in_at`, `last_active_at`, each with `_before` and `_after`: Unix
//!   milliseconds, exclusive. A user without the date does not match.
//! - `query`, `email_address_query`, `phone_number_query`, `username_query`, `name_query`: partial
//!   matches without regard to case.
//! - `banned`, `limit`, `offset`, `starting_after`, and `order_by` (`created_at` only).
//!
//! Unlike Clerk, the sandbox answers 422 to a parameter that it does not have. Lists contain the
//! listed users; identifiers find any user of the [`Population`].
//!
//! # Quota
//!
//! A strict sliding window: no window of that length, wherever it starts, admits more requests than
//! the quota. Every request with the right key counts, except those refused with 429, which do not
//! prolong the wait either. `Retry-After` is the time until the quota has room, in whole seconds.
//! The calls of a [live application](SandboxConfig::live_app) count in the same way.

mod config;
mod faults;
mod handler;
mod population;
mod query;
mod quota;
mod response;
mod server;
mod stats;
mod user;
mod user_json;

pub use config::{InvalidSetting, Latency, Mode, SandboxConfig, Script, Scripted};
pub use faults::{FaultKind, Faults};
pub use population::Population;
pub use quota::{Rate, max_in_any};
pub use server::Sandbox;
pub use stats::{LoggedRequest, Stats};
pub use user::{FakeUser, Lock};

#[cfg(test)]
mod tests;
