//! What a power cut can cost: a second.

use std::sync::Arc;
use std::thread;

use super::*;
use crate::engine::testing::{ms, on_a_paused_clock};
use crate::results::Sink;

/// A disk that counts how often what it has is brought to safety.
struct Syncs(Arc<AtomicUsize>);

impl Sink for Syncs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn truncate(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test]
fn what_is_written_is_synced_every_second() {
    let (records, stop, acks) = (records(36), Stop::default(), AckCounter::default());
    let n_syncs = Arc::new(AtomicUsize::new(0));
    let writer = Writer::on_sink(Box::new(Syncs(Arc::clone(&n_syncs))));
    let n_before = n_syncs.load(Ordering::SeqCst);
    let (recorder, (sender, receiver)) = (recorder(&records, writer, &stop), mpsc::channel(1));
    let (acks, start) = (&acks, Instant::now());
    let counts: Vec<usize> = thread::scope(|scope| {
        scope.spawn(move || recorder.run(receiver, acks));
        let mut counts = Vec::new();
        for n in 0..36 {
            // A row behind each tick, so that it is known when the recorder has acks of both.
            let at = start + ms(100) * u32::try_from(n).unwrap();
            sender.blocking_send(Event::Ticked { at, wall: SystemTime::UNIX_EPOCH }).unwrap();
            sender.blocking_send(finished(n, Outcome::Unlocked)).unwrap();
            on_a_paused_clock(acks.reached(n as u64 + 1));
            counts.push(n_syncs.load(Ordering::SeqCst) - n_before);
        }
        drop(sender);
        counts
    });
    assert_eq!(counts, (0..36).map(|n| n / 10).collect::<Vec<_>>());
}
