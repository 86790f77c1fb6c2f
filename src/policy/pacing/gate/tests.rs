use std::num::NonZeroU32;

use super::*;
use crate::policy::pacing::Quota;

fn failed(subject: usize) -> Report {
    Report::Failed(Miss { subject, n_users: 1, is_silence: true }, Delivery::Replied)
}

fn new_gate(share: u32) -> Gate {
    let quota = Quota { n: NonZeroU32::new(share).unwrap(), per: Duration::from_secs(10) };
    Gate::new(GateSettings {
        pace: Pace::Burst(quota),
        shards: 1,
        give_up_after: Duration::from_secs(900),
    })
}

/// A gate whose first request was answered long ago.
fn gate(share: u32) -> Gate {
    new_gate(share).proven()
}

#[track_caller]
fn go(gate: &mut Gate, now: Instant) -> Sent {
    assert_eq!(gate.check(now), Entry::Ready);
    gate.send(now)
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn the_first_request_goes_alone() {
    let start = Instant::now();
    let mut gate = new_gate(100);
    let first = go(&mut gate, start);
    assert_eq!(gate.check(start), Entry::AfterReply);
    gate.report(first, start, Report::Abandoned);
    let first = go(&mut gate, start);
    assert_eq!(gate.check(start), Entry::AfterReply, "nothing is known yet");
    assert_eq!(gate.report(first, start, failed(1)), Change::None);
    go(&mut gate, start);
    go(&mut gate, start);
}

#[test]
fn a_429_pauses_all_requests_before_a_single_probe() {
    let start = Instant::now();
    let mut gate = gate(100);
    let first = go(&mut gate, start);
    let change = gate.report(first, start, Report::Throttled(Some(secs(5))));
    let until = start + secs(5);
    assert_eq!(change, Change::Paused(Pause { until, reason: PauseReason::Throttled }));
    assert_eq!(gate.check(start), Entry::At(until));

    let probe = go(&mut gate, until);
    assert_eq!(gate.check(until), Entry::AfterReply);
    assert_eq!(gate.report(probe, until, Report::Answered), Change::Resumed);
    go(&mut gate, until);
}

#[test]
fn after_a_429_the_share_is_smaller() {
    let start = Instant::now();
    let mut gate = gate(40);
    let requests: Vec<Sent> = (0..35).map(|_| go(&mut gate, start)).collect();
    for request in requests {
        gate.report(request, start, Report::Throttled(Some(secs(20))));
    }
    let now = start + secs(20);
    let mut n_sent = 0;
    while gate.check(now) == Entry::Ready {
        let request = gate.send(now);
        gate.report(request, now, Report::Answered);
        n_sent += 1;
    }
    assert_eq!(n_sent, 26, "of the 35 that were in the window");
}

#[test]
fn a_second_429_only_extends_the_pause() {
    let start = Instant::now();
    let mut gate = gate(100);
    let (a, b, c) = (go(&mut gate, start), go(&mut gate, start), go(&mut gate, start));
    gate.report(a, start, Report::Throttled(Some(secs(30))));
    assert_eq!(gate.report(b, start, Report::Throttled(Some(secs(5)))), Change::None);
    assert_eq!(gate.check(start), Entry::At(start + secs(30)));
    gate.report(c, start, Report::Throttled(Some(secs(40))));
    assert_eq!(gate.check(start), Entry::At(start + secs(40)));
}

#[test]
fn an_outage_sends_one_probe_at_a_time_and_ends_with_the_first_answer() {
    let start = Instant::now();
    let mut gate = gate(100);
    let requests: Vec<Sent> = (0..25).map(|_| go(&mut gate, start)).collect();
    let changes: Vec<Change> = requests
        .into_iter()
        .enumerate()
        .map(|(user, request)| gate.report(request, start, failed(user)))
        .collect();
    let n_paused = changes.iter().filter(|it| matches!(it, Change::Paused(_))).count();
    assert_eq!(n_paused, 1);
    assert!(gate.is_outage());

    let mut now = start + secs(1);
    let probe = go(&mut gate, now);
    assert_eq!(gate.check(now), Entry::AfterReply);
    gate.report(probe, now, failed(1));
    assert_eq!(gate.check(now), Entry::At(now + secs(2)));

    now += secs(2);
    let probe = go(&mut gate, now);
    assert_eq!(gate.report(probe, now, Report::Answered), Change::Resumed);
    assert!(!gate.is_outage());
    assert_eq!(gate.n_outages(), 1);
}

#[test]
fn an_abandoned_probe_allows_the_next_one() {
    let start = Instant::now();
    let mut gate = gate(100);
    let request = go(&mut gate, start);
    gate.report(request, start, Report::Throttled(Some(secs(1))));
    let now = start + secs(1);
    let probe = go(&mut gate, now);
    gate.report(probe, now, Report::Abandoned);
    go(&mut gate, now);
}

/// A gate that 64 requests have left, all of them still in flight.
fn busy(start: Instant) -> (Gate, Vec<Sent>) {
    let mut gate = gate(1_000);
    let requests = (0..64).map(|_| go(&mut gate, start)).collect();
    (gate, requests)
}

fn paused(until: Instant, reason: PauseReason) -> Change {
    Change::Paused(Pause { until, reason })
}

#[test]
fn a_probe_does_not_end_a_pause_that_began_after_it_was_sent() {
    let start = Instant::now();
    let (mut gate, mut requests) = busy(start);
    gate.report(requests.pop().unwrap(), start, Report::Throttled(Some(secs(5))));
    let probe = go(&mut gate, start + secs(5));
    let straggler = requests.pop().unwrap();
    gate.report(straggler, start + secs(6), Report::Throttled(Some(secs(5))));

    assert_eq!(gate.report(probe, start + secs(7), Report::Answered), Change::None);
    assert_eq!(gate.check(start + secs(7)), Entry::At(start + secs(11)));
    let probe = go(&mut gate, start + secs(11));
    assert_eq!(gate.report(probe, start + secs(11), Report::Answered), Change::Resumed);
}

#[test]
fn the_end_of_an_outage_does_not_end_the_pause_of_a_429() {
    let start = Instant::now();
    let (mut gate, mut requests) = busy(start);
    let end = start + secs(60);
    gate.report(requests.pop().unwrap(), start, Report::Throttled(Some(secs(60))));
    for user in 0..20 {
        gate.report(requests.pop().unwrap(), start, failed(user));
    }
    assert!(gate.is_outage());
    assert_eq!(gate.check(start), Entry::At(end));
    gate.report(requests.pop().unwrap(), start + secs(1), Report::Answered);
    assert!(!gate.is_outage());
    assert_eq!(gate.check(start + secs(1)), Entry::At(end));
}

#[test]
fn a_429_in_an_outage_sets_its_own_pause_and_does_not_end_the_outage() {
    let start = Instant::now();
    let (mut gate, mut requests) = busy(start);
    for user in 0..20 {
        gate.report(requests.pop().unwrap(), start, failed(user));
    }
    let mut now = start + secs(1);
    let probe = go(&mut gate, now);
    let change = gate.report(probe, now, Report::Throttled(Some(secs(7))));
    assert_eq!(change, paused(now + secs(7), PauseReason::Throttled));
    assert!(gate.is_outage());

    now += secs(7);
    let probe = go(&mut gate, now);
    let change = gate.report(probe, now, failed(1));
    assert_eq!(change, paused(now + secs(2), PauseReason::Outage));
}

#[test]
fn a_run_gives_up_on_an_api_that_alternates_failures_and_429s() {
    let mut now = Instant::now();
    let (mut gate, mut requests) = busy(now);
    for user in 0..20 {
        gate.report(requests.pop().unwrap(), now, failed(user));
    }
    for request in requests {
        gate.report(request, now, Report::Abandoned);
    }
    let n_probes = (0..1_000).take_while(|n_probe| {
        let probe = loop {
            match gate.check(now) {
                Entry::At(then) => now = then,
                Entry::Ready => break gate.send(now),
                Entry::AfterReply => panic!("nothing is in flight"),
            }
        };
        let answer = match n_probe % 2 {
            0 => Report::Throttled(None),
            _ => failed(1),
        };
        gate.report(probe, now, answer) != Change::GiveUp
    });
    assert!(n_probes.count() < 100);
}

#[test]
fn a_probe_sent_before_the_outage_does_not_prolong_it() {
    let start = Instant::now();
    let (mut gate, mut requests) = busy(start);
    gate.report(requests.pop().unwrap(), start, Report::Throttled(Some(secs(1))));
    let now = start + secs(1);
    let early = go(&mut gate, now);
    for user in 0..20 {
        gate.report(requests.pop().unwrap(), now, failed(user));
    }
    gate.report(early, now, failed(70));
    assert_eq!(gate.check(now), Entry::At(now + secs(1)), "the first pause of the outage");
}

#[test]
fn the_longest_quotas_and_waits_work() {
    let now = Instant::now();
    for pace in [Pace::Share, Pace::Burst, Pace::Rate] {
        let quota = Quota { n: NonZeroU32::MIN, per: Duration::MAX };
        let settings = GateSettings { pace: pace(quota), shards: 1, give_up_after: Duration::MAX };
        let mut gate = Gate::new(settings);
        let request = go(&mut gate, now);
        gate.report(request, now, Report::Throttled(Some(Duration::MAX)));
        assert_eq!(gate.check(now), Entry::At(now + secs(600)));
        assert!(matches!(gate.check(now + secs(600)), Entry::At(_) | Entry::Ready));
    }
}
