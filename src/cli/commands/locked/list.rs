//! The list: written as it is found, each user once.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io;

use super::file;
use crate::cli::args::LockedArgs;
use crate::cli::failure::Failure;
use crate::model::{StopReason, UserView};
use crate::results::{LockedFormat, LockedWriter, Redaction, WriteError};
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
pub(super) struct LockedList(RefCell<State>);

struct State {
    writer: LockedWriter,
    seen: HashSet<Box<str>>,
    listed: Listed,
    failure: Option<WriteError>,
}

impl LockedList {
    /// Makes the file, or takes stdout, and writes the header.
    pub(super) fn create(args: &LockedArgs) -> Result<Self, Failure> {
        let format = LockedFormat {
            snapshot: args.snapshot.into(),
            redaction: Redaction::new(args.redact.iter().cloned()),
        };
        let mut writer = match file(&args.output) {
            None => LockedWriter::stream(io::stdout(), format),
            Some(path) => LockedWriter::create(path, args.force, format)?,
        };
        let failure = writer.flush().err();
        let listed = Listed::default();
        Ok(Self(RefCell::new(State { writer, seen: HashSet::new(), listed, failure })))
    }

    /// Writes the locked ones among these users, unless they were written before. When they can't
    /// be written, the walk is over.
    pub(super) fn add(&self, users: &[UserView], stop: &Stop) {
        let state = &mut *self.0.borrow_mut();
        for user in users.iter().filter(|user| user.is_locked()) {
            if state.seen.insert(user.id.as_str().into()) {
                state.writer.append(user);
                state.listed.count(user);
            }
        }
        state.failure = state.failure.take().or_else(|| state.writer.flush().err());
        if state.failure.is_some() {
            stop.ask(StopReason::OutputFailed);
        }
    }

    /// Ends the list: so many users passed by, or it is not whole, and a file is given up then.
    pub(super) fn finish(self, walked: Result<u64, Failure>) -> Result<Listed, Failure> {
        let state = self.0.into_inner();
        if let Some(failure) = state.failure {
            return Err(failure.into());
        }
        let passed = walked?;
        state.writer.finish()?;
        Ok(Listed { passed, ..state.listed })
    }
}

impl Listed {
    fn count(&mut self, user: &UserView) {
        self.locked += 1;
        self.admin_locked += u64::from(user.is_admin_locked());
        self.never_expiring += u64::from(user.lockout_expires_in_seconds.is_none());
    }
}
