//! A local server that behaves like Clerk's Backend API, for rehearsals and tests.
//!
//! It listens on 127.0.0.1 only, on its own thread, and accepts HTTP/1.1 and HTTP/2 with prior
//! knowledge. Each request passes these checks; the first that applies answers it:
//!
//! [`Mode`], secret key (401), quota (429), path and parameters (404, 405, 422), then after the
//! [`Latency`]: [`Script`], [`Faults`], and the response that Clerk would send.
//!
//! | request | response |
//! | --- | --- |
//! | `POST /v1/users/{id}/unlock` | the user, unlocked and with all attempts left |
//! | `POST /v1/users/{id}/lock` | the user, locked forever; the attempts left are unchanged |
//! | `GET /v1/users/{id}` | the user |
//! | `GET /v1/users` | a page of users, newest first |
//! | `GET /v1/users/count` | the number of users; takes the same filters |
//!
//! # Filters
//!
//! - `user_id`, `email_address`, `phone_number`, `username`, `external_id`, `organization_id`: up
//!   to 100 values each, by repeating the parameter. IDs may have a sign: `-` excludes.
//! - `created_at` and `last_sign_in_at`, each with `_before` and `_after`: Unix milliseconds,
//!   exclusive. A user without the date does not match.
//! - `banned`, `limit`, `starting_after`, and `order_by` (`created_at` only).
//!
//! Unlike Clerk, the sandbox answers 422 to all other parameters. Lists contain the listed users;
//! identifiers find any user of the [`Population`].
//!
//! # Quota
//!
//! A strict sliding window: no window of that length, wherever it starts, admits more requests than
//! the quota. Every request with the right key counts, except those refused with 429, which do not
//! prolong the wait either. `Retry-After` is the time until the quota has room, in whole seconds.
//! The calls of a [live application](SandboxConfig::live_app) count in the same way.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use axum::Router;
use axum::extract::Request;
use axum::serve::ListenerExt as _;
use tokio::net::TcpSocket;
use tokio::sync::oneshot;

use crate::clerk::UserId;

mod config;
mod faults;
mod handler;
mod population;
mod query;
mod quota;
mod response;

pub use config::{InvalidSetting, Latency, Mode, SandboxConfig, Script, Scripted};
pub use faults::{FaultKind, Faults};
pub use handler::{LoggedRequest, Stats};
pub use population::{FakeUser, Lock, Population};
pub use quota::{Rate, max_in_any};

use handler::{Handler, handle, lock};

/// A running sandbox. Dropping it stops the server and closes all connections.
pub struct Sandbox {
    addr: SocketAddr,
    key: String,
    handler: Arc<Mutex<Handler>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Sandbox {
    /// Starts a sandbox on 127.0.0.1, on its own thread; port 0 picks a free one. It accepts
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
        let socket = TcpSocket::new_v4()?;
        // On Windows this option would let two programs share a port.
        #[cfg(unix)]
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _context = runtime.enter();
            // Hundreds of clients may connect at the same time.
            socket.listen(4096)?
        };
        let addr = listener.local_addr()?;
        let key = config.key.clone();
        let handler = Arc::new(Mutex::new(Handler::new(config)));
        let shared = Arc::clone(&handler);
        let router = Router::new()
            .fallback(async move |request: Request| handle(&shared, &request.into_parts().0).await);
        // This only makes responses faster.
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("sandbox".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = axum::serve(listener, router) => {}
                    _ = stopped => {}
                }
            });
        })?;
        let (stop, thread) = (Some(stop), Some(thread));
        Ok(Self { addr, key, handler, stop, thread })
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
        lock(&self.handler).stats()
    }

    /// All requests in the order of arrival; empty unless [`SandboxConfig::log_requests`] is set.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        lock(&self.handler).requests.clone()
    }

    /// Changes how it treats all requests from now on.
    pub fn set_mode(&self, mode: Mode) {
        lock(&self.handler).mode = mode;
    }

    /// Whether the user exists and is locked now.
    pub fn is_locked(&self, id: &UserId) -> bool {
        lock(&self.handler).is_locked(id)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // Both fail only if the thread has already ended.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests;
