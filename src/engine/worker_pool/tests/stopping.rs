use tokio::time::sleep;

use crate::engine::testing::{
    Bench, Played, Ran, Scripted, come_back, ms, on_a_paused_clock, secs, status,
};
use crate::model::{Outcome, Reply, StopReason};

/// Runs ten users, two at a time, and asks for a stop after a second.
async fn stopped_after_a_second(api: &Scripted<'_>) -> Ran {
    let bench = Bench::with_concurrency(2);
    let stop = async {
        sleep(secs(1)).await;
        bench.stop.ask(StopReason::Interrupted);
    };
    let ran = bench.unlock_beside(api, 10, stop).await;
    assert_eq!(ran.reason, Some(StopReason::Interrupted));
    ran
}

#[tokio::test(start_paused = true)]
async fn requests_in_flight_end_and_no_other_starts() {
    let api = Scripted::new(|call| Played::new(secs(2), secs(2), call.unlocked()));
    let ran = stopped_after_a_second(&api).await;
    assert_eq!(ran.recorded(), [0, 1]);
    assert_eq!(api.calls().len(), 2);
    assert!((secs(4)..ms(4_100)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_reply_is_given_up_after_ten_seconds_without_a_row() {
    let api = Scripted::new(|call| match call.user() {
        0 => Played::new(secs(30), secs(30), call.unlocked()),
        _ => Played::new(secs(5), secs(5), call.unlocked()),
    });
    let ran = stopped_after_a_second(&api).await;
    assert_eq!(ran.recorded(), [1]);
    assert_eq!(api.calls().len(), 2);
    assert!((secs(11)..ms(11_100)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_comes_at_the_last_moment_is_recorded() {
    for _ in 0..40 {
        let bench = Bench::with_concurrency(1);
        // The signal comes from within the call that is answered in the same moment.
        let api = Scripted::new(|call| {
            bench.stop.ask(StopReason::Interrupted);
            bench.stop.abort();
            Played::new(ms(0), ms(0), call.unlocked())
        });
        let ran = bench.unlock(&api, 5).await;
        assert_eq!(ran.recorded(), [0]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_gives_up_at_once() {
    let bench = Bench::with_concurrency(4);
    let api = Scripted::new(|call| Played::new(secs(30), secs(30), call.unlocked()));
    let signals = async {
        sleep(secs(1)).await;
        bench.stop.ask(StopReason::Interrupted);
        sleep(secs(1)).await;
        bench.stop.abort();
    };
    let ran = bench.unlock_beside(&api, 10, signals).await;
    assert_eq!(ran.rows().count(), 0);
    assert!((secs(2)..ms(2_100)).contains(&ran.took), "{:?}", ran.took);
}

/// The wait ends at once.
#[track_caller]
fn is_given_up(first_reply: &Reply) {
    on_a_paused_clock(async {
        let api = Scripted::new(|_| first_reply.clone());
        let ran = stopped_after_a_second(&api).await;
        assert!((secs(1)..ms(1_100)).contains(&ran.took), "{:?}", ran.took);
        assert_eq!(ran.rows().count(), 0, "{first_reply:?}");
    });
}

#[test]
fn a_stop_ends_pauses_and_waits_for_retries() {
    is_given_up(&come_back(429, secs(600)));
    is_given_up(&come_back(503, secs(600)));
    is_given_up(&status(429));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait_in_an_outage() {
    let api = Scripted::new(|_| status(500));
    let bench = Bench::default();
    let stop = async {
        sleep(secs(100)).await;
        bench.stop.ask(StopReason::Terminated);
    };
    let ran = bench.unlock_beside(&api, 100, stop).await;
    assert!((secs(100)..ms(100_100)).contains(&ran.took), "{:?}", ran.took);
    assert_eq!(ran.rows().count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_before_the_start_sends_nothing() {
    let api = Scripted::new(|_| status(200));
    let bench = Bench::default();
    bench.stop.ask(StopReason::MaxDuration);
    let ran = bench.unlock(&api, 100).await;
    assert_eq!((ran.rows().count(), api.calls().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn replies_that_come_with_the_stop_are_recorded() {
    let api = Scripted::new(|call| Played::new(ms(500), ms(500), call.unlocked()));
    let ran = stopped_after_a_second(&api).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, ran.rows().count())]);
    assert_eq!(ran.rows().count(), api.calls().len());
}
