//! Runs one stage of a job on this thread, with its signals, its grace period and its deadline.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::time::{MissedTickBehavior, interval, sleep_until};

use super::recorder::{EventSender, Recorder, RecorderGone};
use super::{now, wall_clock};
use crate::model::{Event, StopReason};
use crate::report::Listener;
use crate::stop::{Signals, Stop};

/// How often listeners redraw and the results file is checked.
const TICK: Duration = Duration::from_millis(100);

/// The reasons for a stage to stop early.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    /// The stop of the job.
    pub stop: &'a Stop,
    /// The signals of the operating system.
    pub signals: &'a Signals,
    /// The end of `--max-duration`.
    pub deadline: Option<Instant>,
}

impl Session<'_> {
    /// Runs a stage to its end and reports it to these listeners.
    ///
    /// # Errors
    ///
    /// When the recorder failed.
    pub fn run<'env, T>(
        &self,
        runtime: &Runtime,
        recorder: &Recorder<'_, 'env>,
        listeners: Vec<Box<dyn Listener + 'env>>,
        stage: impl AsyncFnOnce(EventSender) -> T,
    ) -> Result<T, RecorderGone> {
        self.signals.begin_orderly();
        // The deadline may have passed during the confirmation prompt.
        if self.deadline.is_some_and(|deadline| deadline <= now()) {
            self.stop.ask(StopReason::MaxDuration);
        }
        recorder.begin_stage(listeners)?;
        let events = recorder.sender();
        let done = runtime.block_on(async {
            tokio::select! {
                // A stop at the same time as the end of the stage has no effect.
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
        // A tick is dropped if the channel is full: the events in it make listeners redraw.
        events.try_send(Event::Ticked { at: now(), wall: wall_clock() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::testing::{Bench, Played, Ran, Scripted, come_back, ms, secs};

    // The tests of the binary cover `Session::run`, which needs a thread and a clock.

    /// Runs eight workers with a `--max-duration` of ten seconds.
    async fn with_ten_seconds(api: &Scripted<'_>) -> Ran {
        let bench = Bench::with_concurrency(8);
        let (signals, deadline) = (&Signals::default(), Some(now() + secs(10)));
        let session = Session { stop: &bench.stop, signals, deadline };
        tokio::select! {
            ran = bench.unlock(api, 2_000) => ran,
            never = session.keep_deadline() => match never {},
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_max_duration_requests_in_flight_end_and_no_other_starts() {
        let api = Scripted::new(|call| Played::new(ms(1_500), ms(1_500), call.unlocked()));
        let ran = with_ten_seconds(&api).await;
        assert_eq!(ran.reason, Some(StopReason::MaxDuration));
        assert_eq!(ran.rows().count(), 4 * 8, "four rounds start within ten seconds");
        assert_eq!(api.calls().len(), 4 * 8);
        assert!((secs(12)..ms(12_200)).contains(&ran.took), "{:?}", ran.took);
    }

    #[tokio::test(start_paused = true)]
    async fn max_duration_ends_waits_and_pauses() {
        for reply in [come_back(429, secs(60)), come_back(503, secs(60))] {
            let api = Scripted::new(|_| reply.clone());
            let ran = with_ten_seconds(&api).await;
            assert_eq!((ran.reason, ran.rows().count()), (Some(StopReason::MaxDuration), 0));
            assert!((secs(10)..ms(10_100)).contains(&ran.took), "{:?}", ran.took);
        }
    }
}
