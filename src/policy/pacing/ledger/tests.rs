use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(10);

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

fn both(n: u32) -> Limits {
    Limits { all: n, own: n }
}

fn answered(replies: &[(Instant, u32)]) -> Places {
    let mut places = Places::default();
    for &(at, n) in replies {
        places.add_answered(at, n, Duration::ZERO);
    }
    places
}

fn room(ledger: &mut Ledger, now: Instant, limit: u32) -> Entry {
    ledger.room(now, both(limit), false)
}

#[test]
fn a_place_is_free_one_window_after_the_reply_and_not_after_the_request() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    assert_eq!(room(&mut ledger, start, 1), Entry::Ready);
    ledger.send(start, both(1));
    assert_eq!(room(&mut ledger, at(start, 20_000), 1), Entry::AfterReply);
    ledger.on_reply(start, at(start, 3_000));
    assert_eq!(room(&mut ledger, at(start, 3_000), 1), Entry::At(at(start, 13_000)));
    assert_eq!(room(&mut ledger, at(start, 13_000), 1), Entry::Ready);
}

#[test]
fn a_request_that_hangs_holds_one_place() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    ledger.send(start, both(2));
    for ms in [0, 10_000, 20_000] {
        assert_eq!(room(&mut ledger, at(start, ms), 2), Entry::Ready);
        ledger.send(at(start, ms), both(2));
        ledger.on_reply(at(start, ms), at(start, ms));
    }
}

#[test]
fn a_smaller_share_waits_until_enough_places_are_free() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    for ms in [100, 200, 300, 400] {
        ledger.send(at(start, ms), both(4));
        ledger.on_reply(at(start, ms), at(start, ms));
    }
    assert_eq!(room(&mut ledger, at(start, 400), 4), Entry::At(at(start, 10_100)));
    assert_eq!(room(&mut ledger, at(start, 400), 2), Entry::At(at(start, 10_300)));
}

#[test]
fn a_shard_has_its_own_part_and_no_more_than_the_others_leave() {
    let start = Instant::now();
    let limits = Limits { all: 8, own: 2 };
    let mut ledger = Ledger::new(WINDOW);
    for ms in [100, 200] {
        assert_eq!(ledger.room(at(start, ms), limits, false), Entry::Ready);
        ledger.send(at(start, ms), limits);
        ledger.on_reply(at(start, ms), at(start, ms));
    }
    let own_is_free = Entry::At(at(start, 10_100));
    assert_eq!(ledger.room(at(start, 300), limits, false), own_is_free);
    assert_eq!(ledger.reserve(at(start, 300), limits, false, 4), 0);
    let others = answered(&[(at(start, 400), 6)]);
    ledger.set_others(vec![others.clone()]);
    assert_eq!(ledger.room(at(start, 10_100), limits, false), Entry::Ready, "one of eight is left");
    assert_eq!(ledger.reserve(at(start, 10_100), limits, false, 4), 1);
    ledger.set_others(vec![answered(&[(at(start, 400), 6), (at(start, 500), 1)])]);
    // Its own second place is the first that is free, of all eight.
    assert_eq!(ledger.room(at(start, 10_100), limits, false), Entry::At(at(start, 10_200)));
}

/// Its own part is all in flight and given up: no reply would ever free a place.
#[test]
fn a_shard_continues_after_all_its_requests_were_given_up() {
    let start = Instant::now();
    let limits = Limits { all: 8, own: 2 };
    let mut ledger = Ledger::new(WINDOW);
    for _ in 0..2 {
        ledger.send(start, limits);
    }
    assert_eq!(ledger.room(start, limits, true), Entry::AfterReply);
    for _ in 0..2 {
        ledger.on_given_up(start, at(start, 1_000));
    }
    assert_eq!(ledger.room(at(start, 1_000), limits, false), Entry::At(at(start, 11_000)));
    assert_eq!(ledger.room(at(start, 11_000), limits, false), Entry::Ready);
    ledger.send(at(start, 11_000), limits);
    assert_eq!(ledger.room(at(start, 11_000), limits, false), Entry::AfterReply);
}

#[test]
fn replies_of_about_the_same_time_are_free_when_the_last_one_is() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    for ms in [0, 4, 9, 14] {
        ledger.send(start, both(9));
        ledger.on_reply(start, at(start, ms));
    }
    assert_eq!(ledger.own().answered.len(), 2);
    assert_eq!(room(&mut ledger, at(start, 14), 4), Entry::At(at(start, 10_009)));
    assert_eq!(room(&mut ledger, at(start, 10_009), 4), Entry::Ready);
    assert_eq!(ledger.held(), 1);
}

/// The server may have stalled and read it only now.
#[test]
fn a_request_that_was_given_up_holds_its_place_until_a_later_one_is_answered() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    ledger.send(start, both(2));
    ledger.on_given_up(start, at(start, 30_000));
    for ms in [40_000, 90_000] {
        assert_eq!(ledger.room(at(start, ms), both(1), true), Entry::Ready, "the only way on");
        assert_eq!(ledger.held(), 1);
    }
    ledger.send(at(start, 44_000), both(2));
    ledger.on_reply(at(start, 44_000), at(start, 45_000));
    assert_eq!(room(&mut ledger, at(start, 45_000), 2), Entry::At(at(start, 55_000)));
    assert_eq!(room(&mut ledger, at(start, 55_000), 2), Entry::Ready);
}

#[test]
fn a_reply_to_an_earlier_request_does_not_free_what_was_given_up() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    ledger.send(start, both(9));
    ledger.send(at(start, 1_000), both(9));
    ledger.on_given_up(at(start, 1_000), at(start, 31_000));
    ledger.on_reply(start, at(start, 32_000));
    room(&mut ledger, at(start, 60_000), 9);
    assert_eq!(ledger.held(), 1);
}

#[test]
fn a_request_given_up_while_later_ones_are_answered_is_free_one_window_later() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    ledger.send(start, both(9));
    ledger.send(at(start, 1_000), both(9));
    ledger.on_reply(at(start, 1_000), at(start, 1_100));
    ledger.on_given_up(start, at(start, 30_000));
    assert_eq!(room(&mut ledger, at(start, 30_000), 1), Entry::At(at(start, 40_000)));
}

/// Fifty requests hang: six places are left to find out that the server is back.
#[test]
fn some_places_are_reserved_for_probes() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    let mut n_sent = 0;
    while room(&mut ledger, start, 50) == Entry::Ready {
        ledger.send(start, both(50));
        n_sent += 1;
    }
    assert_eq!((n_sent, room(&mut ledger, start, 50)), (44, Entry::AfterReply));
    assert_eq!(ledger.room(start, both(50), true), Entry::Ready);
    for _ in 0..44 {
        ledger.on_given_up(start, at(start, 30_000));
    }
    assert_eq!(room(&mut ledger, at(start, 30_000), 50), Entry::Ready, "nothing is in flight");
}

#[test]
fn one_request_per_window_may_leave_after_all_were_given_up() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    ledger.send(start, both(1));
    ledger.on_given_up(start, at(start, 30_000));
    assert_eq!(room(&mut ledger, at(start, 30_000), 1), Entry::At(at(start, 40_000)));
    assert_eq!(room(&mut ledger, at(start, 40_000), 1), Entry::Ready);
    ledger.send(at(start, 40_000), both(1));
    assert_eq!(room(&mut ledger, at(start, 60_000), 1), Entry::AfterReply);
    ledger.on_given_up(at(start, 40_000), at(start, 70_000));
    assert_eq!(room(&mut ledger, at(start, 70_000), 1), Entry::At(at(start, 80_000)));
}

#[test]
fn reserved_places_are_used_before_others_are_taken() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    assert_eq!(ledger.reserve(start, both(10), false, 4), 4);
    assert_eq!((ledger.n_reserved(), ledger.own().n_in_flight), (4, 4));
    ledger.send(start, both(10));
    assert_eq!((ledger.n_reserved(), ledger.own().n_in_flight), (3, 4));
    assert_eq!(ledger.reserve(start, both(3), false, 4), 2, "the limit is smaller now");
    let others = answered(&[(start, 9)]);
    ledger.set_others(vec![others]);
    assert_eq!(ledger.reserve(start, both(10), false, 4), 0, "another run was faster");
}

#[test]
fn the_places_of_other_runs_count() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    let others = answered(&[(start, 3), (at(start, 500), 2)]);
    ledger.set_others(vec![others]);
    assert_eq!(room(&mut ledger, at(start, 600), 5), Entry::At(at(start, 10_000)));
    assert_eq!(room(&mut ledger, at(start, 600), 2), Entry::At(at(start, 10_500)));
    assert_eq!(room(&mut ledger, at(start, 600), 6), Entry::Ready);
}

/// Sends `n` requests as early as the ledger allows, `latency[i]` there and back, counted by the
/// server at some moment in between. Returns when the server counted each, in milliseconds.
fn simulate(n: usize, share: u32, latencies: &[(u64, f64)]) -> (Vec<u64>, u64) {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    let mut in_flight: BTreeSet<(u64, usize)> = BTreeSet::new();
    let (mut now, mut counted, mut sent) = (0_u64, Vec::new(), Vec::new());
    while sent.len() < n {
        match room(&mut ledger, at(start, now), share) {
            Entry::Ready => {
                let (latency, part) = latencies[sent.len() % latencies.len()];
                ledger.send(at(start, now), both(share));
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    clippy::cast_sign_loss,
                    reason = "a part of a latency, itself below 2^52"
                )]
                counted.push(now + (latency as f64 * part) as u64);
                in_flight.insert((now + latency, sent.len()));
                sent.push(now);
            }
            room => {
                let next_reply = in_flight.first().map(|&(ms, _)| ms);
                let free = match room {
                    Entry::At(then) => Some(u64::try_from((then - start).as_millis()).unwrap()),
                    _ => None,
                };
                now = next_reply.into_iter().chain(free).min().expect("a reply is awaited");
            }
        }
        while let Some(&(ms, index)) = in_flight.first() {
            if ms > now {
                break;
            }
            in_flight.remove(&(ms, index));
            ledger.on_reply(at(start, sent[index]), at(start, ms));
        }
    }
    (counted, now)
}

fn most_in_a_sliding_window(mut counted: Vec<u64>) -> usize {
    counted.sort_unstable();
    let window = u64::try_from(WINDOW.as_millis()).unwrap();
    (0..counted.len())
        .map(|last| counted[..=last].iter().filter(|&&ms| ms + window > counted[last]).count())
        .max()
        .unwrap_or(0)
}

proptest! {
    #[test]
    fn no_sliding_window_ever_sees_more_than_the_share(
        n in 1_usize..400,
        share in 1_u32..60,
        latencies in prop::collection::vec((0_u64..40_000, 0.0_f64..=1.0), 1..50),
    ) {
        let (counted, _) = simulate(n, share, &latencies);
        prop_assert!(most_in_a_sliding_window(counted) <= share as usize);
    }

    /// A latency more per window for the places that are left to probes.
    #[test]
    fn no_more_time_is_taken_than_the_windows_and_the_latencies_need(
        n in 1_usize..400,
        share in 1_u32..60,
        latency in 0_u64..500,
    ) {
        let (_, last_sent) = simulate(n, share, &[(latency, 0.5)]);
        let n_windows = (n.div_ceil(share as usize) - 1) as u64;
        prop_assert!(last_sent <= n_windows * (10_010 + latency) + (n_windows + 1) * latency);
    }
}
