use crate::engine::testing::{Bench, Call, Played, Ran, Scripted, come_back, ms, secs, status};
use crate::model::{Outcome, StopReason};

async fn behind_a_canary_of_three(api: &Scripted<'_>) -> Ran {
    let mut bench = Bench::default();
    bench.settings.canary = Some(3);
    bench.unlock(api, 50).await
}

#[tokio::test(start_paused = true)]
async fn the_rest_go_when_the_canaries_ended_well_retries_included() {
    let api = Scripted::new(|call| match (call.user(), call.nth) {
        (1, 0) => come_back(503, secs(5)),
        (2, 0) => come_back(429, secs(20)),
        _ => call.unlocked(),
    });
    let ran = behind_a_canary_of_three(&api).await;
    assert_eq!(ran.reason, None);
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 50)]);
    let first_of_the_rest = api.calls().into_iter().find(|call| call.user() > 2).unwrap();
    assert_eq!(first_of_the_rest.place, 5);
    assert!(first_of_the_rest.at > secs(20));
}

#[tokio::test(start_paused = true)]
async fn one_canary_that_does_not_end_well_keeps_the_rest_from_being_asked() {
    let api = Scripted::new(|call| match call.user() {
        0 => Played::from(status(404)),
        _ => Played::new(secs(1), secs(1), call.unlocked()),
    });
    let ran = behind_a_canary_of_three(&api).await;
    assert_eq!(ran.reason, Some(StopReason::Canary));
    assert_eq!(ran.recorded(), [0, 1, 2], "the other canaries are in flight and end");
    assert_eq!(api.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_canary_larger_than_the_job_holds_nobody_back() {
    let mut bench = Bench::default();
    bench.settings.canary = Some(99);
    let api = Scripted::new(Call::unlocked);
    let ran = bench.unlock(&api, 10).await;
    assert_eq!((ran.rows().count(), ran.reason), (10, None));
    assert!(ran.took < ms(200));
}
