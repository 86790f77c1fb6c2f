//! Reads finished files, row by row.

use std::path::{Path, PathBuf};

use super::advice::advice;
use super::merge::Merged;
use super::source::source;
use crate::cli::failure::Failure;
use crate::engine::wall_clock;
use crate::report::page::{Collector, Facts, Source, TableRow};
use crate::results::manifest::Manifest;
use crate::results::{Reader, RecordedRow, Sidecars, sha256_file};
use crate::summary::Summary;

/// What finished files say.
pub(in crate::cli) struct Gathered {
    pub(in crate::cli) facts: Facts,
    pub(in crate::cli) summary: Summary,
}

/// Reads one or more finished results or plan files as one.
pub(in crate::cli) fn gather(paths: &[PathBuf]) -> Result<Gathered, Failure> {
    let mut collector = Collector::default();
    let mut merged = Merged::default();
    let (mut sources, mut warnings) = (Vec::new(), Vec::new());
    for (index, path) in paths.iter().enumerate() {
        let unreadable = |error: crate::results::ReadError| Failure::usage(error.to_string());
        let manifest = Manifest::read(&Sidecars::beside(path).manifest).map_err(unreadable)?;
        let mut reader = Reader::open(path).map_err(unreadable)?;
        for row in &mut reader {
            let row = row.map_err(unreadable)?;
            merged.add_row(&row);
            collector.add(table_row(index, row));
        }
        warnings.extend(warn(path, manifest.as_ref(), reader.n_torn_bytes()));
        let source = source(path, manifest.as_ref(), merged.kind());
        merged.add_source(&source);
        sources.push(source);
    }
    warnings.extend(warn_of_mixture(&sources));
    let made_by = env!("CARGO_PKG_VERSION").to_owned();
    let summary = merged.summary(paths);
    let next = advice(paths, &sources, &summary);
    let made_at = Some(wall_clock());
    let facts = Facts { made_at, made_by, sources, rows: collector.finish(), warnings, next };
    Ok(Gathered { facts, summary })
}

/// What the reader must know before anything else.
fn warn(path: &Path, manifest: Option<&Manifest>, n_torn_bytes: u64) -> Vec<String> {
    let name = path.display();
    let mut warnings = Vec::new();
    let Some(manifest) = manifest else {
        return vec![format!("{name} has no manifest beside it: nothing tells where it is from.")];
    };
    let made = manifest.files.iter().find(|file| file.role == "results");
    match (made, sha256_file(path)) {
        (Some(made), Ok(sha256)) if made.sha256 != sha256 => {
            warnings.push(format!("{name} was changed since its manifest was written."));
        }
        _ if manifest.ending == Manifest::RUNNING => {
            warnings.push(format!("{name} is not finished: its run was killed, or goes on."));
        }
        _ => {}
    }
    if n_torn_bytes > 0 {
        warnings.push(format!("{name} ends in a torn row, which is left out."));
    }
    warnings
}

fn warn_of_mixture(sources: &[Source]) -> Option<String> {
    let of = |source: &Source| (source.kind, source.instance.clone(), source.host.clone());
    let is_mixed = sources.windows(2).any(|pair| of(&pair[0]) != of(&pair[1]));
    let text = "The files are of different commands or instances: their sums tell little.";
    is_mixed.then(|| text.to_owned())
}

fn table_row(source: usize, row: RecordedRow) -> TableRow {
    TableRow {
        input: row.input,
        user_id: row.user_id,
        error_code: row.error_code,
        error_message: row.error_message,
        attempts: row.attempts,
        duration: row.duration,
        finished_at: row.finished_at,
        locked: row.locked,
        banned: row.banned,
        lockout_expires_in_seconds: row.lockout_expires_in_seconds,
        verification_attempts_remaining: row.verification_attempts_remaining,
        username: row.username,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        ..TableRow::new(source, row.line, row.outcome)
    }
}
