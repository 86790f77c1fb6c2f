//! Acknowledgements: a worker takes no new task before its row is written.

use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::engine::testing::{Bench, Call, Scripted, job, ms};
use crate::engine::{AckCounter, EVENTS_IN_FLIGHT, EventSender, Pacer, Unlock, WorkerPool};
use crate::model::Event;

const N_WORKERS: usize = 8;
const N_USERS: usize = 100;

/// Unlocks a hundred users, eight at a time, with a recorder that takes a second per row. Returns
/// the number of rows, and the most users that were called and had no row at any time.
async fn behind_a_slow_recorder() -> (usize, usize) {
    let (bench, api) = (Bench::with_concurrency(N_WORKERS), Scripted::new(Call::unlocked));
    let (work, pacer, acks) = (Unlock::new(&api), Pacer::proven(bench.gate), AckCounter::default());
    let (sender, mut receiver) = mpsc::channel(EVENTS_IN_FLIGHT);
    let pool = async {
        let sender = sender;
        let events = EventSender { events: &sender, acks: &acks };
        let jobs = (0..N_USERS).map(job);
        WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, events).run().await;
    };
    let recorder = async {
        let (mut n_rows, mut most) = (0, 0);
        while let Some(event) = receiver.recv().await {
            if matches!(event, Event::JobFinished { .. }) {
                sleep(ms(1_000)).await;
                most = most.max(api.calls().len() - n_rows);
                n_rows += 1;
                acks.add(1);
            }
        }
        (n_rows, most)
    };
    tokio::join!(pool, recorder).1
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_users_without_a_row_than_workers() {
    assert_eq!(behind_a_slow_recorder().await, (N_USERS, N_WORKERS));
}
