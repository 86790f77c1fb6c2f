//! Files of earlier runs: whether this job may continue, retry, or run them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::connection::{Connection, Instance};
use super::exit::Failure;
use super::input::Input;
use super::paths::Paths;
use super::settings::{ExistingFile, JobSettings};
use crate::policy::plan::Done;
use crate::report::{Console, text};
use crate::results::manifest::{FileEntry, Manifest};
use crate::results::sidecars::check_places;
use crate::results::{
    Existing, Resumed, Sidecars, Unfinished, refuse_existing, resume, sha256_file,
};
use crate::stats::summary::CommandKind;

/// The run that a job resumes, and what happens to files that exist.
pub(super) struct PreviousRun {
    pub(super) resumed: Option<Resumed>,
    pub(super) manifest: Option<Manifest>,
    pub(super) existing: Existing,
}

impl PreviousRun {
    /// Reads the run that is to be resumed and refuses files in the way. Nothing is changed yet; a
    /// file that is resumed is locked.
    pub(super) fn find(
        settings: &JobSettings,
        paths: &Paths,
        input: &Input,
        connection: &Connection,
        now: SystemTime,
        console: &Console,
    ) -> Result<Self, Failure> {
        let none = |existing| Self { resumed: None, manifest: None, existing };
        match check_in_the_way(settings, paths, connection)? {
            ExistingFile::Resume => {}
            ExistingFile::Replace => return Ok(none(Existing::Replace)),
            ExistingFile::Refuse => return Ok(none(Existing::Refuse)),
        }
        let (Some(results), Some(sidecars)) = (paths.results(), paths.sidecars()) else {
            return Ok(none(Existing::Refuse));
        };
        let Some(resumed) = resume(results, &input.records)? else {
            console.note(&format!(
                "{} does not exist yet; starting a new results file",
                results.display()
            ));
            return Ok(none(Existing::Refuse));
        };
        let manifest = Manifest::read(&sidecars.manifest)?;
        check_kind(settings, results, &resumed, manifest.as_ref())?;
        if settings.input.is_instance() {
            check_list(results, manifest.as_ref(), input)?;
        }
        if let Some(manifest) = &manifest {
            check_instance(results, manifest, connection)?;
        } else if resumed.done.n_rows() > 0 {
            warn_without_manifest(results, console);
        }
        if let Some(manifest) = manifest.as_ref().filter(|it| it.kind.is_plan()) {
            check_excludes(results, manifest, input)?;
        }
        let previous = Self { resumed: Some(resumed), manifest, existing: Existing::Refuse };
        previous.report(results, input, now, console);
        Ok(previous)
    }

    /// Takes what is recorded.
    pub(super) fn take_done(&mut self) -> Done {
        self.resumed.as_mut().map(|resumed| std::mem::take(&mut resumed.done)).unwrap_or_default()
    }

    fn report(&self, results: &Path, input: &Input, now: SystemTime, console: &Console) {
        let Some(resumed) = &self.resumed else { return };
        let is_cut_off = self.manifest.as_ref().is_some_and(|manifest| {
            manifest.kind.changes_users()
                && manifest
                    .passes
                    .last()
                    .is_some_and(|it| it.finished_at.is_none() || it.given_up > 0)
        });
        if input.looks_up && is_cut_off {
            console.warning(
                "the earlier run was cut off with requests in flight: users whom these requests \
                 changed are recorded as if they had not needed it, and `verify` and `relock` leave \
                 them out",
            );
        }
        let rows = text::counted(resumed.done.n_rows(), "row", "rows");
        console.note(&format!("Resuming {}: {rows} recorded", results.display()));
        if let Some(manifest) = self.manifest.as_ref().filter(|it| is_complete_look_up(it)) {
            let ago = manifest.finished_at.and_then(|at| now.duration_since(at).ok());
            let ago = text::duration(ago.unwrap_or_default());
            console.warning(&format!(
                "{} was finished {ago} ago; its users are not looked up again (--force looks them \
                 up again)",
                results.display()
            ));
        }
        if resumed.n_torn_bytes > 0 {
            let bytes = text::counted(resumed.n_torn_bytes, "byte", "bytes");
            console.note(&format!(
                "Removed an incomplete row ({bytes}) from the end; its user is processed again"
            ));
        }
        if let Some(place) = &resumed.cut_path {
            console.warning(&format!(
                "{} is damaged in the middle: the part from there on was moved to {}, and its \
                 users are processed again",
                results.display(),
                place.display()
            ));
        }
        let files = self.manifest.iter().flat_map(|manifest| &manifest.files);
        let then = files.into_iter().find(|file| file.role == "input").map(|file| &file.sha256);
        if then.is_some() && then != input.files.first().map(|file| &file.sha256) {
            console.warning("the input has changed since the first run; using it as it is now");
        }
    }
}

/// What happens to results that exist; refuses files in the way.
pub(super) fn check_in_the_way(
    settings: &JobSettings,
    paths: &Paths,
    connection: &Connection,
) -> Result<ExistingFile, Failure> {
    let (Some(results), Some(sidecars)) = (paths.results(), paths.sidecars()) else {
        return Ok(ExistingFile::Refuse);
    };
    let is_of_the_sandbox = connection.instance == Instance::Sandbox
        && settings.output.existing == ExistingFile::Refuse
        && is_result_of_the_sandbox(results, &sidecars.manifest);
    let existing = match settings.output.existing {
        ExistingFile::Refuse if is_of_the_sandbox => ExistingFile::Replace,
        existing => existing,
    };
    check_places(sidecars, existing == ExistingFile::Replace)?;
    if existing == ExistingFile::Refuse {
        refuse_existing(results)?;
        let page = paths.report().map_or(Ok(()), refuse_existing);
        page.map_err(|error| error.without_resume("--report"))?;
    }
    Ok(existing)
}

/// Refuses to resume a run of `--all-locked` with another list than that of its walk: users whom
/// the filters left out could be unlocked.
fn check_list(results: &Path, manifest: Option<&Manifest>, input: &Input) -> Result<(), Failure> {
    let is_input = |file: &&FileEntry| file.role == "input";
    let Some(found) = input.files.iter().find(is_input) else { return Ok(()) };
    let recorded = manifest.and_then(|manifest| manifest.files.iter().find(is_input));
    match recorded {
        Some(recorded) if recorded.sha256 == found.sha256 => Ok(()),
        Some(recorded) => Err(Failure::usage(format!(
            "{} was changed after the walk: its SHA-256 was {} and is now {}; restore the file, or \
             start a new run with another path for -o",
            found.name, recorded.sha256, found.sha256
        ))),
        None => Err(Failure::usage(format!(
            "{} is missing: cannot check whether {} is the list of the first run; start a new run \
             with another path for -o",
            Sidecars::beside(results).manifest.display(),
            found.name
        ))),
    }
}

/// `--sandbox` replaces results of the sandbox: they are of no value, and the same command should
/// work twice.
fn is_result_of_the_sandbox(results: &Path, manifest: &Path) -> bool {
    results.exists()
        && Manifest::read(manifest)
            .is_ok_and(|it| it.is_some_and(|it| it.instance == Instance::Sandbox.code()))
}

/// Whether nothing is left of a job that only looks users up: its findings may be out of date.
fn is_complete_look_up(manifest: &Manifest) -> bool {
    let only_looks = manifest.kind.is_plan() || manifest.kind == CommandKind::Verify;
    only_looks && manifest.finished_at.is_some() && manifest.unprocessed == 0
}

fn check_kind(
    settings: &JobSettings,
    results: &Path,
    resumed: &Resumed,
    manifest: Option<&Manifest>,
) -> Result<(), Failure> {
    let kind = resumed.kind().or_else(|| manifest.map(|manifest| manifest.kind));
    match kind.filter(|kind| *kind != settings.command) {
        None => Ok(()),
        Some(kind) => Err(Failure::output(format!(
            "{} was written by `{}`, not by `{}`; give another path with -o",
            results.display(),
            kind.name(),
            settings.command.name()
        ))),
    }
}

/// Settings that each row depends on: both halves of one file must have the same columns, and what
/// was redacted in the first must not show in the second.
const ROW_SETTINGS: [&str; 3] = ["by", "snapshot", "redact"];

/// Settings that decide which users a list names. With others, a resumed run could unlock users
/// whom the first run would not have unlocked.
const INPUT_SETTINGS: [&str; 16] = [
    "column",
    "delimiter",
    "plan",
    "plan_sha256",
    "retry_failed",
    "shard",
    "all_locked",
    "organization",
    "email_domain",
    "last_sign_in_after",
    "last_sign_in_before",
    "created_after",
    "created_before",
    "password_changed_after",
    "lock_ends_after",
    "skip_banned",
];

/// Refuses to resume a plan with other exclude files: its recorded rows were made without them.
fn check_excludes(results: &Path, manifest: &Manifest, input: &Input) -> Result<(), Failure> {
    let hashes = |files: &[FileEntry]| -> BTreeSet<String> {
        let excludes = files.iter().filter(|file| file.role == "exclude");
        excludes.map(|file| file.sha256.clone()).collect()
    };
    if hashes(&manifest.files) == hashes(&input.files) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "the exclude files are not those with which {} was begun, so its rows may name users who are \
         excluded now; make a new plan with --force",
        results.display()
    )))
}

/// Refuses to resume a run with other settings.
pub(super) fn check_settings(
    results: &Path,
    manifest: &Manifest,
    now: &Map<String, Value>,
) -> Result<(), Failure> {
    // A read-back at the end of a run has the settings of that run; `verify` has fewer.
    let is_different = |name: &&str| match (manifest.setting(name), now.get(*name)) {
        (Some(then), Some(now)) => then != now,
        _ => false,
    };
    let refuse = |names: &[&str]| {
        format!(
            "{} was started with {}, but this command has {}; use the same flags, or give another \
             path with -o",
            results.display(),
            flags(names, &manifest.settings),
            flags(names, now)
        )
    };
    if INPUT_SETTINGS.iter().any(&is_different) {
        return Err(Failure::usage(refuse(&INPUT_SETTINGS)));
    }
    if ROW_SETTINGS.iter().any(is_different) {
        return Err(Failure::output(refuse(&ROW_SETTINGS)));
    }
    Ok(())
}

/// The flags of these settings as they are typed.
fn flags(names: &[&str], settings: &Map<String, Value>) -> String {
    let flag = |name: &&str| {
        let flag = name.replace('_', "-");
        let value = match settings.get(*name)? {
            Value::Null | Value::Bool(false) => return None,
            Value::Bool(true) => return Some(format!("--{flag}")),
            Value::String(text) => text.clone(),
            Value::Array(list) if list.is_empty() => return None,
            Value::Array(list) => {
                list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        Some(format!("--{flag} {value}"))
    };
    let flags: Vec<String> = names.iter().filter_map(flag).collect();
    if flags.is_empty() { "none of these flags".to_owned() } else { flags.join(" ") }
}

/// Reads the manifest of a results file whose failed users are processed again, and refuses what
/// cannot be retried.
pub(crate) fn check_retried(
    results: &Path,
    connection: &Connection,
    console: &Console,
) -> Result<Option<Manifest>, Failure> {
    let path = Sidecars::beside(results).manifest;
    let manifest = Manifest::read(&path).map_err(|error| Failure::usage(error.to_string()))?;
    check_finished(results, manifest.as_ref(), console)?;
    match &manifest {
        Some(manifest) if manifest.kind != CommandKind::Run => {
            return Err(Failure::usage(format!(
                "{} is not a results file of `run`, which --retry-failed requires",
                results.display()
            )));
        }
        Some(manifest) => check_instance(results, manifest, connection)?,
        None => console.warning(&format!(
            "{} is missing: cannot check the host, the kind of instance, --exclude, guards, and \
             look-up of the run that wrote {}",
            path.display(),
            results.display()
        )),
    }
    Ok(manifest)
}

/// Reads the manifest of the results of a run that is to be undone, and refuses whatever might name
/// users whom this tool did not unlock in this instance, or not all of them.
pub(crate) fn check_undone(results: &Path, connection: &Connection) -> Result<Manifest, Failure> {
    let name = results.display();
    let sha256 =
        sha256_file(results).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    let path = Sidecars::beside(results).manifest;
    let manifest = Manifest::read(&path).map_err(|error| Failure::usage(error.to_string()))?;
    let manifest = manifest.ok_or_else(|| {
        Failure::usage(format!(
            "{} is missing: without it, nothing shows that {name} is of this instance and complete",
            path.display()
        ))
    })?;
    if manifest.kind != CommandKind::Run {
        return Err(Failure::usage(format!(
            "{name} is not a results file of `run`: it contains no unlocked users"
        )));
    }
    check_instance(results, &manifest, connection)?;
    if let Some(why) = Unfinished::check(results, Some(&manifest)).map_err(Failure::usage)? {
        return Err(Failure::usage(format!(
            "{name} is incomplete: {why}; finish the run with --resume first"
        )));
    }
    let made = manifest.files.iter().find(|file| file.role == "results");
    if made.is_none_or(|made| made.sha256 != sha256) {
        return Err(Failure::usage(format!(
            "{name} was changed after its run: it may name users whom the run did not unlock, or \
             lack some; restore the file as the run left it"
        )));
    }
    Ok(manifest)
}

/// Warns that a results file is of an unfinished run, and refuses one that must be repaired first.
pub(crate) fn check_finished(
    results: &Path,
    manifest: Option<&Manifest>,
    console: &Console,
) -> Result<(), Failure> {
    let Some(why) = Unfinished::check(results, manifest).map_err(Failure::usage)? else {
        let files = manifest.into_iter().flat_map(|manifest| &manifest.files);
        let made = files.into_iter().find(|file| file.role == "results");
        if made.is_some_and(|made| sha256_file(results).is_ok_and(|it| it != made.sha256)) {
            let n_rows = manifest.map(|manifest| text::counted(manifest.rows, "row", "rows"));
            console.warning(&format!(
                "{} was changed after its run, which left {}; using it as it is now",
                results.display(),
                n_rows.unwrap_or_default()
            ));
        }
        return Ok(());
    };
    let text =
        format!("{} is incomplete: {why}; finish the run with --resume first", results.display());
    if why == Unfinished::Torn {
        return Err(Failure::usage(text));
    }
    console.warning(&text);
    Ok(())
}

/// Warns of what cannot be checked of a results file without a manifest.
pub(crate) fn warn_without_manifest(results: &Path, console: &Console) {
    console.warning(&format!(
        "{} is missing: cannot check whether {} is of this instance and complete",
        Sidecars::beside(results).manifest.display(),
        results.display()
    ));
}

/// Warns that a new sandbox cannot show what an earlier run did.
pub(crate) fn warn_of_new_sandbox(connection: &Connection, console: &Console) {
    if connection.instance == Instance::Sandbox {
        console.warning(
            "a new sandbox does not know earlier runs and has most of these users locked; \
             `bulk-unlock sandbox` starts one that several commands can share",
        );
    }
}

/// Refuses a file that was made for another host or kind of instance.
pub(crate) fn check_instance(
    file: &Path,
    manifest: &Manifest,
    connection: &Connection,
) -> Result<(), Failure> {
    let now = (connection.instance.code(), connection.host.as_str());
    if (manifest.instance.as_str(), manifest.host.as_str()) == now {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} was made for the {} instance at {}, but this command would call the {} instance at {}",
        file.display(),
        manifest.instance,
        manifest.host,
        now.0,
        now.1
    )))
}

/// Refuses a plan that was changed, that has another hash than expected, that was made for another
/// instance, or that is too old. Returns its manifest and its hash.
pub(crate) fn check_plan(
    plan: &Path,
    expected: Option<&str>,
    max_age: Duration,
    connection: &Connection,
    now: SystemTime,
    console: &Console,
) -> Result<(Manifest, String), Failure> {
    let name = plan.display();
    let sha256 = sha256_file(plan).map_err(|error| Failure::usage(format!("{name}: {error}")))?;
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        return Err(Failure::usage(format!(
            "{name} is not the plan that was approved: its SHA-256 is {sha256}, but --plan-sha256 \
             is {expected}"
        )));
    }
    let path = Sidecars::beside(plan).manifest;
    let manifest = Manifest::read(&path).map_err(|error| Failure::usage(error.to_string()))?;
    let manifest = manifest.ok_or_else(|| {
        Failure::usage(format!(
            "{name} is not a plan, or its manifest {} is missing; make a plan with `bulk-unlock \
             plan`",
            path.display()
        ))
    })?;
    if manifest.kind != CommandKind::Plan {
        return Err(Failure::usage(format!(
            "{name} is not a plan; make a plan with `bulk-unlock plan`"
        )));
    }
    let Some(made) = manifest.files.iter().find(|file| file.role == "results") else {
        return Err(Failure::usage(format!(
            "{name} is incomplete; finish it with `plan --resume`, or make a new plan"
        )));
    };
    if made.sha256 != sha256 {
        return Err(Failure::usage(format!(
            "{name} was changed after it was made; make a new plan, or keep only its user_id column \
             and run that list with --only-locked"
        )));
    }
    check_instance(plan, &manifest, connection)?;
    // The oldest row decides, also where the plan was resumed later.
    let made_at = manifest.started_at.min(manifest.finished_at.unwrap_or(manifest.started_at));
    let age = now.duration_since(made_at).unwrap_or_default();
    if age > max_age {
        return Err(Failure::usage(format!(
            "{name} was made {} ago, but --plan-max-age is {}; make a new plan",
            text::duration(age),
            text::duration(max_age)
        )));
    }
    if manifest.unprocessed > 0 {
        let records = text::counted(manifest.unprocessed, "record", "records");
        console.warning(&format!("{name} is incomplete: {records} were not looked up"));
    }
    Ok((manifest, sha256))
}
