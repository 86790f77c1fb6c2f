use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::*;
use crate::model::{Outcome, Row, UserId};
use crate::policy::stop_rule::MaxFail;
use crate::results::{Existing, Reader, RowFormat};
use crate::stats::Size;

mod gate;
mod guards;
mod sum;
mod syncs;

/// As many records as wanted, of `user_0`, `user_1` and so on.
fn records(n: u64) -> Vec<InputRecord> {
    let record = |n| InputRecord {
        line: n + 2,
        cell: format!("user_{n}").into(),
        user: None,
        carried: Box::default(),
    };
    (0..n).map(record).collect()
}

fn recorder<'a>(records: &'a [InputRecord], writer: Writer, stop: &'a Stop) -> Recorder<'a> {
    let n_records = records.len() as u64;
    let size = Size { n_records, n_jobs: n_records, ..Size::default() };
    Recorder {
        records,
        writer,
        stats: Stats::new(size, Instant::now(), SystemTime::UNIX_EPOCH),
        listeners: Vec::new(),
        stop_rule: StopRule::default(),
        stop,
        recorded: vec![false; records.len()],
    }
}

fn file(path: &Path) -> Writer {
    Writer::create(path, Existing::Refuse, RowFormat::default()).unwrap()
}

fn finished(record: usize, outcome: Outcome) -> Event {
    let user: UserId = format!("user_{record}").parse().unwrap();
    let row = Row {
        user_id: Some(user),
        attempts: 1,
        ..Row::unasked(record, outcome, SystemTime::UNIX_EPOCH)
    };
    Event::JobFinished { row: Box::new(row), attempt: None }
}

/// Sends the events and folds them.
fn run(recorder: Recorder<'_>, events: impl IntoIterator<Item = Event>) -> Recorded<'_> {
    let events: Vec<Event> = events.into_iter().collect();
    let (sender, receiver) = mpsc::channel(events.len().max(1));
    for event in events {
        sender.try_send(event).unwrap();
    }
    drop(sender);
    recorder.run(receiver, &AckCounter::default())
}

/// Events as the recorder's own thread hears them; so many of them, and then the program is no more.
async fn on_event(
    recorder: &mut Recorder<'_>,
    mut events: mpsc::Receiver<Event>,
    acks: &AckCounter,
    mut most: usize,
) -> Result<(), ()> {
    let mut batch = Vec::new();
    while events.recv_many(&mut batch, BATCH.min(most)).await > 0 {
        assert!(recorder.on_batch(&batch).is_none());
        most -= batch.len();
        if most == 0 {
            return Err(());
        }
        acks.add(batch.iter().filter_map(row).count() as u64);
        batch.clear();
    }
    Ok(())
}

/// Counts the rows that it hears of, and looks whether each is in the file by then.
struct Reading<'a> {
    path: &'a Path,
    n_heard: &'a AtomicUsize,
}

impl Listener for Reading<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if let Event::JobFinished { row, .. } = event {
            let n_heard = self.n_heard.fetch_add(1, Ordering::Relaxed) + 1;
            let mut rows = Reader::open(self.path).unwrap().map(Result::unwrap);
            assert!(rows.any(|it| it.line == row.record as u64 + 2), "not in the file yet");
            assert_eq!(stats.n_rows(), n_heard as u64, "not counted yet");
        }
    }
}

#[test]
fn a_row_is_in_the_file_and_counted_before_anybody_hears_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    let (records, stop, n_heard) = (records(20), Stop::default(), AtomicUsize::new(0));
    let mut recorder = recorder(&records, file(&path), &stop);
    recorder.listeners.push(Box::new(Reading { path: &path, n_heard: &n_heard }));
    let recorded_run =
        run(recorder, (0..20).rev().map(|record| finished(record, Outcome::Unlocked)));
    assert_eq!(n_heard.load(Ordering::Relaxed), 20);
    assert!(recorded_run.recorded.iter().all(|it| *it));
    assert_eq!(recorded_run.stats.count(Outcome::Unlocked), 20);
    assert!(recorded_run.failure.is_none() && !stop.is_asked());
}

/// A disk that is full after so many bytes.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let n = bytes.len().min(self.0);
        self.0 -= n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts the rows that it hears of.
struct Counting<'a>(&'a AtomicUsize);

impl Listener for Counting<'_> {
    fn on_event(&mut self, event: &Event, _: &Stats) {
        let n_rows = usize::from(matches!(event, Event::JobFinished { .. }));
        self.0.fetch_add(n_rows, Ordering::Relaxed);
    }
}

#[test]
fn a_row_that_could_not_be_written_did_not_happen_and_stops_the_run() {
    let (records, stop, n_heard) = (records(50), Stop::default(), AtomicUsize::new(0));
    let writer = Writer::stream(Full(1_000), RowFormat::default()).unwrap();
    let mut recorder = recorder(&records, writer, &stop);
    recorder.listeners.push(Box::new(Counting(&n_heard)));
    let recorded_run = run(recorder, (0..50).map(|record| finished(record, Outcome::Unlocked)));

    assert_eq!(stop.reason(), Some(StopReason::OutputFailed));
    assert!(recorded_run.failure.is_some());
    let n_rows = usize::try_from(recorded_run.writer.n_rows()).unwrap();
    assert!((5..30).contains(&n_rows), "{n_rows} rows went into 1,000 bytes");
    assert_eq!(n_heard.load(Ordering::Relaxed), n_rows);
    assert_eq!(recorded_run.stats.n_rows(), n_rows as u64);
    let expected: Vec<bool> = (0..50).map(|record| record < n_rows).collect();
    assert_eq!(recorded_run.recorded, expected, "the first ones");
}

#[test]
fn a_guard_that_trips_asks_for_a_stop_and_what_comes_after_is_recorded_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let (records, stop) = (records(10), Stop::default());
    let mut recorder = recorder(&records, file(&dir.path().join("r.csv")), &stop);
    recorder.stop_rule = StopRule { max_fail: Some(MaxFail::Count(2)), n_jobs: 10 };
    let outcome = |record| if record < 2 { Outcome::NotFound } else { Outcome::Unlocked };
    let recorded_run = run(recorder, (0..10).map(|record| finished(record, outcome(record))));
    assert_eq!(stop.reason(), Some(StopReason::MaxFail));
    assert_eq!(recorded_run.stats.n_rows(), 10);
}

#[test]
fn nothing_to_hear_is_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (records, stop) = (records(1), Stop::default());
    let recorded_run = run(recorder(&records, file(&dir.path().join("r.csv")), &stop), []);
    assert_eq!(recorded_run.recorded, [false]);
}
