//! `run`: unlock every listed user. `plan`, and `run --dry-run`: the same, without the unlocks.

use std::path::{Path, PathBuf};

use super::verify::read_back;
use crate::cli::Context;
use crate::cli::args::{InputArgs, RunArgs};
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::cli::job::{
    self, Answers, Closed, Execution, Existing, InputChoice, Spec, Surroundings, check_plan,
};
use crate::cli::status::Status;
use crate::engine::wall_clock;
use crate::input::{Carry, Options};
use crate::model::{IdentifierKind, Outcome};
use crate::policy::decide::AdminLocked;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn run(
    args: RunArgs,
    command: CommandKind,
    context: Context<'_>,
) -> Result<Status, Failure> {
    let console = context.console;
    let connection = Connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let max_age = args.selection.plan_max_age;
    let plan = args.selection.plan.as_deref();
    let plan = plan.map(|plan| check_plan(plan, max_age, &connection, wall_clock(), console));
    let command = if args.selection.dry_run { CommandKind::Plan } else { command };
    let spec = spec(args, command, plan.transpose()?)?;
    let around = Surroundings::new(&connection, context);
    let mut run = job::run(&spec, &around)?;
    if spec.verify && matches!(run.status, Status::Success | Status::NotAllWell) {
        let verified = verify(&spec, &around)?;
        if verified.status != Status::Success {
            run.status = verified.status;
        }
        run.summary.exit_code = run.status.code();
        run.note_exit_code()?;
        run.summary.verified = Some(verified.summary.counts);
    }
    run.answer(&spec)
}

/// Reads back what the run unlocked. What an earlier look back found is of an earlier run.
fn verify(spec: &Spec, around: &Surroundings<'_>) -> Result<Closed, Failure> {
    let answers =
        Answers { existing: Existing::Replace, json: false, report: None, ..spec.answers.clone() };
    let output = Sidecars::beside(&spec.output).verify;
    let execution = Execution { max_duration: None, max_fail: None, ..spec.execution };
    let kept = spec.kept.clone();
    let results = (spec.output.clone(), spec.input.kind_of_cells());
    job::run(&read_back(results, output, kept, answers, execution), around)
}

fn spec(args: RunArgs, command: CommandKind, plan: Option<Manifest>) -> Result<Spec, Failure> {
    let (if_empty, exclude) = (args.input.if_empty, args.input.exclude.clone());
    let input = match args.selection.plan {
        Some(path) => {
            let named_by = plan.as_ref().map(Manifest::named_by).unwrap_or_default();
            InputChoice::Recorded(path, Outcome::WouldUnlock, named_by)
        }
        None => input_choice(args.input)?,
    };
    Ok(Spec {
        command,
        if_empty,
        exclude,
        kept: args.connection.files(),
        only_locked: args.selection.only_locked,
        // Exactly those whom the plan would unlock: also where it was made to include them.
        admin_locked: admin_locked(
            args.selection.include_admin_locked
                || plan.is_some_and(|it| it.setting("include_admin_locked") == Some(&true.into())),
        ),
        expect_count: args.guards.expect_count,
        max_users: args.guards.max_users,
        yes: args.selection.yes,
        reason: args.selection.reason,
        canary: args.guards.canary.map(|n| usize::try_from(n).unwrap_or(usize::MAX)),
        verify: args.verify && command == CommandKind::Run,
        output: output(args.output.output.as_deref(), &input, command),
        answers: Answers::new(args.output),
        execution: Execution::new(&args.execution),
        input,
    })
}
/// Where the users come from and how they are read.
pub(super) fn input_choice(args: InputArgs) -> Result<InputChoice, Failure> {
    let carry = match args.carry.as_slice() {
        [] => Carry::None,
        [all] if all == "all" => Carry::All,
        _ => Carry::Named(args.carry),
    };
    let column = args.column.map(|column| match column.parse() {
        Ok(column) => column,
        Err(never) => match never {},
    });
    let results = args.input.as_deref().filter(|_| args.retry_failed);
    let options = Options {
        kind: kind_of(args.by, results)?,
        column,
        delimiter: args.delimiter,
        lenient: args.lenient,
        limit: args.limit,
        skip: args.skip,
        carry,
        retry_failed: args.retry_failed,
        takes_admin_locked: false,
    };
    InputChoice::new(args.input, options, args.max_input_age)
}

/// What the column holds: as was said, and of results that are tried again as was said then.
fn kind_of(kind: IdentifierKind, results: Option<&Path>) -> Result<IdentifierKind, Failure> {
    let Some(results) = results.filter(|_| kind == IdentifierKind::UserId) else { return Ok(kind) };
    let manifest = Manifest::read(&Sidecars::beside(results).manifest);
    let manifest = manifest.map_err(|error| Failure::usage(error.to_string()))?;
    Ok(manifest.map_or(kind, |manifest| manifest.named_by()))
}

/// The output that was named, or one named after the input.
pub(super) fn output(named: Option<&Path>, input: &InputChoice, command: CommandKind) -> PathBuf {
    let ending = match command {
        CommandKind::Run => "results",
        CommandKind::Plan => "plan",
        CommandKind::Verify => "verify",
        CommandKind::Locked => "locked",
    };
    named.map_or_else(|| format!("{}.{ending}.csv", input.stem()).into(), Path::to_owned)
}

pub(super) fn admin_locked(include: bool) -> AdminLocked {
    if include { AdminLocked::Include } else { AdminLocked::LeaveAlone }
}
