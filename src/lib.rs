//! Unlocks many Clerk users: a list of users goes in, one recorded outcome per record comes out.
//!
//! # The map
//!
//! Data runs in one line, left to right; one bit, "stop", runs back.
//!
//! ```text
//! input ─records─▶ plan ─jobs─▶ engine: crew ─events─▶ engine: fold ─┬─▶ results (the journal)
//!                    ▲            │   ▲   ▲                          ├─▶ stats ─▶ summary
//!   results (done) ──┘            ▼   │   └── pacer                  ├─▶ report (bar, lines, page)
//!                               clerk │                              └─▶ stop rule ─▶ stop
//!                                     └─────────────────────────────────────────────────┘
//! ```
//!
//! The blank-line groups of modules below are layers. A module imports from groups above its own,
//! never from beside or below; `tests/layers.rs` checks it. Nothing in `model`, `stats` and `policy`
//! reads a clock, rolls dice, or touches a file, a socket or a console.

// 1. The client of the API, which imports nothing of ours, and the terms of a job.
pub mod clerk;

#[cfg(feature = "sandbox")]
pub mod model;

// 2. What was counted.
#[cfg(feature = "cli")]
pub mod stats;

// 3. Decisions.
#[cfg(feature = "cli")]
pub mod policy;

// 4. Edges: one door to each outside thing.
#[cfg(feature = "cli")]
pub mod report;
#[cfg(feature = "cli")]
pub mod results;
#[cfg(feature = "sandbox")]
pub mod sandbox;
#[cfg(feature = "cli")]
pub mod stop;

// 5. The input recognizes our own files through their owner.
#[cfg(feature = "cli")]
pub mod input;

// 6. The engine joins decisions to edges.
#[cfg(feature = "cli")]
pub mod engine;

// 7. One job, from its input to its last line.
#[cfg(feature = "cli")]
mod job;

// 8. The command line joins everything.
#[cfg(feature = "cli")]
pub mod cli;

/// Compiles the README's examples.
#[cfg(all(doctest, feature = "cli"))]
#[doc = include_str!("../README.md")]
struct Readme;
