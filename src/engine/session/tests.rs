use super::*;
use crate::engine::testing::{Bench, Played, Ran, Scripted, come_back, ms, secs};

// `Session::run` itself is tested through the binary: it has a thread and a clock of its own.

/// Runs a worker pool of eight with ten seconds' time.
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
    assert_eq!(ran.rows().count(), 4 * 8, "four rounds begin within ten seconds");
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
