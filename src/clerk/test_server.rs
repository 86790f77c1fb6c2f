//! A server that sends scripted bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// What happens on one connection.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// Reads the request, sends these bytes, closes the connection.
    Respond(Vec<u8>),
    /// The same, but keeps the connection open until the client closes it.
    RespondAndHang(Vec<u8>),
    /// The same, then sends one byte after another until the client closes the connection.
    RespondAndTrickle(Vec<u8>),
    /// Resets the connection without reading the request.
    Reset,
}

/// A server on loopback that runs until the end of its script.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<String>,
}

impl Server {
    /// Performs one act per connection.
    pub(super) fn play(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        let script: Vec<_> = script.into_iter().collect();
        std::thread::spawn(move || {
            for act in script {
                let Ok((stream, _)) = listener.accept() else { return };
                // In some tests, the client closes the connection early.
                let _ = perform(stream, act, &sender);
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in lower case and with `\n` as line breaks.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn perform(mut stream: TcpStream, act: Act, log: &mpsc::Sender<String>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (text, after) = match act {
        Act::Respond(text) => (text, After::Close),
        Act::RespondAndHang(text) => (text, After::Hang),
        Act::RespondAndTrickle(text) => (text, After::Trickle),
        // Closing with bytes unread resets the connection.
        Act::Reset => return stream.read_exact(&mut [0]),
    };
    let request = read_request(&mut stream)?;
    // After the test, the receiver does not exist.
    let _ = log.send(request);
    stream.write_all(&text)?;
    match after {
        After::Close => Ok(()),
        After::Hang => stream.read(&mut [0]).map(|_| ()),
        After::Trickle => loop {
            stream.write_all(b" ")?;
            std::thread::sleep(Duration::from_millis(10));
        },
    }
}

enum After {
    Close,
    Hang,
    Trickle,
}

pub(super) fn read_request(stream: &mut impl Read) -> std::io::Result<String> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.extend(byte);
    }
    Ok(String::from_utf8_lossy(&request).replace("\r\n", "\n").to_lowercase())
}

/// Runs one test in its own process, with these environment variables.
#[track_caller]
pub(super) fn passes_with(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
}
