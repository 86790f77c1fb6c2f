//! The recorder: the one place that changes things. Record, count, tell, judge, in that order.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::acks::AckCounter;
use crate::model::{Event, InputRecord, StopReason};
use crate::policy::stop_rule::StopRule;
use crate::report::Listener;
use crate::results::{WriteError, Writer};
use crate::stats::Stats;
use crate::stop::Stop;

/// Hears every event of a run, on a thread of its own, so that a slow disk never stalls a socket.
pub struct Recorder<'a> {
    /// The input, for the rows.
    pub records: &'a [InputRecord],
    /// The journal.
    pub writer: Writer,
    /// What was counted so far.
    pub stats: Stats,
    /// Who is told.
    pub listeners: Vec<Box<dyn Listener + 'a>>,
    /// The guards.
    pub stop_rule: StopRule,
    /// The bit that runs back.
    pub stop: &'a Stop,
    /// Which records have a row.
    pub recorded: Vec<bool>,
}

/// What a recorder leaves behind.
pub struct Recorded<'a> {
    /// The journal, with all that was recorded committed.
    pub writer: Writer,
    /// What was counted.
    pub stats: Stats,
    /// Who was told.
    pub listeners: Vec<Box<dyn Listener + 'a>>,
    /// Which records have a row.
    pub recorded: Vec<bool>,
    /// Why rows could not be written.
    pub failure: Option<WriteError>,
}

/// How many events are taken at once at most: one write serves them all.
const BATCH: usize = 256;

/// How often what is written is brought to the disk: what a power cut can cost.
const SYNC_EVERY: Duration = Duration::from_secs(1);

impl<'a> Recorder<'a> {
    /// Works until the last sender is gone.
    pub(super) fn run(
        mut self,
        mut events: mpsc::Receiver<Event>,
        acks: &AckCounter,
    ) -> Recorded<'a> {
        let mut batch = Vec::with_capacity(BATCH);
        let mut synced_at: Option<Instant> = None;
        let mut failure = None;
        while events.blocking_recv_many(&mut batch, BATCH) > 0 {
            failure = self.on_batch(&batch).or(failure);
            if let Some(at) = batch.iter().rev().find_map(moment)
                && at >= *synced_at.get_or_insert(at) + SYNC_EVERY
            {
                synced_at = Some(at);
                failure = self.sync().or(failure);
            }
            acks.add(batch.iter().filter_map(row).count() as u64);
            batch.clear();
        }
        let Self { writer, stats, listeners, recorded, .. } = self;
        Recorded { writer, stats, listeners, recorded, failure }
    }

    /// The order matters: rows are in the file before anyone hears of them. A row that could not
    /// be written did not happen.
    fn on_batch(&mut self, batch: &[Event]) -> Option<WriteError> {
        let n_before = self.writer.n_rows();
        for row in batch.iter().filter_map(row) {
            self.writer.append(&self.records[row.record], row);
        }
        let failure = self.writer.commit().err();
        let mut n_kept = self.writer.n_rows() - n_before;
        for event in batch {
            if let Some(row) = row(event) {
                if n_kept == 0 {
                    self.stats.on_event(&Event::GivenUp);
                    continue;
                }
                n_kept -= 1;
                self.recorded[row.record] = true;
            }
            self.tell(event);
        }
        if failure.is_some() {
            self.stop.ask(StopReason::OutputFailed);
        }
        failure
    }

    fn tell(&mut self, event: &Event) {
        self.stats.on_event(event);
        for listener in &mut self.listeners {
            listener.on_event(event, &self.stats);
        }
        if let Some(reason) = self.stop_rule.check(&self.stats) {
            self.stop.ask(reason);
        }
    }

    fn sync(&mut self) -> Option<WriteError> {
        let failure = self.writer.sync().err();
        if failure.is_some() {
            self.stop.ask(StopReason::OutputFailed);
        }
        failure
    }
}

fn row(event: &Event) -> Option<&crate::model::Row> {
    match event {
        Event::JobFinished { row, .. } => Some(row),
        _ => None,
    }
}

fn moment(event: &Event) -> Option<Instant> {
    match event {
        Event::Ticked { at, .. } => Some(*at),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
