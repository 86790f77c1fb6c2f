mod goals;
mod sharing;

use proptest::prelude::*;
use tokio::time::{Instant, timeout};

use super::*;
use crate::engine::testing::{
    Bench, Call, Played, Ran, Scripted, come_back, even, ms, on_a_paused_clock, secs, share,
    status, timed_out, window,
};
use crate::model::{Outcome, StopReason};
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
    /// Whatever the latency, hanging calls, 429s and outages included.
    #[test]
    fn no_window_at_the_server_ever_sees_more_than_the_share(
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
            let ran = ran.expect("whatever the API does, a run ends");
            // Where calls that were given up hold all places, one more per window may leave.
            prop_assert!(api.most_in(WINDOW) <= n_per_window as usize);
            prop_assert!(api.most_in_flight() <= concurrency);
            prop_assert!(ran.reason.is_some() || ran.rows().count() == n_users);
            Ok(())
        })?;
    }
}

/// No more calls than the pace allows from any call to any later one, apart from 20 ms worth.
#[track_caller]
fn assert_even(times: &[Duration], per_second: f64) {
    let burst = (per_second / 50.0).ceil();
    let mut least = f64::MAX;
    for (n_before, at) in (0_u32..).zip(times) {
        // How far the calls so far are ahead of the pace.
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
    assert!(n_at_last >= 195, "{n_at_last} calls in ten seconds: the rate is whole again");
}

/// The probe after a pause goes alone, and the next call keeps its distance from it.
#[tokio::test(start_paused = true)]
async fn a_rate_is_even_right_after_a_pause_too() {
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

/// The first request is answered after two seconds in this way.
async fn begun(pace: Pace, first: impl Fn(&Call) -> Played) -> (Ran, Vec<Duration>) {
    let api = Scripted::new(|call| if call.place == 0 { first(call) } else { quick(call) });
    let mut bench = Bench::with_pace(pace);
    bench.is_proven = false;
    let ran = bench.unlock(&api, 20).await;
    let times = api.times();
    (ran, times)
}

#[tokio::test(start_paused = true)]
async fn the_first_request_goes_alone_until_its_reply() {
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

/// The server reads nothing for 44 s, then everything that was sent meanwhile, although its caller
/// has given up.
#[test]
fn a_server_that_stalls_and_wakes_reads_no_more_than_the_share_in_any_window() {
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
async fn a_permit_that_is_dropped_holds_its_place_for_a_window() {
    let pacer = Pacer::proven(Bench::with_pace(window(1)).gate);
    drop(pacer.permit().await);
    let begun = Instant::now();
    let permit = pacer.permit().await;
    assert!((secs(10)..ms(10_100)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(permit.waited() >= secs(10));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_head_of_the_queue_leaves_it_to_the_next() {
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
async fn a_probe_that_is_dropped_does_not_block_the_next_one() {
    let pacer = Pacer::proven(Bench::default().gate);
    pacer.permit().await.report(Report::Throttled(Some(secs(1))));
    drop(pacer.permit().await);
    let next = timeout(secs(1), pacer.permit()).await.unwrap();
    assert_eq!(next.report(Report::Answered), Change::Resumed);
}

#[tokio::test(start_paused = true)]
async fn the_longest_wait_that_a_server_can_ask_for_is_ten_minutes() {
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
