use crate::engine::testing::{Bench, Call, Played, Ran, Scripted, come_back, ms, secs, status};
use crate::model::{Outcome, StopReason};

async fn behind_a_canary_of_three(api: &Scripted<'_>) -> Ran {
    let mut bench = Bench::default();
    bench.settings.canary = Some(3);
    bench.unlock(api, 50).await
}

#[tokio::test(start_paused = true)]
async fn the_others_start_when_all_canaries_succeeded_retries_included() {
    let api = Scripted::new(|call| match (call.user(), call.nth) {
        (1, 0) => come_back(503, secs(5)),
        (2, 0) => come_back(429, secs(20)),
        _ => call.unlocked(),
    });
    let ran = behind_a_canary_of_three(&api).await;
    assert_eq!(ran.reason, None);
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 50)]);
    let first_of_the_others = api.calls().into_iter().find(|call| call.user() > 2).unwrap();
    assert_eq!(first_of_the_others.place, 5);
    assert!(first_of_the_others.at > secs(20));
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_canary_no_other_user_is_called() {
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
async fn more_canaries_than_users_delay_nothing() {
    let mut bench = Bench::default();
    bench.settings.canary = Some(99);
    let api = Scripted::new(Call::unlocked);
    let ran = bench.unlock(&api, 10).await;
    assert_eq!((ran.rows().count(), ran.reason), (10, None));
    assert!(ran.took < ms(200));
}
