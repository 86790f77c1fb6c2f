//! A session: the work on this thread, the recorder on another, and what watches over both.

use std::convert::Infallible;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::acks::AckCounter;
use super::clock::{now, wall_clock};
use super::recorder::{Recorded, Recorder};
use super::worker_pool::EventSender;
use crate::model::{Event, StopReason};
use crate::stop::{Signals, Stop};

/// How many events may be on their way to the recorder: a slow disk slows the worker pool down by this bound.
pub const EVENTS_IN_FLIGHT: usize = 64;

/// How often listeners are told that time passed.
const TICK: Duration = Duration::from_millis(100);

/// What watches over some work: signals, the grace after a stop, the deadline.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The stop bit.
    pub stop: &'a Stop,
    /// What the operating system asks.
    pub signals: &'a Signals,
    /// When `--max-duration` is over.
    pub deadline: Option<Instant>,
}

impl Session<'_> {
    /// Runs the work to its end, the recorder beside it, and gives what both leave behind.
    ///
    /// # Errors
    ///
    /// When the recorder's thread can't be started.
    ///
    /// # Panics
    ///
    /// When the recorder panicked: what it knew is lost, and the journal alone tells what was done.
    pub fn run<'f, T>(
        &self,
        runtime: &Runtime,
        recorder: Recorder<'f>,
        work: impl AsyncFnOnce(EventSender<'_>) -> T,
    ) -> io::Result<(Recorded<'f>, T)> {
        let (events, receiver) = mpsc::channel(EVENTS_IN_FLIGHT);
        let acks = &AckCounter::default();
        // A signal that came before the first request leaves must be known by then.
        self.signals.apply(self.stop);
        // So must time that is up already: a person may have taken it over a question.
        if self.deadline.is_some_and(|deadline| deadline <= now()) {
            self.stop.ask(StopReason::MaxDuration);
        }
        thread::scope(|scope| {
            let recording = thread::Builder::new()
                .name("recorder".into())
                .spawn_scoped(scope, move || recorder.run(receiver, acks))?;
            let done = runtime.block_on(async {
                tokio::select! {
                    // A stop that comes with the end of the work has nothing left to say.
                    biased;
                    done = work(EventSender { events: &events, acks }) => done,
                    never = self.watch(&events) => match never {},
                }
            });
            drop(events);
            let finished =
                recording.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            Ok((finished, done))
        })
    }

    async fn watch(&self, events: &mpsc::Sender<Event>) -> Infallible {
        let on_status = || drop(events.try_send(Event::StatusAsked));
        tokio::select! {
            never = self.signals.forward(self.stop, on_status) => never,
            never = self.stop.keep_grace() => never,
            never = self.keep_deadline() => never,
            never = tick(events) => never,
            never = self.say_stopping(events) => never,
        }
    }

    async fn keep_deadline(&self) -> Infallible {
        if let Some(deadline) = self.deadline {
            sleep_until(deadline.into()).await;
            self.stop.ask(StopReason::MaxDuration);
        }
        std::future::pending().await
    }

    async fn say_stopping(&self, events: &mpsc::Sender<Event>) -> Infallible {
        self.stop.asked().await;
        if let Some(reason) = self.stop.reason() {
            let _ = events.send(Event::Stopping(reason)).await;
        }
        std::future::pending().await
    }
}

async fn tick(events: &mpsc::Sender<Event>) -> Infallible {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A full channel has enough to show.
        let _ = events.try_send(Event::Ticked { at: now(), wall: wall_clock() });
    }
}

#[cfg(test)]
mod tests;
