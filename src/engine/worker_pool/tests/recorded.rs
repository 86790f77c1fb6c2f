//! The way back from the recorder: whose row it is not done with takes no new task.

use tokio::time::sleep;

use crate::engine::recorder::Message;
use crate::engine::testing::{Bench, Call, Scripted, job, ms, records};
use crate::engine::{EventSender, Pacer, Unlock, WorkerPool};
use crate::model::Event;

const N_WORKERS: usize = 8;
const N_USERS: usize = 100;

/// Unlocks a hundred users, eight at a time, for a recorder that takes a second over each row. Gives
/// how many rows it had, and how many users were at most asked and had none.
async fn behind_a_slow_recorder() -> (usize, usize) {
    let (bench, api) = (Bench::with_concurrency(N_WORKERS), Scripted::new(Call::unlocked));
    let records = records(N_USERS);
    let (work, pacer) = (Unlock::new(&api, &records), Pacer::new(bench.gate));
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
async fn no_more_users_are_asked_and_unrecorded_than_there_are_workers() {
    assert_eq!(behind_a_slow_recorder().await, (N_USERS, N_WORKERS));
}
