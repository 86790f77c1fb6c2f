//! What is spoken, and over how many connections.

use axum::http::Version;

use crate::common::watch::FAST;
use crate::common::{Stage, list, users};
use crate::server::{AUTHORITY, Server};

const N_USERS: usize = 200;
const N_IN_FLIGHT: usize = 8;

/// Unlocks two hundred users at this address, eight at once.
#[track_caller]
fn unlock_all(url: &str, flags: &str) {
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.write("ids.txt", list(&users(N_USERS)));
    let fixed = format!("run ids.txt --yes -c {N_IN_FLIGHT} --api-url {url} {FAST}");
    stage.run(&format!("{fixed} {flags}")).exits_with(0);
    stage.has_each_once("ids.results.csv", &users(N_USERS));
    stage.all_are("ids.results.csv", "unlocked");
}

#[test]
fn http_2_is_spoken_over_one_connection_where_the_server_can() {
    let server = Server::encrypted(&["h2", "http/1.1"]);
    unlock_all(&format!("https://localhost:{}", server.port()), &format!("--ca-file {AUTHORITY}"));
    assert_eq!(server.versions(), [Version::HTTP_2; N_USERS]);
    // The first calls may all begin before the first handshake tells that one would do.
    assert!(server.n_connections() <= N_IN_FLIGHT, "{}", server.n_connections());
}

#[test]
fn http_1_connections_are_kept_and_used_again_encrypted_or_not() {
    let (plain, encrypted) = (Server::plain(), Server::encrypted(&["http/1.1"]));
    unlock_all(&format!("http://127.0.0.1:{}", plain.port()), "");
    let url = format!("https://localhost:{}", encrypted.port());
    unlock_all(&url, &format!("--ca-file {AUTHORITY}"));
    for server in [plain, encrypted] {
        assert_eq!(server.versions(), [Version::HTTP_11; N_USERS]);
        // Seldom more than eight or nine; a call that begins while the last one's connection is
        // still on its way back makes another.
        assert!(server.n_connections() <= N_USERS / 4, "{}", server.n_connections());
    }
}
