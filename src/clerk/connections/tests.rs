//! `testdata` contains the certificates of two test authorities, whose keys were deleted, and a
//! certificate for `localhost` from the first, with its key. They are valid until 2120.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::clerk::reply::Reply;
use crate::clerk::test_server::{passes_with, read_request};
use crate::clerk::{ApiAddress, Client, ClientBuilder, Fault, SecretKey};

use super::*;

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/testdata/ca.pem");
const ANOTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/testdata/another-ca.pem");

fn builder(url: &str, ca_file: Option<&Path>) -> ClientBuilder {
    let key = SecretKey::parse("sk_test_0123456789abcdef").unwrap();
    let builder = Client::builder(key).address(ApiAddress::parse(url, false).unwrap());
    match ca_file {
        Some(path) => builder.ca_file(path),
        None => builder,
    }
}

/// Serves one connection as `localhost`, and returns the negotiated protocol.
fn serve(protocols: &[&[u8]]) -> (String, mpsc::Receiver<Option<Vec<u8>>>) {
    let certificate = include_bytes!("../testdata/leaf.der").as_slice().into();
    let key = PrivatePkcs8KeyDer::from(include_bytes!("../testdata/leaf.key.der").as_slice());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], PrivateKeyDer::Pkcs8(key))
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    let (sender, agreed) = mpsc::channel();
    std::thread::spawn(move || {
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, listener.accept().unwrap().0);
        if read_request(&mut stream).is_ok() {
            sender.send(stream.conn.alpn_protocol().map(<[u8]>::to_vec)).unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        }
    });
    (url, agreed)
}

async fn unlock(url: &str, ca_file: Option<&Path>) -> Reply {
    let client = builder(url, ca_file).build().unwrap();
    client.try_unlock(&"user_a".parse().unwrap()).await
}

#[tokio::test]
async fn the_authority_in_the_ca_file_is_trusted() {
    let (url, agreed) = serve(&[b"http/1.1"]);
    let reply = unlock(&url, Some(Path::new(AUTHORITY))).await;
    assert!(matches!(&reply, Reply::Answer(it) if it.status == 200), "{reply:?}");
    assert_eq!(agreed.recv().unwrap().unwrap(), b"http/1.1");
}

#[tokio::test]
async fn http_2_is_used_if_the_server_supports_it() {
    let (url, agreed) = serve(&[b"h2", b"http/1.1"]);
    // The preface of HTTP/2 ends like the head of an HTTP/1 request, so the server answers it.
    let reply = unlock(&url, Some(Path::new(AUTHORITY))).await;
    assert!(matches!(reply, Reply::Fault(_)), "{reply:?}");
    assert_eq!(agreed.recv().unwrap().unwrap(), b"h2");
}

#[test]
fn no_provider_is_installed_for_the_process() {
    builder("https://localhost", Some(Path::new(AUTHORITY))).build().unwrap();
    assert!(rustls::crypto::CryptoProvider::get_default().is_none());
}

#[tokio::test]
async fn an_unknown_authority_is_not_trusted() {
    let reply = unlock(&serve(&[]).0, Some(Path::new(ANOTHER))).await;
    let Reply::Fault(Fault::UntrustedCertificate(why)) = reply else { panic!("{reply:?}") };
    insta::assert_snapshot!(why, @"its issuer is unknown");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_not_trusted() {
    let url = serve(&[]).0.replace("localhost", "127.0.0.1");
    let reply = unlock(&url, Some(Path::new(AUTHORITY))).await;
    let Reply::Fault(Fault::UntrustedCertificate(why)) = reply else { panic!("{reply:?}") };
    insta::assert_snapshot!(
        why,
        @r#"certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")"#
    );
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_at_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let connect_timeout = Duration::from_millis(100);
    let builder = builder(&url, Some(Path::new(AUTHORITY))).connect_timeout(connect_timeout);
    let reply = builder.build().unwrap().try_unlock(&"user_a".parse().unwrap()).await;
    assert_eq!(reply, Reply::Fault(Fault::Timeout(connect_timeout)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_authority_of_ssl_cert_file_is_trusted() {
    let name = "clerk::connections::tests::the_authority_of_ssl_cert_file_is_trusted";
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|it| it != AUTHORITY) {
        return passes_with(name, &[("SSL_CERT_FILE", AUTHORITY)]);
    }
    let reply = unlock(&serve(&[]).0, None).await;
    assert!(matches!(&reply, Reply::Answer(it) if it.status == 200), "{reply:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_system_without_certificates_is_an_error() {
    let name = "clerk::connections::tests::a_system_without_certificates_is_an_error";
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|it| it != "/nonexistent") {
        return passes_with(name, &[("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "")]);
    }
    let why = builder("https://localhost", None).build().unwrap_err();
    insta::assert_snapshot!(
        why,
        @"no certificate authority to trust (No CA certificates were loaded from the system); install the system's certificates (ca-certificates), or name a file of them with --ca-file or SSL_CERT_FILE"
    );
    assert!(builder("https://localhost", Some(Path::new(AUTHORITY))).build().is_ok());
}

#[track_caller]
fn refused(pem: &str, expected: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    for url in ["http://localhost", "https://localhost"] {
        let why = builder(url, Some(file.path())).build().unwrap_err().to_string();
        assert!(why.contains(file.path().to_str().unwrap()), "{why}");
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_file_without_usable_certificates_is_refused_by_name() {
    let block =
        |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    refused("", "it contains none");
    refused("hello", "it contains none");
    refused(&block("AAAA"), "does not hold usable certificates (");
    refused(&block("!"), "does not hold usable certificates (");
    let built = builder("http://localhost", Some(Path::new("/nonexistent/ca.pem"))).build();
    assert!(matches!(&built, Err(BuildError::CaFile { .. })), "{built:?}");
}

#[test]
fn many_timeouts_on_the_same_connections_replace_them_once() {
    let settings = ConnectionSettings {
        headers: HeaderMap::new(),
        tls: tls_config(None, false).unwrap(),
        proxy: None,
        connect_timeout: Duration::from_secs(1),
        max_idle_connections: 1,
    };
    let connections = Connections::new(settings).unwrap();
    let first = connections.current();
    (0..3).for_each(|_| connections.replace(&first));
    let second = connections.current();
    assert_eq!((first.number, second.number), (0, 1));
    connections.replace(&second);
    connections.replace(&first);
    assert_eq!(connections.current().number, 2);
}
