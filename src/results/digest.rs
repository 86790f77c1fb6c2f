//! SHA-256 of files, computed while they are written or read.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use sha2::{Digest as _, Sha256};

/// SHA-256 of everything that can be read, in lower-case hexadecimal.
///
/// # Errors
///
/// When reading fails.
pub fn sha256(mut input: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match input.read(&mut chunk) {
            Ok(0) => return Ok(hex::encode(hasher.finalize())),
            Ok(n) => hasher.update(&chunk[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// SHA-256 of a file, in lower-case hexadecimal.
///
/// # Errors
///
/// When it cannot be opened or read.
pub fn sha256_file(path: &Path) -> io::Result<String> {
    sha256(File::open(path)?)
}

/// The running SHA-256 of a file that is written from beginning to end. A thread of its own
/// computes it: hashing the rows of an earlier run takes longer than reading them.
pub(super) struct RunningDigest {
    chunk: Vec<u8>,
    /// `None` when the thread could not be started.
    thread: Option<(SyncSender<Vec<u8>>, JoinHandle<Sha256>)>,
}

impl RunningDigest {
    const CHUNK: usize = 64 * 1024;
    const CHUNKS_IN_FLIGHT: usize = 2;

    pub(super) fn new() -> Self {
        let (sender, chunks) = sync_channel::<Vec<u8>>(Self::CHUNKS_IN_FLIGHT);
        let hash = move || {
            let mut hasher = Sha256::new();
            for chunk in chunks {
                hasher.update(&chunk);
            }
            hasher
        };
        let thread = Builder::new().name("digest".into()).spawn(hash);
        Self { chunk: Vec::new(), thread: thread.ok().map(|thread| (sender, thread)) }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.chunk.extend_from_slice(bytes);
        if self.chunk.len() >= Self::CHUNK {
            self.send();
        }
    }

    fn send(&mut self) {
        let chunk = std::mem::take(&mut self.chunk);
        let is_sent = self.thread.as_ref().is_some_and(|(chunks, _)| chunks.send(chunk).is_ok());
        if !is_sent {
            self.thread = None;
        }
    }

    /// The digest in lower-case hexadecimal; `None` when the thread failed. The file is to be read
    /// then.
    pub(super) fn finish(mut self) -> Option<String> {
        self.send();
        let (chunks, thread) = self.thread?;
        drop(chunks);
        Some(hex::encode(thread.join().ok()?.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_the_one_of_the_standard() {
        // FIPS 180-2, appendix B.1.
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(&b"abc"[..]).unwrap(), expected);
        let mut running = RunningDigest::new();
        running.update(b"ab");
        running.update(b"c");
        assert_eq!(running.finish().as_deref(), Some(expected));
    }

    #[test]
    fn a_running_digest_of_many_chunks_is_that_of_the_whole() {
        let mut running = RunningDigest::new();
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| n.to_le_bytes()[n as usize % 3]).collect();
        bytes.chunks(70_001).for_each(|chunk| running.update(chunk));
        assert_eq!(running.finish(), sha256(bytes.as_slice()).ok());
        assert_eq!(RunningDigest::new().finish(), sha256(io::empty()).ok());
    }
}
