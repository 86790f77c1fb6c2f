//! A TCP proxy in front of a server that can refuse connections.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Forwards connections to a server while it is open.
pub struct TcpProxy {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_closed: bool,
    n_refused: usize,
    clients: Vec<TcpStream>,
}

impl TcpProxy {
    /// Starts an open proxy for a server.
    pub fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::<Mutex<State>>::default();
        let proxy = Self { addr, state: Arc::clone(&state) };
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let _ = lock(&state).accept(client, server);
            }
        });
        proxy
    }

    /// The address for `CLERK_API_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Closes all connections, and refuses new ones until [`open`](Self::open) is called.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.is_closed = true;
        for client in state.clients.drain(..) {
            // Fails if the client has closed it already.
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// Accepts connections again.
    pub fn open(&self) {
        lock(&self.state).is_closed = false;
    }

    /// Number of connections that were refused.
    pub fn n_refused(&self) -> usize {
        lock(&self.state).n_refused
    }
}

impl State {
    fn accept(&mut self, client: TcpStream, server: SocketAddr) -> io::Result<()> {
        if self.is_closed {
            self.n_refused += 1;
            return Ok(());
        }
        let server = TcpStream::connect(server)?;
        self.clients.push(client.try_clone()?);
        forward(client.try_clone()?, server.try_clone()?);
        forward(server, client);
        Ok(())
    }
}

/// Copies bytes until one side closes its connection.
fn forward(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("not poisoned")
}
