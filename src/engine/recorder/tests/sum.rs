//! The sum: whatever the API answers and however often the run is stopped or killed, in the end
//! every record has one row, and every user one end.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::OpenOptions;
use std::path::PathBuf;

use fastrand::Rng;
use proptest::prelude::*;
use tokio::time::sleep;

use super::*;
use crate::engine::look_up::Batch;
use crate::engine::testing::{
    Asked, Bench, Call, Played, Scripted, answer, come_back, ms, on_a_paused_clock, secs, status,
    timed_out,
};
use crate::engine::{LookUp, Pacer, Purpose, Unlock, UnlockJobs, WorkerPool, wall_clock};
use crate::model::{Identifier, IdentifierKind, InputRecord, Records};
use crate::policy::classify::AdminLocked;
use crate::policy::exclude::ExcludeList;
use crate::policy::plan::{Done, Plan};
use crate::results::{OpenError, resume};

/// How one pass ends before its time.
#[derive(Clone, Copy, Debug)]
enum Cut {
    /// Ctrl-C after this many milliseconds.
    Drain(u64),
    /// Ctrl-C, and again a little later.
    Abort(u64),
    /// kill -9 after this many events were folded, and a torn row behind it.
    Kill(usize),
}

/// A job to be done in as many passes as it takes.
struct Story {
    records: Records,
    excluded: ExcludeList,
    path: PathBuf,
    bench: Bench,
}

/// Two addresses for each user: `a4@x.org` and `a5@x.org` are both `user_2`. Every seventh has none.
fn user_of(kind: IdentifierKind, n: usize) -> Option<usize> {
    match kind {
        IdentifierKind::UserId => Some(n),
        _ => (n % 7 != 6).then_some(n / 2),
    }
}

/// The cell of a number; those from 40 on are mistakes.
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

fn well(call: &Call, good: &RefCell<HashSet<usize>>) -> crate::model::Reply {
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
    /// Goes on from what is recorded, to the end or to the cut.
    async fn pass(&self, api: &Scripted<'_>, cut: Option<Cut>) {
        let stop = Stop::default();
        let (done, writer) = self.open();
        let known = done.users().clone();
        let plan = Plan::build(&self.records, &self.excluded, done, wall_clock());
        assert_eq!(plan.n_rows_without_record, 0);
        let mut recording = recording(self.records.records.len(), writer, &stop);
        plan.recorded.iter().for_each(|&record| recording.recorded[record] = true);

        let (sender, messages) = EventSender::to_test(true);
        let (nobody, _) = EventSender::to_test(true);
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
                tokio::try_join!(work, record(&mut recording, messages, &nobody, most))
            } => ended,
            never = stop.keep_grace() => match never {},
            never = signals(cut, &stop) => match never {},
        };
        self.close(recording, ended.is_err());
    }

    fn open(&self) -> (Done, Writer) {
        // A process that another test starts holds the lock for a moment, until it is its own.
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

    /// The stages of a run: a look-up where the input does not name users by id, and the unlocks.
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

    /// Ends the pass as the program does, or as a kill does: in the middle of a row.
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

    /// What must be true in the end.
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
                assert!(ends.insert(id.clone()), "two ends of {id}");
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

/// The row that tells the end of a duplicate's user.
fn the_first<'a>(row: &'a Row, rows: &BTreeMap<u64, &'a Row>) -> &'a Row {
    let mut row = row;
    for _ in 0..3 {
        if row.outcome != Outcome::Duplicate {
            return row;
        }
        let message = row.error_message.as_deref().unwrap();
        let line = message.strip_prefix("the same user stands on line ").unwrap();
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
    fn whatever_happens_every_record_has_one_row_and_every_user_one_end(
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

/// How often the server unlocked a user whom it had unlocked before.
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
