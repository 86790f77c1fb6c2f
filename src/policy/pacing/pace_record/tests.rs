use super::super::gate::Exchanged;
use super::super::{Entry, Gate, GateSettings, Pace, Quota, Report, Sent};
use super::*;
use std::num::NonZeroU32;

const WALL: u64 = 1_800_000_000_000;

fn gate(share: u32) -> Gate {
    let quota = Quota { n: NonZeroU32::new(share).unwrap(), per: Duration::from_secs(10) };
    let pace = Pace::Burst(quota);
    Gate::new(GateSettings { pace, shards: 1, give_up_after: Duration::from_secs(900) })
}

/// Two runs and a clock that both share.
struct Runs {
    start: Instant,
    ms: u64,
    record: PaceRecord,
}

impl Runs {
    fn new() -> Self {
        Self { start: Instant::now(), ms: 0, record: PaceRecord::default() }
    }

    fn moment(&self) -> Moment {
        Moment { now: self.start + Duration::from_millis(self.ms), wall_ms: WALL + self.ms }
    }

    fn exchange(&mut self, gate: &mut Gate, id: &str, n: u32) -> Exchanged {
        let moment = self.moment();
        gate.exchange(&mut self.record, id, moment, n)
    }

    /// Sends as many requests as the gate allows, one exchange each, and returns them.
    fn send_all(&mut self, gate: &mut Gate, id: &str) -> Vec<Sent> {
        let mut sent = Vec::new();
        loop {
            let moment = self.moment();
            gate.exchange(&mut self.record, id, moment, 1);
            if gate.check(moment.now) != Entry::Ready || !gate.has_reserved() {
                return sent;
            }
            sent.push(gate.send(moment.now));
        }
    }

    fn answer(&mut self, gate: &mut Gate, id: &str, sent: Vec<Sent>) {
        let moment = self.moment();
        for sent in sent {
            gate.report(sent, moment.now, Report::Answered);
        }
        gate.exchange(&mut self.record, id, moment, 0);
    }

    /// Answers the first request, which goes alone.
    fn begin(&mut self, gate: &mut Gate, id: &str) {
        let first = self.send_all(gate, id);
        assert_eq!(first.len(), 1);
        self.answer(gate, id, first);
    }

    /// The record as another process reads it.
    fn reread(&mut self) {
        let text = serde_json::to_string(&self.record).unwrap();
        self.record = serde_json::from_str(&text).unwrap();
    }
}

#[test]
fn two_runs_together_hold_no_more_places_than_the_share() {
    let mut runs = Runs::new();
    let (mut one, mut other) = (gate(20), gate(20));
    runs.begin(&mut one, "one");
    let sent = runs.send_all(&mut one, "one");
    assert_eq!(sent.len(), 18, "the others are left to probes");
    runs.answer(&mut one, "one", sent);
    runs.reread();
    runs.begin(&mut other, "other");
    assert_eq!(runs.send_all(&mut other, "other").len(), 0);
    runs.ms += 9_000;
    assert_eq!(runs.send_all(&mut one, "one").len(), 0);
    runs.ms += 1_100;
    assert!(runs.send_all(&mut one, "one").len() > 10);
}

#[test]
fn a_later_run_waits_for_the_window_of_an_earlier_one() {
    let mut runs = Runs::new();
    let mut plan = gate(10);
    runs.begin(&mut plan, "plan");
    runs.ms += 1_000;
    let sent = runs.send_all(&mut plan, "plan");
    runs.answer(&mut plan, "plan", sent);
    let moment = runs.moment();
    runs.record.end_run("plan", moment);
    runs.reread();
    let mut run = gate(10);
    assert_eq!(runs.send_all(&mut run, "run").len(), 0);
    runs.ms = 10_005;
    runs.begin(&mut run, "run");
    assert_eq!(runs.send_all(&mut run, "run").len(), 0, "the plan sent the others later");
    runs.ms = 11_005;
    assert_eq!(runs.send_all(&mut run, "run").len(), 9);
}

#[test]
fn requests_of_a_killed_run_hold_their_places_until_a_later_one_is_answered() {
    let mut runs = Runs::new();
    let mut killed = gate(10);
    runs.begin(&mut killed, "killed");
    runs.ms += 20_000;
    let n_in_flight = runs.send_all(&mut killed, "killed").len();
    assert_eq!(n_in_flight, 9);
    runs.ms += 60_000;
    let moment = runs.moment();
    runs.record.end_run("killed", moment);
    runs.ms += 1;
    runs.reread();
    let mut next = gate(10);
    runs.begin(&mut next, "next");
    assert_eq!(runs.send_all(&mut next, "next").len(), 0);
    runs.ms += 10_000;
    assert_eq!(runs.send_all(&mut next, "next").len(), 0, "one window after the reply");
    runs.ms += 200;
    assert_eq!(runs.send_all(&mut next, "next").len(), 9);
}

#[test]
fn a_429_pauses_the_other_run_too_and_it_learns_the_smaller_share() {
    let mut runs = Runs::new();
    let (mut one, mut other) = (gate(100), gate(100));
    runs.begin(&mut one, "one");
    runs.begin(&mut other, "other");
    let sent = runs.send_all(&mut one, "one");
    let moment = runs.moment();
    one.report(sent[0], moment.now, Report::Throttled(Some(Duration::from_secs(5))));
    one.exchange(&mut runs.record, "one", moment, 0);
    runs.reread();

    let exchanged = other.exchange(&mut runs.record, "other", moment, 1);
    let until = exchanged.pause.expect("a pause").until;
    assert!(until >= moment.now + Duration::from_secs(5));
    assert_eq!(other.check(moment.now), Entry::At(until));
    let again = other.exchange(&mut runs.record, "other", moment, 1);
    assert_eq!((again.pause, again.n_active), (None, 2), "it is reported once");
    let (mine, theirs) = (one.per_second(moment.now), other.per_second(moment.now));
    assert!(mine < 10.0 && (mine - theirs).abs() < 0.01, "{mine} and {theirs}");
}

#[test]
fn a_pause_that_is_over_is_not_reported_again() {
    let mut runs = Runs::new();
    let mut one = gate(100);
    let sent = runs.send_all(&mut one, "one");
    let moment = runs.moment();
    one.report(sent[0], moment.now, Report::Throttled(Some(Duration::from_secs(5))));
    one.exchange(&mut runs.record, "one", moment, 0);
    for ms in [0, 4_999, 5_000, 5_001, 9_000] {
        runs.ms = ms;
        let exchanged = runs.exchange(&mut one, "one", 1);
        assert_eq!(exchanged.pause, None, "{ms} ms");
    }
}

#[test]
fn a_rate_waits_for_no_other_run_but_other_runs_wait_for_it() {
    let mut runs = Runs::new();
    let quota = Quota { n: NonZeroU32::new(9).unwrap(), per: Duration::from_secs(1) };
    let settings = GateSettings {
        pace: Pace::Rate(quota),
        shards: 1,
        give_up_after: Duration::from_secs(900),
    };
    let (mut rate, mut share) = (Gate::new(settings), gate(10));
    runs.begin(&mut share, "share");
    let sent = runs.send_all(&mut share, "share");
    runs.answer(&mut share, "share", sent);
    runs.begin(&mut rate, "rate");
    for _ in 0..50 {
        let moment = runs.moment();
        rate.exchange(&mut runs.record, "rate", moment, 1);
        assert_eq!(rate.check(moment.now), Entry::Ready);
        let sent = rate.send(moment.now);
        rate.report(sent, moment.now, Report::Answered);
    }
    assert_eq!(runs.exchange(&mut rate, "rate", 0).n_active, 1);
    runs.ms += 9_000;
    assert_eq!(runs.exchange(&mut share, "share", 1).n_active, 1);
    assert!(!share.has_reserved());
}

#[test]
fn only_runs_that_send_share_the_pace() {
    let mut runs = Runs::new();
    let (mut one, mut idle) = (gate(100), gate(100));
    runs.exchange(&mut idle, "idle", 0);
    runs.ms += 1_500;
    assert_eq!(runs.exchange(&mut one, "one", 0).n_active, 2);
    runs.ms += 1_500;
    assert_eq!(runs.exchange(&mut one, "one", 0).n_active, 1);
}

#[test]
fn times_in_the_future_become_now() {
    let mut runs = Runs::new();
    let mut before = gate(10);
    runs.ms = 3_600_000;
    runs.begin(&mut before, "before");
    let sent = runs.send_all(&mut before, "before");
    runs.answer(&mut before, "before", sent);
    let moment = runs.moment();
    runs.record.end_run("before", moment);
    // The clock is set back by an hour.
    runs.ms = 0;
    let mut after = gate(10);
    assert_eq!(runs.send_all(&mut after, "after").len(), 0);
    runs.ms = 10_005;
    runs.begin(&mut after, "after");
}

#[test]
fn an_unknown_past_costs_one_window() {
    let mut runs = Runs::new();
    runs.record = PaceRecord::unknown(runs.moment());
    let mut run = gate(10);
    assert_eq!(runs.send_all(&mut run, "run").len(), 0);
    runs.ms += 10_100;
    assert_eq!(runs.send_all(&mut run, "run").len(), 1);
}

#[test]
fn a_window_takes_about_a_hundred_entries() {
    let mut runs = Runs::new();
    let mut run = gate(100_000);
    runs.begin(&mut run, "run");
    for _ in 0..2_000 {
        runs.ms += 5;
        let moment = runs.moment();
        run.exchange(&mut runs.record, "run", moment, 1);
        let sent = run.send(moment.now);
        run.report(sent, moment.now, Report::Answered);
    }
    runs.exchange(&mut run, "run", 0);
    let n_entries = runs.record.runs[0].places.answered.len();
    assert!((90..=110).contains(&n_entries), "{n_entries}");
    let n_requests: u32 = runs.record.runs[0].places.answered.iter().map(|it| it.1).sum();
    assert!(n_requests >= 1_990, "{n_requests}");
}
