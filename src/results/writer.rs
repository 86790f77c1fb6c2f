//! Appends rows: whole lines only, whatever the disk does.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::model::{InputRecord, Row};

use super::error::{OpenError, Problem, WriteError};
use super::format::RowFormat;
use super::journal::{Existing, Journal};
use super::sink::{Sink, StreamSink};

/// Appends rows to the results.
///
/// [`append`](Self::append) keeps them in memory, [`commit`](Self::commit) writes all of them at
/// once: until then they are not recorded and nobody may be told of them.
pub struct Writer {
    sink: Box<dyn Sink>,
    /// `None`: standard output.
    path: Option<PathBuf>,
    format: RowFormat,
    /// Whole lines that are not written yet.
    buffer: Vec<u8>,
    /// Where each of them ends.
    ends: Vec<usize>,
    /// How many bytes of whole lines the sink holds.
    n_bytes: u64,
    n_rows: u64,
    failure: Option<WriteError>,
}

impl Writer {
    /// Creates the file for its owner alone, locks it and writes the header.
    ///
    /// # Errors
    ///
    /// When the file is there and may not be replaced, when another run holds it, when it can't be
    /// created or written. A file that was there is untouched then.
    pub fn create(path: &Path, existing: Existing, format: RowFormat) -> Result<Self, OpenError> {
        let journal = Journal::create(path, existing)?;
        match Self::begin(Box::new(journal), Some(path.to_owned()), format, 0) {
            Ok(writer) => Ok(writer),
            Err((error, sink)) => {
                if let Some(journal) = sink.into_journal() {
                    journal.remove();
                }
                Err(error.into())
            }
        }
    }

    /// Goes on with a file that [`resume`](super::resume) read: cuts its torn end off, and writes
    /// the header where there was none.
    ///
    /// # Errors
    ///
    /// When the file can't be cut or written.
    pub fn resume(journal: Journal, format: RowFormat) -> Result<Self, WriteError> {
        let (path, n_whole) = (journal.path().to_owned(), journal.n_whole);
        journal.keep_cut().map_err(|error| WriteError::new(&path, &error))?;
        Self::begin(Box::new(journal), Some(path), format, n_whole).map_err(|(error, _)| error)
    }

    /// Writes to a stream, such as standard output, and writes the header.
    ///
    /// # Errors
    ///
    /// When the stream takes no bytes.
    pub fn stream(
        stream: impl Write + Send + 'static,
        format: RowFormat,
    ) -> Result<Self, WriteError> {
        let sink = Box::new(StreamSink(stream));
        let mut writer = Self::over(sink, None, format, 0);
        writer.write_header()?;
        Ok(writer)
    }

    fn over(sink: Box<dyn Sink>, path: Option<PathBuf>, format: RowFormat, n_bytes: u64) -> Self {
        Self {
            sink,
            path,
            format,
            buffer: Vec::new(),
            ends: Vec::new(),
            n_bytes,
            n_rows: 0,
            failure: None,
        }
    }

    /// The sink comes back with an error, so that a file just made can be taken away again.
    fn begin(
        sink: Box<dyn Sink>,
        path: Option<PathBuf>,
        format: RowFormat,
        n_whole: u64,
    ) -> Result<Self, (WriteError, Box<dyn Sink>)> {
        let mut writer = Self::over(sink, path, format, n_whole);
        let begun = match writer.sink.truncate(n_whole) {
            Err(error) => Err(writer.fail(Problem::of(&error))),
            Ok(()) if n_whole == 0 => writer.write_header(),
            Ok(()) => Ok(()),
        };
        match begun {
            Ok(()) => Ok(writer),
            Err(error) => Err((error, writer.sink)),
        }
    }

    fn write_header(&mut self) -> Result<(), WriteError> {
        self.format.append_header(&mut self.buffer);
        self.ends.push(self.buffer.len());
        self.commit()?;
        self.n_rows = 0;
        self.sync()
    }

    /// Adds a row to those that the next commit writes. After a failure it does nothing: the next
    /// commit tells.
    pub fn append(&mut self, record: &InputRecord, row: &Row) {
        if self.failure.is_none() {
            self.format.append_row(record, row, &mut self.buffer);
            self.ends.push(self.buffer.len());
        }
    }

    /// Writes all appended rows at once. They are recorded when this returns.
    ///
    /// # Errors
    ///
    /// When not all of them could be written: the file is cut back to its last whole row, and
    /// [`n_rows`](Self::n_rows) tells how many of them it kept, the first ones. Every later call
    /// gives the same error.
    pub fn commit(&mut self) -> Result<(), WriteError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        let (n_written, result) = write_fully(self.sink.as_mut(), &self.buffer);
        let n_lines = self.ends.partition_point(|&end| end <= n_written);
        let n_whole = self.ends[..n_lines].last().copied().unwrap_or(0);
        self.n_bytes += n_whole as u64;
        self.n_rows += n_lines as u64;
        self.buffer.clear();
        self.ends.clear();
        result.map_err(|error| {
            if n_whole < n_written {
                // Where this fails too, a torn end is left, and resuming cuts it.
                let _ = self.sink.truncate(self.n_bytes);
            }
            self.fail(Problem::of(&error))
        })
    }

    /// Returns when all that was committed would survive a power cut.
    ///
    /// # Errors
    ///
    /// When the disk refuses, or the file is no longer where it was.
    pub fn sync(&mut self) -> Result<(), WriteError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        self.sink.sync().map_err(|error| self.fail(Problem::of(&error)))?;
        if self.sink.is_in_place() { Ok(()) } else { Err(self.fail(Problem::Removed)) }
    }

    /// How many rows this writer has recorded; rows of an earlier run are not counted.
    pub fn n_rows(&self) -> u64 {
        self.n_rows
    }

    /// Commits, syncs, and gives back the file, still locked; `None` for a stream. The lock is
    /// held until that is dropped: until the files beside it are written.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit) and [`sync`](Self::sync).
    pub fn finish(mut self) -> Result<Option<Journal>, WriteError> {
        self.commit()?;
        self.sync()?;
        Ok(self.sink.into_journal())
    }

    /// Gives back the file after a failure, still locked and as it is; `None` for a stream.
    pub fn abandon(self) -> Option<Journal> {
        self.sink.into_journal()
    }

    fn fail(&mut self, problem: Problem) -> WriteError {
        let error = WriteError::of(self.path.clone(), problem);
        self.failure = Some(error.clone());
        error
    }
}

/// Writes all bytes, or as many as go, and says how many.
fn write_fully(sink: &mut dyn Sink, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut n_written = 0;
    while n_written < bytes.len() {
        match sink.write(&bytes[n_written..]) {
            Ok(0) => return (n_written, Err(io::ErrorKind::WriteZero.into())),
            Ok(n) => n_written += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (n_written, Err(error)),
        }
    }
    (n_written, sink.flush())
}

#[cfg(test)]
mod tests;
