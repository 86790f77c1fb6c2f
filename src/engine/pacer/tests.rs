mod goals;

use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;
use std::time::SystemTime;

use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::*;
use crate::engine::recorder::Message;
use crate::engine::testing::{
    Bench, Call, Played, Ran, Scripted, come_back, even, job, ms, on_a_paused_clock, records, secs,
    share, status, timed_out, window,
};
use crate::engine::{EventSender, Unlock, WorkerPool};
use crate::model::{Event, Outcome, StopReason};
use crate::policy::pacing::Quota;

const WINDOW: Duration = Duration::from_secs(10);

/// A server that answers after 20 to 60 ms.
fn quick(call: &Call) -> Played {
    let there = ms(10 + call.place as u64 * 7 % 40);
    Played::new(there, ms(10), call.unlocked())
}

#[track_caller]
fn keeps_and_uses(n_per_window: u32, n_users: usize) {
    on_a_paused_clock(async {
        let api = Scripted::new(quick);
        let ran = Bench::with_pace(window(n_per_window)).unlock(&api, n_users).await;
        assert_eq!(ran.counts(), [(Outcome::Unlocked, n_users)]);
        assert_eq!(api.calls().len(), n_users);
        let n_windows = n_users.div_ceil(n_per_window as usize) as u64 - 1;
        assert!(ran.took <= secs(10 * n_windows + 2), "{n_users} users took {:?}", ran.took);
        let most = api.most_in(WINDOW);
        assert!(most <= n_per_window as usize, "{most} in a window");
        assert!(api.most_in_flight() <= 64);
    });
}

#[test]
fn a_burst_keeps_the_share_and_takes_two_seconds_more_than_its_windows() {
    keeps_and_uses(800, 1);
    keeps_and_uses(800, 800);
    keeps_and_uses(800, 801);
    keeps_and_uses(800, 2_400);
    keeps_and_uses(80, 400);
    keeps_and_uses(1, 12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// For any latency, with calls that hang, 429s and outages.
    #[test]
    fn no_window_at_the_server_has_more_than_the_share(
        n_per_window in 1_u32..40,
        is_spaced: bool,
        n_users in 1_usize..160,
        concurrency in 1_usize..50,
        latencies in prop::collection::vec((0_u64..40_000, 0.0_f64..=1.0), 1..20),
        nth_throttled in 2_usize..60,
    ) {
        on_a_paused_clock(async {
            let api = Scripted::new(|call| {
                let (latency, part) = latencies[call.place % latencies.len()];
                let whole = ms(latency).min(secs(30));
                let there = whole.mul_f64(part);
                let reply = match call.place % nth_throttled {
                    1 => come_back(429, secs(2)),
                    _ if whole == secs(30) => timed_out(),
                    _ => call.unlocked(),
                };
                Played::new(there, whole.saturating_sub(there), reply)
            });
            let pace = if is_spaced { share(n_per_window) } else { window(n_per_window) };
            let mut bench = Bench::with_pace(pace);
            bench.settings.concurrency = concurrency;
            let ran = timeout(secs(7 * 86_400), bench.unlock(&api, n_users)).await;
            let ran = ran.expect("every run ends");
            prop_assert!(api.most_in(WINDOW) <= n_per_window as usize);
            prop_assert!(api.most_in_flight() <= concurrency);
            prop_assert!(ran.reason.is_some() || ran.rows().count() == n_users);
            Ok(())
        })?;
    }
}

/// Between any two calls, no more calls than the pace allows, except for those of 20 ms.
#[track_caller]
fn assert_even(times: &[Duration], per_second: f64) {
    let burst = (per_second / 50.0).ceil();
    let mut least = f64::MAX;
    for (n_before, at) in (0_u32..).zip(times) {
        // The number of calls ahead of the pace.
        let ahead = f64::from(n_before) - at.as_secs_f64() * per_second;
        assert!(ahead - least <= burst + 0.01, "call {n_before} at {at:?}");
        least = least.min(ahead);
    }
}

#[tokio::test(start_paused = true)]
async fn a_share_is_evenly_spaced_and_used() {
    for (n_per_window, concurrency) in [(500, 64), (2_000, 256)] {
        let api = Scripted::new(quick);
        let mut bench = Bench::with_pace(share(n_per_window));
        bench.settings.concurrency = concurrency;
        let n_users = n_per_window as usize * 2;
        let ran = bench.unlock(&api, n_users).await;
        assert_even(&api.times(), f64::from(n_per_window) / 10.0);
        assert!(api.most_in(WINDOW) <= n_per_window as usize);
        assert!(ran.took < ms(20_400), "{:?}", ran.took);
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_even_from_the_first_to_the_last_call() {
    let api = Scripted::new(quick);
    let ran = Bench::with_pace(even(80)).unlock(&api, 400).await;
    assert_even(&api.times(), 80.0);
    assert!(ran.took < ms(5_200), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn after_a_429_a_rate_is_smaller_and_recovers() {
    let api = Scripted::new(|call| match call.place {
        200 => Played::from(come_back(429, secs(5))),
        _ => quick(call),
    });
    let ran = Bench::with_pace(even(20)).unlock(&api, 6_000).await;
    assert_even(&api.times(), 20.0);
    let resumed_at = api.times()[201..].iter().find(|at| **at > secs(12)).copied().unwrap();
    let n_then = api.n_between(resumed_at + ms(100), resumed_at + ms(10_100));
    assert!((150..=160).contains(&n_then), "{n_then} calls in ten seconds at 77 % of 20/s");
    let n_at_last = api.n_between(ran.took.saturating_sub(secs(10)), ran.took);
    assert!(n_at_last >= 195, "{n_at_last} calls in ten seconds: the rate has recovered");
}

/// The probe after a pause is sent alone, and the next call is spaced from it.
#[tokio::test(start_paused = true)]
async fn a_rate_is_even_after_a_pause() {
    let api = Scripted::new(|call| match call.place {
        4 | 9 => Played::from(come_back(429, secs(1))),
        _ => quick(call),
    });
    Bench::with_pace(even(20)).unlock(&api, 40).await;
    let times = api.times();
    let gaps: Vec<Duration> =
        times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
    assert!(gaps.iter().all(|gap| *gap >= ms(49)), "{gaps:?}");
}

/// A run whose first request gets this reply.
async fn begun(pace: Pace, first: impl Fn(&Call) -> Played) -> (Ran, Vec<Duration>) {
    let api = Scripted::new(|call| if call.place == 0 { first(call) } else { quick(call) });
    let mut bench = Bench::with_pace(pace);
    bench.is_proven = false;
    let ran = bench.unlock(&api, 20).await;
    let times = api.times();
    (ran, times)
}

#[tokio::test(start_paused = true)]
async fn the_first_request_is_sent_alone() {
    for pace in [share(500), window(500), even(500)] {
        let slow = |call: &Call| Played::new(secs(1), secs(1), call.unlocked());
        let (ran, times) = begun(pace, slow).await;
        assert_eq!(ran.counts(), [(Outcome::Unlocked, 20)]);
        assert!(times[1] >= secs(2), "{times:?}");

        let failing = |_: &Call| Played::new(secs(1), secs(1), status(503));
        let (ran, times) = begun(pace, failing).await;
        assert_eq!(ran.counts(), [(Outcome::Unlocked, 20)]);
        assert!((secs(2)..secs(3)).contains(&times[1]), "a failure is enough: {times:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_costs_one_request() {
    let refused = |_: &Call| Played::new(secs(1), secs(1), status(401));
    let (ran, times) = begun(share(500), refused).await;
    assert_eq!(ran.reason, Some(StopReason::Unauthorized));
    assert_eq!((times.len(), ran.rows().count()), (1, 0));
}

/// The server reads nothing for 44 s, then all requests, although the client has given them up.
#[test]
fn a_server_that_stalls_reads_no_more_than_the_share_in_any_window() {
    for pace in [share(50), share(80), window(50), window(80)] {
        on_a_paused_clock(async {
            let (from, to) = (secs(15), secs(59));
            let api = Scripted::new(|call| match call.at {
                at if at < from || at > to => Played::from(call.unlocked()),
                at if at + secs(30) < to => Played::read_at(to, secs(30), timed_out()),
                at => Played::read_at(to, to.saturating_sub(at), call.unlocked()),
            });
            let ran = Bench::with_pace(pace).unlock(&api, 400).await;
            assert_eq!(ran.counts(), [(Outcome::Unlocked, 400)]);
            let (most, allowed) = (api.most_in(WINDOW), pace.quota().n.get() as usize);
            assert!(most <= allowed, "{most} of {allowed} in a window");
            let n_windows = 400_u64.div_ceil(pace.quota().n.get().into());
            assert!(ran.took < secs(n_windows * 10 + 80), "{:?} at {pace:?}", ran.took);
        });
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_permit_counts_for_a_window() {
    let pacer = Pacer::proven(Bench::with_pace(window(1)).gate);
    drop(pacer.permit().await);
    let begun = Instant::now();
    let permit = pacer.permit().await;
    assert!((secs(10)..ms(10_100)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(permit.waited() >= secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_leaves_the_queue_does_not_block_the_next() {
    let pacer = Pacer::proven(Bench::with_pace(window(1)).gate);
    let held = pacer.permit().await;
    let leaves = timeout(secs(1), pacer.permit());
    let answers = async {
        tokio::time::sleep(secs(3)).await;
        held.report(Report::Answered)
    };
    let (left, _, next) = tokio::join!(leaves, answers, timeout(secs(60), pacer.permit()));
    assert!(left.is_err());
    assert!(next.unwrap().waited() >= secs(13));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_probe_does_not_block_the_next() {
    let pacer = Pacer::proven(Bench::default().gate);
    pacer.permit().await.report(Report::Throttled(Some(secs(1))));
    drop(pacer.permit().await);
    let next = timeout(secs(1), pacer.permit()).await.unwrap();
    assert_eq!(next.report(Report::Answered), Change::Resumed);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_is_at_most_ten_minutes() {
    let api = Scripted::new(|call| match call.place {
        0 => come_back(429, Duration::MAX),
        1 => come_back(503, Duration::MAX),
        _ => call.unlocked(),
    });
    let ran = Bench::with_concurrency(1).unlock(&api, 1).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 1)]);
    assert!((secs(1_200)..secs(1_201)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn extreme_paces_work() {
    let quota = |n, per| Quota { n: std::num::NonZeroU32::new(n).unwrap(), per };
    for pace in [Pace::Share, Pace::Burst, Pace::Rate] {
        for quota in [quota(u32::MAX, Duration::from_nanos(1)), quota(2, Duration::MAX)] {
            let pace = pace(quota);
            let ran = Bench::with_pace(pace).unlock(&Scripted::new(Call::unlocked), 1).await;
            assert_eq!(ran.counts(), [(Outcome::Unlocked, 1)], "{pace:?}");
        }
    }
}

/// The wall clock of a paused runtime.
fn wall() -> SystemTime {
    static BASE: OnceLock<(std::time::Instant, SystemTime)> = OnceLock::new();
    let (began, wall) = BASE.get_or_init(|| (now(), SystemTime::now()));
    *wall + now().saturating_duration_since(*began)
}

fn sharing(pace: Pace, dir: &Path) -> Pacer {
    let file = PaceFile::open_at(dir, "key", wall).unwrap();
    let settings = Bench::with_pace(pace).gate;
    Pacer::new(settings).shared_through(file, |error| panic!("{error}"))
}

/// Arrivals at a server, and how many requests each run sent.
#[derive(Default)]
struct Server {
    arrivals: RefCell<Vec<Instant>>,
}

impl Server {
    /// Sends `n` requests through a pacer, up to 16 at a time.
    async fn take(&self, pacer: &Pacer, n: usize) -> usize {
        let n_left = Cell::new(n);
        let worker = || async {
            while n_left.get() > 0 {
                n_left.set(n_left.get() - 1);
                let permit = pacer.permit().await;
                sleep(ms(20)).await;
                self.arrivals.borrow_mut().push(Instant::now());
                sleep(ms(60)).await;
                permit.report(Report::Answered);
            }
        };
        futures_util::future::join_all((0..16).map(|_| worker())).await;
        n
    }

    fn most_in(&self, window: Duration) -> usize {
        let arrivals = self.arrivals.borrow();
        let mut arrivals = arrivals.clone();
        arrivals.sort_unstable();
        let n_before = |&at: &Instant| arrivals.partition_point(|&other| other + window <= at);
        (0..).zip(&arrivals).map(|(place, at)| place + 1 - n_before(at)).max().unwrap_or(0)
    }
}

#[test]
fn consecutive_runs_keep_the_share_together() {
    for pace in [share(80), window(80)] {
        on_a_paused_clock(async {
            let dir = tempfile::tempdir().unwrap();
            let server = Server::default();
            for n in [80, 3, 100, 1, 40] {
                server.take(&sharing(pace, dir.path()), n).await;
            }
            let most = server.most_in(WINDOW);
            assert!((75..=80).contains(&most), "{most} of 80 at {pace:?}");
        });
    }
}

#[test]
fn two_concurrent_runs_keep_the_share_and_divide_it() {
    for pace in [share(80), window(80)] {
        on_a_paused_clock(async {
            let dir = tempfile::tempdir().unwrap();
            let server = Server::default();
            let (one, other) = (sharing(pace, dir.path()), sharing(pace, dir.path()));
            let begun = Instant::now();
            let run = |pacer| {
                let server = &server;
                async move {
                    server.take(pacer, 160).await;
                    begun.elapsed()
                }
            };
            let (one, other) = tokio::join!(run(&one), run(&other));
            let most = server.most_in(WINDOW);
            assert!((70..=80).contains(&most), "{most} of 80 at {pace:?}");
            assert!(one.max(other) < secs(43), "{one:?} and {other:?}");
            assert!(one.min(other) > secs(28), "{one:?} and {other:?}: one was starved");
        });
    }
}

/// Each shard has a quarter of the share, on this machine or on another.
#[test]
fn four_shards_use_the_share_and_one_alone_a_quarter() {
    for pace in [share(80), window(80)] {
        on_a_paused_clock(async {
            let dir = tempfile::tempdir().unwrap();
            let (server, alone) = (Server::default(), Server::default());
            let settings = GateSettings { shards: 4, ..Bench::with_pace(pace).gate };
            alone.take(&Pacer::new(settings), 60).await;
            let most = alone.most_in(WINDOW);
            assert!((17..=20).contains(&most), "{most} of 20 at {pace:?}");
            let shard = || async {
                let file = PaceFile::open_at(dir.path(), "key", wall).unwrap();
                let pacer = Pacer::new(settings);
                let pacer = pacer.shared_through(file, |error| panic!("{error}"));
                let begun = Instant::now();
                server.take(&pacer, 80).await;
                begun.elapsed()
            };
            let took = tokio::join!(shard(), shard(), shard(), shard());
            let took = [took.0, took.1, took.2, took.3];
            let most = server.most_in(WINDOW);
            assert!((70..=80).contains(&most), "{most} of 80 at {pace:?}");
            assert!(took.iter().all(|&it| it < secs(45)), "{took:?}: one was starved");
        });
    }
}

/// The first run has the whole share when the second one starts.
#[test]
fn a_second_run_gets_its_part_of_the_share() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let (server, late) = (Server::default(), Server::default());
        let first = sharing(share(80), dir.path());
        let second = async {
            sleep(secs(20)).await;
            let second = sharing(share(80), dir.path());
            timeout(secs(30), late.take(&second, 100)).await.expect("25 s and a little more")
        };
        tokio::join!(server.take(&first, 400), second);
    });
}

#[test]
fn requests_in_flight_of_a_killed_run_count() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::default();
        let killed = sharing(window(20), dir.path());
        server.take(&killed, 1).await;
        let permits: Vec<_> =
            futures_util::future::join_all((0..17).map(|_| killed.permit())).await;
        // The process is killed, and the server reads its requests later.
        killed.shared.take().into_iter().for_each(|it| drop(it.file));
        sleep(secs(5)).await;
        server.arrivals.borrow_mut().extend(permits.iter().map(|_| Instant::now()));
        permits.into_iter().for_each(std::mem::forget);
        server.take(&sharing(window(20), dir.path()), 60).await;
        assert!(server.most_in(WINDOW) <= 20, "{}", server.most_in(WINDOW));
    });
}

#[test]
fn a_429_pauses_all_runs() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (sharing(share(80), dir.path()), sharing(share(80), dir.path()));
        other.permit().await.report(Report::Answered);
        one.permit().await.report(Report::Throttled(Some(secs(7))));
        let mut pauses = other.pauses_of_others();
        let begun = Instant::now();
        let permit = other.permit().await;
        assert!((ms(6_990)..ms(7_400)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert!(pauses.borrow_and_update().is_some());
        assert_eq!(permit.report(Report::Answered), Change::Resumed);
        // A third run that starts during the pause waits too.
        one.permit().await.report(Report::Throttled(Some(secs(7))));
        let begun = Instant::now();
        sharing(share(80), dir.path()).permit().await.report(Report::Answered);
        assert!((ms(6_990)..ms(7_400)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    });
}

#[test]
fn a_worker_pool_reports_the_pause_of_another_run() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let other = sharing(share(80), dir.path());
        other.permit().await.report(Report::Throttled(Some(secs(7))));
        let api = Scripted::new(Call::unlocked);
        let records = records(3);
        let (work, bench) = (Unlock::new(&api, &records), Bench::default());
        let pacer = sharing(share(80), dir.path());
        let (sender, mut receiver) = EventSender::to_test(true);
        let jobs = (0..3).map(job);
        WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, sender).run().await;
        let mut events = Vec::new();
        while let Some(Message::Event(event)) = receiver.recv().await {
            events.push(event);
        }
        assert!(matches!(events[0], Event::Paused(_)), "{events:?}");
        assert!(events.iter().any(|event| matches!(event, Event::Resumed)), "{events:?}");
    });
}

#[test]
fn a_run_continues_alone_when_the_file_becomes_unusable() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let n_lost = std::rc::Rc::new(Cell::new(0));
        let count = std::rc::Rc::clone(&n_lost);
        let file = PaceFile::open_at(dir.path(), "key", wall).unwrap();
        let settings = Bench::with_pace(share(80)).gate;
        let pacer = Pacer::new(settings).shared_through(file, move |_| count.set(count.get() + 1));
        let server = Server::default();
        server.take(&pacer, 3).await;
        std::fs::write(dir.path().join("key.pace"), "foreign content").unwrap();
        server.take(&pacer, 20).await;
        assert_eq!(n_lost.get(), 1);
        drop(pacer);
        let text = std::fs::read_to_string(dir.path().join("key.pace")).unwrap();
        assert_eq!(text, "foreign content");
    });
}

/// Places for 40,000 requests per second are reserved in batches.
#[test]
fn the_pace_file_is_used_at_most_50_times_per_second() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let pacer = sharing(share(400_000), dir.path());
        pacer.permit().await.report(Report::Answered);
        sleep(secs(1)).await;
        let mut exchanges = std::collections::BTreeSet::new();
        let begun = Instant::now();
        while begun.elapsed() < ms(200) {
            pacer.permit().await.report(Report::Answered);
            exchanges.extend(pacer.shared.borrow().as_ref().and_then(|it| it.exchanged_at));
        }
        assert!(exchanges.len() <= 40, "{} exchanges in 200 ms", exchanges.len());
    });
}

async fn n_in_ten_seconds(spacing: &Spacing) -> u32 {
    let end = now() + Duration::from_secs(10);
    let mut n = 0;
    while now() < end {
        match spacing.take() {
            None => n += 1,
            Some(at) => tokio::time::sleep_until(at.into()).await,
        }
    }
    n
}

#[tokio::test(start_paused = true)]
async fn the_spacing_keeps_and_uses_the_pace_with_coarse_timers() {
    for per_second in [10.0, 80.0, 1_000.0] {
        let n = f64::from(n_in_ten_seconds(&Spacing::new(per_second)).await);
        assert!(n <= per_second * 10.0 + per_second / 50.0 + 1.0, "{n} at {per_second}/s");
        assert!(n >= per_second * 9.5, "{n} at {per_second}/s");
    }
}

#[tokio::test(start_paused = true)]
async fn half_the_pace_sends_half_the_requests() {
    let mut spacing = Spacing::new(100.0);
    spacing.set(50.0);
    assert!((475..=502).contains(&n_in_ten_seconds(&spacing).await));
}

#[tokio::test(start_paused = true)]
async fn a_change_of_pace_sends_no_request_early() {
    for per_second in [0.5, 10.0, 1_000.0] {
        let mut spacing = Spacing::new(per_second);
        while spacing.take().is_none() {}
        for part in [0.5, 0.25, 1.0, 0.125] {
            spacing.set(per_second * part);
            assert!(spacing.take().is_some(), "{part} of {per_second}/s");
        }
    }
}

/// Each replacement of the limiter costs a period, so many small changes must not stop the requests.
#[tokio::test(start_paused = true)]
async fn a_slowly_rising_pace_is_used() {
    let mut spacing = Spacing::new(100.0);
    let (mut n, start) = (0.0, now());
    while now() < start + Duration::from_secs(100) {
        spacing.set(50.0 + (now() - start).as_secs_f64() / 2.0);
        match spacing.take() {
            None => n += 1.0,
            Some(at) => tokio::time::sleep_until(at.into()).await,
        }
    }
    assert!((7_000.0..7_501.0).contains(&n), "{n} of 7,500");
}
