//! The key is sent to one address only, and unencrypted only on request.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bulk_unlock::sandbox::{FaultKind, Script, Scripted};

use crate::common::watch::{FAST, slow_config};
use crate::common::{Stage, list, users};

/// A server that records the first bytes of each connection.
struct Trap {
    addr: String,
    thread: JoinHandle<Vec<Vec<u8>>>,
}

/// Sent to the trap at the end of a test.
const LAST: &[u8] = b"end of the test";

impl Trap {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("an address").to_string();
        let thread = thread::spawn(move || {
            let received = listener.incoming().map(|stream| {
                let mut stream = stream.expect("a connection");
                let mut bytes = vec![0; 4_096];
                let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
                let n = stream.read(&mut bytes).unwrap_or(0);
                bytes.truncate(n);
                bytes
            });
            received.take_while(|bytes| bytes != LAST).collect()
        });
        Self { addr, thread }
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The first bytes of each connection.
    fn seen(self) -> Vec<Vec<u8>> {
        let mut last = TcpStream::connect(&self.addr).expect("a connection");
        last.write_all(LAST).expect("the trap reads");
        self.thread.join().expect("the trap does not panic")
    }
}

#[test]
fn redirects_are_rejected_and_not_followed() {
    let trap = Trap::new();
    let ids = users(6);
    let place = format!("{}/v1/users", trap.url());
    let to_trap = |status| Scripted::status(status).with_header("Location", &place);
    let statuses = [301, 302, 303, 307, 308];
    let script: Script = ids
        .iter()
        .zip(statuses)
        .map(|(id, status)| (id.clone(), [to_trap(status)].into()))
        .collect();
    let stage = Stage::with_sandbox(slow_config("0").script(script));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(1);
    assert_eq!(
        stage.column("ids.results.csv", "outcome"),
        ["rejected", "rejected", "rejected", "rejected", "rejected", "unlocked"]
    );
    assert_eq!(
        stage.column("ids.results.csv", "http_status"),
        ["301", "302", "303", "307", "308", "200"]
    );
    assert_eq!(stage.n_posts(), 6, "a redirect is not retried");
    assert!(trap.seen().is_empty(), "the trap received a request");
}

#[test]
fn sandbox_redirect_fault_is_not_followed() {
    let ids = users(1);
    let script: Script =
        [(ids[0].clone(), [Scripted::Fault(FaultKind::Redirect)].into())].into_iter().collect();
    let stage = Stage::with_sandbox(slow_config("0").script(script));
    stage.write("ids.txt", list(&ids));
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(1);
    assert_eq!(stage.column("ids.results.csv", "outcome"), ["rejected"]);
}

#[test]
fn http_to_another_host_requires_allow_http_and_prints_a_warning() {
    let mut stage = Stage::with_quick_sandbox();
    let ids = users(2);
    stage.write("ids.txt", list(&ids));
    // This address is not in 127.0.0.0/8, but reaches this machine.
    let port = stage.sandbox().addr().port();
    stage.set("CLERK_API_URL", &format!("http://0.0.0.0:{port}"));
    stage.run("run ids.txt --yes").exits_with(2).prints("add --allow-http");
    stage.run("run ids.txt --yes --api-url http://api.example.com").exits_with(2);
    assert_eq!(stage.files(), ["ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());

    stage
        .run(&format!("run ids.txt --yes --allow-http {FAST}"))
        .exits_with(0)
        .prints("the address is http: the secret key travels in the clear");
    stage.check_one_row_each("ids.results.csv", &ids);
}

#[test]
fn invalid_address_is_refused_before_any_request() {
    let stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(2)));
    for address in [
        "ftp://api.example.com",
        "api.example.com",
        "https://",
        "https://someone:secret@api.example.com",
        "https://api.example.com/v1/users",
        "https://api.example.com/?x=1",
        "file:///etc/passwd",
    ] {
        stage.run(&format!("run ids.txt --yes --api-url '{address}'")).exits_with(2);
    }
    assert_eq!(stage.files(), ["ids.txt"]);
    assert!(stage.sandbox().requests().is_empty());
}

#[test]
fn server_without_tls_never_receives_the_key() {
    let trap = Trap::new();
    let mut stage = Stage::with_quick_sandbox();
    stage.write("ids.txt", list(&users(1)));
    stage.set("CLERK_API_URL", &trap.url().replace("http:", "https:"));
    stage.run("run ids.txt --yes --max-retries 0 --timeout 3s --connect-timeout 3s").exits_with(1);
    assert_eq!(stage.column("ids.results.csv", "outcome"), ["failed"]);
    let seen = trap.seen();
    assert!(!seen.is_empty(), "the trap was not connected to");
    let key = stage.sandbox().key().as_bytes();
    assert!(seen.iter().all(|bytes| bytes.windows(key.len()).all(|window| window != key)));
    assert!(seen.iter().all(|bytes| !bytes.starts_with(b"POST")));
}

#[test]
fn requests_to_loopback_bypass_proxies() {
    let trap = Trap::new();
    let mut stage = Stage::with_quick_sandbox();
    let ids = users(2);
    stage.write("ids.txt", list(&ids));
    for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        stage.set(name, &trap.url());
    }
    stage.run(&format!("run ids.txt --yes {FAST}")).exits_with(0);
    stage.check_one_row_each("ids.results.csv", &ids);
    assert!(trap.seen().is_empty(), "the proxy received a request");
}
