use std::time::Duration;

use crate::engine::testing::{
    Bench, Played, Scripted, come_back, ms, on_a_paused_clock, secs, share, status, timed_out,
    window,
};
use crate::model::{Outcome, PauseReason};

#[tokio::test(start_paused = true)]
async fn a_429_makes_all_calls_wait_and_then_one_goes_first() {
    let api = Scripted::new(|call| match call.place {
        30 => come_back(429, secs(7)),
        _ => call.unlocked(),
    });
    let ran = Bench::with_concurrency(8).unlock(&api, 200).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 200)]);
    assert!(ran.was_paused(PauseReason::Throttled));

    let told_at = api.times()[30] + ms(50);
    assert_eq!(api.n_between(told_at + ms(1), told_at + secs(7)), 0);
    let after: Vec<Duration> = api.times().into_iter().filter(|at| *at > told_at).collect();
    assert!(after[0] <= told_at + ms(7_010), "{after:?} after {told_at:?}");
    assert!(after[1] >= after[0] + ms(50), "the second waits for the answer to the first");
    assert!(after[2] <= after[1] + ms(20), "and then all go");
}

/// The pauses between calls, rounded to seconds; calls that go together left out.
fn pauses(times: &[Duration]) -> Vec<u64> {
    let gaps = times.windows(2).map(|pair| (pair[1] + ms(300)).saturating_sub(pair[0]).as_secs());
    gaps.filter(|&gap| gap > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_pauses_double_from_one_second_to_thirty() {
    let api = Scripted::new(|call| if call.at < secs(150) { status(429) } else { call.unlocked() });
    let ran = Bench::with_concurrency(8).unlock(&api, 20).await;
    assert_eq!(pauses(&api.times())[..8], [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(api.n_between(ms(200), secs(150)), 8, "one probe a pause");
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_to_an_earlier_request_does_not_restart_the_doubling() {
    let api = Scripted::new(|call| match call.place {
        0 | 2 => Played::from(status(429)),
        1 => Played::new(ms(200), ms(200), call.unlocked()),
        _ => Played::from(call.unlocked()),
    });
    Bench::with_concurrency(2).unlock(&api, 10).await;
    assert_eq!(pauses(&api.times()), [1, 2]);
}

/// All of the 64 calls of the first second are refused.
#[tokio::test(start_paused = true)]
async fn many_429s_at_once_shrink_the_share_once_and_it_recovers_slowly() {
    let api = Scripted::new(|call| {
        let refused = || Played::new(secs(1), secs(1), come_back(429, secs(5)));
        if call.at < secs(1) { refused() } else { call.unlocked().into() }
    });
    let ran = Bench::with_pace(window(100)).unlock(&api, 1_000).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 1_000)]);
    assert_eq!(api.n_between(secs(0), secs(1)), 64);
    let windows: Vec<usize> =
        (1..15).map(|n| api.n_between(secs(10 * n), secs(10 * n + 10))).collect();
    assert!(windows.is_sorted(), "{windows:?}");
    assert!((40..=50).contains(&windows[0]) && (56..=60).contains(&windows[13]), "{windows:?}");
    assert!(api.most_in(secs(10)) <= 100);
}

#[tokio::test(start_paused = true)]
async fn a_429_uses_up_no_retry() {
    let api = Scripted::new(|call| match (call.user(), call.nth) {
        (0, 0..50) => come_back(429, secs(1)),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(0).unlock(&api, 5).await;
    let row = ran.row(0);
    assert_eq!((row.outcome, row.attempts), (Outcome::Unlocked, 51));
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 5)]);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_delays_the_others_until_its_timeout_and_no_longer() {
    let api = Scripted::new(|call| match call.place {
        0 => Played::from(come_back(429, secs(2))),
        1 => Played::new(secs(15), secs(15), timed_out()),
        _ => Played::from(call.unlocked()),
    });
    let ran = Bench::with_concurrency(1).unlock(&api, 10).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 10)]);
    assert!((secs(32)..secs(34)).contains(&ran.took), "{:?}", ran.took);
}

/// One call of twenty or of five is refused for no reason, whatever the pace.
#[test]
fn scattered_429s_do_not_stop_the_run_from_getting_on() {
    for (n_users, one_of, most) in [(200, 20, 45), (1_000, 20, 400), (200, 5, 130)] {
        for seed in 1..=3 {
            on_a_paused_clock(async {
                let dice = std::cell::RefCell::new(fastrand::Rng::with_seed(seed));
                let api = Scripted::new(|call| match dice.borrow_mut().u32(..one_of) {
                    0 => come_back(429, secs(1)),
                    _ => call.unlocked(),
                });
                let ran = Bench::with_pace(share(500)).unlock(&api, n_users).await;
                assert_eq!(ran.counts(), [(Outcome::Unlocked, n_users)]);
                assert!(ran.took < secs(most), "{n_users} users, 1 of {one_of}: {:?}", ran.took);
            });
        }
    }
}
