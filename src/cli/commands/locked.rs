//! `locked`: walk the instance and list the users who are locked now.

use crate::cli::args::LockedArgs;
use crate::cli::connection;
use crate::engine::wall_clock;
use crate::job::{Context, ExitStatus, Failure, ListSettings, list_locked};
use crate::results::{LockedFormat, Redaction};

pub(in crate::cli) fn locked(
    args: LockedArgs,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let LockedArgs { connection, sandbox, execution, .. } = &args;
    let connection = connection::open(connection, sandbox, execution, context.console)?;
    let settings = ListSettings {
        execution: execution.execution(),
        output: Some(args.output).filter(|path| path.as_os_str() != "-"),
        may_replace: args.force,
        selection: args.filters.selection(wall_clock()),
        format: LockedFormat {
            snapshot: args.snapshot.into(),
            redaction: Redaction::new(args.redact),
        },
    };
    list_locked(settings, &connection, context)
}
