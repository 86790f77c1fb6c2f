//! The manifest of a job that has ended: what it counted, and the hash of each file.

use std::path::Path;
use std::time::Duration;

use super::stages::{Stages, State};
use crate::cli::failure::Failure;
use crate::engine::wall_clock;
use crate::results::manifest::{Bucket, FileEntry, Latency, Pass};
use crate::results::sha256_file;
use crate::stats::Stats;
use crate::stats::summary::Summary;

/// Writes the manifest for the last time.
pub(super) fn seal(
    stages: &Stages<'_>,
    state: &mut State,
    summary: &Summary,
) -> Result<(), Failure> {
    let Some(sidecars) = state.outputs.paths.sidecars().cloned() else { return Ok(()) };
    let now = wall_clock();
    let manifest = &mut state.outputs.manifest;
    manifest.finished_at = Some(now);
    summary.ending.code().clone_into(&mut manifest.ending);
    manifest.exit_code = Some(summary.exit_code);
    manifest.next = summary.next.as_ref().map(|next| next.command.clone());
    manifest.counts = summary.counts.iter().collect();
    manifest.records = summary.n_records;
    manifest.rows = summary.n_rows();
    manifest.unprocessed = summary.n_unprocessed;
    manifest.files.clone_from(&stages.intake.files);
    let outputs = [
        ("results", state.outputs.paths.results()),
        ("failed", Some(sidecars.failed.as_path())),
        ("unprocessed", Some(sidecars.unprocessed.as_path())),
    ];
    for (role, path) in outputs {
        manifest.files.extend(path.map(|path| entry(role, path)).transpose()?);
    }
    if let Some(pass) = manifest.passes.last_mut() {
        pass.finished_at = Some(now);
        pass.ending.clone_from(&manifest.ending);
        fill(pass, &state.stats);
    }
    Ok(manifest.write(&sidecars.manifest)?)
}

/// Adds the page: it tells what the manifest says, so that it is made last.
pub(super) fn note_page(state: &mut State, page: &Path) -> Result<(), Failure> {
    let Some(sidecars) = state.outputs.paths.sidecars() else { return Ok(()) };
    let manifest = &mut state.outputs.manifest;
    manifest.files.push(entry("report", page)?);
    Ok(manifest.write(&sidecars.manifest)?)
}

fn entry(role: &str, path: &Path) -> Result<FileEntry, Failure> {
    let sha256 = sha256_file(path)
        .map_err(|error| Failure::internal(anyhow::anyhow!("{}: {error}", path.display())))?;
    Ok(FileEntry { role: role.to_owned(), name: path.display().to_string(), sha256 })
}

fn fill(pass: &mut Pass, stats: &Stats) {
    pass.requests = stats.n_requests();
    pass.retries = stats.n_retries();
    pass.throttled = stats.n_throttled();
    pass.given_up = stats.n_given_up();
    pass.paused_seconds = stats.paused().as_secs_f64();
    pass.look_ups = stats.n_lookups();
    let width = stats.timeline().width();
    let buckets = stats.timeline().buckets().iter().zip(0_u32..);
    pass.timeline = buckets
        .map(|(bucket, index)| Bucket {
            at: (width * index).as_secs_f64(),
            bucket_seconds: width.as_secs_f64(),
            requests: bucket.n_requests,
            throttled: bucket.n_throttled,
            failed_attempts: bucket.n_failed,
        })
        .collect();
    pass.latency_ms = latency(stats);
}

fn latency(stats: &Stats) -> Latency {
    let latency = stats.latency();
    let ms = |duration: Duration| duration.as_secs_f64() * 1_000.0;
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let n = latency.n().max(1) as f64;
    Latency {
        p50: ms(latency.quantile(0.5)),
        p90: ms(latency.quantile(0.9)),
        p99: ms(latency.quantile(0.99)),
        max: ms(latency.max()),
        mean: ms(latency.sum()) / n,
    }
}
