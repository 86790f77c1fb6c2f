//! The outage breaker: when the API stops answering, ask it rarely until it answers again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// Counts failures in a row and paces the probes of an outage.
#[derive(Clone, Debug)]
pub struct Breaker {
    give_up_after: Duration,
    streak: u32,
    streak_of: HashSet<usize>,
    outage: Option<Outage>,
    n_outages: u32,
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
    /// So many transient failures in a row, and none good between, are an outage …
    const STREAK: u32 = 20;
    /// … if they were met by at least so many users. A few users whom the server can't stomach
    /// must not stop everybody at the end of a run, when nobody else is left to be good.
    const MIN_USERS: usize = 4;
    const FIRST_PAUSE: Duration = Duration::from_secs(1);
    const LONGEST_PAUSE: Duration = Duration::from_secs(30);

    /// All is well so far. After `give_up_after` of silence the run should stop.
    pub fn new(give_up_after: Duration) -> Self {
        Self { give_up_after, streak: 0, streak_of: HashSet::new(), outage: None, n_outages: 0 }
    }

    /// The API gave an answer, neither a failure of its own nor a 429. Whether an outage ended by it.
    pub fn on_answered(&mut self) -> bool {
        self.streak = 0;
        self.streak_of.clear();
        self.outage.take().is_some()
    }

    /// One attempt for `user` (any number that tells users apart) failed.
    ///
    /// During an outage only probes count: what had left before it began says nothing new.
    pub(super) fn on_transient(&mut self, user: usize, is_probe: bool, now: Instant) -> Beat {
        match &mut self.outage {
            None => {
                self.streak += 1;
                if self.streak_of.len() < Self::MIN_USERS {
                    self.streak_of.insert(user);
                }
                if self.streak < Self::STREAK || self.streak_of.len() < Self::MIN_USERS {
                    return Beat::Closed;
                }
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

    fn tripped(now: Instant) -> Breaker {
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..20 {
            breaker.on_transient(user, false, now);
        }
        assert!(breaker.is_outage());
        breaker
    }

    #[test]
    fn twenty_failures_in_a_row_of_several_users_are_an_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..19 {
            assert_eq!(breaker.on_transient(user, false, now), Beat::Closed);
        }
        let until = now + Duration::from_secs(1);
        assert_eq!(breaker.on_transient(19, false, now), Beat::Pause(until));
    }

    #[test]
    fn one_answer_in_between_starts_the_count_again() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for user in 0..100 {
            breaker.on_transient(user, false, now);
            if user % 10 == 0 {
                assert!(!breaker.on_answered());
            }
        }
        assert!(!breaker.is_outage());
    }

    #[test]
    fn three_users_who_always_fail_are_no_outage() {
        let now = Instant::now();
        let mut breaker = Breaker::new(LIMIT);
        for attempt in 0..90 {
            breaker.on_transient(attempt % 3, false, now);
        }
        assert!(!breaker.is_outage());
    }

    #[test]
    fn probes_go_out_with_growing_pauses_until_one_is_answered() {
        let mut now = Instant::now();
        let mut breaker = tripped(now);
        let mut pauses = Vec::new();
        for _ in 0..6 {
            if let Beat::Pause(until) = breaker.on_transient(0, true, now) {
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
        assert_eq!(tripped(now).on_transient(5, false, now), Beat::Closed);
    }

    #[test]
    fn a_limit_beyond_all_time_is_never_reached() {
        let now = Instant::now();
        let mut breaker = Breaker::new(Duration::MAX);
        for user in 0..20 {
            breaker.on_transient(user, false, now);
        }
        let until = now + Duration::from_secs(2);
        assert_eq!(breaker.on_transient(0, true, now), Beat::Pause(until));
    }

    #[test]
    fn after_the_limit_it_gives_up_and_not_before() {
        let start = Instant::now();
        let mut now = start;
        let mut breaker = tripped(now);
        while let Beat::Pause(until) = breaker.on_transient(0, true, now) {
            now = until;
        }
        assert_eq!(now, start + LIMIT);
    }
}
