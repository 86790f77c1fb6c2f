//! The job and a live application beside each other, in front of a strict server, on a clock that
//! jumps: ten minutes take a second. The benchmark and a test of the engine share this file.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::{GateSettings, Pace, Pacer, Quota, Report};

pub(crate) const QUOTA: u32 = 1_000;
pub(crate) const WINDOW: Duration = Duration::from_secs(10);
const LENGTH: Duration = Duration::from_secs(600);

/// One simulated situation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// What the application uses, in percent of the quota.
    pub(crate) application: u32,
    pub(crate) arrivals: Arrivals,
    pub(crate) server: Server,
    pub(crate) pace: Pace,
}

/// How the application's calls arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrivals {
    Even,
    /// Independently of each other: a Poisson process.
    Random,
}

/// What the server does with requests beyond the quota. In both cases no sliding window lets more
/// in, and `Retry-After` is the time until there is room, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// It refuses them one by one.
    Refuses,
    /// It refuses everything until the time that it named is over.
    Blocks,
}

/// What became of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Played {
    /// Calls of the application, and those that were refused. It does not repeat them.
    pub(crate) n_calls: u32,
    pub(crate) n_refused: u32,
    /// The most calls of the application in any window.
    pub(crate) most_calls: u32,
    /// Requests of the job that were answered, and those that were refused.
    pub(crate) n_done: u32,
    pub(crate) n_throttled: u32,
    /// The most requests of the job in any window.
    pub(crate) most_requests: u32,
}

impl Played {
    /// The part of the application's calls that was refused, in percent.
    pub(crate) fn refused(&self) -> f64 {
        100.0 * f64::from(self.n_refused) / f64::from(self.n_calls.max(1))
    }

    /// What the job used of what it could have used, in percent.
    pub(crate) fn used(&self, scenario: &Scenario) -> f64 {
        let left = QUOTA - QUOTA * scenario.application / 100;
        let share = scenario.pace.quota().n.get();
        let most = f64::from(left.min(share)) * LENGTH.as_secs_f64() / WINDOW.as_secs_f64();
        100.0 * f64::from(self.n_done) / most
    }
}

/// A share of the quota, as a pace.
pub(crate) fn share(percent: u32, pace: fn(Quota) -> Pace) -> Pace {
    let n = NonZeroU32::new(QUOTA * percent / 100).expect("more than none");
    pace(Quota { n, per: WINDOW })
}

/// Plays ten minutes. The application has been running for a while when the job begins.
pub(crate) fn play(scenario: &Scenario) -> Played {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_time().start_paused(true).build().expect("a runtime");
    runtime.block_on(both(scenario))
}

async fn both(scenario: &Scenario) -> Played {
    let began = Instant::now();
    let job_begins = began + WINDOW * 2;
    let ends = job_begins + LENGTH;
    let played = Cell::new(Played::default());
    let server = Limiter::new(scenario.server);
    let dice = RefCell::new(fastrand::Rng::with_seed(7));
    let note = |change: &dyn Fn(&mut Played)| {
        let mut it = played.get();
        change(&mut it);
        played.set(it);
    };
    let application = async {
        let mut window = Busiest::default();
        let arrivals = arrivals(scenario, began, ends, &mut dice.borrow_mut().fork());
        for arrival in arrivals {
            sleep_until(arrival).await;
            let is_let_in = server.admit(arrival).is_ok();
            if arrival >= job_begins {
                let most_calls = window.count(arrival);
                note(&|it| {
                    it.n_calls += 1;
                    it.n_refused += u32::from(!is_let_in);
                    it.most_calls = most_calls;
                });
            }
        }
    };
    let pacer = Pacer::new(GateSettings { pace: scenario.pace, shards: 1, give_up_after: LENGTH });
    let window = RefCell::new(Busiest::default());
    let worker = || async {
        sleep_until(job_begins).await;
        while Instant::now() < ends {
            let permit = pacer.permit().await;
            let (there, back) = latency(&mut dice.borrow_mut());
            sleep(there).await;
            let most_requests = window.borrow_mut().count(Instant::now());
            let admitted = server.admit(Instant::now());
            sleep(back).await;
            note(&|it| {
                it.most_requests = most_requests;
                it.n_done += u32::from(admitted.is_ok());
                it.n_throttled += u32::from(admitted.is_err());
            });
            permit.report(match admitted {
                Ok(()) => Report::Answered,
                Err(retry_after) => Report::Throttled(Some(retry_after)),
            });
        }
    };
    let job = futures_util::future::join_all((0..64).map(|_| worker()));
    tokio::join!(application, async {
        tokio::select! {
            _ = job => {}
            () = sleep_until(ends) => {}
        }
    });
    played.get()
}

/// When the application's calls reach the server.
fn arrivals(
    scenario: &Scenario,
    began: Instant,
    ends: Instant,
    dice: &mut fastrand::Rng,
) -> Vec<Instant> {
    let per_second = f64::from(QUOTA * scenario.application / 100) / WINDOW.as_secs_f64();
    let mut sent_at = 0.0;
    let mut arrivals = Vec::new();
    while began + Duration::from_secs_f64(sent_at) < ends {
        let at = began + Duration::from_secs_f64(sent_at) + latency(dice).0;
        arrivals.push(at);
        sent_at += match scenario.arrivals {
            Arrivals::Even => 1.0 / per_second,
            Arrivals::Random => -(1.0 - dice.f64()).ln() / per_second,
        };
    }
    arrivals.sort_unstable();
    arrivals
}

/// 50 to 150 ms, half of it there and half of it back.
fn latency(dice: &mut fastrand::Rng) -> (Duration, Duration) {
    let half = || Duration::from_millis(25);
    (half() + half().mul_f64(2.0 * dice.f64()), half() + half().mul_f64(2.0 * dice.f64()))
}

/// A strict sliding window.
struct Limiter {
    kind: Server,
    let_in: RefCell<VecDeque<Instant>>,
    blocked_until: Cell<Option<Instant>>,
}

impl Limiter {
    fn new(kind: Server) -> Self {
        Self { kind, let_in: RefCell::default(), blocked_until: Cell::new(None) }
    }

    fn admit(&self, now: Instant) -> Result<(), Duration> {
        if let Some(until) = self.blocked_until.get().filter(|&until| now < until) {
            return Err(whole_seconds(until - now));
        }
        let mut let_in = self.let_in.borrow_mut();
        while let_in.front().is_some_and(|&at| at + WINDOW <= now) {
            let_in.pop_front();
        }
        match let_in.front() {
            Some(&oldest) if let_in.len() >= QUOTA as usize => {
                let wait = whole_seconds(oldest + WINDOW - now);
                if self.kind == Server::Blocks {
                    self.blocked_until.set(Some(now + wait));
                }
                Err(wait)
            }
            _ => {
                let_in.push_back(now);
                Ok(())
            }
        }
    }
}

fn whole_seconds(wait: Duration) -> Duration {
    Duration::from_secs((wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1))
}

/// The most arrivals in any window so far.
#[derive(Default)]
struct Busiest {
    recent: VecDeque<Instant>,
    most: u32,
}

impl Busiest {
    fn count(&mut self, now: Instant) -> u32 {
        while self.recent.front().is_some_and(|&at| at + WINDOW <= now) {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
        self.most = self.most.max(u32::try_from(self.recent.len()).unwrap_or(u32::MAX));
        self.most
    }
}
