//! The outage breaker: while the API does not answer, requests leave rarely.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Counts the users whom the API failed in a row, and paces the probes of an outage.
#[derive(Clone, Debug)]
pub struct Breaker {
    give_up_after: Duration,
    /// The subjects that failed since the last good reply, and the users each of them counts for.
    streak: HashMap<usize, u32>,
    /// Subjects that failed while others were answered. Their failures are their own: at the end
    /// of a run, when no others are left, they must not look like an outage.
    known: HashSet<usize>,
    outage: Option<Outage>,
    n_outages: u32,
}

/// One failed attempt, as far as outages are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Distinguishes the subjects of requests.
    pub subject: usize,
    /// How many users the request counts for: more if it was about a hundred of them.
    pub n_users: u32,
    /// Whether it may mean that the API does not answer. A 200 that cannot be trusted is an answer.
    pub is_silence: bool,
}

#[derive(Clone, Copy, Debug)]
struct Outage {
    since: Instant,
    next_pause: Duration,
}

/// The effect of a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// None yet.
    Closed,
    /// Nothing is sent before then; the next request is a probe.
    Pause(Instant),
    /// The API has been unreachable for too long.
    GiveUp,
}

impl Breaker {
    /// This many failed users in a row, without a good reply between, are an outage. Fewer of them,
    /// however often they fail, may be users that the server cannot handle: they must not hold up
    /// the end of a run, when no others are left.
    const STREAK: u32 = 20;
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);

    /// No failure yet. After `give_up_after` without a reply the run should stop.
    pub fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            streak: HashMap::new(),
            known: HashSet::new(),
            outage: None,
            n_outages: 0,
        }
    }

    /// The API replied, neither with a failure of its own nor with a 429.
    pub fn on_answered(&mut self) {
        self.known.extend(self.streak.drain().map(|(subject, _)| subject));
        self.outage = None;
    }

    /// One attempt failed.
    ///
    /// During an outage only probes count: a request that left before it proves nothing.
    pub(super) fn on_failed(&mut self, miss: Miss, is_probe: bool, now: Instant) -> Beat {
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

    /// Whether the API is taken to be unreachable.
    pub fn is_outage(&self) -> bool {
        self.outage.is_some()
    }

    /// The number of outages so far. Attempts made before the latest one use up no retry.
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
            breaker.on_failed(silent(user), false, now);
        }
        assert!(breaker.is_outage());
        breaker
    }

    #[test]
    fn twenty_failed_users_in_a_row_are_an_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..19 {
            assert_eq!(breaker.on_failed(silent(user), false, now), Beat::Closed);
        }
        let until = now + Duration::from_secs(1);
        assert_eq!(breaker.on_failed(silent(19), false, now), Beat::Pause(until));
    }

    #[test]
    fn a_good_reply_between_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..100 {
            breaker.on_failed(silent(user), false, now);
            if user % 10 == 0 {
                breaker.on_answered();
            }
        }
        assert!(!breaker.is_outage());
    }

    #[test]
    fn nineteen_users_who_always_fail_are_not_an_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for attempt in 0..19 * 9 {
            breaker.on_failed(silent(attempt % 19), false, now);
        }
        assert!(!breaker.is_outage());
    }

    #[test]
    fn users_who_failed_while_others_were_answered_are_not_an_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..60 {
            breaker.on_failed(silent(user), false, now);
            if user % 10 == 9 {
                breaker.on_answered();
            }
        }
        for attempt in 0..60 * 8 {
            assert_eq!(breaker.on_failed(silent(attempt % 60), false, now), Beat::Closed);
        }
        for user in 60..80 {
            breaker.on_failed(silent(user), false, now);
        }
        assert!(breaker.is_outage(), "other users still count");
    }

    #[test]
    fn a_request_about_many_users_counts_for_more_of_them() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for subject in 0..4 {
            assert!(!breaker.is_outage());
            breaker.on_failed(Miss { n_users: 5, ..silent(subject) }, false, now);
        }
        assert!(breaker.is_outage());
    }

    #[test]
    fn an_answer_that_cannot_be_trusted_neither_begins_nor_ends_an_outage() {
        let now = Instant::now();
        let untrusted = |subject| Miss { is_silence: false, ..silent(subject) };
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..100 {
            assert_eq!(breaker.on_failed(untrusted(user), false, now), Beat::Closed);
        }
        let until = now + Duration::from_secs(2);
        assert_eq!(tripped(now).on_failed(untrusted(0), true, now), Beat::Pause(until));
    }

    #[test]
    fn the_pauses_between_probes_grow_until_one_is_answered() {
        let mut now = Instant::now();
        let mut breaker = tripped(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            if let Beat::Pause(until) = breaker.on_failed(silent(0), true, now) {
                pauses.push((until - now).as_secs());
                now = until;
            }
        }
        assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
        breaker.on_answered();
        assert!(!breaker.is_outage());
        assert!(!breaker.is_outage());
    }

    #[test]
    fn a_request_sent_before_the_outage_does_not_prolong_it() {
        let now = Instant::now();
        assert_eq!(tripped(now).on_failed(silent(5), false, now), Beat::Closed);
    }

    #[test]
    fn the_longest_limit_is_never_reached() {
        let now = Instant::now();
        let mut breaker = Breaker::new(Duration::MAX);
        for user in 0..20 {
            breaker.on_failed(silent(user), false, now);
        }
        let until = now + Duration::from_secs(2);
        assert_eq!(breaker.on_failed(silent(0), true, now), Beat::Pause(until));
    }

    #[test]
    fn it_gives_up_after_the_limit_and_not_before() {
        let start = Instant::now();
        let mut now = start;
        let mut breaker = tripped(now);
        while let Beat::Pause(until) = breaker.on_failed(silent(0), true, now) {
            now = until;
        }
        assert_eq!(now, start + LIMIT);
    }
}
