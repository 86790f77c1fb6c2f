//! What a manifest says, for the page.

use std::path::Path;
use std::time::Duration;

use crate::report::page::{Pass, Source, SourceFile, TimedBucket};
use crate::results::manifest::{self, Manifest};
use crate::results::sha256_file;
use crate::stats::Bucket;
use crate::stats::summary::{CommandKind, LatencySummary};

/// One results file and its manifest.
pub(super) fn source(
    results: &Path,
    manifest: Option<&Manifest>,
    kind: Option<CommandKind>,
) -> Source {
    let name = results.display().to_string();
    let kind = manifest.map(|it| it.kind).or(kind);
    let is_plan = kind == Some(CommandKind::Plan);
    let plan_sha256 = is_plan.then(|| sha256_file(results).ok()).flatten();
    let Some(manifest) = manifest else {
        return Source { name, kind, plan_sha256, ..Source::default() };
    };
    Source {
        name,
        kind,
        plan_sha256,
        program_version: Some(manifest.program_version.clone()),
        command: Some(manifest.command.clone()),
        instance: Some(manifest.instance.clone()),
        host: Some(manifest.host.clone()),
        key: manifest.key.clone(),
        operator: manifest.operator.clone(),
        reason: manifest.reason.clone(),
        ending: Some(manifest.ending.clone()),
        exit_code: manifest.exit_code,
        files: manifest.files.iter().map(file).collect(),
        passes: manifest.passes.iter().map(pass).collect(),
    }
}

fn file(entry: &manifest::FileEntry) -> SourceFile {
    SourceFile { role: entry.role.clone(), name: entry.name.clone(), sha256: entry.sha256.clone() }
}

fn pass(pass: &manifest::Pass) -> Pass {
    let bucket = |bucket: &manifest::Bucket| TimedBucket {
        start: pass.started_at + seconds(bucket.at),
        width: seconds(bucket.bucket_seconds),
        counts: Bucket {
            n_requests: bucket.requests,
            n_throttled: bucket.throttled,
            n_failed: bucket.failed_attempts,
            ..Bucket::default()
        },
    };
    Pass {
        started_at: pass.started_at,
        finished_at: pass.finished_at,
        ending: pass.ending.clone(),
        n_requests: pass.requests,
        n_lookups: pass.look_ups,
        n_retries: pass.retries,
        n_throttled: pass.throttled,
        paused: seconds(pass.paused_seconds),
        latency: (pass.requests > 0).then(|| latency(&pass.latency_ms)),
        timeline: pass.timeline.iter().map(bucket).collect(),
    }
}

fn latency(latency: &manifest::Latency) -> LatencySummary {
    let ms = |ms: f64| seconds(ms / 1_000.0);
    LatencySummary {
        p50: ms(latency.p50),
        p90: ms(latency.p90),
        p99: ms(latency.p99),
        max: ms(latency.max),
    }
}

/// A manifest is a file like any other: a number in it may be anything.
pub(super) fn seconds(seconds: f64) -> Duration {
    /// More than any run.
    const LONGEST: f64 = 1e9;
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST)).unwrap_or_default()
}
