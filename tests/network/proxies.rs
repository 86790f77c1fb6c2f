//! The proxy variables of the environment.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::common::watch::FAST;
use crate::common::{Stage, list, users};
use crate::server::{AUTHORITY, Server, user};

/// A proxy that answers for the API and logs the first line of each request.
struct Proxy {
    authority: String,
    requests: Arc<Mutex<Vec<String>>>,
}

/// The behavior of a proxy on a connection.
#[derive(Clone, Copy)]
enum Treatment {
    /// Answers for the API.
    Answer,
    /// Answers 407.
    Refuse,
    /// Accepts SOCKS5, then answers for the API.
    Socks,
    /// Requires SOCKS5 authentication, and refuses the user and password.
    RefuseSocks,
}

impl Proxy {
    fn start() -> Self {
        Self::start_with(|_| Treatment::Answer)
    }

    fn start_with(treatment: impl Fn(usize) -> Treatment + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let authority = listener.local_addr().expect("an address").to_string();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for (n, stream) in listener.incoming().flatten().enumerate() {
                // The client may close the connection.
                if let Ok(line) = respond(stream, treatment(n)) {
                    log.lock().expect("not poisoned").push(line);
                }
            }
        });
        Self { authority, requests }
    }

    fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// The first line of each request.
    fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("not poisoned").clone()
    }
}

fn respond(mut stream: TcpStream, treatment: Treatment) -> std::io::Result<String> {
    match treatment {
        Treatment::Answer | Treatment::Refuse => {}
        Treatment::Socks => accept_socks(&mut stream)?,
        Treatment::RefuseSocks => {
            read_greeting(&mut stream)?;
            // Requires a user and password, and refuses them.
            stream.write_all(&[5, 2])?;
            read_credentials(&mut stream)?;
            stream.write_all(&[1, 1])?;
            return Ok("refused".to_owned());
        }
    }
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let (status, body) = match treatment {
        Treatment::Refuse => ("407 Proxy Authentication Required", String::new()),
        _ => ("200 OK", user(request.split('/').rev().nth(2).unwrap_or_default())),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    Ok(request)
}

/// Accepts the client with any address.
fn accept_socks(stream: &mut TcpStream) -> std::io::Result<()> {
    read_greeting(stream)?;
    stream.write_all(&[5, 0])?;
    let mut request = [0; 5];
    stream.read_exact(&mut request)?;
    assert_eq!(request[3], 3, "the proxy resolves the name");
    stream.read_exact(&mut vec![0; usize::from(request[4]) + 2])?;
    stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
}

fn read_greeting(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    stream.read_exact(&mut vec![0; head[1].into()])
}

fn read_credentials(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    stream.read_exact(&mut vec![0; head[1].into()])?;
    let mut length = [0];
    stream.read_exact(&mut length)?;
    stream.read_exact(&mut vec![0; length[0].into()])
}

/// A stage with `n_users` users and a proxy variable.
fn stage(n_users: usize, variable: &str, proxy: &str) -> Stage {
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.set(variable, proxy);
    stage.write("ids.txt", list(&users(n_users)));
    stage
}

/// Sends one request at a time to a host that only a proxy can reach.
fn run(scheme: &str) -> String {
    format!("run ids.txt --yes -c 1 --api-url {scheme}://clerk.test --allow-http {FAST}")
}

#[test]
fn the_proxy_of_a_variable_gets_the_absolute_url() {
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start();
        let stage = stage(2, variable, &proxy.url());
        stage.run(&run("http")).exits_with(0);
        stage.check_all_outcomes("ids.results.csv", "unlocked");
        let lines = users(2).into_iter();
        let lines = lines.map(|id| format!("POST http://clerk.test/v1/users/{id}/unlock HTTP/1.1"));
        assert_eq!(proxy.requests(), lines.collect::<Vec<_>>(), "{variable}");
        assert_eq!(stage.json("ids.results.manifest.json")["host"], "clerk.test");
    }
}

#[test]
fn addresses_in_no_proxy_are_reached_without_the_proxy() {
    // An address of this machine that is not loopback, as loopback is never reached through a proxy.
    let server = Server::plain();
    let url = format!("http://0.0.0.0:{}", server.port());
    for (variable, value, n_by_proxy) in [
        ("NO_PROXY", "0.0.0.0", 0),
        ("no_proxy", "localhost, 0.0.0.0", 0),
        ("NO_PROXY", "10.0.0.1,clerk.test", 2),
    ] {
        let proxy = Proxy::start();
        let mut stage = stage(2, "http_proxy", &proxy.url());
        stage.set(variable, value);
        let line = format!("run ids.txt --yes --api-url {url} --allow-http {FAST}");
        stage.run(&line).exits_with(0);
        assert_eq!(proxy.requests().len(), n_by_proxy, "{variable}={value}");
    }
    assert_eq!(server.versions().len(), 4);
}

#[test]
fn an_unreachable_proxy_is_a_failed_connection() {
    let mut stage = Stage::with_quick_sandbox();
    let port = stage.sandbox().addr().port();
    stage.set("http_proxy", "http://127.0.0.1:1");
    stage.write("ids.txt", list(&users(2)));
    let url = format!("http://0.0.0.0:{port}");
    let flags = format!("--api-url {url} --allow-http --max-retries 0 {FAST}");
    stage.run(&format!("run ids.txt --yes {flags}")).exits_with(1);
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 failed", "2 failed"]);
    assert_eq!(stage.column("ids.results.csv", "error_code"), ["connection"; 2]);
    assert_eq!(stage.n_requests(), 0);
}

#[test]
fn an_invalid_proxy_setting_is_refused_before_anything_is_sent() {
    let server = Server::plain();
    for (variable, value, reason) in [
        ("http_proxy", "ftp://me:LEAKED@127.0.0.1:1", "http_proxy names a proxy with an unsupp"),
        ("ALL_PROXY", "socks://127.0.0.1:1", "ALL_PROXY names a proxy with an unsupported scheme"),
        ("HTTP_PROXY", "http://", "HTTP_PROXY is not the URL of a proxy"),
        ("HTTP_PROXY", "http://127.0.0.1:LEAKED", "HTTP_PROXY is not the URL of a proxy"),
    ] {
        let stage = stage(2, variable, value);
        // Without a proxy, this address is reachable.
        let url = format!("http://0.0.0.0:{}", server.port());
        let line = format!("run ids.txt --yes --api-url {url} --allow-http {FAST}");
        stage.run(&line).exits_with(2).prints(reason).does_not_print("LEAKED");
        assert_eq!(stage.files(), ["ids.txt"]);
    }
    assert_eq!(server.n_connections(), 0);
}

#[test]
fn a_socks_proxy_is_used_and_resolves_the_name() {
    let proxy = Proxy::start_with(|_| Treatment::Socks);
    let stage = stage(2, "ALL_PROXY", &format!("socks5h://{}", proxy.authority));
    stage.run(&run("http")).exits_with(0);
    stage.check_all_outcomes("ids.results.csv", "unlocked");
    assert!(proxy.requests()[0].starts_with("POST /v1/users/user_"), "{:?}", proxy.requests());
}

/// The run stops at the first request, and no user is unlocked.
#[track_caller]
fn stops_at_once(stage: &Stage, line: &str, proxy: &Proxy) {
    let ended = stage.run(&format!("{line} -q")).exits_with(2);
    ended.prints("error: the proxy refused the connection (407)").does_not_print("LEAKED");
    assert!(!stage.path("ids.results.csv").exists());
    assert_eq!(proxy.requests().len(), 1);
}

#[test]
fn a_proxy_that_requires_authentication_stops_the_run_at_once() {
    let proxy = Proxy::start_with(|_| Treatment::Refuse);
    stops_at_once(&stage(3, "http_proxy", &proxy.url()), &run("http"), &proxy);

    // For `https:`, the client requests a tunnel.
    let proxy = Proxy::start_with(|_| Treatment::Refuse);
    let line = format!("{} --ca-file {AUTHORITY}", run("https"));
    stops_at_once(&stage(3, "HTTPS_PROXY", &proxy.url()), &line, &proxy);
    assert_eq!(proxy.requests(), ["CONNECT clerk.test:443 HTTP/1.1"]);

    let proxy = Proxy::start_with(|_| Treatment::RefuseSocks);
    let url = format!("socks5h://me:LEAKED@{}", proxy.authority);
    stops_at_once(&stage(3, "ALL_PROXY", &url), &run("http"), &proxy);
}

#[test]
fn a_proxy_that_refuses_after_some_users_is_not_a_usage_error() {
    let proxy = Proxy::start_with(|n| if n < 2 { Treatment::Answer } else { Treatment::Refuse });
    let stage = stage(3, "http_proxy", &proxy.url());
    stage
        .run(&run("http"))
        .exits_with(3)
        .prints("the proxy requires authentication")
        .prints("--resume");
    assert_eq!(stage.outcomes("ids.results.csv"), ["1 unlocked", "2 unlocked"]);
    assert_eq!(proxy.requests().len(), 3);
}
