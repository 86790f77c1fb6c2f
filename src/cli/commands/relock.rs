//! `relock`: undo a run. Locks the users that its results say it unlocked.

use super::inherit::{inherit_exclude_files, note};
use crate::cli::args::RelockArgs;
use crate::cli::{connection, consent};
use crate::input::Filter;
use crate::job::{
    self, Context, ExitStatus, Failure, IfEmpty, InputSource, JobSettings, check_undone,
    warn_of_new_sandbox,
};
use crate::policy::classify::AdminLocked;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn relock(
    mut args: RelockArgs,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let connection = connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let (command, consent) = if args.dry_run {
        (CommandKind::RelockPlan, None)
    } else {
        (CommandKind::Relock, consent::ask(args.yes, connection.instance, console)?)
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
        note(&inherit_exclude_files(&earlier, exclude, &mut effective, console)?, console);
    }
    let settings = JobSettings {
        command,
        input: InputSource::Rows(
            args.results,
            Filter::unlocked(run.named_by(), args.include_unknown),
        ),
        if_empty: IfEmpty::Warn,
        exclude: args.exclude,
        protected: args.connection.files(),
        only_locked: false,
        admin_locked: AdminLocked::LeaveAlone,
        guards: args.guards.guards(),
        reason: args.reason,
        verify: false,
        pass: None,
        shard: None,
        plan_sha256: None,
        execution: args.execution.execution(),
        output: args.output.settings(output),
    };
    let context = Context { effective: &effective, ..context };
    job::run(&settings, &connection, context, consent)?.print_json(settings.output.json)
}
