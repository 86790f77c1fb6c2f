//! The guards that look at the counts, in the loop: pool, recorder, stop bit, pool.

use super::*;
use crate::engine::testing::{
    Bench, Call, Played, Scripted, job, ms, on_a_paused_clock, secs, status,
};
use crate::engine::{EVENTS_IN_FLIGHT, EventSender, Pacer, Unlock, WorkerPool};

const N_USERS: usize = 500;
const CONCURRENCY: u64 = 8;

/// Unlocks five hundred users, eight at a time, with a recorder that judges.
fn run<P: Into<Played>>(
    script: impl Fn(&Call) -> P,
    max_fail: Option<MaxFail>,
) -> (Option<StopReason>, Stats) {
    let dir = tempfile::tempdir().unwrap();
    let records = records(N_USERS as u64);
    let bench = Bench::with_concurrency(8);
    let mut recorder = recorder(&records, file(&dir.path().join("r.csv")), &bench.stop);
    recorder.stop_rule = StopRule { max_fail, n_jobs: N_USERS as u64 };
    on_a_paused_clock(async {
        let (sender, receiver) = mpsc::channel(EVENTS_IN_FLIGHT);
        let (api, pacer) = (Scripted::new(script), Pacer::proven(bench.gate));
        let (work, acks) = (Unlock::new(&api), AckCounter::default());
        let work = async {
            let sender = sender;
            let jobs = (0..N_USERS).map(job);
            let events = EventSender { events: &sender, acks: &acks };
            WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, events).run().await;
            Ok(())
        };
        tokio::try_join!(work, on_event(&mut recorder, receiver, &acks, usize::MAX)).unwrap();
        assert_eq!(api.calls().len() as u64, recorder.stats.n_rows(), "what was in flight ended");
    });
    (bench.stop.reason(), recorder.stats)
}

#[track_caller]
fn stops_at<P: Into<Played>>(
    n_rows: u64,
    reason: StopReason,
    max_fail: Option<MaxFail>,
    script: impl Fn(&Call) -> P,
) {
    let (found, stats) = run(script, max_fail);
    assert_eq!(found, Some(reason));
    // The other workers' users are in flight by then.
    let most = n_rows + CONCURRENCY - 1;
    assert!((n_rows..=most).contains(&stats.n_rows()), "{} rows", stats.n_rows());
}

#[test]
fn too_many_failures_stop_the_run_and_those_in_flight_are_the_overshoot() {
    let at_25 = Some(MaxFail::Count(25));
    stops_at(25, StopReason::MaxFail, at_25, |_| status(404));
    stops_at(100, StopReason::MaxFail, Some(MaxFail::Percent(1.0)), |_| status(404));
    // Every fifth fails, and each takes another while.
    stops_at(121, StopReason::MaxFail, at_25, |call| match call.user() % 5 {
        0 => Played::new(ms(10), ms(10), status(409)),
        _ => Played::new(ms(10), ms(10), call.unlocked()),
    });
}

#[test]
fn a_key_that_may_not_is_known_after_five_users() {
    stops_at(5, StopReason::Forbidden, None, |_| status(402));
    stops_at(5, StopReason::Forbidden, None, |_| status(403));
}

#[test]
fn one_user_who_was_met_otherwise_shows_that_the_key_may() {
    let script = |call: &Call| match call.user() {
        3 => Played::from(call.unlocked()),
        _ => Played::new(secs(1), secs(1), status(403)),
    };
    let (reason, stats) = run(script, None);
    assert_eq!((reason, stats.n_rows()), (None, N_USERS as u64));
}
