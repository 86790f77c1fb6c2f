//! Shared by the tests of the engine: an API with a script, and a bench that runs a worker pool with
//! it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::time::{Instant, sleep};

use super::recorder::Message;
use super::unlock::UnlockJob;
use super::work::Api;
use super::{EventSender, Pacer, PoolSettings, Unlock, Work, WorkerPool};
use crate::clerk::{PageRequest, UserFilter};
use crate::model::{
    Answer, Event, Fault, Identifier, InputRecord, Outcome, PauseReason, Reply, Row, StopReason,
    UserId,
};
use crate::policy::pacing::{GateSettings, Pace, Quota};
use crate::policy::retry::RetryPolicy;
use crate::stop::Stop;

pub(super) fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(super) fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// The subject of a call.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Asked {
    Unlock(UserId),
    Lock(UserId),
    LookUp(Vec<Identifier>),
    Page(PageRequest),
    Count,
}

/// A call, as an argument of the script.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) asked: Asked,
    /// The number of earlier calls with the same subject.
    pub(super) nth: usize,
    /// The number of earlier calls.
    pub(super) place: usize,
    /// The time since the start of the script.
    pub(super) at: Duration,
}

impl Call {
    /// The number of the user to be unlocked.
    pub(super) fn user(&self) -> usize {
        match &self.asked {
            Asked::Unlock(id) => id.as_str()["user_".len()..].parse().unwrap(),
            other => panic!("{other:?} is not an unlock call"),
        }
    }

    /// The successful answer.
    pub(super) fn unlocked(&self) -> Reply {
        answer(200, &format!(r#"{{"id":"user_{}","locked":false}}"#, self.user()))
    }
}

/// The reply to a call, and how long request and reply take.
pub(super) struct Played {
    there: Duration,
    back: Duration,
    reply: Reply,
    arrives_at: Option<Duration>,
}

impl Played {
    pub(super) fn new(there: Duration, back: Duration, reply: Reply) -> Self {
        Self { there, back, reply, arrives_at: None }
    }

    /// A reply after `took` to a call that the server reads at `at`, which may be after the caller gave
    /// up.
    pub(super) fn read_at(at: Duration, took: Duration, reply: Reply) -> Self {
        Self { there: ms(0), back: took, reply, arrives_at: Some(at) }
    }
}

/// A round trip of fifty milliseconds.
impl From<Reply> for Played {
    fn from(reply: Reply) -> Self {
        Self::new(ms(25), ms(25), reply)
    }
}

pub(super) fn answer(status: u16, body: &str) -> Reply {
    Reply::Answer(Answer { status, body: body.into(), ..Answer::default() })
}

pub(super) fn status(status: u16) -> Reply {
    answer(status, "")
}

/// An answer with a `Retry-After`.
pub(super) fn come_back(status: u16, retry_after: Duration) -> Reply {
    Reply::Answer(Answer { status, retry_after: Some(retry_after), ..Answer::default() })
}

pub(super) fn timed_out() -> Reply {
    Reply::Fault(Fault::Timeout(secs(30)))
}

/// An API with a script, which records its calls.
pub(super) struct Scripted<'r> {
    script: Box<dyn Fn(&Call) -> Played + 'r>,
    begun: Instant,
    calls: RefCell<Vec<Call>>,
    arrivals: RefCell<Vec<(Duration, usize)>>,
    n_asked: RefCell<HashMap<String, usize>>,
    n_in_flight: Cell<usize>,
    most_in_flight: Cell<usize>,
    n_fresh: Cell<usize>,
}

impl<'r> Scripted<'r> {
    pub(super) fn new<P: Into<Played>>(script: impl Fn(&Call) -> P + 'r) -> Self {
        Self {
            script: Box::new(move |call| script(call).into()),
            begun: Instant::now(),
            calls: RefCell::default(),
            arrivals: RefCell::default(),
            n_asked: RefCell::default(),
            n_in_flight: Cell::new(0),
            most_in_flight: Cell::new(0),
            n_fresh: Cell::new(0),
        }
    }

    /// All calls, in the order in which they were made.
    pub(super) fn calls(&self) -> Vec<Call> {
        self.calls.borrow().clone()
    }

    /// When the calls were made.
    pub(super) fn times(&self) -> Vec<Duration> {
        self.calls.borrow().iter().map(|call| call.at).collect()
    }

    /// The number of calls in a range of time.
    pub(super) fn n_between(&self, from: Duration, to: Duration) -> usize {
        self.times().into_iter().filter(|at| (from..to).contains(at)).count()
    }

    /// The maximum number of calls that reached the server in any sliding window.
    pub(super) fn most_in(&self, window: Duration) -> usize {
        let mut arrivals: Vec<Duration> = self.arrivals.borrow().iter().map(|it| it.0).collect();
        arrivals.sort_unstable();
        let n_before = |&at: &Duration| arrivals.partition_point(|&other| other + window <= at);
        (0..).zip(&arrivals).map(|(place, at)| place + 1 - n_before(at)).max().unwrap_or(0)
    }

    /// The places of the calls that reached the server.
    pub(super) fn arrived(&self) -> Vec<usize> {
        self.arrivals.borrow().iter().map(|it| it.1).collect()
    }

    pub(super) fn most_in_flight(&self) -> usize {
        self.most_in_flight.get()
    }

    /// How often new connections were requested.
    pub(super) fn n_fresh(&self) -> usize {
        self.n_fresh.get()
    }

    async fn play(&self, asked: Asked) -> Reply {
        let call = self.note(asked);
        let Played { there, back, reply, arrives_at } = (self.script)(&call);
        let _in_flight = InFlight::new(self);
        sleep(there).await;
        let arrived_at = arrives_at.unwrap_or_else(|| self.begun.elapsed());
        self.arrivals.borrow_mut().push((arrived_at, call.place));
        sleep(back).await;
        reply
    }

    fn note(&self, asked: Asked) -> Call {
        let mut n_asked = self.n_asked.borrow_mut();
        let n_asked = n_asked.entry(format!("{asked:?}")).or_default();
        let mut calls = self.calls.borrow_mut();
        let call = Call { asked, nth: *n_asked, place: calls.len(), at: self.begun.elapsed() };
        *n_asked += 1;
        calls.push(call.clone());
        call
    }
}

/// Counts a call in flight until it is answered or dropped.
struct InFlight<'a>(&'a Cell<usize>);

impl<'a> InFlight<'a> {
    fn new(api: &'a Scripted<'_>) -> Self {
        let n = &api.n_in_flight;
        n.set(n.get() + 1);
        api.most_in_flight.set(api.most_in_flight.get().max(n.get()));
        Self(n)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl Api for Scripted<'_> {
    async fn unlock(&self, user: &UserId) -> Reply {
        self.play(Asked::Unlock(user.clone())).await
    }

    async fn lock(&self, user: &UserId) -> Reply {
        self.play(Asked::Lock(user.clone())).await
    }

    async fn look_up(&self, identifiers: &[Identifier]) -> Reply {
        self.play(Asked::LookUp(identifiers.to_vec())).await
    }

    async fn page(&self, page: &PageRequest) -> Reply {
        self.play(Asked::Page(page.clone())).await
    }

    async fn count(&self, _: &UserFilter) -> Reply {
        self.play(Asked::Count).await
    }

    fn use_fresh_connections(&self) {
        self.n_fresh.set(self.n_fresh.get() + 1);
    }
}

fn quota(n: u32, per: Duration) -> Quota {
    Quota { n: NonZeroU32::new(n).unwrap(), per }
}

/// This many in any ten seconds, evenly spaced.
pub(super) fn share(n: u32) -> Pace {
    Pace::Share(quota(n, secs(10)))
}

/// This many in any ten seconds, without spacing.
pub(super) fn window(n: u32) -> Pace {
    Pace::Burst(quota(n, secs(10)))
}

/// This many per second, evenly spaced.
pub(super) fn even(n: u32) -> Pace {
    Pace::Rate(quota(n, secs(1)))
}

/// Runs a worker pool with the defaults of the command line.
pub(super) struct Bench {
    pub(super) settings: PoolSettings,
    pub(super) gate: GateSettings,
    /// Whether the first request, which is sent alone, has been answered.
    pub(super) is_proven: bool,
    pub(super) stop: Stop,
}

impl Default for Bench {
    fn default() -> Self {
        let settings = PoolSettings {
            concurrency: 64,
            retry: RetryPolicy::default(),
            retries_per_second: 16.0,
            canary: None,
        };
        let gate = GateSettings { pace: window(800), shards: 1, give_up_after: secs(900) };
        Self { settings, gate, is_proven: true, stop: Stop::default() }
    }
}

impl Bench {
    pub(super) fn with_concurrency(concurrency: usize) -> Self {
        let mut bench = Self::default();
        bench.settings.concurrency = concurrency;
        bench
    }

    pub(super) fn with_max_retries(max_retries: u32) -> Self {
        let mut bench = Self::default();
        bench.settings.retry.max_retries = max_retries;
        bench
    }

    pub(super) fn with_pace(pace: Pace) -> Self {
        let mut bench = Self::default();
        bench.gate.pace = pace;
        bench
    }

    /// Unlocks `user_0`, `user_1` and so on.
    pub(super) async fn unlock(&self, api: &Scripted<'_>, n_users: usize) -> Ran {
        self.unlock_during(api, n_users, async {}).await
    }

    /// The same, concurrently with another future.
    pub(super) async fn unlock_during(
        &self,
        api: &Scripted<'_>,
        n_users: usize,
        other: impl Future<Output = ()>,
    ) -> Ran {
        let jobs: Vec<UnlockJob> = (0..n_users).map(job).collect();
        let records = records(n_users);
        let work = Unlock::new(api, &records);
        tokio::join!(self.run(&work, jobs), other).0
    }

    /// Runs a worker pool to its end, with the grace period of a stop.
    pub(super) async fn run<W: Work>(
        &self,
        work: &W,
        items: impl IntoIterator<Item = W::Item>,
    ) -> Ran {
        let begun = Instant::now();
        let pacer = if self.is_proven { Pacer::proven(self.gate) } else { Pacer::new(self.gate) };
        let (sender, mut receiver) = EventSender::to_test(true);
        let work = async {
            WorkerPool::new(work, items, self.settings, &pacer, &self.stop, sender).run().await;
            begun.elapsed()
        };
        let collect = async {
            let mut events = Vec::new();
            while let Some(Message::Event(event)) = receiver.recv().await {
                events.push(event);
            }
            events
        };
        let (took, events) = tokio::select! {
            ran = async { tokio::join!(work, collect) } => ran,
            never = self.stop.keep_grace() => match never {},
        };
        Ran { events, took, reason: self.stop.reason() }
    }
}

/// The job of a record.
pub(super) fn job(record: usize) -> UnlockJob {
    let user = format!("user_{record}").parse().unwrap();
    UnlockJob { record, user, seen: None, was_locked: None }
}

/// The records of those users, from line 2 on.
pub(super) fn records(n_users: usize) -> Vec<InputRecord> {
    let record = |n| InputRecord::new(n as u64 + 2, &format!("user_{n}"));
    (0..n_users).map(record).collect()
}

/// The events of a worker pool, and how it ended.
pub(super) struct Ran {
    pub(super) events: Vec<Event>,
    pub(super) took: Duration,
    pub(super) reason: Option<StopReason>,
}

impl Ran {
    /// The rows, in the order of their events.
    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.finished().map(|(_, row)| row)
    }

    /// The rows, each with the index of its record.
    pub(super) fn finished(&self) -> impl Iterator<Item = (usize, &Row)> {
        self.events.iter().filter_map(|event| match event {
            Event::JobFinished { record, row, .. } => Some((*record, &**row)),
            _ => None,
        })
    }

    /// The one row of a record.
    #[track_caller]
    pub(super) fn row(&self, record: usize) -> &Row {
        let of_record = self.finished().filter(|(it, _)| *it == record);
        let rows: Vec<&Row> = of_record.map(|(_, row)| row).collect();
        assert_eq!(rows.len(), 1, "rows of record {record}");
        rows[0]
    }

    /// The records that have rows, in the order of the input.
    pub(super) fn recorded(&self) -> Vec<usize> {
        let mut records: Vec<usize> = self.finished().map(|(record, _)| record).collect();
        records.sort_unstable();
        records
    }

    /// The number of rows with each outcome.
    pub(super) fn counts(&self) -> Vec<(Outcome, usize)> {
        let mut counts = BTreeMap::new();
        self.rows().for_each(|row| *counts.entry(row.outcome).or_default() += 1);
        counts.into_iter().collect()
    }

    /// Whether the run was paused for this reason.
    pub(super) fn was_paused(&self, why: PauseReason) -> bool {
        self.events.iter().any(|event| matches!(event, Event::Paused(it) if it.reason == why))
    }
}

/// Runs a future on a paused clock, which advances to the next timer.
pub(super) fn on_a_paused_clock<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}
