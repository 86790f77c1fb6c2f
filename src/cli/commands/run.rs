//! `run`: unlock every listed user. `plan`, and `run --dry-run`: the same, without the unlocks.

use std::path::PathBuf;

use super::inherit::{inherit, inherit_exclude_files, note};
use super::verify::read_back;
use crate::cli::args::{InputArgs, RunArgs};
use crate::cli::{connection, consent, shard};
use crate::engine::wall_clock;
use crate::input::{Carry, Filter, Options};
use crate::job::{
    self, Connection, Context, ExistingFile, ExitStatus, Failure, Finished, IfEmpty, InputSource,
    JobSettings, OutputSettings, check_plan, check_retried,
};
use crate::model::{IdentifierKind, Outcome};
use crate::policy::classify::AdminLocked;
use crate::policy::selection::Condition;
use crate::policy::shard::Shard;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn run(
    mut args: RunArgs,
    command: CommandKind,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let console = context.console;
    check_requirements(&args)?;
    let mut effective = context.effective.clone();
    let shard = shard::apply(args.input.shard, &mut args.execution, &mut effective)?;
    let connection = connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let command = if args.selection.dry_run { CommandKind::Plan } else { command };
    let consent = match command {
        CommandKind::Run => consent::ask(args.selection.yes, connection.instance, console)?,
        _ => None,
    };
    let max_age = args.selection.plan_max_age;
    let plan = args.selection.plan.as_deref().map(|plan| {
        let expected = args.selection.plan_sha256.as_deref();
        check_plan(plan, expected, max_age, &connection, wall_clock(), console)
    });
    let (plan, plan_sha256) = plan.transpose()?.unzip();
    let retried = retried(&args, &connection, context)?;
    for manifest in plan.iter().chain(&retried) {
        shard::check_same(shard, manifest)?;
    }
    let (input, output) = input(&mut args, command, shard, plan.as_ref(), retried.as_ref())?;
    if let Some(manifest) = &plan {
        let exclude = &mut args.input.exclude;
        note(&inherit_exclude_files(manifest, exclude, &mut effective, console)?, console);
    }
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
    let settings = JobSettings { shard, plan_sha256, ..settings };
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

/// Refuses flags that have no meaning without another one.
fn check_requirements(args: &RunArgs) -> Result<(), Failure> {
    if args.selection.plan_sha256.is_some() && args.selection.plan.is_none() {
        return Err(Failure::usage("--plan-sha256 requires --plan, the plan that has this hash"));
    }
    let conditions = args.filters.selection(wall_clock()).conditions;
    if let Some(condition) = conditions.first().filter(|_| !args.input.all_locked) {
        return Err(Failure::usage(format!(
            "{condition} selects users of the instance and requires --all-locked; it does not \
             filter a list of users"
        )));
    }
    Ok(())
}

/// The users and the results file.
fn input(
    args: &mut RunArgs,
    command: CommandKind,
    shard: Option<Shard>,
    plan: Option<&Manifest>,
    retried: Option<&Manifest>,
) -> Result<(InputSource, PathBuf), Failure> {
    let named = args.output.output.clone();
    if args.input.all_locked {
        args.selection.only_locked = true;
        let output = named.unwrap_or_else(|| output_path("locked", command, shard));
        let mut selection = args.filters.selection(wall_clock());
        if !args.selection.include_admin_locked {
            selection.conditions.push(Condition::NotAdminLocked);
        }
        let list = Sidecars::beside(&output).input;
        return Ok((InputSource::Instance { list, selection, limit: args.input.limit }, output));
    }
    let input = list_of_users(args, plan, retried)?;
    let output = named.unwrap_or_else(|| output_path(&input.stem(), command, shard));
    Ok((input, output))
}

fn list_of_users(
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

/// A results file that is named after the input, and after the shard, so that shards can share a
/// directory. An input that is this shard's own file has its name already.
fn output_path(stem: &str, command: CommandKind, shard: Option<Shard>) -> PathBuf {
    let ending = if command == CommandKind::Plan { "plan" } else { "results" };
    let part = shard.map(Shard::file_part).filter(|part| stem.split('.').all(|it| it != part));
    let part = part.map(|part| format!(".{part}")).unwrap_or_default();
    format!("{stem}{part}.{ending}.csv").into()
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
        if_empty: args.input.if_empty.unwrap_or(match input {
            InputSource::Instance { .. } => IfEmpty::Ok,
            _ => IfEmpty::Fail,
        }),
        shard: None,
        exclude: args.input.exclude,
        protected: args.connection.files(),
        only_locked: args.selection.only_locked,
        plan_sha256: None,
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
