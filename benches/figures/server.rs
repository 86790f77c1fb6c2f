//! A server that costs as little as a server can: hyper on one thread, in a process of its own, so
//! that what is measured beside it is the client alone.
//!
//! `POST /v1/users/ID/unlock` answers with that user, `GET /v1/users?user_id=…` with those users. No
//! quota, no state, no check of the key.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// What the benchmark calls itself with to be this server.
pub(crate) const WORD: &str = "--server";

/// The server, in a process that ends with this value.
pub(crate) struct Server {
    process: Child,
    /// `http://127.0.0.1:PORT`.
    pub(crate) url: String,
}

impl Server {
    /// Starts a server whose user objects have about this many bytes and which waits this long
    /// before each response.
    pub(crate) fn start(body_size: usize, latency: Duration) -> Self {
        let me = std::env::current_exe().expect("a path");
        let mut process = Command::new(me)
            .args([WORD, &body_size.to_string(), &latency.as_micros().to_string()])
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
pub(crate) fn serve(body_size: usize, latency: Duration) {
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        #[allow(clippy::exit, reason = "nothing is left to do or to clean up")]
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(accept(UserTemplate::new(body_size), latency));
}

async fn accept(template: UserTemplate, latency: Duration) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let _ = std::io::stdout().flush();
    let template: &'static UserTemplate = Box::leak(Box::new(template));
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        let _ = stream.set_nodelay(true);
        let service = service_fn(move |request| answer(request, template, latency));
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    }
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
