//! `verify` and `relock`: read back the users whom a run unlocked, or lock them again.

use super::args::{RelockArgs, VerifyArgs};
use super::run::inherit_exclude_files;
use super::{connection, consent};
use crate::input::Filter;
use crate::job::{
    self, Context, Execution, ExitStatus, Failure, Guards, IfEmpty, InputSource, JobSettings,
    OutputSettings, check_finished, check_instance, check_undone, warn_of_new_sandbox,
    warn_without_manifest,
};
use crate::model::Outcome;
use crate::policy::classify::AdminLocked;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(super) fn verify(args: VerifyArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let connection = connection::open(&args.api.connection, &args.execution, console)?;
    let sidecars = Sidecars::beside(&args.results);
    let manifest = Manifest::read(&sidecars.manifest);
    let manifest = manifest.map_err(|error| Failure::usage(error.to_string()))?;
    match &manifest {
        Some(manifest) if manifest.kind != CommandKind::Run => {
            return Err(Failure::usage(format!(
                "{} is not a results file of `run`: it contains no unlocked users",
                args.results.display()
            )));
        }
        Some(manifest) => check_instance(&args.results, manifest, &connection)?,
        None => warn_without_manifest(&args.results, console),
    }
    check_finished(&args.results, manifest.as_ref(), console)?;
    warn_of_new_sandbox(&connection, console);
    let kind = manifest.as_ref().map(Manifest::named_by).unwrap_or_default();
    let output = args.output.output.clone().unwrap_or(sidecars.verify);
    let settings = read_back(
        InputSource::Rows(args.results, Filter::of(&[Outcome::Unlocked], kind)),
        args.execution.execution(),
        args.output.settings(output),
    );
    let json = settings.output.json;
    let finished = match args.watch {
        Some(length) => job::watch(settings, length, args.every, &connection, context)?,
        None => job::run(&settings, &connection, context, None)?,
    };
    finished.print_json(json)
}

/// The settings of a job that looks up users of a results file.
pub(super) fn read_back(
    input: InputSource,
    execution: Execution,
    output: OutputSettings,
) -> JobSettings {
    JobSettings {
        command: CommandKind::Verify,
        input,
        if_empty: IfEmpty::Warn,
        shard: None,
        exclude: Vec::new(),
        only_locked: true,
        plan_sha256: None,
        admin_locked: AdminLocked::LeaveAlone,
        guards: Guards::default(),
        reason: None,
        verify: false,
        pass: None,
        execution,
        output,
    }
}

pub(super) fn relock(mut args: RelockArgs, context: Context<'_>) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let connection = connection::open(&args.api.connection, &args.execution, console)?;
    let (command, consent) = if args.dry_run {
        (CommandKind::RelockPlan, None)
    } else {
        (CommandKind::Relock, consent::ask(args.consent.yes, connection.instance, console)?)
    };
    let run = check_undone(&args.results, &connection)?;
    warn_of_new_sandbox(&connection, console);
    let output = args.output.output.clone();
    let output = output.unwrap_or_else(|| Sidecars::beside(&args.results).relock);
    let mut effective = context.effective.clone();
    if args.output.resume
        && output.exists()
        && let Some(earlier) = Manifest::read(&Sidecars::beside(&output).manifest)?
    {
        let exclude = &mut args.exclude;
        inherit_exclude_files(&earlier, exclude, &mut effective, Vec::new(), console)?;
    }
    let users = Filter::unlocked(run.named_by(), args.include_unknown);
    let settings = JobSettings {
        command,
        only_locked: false,
        exclude: args.exclude,
        guards: args.guards.guards(),
        reason: args.consent.reason,
        ..read_back(
            InputSource::Rows(args.results, users),
            args.execution.execution(),
            args.output.settings(output),
        )
    };
    let context = Context { effective: &effective, ..context };
    job::run(&settings, &connection, context, consent)?.print_json(settings.output.json)
}
