//! Proxies, as the environment names them.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::common::watch::FAST;
use crate::common::{Stage, list, users};
use crate::server::{Server, user};

/// A proxy that answers for the API, and remembers what it was asked.
struct Proxy {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&heard);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let line = respond(stream).expect("a request");
                told.lock().expect("nobody panicked").push(line);
            }
        });
        Self { url, heard }
    }

    /// The first line of each request.
    fn heard(&self) -> Vec<String> {
        self.heard.lock().expect("nobody panicked").clone()
    }
}

fn respond(mut stream: TcpStream) -> std::io::Result<String> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|line| !line.is_empty()) {}
    let body = user(request.split('/').rev().nth(2).unwrap_or_default());
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    Ok(request)
}

/// A stage with two users, whose environment names a proxy so.
fn stage(variable: &str, proxy: &Proxy) -> Stage {
    let mut stage = Stage::new();
    stage.set("CLERK_SECRET_KEY", "sk_test_abcdefghijklmnopqrst");
    stage.set(variable, &proxy.url);
    stage.write("ids.txt", list(&users(2)));
    stage
}

#[test]
fn the_proxy_that_a_variable_names_is_asked_for_the_whole_address() {
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        let proxy = Proxy::start();
        let line =
            format!("run ids.txt --yes -c 1 --api-url http://clerk.test --allow-http {FAST}");
        let stage = stage(variable, &proxy);
        stage.run(&line).exits_with(0);
        stage.all_are("ids.results.csv", "unlocked");
        let asked = users(2).into_iter();
        let asked = asked.map(|id| format!("POST http://clerk.test/v1/users/{id}/unlock HTTP/1.1"));
        assert_eq!(proxy.heard(), asked.collect::<Vec<_>>(), "{variable}");
        assert_eq!(stage.json("ids.results.manifest.json")["host"], "clerk.test");
    }
}

#[test]
fn no_proxy_names_the_addresses_that_are_reached_without() {
    // Not loopback by its number, which is never reached by a proxy, yet on this machine.
    let server = Server::plain();
    let url = format!("http://0.0.0.0:{}", server.port());
    for (variable, value, n_by_proxy) in [
        ("NO_PROXY", "0.0.0.0", 0),
        ("no_proxy", "localhost, 0.0.0.0", 0),
        ("NO_PROXY", "10.0.0.1,clerk.test", 2),
    ] {
        let proxy = Proxy::start();
        let mut stage = stage("http_proxy", &proxy);
        stage.set(variable, value);
        let line = format!("run ids.txt --yes --api-url {url} --allow-http {FAST}");
        stage.run(&line).exits_with(0);
        assert_eq!(proxy.heard().len(), n_by_proxy, "{variable}={value}");
    }
    assert_eq!(server.versions().len(), 4);
}

#[test]
fn a_proxy_that_is_not_there_is_a_connection_that_failed_and_nobody_else_is_asked() {
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
