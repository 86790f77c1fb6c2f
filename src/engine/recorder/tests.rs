use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::SystemTime;

use super::*;
use crate::engine::testing::{
    Bench, Call as Asked, Played, Scripted, job, ms, on_a_paused_clock, records, secs, status,
};
use crate::engine::{Pacer, Session, Unlock, WorkerPool};
use crate::model::{Attempt, Outcome, UserId};
use crate::policy::stop_rule::MaxFail;
use crate::results::testing::counting_syncs;
use crate::results::{Existing, Reader, RowFormat};
use crate::stats::Size;
use crate::stop::Signals;

mod sum;

fn recording(n_records: usize, writer: Writer, stop: &Stop) -> Recording<'_> {
    let size = Size { n_records: n_records as u64, n_jobs: n_records as u64 };
    let stats = Stats::new(size, Instant::now(), SystemTime::UNIX_EPOCH);
    Recording::new(Some(writer), stats, vec![false; n_records], StopRule::default(), stop)
}

fn file(path: &Path) -> Writer {
    Writer::create(path, Existing::Refuse, RowFormat::default(), None).unwrap()
}

fn finished(record: usize, outcome: Outcome) -> Event {
    let user: UserId = format!("user_{record}").parse().unwrap();
    let input = &records(record + 1)[record];
    let row = Row {
        user_id: Some(user),
        attempts: 1,
        ..Row::new(input, outcome, SystemTime::UNIX_EPOCH)
    };
    Event::JobFinished { record, row: Box::new(row), attempt: None }
}

/// Sends events to a recorder on its thread, and ends it.
fn run<'env>(
    recording: Recording<'env>,
    listeners: Vec<Box<dyn Listener + 'env>>,
    events: impl IntoIterator<Item = Event>,
) -> Recorded {
    thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).unwrap();
        recorder.begin_stage(listeners).unwrap();
        for event in events {
            recorder.sender.messages.blocking_send(Message::Event(event)).unwrap();
        }
        recorder.finish()
    })
}

/// Records events on this thread, on a paused clock; after this many of them the program is killed.
async fn record(
    recording: &mut Recording<'_>,
    mut messages: mpsc::Receiver<Message>,
    acks: &EventSender,
    mut most: usize,
) -> Result<(), ()> {
    let mut batch = Vec::new();
    while messages.recv_many(&mut batch, BATCH.min(most)).await > 0 {
        let events: Vec<Event> = batch
            .drain(..)
            .map(|message| match message {
                Message::Event(event) => event,
                Message::Call => panic!("nobody calls"),
            })
            .collect();
        recording.on_events(&events);
        most -= events.len();
        if most == 0 {
            return Err(());
        }
        acks.ack(events.iter().filter_map(row).count() as u64);
    }
    Ok(())
}

/// Counts the rows that are reported, and checks that each is in the file by then.
struct Reading<'a> {
    path: PathBuf,
    n_reported: &'a AtomicUsize,
}

impl Listener for Reading<'_> {
    fn on_event(&mut self, event: &Event, stats: &Stats) {
        if let Event::JobFinished { row, .. } = event {
            let n_reported = self.n_reported.fetch_add(1, Ordering::Relaxed) + 1;
            let mut rows = Reader::open(&self.path).unwrap().map(Result::unwrap);
            assert!(rows.any(|it| it.line == row.line), "not in the file yet");
            assert_eq!(stats.n_rows(), n_reported as u64, "not counted yet");
        }
    }
}

#[test]
fn a_row_is_in_the_file_and_counted_before_it_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    let (stop, n_reported) = (Stop::default(), AtomicUsize::new(0));
    let reading = Reading { path: path.clone(), n_reported: &n_reported };
    let events = (0..20).rev().map(|record| finished(record, Outcome::Unlocked));
    let recorded = run(recording(20, file(&path), &stop), vec![Box::new(reading)], events);
    assert_eq!(n_reported.load(Ordering::Relaxed), 20);
    assert!(recorded.recorded.iter().all(|it| *it));
    assert_eq!(recorded.stats.count(Outcome::Unlocked), 20);
    assert!(!stop.is_asked());
}

/// A disk that is full after this many bytes.
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

/// Counts the rows that are reported.
struct Counting<'a>(&'a AtomicUsize);

impl Listener for Counting<'_> {
    fn on_event(&mut self, event: &Event, _: &Stats) {
        let n_rows = usize::from(matches!(event, Event::JobFinished { .. }));
        self.0.fetch_add(n_rows, Ordering::Relaxed);
    }
}

#[test]
fn a_row_that_cannot_be_written_is_not_recorded_and_stops_the_run() {
    let (stop, n_reported) = (Stop::default(), AtomicUsize::new(0));
    let writer = Writer::stream(Full(1_000), RowFormat::default()).unwrap();
    let events = (0..50).map(|record| finished(record, Outcome::Unlocked));
    let listeners: Vec<Box<dyn Listener>> = vec![Box::new(Counting(&n_reported))];
    let recorded = run(recording(50, writer, &stop), listeners, events);

    assert_eq!(stop.reason(), Some(StopReason::OutputFailed));
    let n_rows = usize::try_from(recorded.writer.unwrap().n_rows()).unwrap();
    assert!((5..30).contains(&n_rows), "{n_rows} rows went into 1,000 bytes");
    assert_eq!(n_reported.load(Ordering::Relaxed), n_rows);
    assert_eq!(recorded.stats.n_rows(), n_rows as u64);
    let expected: Vec<bool> = (0..50).map(|record| record < n_rows).collect();
    assert_eq!(recorded.recorded, expected, "the first ones");
}

/// Rows are counted where they are written, requests where they are sent.
#[test]
fn a_request_whose_row_cannot_be_written_is_a_request_and_was_not_cut_off() {
    let stop = Stop::default();
    let writer = Writer::stream(Full(500), RowFormat::default()).unwrap();
    let attempt = Attempt {
        status: Some(200),
        took: ms(80),
        waited: Duration::ZERO,
        ended_at: SystemTime::UNIX_EPOCH,
    };
    let with_request = |record| match finished(record, Outcome::Unlocked) {
        Event::JobFinished { record, row, .. } => {
            Event::JobFinished { record, row, attempt: (record % 2 == 0).then_some(attempt) }
        }
        other => other,
    };
    let recorded = run(recording(50, writer, &stop), vec![], (0..50).map(with_request));
    assert!(recorded.stats.n_rows() < 10);
    assert_eq!((recorded.stats.n_requests, recorded.stats.n_given_up), (25, 0));
}

#[test]
fn a_guard_that_trips_asks_for_a_stop_and_later_rows_are_recorded_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let stop = Stop::default();
    let mut recording = recording(10, file(&dir.path().join("r.csv")), &stop);
    recording.stop_rule = StopRule { max_fail: Some(MaxFail::Count(2)), n_jobs: 10 };
    let outcome = |record| if record < 2 { Outcome::NotFound } else { Outcome::Unlocked };
    let events = (0..10).map(|record| finished(record, outcome(record)));
    let recorded = run(recording, vec![], events);
    assert_eq!(stop.reason(), Some(StopReason::MaxFail));
    assert_eq!(recorded.stats.n_rows(), 10);
}

#[test]
fn without_events_nothing_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let stop = Stop::default();
    let recording = recording(1, file(&dir.path().join("r.csv")), &stop);
    assert_eq!(run(recording, vec![], []).recorded, [false]);
}

/// Notes what it is told, and its end.
struct Noting<'a>(&'static str, &'a Mutex<Vec<String>>);

impl Listener for Noting<'_> {
    fn on_event(&mut self, event: &Event, _: &Stats) {
        if let Event::JobFinished { record, .. } = event {
            self.1.lock().unwrap().push(format!("{} {record}", self.0));
        }
    }

    fn finish(self: Box<Self>) {
        self.1.lock().unwrap().push(format!("{} ends", self.0));
    }
}

#[test]
fn stages_share_a_recorder_and_each_has_its_own_listeners() {
    let dir = tempfile::tempdir().unwrap();
    let (stop, notes) = (Stop::default(), Mutex::default());
    let recording = recording(4, file(&dir.path().join("r.csv")), &stop);
    let recorded = thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).unwrap();
        let send = |record| {
            let event = finished(record, Outcome::Unlocked);
            recorder.sender.messages.blocking_send(Message::Event(event)).unwrap();
        };
        recorder.begin_stage(vec![Box::new(Noting("look-up", &notes))]).unwrap();
        send(0);
        send(1);
        recorder.end_stage().unwrap();
        let n_rows = recorder.call(|recording| recording.stats.n_rows()).unwrap();
        assert_eq!(n_rows, 2, "a call sees everything that was sent before it");
        send(2);
        recorder.begin_stage(vec![Box::new(Noting("unlock", &notes))]).unwrap();
        send(3);
        recorder.finish()
    });
    assert_eq!(recorded.recorded, [true; 4]);
    let notes = notes.into_inner().unwrap();
    assert_eq!(notes, ["look-up 0", "look-up 1", "look-up ends", "unlock 3", "unlock ends"]);
}

/// What a power cut can cost: a second.
#[test]
fn rows_are_synced_every_second_and_at_the_end_of_a_stage() {
    let stop = Stop::default();
    let (writer, n_syncs) = counting_syncs();
    let n_before = n_syncs.load(Ordering::SeqCst);
    let start = Instant::now();
    let counts: Vec<usize> = thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording(36, writer, &stop)).unwrap();
        let mut counts = Vec::new();
        for n in 0..36 {
            let at = start + ms(100) * u32::try_from(n).unwrap();
            let tick = Event::Ticked { at, wall: SystemTime::UNIX_EPOCH };
            for event in [tick, finished(n, Outcome::Unlocked)] {
                recorder.sender.messages.blocking_send(Message::Event(event)).unwrap();
            }
            recorder.call(|_| ()).unwrap();
            counts.push(n_syncs.load(Ordering::SeqCst) - n_before);
        }
        recorder.end_stage().unwrap();
        counts.push(n_syncs.load(Ordering::SeqCst) - n_before);
        recorder.finish();
        counts
    });
    let expected: Vec<usize> = (0..36).map(|n| n / 10).chain([4]).collect();
    assert_eq!(counts, expected);
}

#[cfg(unix)]
#[test]
fn a_file_that_is_truncated_or_replaced_stops_the_run_at_the_next_tick() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.csv");
    let truncate = |path: &Path| {
        std::fs::OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
    };
    let rename = |path: &Path| std::fs::rename(path, path.with_extension("old")).unwrap();
    for disturb in [&truncate as &dyn Fn(&Path), &rename] {
        let stop = Stop::default();
        let mut recording = recording(3, file(&path), &stop);
        recording.on_events(&[finished(0, Outcome::Unlocked)]);
        let tick = || Event::Ticked { at: Instant::now(), wall: SystemTime::UNIX_EPOCH };
        recording.on_events(&[tick()]);
        assert_eq!(stop.reason(), None);
        disturb(&path);
        recording.on_events(&[tick()]);
        assert_eq!(stop.reason(), Some(StopReason::OutputFailed));
        recording.on_events(&[finished(1, Outcome::Unlocked)]);
        assert_eq!(recording.recorded, [true, false, false], "no row is lost in silence");
        drop(recording);
        let _ = std::fs::remove_file(&path);
    }
}

/// A disk that is slow, and counts how many users were asked and have no line yet.
#[derive(Clone, Default)]
struct SlowDisk {
    n_asked: Arc<AtomicUsize>,
    n_lines: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Write for SlowDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(ms(2));
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
fn while_the_disk_is_slow_no_more_users_are_asked_and_unrecorded_than_there_are_workers() {
    const N_WORKERS: usize = 8;
    const N_USERS: usize = 60;
    let (input, disk) = (records(N_USERS), SlowDisk::default());
    let (bench, signals) = (Bench::with_concurrency(N_WORKERS), Signals::default());
    let writer = Writer::stream(disk.clone(), RowFormat::default()).unwrap();
    let recording = recording(N_USERS, writer, &bench.stop);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let session = Session { stop: &bench.stop, signals: &signals, deadline: None };
    let recorded = thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).unwrap();
        let ran = session.run(&runtime, &recorder, vec![], async |events| {
            let api = Scripted::new(|call| {
                disk.n_asked.fetch_add(1, Ordering::SeqCst);
                Played::new(ms(0), ms(0), call.unlocked())
            });
            let (work, pacer) = (Unlock::new(&api, &input), Pacer::new(bench.gate));
            let jobs = (0..N_USERS).map(job);
            WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, events).run().await;
        });
        ran.unwrap();
        recorder.finish()
    });
    assert_eq!(recorded.writer.unwrap().n_rows(), N_USERS as u64);
    let most = disk.most.load(Ordering::SeqCst);
    assert!((1..=N_WORKERS).contains(&most), "{most} were asked and had no row");
}

const N_GUARDED: usize = 500;
const CONCURRENCY: u64 = 8;

/// Unlocks five hundred users, eight at a time, with a recorder that checks a guard.
fn run_guarded<P: Into<Played>>(
    script: impl Fn(&Asked) -> P,
    max_fail: Option<MaxFail>,
) -> (Option<StopReason>, Stats) {
    let dir = tempfile::tempdir().unwrap();
    let bench = Bench::with_concurrency(8);
    let mut recording = recording(N_GUARDED, file(&dir.path().join("r.csv")), &bench.stop);
    recording.stop_rule = StopRule { max_fail, n_jobs: N_GUARDED as u64 };
    on_a_paused_clock(async {
        let (sender, messages) = EventSender::to_test(false);
        let acks = EventSender { messages: mpsc::channel(1).0, acks: sender.acks.clone() };
        let (api, pacer) = (Scripted::new(script), Pacer::new(bench.gate));
        let records = records(N_GUARDED);
        let work = Unlock::new(&api, &records);
        let pool = async {
            let jobs = (0..N_GUARDED).map(job);
            WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, sender).run().await;
            Ok(())
        };
        tokio::try_join!(pool, record(&mut recording, messages, &acks, usize::MAX)).unwrap();
        assert_eq!(api.calls().len() as u64, recording.stats.n_rows(), "those in flight ended");
    });
    (bench.stop.reason(), recording.stats)
}

#[track_caller]
fn stops_at<P: Into<Played>>(
    n_rows: u64,
    reason: StopReason,
    max_fail: Option<MaxFail>,
    script: impl Fn(&Asked) -> P,
) {
    let (found, stats) = run_guarded(script, max_fail);
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
fn a_key_that_may_not_unlock_is_known_after_five_users() {
    stops_at(5, StopReason::Forbidden, None, |_| status(402));
    stops_at(5, StopReason::Forbidden, None, |_| status(403));
}

#[test]
fn one_user_who_was_not_refused_shows_that_the_key_may() {
    let script = |call: &Asked| match call.user() {
        3 => Played::from(call.unlocked()),
        _ => Played::new(secs(1), secs(1), status(403)),
    };
    let (reason, stats) = run_guarded(script, None);
    assert_eq!((reason, stats.n_rows()), (None, N_GUARDED as u64));
}
