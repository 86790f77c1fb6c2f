//! Nothing lost, nobody harmed: what happens to the disk, the key, the network and the operator,
//! told through the real binary.

#![cfg(unix)]

#[path = "../common/mod.rs"]
mod common;

mod accounting;
mod addresses;
mod consent;
mod disk;
mod guards;
mod key;
mod outage;
mod signals;
mod writer;
