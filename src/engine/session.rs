//! A session: one stage of a job on this thread, and what watches over it.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::clock::{now, wall_clock};
use super::recorder::{EventSender, Recorder, RecorderGone};
use crate::model::{Event, StopReason};
use crate::report::Listener;
use crate::stop::{Signals, Stop};

/// How often listeners are notified that time passed, and the results file is checked.
const TICK: Duration = Duration::from_millis(100);

/// What watches over a stage: signals, the grace period after a stop, the deadline.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The stop.
    pub stop: &'a Stop,
    /// The signals of the operating system.
    pub signals: &'a Signals,
    /// When `--max-duration` is over.
    pub deadline: Option<Instant>,
}

impl Session<'_> {
    /// Runs a stage to its end and reports it to these listeners.
    ///
    /// # Errors
    ///
    /// When the recorder is gone.
    pub fn run<'env, T>(
        &self,
        runtime: &Runtime,
        recorder: &Recorder<'_, 'env>,
        listeners: Vec<Box<dyn Listener + 'env>>,
        stage: impl AsyncFnOnce(EventSender) -> T,
    ) -> Result<T, RecorderGone> {
        self.signals.begin_orderly();
        // The time may be up already: a person may have spent it on the question.
        if self.deadline.is_some_and(|deadline| deadline <= now()) {
            self.stop.ask(StopReason::MaxDuration);
        }
        recorder.begin_stage(listeners)?;
        let events = recorder.sender();
        let done = runtime.block_on(async {
            tokio::select! {
                // A stop that comes with the end of the stage changes nothing.
                biased;
                done = stage(events.clone()) => done,
                never = self.watch(&events) => match never {},
            }
        });
        recorder.end_stage()?;
        Ok(done)
    }

    async fn watch(&self, events: &EventSender) -> Infallible {
        let on_status = || events.try_send(Event::StatusAsked);
        tokio::select! {
            never = self.signals.watch_status(on_status) => never,
            never = self.stop.keep_grace() => never,
            never = self.keep_deadline() => never,
            never = tick(events) => never,
            never = self.announce_stop(events) => never,
        }
    }

    async fn keep_deadline(&self) -> Infallible {
        if let Some(deadline) = self.deadline {
            sleep_until(deadline.into()).await;
            self.stop.ask(StopReason::MaxDuration);
        }
        std::future::pending().await
    }

    async fn announce_stop(&self, events: &EventSender) -> Infallible {
        self.stop.asked().await;
        if let Some(reason) = self.stop.reason() {
            let _ = events.send(Event::Stopping(reason)).await;
        }
        std::future::pending().await
    }
}

async fn tick(events: &EventSender) -> Infallible {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        // A full channel has enough to show.
        events.try_send(Event::Ticked { at: now(), wall: wall_clock() });
    }
}

#[cfg(test)]
mod tests;
