//! The list: written as it is found, each user once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Write};

use super::file;
use crate::cli::args::LockedArgs;
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::model::{StopReason, UserView};
use crate::results::atomic::AtomicWriter;
use crate::results::{LockedFormat, Redaction, WriteError, refuse_existing};
use crate::stop::Stop;

/// How many users were listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Listed {
    /// Users passed by, locked or not.
    pub(super) passed: u64,
    /// All who are locked.
    pub(super) locked: u64,
    pub(super) admin_locked: u64,
    pub(super) never_expiring: u64,
}

/// A list that is being written.
pub(super) struct LockedList {
    format: LockedFormat,
    state: RefCell<State>,
}

struct State {
    out: Out,
    buffer: Vec<u8>,
    seen: HashSet<Box<str>>,
    listed: Listed,
    failure: Option<Failure>,
}

enum Out {
    Stdout(io::Stdout),
    /// Has its name only when it is whole.
    File(AtomicWriter),
}

impl LockedList {
    /// Makes the file, or takes stdout, and writes the header.
    pub(super) fn create(args: &LockedArgs) -> Result<Self, Failure> {
        let format = LockedFormat {
            snapshot: args.snapshot.into(),
            redaction: Redaction::new(args.redact.iter().cloned()),
        };
        let out = match file(&args.output) {
            None => Out::Stdout(io::stdout()),
            Some(path) => {
                if !args.force {
                    refuse_existing(path).map_err(|error| error.of_a_whole("--output"))?;
                }
                Out::File(AtomicWriter::create(path).map_err(WriteError::of_a_whole)?)
            }
        };
        let mut buffer = Vec::new();
        format.append_header(&mut buffer);
        let state =
            State { out, buffer, seen: HashSet::new(), listed: Listed::default(), failure: None };
        let list = Self { format, state: RefCell::new(state) };
        list.state.borrow_mut().flush();
        Ok(list)
    }

    /// Writes the locked ones among these users, unless they were written before. When they can't
    /// be written, the walk is over.
    pub(super) fn add(&self, users: &[UserView], stop: &Stop) {
        let state = &mut *self.state.borrow_mut();
        for user in users.iter().filter(|user| user.is_locked()) {
            if state.seen.insert(user.id.as_str().into()) {
                self.format.append_user(user, &mut state.buffer);
                state.listed.count(user);
            }
        }
        state.flush();
        if state.failure.is_some() {
            stop.ask(StopReason::OutputFailed);
        }
    }

    /// Ends the list: so many users passed by, or it is not whole, and a file is given up then.
    pub(super) fn finish(self, walked: Result<u64, Failure>) -> Result<Listed, Failure> {
        let state = self.state.into_inner();
        if let Some(failure) = state.failure {
            return Err(failure);
        }
        let passed = walked?;
        if let Out::File(writer) = state.out {
            writer.finish().map_err(WriteError::of_a_whole)?;
        }
        Ok(Listed { passed, ..state.listed })
    }
}

impl State {
    fn flush(&mut self) {
        let written = match &mut self.out {
            Out::Stdout(stdout) => stdout.write_all(&self.buffer).and_then(|()| stdout.flush()),
            Out::File(file) => file.write_all(&self.buffer),
        };
        self.buffer.clear();
        if let (Err(error), None) = (written, &self.failure) {
            let error = WriteError::new("the list", &error).of_a_whole();
            self.failure = Some(Failure::new(Status::Output, error));
        }
    }
}

impl Listed {
    fn count(&mut self, user: &UserView) {
        self.locked += 1;
        self.admin_locked += u64::from(user.is_admin_locked());
        self.never_expiring += u64::from(user.lockout_expires_in_seconds.is_none());
    }
}
