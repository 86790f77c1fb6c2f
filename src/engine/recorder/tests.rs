use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::thread;
use std::time::SystemTime;

use fastrand::Rng;
use proptest::prelude::*;
use tokio::time::sleep;

use super::*;
use crate::engine::look_up::Batch;
use crate::engine::testing::{
    Asked, Bench, Call, Played, Scripted, answer, come_back, job, ms, on_a_paused_clock, records,
    secs, status, timed_out,
};
use crate::engine::{LookUp, Pacer, Purpose, Session, Unlock, UnlockJobs, WorkerPool, wall_clock};
use crate::model::{
    Attempt, Identifier, IdentifierKind, InputRecord, Outcome, Records, Reply, UserId,
};
use crate::policy::classify::AdminLocked;
use crate::policy::exclude::ExcludeList;
use crate::policy::plan::{Done, Plan};
use crate::policy::stop_rule::MaxFail;
use crate::results::testing::counting_syncs;
use crate::results::{Existing, OpenError, Reader, RowFormat, resume};
use crate::stats::Size;
use crate::stop::Signals;

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

/// Sends events to a recorder on its thread, and finishes it.
fn run<'env>(
    recording: Recording<'env>,
    listeners: Vec<Box<dyn Listener + 'env>>,
    events: impl IntoIterator<Item = Event>,
) -> Recording<'env> {
    thread::scope(|scope| {
        let recorder = Recorder::spawn(scope, recording).unwrap();
        recorder.begin_stage(listeners).unwrap();
        for event in events {
            recorder.sender.messages.blocking_send(Message::Event(event)).unwrap();
        }
        recorder.finish()
    })
}

/// Records events on this thread, on a paused clock. After `most` events, the program is killed.
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
                Message::Call => panic!("unexpected call"),
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

/// Counts the rows that are reported, and checks that each is in the file.
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

#[test]
fn a_request_whose_row_cannot_be_written_is_counted() {
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
fn rows_after_a_guard_trips_are_recorded() {
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

/// Notes its events and its end.
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
        assert_eq!(n_rows, 2, "a call comes after all events sent before it");
        send(2);
        recorder.begin_stage(vec![Box::new(Noting("unlock", &notes))]).unwrap();
        send(3);
        recorder.finish()
    });
    assert_eq!(recorded.recorded, [true; 4]);
    let notes = notes.lock().unwrap();
    assert_eq!(*notes, ["look-up 0", "look-up 1", "look-up ends", "unlock 3", "unlock ends"]);
}

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
        OpenOptions::new().write(true).open(path).unwrap().set_len(10).unwrap();
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
        assert_eq!(recording.recorded, [true, false, false], "the row is not recorded");
        drop(recording);
        let _ = std::fs::remove_file(&path);
    }
}

/// A slow disk that counts the users who were unlocked and have no line yet.
#[derive(Clone, Default)]
struct SlowDisk {
    n_called: Arc<AtomicUsize>,
    n_lines: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Write for SlowDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        thread::sleep(ms(2));
        // The first line is the header.
        let n_rows = self.n_lines.load(Ordering::SeqCst).saturating_sub(1);
        let n_unrecorded = self.n_called.load(Ordering::SeqCst) - n_rows;
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
fn with_a_slow_disk_no_more_users_are_without_a_row_than_workers() {
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
                disk.n_called.fetch_add(1, Ordering::SeqCst);
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
    assert!((1..=N_WORKERS).contains(&most), "{most} had no row");
}

const N_GUARDED: usize = 500;
const CONCURRENCY: u64 = 8;

/// Unlocks 500 users, eight at a time, with a guard.
fn run_guarded<P: Into<Played>>(
    script: impl Fn(&Call) -> P,
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
        assert_eq!(api.calls().len() as u64, recording.stats.n_rows(), "requests in flight ended");
    });
    (bench.stop.reason(), recording.stats)
}

#[track_caller]
fn stops_at<P: Into<Played>>(
    n_rows: u64,
    reason: StopReason,
    max_fail: Option<MaxFail>,
    script: impl Fn(&Call) -> P,
) {
    let (found, stats) = run_guarded(script, max_fail);
    assert_eq!(found, Some(reason));
    // The users of the other workers are in flight.
    let most = n_rows + CONCURRENCY - 1;
    assert!((n_rows..=most).contains(&stats.n_rows()), "{} rows", stats.n_rows());
}

#[test]
fn too_many_failures_stop_the_run_and_requests_in_flight_end() {
    let at_25 = Some(MaxFail::Count(25));
    stops_at(25, StopReason::MaxFail, at_25, |_| status(404));
    stops_at(100, StopReason::MaxFail, Some(MaxFail::Percent(1.0)), |_| status(404));
    // Every fifth user fails.
    stops_at(121, StopReason::MaxFail, at_25, |call| match call.user() % 5 {
        0 => Played::new(ms(10), ms(10), status(409)),
        _ => Played::new(ms(10), ms(10), call.unlocked()),
    });
}

#[test]
fn a_key_without_permission_stops_the_run_after_five_users() {
    stops_at(5, StopReason::Forbidden, None, |_| status(402));
    stops_at(5, StopReason::Forbidden, None, |_| status(403));
}

#[test]
fn one_unlocked_user_shows_that_the_key_has_permission() {
    let script = |call: &Call| match call.user() {
        3 => Played::from(call.unlocked()),
        _ => Played::new(secs(1), secs(1), status(403)),
    };
    let (reason, stats) = run_guarded(script, None);
    assert_eq!((reason, stats.n_rows()), (None, N_GUARDED as u64));
}

/// How a pass ends early.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Ctrl-C after this many milliseconds.
    Drain(u64),
    /// Ctrl-C after this many milliseconds, and again a little later.
    Abort(u64),
    /// kill -9 after this many events, with a torn row at the end of the file.
    Kill(usize),
}

/// A job that is done in several passes.
struct Story {
    records: Records,
    excluded: ExcludeList,
    path: PathBuf,
    bench: Bench,
}

/// Each user has two addresses: `a4@x.org` and `a5@x.org` are both `user_2`. Every seventh address has
/// no user.
fn user_of(kind: IdentifierKind, n: usize) -> Option<usize> {
    match kind {
        IdentifierKind::UserId => Some(n),
        _ => (n % 7 != 6).then_some(n / 2),
    }
}

/// The cell of a number. From 40, cells are invalid.
fn cell(kind: IdentifierKind, n: usize) -> String {
    match kind {
        _ if n >= 40 => format!("oops {n}"),
        IdentifierKind::UserId => format!("user_{n}"),
        _ => format!("a{n}@x.org"),
    }
}

fn number(cell: &str) -> usize {
    cell.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// An API that fails at random, has no user 5, and cannot unlock user 3.
fn api<'r>(dice: &'r RefCell<Rng>, good: &'r RefCell<HashSet<usize>>) -> Scripted<'r> {
    Scripted::new(move |call| {
        let mut dice = dice.borrow_mut();
        let (there, back) = (ms(dice.u64(1..60)), ms(dice.u64(1..60)));
        let reply = match dice.u8(..20) {
            0..2 => status(503),
            2 => come_back(429, secs(1)),
            3 => answer(200, "<html>"),
            4 => timed_out(),
            _ => well(call, good),
        };
        Played::new(there, back, reply)
    })
}

fn well(call: &Call, good: &RefCell<HashSet<usize>>) -> Reply {
    if let Asked::LookUp(asked) = &call.asked {
        return answer(200, &listed(asked));
    }
    match call.user() {
        5 => status(404),
        3 => answer(200, r#"{"id":"user_3","locked":true}"#),
        _ => {
            good.borrow_mut().insert(call.place);
            call.unlocked()
        }
    }
}

/// The users who have one of these addresses.
fn listed(asked: &[Identifier]) -> String {
    let users: HashSet<usize> =
        asked.iter().filter_map(|it| user_of(it.kind(), number(it.as_str()))).collect();
    let object = |user: usize| {
        let emails = [2 * user, 2 * user + 1].map(|n| (n, user_of(IdentifierKind::Email, n)));
        let emails = emails.into_iter().filter(|(_, user)| user.is_some());
        let emails: Vec<String> =
            emails.map(|(n, _)| format!(r#"{{"email_address":"A{n}@x.org"}}"#)).collect();
        format!(r#"{{"id":"user_{user}","locked":true,"email_addresses":[{}]}}"#, emails.join(","))
    };
    format!("[{}]", users.into_iter().map(object).collect::<Vec<_>>().join(","))
}

impl Story {
    /// Resumes the job and runs to its end or to the cut.
    async fn pass(&self, api: &Scripted<'_>, cut: Option<Cut>) {
        let stop = Stop::default();
        let (done, writer) = self.open();
        let known = done.users().clone();
        let plan = Plan::build(&self.records, &self.excluded, done, wall_clock());
        assert_eq!(plan.n_rows_without_record, 0);
        let mut recording = recording(self.records.records.len(), writer, &stop);
        plan.recorded.iter().for_each(|&it| recording.recorded[it as usize] = true);

        let (sender, messages) = EventSender::to_test(true);
        let (acks, _) = EventSender::to_test(true);
        let work = async {
            for (record, row) in plan.left_out {
                let event = Event::JobFinished { record, row: Box::new(row), attempt: None };
                let _ = sender.send(event).await;
            }
            self.run_pools(api, plan.jobs, known, &stop, sender).await;
            Ok(())
        };
        let most = if let Some(Cut::Kill(most)) = cut { most } else { usize::MAX };
        let ended = tokio::select! {
            ended = async {
                tokio::try_join!(work, record(&mut recording, messages, &acks, most))
            } => ended,
            never = stop.keep_grace() => match never {},
            never = signals(cut, &stop) => match never {},
        };
        self.close(recording, ended.is_err());
    }

    fn open(&self) -> (Done, Writer) {
        // A process that another test starts inherits the lock for a short time.
        let mut resumed = resume(&self.path, &self.records);
        for _ in 0..1_000 {
            if !matches!(resumed, Err(OpenError::InUse { .. })) {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
            resumed = resume(&self.path, &self.records);
        }
        match resumed.unwrap() {
            None => (Done::default(), file(&self.path)),
            Some(resumed) => {
                let done = resumed.done.clone();
                (done, Writer::resume(resumed, RowFormat::default()).unwrap())
            }
        }
    }

    /// The stages of a run: a look-up unless the input has user IDs, and the unlocks.
    async fn run_pools(
        &self,
        api: &Scripted<'_>,
        jobs: Vec<u32>,
        known: HashMap<UserId, u64>,
        stop: &Stop,
        events: EventSender,
    ) {
        let (pacer, settings) = (Pacer::proven(self.bench.gate), self.bench.settings);
        let jobs = if self.records.kind == IdentifierKind::UserId {
            UnlockJobs::Planned(jobs)
        } else {
            let purpose = Purpose::Run(AdminLocked::LeaveAlone);
            let records = &self.records.records;
            let work = LookUp::new(api, purpose, records, &self.excluded, known);
            let batches = batches_of_three(&self.records, &jobs);
            let events = events.clone();
            WorkerPool::new(&work, batches, settings, &pacer, stop, events).run().await;
            UnlockJobs::LookedUp(work.into_jobs())
        };
        let work = Unlock::new(api, &self.records.records);
        let jobs = jobs.into_jobs(&self.records);
        WorkerPool::new(&work, jobs, settings, &pacer, stop, events).run().await;
    }

    /// Ends the pass, or kills it in the middle of a row.
    fn close(&self, mut recording: Recording<'_>, is_killed: bool) {
        let n_recorded = recording.recorded.iter().filter(|it| **it).count();
        if is_killed {
            drop(recording);
            let mut file = OpenOptions::new().append(true).open(&self.path).unwrap();
            file.write_all(b"7,user_1,user_1,unlo").unwrap();
        } else {
            recording.end_stage();
            assert!(
                !recording.stop.is_asked()
                    || recording.stop.reason() != Some(StopReason::OutputFailed)
            );
            drop(recording);
            assert_eq!(self.rows().len(), n_recorded, "records = rows + unprocessed");
        }
    }

    fn rows(&self) -> Vec<Row> {
        Reader::open(&self.path).unwrap().map(Result::unwrap).collect()
    }

    /// Checks that each record has one row and each user one outcome.
    fn check(&self, api: &Scripted<'_>) {
        let rows = self.rows();
        let by_line: BTreeMap<u64, &Row> = rows.iter().map(|row| (row.line, row)).collect();
        assert_eq!(rows.len(), by_line.len(), "each record has one row");
        let lines: Vec<u64> = self.records.records.iter().map(InputRecord::line).collect();
        assert_eq!(by_line.keys().copied().collect::<Vec<_>>(), lines, "and all have one");

        let user = |row: &Row| user_of(self.records.kind, number(&row.input));
        let mut ends = HashSet::new();
        let mut asked = HashSet::new();
        for row in &rows {
            if row.outcome == Outcome::Duplicate {
                let first = the_first(row, &by_line);
                assert_eq!(user(first), user(row), "lines {} and {}", first.line, row.line);
                continue;
            }
            if let Some(id) = &row.user_id {
                assert!(ends.insert(id.clone()), "two outcomes for {id}");
            }
            if row.outcome != Outcome::Excluded {
                asked.extend(user(row));
            }
        }
        let calls = api.calls();
        let mut unlocks = calls.iter().filter(|call| matches!(call.asked, Asked::Unlock(_)));
        assert!(unlocks.all(|call| asked.contains(&call.user())));
    }
}

/// The row with the outcome of the user of a duplicate.
fn the_first<'a>(row: &'a Row, rows: &BTreeMap<u64, &'a Row>) -> &'a Row {
    let mut row = row;
    for _ in 0..3 {
        if row.outcome != Outcome::Duplicate {
            return row;
        }
        let message = row.error_message.as_deref().unwrap();
        let line = message.strip_prefix("the same user is on line ").unwrap();
        row = rows[&line.parse().unwrap()];
    }
    panic!("line {} is a duplicate of duplicates", row.line);
}

async fn signals(cut: Option<Cut>, stop: &Stop) -> std::convert::Infallible {
    match cut {
        Some(Cut::Drain(at)) => {
            sleep(ms(at)).await;
            stop.ask(StopReason::Interrupted);
        }
        Some(Cut::Abort(at)) => {
            sleep(ms(at)).await;
            stop.ask(StopReason::Interrupted);
            sleep(ms(at % 50)).await;
            stop.abort();
        }
        Some(Cut::Kill(_)) | None => {}
    }
    std::future::pending().await
}

/// Small batches, so that a small input has many.
fn batches_of_three(records: &Records, jobs: &[u32]) -> Vec<Batch> {
    let batch = |(place, jobs): (usize, &[u32])| {
        let places: Vec<usize> = jobs.iter().map(|&place| place as usize).collect();
        let targets = places.iter().map(|&place| records.target(place).unwrap()).collect();
        Batch::new(3 * place, places, targets)
    };
    jobs.chunks(3).enumerate().map(batch).collect()
}

fn cuts() -> impl Strategy<Value = Vec<Cut>> {
    let cut = prop_oneof![
        (0_u64..400).prop_map(Cut::Drain),
        (0_u64..400).prop_map(Cut::Abort),
        (1_usize..60).prop_map(Cut::Kill),
    ];
    prop::collection::vec(cut, 0..6)
}

fn kinds() -> impl Strategy<Value = IdentifierKind> {
    prop_oneof![Just(IdentifierKind::UserId), Just(IdentifierKind::Email)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_record_has_one_row_and_every_user_one_outcome(
        kind in kinds(),
        numbers in prop::collection::vec(0_usize..43, 0..80),
        excluded in prop::collection::hash_set(0_usize..40, 0..4),
        concurrency in 1_usize..9,
        max_retries in 0_u32..4,
        cuts in cuts(),
        seed: u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let record = |(place, &n): (usize, &usize)| InputRecord::new(place as u64 + 2, &cell(kind, n));
        let records = numbers.iter().enumerate().map(record).collect();
        let excluded = excluded.into_iter().map(|n| cell(kind, n));
        let mut bench = Bench::with_concurrency(concurrency);
        bench.settings.retry.max_retries = max_retries;
        let story = Story {
            records: Records { records, kind, ..Records::default() },
            excluded: ExcludeList::of_lines("keep.txt", excluded),
            path: dir.path().join("results.csv"),
            bench,
        };
        let (dice, good) = (RefCell::new(Rng::with_seed(seed)), RefCell::default());
        let n_twice = on_a_paused_clock(async {
            let api = api(&dice, &good);
            for &cut in &cuts {
                Box::pin(story.pass(&api, Some(cut))).await;
            }
            Box::pin(story.pass(&api, None)).await;
            story.check(&api);
            n_unlocked_twice(&api, &good.borrow())
        });
        prop_assert!(n_twice <= cuts.len() * concurrency, "{n_twice} unlocked more than once");
    }
}

/// How often the server unlocked a user again.
fn n_unlocked_twice(api: &Scripted<'_>, good: &HashSet<usize>) -> usize {
    let calls = api.calls();
    let arrived = api.arrived();
    let users: Vec<usize> = arrived
        .iter()
        .filter(|place| good.contains(place))
        .map(|&place| calls[place].user())
        .collect();
    users.len() - users.iter().collect::<HashSet<_>>().len()
}
