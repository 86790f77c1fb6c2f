//! The network between the program and the API: proxies, certificates, HTTP/2 and connections.

#[path = "../common/mod.rs"]
mod common;

mod connections;
mod proxies;
mod server;
mod trust;
