//! Files of earlier runs: whether this job may continue, retry, undo, or run them.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use super::command_line::FILTERS;
use super::connection::{Connection, Instance};
use super::exit::{ExitStatus, Failure};
use super::input::Input;
use super::output_paths::check_in_the_way;
use super::settings::{ExistingFile, JobSettings};
use crate::report::{Console, text};
use crate::results::manifest::{FileEntry, Manifest};
use crate::results::{Existing, Resumed, Sidecars, Unfinished, resume, sha256_file};
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
        input: &Input,
        connection: &Connection,
        now: SystemTime,
        console: &Console,
    ) -> Result<Self, Failure> {
        let none = |existing| Self { resumed: None, manifest: None, existing };
        match check_in_the_way(settings, connection)? {
            ExistingFile::Resume => {}
            ExistingFile::Replace => return Ok(none(Existing::Replace)),
            ExistingFile::Refuse => return Ok(none(Existing::Refuse)),
        }
        let results = settings.output.path.as_path();
        let name = results.display();
        let Some(resumed) = resume(results, &input.records)? else {
            console.note(&format!("{name} does not exist yet; starting a new results file"));
            return Ok(none(Existing::Refuse));
        };
        let manifest = Manifest::read(&Sidecars::beside(results).manifest)?;
        let kind = resumed.kind().or_else(|| manifest.as_ref().map(|manifest| manifest.kind));
        if let Some(kind) = kind.filter(|kind| *kind != settings.command) {
            return Err(Failure::output(format!(
                "{name} was written by `{}`, not by `{}`; give another path with -o",
                kind.name(),
                settings.command.name()
            )));
        }
        if settings.input.is_instance() {
            check_list(results, manifest.as_ref(), input)?;
        }
        match &manifest {
            Some(manifest) => {
                check_instance(results, manifest, connection)?;
                if manifest.kind.is_plan() {
                    check_excludes(results, manifest, input)?;
                }
            }
            None if resumed.done.n_rows() > 0 => warn_without_manifest(results, console),
            None => {}
        }
        report_resumed(results, &resumed, manifest.as_ref(), input, now, console);
        Ok(Self { resumed: Some(resumed), manifest, existing: Existing::Refuse })
    }
}

fn report_resumed(
    results: &Path,
    resumed: &Resumed,
    manifest: Option<&Manifest>,
    input: &Input,
    now: SystemTime,
    console: &Console,
) {
    let name = results.display();
    let is_cut_off = manifest.is_some_and(|manifest| {
        let last = manifest.passes.last();
        manifest.kind.changes_users()
            && last.is_some_and(|pass| pass.finished_at.is_none() || pass.given_up > 0)
    });
    if input.looks_up && is_cut_off {
        console.warning(
            "the earlier run was cut off with requests in flight: users whom these requests \
             changed are recorded as if they had not needed it, and `verify` and `relock` leave \
             them out",
        );
    }
    let rows = text::counted(resumed.done.n_rows(), "row", "rows");
    console.note(&format!("Resuming {name}: {rows} recorded"));
    // The findings of a job that only looks users up may be out of date.
    let only_looks = |kind: CommandKind| kind.is_plan() || kind == CommandKind::Verify;
    let complete = manifest.filter(|it| only_looks(it.kind) && it.unprocessed == 0);
    if let Some(finished_at) = complete.and_then(|manifest| manifest.finished_at) {
        let ago = text::duration(now.duration_since(finished_at).unwrap_or_default());
        console.warning(&format!(
            "{name} was finished {ago} ago; its users are not looked up again (--force looks them \
             up again)"
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
            "{name} is damaged in the middle: the part from there on was moved to {}, and its \
             users are processed again",
            place.display()
        ));
    }
    let recorded = manifest.and_then(|manifest| manifest.file("input"));
    if recorded.is_some_and(|file| file.sha256 != input.files[0].sha256) {
        console.warning("the input has changed since the first run; using it as it is now");
    }
}

/// Refuses to resume a run of `--all-locked` with another list than that of its walk: users whom
/// the filters left out could be unlocked.
fn check_list(results: &Path, manifest: Option<&Manifest>, input: &Input) -> Result<(), Failure> {
    let found = &input.files[0];
    match manifest.and_then(|manifest| manifest.file("input")) {
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

/// Flags that the rows depend on: all rows of a file have the same columns, and a field that is
/// redacted in the first rows must not show in later ones.
const OF_ROWS: [&str; 3] = ["by", "snapshot", "redact"];

/// Flags that decide, with the filters, which users a list names. With others, a resumed run could
/// unlock users whom the first run would not have unlocked.
const OF_LIST: [&str; 7] =
    ["column", "delimiter", "plan", "plan-sha256", "retry-failed", "shard", "all-locked"];

/// Refuses to resume a run with other settings.
pub(super) fn check_settings(
    results: &Path,
    manifest: &Manifest,
    now: &Map<String, Value>,
) -> Result<(), Failure> {
    let of_list = [OF_LIST.as_slice(), &FILTERS].concat();
    for (flags, status) in
        [(of_list.as_slice(), ExitStatus::Usage), (OF_ROWS.as_slice(), ExitStatus::Output)]
    {
        // A read-back at the end of a run has the settings of that run; `verify` has fewer.
        let is_different = |flag: &&str| {
            let name = flag.replace('-', "_");
            manifest.setting(&name).zip(now.get(&name)).is_some_and(|(then, now)| then != now)
        };
        if flags.iter().any(is_different) {
            let text = format!(
                "{} was started with {}, but this command has {}; use the same flags, or give \
                 another path with -o",
                results.display(),
                typed(flags, &manifest.settings),
                typed(flags, now)
            );
            return Err(Failure::text(status, text));
        }
    }
    Ok(())
}

/// These flags as they are typed.
fn typed(flags: &[&str], settings: &Map<String, Value>) -> String {
    let typed = |flag: &&str| {
        let value = match settings.get(&flag.replace('-', "_"))? {
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
    let typed: Vec<String> = flags.iter().filter_map(typed).collect();
    if typed.is_empty() { "none of these flags".to_owned() } else { typed.join(" ") }
}

/// The manifest of an earlier run's file.
fn manifest_of(file: &Path) -> Result<Option<Manifest>, Failure> {
    Manifest::read(&Sidecars::beside(file).manifest).map_err(Failure::usage)
}

fn hash_of(file: &Path) -> Result<String, Failure> {
    sha256_file(file).map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// Reads the manifest of a results file whose failed users are processed again. Refuses a file that
/// cannot be retried.
pub(crate) fn check_retried(
    results: &Path,
    connection: &Connection,
    console: &Console,
) -> Result<Option<Manifest>, Failure> {
    let manifest = manifest_of(results)?;
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
            Sidecars::beside(results).manifest.display(),
            results.display()
        )),
    }
    Ok(manifest)
}

/// Reads the manifest of a run that is to be undone. Refuses results that may name users whom this
/// tool did not unlock in this instance, or that are incomplete.
pub(crate) fn check_undone(results: &Path, connection: &Connection) -> Result<Manifest, Failure> {
    let name = results.display();
    let sha256 = hash_of(results)?;
    let manifest = manifest_of(results)?.ok_or_else(|| {
        Failure::usage(format!(
            "{} is missing: without it, nothing shows that {name} is of this instance and complete",
            Sidecars::beside(results).manifest.display()
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
    if manifest.file("results").is_none_or(|made| made.sha256 != sha256) {
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
    let name = results.display();
    match Unfinished::check(results, manifest).map_err(Failure::usage)? {
        Some(why) => {
            let text = format!("{name} is incomplete: {why}; finish the run with --resume first");
            if why == Unfinished::Torn {
                return Err(Failure::usage(text));
            }
            console.warning(&text);
        }
        None => {
            if let Some(manifest) = manifest.filter(|manifest| manifest.is_changed(results)) {
                let rows = text::counted(manifest.rows, "row", "rows");
                console.warning(&format!(
                    "{name} was changed after its run, which left {rows}; using it as it is now"
                ));
            }
        }
    }
    Ok(())
}

/// Warns that a results file without a manifest cannot be checked.
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
    let (instance, host) = (connection.instance.code(), &connection.host);
    if manifest.instance == instance && manifest.host == *host {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} was made for the {} instance at {}, but this command would call the {instance} \
         instance at {host}",
        file.display(),
        manifest.instance,
        manifest.host
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
    let sha256 = hash_of(plan)?;
    if let Some(expected) = expected.filter(|expected| *expected != sha256) {
        return Err(Failure::usage(format!(
            "{name} is not the plan that was approved: its SHA-256 is {sha256}, but --plan-sha256 \
             is {expected}"
        )));
    }
    let manifest = manifest_of(plan)?.ok_or_else(|| {
        Failure::usage(format!(
            "{name} is not a plan, or its manifest {} is missing; make a plan with `bulk-unlock \
             plan`",
            Sidecars::beside(plan).manifest.display()
        ))
    })?;
    if manifest.kind != CommandKind::Plan {
        return Err(Failure::usage(format!(
            "{name} is not a plan; make a plan with `bulk-unlock plan`"
        )));
    }
    match manifest.file("results") {
        None => {
            return Err(Failure::usage(format!(
                "{name} is incomplete; finish it with `plan --resume`, or make a new plan"
            )));
        }
        Some(made) if made.sha256 != sha256 => {
            return Err(Failure::usage(format!(
                "{name} was changed after it was made; make a new plan, or keep only its user_id \
                 column and run that list with --only-locked"
            )));
        }
        Some(_) => {}
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
