use proptest::prelude::*;
use tokio::time::{Instant, timeout};

use super::*;
use crate::engine::testing::{
    Bench, Call, Played, Scripted, come_back, even, ms, on_a_paused_clock, secs, status, timed_out,
    window,
};
use crate::model::Outcome;
use crate::policy::pacing::Quota;

const WINDOW: Duration = Duration::from_secs(10);

/// A server that is answering after 20 to 60 ms.
fn quick(call: &Call) -> Played {
    let there = ms(10 + call.place as u64 * 7 % 40);
    Played::new(there, ms(10), call.unlocked())
}

#[track_caller]
fn keeps_and_uses(share: u32, n_users: usize) {
    on_a_paused_clock(async {
        let api = Scripted::new(quick);
        let ran = Bench::with_pace(window(share)).unlock(&api, n_users).await;
        assert_eq!(ran.counts(), [(Outcome::Unlocked, n_users)]);
        assert_eq!(api.calls().len(), n_users);
        let n_windows = n_users.div_ceil(share as usize) as u64 - 1;
        assert!(ran.took <= secs(10 * n_windows + 2), "{n_users} users took {:?}", ran.took);
        assert!(api.most_in(WINDOW) <= share as usize, "{} in a window", api.most_in(WINDOW));
        assert!(api.most_in_flight() <= 64);
    });
}

#[test]
fn a_share_is_kept_and_used_to_the_physical_minimum_and_two_seconds() {
    keeps_and_uses(800, 1);
    keeps_and_uses(800, 800);
    keeps_and_uses(800, 801);
    keeps_and_uses(800, 2_400);
    keeps_and_uses(80, 400);
    keeps_and_uses(1, 12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// Whatever the latency, calls that hang until their timeout, 429s and outages included.
    #[test]
    fn no_window_at_the_server_ever_sees_more_than_the_share(
        share in 1_u32..40,
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
            let mut bench = Bench::with_pace(window(share));
            bench.settings.concurrency = concurrency;
            let ran = timeout(secs(7 * 86_400), bench.unlock(&api, n_users)).await;
            let ran = ran.expect("whatever the API does, a run comes to its end");
            prop_assert!(api.most_in(WINDOW) <= share as usize);
            prop_assert!(api.most_in_flight() <= concurrency);
            prop_assert!(ran.reason.is_some() || ran.rows().count() == n_users);
            Ok(())
        })?;
    }
}

/// No more than the pace allows from any call to any later one, a burst of 20 ms left aside.
#[track_caller]
fn assert_even(times: &[Duration], per_second: f64) {
    let burst = (per_second / 50.0).ceil();
    for (first, from) in times.iter().enumerate() {
        for (n_after, to) in (1_u32..).zip(&times[first + 1..]) {
            let allowed = burst + to.saturating_sub(*from).as_secs_f64() * per_second + 0.01;
            assert!(f64::from(n_after) <= allowed, "{n_after} calls between {from:?} and {to:?}");
        }
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
async fn after_a_429_a_rate_is_half_of_it_and_recovers() {
    let api = Scripted::new(|call| match call.place {
        80 => Played::from(come_back(429, secs(5))),
        _ => quick(call),
    });
    let ran = Bench::with_pace(even(80)).unlock(&api, 800).await;
    assert_even(&api.times(), 80.0);
    let resumed_at = api.times()[81..].iter().find(|at| **at > secs(3)).copied().unwrap();
    let n_then = api.n_between(resumed_at + ms(100), resumed_at + ms(900));
    assert!((28..=34).contains(&n_then), "{n_then} calls in 0.8 s at half of 80/s");
    let n_at_last = api.n_between(ran.took.saturating_sub(secs(2)), ran.took);
    assert!(n_at_last >= 155, "{n_at_last} calls in two seconds: the rate is whole again");
}

/// The probe after a pause goes alone, and the next one keeps its distance from it.
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

/// For the server the requests of the run before are in the same window.
#[tokio::test(start_paused = true)]
async fn what_an_earlier_run_sent_just_now_is_in_the_window_too() {
    let pacer = Pacer::new(Bench::with_pace(window(3)).gate);
    pacer.remember(99, secs(20));
    pacer.remember(1, secs(9));
    pacer.remember(1, secs(4));
    let begun = Instant::now();
    let mut waits = Vec::new();
    for _ in 0..3 {
        pacer.turn().await.report(Report::Answered);
        waits.push(begun.elapsed().as_secs());
    }
    assert_eq!(waits, [0, 1, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_turn_that_is_dropped_gives_its_place_back_a_window_later() {
    let pacer = Pacer::new(Bench::with_pace(window(1)).gate);
    drop(pacer.turn().await);
    let begun = Instant::now();
    let turn = pacer.turn().await;
    assert!((secs(10)..ms(10_100)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    assert!(turn.waited() >= secs(10));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_head_of_the_line_leaves_it_to_the_next() {
    let pacer = Pacer::new(Bench::with_pace(window(1)).gate);
    let held = pacer.turn().await;
    let leaves = timeout(secs(1), pacer.turn());
    let answers = async {
        tokio::time::sleep(secs(3)).await;
        held.report(Report::Answered)
    };
    let (left, _, next) = tokio::join!(leaves, answers, timeout(secs(60), pacer.turn()));
    assert!(left.is_err());
    assert!(next.unwrap().waited() >= secs(13));
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_dropped_does_not_keep_the_next_one_waiting() {
    let pacer = Pacer::new(Bench::default().gate);
    pacer.turn().await.report(Report::Throttled(Some(secs(1))));
    drop(pacer.turn().await);
    let next = timeout(secs(1), pacer.turn()).await.unwrap();
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
async fn paces_beyond_reason_are_kept_as_well_as_any() {
    let quota = |n, per| Quota { n: std::num::NonZeroU32::new(n).unwrap(), per };
    for pace in [
        Pace::Window(quota(u32::MAX, Duration::from_nanos(1))),
        Pace::Window(quota(2, Duration::MAX)),
        Pace::Even(quota(u32::MAX, Duration::from_nanos(1))),
        Pace::Even(quota(1, Duration::MAX)),
    ] {
        let api =
            Scripted::new(|call| if call.user() == 0 { call.unlocked() } else { status(404) });
        let bench = Bench::with_pace(pace);
        let run = bench.unlock(&api, 1);
        assert_eq!(run.await.counts(), [(Outcome::Unlocked, 1)], "{pace:?}");
    }
}
