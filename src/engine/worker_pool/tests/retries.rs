use crate::engine::testing::{
    Bench, Played, Scripted, answer, come_back, ms, on_a_paused_clock, secs, status, timed_out,
    window,
};
use crate::model::{Event, Fault, Head, Outcome, PauseReason, Reply, StopReason};
use crate::policy::retry::RetryPolicy;

/// Such a reply costs a retry each time, and the last one is final.
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
fn faults_of_server_and_network_are_retried_and_named_when_retries_are_used_up() {
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

/// Such a reply is final after one attempt.
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
async fn a_user_who_stays_locked_is_still_locked_in_the_end() {
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

/// Whatever came after that answer.
#[tokio::test(start_paused = true)]
async fn a_row_shows_the_user_as_last_seen() {
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
fn a_truncated_answer_is_retried_whatever_its_status() {
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
async fn all_users_are_unlocked_once_although_half_of_the_attempts_fail() {
    let dice = std::cell::RefCell::new(fastrand::Rng::with_seed(7));
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

/// Three of four attempts fail, and neither backoff nor quota limits the pace: only the budget does.
#[tokio::test(start_paused = true)]
async fn retries_are_limited_to_good_replies_plus_a_hundred_plus_sixteen_per_second() {
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
    // Good answers pay for three hundred and a hundred are free: five hundred are left, of which
    // sixteen go a second.
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
