//! `plan`: the dry run.

use super::run::{admin_locked, input_choice, output};
use crate::cli::Caller;
use crate::cli::args::PlanArgs;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::job::{self, Answers, Execution, Spec, Surroundings};
use crate::cli::status::Status;
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn plan(args: PlanArgs, caller: Caller<'_>) -> Result<Status, Failure> {
    let console = caller.console;
    let connection = Connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let (if_empty, exclude) = (args.input.if_empty, args.input.exclude.clone());
    let input = input_choice(args.input)?;
    let spec = Spec {
        command: CommandKind::Plan,
        if_empty,
        exclude,
        kept: args.connection.files(),
        only_locked: true,
        admin_locked: admin_locked(args.look_up.include_admin_locked),
        expect_count: None,
        max_users: None,
        yes: true,
        reason: args.reason,
        canary: None,
        verify: false,
        output: output(args.output.output.as_deref(), &input, CommandKind::Plan),
        answers: Answers::new(args.output, args.page),
        execution: Execution::new(&args.execution),
        input,
    };
    job::run(&spec, &Surroundings::new(&connection, caller))?.answer(&spec)
}
