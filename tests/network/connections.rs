//! HTTP versions and the number of connections.

use axum::http::Version;

use crate::common::watch::FAST;
use crate::common::{Stage, list, users};
use crate::server::{AUTHORITY, Server};

const N_USERS: usize = 200;
const N_IN_FLIGHT: usize = 8;

/// Unlocks 200 users at this address, eight at a time.
#[track_caller]
fn unlock_all(url: &str, flags: &str) {
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.write("ids.txt", list(&users(N_USERS)));
    let fixed = format!("run ids.txt --yes -c {N_IN_FLIGHT} --api-url {url} {FAST}");
    stage.run(&format!("{fixed} {flags}")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &users(N_USERS));
    stage.check_all_outcomes("ids.results.csv", "unlocked");
}

#[test]
fn http_2_uses_one_connection_if_the_server_supports_it() {
    let server = Server::encrypted(&["h2", "http/1.1"]);
    unlock_all(&format!("https://localhost:{}", server.port()), &format!("--ca-file {AUTHORITY}"));
    assert_eq!(server.versions(), [Version::HTTP_2; N_USERS]);
    // All first requests may start before the first handshake shows that HTTP/2 needs one connection.
    assert!(server.n_connections() <= N_IN_FLIGHT, "{}", server.n_connections());
}

#[test]
fn http_1_connections_are_reused_encrypted_or_not() {
    let (plain, encrypted) = (Server::plain(), Server::encrypted(&["http/1.1"]));
    unlock_all(&format!("http://127.0.0.1:{}", plain.port()), "");
    let url = format!("https://localhost:{}", encrypted.port());
    unlock_all(&url, &format!("--ca-file {AUTHORITY}"));
    for server in [plain, encrypted] {
        assert_eq!(server.versions(), [Version::HTTP_11; N_USERS]);
        // Rarely more than nine: a request that starts before a connection is back in the pool opens
        // another.
        assert!(server.n_connections() <= N_USERS / 4, "{}", server.n_connections());
    }
}

/// Keep-alives do not close a connection that answers PING. Without a new connection, every request of
/// the run would fail.
#[test]
fn a_connection_that_answers_no_requests_is_replaced_after_a_timeout() {
    let server = Server::with_broken_connection();
    let flags = format!("--ca-file {AUTHORITY} --timeout 500ms");
    unlock_all(&format!("https://localhost:{}", server.port()), &flags);
    assert_eq!(server.versions(), [Version::HTTP_2; N_USERS]);
    assert!((1..=N_IN_FLIGHT).contains(&server.n_unanswered()), "{}", server.n_unanswered());
}
