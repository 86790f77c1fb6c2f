//! Failures of disk, key, network, and API, and signals: no row is lost, and no wrong user is called.

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
