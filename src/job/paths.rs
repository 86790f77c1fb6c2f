//! Where the files of a job are, and that no other file is overwritten.

use std::path::{Path, PathBuf};

use super::exit::Failure;
use super::settings::JobSettings;
use crate::results::{
    Manifest, OpenError, Reader, Sidecars, is_stdin, is_stdin_stdout, is_stdout, kind_of_outcome,
    same_file,
};
use crate::stats::summary::{CommandKind, Files};

/// Where the files of a job are.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    /// The results and the files beside them; `None` where the results go to stdout.
    files: Option<(PathBuf, Sidecars)>,
    report: Option<PathBuf>,
}

impl Paths {
    /// Refuses outputs that are also inputs, that are the same file, or that are not regular files.
    pub(super) fn new(settings: &JobSettings) -> Result<Self, Failure> {
        settings.check_stdout()?;
        let output = &settings.output;
        let files = || (output.path.clone(), Sidecars::beside(&output.path));
        let files = (!output.is_stdout()).then(files);
        let paths = Self { files, report: output.report.clone() };
        let list = settings.input.path().filter(|_| settings.input.is_instance());
        let input = settings.input.path().filter(|_| list.is_none());
        let inputs = || {
            let others = settings.exclude.iter().chain(&settings.protected);
            input.into_iter().chain(others.map(PathBuf::as_path))
        };
        if paths.files.is_none()
            && (inputs().any(is_stdout) || input.is_none() && is_stdin_stdout())
        {
            let text = "stdout is redirected to a file that is an input; send it to another file";
            return Err(Failure::usage(text));
        }
        let mut outputs = paths.all(settings.verify);
        outputs.extend(list.map(Path::to_owned));
        for (at, output) in outputs.iter().enumerate() {
            check_place(output)?;
            let name = output.display();
            let is_piped_input = input.is_none() && is_stdin(output);
            if is_piped_input || inputs().any(|input| same_file(output, input)) {
                return Err(Failure::usage(format!(
                    "{name} is both an input and an output; give another path with -o"
                )));
            }
            if outputs[..at].iter().any(|other| same_file(output, other)) {
                return Err(Failure::usage(format!(
                    "{name} would be written as two different files; give another path with -o or \
                     --report"
                )));
            }
        }
        if let Some(verify) = paths.verify().filter(|_| settings.verify) {
            check_own_verify(verify)?;
        }
        Ok(paths)
    }

    /// Everything that is written, by a read-back at the end too.
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

    /// The files beside the results.
    pub(super) fn sidecars(&self) -> Option<&Sidecars> {
        self.files.as_ref().map(|(_, sidecars)| sidecars)
    }

    /// The file of a read-back at the end.
    fn verify(&self) -> Option<&Path> {
        self.sidecars().map(|sidecars| sidecars.verify.as_path())
    }

    /// The HTML page.
    pub(super) fn report(&self) -> Option<&Path> {
        self.report.as_deref()
    }

    /// The results for messages.
    pub(super) fn name(&self) -> String {
        self.results().map_or_else(|| "stdout".to_owned(), |path| path.display().to_string())
    }

    /// The files for the summary.
    pub(super) fn to_files(&self) -> Files {
        let sidecars = self.sidecars();
        Files {
            results: self.results().map(PathBuf::from),
            failed: sidecars.map(|it| it.failed.clone()),
            unprocessed: sidecars.map(|it| it.unprocessed.clone()),
            manifest: sidecars.map(|it| it.manifest.clone()),
            report: self.report.clone(),
        }
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
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    if is_verify_file(path) {
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
