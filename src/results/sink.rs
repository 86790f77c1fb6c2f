//! Where rows go: a file that can be cut back, or a stream that can't.

use std::io::{self, Write};

use super::journal::Journal;

/// Where rows go. A small seam: the disk that fills up in a test stands behind it too.
pub trait Sink: Send {
    /// Takes some of the bytes and says how many, as [`Write::write`] does.
    ///
    /// # Errors
    ///
    /// What the system says; the bytes were not taken then.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Forgets all but the first so many bytes; what is written next follows them.
    ///
    /// # Errors
    ///
    /// What the system says, and always for a stream.
    fn truncate(&mut self, len: u64) -> io::Result<()>;

    /// Lets what was written leave this process.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn flush(&mut self) -> io::Result<()>;

    /// Returns when what was written would survive a power cut.
    ///
    /// # Errors
    ///
    /// What the system says.
    fn sync(&mut self) -> io::Result<()>;

    /// Whether the file is still where it was opened.
    fn is_in_place(&self) -> bool {
        true
    }

    /// The file behind it, still locked, where there is one.
    fn into_journal(self: Box<Self>) -> Option<Journal> {
        None
    }
}

/// Standard output, or any other stream.
pub(super) struct StreamSink<W>(pub(super) W);

impl<W: Write + Send> Sink for StreamSink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
