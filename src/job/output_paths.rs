//! The files of a job: where they are, which files they may replace, and how they are created.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::Job;
use super::connection::{Connection, Instance};
use super::earlier_run::PreviousRun;
use super::exit::Failure;
use super::input::Input;
use super::settings::{Effective, ExistingFile, JobSettings};
use crate::engine::wall_clock;
use crate::policy::plan::Plan;
use crate::results::AtomicWriter;
use crate::results::sidecars::check_places;
use crate::results::{
    Existing, Manifest, OpenError, Outputs, Reader, Redaction, RowFormat, Sidecars, Writer, format,
    is_stdin, is_stdin_stdout, is_stdout, kind_of_outcome, refuse_existing, same_file,
};
use crate::stats::Counts;
use crate::stats::summary::{CommandKind, Files};

/// The files of a job; none but the page where the results go to stdout. Refuses outputs that are
/// also inputs, that are the same file, or that are not regular files.
pub(super) fn output_files(
    settings: &JobSettings,
    effective: &Effective,
) -> Result<Files, Failure> {
    check_stdout(settings)?;
    let output = &settings.output;
    let is_walk = settings.input.is_instance();
    let list = settings.input.path().filter(|_| is_walk);
    let input = settings.input.path().filter(|_| !is_walk);
    let protected = settings.exclude.iter().chain(&effective.files).map(PathBuf::as_path);
    let inputs: Vec<&Path> = input.into_iter().chain(protected).collect();
    if output.is_stdout()
        && (inputs.iter().any(|path| is_stdout(path)) || input.is_none() && is_stdin_stdout())
    {
        let text = "stdout is redirected to a file that is an input; send it to another file";
        return Err(Failure::usage(text));
    }
    let files = if output.is_stdout() { Files::default() } else { files_of(&output.path) };
    let files = Files { report: output.report.clone(), ..files };
    let verify = files.results.as_deref().filter(|_| settings.verify);
    let verify = verify.map(|results| Sidecars::beside(results).verify);
    let mut outputs: Vec<PathBuf> = files.report.iter().cloned().collect();
    for results in files.results.iter().chain(&verify) {
        let Sidecars { failed, unprocessed, manifest, .. } = Sidecars::beside(results);
        outputs.extend([results.clone(), failed, unprocessed, manifest]);
    }
    outputs.extend(list.map(Path::to_owned));
    for (at, output) in outputs.iter().enumerate() {
        check_place(output)?;
        let name = output.display();
        let is_piped_input = input.is_none() && is_stdin(output);
        if is_piped_input || inputs.iter().any(|input| same_file(output, input)) {
            return Err(input_and_output(output));
        }
        if outputs[..at].iter().any(|other| same_file(output, other)) {
            return Err(Failure::usage(format!(
                "{name} would be written as two different files; give another path with -o or \
                 --report"
            )));
        }
    }
    if let Some(verify) = &verify {
        check_own_verify(verify)?;
    }
    Ok(files)
}

/// Refuses an output that is one of these files.
pub(crate) fn check_not_read(output: &Path, inputs: &[PathBuf]) -> Result<(), Failure> {
    let is_read = inputs.iter().any(|input| same_file(output, input));
    if is_read { Err(input_and_output(output)) } else { Ok(()) }
}

fn input_and_output(path: &Path) -> Failure {
    let name = path.display();
    Failure::usage(format!("{name} is both an input and an output; give another path"))
}

/// Refuses flags that cannot be used with `-o -`.
fn check_stdout(settings: &JobSettings) -> Result<(), Failure> {
    let output = &settings.output;
    let flags = [
        (settings.input.is_instance(), "--all-locked"),
        (settings.pass.is_some(), "--watch"),
        (output.json, "--json"),
        (output.existing == ExistingFile::Resume, "--resume"),
        (output.existing == ExistingFile::Replace, "--force"),
        (output.report.is_some(), "--report"),
        (settings.verify, "--verify"),
    ];
    match flags.into_iter().find(|(is_given, _)| *is_given && output.is_stdout()) {
        None => Ok(()),
        Some((_, flag)) => Err(Failure::usage(format!(
            "{flag} cannot be used with -o -, which writes the results to stdout and no file"
        ))),
    }
}

fn files_of(results: &Path) -> Files {
    let Sidecars { failed, unprocessed, manifest, .. } = Sidecars::beside(results);
    Files {
        results: Some(results.to_owned()),
        failed: Some(failed),
        unprocessed: Some(unprocessed),
        manifest: Some(manifest),
        report: None,
    }
}

/// A file that is replaced by renaming must be a regular one: a device or a pipe would be gone.
fn check_place(output: &Path) -> Result<(), Failure> {
    match output.metadata() {
        Ok(it) if it.is_dir() => {
            Err(Failure::output(format!("{} is a directory, not a file", output.display())))
        }
        Ok(it) if !it.is_file() => Err(OpenError::NotAFile(output.to_owned()).into()),
        _ => Ok(()),
    }
}

/// A read-back replaces the file of an earlier one, and no other.
pub(super) fn check_own_verify(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_err() || is_verify_file(path) {
        return Ok(());
    }
    Err(OpenError::NotOurs(path.to_owned()).into())
}

/// Whether the rows are those of a read-back. Where they do not show it, the manifest must.
fn is_verify_file(path: &Path) -> bool {
    let Ok(reader) = Reader::open(path) else { return false };
    let mut n_rows = 0;
    for row in reader.without_users() {
        let Ok(row) = row else { return false };
        if let Some(kind) = kind_of_outcome(row.outcome) {
            return kind == CommandKind::Verify;
        }
        n_rows += 1;
    }
    match Manifest::read(&Sidecars::beside(path).manifest) {
        Ok(Some(manifest)) => manifest.kind == CommandKind::Verify,
        Ok(None) => n_rows == 0,
        Err(_) => false,
    }
}

/// What happens to results that exist; refuses files in the way.
pub(super) fn check_in_the_way(
    settings: &JobSettings,
    connection: &Connection,
) -> Result<ExistingFile, Failure> {
    let output = &settings.output;
    if output.is_stdout() {
        return Ok(ExistingFile::Refuse);
    }
    let sidecars = Sidecars::beside(&output.path);
    let is_sandbox = connection.instance == Instance::Sandbox;
    let existing = match output.existing {
        // The results of a sandbox are of no value, and the same command should work twice.
        ExistingFile::Refuse
            if is_sandbox
                && output.path.exists()
                && Manifest::read(&sidecars.manifest).is_ok_and(|it| {
                    it.is_some_and(|it| it.instance == Instance::Sandbox.code())
                }) =>
        {
            ExistingFile::Replace
        }
        existing => existing,
    };
    check_places(&sidecars, existing == ExistingFile::Replace)?;
    if existing == ExistingFile::Refuse {
        refuse_existing(&output.path)?;
        refuse_existing_page(output.report.as_deref())?;
    }
    Ok(existing)
}

/// Refuses to overwrite the HTML page.
pub(super) fn refuse_existing_page(path: Option<&Path>) -> Result<(), Failure> {
    let refused = path.map_or(Ok(()), refuse_existing);
    refused.map_err(|error| error.without_resume("--report").into())
}

/// Creates the results file, or opens it to resume, and its manifest.
pub(super) fn open_outputs(
    job: &Job<'_>,
    input: &Input,
    list: Option<AtomicWriter>,
    plan: &Plan,
    previous: PreviousRun,
    counts: Counts,
    effective: Map<String, Value>,
) -> Result<(Outputs, Writer), Failure> {
    let Job { settings, connection, context, files, .. } = *job;
    // Fails now if the page cannot be written.
    drop(files.report.as_deref().map(AtomicWriter::create).transpose()?);
    let PreviousRun { resumed, manifest: earlier, existing } = previous;
    let records = input.records.records.len() as u64 + plan.n_rows_without_record;
    let mut manifest = Manifest {
        schema_version: format::SCHEMA_VERSION,
        program_version: String::new(),
        command: context.effective.line.to_shell(),
        kind: settings.command,
        settings: effective,
        instance: connection.instance.code().to_owned(),
        host: connection.host.clone(),
        key: connection.fingerprint.clone(),
        operator: operator(),
        reason: settings.reason.clone(),
        started_at: wall_clock(),
        finished_at: None,
        ending: String::new(),
        counts,
        excluded: input.excluded.counts(),
        exit_code: None,
        records,
        rows: counts.total(),
        unprocessed: records.saturating_sub(counts.total()),
        next: None,
        files: input.files.clone(),
        passes: Vec::new(),
    };
    if let Some(earlier) = earlier {
        manifest.started_at = earlier.started_at;
        manifest.passes = earlier.passes;
        manifest.reason = manifest.reason.or(earlier.reason);
    }
    manifest.begin_pass(wall_clock());
    let row_format = RowFormat {
        snapshot: settings.output.snapshot,
        redaction: Redaction::new(settings.output.redact.iter().cloned()),
        carried: input.records.carried.clone(),
    };
    Ok(match (&files.results, resumed) {
        (None, _) => (Outputs::none(manifest), Writer::stream(io::stdout(), row_format)?),
        (Some(path), Some(resumed)) => Outputs::resume(path, resumed, row_format, manifest)?,
        (Some(path), None) => {
            // Results of an earlier run stay until the first request was answered: a wrong key
            // must not cost them.
            let may_be_refused =
                settings.may_be_refused_later(input.looks_up) || existing == Existing::Replace;
            let records = &input.records;
            Outputs::create(path, existing, may_be_refused, row_format, records, list, manifest)?
        }
    })
}

/// The account that runs the program; under sudo, the one that called it.
fn operator() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME", "USERNAME"];
    let mut set = names.into_iter().filter_map(|name| std::env::var(name).ok());
    set.find(|name| !name.is_empty())
}
