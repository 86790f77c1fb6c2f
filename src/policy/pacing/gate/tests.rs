use std::num::NonZeroU32;

use super::*;
use crate::policy::pacing::Quota;

fn failed(subject: usize) -> Report {
    Report::Transient(Miss { subject, n_users: 1, is_silence: true })
}

fn gate(share: u32) -> Gate {
    let quota = Quota { n: NonZeroU32::new(share).unwrap(), per: Duration::from_secs(10) };
    Gate::new(GateSettings { pace: Pace::Window(quota), give_up_after: Duration::from_secs(900) })
}

#[track_caller]
fn go(gate: &mut Gate, now: Instant) -> Ticket {
    match gate.enter(now) {
        Entry::Go(ticket) => ticket,
        entry => panic!("expected to go, was told {entry:?}"),
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[test]
fn a_429_pauses_everybody_and_then_one_goes_alone() {
    let start = Instant::now();
    let mut gate = gate(100);
    let first = go(&mut gate, start);
    let change = gate.report(first, start, Report::Throttled(Some(secs(5))));
    let until = start + secs(5);
    assert_eq!(change, Change::Paused(Pause { until, reason: PauseReason::Throttled }));
    assert_eq!(gate.enter(start), Entry::At(until));

    let probe = go(&mut gate, until);
    assert_eq!(gate.enter(until), Entry::AfterAnswer);
    assert_eq!(gate.report(probe, until, Report::Answered), Change::Resumed);
    go(&mut gate, until);
}

#[test]
fn after_a_429_the_share_is_smaller() {
    let start = Instant::now();
    let mut gate = gate(4);
    let tickets: Vec<Ticket> = (0..4).map(|_| go(&mut gate, start)).collect();
    for ticket in tickets {
        gate.report(ticket, start, Report::Throttled(Some(secs(20))));
    }
    let now = start + secs(20);
    let probe = go(&mut gate, now);
    gate.report(probe, now, Report::Answered);
    go(&mut gate, now);
    assert!(matches!(gate.enter(now), Entry::At(_)), "half of four is two");
}

#[test]
fn a_second_429_sets_a_later_time_and_never_an_earlier_one() {
    let start = Instant::now();
    let mut gate = gate(100);
    let (a, b, c) = (go(&mut gate, start), go(&mut gate, start), go(&mut gate, start));
    gate.report(a, start, Report::Throttled(Some(secs(30))));
    assert_eq!(gate.report(b, start, Report::Throttled(Some(secs(5)))), Change::None);
    assert_eq!(gate.enter(start), Entry::At(start + secs(30)));
    gate.report(c, start, Report::Throttled(Some(secs(40))));
    assert_eq!(gate.enter(start), Entry::At(start + secs(40)));
}

#[test]
fn an_outage_lets_one_probe_out_at_a_time_and_ends_with_the_first_answer() {
    let start = Instant::now();
    let mut gate = gate(100);
    let tickets: Vec<Ticket> = (0..25).map(|_| go(&mut gate, start)).collect();
    let changes: Vec<Change> = tickets
        .into_iter()
        .enumerate()
        .map(|(user, ticket)| gate.report(ticket, start, failed(user)))
        .collect();
    let n_paused = changes.iter().filter(|it| matches!(it, Change::Paused(_))).count();
    assert_eq!(n_paused, 1);
    assert!(gate.is_outage());

    let mut now = start + secs(1);
    let probe = go(&mut gate, now);
    assert_eq!(gate.enter(now), Entry::AfterAnswer);
    gate.report(probe, now, failed(1));
    assert_eq!(gate.enter(now), Entry::At(now + secs(2)));

    now += secs(2);
    let probe = go(&mut gate, now);
    assert_eq!(gate.report(probe, now, Report::Answered), Change::Resumed);
    assert!(!gate.is_outage());
    assert_eq!(gate.n_outages(), 1);
}

#[test]
fn a_probe_that_is_given_up_leaves_the_way_free_for_the_next() {
    let start = Instant::now();
    let mut gate = gate(100);
    let ticket = go(&mut gate, start);
    gate.report(ticket, start, Report::Throttled(Some(secs(1))));
    let now = start + secs(1);
    let probe = go(&mut gate, now);
    gate.report(probe, now, Report::GivenUp);
    go(&mut gate, now);
}

/// A gate that 64 requests have left, all of them still in flight.
fn busy(start: Instant) -> (Gate, Vec<Ticket>) {
    let mut gate = gate(1_000);
    let tickets = (0..64).map(|_| go(&mut gate, start)).collect();
    (gate, tickets)
}

fn paused(until: Instant, reason: PauseReason) -> Change {
    Change::Paused(Pause { until, reason })
}

#[test]
fn a_probe_does_not_end_a_pause_that_began_after_it_had_left() {
    let start = Instant::now();
    let (mut gate, mut tickets) = busy(start);
    gate.report(tickets.pop().unwrap(), start, Report::Throttled(Some(secs(5))));
    let probe = go(&mut gate, start + secs(5));
    let straggler = tickets.pop().unwrap();
    gate.report(straggler, start + secs(6), Report::Throttled(Some(secs(5))));

    assert_eq!(gate.report(probe, start + secs(7), Report::Answered), Change::None);
    assert_eq!(gate.enter(start + secs(7)), Entry::At(start + secs(11)));
    let probe = go(&mut gate, start + secs(11));
    assert_eq!(gate.report(probe, start + secs(11), Report::Answered), Change::Resumed);
}

#[test]
fn the_end_of_an_outage_does_not_end_the_pause_of_a_429() {
    let start = Instant::now();
    let (mut gate, mut tickets) = busy(start);
    let end = start + secs(60);
    gate.report(tickets.pop().unwrap(), start, Report::Throttled(Some(secs(60))));
    for user in 0..20 {
        gate.report(tickets.pop().unwrap(), start, failed(user));
    }
    assert!(gate.is_outage());
    assert_eq!(gate.enter(start), Entry::At(end));
    gate.report(tickets.pop().unwrap(), start + secs(1), Report::Answered);
    assert!(!gate.is_outage());
    assert_eq!(gate.enter(start + secs(1)), Entry::At(end));
}

#[test]
fn a_429_in_an_outage_sets_its_own_time_and_the_outage_lasts() {
    let start = Instant::now();
    let (mut gate, mut tickets) = busy(start);
    for user in 0..20 {
        gate.report(tickets.pop().unwrap(), start, failed(user));
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
fn an_api_that_gives_failures_and_429s_in_turn_is_given_up_too() {
    let mut now = Instant::now();
    let (mut gate, mut tickets) = busy(now);
    for user in 0..20 {
        gate.report(tickets.pop().unwrap(), now, failed(user));
    }
    for ticket in tickets {
        gate.report(ticket, now, Report::GivenUp);
    }
    let n_probes = (0..1_000).take_while(|n_probe| {
        let probe = loop {
            match gate.enter(now) {
                Entry::At(then) => now = then,
                Entry::Go(probe) => break probe,
                Entry::AfterAnswer => panic!("nobody is in flight"),
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
fn a_probe_of_before_the_outage_does_not_lengthen_it() {
    let start = Instant::now();
    let (mut gate, mut tickets) = busy(start);
    gate.report(tickets.pop().unwrap(), start, Report::Throttled(Some(secs(1))));
    let now = start + secs(1);
    let early = go(&mut gate, now);
    for user in 0..20 {
        gate.report(tickets.pop().unwrap(), now, failed(user));
    }
    gate.report(early, now, failed(70));
    assert_eq!(gate.enter(now), Entry::At(now + secs(1)), "the first pause of the outage");
}

#[test]
fn the_longest_quotas_and_waits_that_can_be_written_are_no_fault() {
    let now = Instant::now();
    for pace in [Pace::Window, Pace::Even] {
        let quota = Quota { n: NonZeroU32::MIN, per: Duration::MAX };
        let settings = GateSettings { pace: pace(quota), give_up_after: Duration::MAX };
        let mut gate = Gate::new(settings);
        let ticket = go(&mut gate, now);
        gate.report(ticket, now, Report::Throttled(Some(Duration::MAX)));
        assert_eq!(gate.enter(now), Entry::At(now + secs(600)));
        assert!(matches!(gate.enter(now + secs(600)), Entry::At(_) | Entry::Go(_)));
    }
}
