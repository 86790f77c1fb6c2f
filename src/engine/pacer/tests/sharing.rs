//! Several pacers, as several processes have them, through one pace file.

use std::cell::Cell;
use std::path::Path;
use std::time::SystemTime;

use tokio::time::sleep;

use super::*;
use crate::engine::recorder::Message;
use crate::engine::testing::job;
use crate::engine::{EventSender, Unlock, WorkerPool};
use crate::model::Event;

/// The wall clock of a paused runtime.
fn wall() -> SystemTime {
    use std::sync::OnceLock;
    static BASE: OnceLock<(std::time::Instant, SystemTime)> = OnceLock::new();
    let (began, wall) = BASE.get_or_init(|| (now(), SystemTime::now()));
    *wall + now().saturating_duration_since(*began)
}

fn sharing(pace: Pace, dir: &Path) -> Pacer {
    let file = PaceFile::open_at(dir, "key", wall).unwrap();
    let settings = Bench::with_pace(pace).gate;
    Pacer::new(settings).shared_through(file, |error| panic!("{error}"))
}

/// Arrivals at a server, and how many requests each run sent.
#[derive(Default)]
struct Server {
    arrivals: RefCell<Vec<Instant>>,
}

impl Server {
    /// Sends `n` requests through a pacer, up to 16 at a time.
    async fn take(&self, pacer: &Pacer, n: usize) -> usize {
        let n_left = Cell::new(n);
        let worker = || async {
            while n_left.get() > 0 {
                n_left.set(n_left.get() - 1);
                let permit = pacer.permit().await;
                sleep(ms(20)).await;
                self.arrivals.borrow_mut().push(Instant::now());
                sleep(ms(60)).await;
                permit.report(Report::Answered);
            }
        };
        futures_util::future::join_all((0..16).map(|_| worker())).await;
        n
    }

    fn most_in(&self, window: Duration) -> usize {
        let arrivals = self.arrivals.borrow();
        let mut arrivals = arrivals.clone();
        arrivals.sort_unstable();
        let n_before = |&at: &Instant| arrivals.partition_point(|&other| other + window <= at);
        (0..).zip(&arrivals).map(|(place, at)| place + 1 - n_before(at)).max().unwrap_or(0)
    }
}

#[test]
fn runs_one_after_the_other_keep_the_share_together() {
    for pace in [share(80), window(80)] {
        on_a_paused_clock(async {
            let dir = tempfile::tempdir().unwrap();
            let server = Server::default();
            for n in [80, 3, 100, 1, 40] {
                server.take(&sharing(pace, dir.path()), n).await;
            }
            let most = server.most_in(WINDOW);
            assert!((75..=80).contains(&most), "{most} of 80 at {pace:?}");
        });
    }
}

#[test]
fn two_runs_at_once_keep_the_share_together_and_each_gets_its_part() {
    for pace in [share(80), window(80)] {
        on_a_paused_clock(async {
            let dir = tempfile::tempdir().unwrap();
            let server = Server::default();
            let (one, other) = (sharing(pace, dir.path()), sharing(pace, dir.path()));
            let begun = Instant::now();
            let run = |pacer| {
                let server = &server;
                async move {
                    server.take(pacer, 160).await;
                    begun.elapsed()
                }
            };
            let (one, other) = tokio::join!(run(&one), run(&other));
            let most = server.most_in(WINDOW);
            assert!((70..=80).contains(&most), "{most} of 80 at {pace:?}");
            assert!(one.max(other) < secs(43), "{one:?} and {other:?}");
            assert!(one.min(other) > secs(28), "{one:?} and {other:?}: one of them starved");
        });
    }
}

/// A quarter of the share each, here and on any other machine.
#[test]
fn four_shards_at_once_use_the_whole_share_and_one_alone_a_quarter() {
    for pace in [share(80), window(80)] {
        on_a_paused_clock(async {
            let dir = tempfile::tempdir().unwrap();
            let (server, alone) = (Server::default(), Server::default());
            let settings = GateSettings { shards: 4, ..Bench::with_pace(pace).gate };
            alone.take(&Pacer::new(settings), 60).await;
            let most = alone.most_in(WINDOW);
            assert!((17..=20).contains(&most), "{most} of 20 at {pace:?}");
            let shard = || async {
                let file = PaceFile::open_at(dir.path(), "key", wall).unwrap();
                let pacer = Pacer::new(settings);
                let pacer = pacer.shared_through(file, |error| panic!("{error}"));
                let begun = Instant::now();
                server.take(&pacer, 80).await;
                begun.elapsed()
            };
            let took = tokio::join!(shard(), shard(), shard(), shard());
            let took = [took.0, took.1, took.2, took.3];
            let most = server.most_in(WINDOW);
            assert!((70..=80).contains(&most), "{most} of 80 at {pace:?}");
            assert!(took.iter().all(|&it| it < secs(45)), "{took:?}: one of them starved");
        });
    }
}

/// The first run has the whole share when the second one comes.
#[test]
fn a_second_run_gets_its_part_from_one_that_is_under_way() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let (server, late) = (Server::default(), Server::default());
        let first = sharing(share(80), dir.path());
        let second = async {
            sleep(secs(20)).await;
            let second = sharing(share(80), dir.path());
            timeout(secs(30), late.take(&second, 100)).await.expect("25 s and a bit")
        };
        tokio::join!(server.take(&first, 400), second);
    });
}

#[test]
fn a_run_that_is_killed_leaves_what_it_had_in_flight_behind() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let server = Server::default();
        let killed = sharing(window(20), dir.path());
        server.take(&killed, 1).await;
        let permits: Vec<_> =
            futures_util::future::join_all((0..17).map(|_| killed.permit())).await;
        // The process ends without a word, and the server reads its requests later.
        killed.shared.take().into_iter().for_each(|it| drop(it.file));
        sleep(secs(5)).await;
        server.arrivals.borrow_mut().extend(permits.iter().map(|_| Instant::now()));
        permits.into_iter().for_each(std::mem::forget);
        server.take(&sharing(window(20), dir.path()), 60).await;
        assert!(server.most_in(WINDOW) <= 20, "{}", server.most_in(WINDOW));
    });
}

#[test]
fn a_429_pauses_all_runs() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (sharing(share(80), dir.path()), sharing(share(80), dir.path()));
        other.permit().await.report(Report::Answered);
        one.permit().await.report(Report::Throttled(Some(secs(7))));
        let mut pauses = other.pauses_of_others();
        let begun = Instant::now();
        let permit = other.permit().await;
        assert!((ms(6_990)..ms(7_400)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert!(pauses.borrow_and_update().is_some());
        assert_eq!(permit.report(Report::Answered), Change::Resumed);
        // A third run, begun while the pause lasts, waits too.
        one.permit().await.report(Report::Throttled(Some(secs(7))));
        let begun = Instant::now();
        sharing(share(80), dir.path()).permit().await.report(Report::Answered);
        assert!((ms(6_990)..ms(7_400)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    });
}

/// Nobody else would show why the run is idle.
#[test]
fn a_worker_pool_reports_the_pause_of_another_run() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let other = sharing(share(80), dir.path());
        other.permit().await.report(Report::Throttled(Some(secs(7))));
        let api = Scripted::new(Call::unlocked);
        let records = crate::engine::testing::records(3);
        let (work, bench) = (Unlock::new(&api, &records), Bench::default());
        let pacer = sharing(share(80), dir.path());
        let (sender, mut receiver) = EventSender::to_test(true);
        let jobs = (0..3).map(job);
        WorkerPool::new(&work, jobs, bench.settings, &pacer, &bench.stop, sender).run().await;
        let mut events = Vec::new();
        while let Some(Message::Event(event)) = receiver.recv().await {
            events.push(event);
        }
        assert!(matches!(events[0], Event::Paused(_)), "{events:?}");
        assert!(events.iter().any(|event| matches!(event, Event::Resumed)), "{events:?}");
    });
}

#[test]
fn a_run_goes_on_alone_when_the_file_becomes_useless() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let n_lost = std::rc::Rc::new(Cell::new(0));
        let count = std::rc::Rc::clone(&n_lost);
        let file = PaceFile::open_at(dir.path(), "key", wall).unwrap();
        let settings = Bench::with_pace(share(80)).gate;
        let pacer = Pacer::new(settings).shared_through(file, move |_| count.set(count.get() + 1));
        let server = Server::default();
        server.take(&pacer, 3).await;
        std::fs::write(dir.path().join("key.pace"), "what somebody else wrote").unwrap();
        server.take(&pacer, 20).await;
        assert_eq!(n_lost.get(), 1);
        drop(pacer);
        let text = std::fs::read_to_string(dir.path().join("key.pace")).unwrap();
        assert_eq!(text, "what somebody else wrote");
    });
}

/// Forty thousand requests per second are reserved in batches.
#[test]
fn the_file_is_used_fifty_times_per_second_at_most() {
    on_a_paused_clock(async {
        let dir = tempfile::tempdir().unwrap();
        let pacer = sharing(share(400_000), dir.path());
        pacer.permit().await.report(Report::Answered);
        sleep(secs(1)).await;
        let mut exchanges = std::collections::BTreeSet::new();
        let begun = Instant::now();
        while begun.elapsed() < ms(200) {
            pacer.permit().await.report(Report::Answered);
            exchanges.extend(pacer.shared.borrow().as_ref().and_then(|it| it.exchanged_at));
        }
        assert!(exchanges.len() <= 40, "{} exchanges in 200 ms", exchanges.len());
    });
}
