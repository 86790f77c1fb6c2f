//! `run`: unlock every listed user. `plan`, and `run --dry-run`: the same, without the unlocks.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::args::{InputArgs, RunArgs};
use super::values::max_fail;
use super::verify::read_back;
use super::{connection, consent, shard};
use crate::engine::wall_clock;
use crate::input::{Carry, Filter, Options};
use crate::job::{
    self, Connection, Context, Effective, ExistingFile, ExitStatus, Failure, Finished, IfEmpty,
    InputSource, JobSettings, OutputSettings, check_plan, check_retried,
};
use crate::model::{IdentifierKind, Outcome};
use crate::policy::classify::AdminLocked;
use crate::policy::selection::Condition;
use crate::policy::shard::Shard;
use crate::report::Console;
use crate::results::{Manifest, Sidecars, sha256_file};
use crate::stats::summary::CommandKind;

pub(super) fn run(
    mut args: RunArgs,
    command: CommandKind,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let console = context.console;
    check_requirements(&args)?;
    let mut effective = context.effective.clone();
    let shard = shard::apply(args.input.shard, &mut args.execution.pace, &mut effective)?;
    let connection = connection::open(&args.api.connection, &args.execution, console)?;
    let command = if args.selection.dry_run { CommandKind::Plan } else { command };
    let consent = match command {
        CommandKind::Run => consent::ask(args.consent.yes, connection.instance, console)?,
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
        inherit_exclude_files(manifest, exclude, &mut effective, Vec::new(), console)?;
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
    // A plan that includes users who look locked on purpose means them too.
    let is_in_plan =
        plan.is_some_and(|plan| plan.setting("include_admin_locked") == Some(&Value::Bool(true)));
    let admin_locked = args.selection.include_admin_locked || is_in_plan;
    let settings = JobSettings {
        command,
        if_empty: args.input.if_empty.unwrap_or(match input {
            InputSource::Instance { .. } => IfEmpty::Ok,
            _ => IfEmpty::Fail,
        }),
        input,
        shard,
        exclude: args.input.exclude,
        only_locked: args.selection.only_locked,
        plan_sha256,
        admin_locked: if admin_locked { AdminLocked::Include } else { AdminLocked::LeaveAlone },
        guards: args.guards.guards(),
        reason: args.consent.reason,
        verify: args.verify && command == CommandKind::Run,
        pass: None,
        execution: args.execution.execution(),
        output: args.output.settings(output),
    };
    let context = Context { effective: &effective, ..context };
    let mut finished = job::run(&settings, &connection, context, consent)?;
    if settings.verify && matches!(finished.status, ExitStatus::Success | ExitStatus::NotAllWell) {
        match verify(&settings, &connection, context) {
            Ok(verified) => finished.add_verified(&verified)?,
            Err(failure) => {
                console.error(&format!("cannot read back the unlocked users: {failure}"));
                finished.set_status(failure.status.after_changes())?;
            }
        }
    }
    finished.print_json(settings.output.json)
}

/// The manifest of the run whose failed users are processed again.
fn retried(
    args: &RunArgs,
    connection: &Connection,
    context: Context<'_>,
) -> Result<Option<Manifest>, Failure> {
    if !args.input.retry_failed {
        return Ok(None);
    }
    if let Some(results) = args.input.input.as_deref().filter(|path| path.as_os_str() != "-") {
        return check_retried(results, connection, context.console);
    }
    context.console.warning(
        "the results file comes from stdin, without its manifest: cannot check the host, the kind \
         of instance, --exclude, guards, and look-up of the run that wrote it",
    );
    Ok(None)
}

/// Refuses flags without the flag that they require. (`requires` of clap does not hold where the
/// required flag conflicts with another one.)
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
    let input = if let Some(path) = args.selection.plan.take() {
        let kind = plan.map(Manifest::named_by).unwrap_or_default();
        InputSource::Rows(path, Filter::of(&[Outcome::WouldUnlock], kind))
    } else {
        if let Some(manifest) = retried.filter(|_| args.input.by == IdentifierKind::UserId) {
            args.input.by = manifest.named_by();
        }
        list_of_users(&args.input)?
    };
    let output = named.unwrap_or_else(|| output_path(&input.stem(), command, shard));
    Ok((input, output))
}

fn list_of_users(args: &InputArgs) -> Result<InputSource, Failure> {
    let carry = match args.carry.as_slice() {
        [] => Carry::None,
        [all] if all == "all" => Carry::All,
        named => Carry::Named(named.to_vec()),
    };
    let options = Options {
        kind: args.by,
        column: args.column.clone(),
        delimiter: args.delimiter,
        lenient: args.lenient,
        limit: args.limit,
        skip: args.skip,
        carry,
        retry_failed: args.retry_failed,
        takes_admin_locked: false,
    };
    InputSource::new(args.input.clone(), options, args.max_input_age)
}

/// A results file named after the input and the shard, so that shards can share a directory. The
/// name of an input that is a file of this shard contains the shard already.
fn output_path(stem: &str, command: CommandKind, shard: Option<Shard>) -> PathBuf {
    let ending = if command == CommandKind::Plan { "plan" } else { "results" };
    let part = shard.map(Shard::file_part).filter(|part| stem.split('.').all(|it| it != part));
    let part = part.map(|part| format!(".{part}")).unwrap_or_default();
    format!("{stem}{part}.{ending}.csv").into()
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
    let users = Filter::of(&[Outcome::Unlocked], settings.input.kind_of_cells());
    let input = InputSource::Rows(settings.output.path.clone(), users);
    let execution = job::Execution { max_duration: None, ..settings.execution };
    let settings = read_back(input, execution, output);
    job::run(&settings, connection, context, None)
}

/// Adds the settings by which an earlier run left users out, so that they hold even if a flag is
/// not repeated; for a retry also its guards, unless the command line has them. A resumed run takes
/// its guards from its own command line, because it may be continued without `--max-fail` on purpose.
fn inherit(
    manifest: &Manifest,
    args: &mut RunArgs,
    effective: &mut Effective,
    console: &Console,
) -> Result<(), Failure> {
    let mut flags = Vec::new();
    if !args.selection.only_locked && manifest.setting("only_locked") == Some(&Value::Bool(true)) {
        args.selection.only_locked = true;
        effective.map.insert("only_locked".to_owned(), true.into());
        effective.line = effective.line.clone().switch("only-locked");
        flags.push("--only-locked".to_owned());
    }
    for flag in ["max-users", "canary", "max-fail"].into_iter().filter(|_| args.input.retry_failed)
    {
        let guards = &mut args.guards;
        let name = flag.replace('-', "_");
        let Some(value) = manifest.setting(&name) else { continue };
        match (flag, value.as_u64(), value.as_str()) {
            ("max-users", Some(n), _) if guards.max_users.is_none() => guards.max_users = Some(n),
            ("canary", Some(n), _) if guards.canary.is_none() => {
                guards.canary = Some(u32::try_from(n).unwrap_or(u32::MAX));
            }
            ("max-fail", _, Some(text)) if guards.max_fail.is_none() => {
                guards.max_fail = Some(max_fail(text).map_err(Failure::usage)?);
            }
            _ => continue,
        }
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        flags.push(format!("--{flag} {text}"));
        effective.line = effective.line.clone().value(flag, text);
        effective.map.insert(name, value.clone());
    }
    inherit_exclude_files(manifest, &mut args.input.exclude, effective, flags, console)
}

/// Adds the exclude files of an earlier run, also to the printed command, and prints them with
/// `flags`, which were inherited before. An unreadable exclude file is an error, unless a given file
/// has the same content.
pub(super) fn inherit_exclude_files(
    manifest: &Manifest,
    given: &mut Vec<PathBuf>,
    effective: &mut Effective,
    mut flags: Vec<String>,
    console: &Console,
) -> Result<(), Failure> {
    let n_given = given.len();
    for file in manifest.files.iter().filter(|file| file.role == "exclude") {
        let path = Path::new(&file.name);
        let name = path.display();
        let has_content = |it: &PathBuf| sha256_file(it).is_ok_and(|it| it == file.sha256);
        if given.iter().any(|it| it == path) || given.iter().any(has_content) {
            continue;
        }
        let sha256 = sha256_file(path).map_err(|error| {
            Failure::usage(format!(
                "cannot read {name}, the exclude file of the earlier run: {error}; give the file \
                 with --exclude"
            ))
        })?;
        if sha256 != file.sha256 {
            console.warning(&format!(
                "{name} has changed since the earlier run; using it as it is now"
            ));
        }
        flags.push(format!("--exclude {name}"));
        given.push(path.to_owned());
    }
    if given.len() > n_given {
        effective.set_values("exclude", given.iter().map(|file| file.clone().into()).collect());
    }
    if !flags.is_empty() {
        console.note(&format!("Using settings of the earlier run: {}", flags.join(", ")));
    }
    Ok(())
}
