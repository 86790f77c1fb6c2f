//! A server that costs as little as a server can: hyper on one thread, in a process of its own, so
//! that what is measured beside it is the client alone.
//!
//! `POST /v1/users/ID/unlock` answers with that user, `GET /v1/users?user_id=…` with those users. No
//! quota, no state, no check of the key.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What the benchmark calls itself with to be this server.
pub(crate) const WORD: &str = "--server";

/// The certificate of the authority that signed the server's own, for tests.
pub(crate) const AUTHORITY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/tls/testdata/ca.pem");

/// What the server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.1 without TLS.
    Plain,
    /// HTTP/1.1 over TLS.
    Http1,
    /// HTTP/2 over TLS.
    Http2,
}

impl Protocol {
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Http1, Self::Http2];

    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Http1 => "http1",
            Self::Http2 => "http2",
        }
    }

    pub(crate) fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.word() == word)
    }
}

/// The server, in a process that ends with this value.
pub(crate) struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`, or `https://localhost:PORT`.
    pub(crate) url: String,
}

impl Server {
    /// Starts a server whose user objects have about this many bytes and which waits this long
    /// before each response.
    pub(crate) fn start(body_size: usize, latency: Duration, protocol: Protocol) -> Self {
        let me = std::env::current_exe().expect("a path");
        let (body_size, latency) = (body_size.to_string(), latency.as_micros().to_string());
        let mut process = Command::new(me)
            .args([WORD, &body_size, &latency, protocol.word()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut url = String::new();
        let stdout = process.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut url).expect("the server prints its URL");
        Self { process, url: url.trim().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The server ends when its stdin does.
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// Serves until stdin ends, however the parent ended.
pub(crate) fn serve(body_size: usize, latency: Duration, protocol: Protocol) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        #[allow(clippy::exit, reason = "nothing is left to do or to clean up")]
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(accept(UserTemplate::new(body_size), latency, protocol));
}

async fn accept(template: UserTemplate, latency: Duration, protocol: Protocol) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    match protocol {
        Protocol::Plain => println!("http://127.0.0.1:{port}"),
        Protocol::Http1 | Protocol::Http2 => println!("https://localhost:{port}"),
    }
    let _ = std::io::stdout().flush();
    let template: &'static UserTemplate = Box::leak(Box::new(template));
    let acceptor = acceptor(protocol);
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            match acceptor {
                None => serve_connection(stream, template, latency, protocol).await,
                Some(acceptor) => {
                    let stream = acceptor.accept(stream).await.expect("a handshake");
                    serve_connection(stream, template, latency, protocol).await;
                }
            }
        });
    }
}

async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    template: &'static UserTemplate,
    latency: Duration,
    protocol: Protocol,
) {
    let service = service_fn(move |request| answer(request, template, latency));
    let stream = TokioIo::new(stream);
    // An error is the client's: it leaves.
    let _ = match protocol {
        Protocol::Plain | Protocol::Http1 => {
            http1::Builder::new().serve_connection(stream, service).await
        }
        Protocol::Http2 => {
            http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
        }
    };
}

/// `None` without TLS.
fn acceptor(protocol: Protocol) -> Option<TlsAcceptor> {
    let protocol: &[u8] = match protocol {
        Protocol::Plain => return None,
        Protocol::Http1 => b"http/1.1",
        Protocol::Http2 => b"h2",
    };
    let certificate = include_bytes!("../../src/clerk/tls/testdata/leaf.der").as_slice();
    let key = include_bytes!("../../src/clerk/tls/testdata/leaf.key.der").as_slice();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .expect("a certificate and its key");
    config.alpn_protocols = vec![protocol.to_vec()];
    Some(TlsAcceptor::from(Arc::new(config)))
}

async fn answer(
    request: Request<Incoming>,
    template: &UserTemplate,
    latency: Duration,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    let uri = request.uri();
    let mut body = Vec::new();
    match uri.query() {
        None => template.write(uri.path().split('/').nth(3).unwrap_or_default(), &mut body),
        Some(query) => {
            body.push(b'[');
            for id in query.split('&').filter_map(|pair| pair.strip_prefix("user_id=")) {
                if body.len() > 1 {
                    body.push(b',');
                }
                template.write(id, &mut body);
            }
            body.push(b']');
        }
    }
    Ok(Response::builder()
        .header("content-type", "application/json")
        .body(Full::from(body))
        .expect("a response"))
}

/// A user object around its ID.
struct UserTemplate {
    before: Vec<u8>,
    after: Vec<u8>,
}

impl UserTemplate {
    fn new(body_size: usize) -> Self {
        let mut after = concat!(
            r#"","object":"user","external_id":"ext-1","primary_email_address_id":"idn_1","#,
            r#""primary_phone_number_id":null,"username":"ada","first_name":"Ada","#,
            r#""last_name":"Lovelace","locked":false,"banned":false,"#,
            r#""lockout_expires_in_seconds":null,"verification_attempts_remaining":100,"#,
            r#""created_at":1700000000000,"updated_at":1750000000000,"#,
            r#""last_sign_in_at":1740000000000,"email_addresses":[{"id":"idn_1","#,
            r#""object":"email_address","email_address":"ada@example.org","reserved":false,"#,
            r#""verification":{"status":"verified","strategy":"ticket","attempts":null},"#,
            r#""linked_to":[]}],"phone_numbers":[],"web3_wallets":[],"passkeys":[],"#,
            r#""public_metadata":{},"unsafe_metadata":{},"private_metadata":{"#
        )
        .to_owned();
        let mut n = 0;
        while after.len() + 45 < body_size {
            let comma = if n == 0 { "" } else { "," };
            let _ = write!(after, r#"{comma}"property_{n:03}":"value {n}""#);
            n += 1;
        }
        after += "}}";
        Self { before: br#"{"id":""#.to_vec(), after: after.into_bytes() }
    }

    fn write(&self, id: &str, body: &mut Vec<u8>) {
        body.reserve(self.before.len() + id.len() + self.after.len());
        body.extend_from_slice(&self.before);
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(&self.after);
    }
}
