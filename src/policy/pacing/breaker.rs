//! The outage breaker: when the API stops answering, ask it rarely until it answers again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Counts whom the API failed in a row, and paces the probes of an outage.
#[derive(Clone, Debug)]
pub struct Breaker {
    give_up_after: Duration,
    /// Whom nobody was answered well after, and for how many users each failure speaks.
    streak: HashMap<usize, u32>,
    /// Whom it failed while it answered others: their failures are their own, and say nothing
    /// about it at the end of a run, when nobody else is left to be good.
    known: HashSet<usize>,
    outage: Option<Outage>,
    n_outages: u32,
}

/// One attempt that failed, as far as outages care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Any number that tells those apart whom requests are about.
    pub subject: usize,
    /// How many users the request speaks for: more where it was about a hundred of them.
    pub n_users: u32,
    /// Whether it may mean that the API does not answer. A 200 that can't be trusted is an answer.
    pub is_silence: bool,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    next_pause: Duration,
}

/// What a transient failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing yet.
    Closed,
    /// Nobody sends before then; the next one is a probe.
    Pause(Instant),
    /// The API has been silent for too long.
    GiveUp,
}

impl Breaker {
    /// So many users in a row whom it failed, and none good between, are an outage. Fewer of them,
    /// however often they fail, may be users whom the server can't stomach: they must not hold up
    /// the end of a run, when nobody else is left to be good.
    const STREAK: u32 = 20;
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);

    /// All is well so far. After `give_up_after` of silence the run should stop.
    pub fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            streak: HashMap::new(),
            known: HashSet::new(),
            outage: None,
            n_outages: 0,
        }
    }

    /// The API gave an answer, neither a failure of its own nor a 429. Whether an outage ended by it.
    pub fn on_answered(&mut self) -> bool {
        self.known.extend(self.streak.drain().map(|(subject, _)| subject));
        self.outage.take().is_some()
    }

    /// One attempt failed.
    ///
    /// During an outage only probes count: what had left before it began says nothing new.
    pub(super) fn on_transient(&mut self, miss: Miss, is_probe: bool, now: Instant) -> Beat {
        match &mut self.outage {
            None => {
                if miss.is_silence && !self.known.contains(&miss.subject) {
                    self.streak.insert(miss.subject, miss.n_users);
                }
                if self.streak.values().sum::<u32>() < Self::STREAK {
                    return Beat::Closed;
                }
                self.streak.clear();
                self.n_outages += 1;
                self.outage = Some(Outage { since: now, next_pause: Self::FIRST_PAUSE * 2 });
                Beat::Pause(now + Self::FIRST_PAUSE)
            }
            Some(_) if !is_probe => Beat::Closed,
            Some(outage) => {
                let silence = now.saturating_duration_since(outage.since);
                let rest = self.give_up_after.saturating_sub(silence);
                if rest.is_zero() {
                    return Beat::GiveUp;
                }
                let pause = outage.next_pause.min(rest);
                outage.next_pause = (outage.next_pause * 2).min(Self::LONGEST_PAUSE);
                Beat::Pause(now + pause)
            }
        }
    }

    /// Whether the API is taken to be silent now.
    pub fn is_outage(&self) -> bool {
        self.outage.is_some()
    }

    /// How many outages there were. Attempts made before the latest one use up no retry.
    pub fn n_outages(&self) -> u32 {
        self.n_outages
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(900);

    fn silent(subject: usize) -> Miss {
        Miss { subject, n_users: 1, is_silence: true }
    }

    fn tripped(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..20 {
            breaker.on_transient(silent(user), false, now);
        }
        assert!(breaker.is_outage());
        breaker
    }

    #[test]
    fn twenty_users_in_a_row_whom_it_failed_are_an_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..19 {
            assert_eq!(breaker.on_transient(silent(user), false, now), Beat::Closed);
        }
        let until = now + Duration::from_secs(1);
        assert_eq!(breaker.on_transient(silent(19), false, now), Beat::Pause(until));
    }

    #[test]
    fn one_answer_in_between_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..100 {
            breaker.on_transient(silent(user), false, now);
            if user % 10 == 0 {
                assert!(!breaker.on_answered());
            }
        }
        assert!(!breaker.is_outage());
    }

    #[test]
    fn nineteen_users_who_always_fail_are_no_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for attempt in 0..19 * 9 {
            breaker.on_transient(silent(attempt % 19), false, now);
        }
        assert!(!breaker.is_outage());
    }

    #[test]
    fn users_who_failed_while_others_were_answered_are_no_outage_however_many_they_are() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..60 {
            breaker.on_transient(silent(user), false, now);
            if user % 10 == 9 {
                breaker.on_answered();
            }
        }
        for attempt in 0..60 * 8 {
            assert_eq!(breaker.on_transient(silent(attempt % 60), false, now), Beat::Closed);
        }
        for user in 60..80 {
            breaker.on_transient(silent(user), false, now);
        }
        assert!(breaker.is_outage(), "others are met by an outage all the same");
    }

    #[test]
    fn a_request_about_many_users_speaks_for_more_of_them() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for subject in 0..4 {
            assert!(!breaker.is_outage());
            breaker.on_transient(Miss { n_users: 5, ..silent(subject) }, false, now);
        }
        assert!(breaker.is_outage());
    }

    #[test]
    fn an_answer_that_can_not_be_trusted_is_no_silence_and_ends_none() {
        let now = Instant::now();
        let untrusted = |subject| Miss { is_silence: false, ..silent(subject) };
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..100 {
            assert_eq!(breaker.on_transient(untrusted(user), false, now), Beat::Closed);
        }
        let until = now + Duration::from_secs(2);
        assert_eq!(tripped(now).on_transient(untrusted(0), true, now), Beat::Pause(until));
    }

    #[test]
    fn probes_go_out_with_growing_pauses_until_one_is_answered() {
        let mut now = Instant::now();
        let mut breaker = tripped(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            if let Beat::Pause(until) = breaker.on_transient(silent(0), true, now) {
                pauses.push((until - now).as_secs());
                now = until;
            }
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        assert!(breaker.on_answered());
        assert!(!breaker.is_outage());
    }

    #[test]
    fn stragglers_of_before_the_outage_do_not_lengthen_it() {
        let now = Instant::now();
        assert_eq!(tripped(now).on_transient(silent(5), false, now), Beat::Closed);
    }

    #[test]
    fn a_limit_beyond_all_time_is_never_reached() {
        let now = Instant::now();
        let mut breaker = Breaker::new(Duration::MAX);
        for user in 0..20 {
            breaker.on_transient(silent(user), false, now);
        }
        let until = now + Duration::from_secs(2);
        assert_eq!(breaker.on_transient(silent(0), true, now), Beat::Pause(until));
    }

    #[test]
    fn after_the_limit_it_gives_up_and_not_before() {
        let start = Instant::now();
        let mut now = start;
        let mut breaker = tripped(now);
        while let Beat::Pause(until) = breaker.on_transient(silent(0), true, now) {
            now = until;
        }
        assert_eq!(now, start + LIMIT);
    }
}
