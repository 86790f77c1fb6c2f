//! The trusted certificate authorities: `--ca-file` and `SSL_CERT_FILE`.

use crate::common::watch::FAST;
use crate::common::{Ended, Stage, list, users};
use crate::server::{AUTHORITY, Server};

/// An authority that signed no certificate.
const STRANGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/testdata/another-ca.pem");

/// Unlocks two users over TLS at this host, with `system` as the certificates of the system.
fn run(host: &str, system: &str, flags: &str) -> (Stage, Ended, Server) {
    let server = Server::encrypted(&["h2", "http/1.1"]);
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.set("SSL_CERT_FILE", system);
    stage.write("ids.txt", list(&users(2)));
    let url = format!("https://{host}:{}", server.port());
    let ended = stage.run(&format!("run ids.txt --yes --api-url {url} {FAST} {flags}"));
    (stage, ended, server)
}

#[track_caller]
fn trusted(system: &str, flags: &str) {
    let (stage, ended, server) = run("localhost", system, flags);
    ended.exits_with(0);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    assert_eq!(server.versions().len(), 2);
}

/// The run stops at once for this reason, and no request reaches the server.
#[track_caller]
fn distrusted(host: &str, system: &str, flags: &str, reason: &str) {
    let (stage, ended, server) = run(host, system, &format!("{flags} -q -c 1"));
    ended.exits_with(2).prints("error: the API cannot be reached").prints(reason);
    assert_eq!(stage.files(), ["ids.txt"]);
    assert_eq!((server.versions(), server.n_connections()), (vec![], 0));
}

#[test]
fn the_authority_in_ca_file_is_trusted() {
    trusted(STRANGER, &format!("--ca-file {AUTHORITY}"));
    trusted(AUTHORITY, &format!("--ca-file {STRANGER}"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_authority_in_ssl_cert_file_is_trusted() {
    trusted(AUTHORITY, "");
}

#[test]
fn an_unknown_authority_stops_the_run_at_once() {
    let reason = "certificate not trusted: its issuer is unknown";
    distrusted("localhost", STRANGER, "", reason);
    distrusted("localhost", STRANGER, &format!("--ca-file {STRANGER}"), reason);
}

#[test]
fn a_certificate_for_another_name_stops_the_run_at_once() {
    let reason = "certificate not trusted: certificate not valid for name \"127.0.0.1\"";
    distrusted("127.0.0.1", STRANGER, &format!("--ca-file {AUTHORITY}"), reason);
}

#[test]
fn a_ca_file_without_certificates_is_refused_before_anything_is_sent() {
    let (stage, ended, server) = run("localhost", STRANGER, "--ca-file ids.txt");
    ended.exits_with(2).prints("ids.txt").prints("certificates");
    let (_, ended, _) = run("localhost", STRANGER, "--ca-file nowhere.pem");
    ended.exits_with(2).prints("nowhere.pem");
    assert_eq!((stage.files(), server.n_connections()), (vec!["ids.txt".to_owned()], 0));
}

/// The server answers every request with a user, so the count fails. Only TLS matters here.
#[test]
fn check_shows_the_version_of_tls_or_the_fault() {
    let server = Server::encrypted(&["h2", "http/1.1"]);
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.set("SSL_CERT_FILE", STRANGER);
    let check = |flags: &str| {
        let url = format!("https://localhost:{}", server.port());
        stage.run(&format!("check --api-url {url} {flags}")).exits_with(2)
    };
    check("").prints("certificate not trusted: its issuer is unknown");
    assert_eq!(server.n_connections(), 0);
    check(&format!("--ca-file {AUTHORITY}")).prints("did not answer as expected");
    assert_eq!(server.versions().len(), 1, "the handshake sends no request");
}
