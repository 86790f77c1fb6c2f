//! What an earlier run left, and whether this one may go on with it.

use std::path::Path;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::intake::Intake;
use super::paths::Paths;
use super::spec::Existing;
use super::{Connection, Spec};
use crate::cli::failure::Failure;
use crate::cli::status::Status;
use crate::engine::wall_clock;
use crate::policy::plan::Done;
use crate::report::{Console, text};
use crate::results::manifest::Manifest;
use crate::results::sidecars::check_places;
use crate::results::{Resumed, Sidecars, Unfinished, refuse_existing, resume};
use crate::stats::summary::CommandKind;

/// What an earlier run left.
#[derive(Default)]
pub(super) struct Existed {
    pub(super) resumed: Option<Resumed>,
    pub(super) manifest: Option<Manifest>,
}

impl Existed {
    /// Reads what an earlier run left where that is wanted, and refuses what is in the way.
    /// Nothing is changed yet; a file that is gone on with is locked.
    pub(super) fn find(
        spec: &Spec,
        paths: &Paths,
        intake: &Intake,
        connection: &Connection,
        console: &Console,
    ) -> Result<Self, Failure> {
        let (Some(results), Some(sidecars)) = (paths.results(), paths.sidecars()) else {
            return Ok(Self::default());
        };
        check_places(sidecars, spec.answers.existing == Existing::Replace)?;
        match spec.answers.existing {
            Existing::Resume => {}
            Existing::Replace => return Ok(Self::default()),
            Existing::Refuse => {
                refuse_existing(results)?;
                let page = paths.report().map_or(Ok(()), refuse_existing);
                page.map_err(|error| error.of_a_whole("--report"))?;
                return Ok(Self::default());
            }
        }
        let Some(resumed) = resume(results, &intake.records)? else {
            console.note(&format!("{} is not there yet: starting a new one", results.display()));
            return Ok(Self::default());
        };
        let manifest = Manifest::read(&sidecars.manifest)?;
        check_kind(spec, results, &resumed, manifest.as_ref())?;
        if let Some(manifest) = &manifest {
            check_instance(results, manifest, connection)?;
            check_settings(spec, results, manifest)?;
        } else if resumed.done.n_rows() > 0 {
            warn_unchecked(results, console);
        }
        let existed = Self { resumed: Some(resumed), manifest };
        existed.say(results, intake, wall_clock(), console);
        Ok(existed)
    }

    /// What is recorded.
    pub(super) fn take_done(&mut self) -> Done {
        self.resumed.as_mut().map(|resumed| std::mem::take(&mut resumed.done)).unwrap_or_default()
    }

    fn say(&self, results: &Path, intake: &Intake, now: SystemTime, console: &Console) {
        let Some(resumed) = &self.resumed else { return };
        let rows = text::counted(resumed.done.n_rows(), "row", "rows");
        console.note(&format!("going on with {}: {rows} recorded", results.display()));
        if let Some(manifest) = self.manifest.as_ref().filter(|it| is_finished(it)) {
            let ago = manifest.finished_at.and_then(|at| now.duration_since(at).ok());
            let ago = text::duration(ago.unwrap_or_default());
            console.warning(&format!(
                "{} was finished {ago} ago: nobody is asked again, and what follows was found then; \
                 --force asks anew",
                results.display()
            ));
        }
        if resumed.n_torn_bytes > 0 {
            let bytes = text::counted(resumed.n_torn_bytes, "byte", "bytes");
            console.note(&format!(
                "a row that was torn off is cut ({bytes}); its user is asked again"
            ));
        }
        if let Some(place) = &resumed.cut_path {
            console.warning(&format!(
                "{} is damaged in the middle: what stands from there on is kept in {}, and its \
                 users are asked again",
                results.display(),
                place.display()
            ));
        }
        let files = self.manifest.iter().flat_map(|manifest| &manifest.files);
        let then = files.into_iter().find(|file| file.role == "input").map(|file| &file.sha256);
        if then.is_some() && then != intake.files.first().map(|file| &file.sha256) {
            console.warning("the input has changed since; what it says now is taken");
        }
    }
}

/// Whether there is nothing left of a job that only looks: what it found may have changed since.
fn is_finished(manifest: &Manifest) -> bool {
    let only_looks = matches!(manifest.kind, CommandKind::Plan | CommandKind::Verify);
    only_looks && manifest.finished_at.is_some() && manifest.unprocessed == 0
}

fn check_kind(
    spec: &Spec,
    results: &Path,
    resumed: &Resumed,
    manifest: Option<&Manifest>,
) -> Result<(), Failure> {
    let kind = resumed.kind().or_else(|| manifest.map(|manifest| manifest.kind));
    if kind.is_none_or(|kind| kind == spec.command) {
        return Ok(());
    }
    let text = format!(
        "{} was not written by `{}` but by another command; give another -o PATH",
        results.display(),
        spec.command.code()
    );
    Err(Failure::new(Status::Output, anyhow::anyhow!(text)))
}

/// Refuses a file whose rows were written otherwise: two halves of one file must tell the same, and
/// what was to be hidden must not come out in the second.
fn check_settings(spec: &Spec, results: &Path, manifest: &Manifest) -> Result<(), Failure> {
    let now = spec.settings();
    let is_same =
        |name: &&str| manifest.setting(name).is_none_or(|then| Some(then) == now.get(*name));
    if SETTINGS_OF_ROWS.iter().all(is_same) {
        return Ok(());
    }
    let text = format!(
        "{} was begun with `{}`, and this command says `{}`; use the same flags or name another \
         with --output",
        results.display(),
        flags(&manifest.settings),
        flags(&now)
    );
    Err(Failure::new(Status::Output, anyhow::anyhow!(text)))
}

/// What every row of a file depends on.
const SETTINGS_OF_ROWS: [&str; 3] = ["by", "snapshot", "redact"];

fn flags(settings: &Map<String, Value>) -> String {
    let flag = |name: &&str| {
        let value = match settings.get(*name)? {
            Value::String(text) => text.clone(),
            Value::Array(list) if list.is_empty() => return None,
            Value::Array(list) => {
                list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
            }
            other => other.to_string(),
        };
        Some(format!("--{name} {value}"))
    };
    SETTINGS_OF_ROWS.iter().filter_map(flag).collect::<Vec<_>>().join(" ")
}

/// Says that the run of a results file did not finish, and refuses one that cannot be read before
/// it did.
pub(in crate::cli) fn check_finished(
    results: &Path,
    manifest: Option<&Manifest>,
    console: &Console,
) -> Result<(), Failure> {
    let Some(why) = Unfinished::check(results, manifest).map_err(Failure::usage)? else {
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

/// Says what cannot be checked of a results file without a manifest.
pub(in crate::cli) fn warn_unchecked(results: &Path, console: &Console) {
    console.warning(&format!(
        "{} is missing: cannot check whether {} is of this instance and complete",
        Sidecars::beside(results).manifest.display(),
        results.display()
    ));
}

/// Refuses a file that was made for another host or kind of instance.
pub(in crate::cli) fn check_instance(
    file: &Path,
    manifest: &Manifest,
    connection: &Connection,
) -> Result<(), Failure> {
    let here = (connection.instance.code(), connection.host.as_str());
    if (manifest.instance.as_str(), manifest.host.as_str()) == here {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{} was made for the {} instance at {}, and this would call the {} instance at {}",
        file.display(),
        manifest.instance,
        manifest.host,
        here.0,
        here.1
    )))
}
