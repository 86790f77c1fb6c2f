//! A worker pool with a scripted API on a paused clock.

use std::cell::RefCell;
use std::time::Duration;

use tokio::time::sleep;

use crate::engine::recorder::Message;
use crate::engine::testing::{
    Bench, Call, Played, Ran, Scripted, answer, come_back, job, ms, on_a_paused_clock, records,
    secs, share, status, timed_out, window,
};
use crate::engine::{EventSender, Pacer, Unlock, WorkerPool};
use crate::model::{Event, Fault, Head, Outcome, PauseReason, Reply, StopReason};
use crate::policy::retry::RetryPolicy;

/// Each of these replies uses up a retry, and the last is final.
#[track_caller]
fn is_retried(reply: &Reply, code: &str) {
    on_a_paused_clock(async {
        let api = Scripted::new(|call| if call.nth < 2 { reply.clone() } else { call.unlocked() });
        let ran = Bench::with_max_retries(2).unlock(&api, 1).await;
        let row = ran.row(0);
        assert_eq!((row.outcome, row.attempts, row.http_status), (Outcome::Unlocked, 3, Some(200)));
        assert_eq!(row.error_code, None);

        let api = Scripted::new(|_| reply.clone());
        let ran = Bench::with_max_retries(2).unlock(&api, 1).await;
        let row = ran.row(0);
        assert_eq!((row.outcome, row.attempts), (Outcome::Failed, 3), "{reply:?}");
        assert_eq!(row.error_code.as_deref(), Some(code), "{reply:?}");
        assert_eq!(api.calls().len(), 3);
    });
}

#[test]
fn server_errors_and_faults_are_retried_and_recorded_when_retries_are_used_up() {
    for code in [408, 425, 500, 502, 503, 504, 520, 599] {
        is_retried(&status(code), &format!("http_{code}"));
    }
    is_retried(&timed_out(), "timeout");
    is_retried(&Reply::Fault(Fault::Connection("refused".into())), "connection");
    is_retried(&Reply::Fault(Fault::Truncated("eof".into())), "truncated_answer");
    is_retried(&Reply::Fault(Fault::TooLarge(4 << 20)), "untrusted_answer");
}

#[test]
fn an_untrusted_answer_is_retried() {
    for body in ["", "<html>", "[]", "{}", r#"{"id":"user_0""#, r#"{"id":"user_1"}"#] {
        is_retried(&answer(200, body), "untrusted_answer");
    }
}

/// The reply is final after one attempt.
#[track_caller]
fn is_final(code: u16, expected: Outcome) {
    on_a_paused_clock(async {
        let api = Scripted::new(|_| status(code));
        let ran = Bench::default().unlock(&api, 1).await;
        let row = ran.row(0);
        assert_eq!((row.outcome, row.attempts, row.http_status), (expected, 1, Some(code)));
        assert_eq!(api.calls().len(), 1);
    });
}

#[test]
fn all_other_answers_are_final() {
    is_final(404, Outcome::NotFound);
    for code in [201, 204, 301, 302, 400, 402, 403, 405, 409, 410, 422, 451] {
        is_final(code, Outcome::Rejected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_user_who_stays_locked_is_retried_and_then_still_locked() {
    let api = Scripted::new(|call| match call.user() {
        0 => answer(200, r#"{"id":"user_0","locked":true}"#),
        _ if call.nth == 0 => answer(200, r#"{"id":"user_1","locked":true}"#),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(3).unlock(&api, 2).await;
    let row = ran.row(0);
    assert_eq!((row.outcome, row.attempts), (Outcome::StillLocked, 4));
    assert_eq!(row.user.as_ref().and_then(|user| user.locked), Some(true));
    let row = ran.row(1);
    assert_eq!((row.outcome, row.attempts), (Outcome::Unlocked, 2));
}

#[tokio::test(start_paused = true)]
async fn a_row_has_the_last_user_object() {
    let api = Scripted::new(|call| match call.nth {
        0 => answer(200, r#"{"id":"user_0","locked":true,"username":"ann"}"#),
        _ => status(500),
    });
    let ran = Bench::with_max_retries(2).unlock(&api, 1).await;
    let row = ran.row(0);
    assert_eq!((row.outcome, row.http_status), (Outcome::Failed, Some(500)));
    assert_eq!(row.user.as_ref().and_then(|user| user.username.as_deref()), Some("ann"));
}

#[test]
fn a_truncated_answer_with_any_status_is_retried() {
    for status in [200, 302, 400, 403, 404, 409, 422] {
        let head = Head { status, ray: None };
        is_retried(&Reply::Broken(head, Fault::Truncated("eof".into())), "truncated_answer");
    }
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_truncated_answer_is_recorded() {
    let head = Head { status: 404, ray: Some("8a".into()) };
    let api = Scripted::new(|_| Reply::Broken(head.clone(), Fault::TooLarge(4 << 20)));
    let ran = Bench::with_max_retries(0).unlock(&api, 1).await;
    let row = ran.row(0);
    assert_eq!((row.http_status, row.trace_id.as_deref()), (Some(404), Some("8a")));
}

#[tokio::test(start_paused = true)]
async fn without_retries_each_user_is_called_once() {
    let api =
        Scripted::new(|call| if call.user() % 2 == 0 { status(500) } else { call.unlocked() });
    let ran = Bench::with_max_retries(0).unlock(&api, 10).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 5), (Outcome::Failed, 5)]);
    assert_eq!(api.calls().len(), 10);
}

#[tokio::test(start_paused = true)]
async fn the_duration_of_a_row_is_from_the_first_attempt_to_the_last_reply() {
    let api = Scripted::new(|call| match call.nth {
        0 => Played::new(ms(100), ms(100), come_back(503, secs(60))),
        _ => Played::new(ms(150), ms(150), call.unlocked()),
    });
    let ran = Bench::default().unlock(&api, 1).await;
    let took = ran.row(0).duration;
    assert!((ms(60_500)..ms(60_510)).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_waits_for_its_retry_occupies_no_worker() {
    let api = Scripted::new(|call| match (call.user(), call.nth) {
        (0, 0) => come_back(503, secs(60)),
        _ => call.unlocked(),
    });
    let ran = Bench::with_concurrency(1).unlock(&api, 20).await;
    let order: Vec<usize> = ran.finished().map(|(record, _)| record).collect();
    assert_eq!(order, (1..20).chain([0]).collect::<Vec<_>>());
    assert_eq!(api.n_between(ms(0), secs(2)), 20);
    assert!((secs(60)..secs(61)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn all_users_are_unlocked_once_when_half_of_the_attempts_fail() {
    let dice = RefCell::new(fastrand::Rng::with_seed(7));
    let api = Scripted::new(|call| match dice.borrow_mut().u8(..10) {
        0..2 => status(500),
        2..4 => timed_out(),
        4 => answer(200, "<html>"),
        _ => call.unlocked(),
    });
    let mut bench = Bench::with_max_retries(30);
    bench.settings.concurrency = 16;
    let ran = bench.unlock(&api, 300).await;
    assert_eq!(ran.recorded(), (0..300).collect::<Vec<_>>());
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 300)]);
    assert!(api.most_in_flight() <= 16);
    let n_attempts: u32 = ran.rows().map(|row| row.attempts).sum();
    assert_eq!(n_attempts as usize, api.calls().len());
}

/// Three of four attempts fail, and only the budget limits the pace.
#[tokio::test(start_paused = true)]
async fn retries_are_limited_to_good_replies_plus_100_plus_16_per_second() {
    const N_USERS: usize = 300;
    let api = Scripted::new(|call| if call.place % 4 == 3 { call.unlocked() } else { status(503) });
    let mut bench = Bench::with_pace(window(1_000_000));
    let soon = ms(1);
    bench.settings.retry =
        RetryPolicy { max_retries: 1_000, first_delay: soon, longest_delay: soon };
    let ran = bench.unlock(&api, N_USERS).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, N_USERS)]);
    assert!(!ran.was_paused(PauseReason::Outage));

    let n_retries = api.calls().len() - N_USERS;
    assert_eq!(n_retries, 3 * N_USERS);
    // Of the 900 retries, good replies pay for 300 and 100 are free. The other 500 are limited to 16
    // per second.
    assert!((secs(30)..secs(36)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn every_attempt_has_one_event() {
    let api = Scripted::new(|call| if call.nth < 3 { status(500) } else { call.unlocked() });
    let ran = Bench::default().unlock(&api, 3).await;
    let n_failed = |it: &&Event| matches!(it, Event::AttemptFailed { .. });
    assert_eq!(ran.events.iter().filter(n_failed).count(), 9);
    assert_eq!(api.calls().len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_stops_the_run_and_leaves_no_row() {
    let api = Scripted::new(|call| if call.user() < 3 { call.unlocked() } else { status(401) });
    let ran = Bench::with_concurrency(2).unlock(&api, 50).await;
    assert_eq!(ran.reason, Some(StopReason::Unauthorized));
    assert_eq!(ran.recorded(), [0, 1, 2]);
    assert!(api.calls().len() <= 5, "{} calls", api.calls().len());
}

#[tokio::test(start_paused = true)]
async fn after_a_429_all_calls_wait_and_one_is_sent_first() {
    let api = Scripted::new(|call| match call.place {
        30 => come_back(429, secs(7)),
        _ => call.unlocked(),
    });
    let ran = Bench::with_concurrency(8).unlock(&api, 200).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 200)]);
    assert!(ran.was_paused(PauseReason::Throttled));

    let refused_at = api.times()[30] + ms(50);
    assert_eq!(api.n_between(refused_at + ms(1), refused_at + secs(7)), 0);
    let after: Vec<Duration> = api.times().into_iter().filter(|at| *at > refused_at).collect();
    assert!(after[0] <= refused_at + ms(7_010), "{after:?} after {refused_at:?}");
    assert!(after[1] >= after[0] + ms(50), "the second waits for the answer to the first");
    assert!(after[2] <= after[1] + ms(20), "then all are sent");
}

/// The pauses between calls, rounded to seconds, without zeros.
fn pauses(times: &[Duration]) -> Vec<u64> {
    let gaps = times.windows(2).map(|pair| (pair[1] + ms(300)).saturating_sub(pair[0]).as_secs());
    gaps.filter(|&gap| gap > 0).collect()
}

#[tokio::test(start_paused = true)]
async fn without_retry_after_the_pauses_double_from_one_second_to_thirty() {
    let api = Scripted::new(|call| if call.at < secs(150) { status(429) } else { call.unlocked() });
    let ran = Bench::with_concurrency(8).unlock(&api, 20).await;
    assert_eq!(pauses(&api.times())[..8], [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(api.n_between(ms(200), secs(150)), 8, "one probe per pause");
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_does_not_reset_the_pause() {
    let api = Scripted::new(|call| match call.place {
        0 | 2 => Played::from(status(429)),
        1 => Played::new(ms(200), ms(200), call.unlocked()),
        _ => Played::from(call.unlocked()),
    });
    Bench::with_concurrency(2).unlock(&api, 10).await;
    assert_eq!(pauses(&api.times()), [1, 2]);
}

/// All 64 calls of the first second are refused.
#[tokio::test(start_paused = true)]
async fn many_429s_at_once_reduce_the_share_once() {
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
async fn a_probe_that_hangs_delays_the_others_until_its_timeout() {
    let api = Scripted::new(|call| match call.place {
        0 => Played::from(come_back(429, secs(2))),
        1 => Played::new(secs(15), secs(15), timed_out()),
        _ => Played::from(call.unlocked()),
    });
    let ran = Bench::with_concurrency(1).unlock(&api, 10).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 10)]);
    assert!((secs(32)..secs(34)).contains(&ran.took), "{:?}", ran.took);
}

/// One call of 20 or of 5 is refused at random.
#[test]
fn scattered_429s_do_not_block_the_run() {
    for (n_users, one_of, most) in [(200, 20, 45), (1_000, 20, 400), (200, 5, 130)] {
        for seed in 1..=3 {
            on_a_paused_clock(async {
                let dice = RefCell::new(fastrand::Rng::with_seed(seed));
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

/// Answers with 503 between two times.
fn silent(from: Duration, to: Duration) -> impl Fn(&Call) -> Played {
    move |call| {
        let is_silent = (from..to).contains(&call.at);
        if is_silent { status(503).into() } else { call.unlocked().into() }
    }
}

/// Each call waits for the reply to the previous one.
fn assert_one_at_a_time(times: &[Duration], latency: Duration) {
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + latency), "{times:?}");
}

#[tokio::test(start_paused = true)]
async fn no_user_fails_in_an_outage_of_five_seconds() {
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
async fn only_probes_of_an_outage_use_new_connections() {
    let (from, to) = (ms(500), ms(5_500));
    let api = Scripted::new(silent(from, to));
    Bench::default().unlock(&api, 2_000).await;
    let n_probes = api.n_between(from + ms(200), to);
    // One more for the probe that is answered.
    assert_eq!(api.n_fresh(), n_probes + 1);
    let api = Scripted::new(Call::unlocked);
    Bench::default().unlock(&api, 100).await;
    assert_eq!(api.n_fresh(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_user_fails_in_an_outage_of_fourteen_minutes_with_few_probes() {
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
async fn a_run_waits_for_an_api_that_is_down_at_its_start() {
    let api = Scripted::new(silent(secs(0), secs(60)));
    let ran = Bench::default().unlock(&api, 20).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 20)]);
}

#[tokio::test(start_paused = true)]
async fn a_run_stops_after_an_outage_of_fifteen_minutes_and_no_user_fails() {
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
async fn failures_before_an_outage_is_detected_use_up_no_retry() {
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
async fn a_second_outage_uses_up_no_retry() {
    let api = Scripted::new(|call| match call.at.as_secs() {
        1..5 | 30..40 => status(500),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(1).unlock(&api, 4_000).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 4_000)]);
}

#[tokio::test(start_paused = true)]
async fn a_few_users_that_always_fail_are_not_an_outage() {
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
async fn users_that_fail_among_others_are_not_an_outage() {
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
async fn an_outage_with_429s_of_a_proxy_stops_the_run() {
    let api = Scripted::new(|call| status(if call.place % 30 == 0 { 429 } else { 503 }));
    let ran = Bench::default().unlock(&api, 200).await;
    assert_eq!(ran.reason, Some(StopReason::Outage));
    assert_eq!(ran.rows().count(), 0);
    assert!((secs(900)..secs(960)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_run_continues_after_an_outage_with_429s() {
    let api = Scripted::new(|call| match call.at.as_secs() {
        0 if call.place > 30 => status(503),
        1..20 => status(429),
        _ => call.unlocked(),
    });
    let ran = Bench::with_max_retries(0).unlock(&api, 300).await;
    assert_eq!(ran.reason, None);
    assert_eq!(ran.rows().count(), 300);
    let n_failed = ran.rows().filter(|row| row.outcome == Outcome::Failed).count();
    assert!(n_failed < 20, "{n_failed} failed before the outage was detected");
}

/// Unlocks ten users, two at a time, and requests a stop after a second.
async fn stopped_after_a_second(api: &Scripted<'_>) -> Ran {
    let bench = Bench::with_concurrency(2);
    let stop = async {
        sleep(secs(1)).await;
        bench.stop.ask(StopReason::Interrupted);
    };
    let ran = bench.unlock_during(api, 10, stop).await;
    assert_eq!(ran.reason, Some(StopReason::Interrupted));
    ran
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_requests_in_flight_end_and_no_other_starts() {
    let api = Scripted::new(|call| Played::new(secs(2), secs(2), call.unlocked()));
    let ran = stopped_after_a_second(&api).await;
    assert_eq!(ran.recorded(), [0, 1]);
    assert_eq!(api.calls().len(), 2);
    assert!((secs(4)..ms(4_100)).contains(&ran.took), "{:?}", ran.took);
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_is_cut_off_after_ten_seconds_and_has_no_row() {
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
async fn a_reply_at_the_time_of_an_abort_is_recorded() {
    for _ in 0..40 {
        let bench = Bench::with_concurrency(1);
        // The stop is requested during the call, which is answered at the same time.
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
async fn a_second_signal_cuts_off_requests_at_once() {
    let bench = Bench::with_concurrency(4);
    let api = Scripted::new(|call| Played::new(secs(30), secs(30), call.unlocked()));
    let signals = async {
        sleep(secs(1)).await;
        bench.stop.ask(StopReason::Interrupted);
        sleep(secs(1)).await;
        bench.stop.abort();
    };
    let ran = bench.unlock_during(&api, 10, signals).await;
    assert_eq!(ran.rows().count(), 0);
    assert!((secs(2)..ms(2_100)).contains(&ran.took), "{:?}", ran.took);
}

/// The stop ends the wait after this reply.
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
    let ran = bench.unlock_during(&api, 100, stop).await;
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
async fn replies_at_the_time_of_a_stop_are_recorded() {
    let api = Scripted::new(|call| Played::new(ms(500), ms(500), call.unlocked()));
    let ran = stopped_after_a_second(&api).await;
    assert_eq!(ran.counts(), [(Outcome::Unlocked, ran.rows().count())]);
    assert_eq!(ran.rows().count(), api.calls().len());
}

async fn with_three_canaries(api: &Scripted<'_>) -> Ran {
    let mut bench = Bench::default();
    bench.settings.canary = Some(3);
    bench.unlock(api, 50).await
}

#[tokio::test(start_paused = true)]
async fn other_users_wait_for_the_canaries_and_their_retries() {
    let api = Scripted::new(|call| match (call.user(), call.nth) {
        (1, 0) => come_back(503, secs(5)),
        (2, 0) => come_back(429, secs(20)),
        _ => call.unlocked(),
    });
    let ran = with_three_canaries(&api).await;
    assert_eq!(ran.reason, None);
    assert_eq!(ran.counts(), [(Outcome::Unlocked, 50)]);
    let first_of_the_others = api.calls().into_iter().find(|call| call.user() > 2).unwrap();
    assert_eq!(first_of_the_others.place, 5);
    assert!(first_of_the_others.at > secs(20));
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_canary_no_other_user_is_unlocked() {
    let api = Scripted::new(|call| match call.user() {
        0 => Played::from(status(404)),
        _ => Played::new(secs(1), secs(1), call.unlocked()),
    });
    let ran = with_three_canaries(&api).await;
    assert_eq!(ran.reason, Some(StopReason::Canary));
    assert_eq!(ran.recorded(), [0, 1, 2], "the other canaries in flight end");
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

const N_WORKERS: usize = 8;
const N_USERS: usize = 100;

/// Unlocks 100 users, eight at a time, with a recorder that takes a second per row. Returns the number
/// of rows, and the maximum number of users without a row at any time.
async fn behind_a_slow_recorder() -> (usize, usize) {
    let (bench, api) = (Bench::with_concurrency(N_WORKERS), Scripted::new(Call::unlocked));
    let records = records(N_USERS);
    let (work, pacer) = (Unlock::new(&api, &records), Pacer::proven(bench.gate));
    let (sender, mut receiver) = EventSender::to_test(false);
    let acks = sender.clone();
    let pool = async {
        let jobs = (0..N_USERS).map(job);
        WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, sender).run().await;
    };
    let recorder = async {
        let (mut n_rows, mut most) = (0, 0);
        while n_rows < N_USERS {
            let message = receiver.recv().await.unwrap();
            if matches!(message, Message::Event(Event::JobFinished { .. })) {
                sleep(ms(1_000)).await;
                most = most.max(api.calls().len() - n_rows);
                n_rows += 1;
                acks.ack(1);
            }
        }
        (n_rows, most)
    };
    tokio::join!(pool, recorder).1
}

#[tokio::test(start_paused = true)]
async fn no_more_users_are_without_a_row_than_workers() {
    assert_eq!(behind_a_slow_recorder().await, (N_USERS, N_WORKERS));
}
