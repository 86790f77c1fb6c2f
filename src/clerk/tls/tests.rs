//! `testdata` holds the certificates of two authorities that exist nowhere else (their keys were
//! thrown away), and one of the first for `localhost`, with its key. They are valid until 2120.

use std::io::Write;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::clerk::test_server::{passes_with, read_request};
use crate::clerk::{Api, ApiAddress, Client, SecretKey};
use crate::model::{Fault, Reply};

use super::*;

const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/tls/testdata/ca.pem");
const ANOTHER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/tls/testdata/another-ca.pem");

fn config(url: &str, ca_file: Option<&Path>) -> ClientConfig {
    let key = SecretKey::parse("sk_test_0123456789abcdef").unwrap();
    let address = ApiAddress::parse(url, false).unwrap();
    ClientConfig { ca_file: ca_file.map(Path::to_owned), ..ClientConfig::new(address, key) }
}

/// Serves one connection as `localhost`, and says what protocol was agreed on.
fn serve(protocols: &[&[u8]]) -> (String, mpsc::Receiver<Option<Vec<u8>>>) {
    install_provider();
    let certificate = include_bytes!("testdata/leaf.der").as_slice().into();
    let key = PrivatePkcs8KeyDer::from(include_bytes!("testdata/leaf.key.der").as_slice());
    let mut config = ServerConfig::builder()
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
    let client = Client::new(config(url, ca_file)).unwrap();
    client.unlock(&"user_a".parse().unwrap()).await
}

#[tokio::test]
async fn a_private_authority_is_trusted_when_its_file_is_named() {
    let (url, agreed) = serve(&[b"http/1.1"]);
    let reply = unlock(&url, Some(Path::new(AUTHORITY))).await;
    assert!(matches!(&reply, Reply::Answer(it) if it.status == 200), "{reply:?}");
    assert_eq!(agreed.recv().unwrap().unwrap(), b"http/1.1");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_server_can() {
    let (url, agreed) = serve(&[b"h2", b"http/1.1"]);
    // The preface of HTTP/2 ends like the head of an HTTP/1 request, so the server hears it out.
    let reply = unlock(&url, Some(Path::new(AUTHORITY))).await;
    assert!(matches!(reply, Reply::Fault(_)), "{reply:?}");
    assert_eq!(agreed.recv().unwrap().unwrap(), b"h2");
}

#[tokio::test]
async fn an_authority_that_nobody_named_is_not_trusted() {
    let reply = unlock(&serve(&[]).0, Some(Path::new(ANOTHER))).await;
    let Reply::Fault(Fault::Connection(why)) = reply else { panic!("{reply:?}") };
    insta::assert_snapshot!(why, @"certificate not trusted: its issuer is unknown here");
}

#[tokio::test]
async fn a_name_that_the_certificate_does_not_hold_is_not_trusted() {
    let url = serve(&[]).0.replace("localhost", "127.0.0.1");
    let reply = unlock(&url, Some(Path::new(AUTHORITY))).await;
    let Reply::Fault(Fault::Connection(why)) = reply else { panic!("{reply:?}") };
    insta::assert_snapshot!(
        why,
        @r#"certificate not trusted: certificate not valid for name "127.0.0.1"; certificate is only valid for DnsName("localhost")"#
    );
}

#[tokio::test]
async fn a_handshake_that_hangs_ends_at_the_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}", silent.local_addr().unwrap().port());
    let connect_timeout = Duration::from_millis(100);
    let config = ClientConfig { connect_timeout, ..config(&url, Some(Path::new(AUTHORITY))) };
    let reply = Client::new(config).unwrap().unlock(&"user_a".parse().unwrap()).await;
    assert_eq!(reply, Reply::Fault(Fault::Timeout(connect_timeout)));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_authority_of_ssl_cert_file_is_trusted() {
    let name = "clerk::tls::tests::the_authority_of_ssl_cert_file_is_trusted";
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|it| it != AUTHORITY) {
        return passes_with(name, &[("SSL_CERT_FILE", AUTHORITY)]);
    }
    let reply = unlock(&serve(&[]).0, None).await;
    assert!(matches!(&reply, Reply::Answer(it) if it.status == 200), "{reply:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_system_without_certificates_is_told_what_to_do() {
    let name = "clerk::tls::tests::a_system_without_certificates_is_told_what_to_do";
    if std::env::var_os("SSL_CERT_FILE").is_none_or(|it| it != "/nonexistent") {
        return passes_with(name, &[("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "")]);
    }
    let why = Client::new(config("https://localhost", None)).unwrap_err();
    insta::assert_snapshot!(
        why,
        @"nobody could be trusted (No CA certificates were loaded from the system); install the system's certificates (ca-certificates), or name a file of them with --ca-file or SSL_CERT_FILE"
    );
    assert!(Client::new(config("https://localhost", Some(Path::new(AUTHORITY)))).is_ok());
}

#[track_caller]
fn refused(pem: &str, expected: &str) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    for url in ["http://localhost", "https://localhost"] {
        let why = Client::new(config(url, Some(file.path()))).unwrap_err().to_string();
        assert!(why.contains(file.path().to_str().unwrap()), "{why}");
        assert!(why.contains(expected), "{why}");
    }
}

#[test]
fn a_file_without_usable_certificates_is_refused_by_name() {
    let block =
        |text: &str| format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n");
    refused("", "there is none in it");
    refused("hello", "there is none in it");
    refused(&block("AAAA"), "no usable certificates (");
    refused(&block("!"), "no usable certificates (");
    let why = Client::new(config("http://localhost", Some(Path::new("/nonexistent/ca.pem"))));
    assert!(matches!(&why, Err(ClientError::CaFile { .. })), "{why:?}");
}
