//! A plan that is to be run: exactly as it was made, for this instance, and not too old.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::check_instance;
use crate::cli::connection::Connection;
use crate::cli::failure::Failure;
use crate::report::{Console, text};
use crate::results::{Manifest, Sidecars, sha256_file};
use crate::stats::summary::CommandKind;

/// Refuses a plan that was changed, that was made for another instance, or that is too old; gives
/// what its manifest says.
pub(in crate::cli) fn check_plan(
    plan: &Path,
    max_age: Duration,
    connection: &Connection,
    now: SystemTime,
    console: &Console,
) -> Result<Manifest, Failure> {
    let name = plan.display();
    let sha256 = sha256_file(plan).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let path = Sidecars::beside(plan).manifest;
    let manifest = Manifest::read(&path).map_err(|error| Failure::usage(error.to_string()))?;
    let manifest = manifest.ok_or_else(|| {
        Failure::usage(format!(
            "{name} has no {} beside it, so nothing tells whether it is as it was made; make the \
             plan anew",
            path.display()
        ))
    })?;
    if manifest.kind != CommandKind::Plan {
        return Err(Failure::usage(format!("{name} is no plan: `bulk-unlock plan` makes one")));
    }
    let made = manifest.files.iter().find(|file| file.role == "results");
    let Some(made) = made else {
        return Err(Failure::usage(format!(
            "{name} was never finished; finish it with `plan --resume`, or make it anew"
        )));
    };
    if made.sha256 != sha256 {
        return Err(Failure::usage(format!(
            "{name} was changed since it was made; make the plan again, or keep only its user_id \
             column and run that list with --only-locked"
        )));
    }
    check_instance(plan, &manifest, connection)?;
    check_age(plan, &manifest, max_age, now)?;
    if manifest.unprocessed > 0 {
        console.warning(&format!(
            "{name} is not complete: {} of its input {} never looked up",
            text::counted(manifest.unprocessed, "record", "records"),
            if manifest.unprocessed == 1 { "was" } else { "were" }
        ));
    }
    Ok(manifest)
}

fn check_age(
    plan: &Path,
    manifest: &Manifest,
    max_age: Duration,
    now: SystemTime,
) -> Result<(), Failure> {
    // A plan is as old as its oldest row, also where it was gone on with later.
    let finished_at = manifest.finished_at.unwrap_or(manifest.started_at);
    let made_at = manifest.started_at.min(finished_at);
    match now.duration_since(made_at) {
        Ok(age) if age > max_age => Err(Failure::usage(format!(
            "{} was made {} ago, and --plan-max-age allows {}; make the plan anew",
            plan.display(),
            text::duration(age),
            text::duration(max_age)
        ))),
        _ => Ok(()),
    }
}
