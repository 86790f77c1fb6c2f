//! Sums up each file, and all of them.

use std::time::Duration;

use super::gather::Input;
use crate::report::page::FinalRow;
use crate::results::manifest::{Manifest, seconds};
use crate::stats::RowStats;
use crate::stats::summary::{
    CommandKind, Ending, Files, Incident, LatencySummary, NextStep, Stage, Summary,
};

/// What one file and its manifest say.
pub(super) fn stage(file: &Input, rows: &RowStats) -> Stage {
    let manifest = file.manifest.as_ref();
    let finished_at = manifest.map_or(file.last_row_at, |it| it.finished_at);
    let mut summary = Summary {
        command: file.kind.unwrap_or_default(),
        counts: rows.counts,
        latency: LatencySummary::of(&rows.durations),
        errors: rows.errors.most_frequent_first(),
        n_banned: rows.n_banned,
        n_records: rows.counts.total(),
        files: Files { results: Some(file.path.clone()), ..Files::default() },
        ..Summary::default()
    };
    if let Some(manifest) = manifest {
        add_manifest(&mut summary, manifest, file.is_running());
    } else {
        let span = finished_at.zip(file.started_at);
        let span = span.and_then(|(end, start)| end.duration_since(start).ok());
        summary.elapsed = span.unwrap_or_default();
    }
    if !summary.adds_up() {
        summary.ending = Ending::Unaccounted;
    }
    Stage {
        file: file.path.display().to_string(),
        reason: manifest.and_then(|it| it.reason.clone()),
        started_at: file.started_at,
        finished_at,
        ending: manifest.map(|_| summary.ending),
        exit_code: manifest.and_then(|it| it.exit_code),
        n_left: summary.n_unprocessed,
        summary,
    }
}

fn add_manifest(summary: &mut Summary, manifest: &Manifest, is_running: bool) {
    summary.instance.clone_from(&manifest.instance);
    summary.host.clone_from(&manifest.host);
    summary.excluded = manifest.excluded;
    summary.ending = Ending::of_code(&manifest.ending);
    summary.exit_code = manifest.exit_code.unwrap_or_default();
    summary.n_records = manifest.records;
    // A killed run could not count them.
    summary.n_unprocessed = if is_running {
        manifest.records.saturating_sub(summary.n_rows())
    } else {
        manifest.unprocessed
    };
    summary.next = manifest.next.clone().map(|command| NextStep {
        look_first: None,
        why: "Next step".to_owned(),
        command,
    });
    for pass in &manifest.passes {
        summary.n_requests += pass.requests;
        summary.n_lookups += pass.look_ups;
        summary.n_retries += pass.retries;
        summary.n_throttled += pass.throttled;
        summary.n_given_up += pass.given_up;
        // A manifest is a file like any other: a number in it may be anything.
        summary.paused = summary.paused.saturating_add(seconds(pass.paused_seconds));
        let took = pass.finished_at.and_then(|it| it.duration_since(pass.started_at).ok());
        summary.elapsed = summary.elapsed.saturating_add(took.unwrap_or_default());
    }
}

/// All files as one: the final state of each user.
pub(super) fn incident(
    stages: Vec<Stage>,
    rows: &[FinalRow],
    n_unprocessed: u64,
    n_banned: u64,
) -> Incident {
    let mut incident = Incident { stages, ..Incident::default() };
    if let [stage] = incident.stages.as_slice() {
        (incident.ending, incident.exit_code) = (stage.ending, stage.exit_code);
        incident.summary = stage.summary.clone();
    } else {
        let mut counted = RowStats::default();
        for it in rows {
            counted.add(&it.row);
        }
        incident.summary = of_all(&incident.stages, &counted, n_unprocessed);
        incident.exit_code = incident.exit_code_of_all();
        incident.summary.exit_code = incident.exit_code.unwrap_or_default();
        incident.ending = Some(incident.summary.ending);
    }
    incident.summary.n_banned = n_banned;
    // A file without a manifest does not say what comes next.
    let newest = incident.stages.iter().rev().find(|stage| stage.ending.is_some());
    incident.summary.next = newest.and_then(|stage| stage.summary.next.clone());
    incident
}

fn of_all(stages: &[Stage], rows: &RowStats, n_unprocessed: u64) -> Summary {
    let command = stages.last().map_or(CommandKind::Run, |stage| stage.summary.command);
    let known = |of: fn(&Summary) -> &String| {
        let texts = stages.iter().rev().map(|stage| of(&stage.summary));
        texts.into_iter().find(|it| !it.is_empty()).cloned().unwrap_or_default()
    };
    let mut excluded = stages.iter().rev().map(|stage| stage.summary.excluded);
    let not_completed = stages.iter().filter(|stage| stage.n_left > 0).map(|it| it.summary.ending);
    let sum = |of: fn(&Summary) -> u64| stages.iter().map(|stage| of(&stage.summary)).sum();
    let time = |of: fn(&Summary) -> Duration| stages.iter().map(|stage| of(&stage.summary)).sum();
    Summary {
        command,
        is_mixed: stages.iter().any(|stage| stage.summary.command != command),
        instance: known(|it| &it.instance),
        host: known(|it| &it.host),
        ending: not_completed.into_iter().find(|it| *it != Ending::Completed).unwrap_or_default(),
        excluded: excluded.find(|it| it.entries > 0).unwrap_or_default(),
        counts: rows.counts,
        n_records: rows.counts.total() + n_unprocessed,
        n_unprocessed,
        n_requests: sum(|it| it.n_requests),
        n_lookups: sum(|it| it.n_lookups),
        n_retries: sum(|it| it.n_retries),
        n_throttled: sum(|it| it.n_throttled),
        n_given_up: sum(|it| it.n_given_up),
        paused: time(|it| it.paused),
        elapsed: time(|it| it.elapsed),
        latency: LatencySummary::of(&rows.durations),
        errors: rows.errors.most_frequent_first(),
        ..Summary::default()
    }
}
