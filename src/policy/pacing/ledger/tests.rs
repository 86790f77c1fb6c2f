use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const WINDOW: Duration = Duration::from_secs(10);

fn at(start: Instant, ms: u64) -> Instant {
    start + Duration::from_millis(ms)
}

#[test]
fn a_place_comes_back_one_window_after_the_answer_and_not_after_the_sending() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    assert_eq!(ledger.room(start, 1), Room::Now);
    ledger.leave();
    assert_eq!(ledger.room(at(start, 20_000), 1), Room::AfterAnswer);
    ledger.come_back(at(start, 3_000));
    assert_eq!(ledger.room(at(start, 3_000), 1), Room::At(at(start, 13_000)));
    assert_eq!(ledger.room(at(start, 13_000), 1), Room::Now);
}

#[test]
fn a_call_that_hangs_holds_one_place() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    ledger.leave();
    for ms in [0, 10_000, 20_000] {
        assert_eq!(ledger.room(at(start, ms), 2), Room::Now);
        ledger.leave();
        ledger.come_back(at(start, ms));
    }
}

#[test]
fn a_smaller_share_waits_for_as_many_places_as_it_lost() {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    for ms in [100, 200, 300, 400] {
        ledger.leave();
        ledger.come_back(at(start, ms));
    }
    assert_eq!(ledger.room(at(start, 400), 4), Room::At(at(start, 10_100)));
    assert_eq!(ledger.room(at(start, 400), 2), Room::At(at(start, 10_300)));
}

/// Sends `n` requests as early as the ledger lets them, `latency[i]` there and back, counted by
/// the server at some moment in between. Answers when the server counted each, in milliseconds.
fn simulate(n: usize, share: usize, latencies: &[(u64, f64)]) -> (Vec<u64>, u64) {
    let start = Instant::now();
    let mut ledger = Ledger::new(WINDOW);
    let mut in_flight: BTreeSet<(u64, usize)> = BTreeSet::new();
    let (mut now, mut counted, mut n_sent) = (0_u64, Vec::new(), 0);
    while n_sent < n {
        match ledger.room(at(start, now), share) {
            Room::Now => {
                let (latency, part) = latencies[n_sent % latencies.len()];
                ledger.leave();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_precision_loss,
                    clippy::cast_sign_loss,
                    reason = "a part of a latency, itself below 2^52"
                )]
                counted.push(now + (latency as f64 * part) as u64);
                in_flight.insert((now + latency, n_sent));
                n_sent += 1;
            }
            room => {
                let next_answer = in_flight.first().map(|&(ms, _)| ms);
                let free = match room {
                    Room::At(then) => Some(u64::try_from((then - start).as_millis()).unwrap()),
                    _ => None,
                };
                now = next_answer.into_iter().chain(free).min().expect("somebody is awaited");
            }
        }
        while let Some(&(ms, index)) = in_flight.first() {
            if ms > now {
                break;
            }
            in_flight.remove(&(ms, index));
            ledger.come_back(at(start, ms));
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
        share in 1_usize..60,
        latencies in prop::collection::vec((0_u64..40_000, 0.0_f64..=1.0), 1..50),
    ) {
        let (counted, _) = simulate(n, share, &latencies);
        prop_assert!(most_in_a_sliding_window(counted) <= share);
    }

    #[test]
    fn no_more_time_is_taken_than_the_windows_and_the_latencies_need(
        n in 1_usize..400,
        share in 1_usize..60,
        latency in 0_u64..500,
    ) {
        let (_, last_sent) = simulate(n, share, &[(latency, 0.5)]);
        let n_windows = (n.div_ceil(share) - 1) as u64;
        prop_assert!(last_sent <= n_windows * (10_000 + latency));
    }
}
