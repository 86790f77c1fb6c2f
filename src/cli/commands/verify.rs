//! `verify`: read back the users that a results file says were unlocked.

use std::path::PathBuf;

use crate::cli::args::VerifyArgs;
use crate::cli::connection;
use crate::input::Filter;
use crate::job::{
    self, Context, Execution, ExitStatus, Failure, Guards, IfEmpty, InputSource, JobSettings,
    OutputSettings, check_finished, check_instance, warn_of_new_sandbox, warn_without_manifest,
};
use crate::model::{IdentifierKind, Outcome};
use crate::policy::decide::AdminLocked;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn verify(
    args: VerifyArgs,
    context: Context<'_>,
) -> Result<ExitStatus, Failure> {
    let console = context.console;
    let connection = connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
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
        (args.results, kind),
        args.connection.files(),
        args.output.settings(output),
        args.execution.execution(),
    );
    let json = settings.output.json;
    let finished = match args.watch {
        Some(length) => job::watch(settings, length, args.every, &connection, context)?,
        None => job::run(&settings, &connection, context, None)?,
    };
    finished.print_json(json)
}

/// Reads back the users that a results file says were unlocked, and who are named by this kind of
/// identifier in its input.
pub(super) fn read_back(
    (results, kind): (PathBuf, IdentifierKind),
    protected: Vec<PathBuf>,
    output: OutputSettings,
    execution: Execution,
) -> JobSettings {
    JobSettings {
        command: CommandKind::Verify,
        input: InputSource::Rows(results, Filter::of(&[Outcome::Unlocked], kind)),
        if_empty: IfEmpty::Warn,
        shard: None,
        exclude: Vec::new(),
        protected,
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
