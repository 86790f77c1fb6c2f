//! `verify`: read back whom a results file says was unlocked.

use std::path::PathBuf;

use crate::cli::Context;
use crate::cli::args::{IfEmpty, VerifyArgs};
use crate::cli::connection::{Connection, Instance};
use crate::cli::failure::Failure;
use crate::cli::job::{
    self, Answers, Execution, InputChoice, Spec, Surroundings, check_finished, check_instance,
    warn_unchecked,
};
use crate::cli::status::Status;
use crate::model::{IdentifierKind, Outcome};
use crate::policy::decide::AdminLocked;
use crate::results::{Manifest, Sidecars};
use crate::stats::summary::CommandKind;

pub(in crate::cli) fn verify(args: VerifyArgs, context: Context<'_>) -> Result<Status, Failure> {
    let console = context.console;
    let connection = Connection::open(&args.connection, &args.sandbox, &args.execution, console)?;
    let beside = Sidecars::beside(&args.results);
    let manifest =
        Manifest::read(&beside.manifest).map_err(|error| Failure::usage(error.to_string()))?;
    match &manifest {
        Some(manifest) if manifest.kind != CommandKind::Run => {
            return Err(Failure::usage(format!(
                "{} is no results file of a run, so it names nobody who was unlocked",
                args.results.display()
            )));
        }
        Some(manifest) => check_instance(&args.results, manifest, &connection)?,
        None => warn_unchecked(&args.results, console),
    }
    check_finished(&args.results, manifest.as_ref(), console)?;
    if connection.instance == Instance::Sandbox {
        console.warning(
            "a new sandbox remembers no earlier run, so it will find most of these users locked; \
             bulk-unlock sandbox starts one that several commands share",
        );
    }
    let output = args.output.output.clone().unwrap_or(beside.verify);
    let answers = Answers::new(args.output);
    let (kept, execution) = (args.connection.files(), Execution::new(&args.execution));
    let named_by = manifest.as_ref().map(Manifest::named_by).unwrap_or_default();
    let spec = read_back((args.results, named_by), output, kept, answers, execution);
    job::run(&spec, &Surroundings::new(&connection, context))?.answer(&spec)
}

/// What reads back whom a results file, and the kind that its users were named by, says was
/// unlocked.
pub(super) fn read_back(
    (results, named_by): (PathBuf, IdentifierKind),
    output: PathBuf,
    kept: Vec<PathBuf>,
    answers: Answers,
    execution: Execution,
) -> Spec {
    Spec {
        command: CommandKind::Verify,
        input: InputChoice::Recorded(results, Outcome::Unlocked, named_by),
        if_empty: IfEmpty::Warn,
        exclude: None,
        kept,
        only_locked: true,
        admin_locked: AdminLocked::LeaveAlone,
        expect_count: None,
        max_users: None,
        yes: true,
        reason: None,
        canary: None,
        verify: false,
        output,
        answers,
        execution,
    }
}
