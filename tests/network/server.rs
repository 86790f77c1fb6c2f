//! A server that unlocks whoever it is asked to, and remembers how it was spoken to.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::{StatusCode, Version};
use axum::serve::{Listener, ListenerExt};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The authority that signed the server's certificate, as `localhost`.
pub(crate) const AUTHORITY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/tls/testdata/ca.pem");

/// A server on loopback, there until the tests are over.
pub(crate) struct Server {
    addr: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    n_connections: AtomicUsize,
    versions: Mutex<Vec<Version>>,
}

impl Server {
    /// Without encryption, so in HTTP/1.1.
    pub(crate) fn plain() -> Self {
        Self::start(|tcp| tcp)
    }

    /// Over TLS, offering these protocols.
    pub(crate) fn encrypted(protocols: &[&str]) -> Self {
        let acceptor = acceptor(protocols);
        Self::start(|tcp| Door { tcp, acceptor })
    }

    fn start<L: Listener<Addr = SocketAddr>>(
        door: impl FnOnce(TcpListener) -> L + Send + 'static,
    ) -> Self {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        tcp.set_nonblocking(true).expect("a socket");
        let addr = tcp.local_addr().expect("an address");
        let seen = Arc::new(Seen::default());
        let serve = serve(tcp, door, Arc::clone(&seen));
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve).expect("it serves");
        });
        Self { addr, seen }
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// How many connections were made.
    pub(crate) fn n_connections(&self) -> usize {
        self.seen.n_connections.load(Ordering::Relaxed)
    }

    /// The version of each request.
    pub(crate) fn versions(&self) -> Vec<Version> {
        self.seen.versions.lock().expect("nobody panicked").clone()
    }
}

async fn serve<L: Listener<Addr = SocketAddr>>(
    tcp: std::net::TcpListener,
    door: impl FnOnce(TcpListener) -> L,
    seen: Arc<Seen>,
) -> io::Result<()> {
    let counted = Arc::clone(&seen);
    let door = door(TcpListener::from_std(tcp)?).tap_io(move |_| {
        counted.n_connections.fetch_add(1, Ordering::Relaxed);
    });
    let answer = move |request: Request| {
        seen.versions.lock().expect("nobody panicked").push(request.version());
        let answer = answer_to(request.uri().path());
        async { answer }
    };
    axum::serve(door, Router::new().fallback(answer)).into_future().await
}

fn answer_to(path: &str) -> (StatusCode, String) {
    let id = path.strip_prefix("/v1/users/").and_then(|rest| rest.strip_suffix("/unlock"));
    match id {
        Some(id) => (StatusCode::OK, user(id)),
        None => (StatusCode::NOT_FOUND, String::new()),
    }
}

/// A user who is not locked.
pub(crate) fn user(id: &str) -> String {
    format!(r#"{{"id":"{id}","object":"user","locked":false}}"#)
}

/// Takes in whoever shakes hands.
struct Door {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Door {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.tcp).await;
            // Who does not trust the certificate goes away.
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, addr);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

fn acceptor(protocols: &[&str]) -> TlsAcceptor {
    let certificate = include_bytes!("../../src/clerk/tls/testdata/leaf.der").as_slice();
    let key = include_bytes!("../../src/clerk/tls/testdata/leaf.key.der").as_slice();
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.into()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key)),
        )
        .expect("a certificate and its key");
    config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
