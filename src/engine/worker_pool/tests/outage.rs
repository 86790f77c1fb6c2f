use std::time::Duration;

use crate::engine::testing::{Bench, Call, Played, Scripted, answer, ms, secs, status, timed_out};
use crate::model::{Event, Outcome, PauseReason, StopReason};

/// Answers with 503 from one moment to another.
fn silent(from: Duration, to: Duration) -> impl Fn(&Call) -> Played {
    move |call| {
        let is_silent = (from..to).contains(&call.at);
        if is_silent { status(503).into() } else { call.unlocked().into() }
    }
}

/// Each call waited for the reply to the one before.
fn assert_one_at_a_time(times: &[Duration], latency: Duration) {
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + latency), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn no_user_fails_because_of_five_seconds_of_503_even_with_one_retry() {
    let (from, to) = (ms(500), ms(5_500));
    let api = Scripted::new(silent(from, to));
    let ran = Bench::with_max_retries(1).unlock(&api, 2_000).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 2_000)]);
    assert_eq!(ran.reason, None);
    assert!(ran.was_paused(PauseReason::Outage));
    assert!(ran.events.iter().any(|event| matches!(event, Event::Resumed)));

    let probes: Vec<Duration> =
        api.times().into_iter().filter(|at| (from + ms(200)..to).contains(at)).collect();
    assert!((2..=3).contains(&probes.len()), "{probes:?}");
    assert_one_at_a_time(&probes, ms(50));
    let n_calls = api.n_between(from, to);
    assert!(n_calls <= 64 + 20 + 3, "{n_calls} calls into the outage");
}

#[tokio::test(start_paused = true)]
async fn each_probe_of_an_outage_uses_a_new_connection_and_nothing_else_does() {
    let (from, to) = (ms(500), ms(5_500));
    let api = Scripted::new(silent(from, to));
    Bench::default().unlock(&api, 2_000).await;
    let n_probes = api.n_between(from + ms(200), to);
    // And the probe that is answered.
    assert_eq!(api.n_fresh(), n_probes + 1);
    let api = Scripted::new(Call::unlocked);
    Bench::default().unlock(&api, 100).await;
    assert_eq!(api.n_fresh(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_user_fails_because_of_fourteen_minutes_without_replies_and_few_probes_are_sent() {
    let (from, to) = (ms(500), secs(14 * 60));
    let api = Scripted::new(|call| {
        let is_silent = (from..to).contains(&call.at);
        let hangs = || Played::new(secs(15), secs(15), timed_out());
        if is_silent { hangs() } else { call.unlocked().into() }
    });
    let ran = Bench::with_max_retries(2).unlock(&api, 2_000).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 2_000)]);
    assert_eq!(ran.reason, None);
    let probes: Vec<Duration> =
        api.times().into_iter().filter(|at| (secs(35)..to).contains(at)).collect();
    assert!(probes.len() <= 20, "{} probes", probes.len());
    assert_one_at_a_time(&probes, secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_run_waits_for_an_api_that_was_never_up() {
    let api = Scripted::new(silent(secs(0), secs(60)));
    let ran = Bench::default().unlock(&api, 20).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 20)]);
}

#[tokio::test(start_paused = true)]
async fn after_fifteen_minutes_the_run_gives_up_and_no_user_has_failed() {
    let api = Scripted::new(silent(ms(500), Duration::MAX));
    let ran = Bench::default().unlock(&api, 2_000).await;
    assert_eq!(ran.reason, Some(StopReason::Outage));
    assert_eq!(ran.counts().len(), 1, "{:?}", ran.counts());
    assert_eq!(ran.rows().count(), api.n_between(secs(0), ms(500)));
    assert!((secs(900)..secs(905)).contains(&ran.took), "{:?}", ran.took);
    let n_probes = api.n_between(secs(2), Duration::MAX);
    assert!(n_probes <= 36, "{n_probes} probes");
}

#[tokio::test(start_paused = true)]
async fn failures_before_an_outage_was_detected_use_up_no_retry() {
    let api = Scripted::new(|call| match (call.user(), call.nth) {
        _ if call.at < ms(900) => status(503),
        (0..10, 1) => status(500),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(1).unlock(&api, 40).await;
    assert!(ran.was_paused(PauseReason::Outage));
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 40)]);
}

#[tokio::test(start_paused = true)]
async fn a_second_outage_uses_up_no_retry_either() {
    let api = Scripted::new(|call| match call.at.as_secs() {
        1..5 | 30..40 => status(500),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(1).unlock(&api, 4_000).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 4_000)]);
}

#[tokio::test(start_paused = true)]
async fn a_few_users_that_always_fail_are_not_an_outage_even_if_there_are_no_others() {
    let api = Scripted::new(|call| if call.user() < 19 { status(503) } else { call.unlocked() });
    for n_users in [19, 40] {
        let ran = Bench::default().unlock(&api, n_users).await;
        let n_failed = ran.rows().filter(|row| row.outcome == Outcome::Failed).count();
        assert_eq!((n_failed, ran.rows().count()), (19, n_users));
        assert_eq!((ran.row(0).attempts, ran.reason), (9, None));
        assert!(!ran.was_paused(PauseReason::Outage));
    }
}

#[tokio::test(start_paused = true)]
async fn users_that_fail_among_others_use_up_their_retries_and_delay_nothing() {
    let api = Scripted::new(|call| match call.user() {
        user if user % 4 == 0 => status(500),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(2).unlock(&api, 400).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 300), (Outcome::Failed, 100)]);
    assert!(!ran.was_paused(PauseReason::Outage));
}

#[tokio::test(start_paused = true)]
async fn untrusted_answers_use_up_retries_and_are_not_an_outage() {
    let api = Scripted::new(|_| answer(200, "<html>"));
    let ran = Bench::with_max_retries(2).unlock(&api, 300).await;
    assert_eq!((ran.counts(), ran.reason), (vec![(Outcome::Failed, 300)], None));
    assert!(ran.rows().all(|row| row.attempts == 3));
}

#[tokio::test(start_paused = true)]
async fn a_run_gives_up_on_a_dead_api_behind_a_proxy_that_throttles() {
    let api = Scripted::new(|call| status(if call.place % 30 == 0 { 429 } else { 503 }));
    let ran = Bench::default().unlock(&api, 200).await;
    assert_eq!(ran.reason, Some(StopReason::Outage));
    assert_eq!(ran.rows().count(), 0);
    assert!((secs(900)..secs(960)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn an_outage_with_429s_is_survived() {
    let api = Scripted::new(|call| match call.at.as_secs() {
        0 if call.place > 30 => status(503),
        1..20 => status(429),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(0).unlock(&api, 300).await;
    assert_eq!(ran.reason, None);
    assert_eq!(ran.rows().count(), 300);
    let n_failed = ran.rows().filter(|row| row.outcome == Outcome::Failed).count();
    assert!(n_failed < 20, "{n_failed} failed before it was known to be an outage");
}
