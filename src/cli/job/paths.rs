//! Where the files of a job are, and that they are nobody else's.

use std::path::{Path, PathBuf};

use super::Spec;
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::results::{OpenError, Sidecars, is_stdin, is_stdin_stdout, is_stdout, same_file};

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// The results and the files beside them; `None`: the results go to stdout.
    files: Option<(PathBuf, Sidecars)>,
    report: Option<PathBuf>,
}

impl Paths {
    /// Refuses outputs that are an input too, that are each other, or that are no regular files.
    pub(super) fn new(spec: &Spec) -> Result<Self, Failure> {
        spec.check()?;
        let files = || (spec.output.clone(), Sidecars::beside(&spec.output));
        let files = (!spec.is_to_stdout()).then(files);
        let paths = Self { files, report: spec.answers.report.clone() };
        if paths.files.is_none() {
            check_stdout(spec)?;
        }
        let outputs = paths.all(spec.verify);
        for (at, output) in outputs.iter().enumerate() {
            check_place(output)?;
            let inputs = spec.input.path().into_iter().chain(spec.exclude.as_deref());
            let mut inputs = inputs.chain(spec.kept.iter().map(PathBuf::as_path));
            let is_piped = spec.input.path().is_none() && is_stdin(output);
            if is_piped || inputs.any(|input| same_file(output, input)) {
                return Err(Failure::usage(format!(
                    "{} would be read and written; give another -o PATH",
                    output.display()
                )));
            }
            if outputs[..at].iter().any(|other| same_file(output, other)) {
                return Err(Failure::usage(format!(
                    "{} would be written twice, as two different files; give another -o PATH or \
                     --report PATH",
                    output.display()
                )));
            }
        }
        Ok(paths)
    }

    /// Everything that will be written, by a read-back at the end too.
    fn all(&self, verify: bool) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> = self.report.iter().cloned().collect();
        let Some((results, sidecars)) = &self.files else { return all };
        let with_sidecars = |path: &Path| {
            let Sidecars { failed, unprocessed, manifest, .. } = Sidecars::beside(path);
            [path.to_owned(), failed, unprocessed, manifest]
        };
        all.extend(with_sidecars(results));
        if verify {
            all.extend(with_sidecars(&sidecars.verify));
        }
        all
    }

    /// The results file.
    pub(super) fn results(&self) -> Option<&Path> {
        self.files.as_ref().map(|(results, _)| results.as_path())
    }

    /// The files beside it.
    pub(super) fn sidecars(&self) -> Option<&Sidecars> {
        self.files.as_ref().map(|(_, sidecars)| sidecars)
    }

    /// The page.
    pub(super) fn report(&self) -> Option<&Path> {
        self.report.as_deref()
    }

    /// The results, as people call them.
    pub(super) fn name(&self) -> String {
        self.results().map_or_else(|| "stdout".to_owned(), |path| path.display().to_string())
    }
}

/// Standard output may be a file too, and that file the input.
fn check_stdout(spec: &Spec) -> Result<(), Failure> {
    let inputs = spec.input.path().into_iter().chain(spec.exclude.as_deref());
    let mut inputs = inputs.chain(spec.kept.iter().map(PathBuf::as_path));
    if inputs.any(is_stdout) || spec.input.path().is_none() && is_stdin_stdout() {
        let text = "standard output goes to a file that is read; send it elsewhere";
        return Err(Failure::usage(text));
    }
    Ok(())
}

/// A file that is replaced by renaming must be one: a device or a pipe would be gone.
fn check_place(output: &Path) -> Result<(), Failure> {
    match output.metadata() {
        Ok(it) if it.is_dir() => {
            let text = format!("{} is a directory, not a file", output.display());
            Err(Failure::new(Status::Output, anyhow::anyhow!(text)))
        }
        Ok(it) if !it.is_file() => Err(OpenError::NotAFile { path: output.to_owned() }.into()),
        _ => Ok(()),
    }
}
