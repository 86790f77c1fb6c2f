//! A door between the program and its server, which can be shut: whoever knocks then is counted.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Passes connections on to a server, until it is shut.
pub struct Door {
    addr: SocketAddr,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    is_shut: bool,
    n_turned_away: usize,
    inside: Vec<TcpStream>,
}

impl Door {
    /// An open door before this server.
    pub fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address");
        let state = Arc::<Mutex<State>>::default();
        let door = Self { addr, state: Arc::clone(&state) };
        thread::spawn(move || {
            for guest in listener.incoming() {
                // No more guests: the story is over.
                let Ok(guest) = guest else { return };
                let _ = lock(&state).receive(guest, server);
            }
        });
        door
    }

    /// The address for `CLERK_API_URL`.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Cuts all connections; those who come from now on are turned away.
    pub fn shut(&self) {
        let mut state = lock(&self.state);
        state.is_shut = true;
        for guest in state.inside.drain(..) {
            // Who has left already is cut off enough.
            let _ = guest.shutdown(Shutdown::Both);
        }
    }

    /// Lets everybody in again.
    pub fn open(&self) {
        lock(&self.state).is_shut = false;
    }

    /// How many came while it was shut.
    pub fn n_turned_away(&self) -> usize {
        lock(&self.state).n_turned_away
    }
}

impl State {
    fn receive(&mut self, guest: TcpStream, server: SocketAddr) -> io::Result<()> {
        if self.is_shut {
            self.n_turned_away += 1;
            return Ok(());
        }
        let host = TcpStream::connect(server)?;
        self.inside.push(guest.try_clone()?);
        pass_on(guest.try_clone()?, host.try_clone()?);
        pass_on(host, guest);
        Ok(())
    }
}

/// Carries bytes from one to the other until either has enough.
fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    let _ = to.set_nodelay(true);
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Both);
    });
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().expect("nobody panics behind the door")
}
