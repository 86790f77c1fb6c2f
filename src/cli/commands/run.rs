//! `run`: unlock every listed user. `plan`, and `run --dry-run`: the same, without the unlocks.

use std::path::{Path, PathBuf};

use super::inherit::inherit;
use super::verify::read_back;
use crate::cli::args::{InputArgs, RunArgs};
use crate::cli::{connection, consent};
use crate::engine::wall_clock;
use crate::input::{Carry, Filter, Options};
use crate::job::{
    self, Connection, Context, ExistingFile, ExitStatus, Failure, Finished, InputSource,
    JobSettings, OutputSettings, check_plan, check_retried,
};
use crate::model::{IdentifierKind, Outcome};
use crate::policy::decide::AdminLocked;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn run(
    mut args: RunArgs,
    command: CommandKind,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let connection = connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let command = if args.selection.dry_run { CommandKind::Plan } else { command };
    let consent = match command {
        CommandKind::Run => consent::ask(args.selection.yes, connection.instance, console)?,
        _ => None,
    };
    let max_age = args.selection.plan_max_age;
    let plan = args.selection.plan.as_deref();
    let plan = plan.map(|plan| check_plan(plan, max_age, &connection, wall_clock(), console));
    let plan = plan.transpose()?;
    let retried = retried(&args, &connection, context)?;
    let input = input(&mut args, plan.as_ref(), retried.as_ref())?;
    let output = output_path(args.output.output.as_deref(), &input, command);
    let mut effective = context.effective.clone();
    if let Some(manifest) = &retried {
        inherit(manifest, &mut args, &mut effective, console)?;
    }
    if args.output.resume
        && output.exists()
        && let Some(manifest) = Manifest::read(&Sidecars::beside(&output).manifest)?
    {
        inherit(&manifest, &mut args, &mut effective, console)?;
    }
    let context = Context { effective: &effective, ..context };
    let settings = settings(args, command, input, output, plan.as_ref());
    let mut finished = job::run(&settings, &connection, context, consent)?;
    if settings.verify && matches!(finished.status, ExitStatus::Success | ExitStatus::NotAllWell) {
        let verified = verify(&settings, &connection, context)?;
        finished.add_verified(&verified)?;
    }
    finished.print_json(settings.output.json)
}

/// The manifest of the run whose failed users are processed again.
fn retried(
    args: &RunArgs,
    connection: &Connection,
    context: Context<'_>,
) -> Result<Option<Manifest>, Failure> {
    let results = args.input.input.as_deref().filter(|path| path.as_os_str() != "-");
    match (args.input.retry_failed, results) {
        (false, _) => Ok(None),
        (true, Some(results)) => check_retried(results, connection, context.console),
        (true, None) => {
            context.console.warning(
                "the results file comes from stdin, without its manifest: cannot check the host, \
                 the kind of instance, --exclude, guards, and look-up of the run that wrote it",
            );
            Ok(None)
        }
    }
}

fn input(
    args: &mut RunArgs,
    plan: Option<&Manifest>,
    retried: Option<&Manifest>,
) -> Result<InputSource, Failure> {
    if let Some(path) = args.selection.plan.take() {
        let kind = plan.map(Manifest::named_by).unwrap_or_default();
        return Ok(InputSource::Rows(path, Filter::of(&[Outcome::WouldUnlock], kind)));
    }
    if let Some(manifest) = retried.filter(|_| args.input.by == IdentifierKind::UserId) {
        args.input.by = manifest.named_by();
    }
    let InputArgs { input, column, by, retry_failed, limit, skip, delimiter, lenient, .. } =
        &args.input;
    let carry = match args.input.carry.as_slice() {
        [] => Carry::None,
        [all] if all == "all" => Carry::All,
        named => Carry::Named(named.to_vec()),
    };
    let column = column.as_deref().map(|column| match column.parse() {
        Ok(column) => column,
        Err(never) => match never {},
    });
    let options = Options {
        kind: *by,
        column,
        delimiter: *delimiter,
        lenient: *lenient,
        limit: *limit,
        skip: *skip,
        carry,
        retry_failed: *retry_failed,
        takes_admin_locked: false,
    };
    InputSource::new(input.clone(), options, args.input.max_input_age)
}

/// The output that was named, or one named after the input.
fn output_path(named: Option<&Path>, input: &InputSource, command: CommandKind) -> PathBuf {
    let ending = if command == CommandKind::Plan { "plan" } else { "results" };
    named.map_or_else(|| format!("{}.{ending}.csv", input.stem()).into(), Path::to_owned)
}

fn settings(
    args: RunArgs,
    command: CommandKind,
    input: InputSource,
    output: PathBuf,
    plan: Option<&Manifest>,
) -> JobSettings {
    // Exactly the users whom the plan would unlock: also where it was made to include them.
    let is_in_plan =
        plan.is_some_and(|plan| plan.setting("include_admin_locked") == Some(&true.into()));
    let admin_locked = args.selection.include_admin_locked || is_in_plan;
    JobSettings {
        command,
        if_empty: args.input.if_empty,
        exclude: args.input.exclude,
        protected: args.connection.files(),
        only_locked: args.selection.only_locked,
        admin_locked: if admin_locked { AdminLocked::Include } else { AdminLocked::LeaveAlone },
        guards: args.guards.guards(),
        reason: args.selection.reason,
        verify: args.verify && command == CommandKind::Run,
        pass: None,
        execution: args.execution.execution(),
        output: args.output.settings(output),
        input,
    }
}

/// Reads back what the run unlocked, and replaces the file of an earlier read-back.
fn verify(
    settings: &JobSettings,
    connection: &Connection,
    context: Context<'_>,
) -> Result<Finished, Failure> {
    let output = OutputSettings {
        path: Sidecars::beside(&settings.output.path).verify,
        existing: ExistingFile::Replace,
        json: false,
        report: None,
        ..settings.output.clone()
    };
    let execution = job::Execution { max_duration: None, ..settings.execution };
    let results = (settings.output.path.clone(), settings.input.kind_of_cells());
    let settings = read_back(results, settings.protected.clone(), output, execution);
    job::run(&settings, connection, context, None)
}
