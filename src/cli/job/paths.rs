//! Where the files of a job are, and that they are nobody else's.

use std::path::{Path, PathBuf};

use super::Spec;
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::results::{Sidecars, same_file};

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// The results and the files beside them; `None`: the results go to stdout.
    files: Option<(PathBuf, Sidecars)>,
    report: Option<PathBuf>,
}

impl Paths {
    /// Refuses outputs that are an input too.
    pub(super) fn new(spec: &Spec) -> Result<Self, Failure> {
        spec.check()?;
        let files = || (spec.output.clone(), Sidecars::beside(&spec.output));
        let files = (!spec.is_to_stdout()).then(files);
        let paths = Self { files, report: spec.answers.report.clone() };
        for output in paths.all() {
            let inputs = [spec.input.path(), spec.exclude.as_deref()];
            if inputs.into_iter().flatten().any(|input| same_file(output, input)) {
                return Err(Failure::usage(format!(
                    "{} would be read and written; give another -o PATH",
                    output.display()
                )));
            }
            if output.is_dir() {
                let text = format!("{} is a directory, not a file", output.display());
                return Err(Failure::new(Status::Output, anyhow::anyhow!(text)));
            }
        }
        Ok(paths)
    }

    fn all(&self) -> Vec<&PathBuf> {
        let mut all: Vec<&PathBuf> = self.report.iter().collect();
        if let Some((results, sidecars)) = &self.files {
            all.extend([results, &sidecars.failed, &sidecars.unprocessed, &sidecars.manifest]);
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
