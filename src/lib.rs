//! Unlocks many Clerk users: a list of users goes in, one recorded outcome per record comes out.
//!
//! The public API is [`clerk`], a typed client of Clerk's Backend API; [`sandbox`], a server that
//! behaves like it, for tests; and [`main`], the command line. Everything else is private.
//!
//! # The map
//!
//! Data flows from left to right:
//!
//! ```text
//!               args, environment, file ─▶ cli ──settings──▶ job: prepare, run, finish
//!                                                             │
//! CSV, list, stdin ─▶ input ─records─▶ plan ─jobs─▶ engine: worker pool ─events─▶ engine: recorder
//! all locked users ─▶ engine: walk ──┘  ▲             │       ▲                     │  (own thread)
//! results, plan ────▶ results: reader ──┘             ▼       │                     ├─▶ results (CSV)
//!                                               clerk: client pacer                 ├─▶ stats ─▶ summary
//!                                                                                   ├─▶ report
//!                                                                                   └─▶ stop rules
//! at the end: summary ─▶ closing text, JSON, manifest, metrics, HTML page, exit code
//! ```
//!
//! Three things flow back: the stop request, which signals, guards, and the recorder
//! make and workers obey; the recorder's acknowledgements, as a worker takes its next job only when
//! its row is written; and the pacer, which all workers and all runs with one key share.
//!
//! The blank-line groups of modules below are layers. A module imports only from groups above its
//! own; `tests/layers.rs` checks it. Nothing in `model`, `stats`, and `policy` reads a clock, rolls
//! dice, or touches a file, a socket, or a console.

// The sandbox writes a user object of 46 properties with `json!`.
#![recursion_limit = "256"]
#![cfg_attr(not(test), warn(clippy::disallowed_methods))]
// Not each field of what `internals` shows has a comment; nothing of it is public otherwise.
#![cfg_attr(feature = "internals", allow(missing_docs))]

// 1. The client of the API, which imports nothing of ours, and the terms of a job.
pub mod clerk;

#[cfg(feature = "cli")]
mod model;

// 2. What was counted.
#[cfg(feature = "cli")]
mod stats;

// 3. Decisions.
#[cfg(feature = "cli")]
mod policy;

// 4. The files that the program reads and writes.
#[cfg(feature = "cli")]
mod results;

// 5. Other edges: one module for each outside thing.
#[cfg(feature = "cli")]
mod report;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "cli")]
mod stop;

// 6. The input recognizes our own files through their owner.
#[cfg(feature = "cli")]
mod input;

// 7. The engine joins decisions to edges.
#[cfg(feature = "cli")]
mod engine;

// 8. One job, from its input to its last line.
#[cfg(feature = "cli")]
mod job;

// 9. The command line joins everything.
#[cfg(feature = "cli")]
mod cli;

#[cfg(feature = "cli")]
pub use cli::main;

/// What benchmarks measure and fuzz targets feed. Not a part of the API.
#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod internals {
    pub mod engine {
        pub use crate::engine::*;
    }
    pub mod input {
        pub use crate::input::*;
    }
    pub mod model {
        pub use crate::model::*;
    }
    pub mod policy {
        pub use crate::policy::*;
    }
    pub mod results {
        pub use crate::results::*;
    }
}
