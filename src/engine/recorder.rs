//! The recorder: a thread of its own that records, counts, reports and checks, in that order, so
//! that a slow disk never stalls a socket. One recorder serves all stages of a job.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc as calls;
use std::thread::{Builder, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::model::{Event, Row, StopReason};
use crate::policy::stop_rule::StopRule;
use crate::report::Listener;
use crate::results::{LockedList, WriteError, Writer};
use crate::stats::Stats;
use crate::stop::Stop;

/// Maximum number of messages on their way to the recorder: a slow disk slows the workers down by
/// this bound.
const MESSAGES_IN_FLIGHT: usize = 64;

/// Maximum number of events that are recorded at once: one write serves all of them.
const BATCH: usize = 32;

/// How often rows are synced to the disk: what a power cut can cost.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// The recorder is gone: it panicked, and nothing can be recorded any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("internal error: the recorder failed; see the error above")]
pub struct RecorderGone;

/// Counts the rows that were sent to the recorder and those that it is done with: recorded, counted,
/// reported and checked.
///
/// A worker takes its next job only when its row is among them. So whatever happens to the disk, no
/// more users were asked and have no row than there are workers, and a guard that trips is noticed
/// before anyone continues.
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
        // The sender lives in `self`, so waiting cannot fail.
        let _ = self.n_done.subscribe().wait_for(|n| *n >= n_sent).await;
    }
}

/// Sends events to the recorder.
#[derive(Clone, Debug)]
pub struct EventSender {
    messages: mpsc::Sender<Message>,
    acks: AckCounter,
}

/// What is sent to the recorder's thread. Calls stand in a queue of their own: they may borrow, and
/// senders of events need not know.
#[derive(Debug)]
pub(super) enum Message {
    Event(Event),
    Call,
}

impl EventSender {
    /// Sends an event; waits while too many are on their way.
    ///
    /// # Errors
    ///
    /// When the recorder is gone.
    pub async fn send(&self, event: Event) -> Result<(), RecorderGone> {
        let is_recorded = is_recorded(&event);
        self.messages.send(Message::Event(event)).await.map_err(|_| RecorderGone)?;
        self.acks.n_sent.fetch_add(u64::from(is_recorded), Ordering::Relaxed);
        Ok(())
    }

    /// Sends an event that has no row, unless too many are on their way.
    pub fn try_send(&self, event: Event) {
        // The next one carries the same information.
        let _ = self.messages.try_send(Message::Event(event));
    }

    /// Waits until the recorder is done with all rows that were sent so far. Returns at once when
    /// the recorder is gone: it would never be.
    pub async fn recorded(&self) {
        tokio::select! {
            () = self.acks.all_done() => {}
            () = self.messages.closed() => {}
        }
    }

    /// Sends events to a test. With `is_done`, rows count as recorded at once.
    #[cfg(test)]
    pub(super) fn to_test(is_done: bool) -> (Self, mpsc::Receiver<Message>) {
        let (messages, receiver) = mpsc::channel(MESSAGES_IN_FLIGHT);
        let acks = AckCounter::default();
        acks.add_done(if is_done { u64::MAX } else { 0 });
        (Self { messages, acks }, receiver)
    }

    /// Counts rows as recorded.
    #[cfg(test)]
    pub(super) fn ack(&self, n_rows: u64) {
        self.acks.add_done(n_rows);
    }
}

/// The state of a recorder, on its thread.
pub struct Recording<'env> {
    /// Where rows go; `None` for a walk.
    pub writer: Option<Writer>,
    /// Where the users of a walk go.
    pub list: Option<LockedList>,
    /// What was counted.
    pub stats: Stats,
    /// Which records have a row.
    pub recorded: Vec<bool>,
    stop_rule: StopRule,
    stop: &'env Stop,
    listeners: Vec<Box<dyn Listener + 'env>>,
    synced_at: Option<Instant>,
}

impl<'env> Recording<'env> {
    /// A recording that asks this stop to end the job when a guard trips or a row cannot be
    /// written.
    pub fn new(
        writer: Option<Writer>,
        stats: Stats,
        recorded: Vec<bool>,
        stop_rule: StopRule,
        stop: &'env Stop,
    ) -> Self {
        let listeners = Vec::new();
        let (list, synced_at) = (None, None);
        Self { writer, list, stats, recorded, stop_rule, stop, listeners, synced_at }
    }

    /// The recording of a walk, whose users go to this list.
    pub fn of_walk(list: LockedList, stats: Stats, stop: &'env Stop) -> Self {
        let recording = Self::new(None, stats, Vec::new(), StopRule::default(), stop);
        Self { list: Some(list), ..recording }
    }

    /// The order matters: rows are in the file before anything is reported. A row that could not be
    /// written was not recorded, though its request was sent.
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
        if let Some(at) = events.iter().rev().find_map(moment) {
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

    /// A file that is removed, replaced or truncated is noticed within a tick.
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
        // The writer keeps the error.
        if result.is_err() {
            self.stop.ask(StopReason::OutputFailed);
        }
    }

    /// Begins a stage that these listeners report.
    fn begin_stage(&mut self, listeners: Vec<Box<dyn Listener + 'env>>) {
        self.listeners = listeners;
    }

    /// Ends a stage. What it recorded is synced: a question may follow, and nobody knows how long
    /// the answer takes.
    fn end_stage(&mut self) {
        self.listeners.drain(..).for_each(Listener::finish);
        let result = self.writer.as_mut().map_or(Ok(()), Writer::sync);
        self.note(&result);
    }
}

/// Whether an event goes to a file.
fn is_recorded(event: &Event) -> bool {
    matches!(event, Event::JobFinished { .. } | Event::UsersListed { .. })
}

fn row(event: &Event) -> Option<&Row> {
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

type Call<'env> = Box<dyn FnOnce(&mut Recording<'env>) + Send + 'env>;

/// A recorder on its thread, for all stages of a job.
pub struct Recorder<'scope, 'env> {
    sender: EventSender,
    calls: calls::Sender<Call<'env>>,
    thread: ScopedJoinHandle<'scope, Recording<'env>>,
}

/// What a recorder leaves behind.
pub struct Recorded {
    /// The list of a walk.
    pub list: Option<LockedList>,
    /// The writer, with everything that was recorded committed.
    pub writer: Option<Writer>,
    /// What was counted.
    pub stats: Stats,
    /// Which records have a row.
    pub recorded: Vec<bool>,
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

    /// A way to send events.
    pub fn sender(&self) -> EventSender {
        self.sender.clone()
    }

    /// Begins a stage that these listeners report.
    ///
    /// # Errors
    ///
    /// When the recorder is gone.
    pub fn begin_stage(
        &self,
        listeners: Vec<Box<dyn Listener + 'env>>,
    ) -> Result<(), RecorderGone> {
        self.call(move |recording| recording.begin_stage(listeners))
    }

    /// Ends a stage: everything is recorded and synced, and its listeners are gone.
    ///
    /// # Errors
    ///
    /// When the recorder is gone.
    pub fn end_stage(&self) -> Result<(), RecorderGone> {
        self.call(Recording::end_stage)
    }

    /// Does something with the recorder's state, after all events that were sent so far. Blocks: not
    /// for asynchronous code.
    ///
    /// # Errors
    ///
    /// When the recorder is gone.
    pub fn call<T: Send + 'env>(
        &self,
        action: impl FnOnce(&mut Recording<'env>) -> T + Send + 'env,
    ) -> Result<T, RecorderGone> {
        let (reply, replied) = calls::sync_channel(1);
        // The caller waits for the reply.
        let call: Call<'env> = Box::new(move |recording| drop(reply.send(action(recording))));
        self.calls.send(call).map_err(|_| RecorderGone)?;
        self.sender.messages.blocking_send(Message::Call).map_err(|_| RecorderGone)?;
        replied.recv().map_err(|_| RecorderGone)
    }

    /// Records the rest and gives everything back.
    ///
    /// # Panics
    ///
    /// When the recorder panicked: the results file alone shows what was done.
    pub fn finish(self) -> Recorded {
        let Self { sender, calls, thread } = self;
        drop((sender, calls));
        let mut recording = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        recording.end_stage();
        let Recording { writer, list, stats, recorded, .. } = recording;
        Recorded { list, writer, stats, recorded }
    }
}

/// Works until the last sender is gone.
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
        for message in batch.drain(..) {
            match message {
                Message::Event(event) => events.push(event),
                Message::Call => {
                    record(&mut recording, &mut events);
                    // It was queued before this message was sent.
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
