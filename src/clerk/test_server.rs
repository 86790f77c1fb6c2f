//! A server that says what it was told to, byte for byte.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

/// What happens on one connection.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// The request is read, these bytes are said, the connection is closed.
    Say(Vec<u8>),
    /// The same, and then nothing, until the client goes.
    SayAndHang(Vec<u8>),
    /// The same, and then one byte after another, until the client goes.
    SayAndTrickle(Vec<u8>),
    /// The connection is reset with the request unread.
    Reset,
}

/// A server on loopback. It ends by itself when it has played its script.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    requests: mpsc::Receiver<String>,
}

impl Server {
    /// Plays one act on each connection.
    pub(super) fn play(script: impl IntoIterator<Item = Act>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, requests) = mpsc::channel();
        let script: Vec<_> = script.into_iter().collect();
        std::thread::spawn(move || {
            for act in script {
                let Ok((stream, _)) = listener.accept() else { return };
                // A client that leaves early is part of the play.
                let _ = perform(stream, act, &sender);
            }
        });
        Self { address, requests }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, each in lower case with its line breaks as `\n`.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn perform(mut stream: TcpStream, act: Act, heard: &mpsc::Sender<String>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let (text, after) = match act {
        Act::Say(text) => (text, After::Close),
        Act::SayAndHang(text) => (text, After::Hang),
        Act::SayAndTrickle(text) => (text, After::Trickle),
        // Closing with bytes unread resets the connection.
        Act::Reset => return stream.read_exact(&mut [0]),
    };
    let request = read_request(&mut stream)?;
    // The receiver is gone when the test is over.
    let _ = heard.send(request);
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

/// Runs one test in a process of its own, with these variables.
#[track_caller]
pub(super) fn passes_with(test: &str, variables: &[(&str, &str)]) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}
