//! The sandbox on its own thread: starting, serving, stopping.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::serve::Listener;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::model::UserId;

use super::core::{self, Core};
use super::ledger::{LoggedRequest, Stats};
use super::world::mix::mix;
use super::world::{MAX_LISTED, World};
use super::{Mode, SandboxConfig, wire};

/// A local server that behaves like Clerk's Backend API.
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox on 127.0.0.1, on a thread of its own; port 0 picks a free one. When this
    /// returns, connections are taken.
    ///
    /// # Errors
    ///
    /// When the port is taken or may not be bound, when no thread can be started, and when the
    /// instance should list more than ten million users.
    pub fn start(config: SandboxConfig, port: u16) -> io::Result<RunningSandbox> {
        if config.n_users > MAX_LISTED {
            let why = format!("the sandbox lists at most {MAX_LISTED} users");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let key = config.key.clone();
        let core = Arc::new(Core::new(config));
        let (stop, stopped) = oneshot::channel();
        let (tell, bound) = mpsc::channel();
        let served = Arc::clone(&core);
        let thread = thread::Builder::new()
            .name("sandbox".to_owned())
            .spawn(move || run(&served, port, &tell, stopped))?;
        let addr = bound.recv().map_err(io::Error::other)??;
        Ok(RunningSandbox { addr, key, core, stop: Some(stop), thread: Some(thread) })
    }
}

/// A sandbox at work. Stops when dropped: connections are closed, requests in flight cut off.
pub struct RunningSandbox {
    addr: SocketAddr,
    key: String,
    core: Arc<Core>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RunningSandbox {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The address for `CLERK_API_URL`, without `/v1`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The secret key that it takes.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What it was asked and answered so far.
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }

    /// The first million requests, in the order of arrival; empty unless
    /// [`SandboxConfig::log_requests`].
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.core.log()
    }

    /// Changes how it treats everybody from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.core.set_mode(mode);
    }

    /// Whether the user is locked now; a user who does not exist is not.
    pub fn is_locked(&self, id: &UserId) -> bool {
        self.core.office().is_locked(id, &self.core.state())
    }

    /// Who exists, and how things stood at the start.
    pub fn world(&self) -> &World {
        self.core.office().world()
    }
}

impl Drop for RunningSandbox {
    fn drop(&mut self) {
        // An error of either means that the thread has ended already.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn run(
    core: &Arc<Core>,
    port: u16,
    tell: &mpsc::Sender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let serve = async |core: &Arc<Core>| {
        let tcp = listen(port)?;
        // The caller waits for it.
        let _ = tell.send(tcp.local_addr());
        let router = Router::new().fallback(answer).with_state(Arc::clone(core));
        let door = Door { tcp, core: Arc::clone(core) };
        tokio::select! {
            ended = axum::serve(door, router).into_future() => ended,
            _ = stopped => Ok(()),
        }
    };
    let runtime = Builder::new_current_thread().enable_all().build();
    if let Err(error) = runtime.and_then(|runtime| runtime.block_on(serve(core))) {
        // Nobody hears it any more if it comes after the start.
        let _ = tell.send(Err(error));
    }
}

fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // On Windows the option would let two programs share a port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
    // Hundreds of clients may knock at the same time.
    socket.listen(4096)
}

/// The door to the network; shut in [`Mode::Refuse`].
struct Door {
    tcp: TcpListener,
    core: Arc<Core>,
}

impl Listener for Door {
    type Io = TcpStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            let (stream, addr) = Listener::accept(&mut self.tcp).await;
            if self.core.mode() == Mode::Refuse {
                continue;
            }
            // Without it answers are slower, not wrong.
            let _ = stream.set_nodelay(true);
            return (stream, addr);
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// Receive, wait, act, answer.
async fn answer(State(core): State<Arc<Core>>, request: Request) -> Response {
    let (serial, admitted) = core.receive(&core::Request {
        method: request.method().as_str(),
        path: request.uri().path(),
        query: request.uri().query().unwrap_or_default(),
        authorization: request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok()),
    });
    let answer = match admitted {
        Err(answer) => answer,
        Ok(admitted) => {
            if !admitted.latency.is_zero() {
                tokio::time::sleep(admitted.latency).await;
            }
            core.act(&admitted, serial)
        }
    };
    core.answered(serial, &answer);
    let mut response = wire::respond(answer).await;
    if let Ok(ray) = HeaderValue::from_str(&format!("{:016x}-LHR", mix(serial))) {
        response.headers_mut().insert("cf-ray", ray);
    }
    response
}
