//! Acknowledgements: a worker takes no new task before its row is written.

use tokio::time::sleep;

use crate::engine::recorder::Message;
use crate::engine::testing::{Bench, Call, Scripted, job, ms, records};
use crate::engine::{EventSender, Pacer, Unlock, WorkerPool};
use crate::model::Event;

const N_WORKERS: usize = 8;
const N_USERS: usize = 100;

/// Unlocks a hundred users, eight at a time, with a recorder that takes a second per row. Returns
/// the number of rows, and the most users that were called and had no row at any time.
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
async fn there_are_never_more_users_without_a_row_than_workers() {
    assert_eq!(behind_a_slow_recorder().await, (N_USERS, N_WORKERS));
}
