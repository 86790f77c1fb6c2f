//! `locked`: walk the instance and list the users who are locked now.

use super::args::LockedArgs;
use super::connection;
use crate::engine::wall_clock;
use crate::job::{Context, ExitStatus, Failure, ListSettings, list_locked};
use crate::results::{LockedFormat, Redaction};

pub(super) fn locked(args: LockedArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let LockedArgs { api, execution, .. } = &args;
    let connection = connection::open(&api.connection, execution, context.console)?;
    let settings = ListSettings {
        execution: execution.execution(),
        output: Some(args.output).filter(|path| path.as_os_str() != "-"),
        may_replace: args.force,
        selection: args.filters.selection(wall_clock()),
        format: LockedFormat { snapshot: args.snapshot, redaction: Redaction::new(args.redact) },
    };
    list_locked(settings, &connection, context)
}
