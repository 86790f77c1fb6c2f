//! The recorder records, counts, reports and checks, in this order, on its own thread: a slow disk
//! never delays the network. One recorder is used for all stages of a job.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as calls;
use std::thread::{self, Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::model::{Event, Row, StopReason};
use crate::policy::stop_rule::StopRule;
use crate::report::Listener;
use crate::results::{LockedList, WriteError, Writer};
use crate::stats::Stats;
use crate::stop::Stop;

/// Maximum number of messages in the channel to the recorder. When it is full, workers wait.
const MESSAGES_IN_FLIGHT: usize = 64;

/// Maximum number of events that are recorded with one write.
const BATCH: usize = 32;

/// How long the recorder waits for more events before it records some: each wake-up of its thread
/// and of the workers serves all of them.
const GATHER: Duration = Duration::from_micros(100);

/// How often rows are synced to the disk. A power cut can lose the rows of this time.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The recorder panicked, so nothing more can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("internal error: the recorder failed; see the error above")]
pub struct RecorderGone;

/// Counts the rows that were sent to the recorder and those that are done: recorded, counted,
/// reported and checked.
///
/// A worker takes its next job only when its row is done. Therefore at most one user per worker can
/// be unlocked without a row, and a guard stops the run before the next job.
#[derive(Clone, Debug, Default)]
struct AckCounter {
    n_sent: Arc<AtomicU64>,
    n_done: watch::Sender<u64>,
}

impl AckCounter {
    fn add_done(&self, n_rows: u64) {
        self.n_done.send_modify(|n| *n = n.saturating_add(n_rows));
    }

    async fn all_done(&self) {
        let n_sent = self.n_sent.load(Ordering::Relaxed);
        // This cannot fail, as the sender is in `self`.
        let _ = self.n_done.subscribe().wait_for(|n| *n >= n_sent).await;
    }
}

/// Sends events to the recorder.
#[derive(Clone, Debug)]
pub struct EventSender {
    messages: mpsc::Sender<Message>,
    acks: AckCounter,
}

/// A message to the thread of the recorder. The calls themselves have their own channel, as they may
/// borrow and `EventSender` has no lifetime.
#[derive(Debug)]
pub(super) enum Message {
    Event(Event),
    Call,
}

impl EventSender {
    /// Sends an event. Waits while the channel is full.
    ///
    /// # Errors
    ///
    /// When the recorder failed.
    pub async fn send(&self, event: Event) -> Result<(), RecorderGone> {
        let is_recorded = is_recorded(&event);
        self.messages.send(Message::Event(event)).await.map_err(|_| RecorderGone)?;
        self.acks.n_sent.fetch_add(u64::from(is_recorded), Ordering::Relaxed);
        Ok(())
    }

    /// Sends an event without a row. Drops it if the channel is full.
    pub fn try_send(&self, event: Event) {
        let _ = self.messages.try_send(Message::Event(event));
    }

    /// Waits until all rows that were sent so far are done. Returns at once if the recorder failed.
    pub async fn recorded(&self) {
        tokio::select! {
            () = self.acks.all_done() => {}
            () = self.messages.closed() => {}
        }
    }

    /// A sender whose receiver is a test. With `is_done`, rows count as done at once.
    #[cfg(test)]
    pub(super) fn to_test(is_done: bool) -> (Self, mpsc::Receiver<Message>) {
        let (messages, receiver) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let acks = AckCounter::default();
        acks.add_done(if is_done { u64::MAX } else { 0 });
        (Self { messages, acks }, receiver)
    }

    /// Counts rows as done.
    #[cfg(test)]
    pub(super) fn ack(&self, n_rows: u64) {
        self.acks.add_done(n_rows);
    }
}

/// The state of a recorder.
pub struct Recording<'env> {
    /// The writer of rows; `None` for a walk.
    pub writer: Option<Writer>,
    /// The list of users, for a walk.
    pub list: Option<LockedList>,
    /// The statistics.
    pub stats: Stats,
    /// Whether each record has a row.
    pub recorded: Vec<bool>,
    stop_rule: StopRule,
    stop: &'env Stop,
    listeners: Vec<Box<dyn Listener + 'env>>,
    synced_at: Option<Instant>,
}

impl<'env> Recording<'env> {
    /// A recorder that stops the job when a guard trips or a row cannot be written.
    pub fn new(
        writer: Option<Writer>,
        stats: Stats,
        recorded: Vec<bool>,
        stop_rule: StopRule,
        stop: &'env Stop,
    ) -> Self {
        Self {
            writer,
            list: None,
            stats,
            recorded,
            stop_rule,
            stop,
            listeners: Vec::new(),
            synced_at: None,
        }
    }

    /// The recorder of a walk, which adds users to this list.
    pub fn of_walk(list: LockedList, stats: Stats, stop: &'env Stop) -> Self {
        let recording = Self::new(None, stats, Vec::new(), StopRule::default(), stop);
        Self { list: Some(list), ..recording }
    }

    /// Writes the rows before anything is reported. If a row cannot be written, its record counts as
    /// not done, but its request is counted.
    pub(super) fn on_events(&mut self, events: &[Event]) {
        let rows = events.iter().filter_map(row);
        let mut n_kept = match &mut self.writer {
            None => rows.count() as u64,
            Some(writer) => {
                let n_before = writer.n_rows();
                rows.for_each(|row| writer.append(row));
                let result = writer.commit();
                let n_kept = writer.n_rows() - n_before;
                self.note(&result);
                n_kept
            }
        };
        for event in events {
            if let Event::JobFinished { record, attempt, .. } = event {
                if n_kept == 0 {
                    if let Some(attempt) = attempt {
                        self.stats.add_request(attempt);
                    }
                    continue;
                }
                n_kept -= 1;
                self.recorded[*record] = true;
            }
            if let (Event::UsersListed { users }, Some(list)) = (event, &mut self.list) {
                let result = list.add(users);
                self.note(&result);
            }
            self.report(event);
        }
        let tick = events.iter().rev().find_map(|event| match event {
            Event::Ticked { at, .. } => Some(*at),
            _ => None,
        });
        if let Some(at) = tick {
            self.on_tick(at);
        }
    }

    fn report(&mut self, event: &Event) {
        self.stats.on_event(event);
        for listener in &mut self.listeners {
            listener.on_event(event, &self.stats);
        }
        if let Some(reason) = self.stop_rule.check(&self.stats) {
            self.stop.ask(reason);
        }
    }

    /// Syncs the file, or checks that it was not removed, replaced or truncated.
    fn on_tick(&mut self, at: Instant) {
        let Some(writer) = &mut self.writer else { return };
        let result = if at >= *self.synced_at.get_or_insert(at) + SYNC_EVERY {
            self.synced_at = Some(at);
            writer.sync()
        } else {
            writer.check_in_place()
        };
        self.note(&result);
    }

    fn note(&self, result: &Result<(), WriteError>) {
        // The writer keeps the error for the summary.
        if result.is_err() {
            self.stop.ask(StopReason::OutputFailed);
        }
    }

    /// Ends a stage. Syncs its rows, as the next stage may begin with a confirmation prompt.
    fn end_stage(&mut self) {
        self.listeners.drain(..).for_each(Listener::finish);
        let result = self.writer.as_mut().map_or(Ok(()), Writer::sync);
        self.note(&result);
    }
}

/// Whether an event is written to a file.
fn is_recorded(event: &Event) -> bool {
    matches!(event, Event::JobFinished { .. } | Event::UsersListed { .. })
}

fn row(event: &Event) -> Option<&Row> {
    match event {
        Event::JobFinished { row, .. } => Some(row),
        _ => None,
    }
}

type Call<'env> = Box<dyn FnOnce(&mut Recording<'env>) + Send + 'env>;

/// The handle of a recorder on its thread.
pub struct Recorder<'scope, 'env> {
    sender: EventSender,
    calls: calls::Sender<Call<'env>>,
    thread: ScopedJoinHandle<'scope, Recording<'env>>,
}

impl<'scope, 'env> Recorder<'scope, 'env> {
    /// Starts the thread. It ends when the recorder is finished or dropped.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn spawn(
        scope: &'scope Scope<'scope, 'env>,
        recording: Recording<'env>,
    ) -> io::Result<Self> {
        let (messages, received) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let (calls, called) = calls::channel();
        let acks = AckCounter::default();
        let sender = EventSender { messages, acks: acks.clone() };
        let thread = Builder::new()
            .name("recorder".into())
            .spawn_scoped(scope, move || work(recording, received, &called, &acks))?;
        Ok(Self { sender, calls, thread })
    }

    /// A sender of events.
    pub fn sender(&self) -> EventSender {
        self.sender.clone()
    }

    /// Begins a stage with these listeners.
    ///
    /// # Errors
    ///
    /// When the recorder failed.
    pub fn begin_stage(
        &self,
        listeners: Vec<Box<dyn Listener + 'env>>,
    ) -> Result<(), RecorderGone> {
        self.call(move |recording| recording.listeners = listeners)
    }

    /// Ends a stage: all its rows are synced, and its listeners have finished.
    ///
    /// # Errors
    ///
    /// When the recorder failed.
    pub fn end_stage(&self) -> Result<(), RecorderGone> {
        self.call(Recording::end_stage)
    }

    /// Calls a function with the state of the recorder, after all events that were sent so far.
    /// Blocks, so it must not be used in asynchronous code.
    ///
    /// # Errors
    ///
    /// When the recorder failed.
    pub fn call<T: Send + 'env>(
        &self,
        action: impl FnOnce(&mut Recording<'env>) -> T + Send + 'env,
    ) -> Result<T, RecorderGone> {
        let (reply, replied) = calls::sync_channel(1);
        let call: Call<'env> = Box::new(move |recording| drop(reply.send(action(recording))));
        self.calls.send(call).map_err(|_| RecorderGone)?;
        self.sender.messages.blocking_send(Message::Call).map_err(|_| RecorderGone)?;
        replied.recv().map_err(|_| RecorderGone)
    }

    /// Records the remaining events and returns the state.
    ///
    /// # Panics
    ///
    /// When the recorder panicked. Then only the results file shows what was done.
    pub fn finish(self) -> Recording<'env> {
        let Self { sender, calls, thread } = self;
        drop((sender, calls));
        let mut recording = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        recording.end_stage();
        recording
    }
}

/// Records events and makes calls until all senders are dropped.
fn work<'env>(
    mut recording: Recording<'env>,
    mut messages: mpsc::Receiver<Message>,
    calls: &calls::Receiver<Call<'env>>,
    acks: &AckCounter,
) -> Recording<'env> {
    let (mut batch, mut events) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
    let record = |recording: &mut Recording<'env>, events: &mut Vec<Event>| {
        recording.on_events(events);
        acks.add_done(events.iter().filter(|event| is_recorded(event)).count() as u64);
        events.clear();
    };
    while messages.blocking_recv_many(&mut batch, BATCH) > 0 {
        if batch.len() < BATCH {
            thread::sleep(GATHER);
            while batch.len() < BATCH
                && let Ok(message) = messages.try_recv()
            {
                batch.push(message);
            }
        }
        for message in batch.drain(..) {
            match message {
                Message::Event(event) => events.push(event),
                Message::Call => {
                    record(&mut recording, &mut events);
                    // The call was sent before this message.
                    if let Ok(call) = calls.try_recv() {
                        call(&mut recording);
                    }
                }
            }
        }
        record(&mut recording, &mut events);
    }
    recording
}

#[cfg(test)]
mod tests;
