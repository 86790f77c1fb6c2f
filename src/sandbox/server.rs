//! The server on its own thread: start, accept, stop.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::extract::{Request, State};
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::model::UserId;

use super::handler::Handler;
use super::{LoggedRequest, Mode, Population, SandboxConfig, Stats};

/// A running sandbox. Dropping it stops the server and closes all connections.
pub struct Sandbox {
    addr: SocketAddr,
    key: String,
    handler: Arc<Handler>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox on 127.0.0.1, on a thread of its own; port 0 picks a free one. It accepts
    /// connections when this returns.
    ///
    /// # Errors
    ///
    /// If the port cannot be bound, the thread cannot be started, or the number of users exceeds
    /// [`Population::MAX_LISTED`].
    pub fn start(config: SandboxConfig, port: u16) -> io::Result<Self> {
        if config.n_users > Population::MAX_LISTED {
            let max = Population::MAX_LISTED;
            let message = format!("a sandbox lists at most {max} users");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let key = config.key.clone();
        let handler = Arc::new(Handler::new(config));
        let (stop, stopped) = oneshot::channel();
        let (started, addr) = mpsc::channel();
        let served = Arc::clone(&handler);
        let thread = thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            let served = runtime.and_then(|it| it.block_on(serve(served, port, &started, stopped)));
            if let Err(error) = served {
                // Fails after the start, when the receiver is gone.
                let _ = started.send(Err(error));
            }
        })?;
        let addr = addr.recv().map_err(io::Error::other)??;
        Ok(Self { addr, key, handler, stop: Some(stop), thread: Some(thread) })
    }

    /// Address that it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Value for `CLERK_API_URL`, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Secret key that it accepts.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Counts of requests and responses so far.
    pub fn stats(&self) -> Stats {
        self.handler.stats()
    }

    /// The first million requests in the order of arrival; empty unless
    /// [`SandboxConfig::log_requests`] is set.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.handler.state().log.requests.clone().unwrap_or_default()
    }

    /// Changes how it treats all requests from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.handler.state().mode = mode;
    }

    /// Whether the user exists and is locked now.
    pub fn is_locked(&self, id: &UserId) -> bool {
        self.handler.is_locked(id)
    }

    /// The users as they were at the start.
    pub fn population(&self) -> &Population {
        &self.handler.directory.population
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Both fail only if the thread has already ended.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(
    handler: Arc<Handler>,
    port: u16,
    started: &mpsc::Sender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    // On Windows this option would let two programs share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    // Hundreds of clients may connect at the same time.
    let tcp = socket.listen(4096)?;
    let _ = started.send(tcp.local_addr());
    let answer = async |State(handler): State<Arc<Handler>>, request: Request| {
        handler.handle(&request.into_parts().0).await
    };
    let router = Router::new().fallback(answer).with_state(Arc::clone(&handler));
    tokio::select! {
        ended = axum::serve(ModalListener { tcp, handler }, router).into_future() => ended,
        _ = stopped => Ok(()),
    }
}

/// Closes new connections in [`Mode::Refuse`].
struct ModalListener {
    tcp: TcpListener,
    handler: Arc<Handler>,
}

impl Listener for ModalListener {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.tcp).await;
            if self.handler.state().mode != Mode::Refuse {
                // Only makes responses faster.
                let _ = stream.set_nodelay(true);
                return (stream, addr);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}
