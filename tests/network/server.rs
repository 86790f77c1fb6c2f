//! A server that unlocks every user and logs its connections and requests.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, Version};
use axum::serve::{Listener, ListenerExt};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The authority of the certificate for `localhost`.
pub(crate) const AUTHORITY: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/clerk/testdata/ca.pem");

/// A server on loopback that runs until the tests end.
pub(crate) struct Server {
    addr: SocketAddr,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    n_connections: AtomicUsize,
    versions: Mutex<Vec<Version>>,
    n_unanswered: AtomicUsize,
    /// The connection of the first request.
    first_peer: OnceLock<SocketAddr>,
}

/// Which requests a server answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Good,
    /// Those that are not on the connection of the first request, which answers only PING.
    FirstConnectionSick,
}

impl Server {
    /// HTTP/1.1 without TLS.
    pub(crate) fn plain() -> Self {
        Self::start(|tcp| tcp, Health::Good)
    }

    /// TLS with these protocols.
    pub(crate) fn encrypted(protocols: &[&str]) -> Self {
        let acceptor = acceptor(protocols);
        Self::start(|tcp| TlsListener { tcp, acceptor }, Health::Good)
    }

    /// HTTP/2 over TLS. The first connection answers PING, but no requests.
    pub(crate) fn with_broken_connection() -> Self {
        let acceptor = acceptor(&["h2"]);
        Self::start(|tcp| TlsListener { tcp, acceptor }, Health::FirstConnectionSick)
    }

    fn start<L: Listener<Addr = SocketAddr>>(
        listener: impl FnOnce(TcpListener) -> L + Send + 'static,
        health: Health,
    ) -> Self {
        let tcp = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        tcp.set_nonblocking(true).expect("a socket");
        let addr = tcp.local_addr().expect("an address");
        let log = Arc::new(Log::default());
        let serve = serve(tcp, listener, health, Arc::clone(&log));
        std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(serve).expect("it serves");
        });
        Self { addr, log }
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    /// The number of connections.
    pub(crate) fn n_connections(&self) -> usize {
        self.log.n_connections.load(Ordering::Relaxed)
    }

    /// The HTTP version of each answered request.
    pub(crate) fn versions(&self) -> Vec<Version> {
        self.log.versions.lock().expect("not poisoned").clone()
    }

    /// The number of requests without an answer.
    pub(crate) fn n_unanswered(&self) -> usize {
        self.log.n_unanswered.load(Ordering::Relaxed)
    }
}

async fn serve<L: Listener<Addr = SocketAddr>>(
    tcp: std::net::TcpListener,
    listener: impl FnOnce(TcpListener) -> L,
    health: Health,
    log: Arc<Log>,
) -> io::Result<()> {
    let counted = Arc::clone(&log);
    let listener = listener(TcpListener::from_std(tcp)?).tap_io(move |_| {
        counted.n_connections.fetch_add(1, Ordering::Relaxed);
    });
    let answer = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        let is_first = *log.first_peer.get_or_init(|| peer) == peer;
        if health == Health::FirstConnectionSick && is_first {
            log.n_unanswered.fetch_add(1, Ordering::Relaxed);
            std::future::pending::<()>().await;
        }
        log.versions.lock().expect("not poisoned").push(request.version());
        answer_to(request.uri().path())
    };
    let service = Router::new().fallback(answer);
    axum::serve(listener, service.into_make_service_with_connect_info::<SocketAddr>())
        .into_future()
        .await
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

/// Accepts connections whose TLS handshake succeeds.
struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.tcp).await;
            // A client that does not trust the certificate closes the connection.
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
    let certificate = include_bytes!("../../src/clerk/testdata/leaf.der").as_slice();
    let key = include_bytes!("../../src/clerk/testdata/leaf.key.der").as_slice();
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
