//! The gate between pool and recorder, with the threads of a run and a disk that is slow.

use std::sync::Arc;
use std::thread::sleep;

use super::*;
use crate::engine::testing::{Bench, Played, Scripted, job, ms};
use crate::engine::{Pacer, Session, Unlock, WorkerPool};
use crate::stop::Signals;

const N_WORKERS: usize = 8;
const N_USERS: usize = 60;

/// A disk that takes its time, and looks how many users were asked and have no line yet.
#[derive(Clone, Default)]
struct SlowDisk {
    n_asked: Arc<AtomicUsize>,
    n_lines: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Write for SlowDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        sleep(ms(2));
        // The first line is the header.
        let n_rows = self.n_lines.load(Ordering::SeqCst).saturating_sub(1);
        let n_unrecorded = self.n_asked.load(Ordering::SeqCst) - n_rows;
        self.most.fetch_max(n_unrecorded, Ordering::SeqCst);
        let n_lines = String::from_utf8_lossy(bytes).lines().count();
        self.n_lines.fetch_add(n_lines, Ordering::SeqCst);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn while_the_disk_is_slow_no_more_are_asked_and_unrecorded_than_there_are_workers() {
    let (records, disk) = (records(N_USERS as u64), SlowDisk::default());
    let (bench, signals) = (Bench::with_concurrency(N_WORKERS), Signals::default());
    let writer = Writer::stream(disk.clone(), RowFormat::default()).unwrap();
    let recorder = recorder(&records, writer, &bench.stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let session = Session { stop: &bench.stop, signals: &signals, deadline: None };
    let ran = session.run(&runtime, recorder, async |events| {
        let api = Scripted::new(|call| {
            disk.n_asked.fetch_add(1, Ordering::SeqCst);
            Played::new(ms(0), ms(0), call.unlocked())
        });
        let (work, pacer) = (Unlock::new(&api), Pacer::proven(bench.gate));
        WorkerPool::new(&work, (0..N_USERS).map(job), bench.settings, &pacer, &bench.stop, events)
            .run()
            .await;
    });
    assert_eq!(ran.unwrap().0.writer.n_rows(), N_USERS as u64);
    let most = disk.most.load(Ordering::SeqCst);
    assert!((1..=N_WORKERS).contains(&most), "{most} were asked and had no row");
}
