//! One results file and its manifest, for the page.

use std::path::Path;

use crate::report::page::Source;
use crate::results::manifest::Manifest;
use crate::results::sha256_file;
use crate::stats::summary::CommandKind;

pub(super) fn source(
    results: &Path,
    manifest: Option<&Manifest>,
    kind: Option<CommandKind>,
) -> Source {
    let kind = manifest.map(|it| it.kind).or(kind);
    let is_plan = kind == Some(CommandKind::Plan);
    Source {
        name: results.display().to_string(),
        kind,
        plan_sha256: is_plan.then(|| sha256_file(results).ok()).flatten(),
        manifest: manifest.cloned(),
    }
}
