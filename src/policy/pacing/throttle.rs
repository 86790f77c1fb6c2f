//! The reaction to 429s: all requests pause, and the share is smaller for a while.

use std::time::{Duration, Instant};

use super::gate::ROUNDING;

/// Pauses all requests after a 429, and limits the share for a while.
///
/// The pause is the one that the server names. After it the job uses a smaller share, which
/// approaches the level that failed slowly, stays just below it, and probes beyond it more slowly
/// still: the curve of TCP CUBIC (RFC 9438), with one window in the place of a round trip. So a
/// full quota is probed every few minutes and not every few seconds.
///
/// All 429s of a window are one episode and shrink the share once, by two fifths at most. It shrinks at
/// once to what was in the window when the first 429 came if the evidence is strong: most of the
/// requests in flight were refused too, or three probes in a row. A single 429 may have another
/// cause, and 429s that the share does not cause must not stop the job: so there is a floor.
#[derive(Clone, Debug)]
pub struct Throttle {
    window: Duration,
    /// Requests per window.
    share: f64,
    learned: Option<Learned>,
    episode: Episode,
    n_refused_probes: u32,
    /// When the latest pause without `Retry-After` began, and how many there were in a row.
    unhinted: Option<(Instant, u32)>,
}

/// What was learned from 429s about the remaining quota; shared by all runs with one key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// When the first 429 of the latest episode came.
    pub failed_at: Instant,
    /// The level at which it came, in requests per window.
    pub failed_level: f64,
    /// The level that is approached, in requests per window.
    pub plateau: f64,
    /// When the approach begins: the end of the pause.
    pub grows_from: Instant,
    /// How long it takes to reach the plateau.
    pub growth: Duration,
}

/// One 429.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// When the request was sent.
    pub sent_at: Instant,
    /// Whether it was the first one after a pause, sent alone.
    pub is_probe: bool,
    /// How many requests held a place in the window.
    pub n_held: u32,
}

/// The requests that were in flight when the first 429 of an episode came.
#[derive(Clone, Copy, Debug, Default)]
struct Episode {
    level: f64,
    n_answered: u32,
    n_refused: u32,
    is_settled: bool,
}

/// The share after a 429, as a part of the plateau.
const START: f64 = 0.85;
/// The plateau, as a part of the level that failed.
const PLATEAU: f64 = 0.9;
/// The smallest part of the share that one episode leaves.
const LEAST_KEPT: f64 = 0.6;
/// The smallest part of the share that is ever used.
const FLOOR: f64 = 1.0 / 16.0;
/// Levels no further apart than this are the same.
const SAME_LEVEL: f64 = 1.2;
/// How long it takes to approach the plateau, first and at most.
const FIRST_GROWTH: Duration = Duration::from_secs(100);
const LONGEST_GROWTH: Duration = Duration::from_secs(300);

const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(600);
const LONGEST_UNHINTED: Duration = Duration::from_secs(30);

impl Throttle {
    /// No 429 yet. `share` is the number of requests per `window`.
    pub fn new(window: Duration, share: f64) -> Self {
        Self {
            window,
            share,
            learned: None,
            episode: Episode::default(),
            n_refused_probes: 0,
            unhinted: None,
        }
    }

    /// How many requests per window may be sent now.
    pub fn limit(&self, now: Instant) -> f64 {
        let limit = self.learned.map_or(self.share, |learned| learned.level(now, self.share));
        limit.clamp((self.share * FLOOR).max(1.0).min(self.share), self.share)
    }

    /// What was learned from 429s so far.
    pub fn learned(&self) -> Option<Learned> {
        self.learned
    }

    /// Takes over what another run learned, if that is newer.
    pub fn adopt(&mut self, learned: Learned) {
        if self.learned.is_none_or(|own| learned.failed_at > own.failed_at + ROUNDING) {
            self.learned = Some(learned);
            self.episode = Episode { is_settled: true, ..Episode::default() };
        }
    }

    /// Notes a 429 and returns the time before which nothing may be sent.
    ///
    /// `Retry-After` is clamped to 1 s…10 min. Without one the pauses double from 1 s to 30 s, once
    /// per pause.
    pub fn on_throttled(
        &mut self,
        refusal: Refusal,
        now: Instant,
        retry_after: Option<Duration>,
    ) -> Instant {
        let pause = match retry_after {
            Some(wait) => wait.clamp(SHORTEST_PAUSE, LONGEST_PAUSE),
            None => self.unhinted_pause(refusal.sent_at, now),
        };
        let until = now + pause;
        self.n_refused_probes = if refusal.is_probe { self.n_refused_probes + 1 } else { 0 };
        match self.learned {
            Some(learned) if refusal.sent_at <= learned.failed_at + self.window => {
                self.within_episode(learned, refusal, until);
            }
            last => self.begin_episode(last, refusal, now, until),
        }
        until
    }

    /// Notes a reply other than a 429.
    pub fn on_answered(&mut self, sent_at: Instant, is_probe: bool) {
        if is_probe {
            self.n_refused_probes = 0;
        }
        if self.unhinted.is_some_and(|(began, _)| sent_at > began) {
            self.unhinted = None;
        }
        if self.learned.is_some_and(|it| sent_at <= it.failed_at) {
            self.episode.n_answered += 1;
        }
    }

    fn unhinted_pause(&mut self, sent_at: Instant, now: Instant) -> Duration {
        let n_pauses = match self.unhinted {
            // The same pause as for another request.
            Some((began, n_pauses)) if sent_at <= began => n_pauses,
            last => {
                let n_pauses = last.map_or(0, |(_, n_pauses)| n_pauses).saturating_add(1);
                self.unhinted = Some((now, n_pauses));
                n_pauses
            }
        };
        let doublings = 1_u32.checked_shl(n_pauses - 1).unwrap_or(u32::MAX);
        SHORTEST_PAUSE.saturating_mul(doublings).min(LONGEST_UNHINTED)
    }

    fn begin_episode(
        &mut self,
        last: Option<Learned>,
        refusal: Refusal,
        now: Instant,
        until: Instant,
    ) {
        let limit = self.limit(now);
        let level = limit.min(f64::from(refusal.n_held));
        self.episode = Episode { level, ..Episode::default() };
        // The level whose failure leaves the least share.
        let failed_level = level.max(limit * LEAST_KEPT / (PLATEAU * START));
        let growth = match last {
            Some(last) if failed_level < last.failed_level * SAME_LEVEL => last.growth * 2,
            _ => FIRST_GROWTH,
        };
        self.learned = Some(Learned {
            failed_at: now,
            failed_level,
            plateau: failed_level * PLATEAU,
            grows_from: until,
            growth: growth.min(LONGEST_GROWTH),
        });
    }

    fn within_episode(&mut self, mut learned: Learned, refusal: Refusal, until: Instant) {
        if !refusal.is_probe && refusal.sent_at <= learned.failed_at {
            self.episode.n_refused += 1;
        }
        learned.grows_from = learned.grows_from.max(until);
        if self.episode.is_conclusive(self.n_refused_probes) {
            self.episode.is_settled = true;
            learned.failed_level = self.episode.level;
            learned.plateau = self.episode.level * PLATEAU;
        }
        self.learned = Some(learned);
    }
}

impl Learned {
    /// Requests per window: concave up to the plateau, convex beyond it.
    fn level(&self, now: Instant, share: f64) -> f64 {
        let growing = now.saturating_duration_since(self.grows_from).as_secs_f64();
        let x = growing / self.growth.as_secs_f64().max(1.0) - 1.0;
        let height = if x < 0.0 { self.plateau * (1.0 - START) } else { share / 2.0 };
        self.plateau + height * x.powi(3)
    }
}

impl Episode {
    /// Whether it is certain that the quota was full, and not just one request refused.
    fn is_conclusive(&self, n_refused_probes: u32) -> bool {
        let are_most_refused = self.n_refused >= 3 && self.n_refused >= 3 * self.n_answered;
        !self.is_settled && (are_most_refused || n_refused_probes >= 3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn throttle() -> Throttle {
        Throttle::new(WINDOW, 500.0)
    }

    fn secs(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn refusal(sent_at: Instant, n_held: u32) -> Refusal {
        Refusal { sent_at, is_probe: false, n_held }
    }

    fn pause(retry_after: Option<Duration>) -> Duration {
        let now = Instant::now();
        throttle().on_throttled(refusal(now, 500), now, retry_after) - now
    }

    #[track_caller]
    fn assert_limit(throttle: &Throttle, now: Instant, expected: f64) {
        let limit = throttle.limit(now);
        assert!((limit - expected).abs() < 1.0, "{limit} where {expected} is expected");
    }

    #[test]
    fn retry_after_is_clamped_to_a_second_and_ten_minutes() {
        assert_eq!(pause(Some(Duration::ZERO)), secs(1));
        assert_eq!(pause(Some(Duration::from_millis(2_500))), Duration::from_millis(2_500));
        assert_eq!(pause(Some(Duration::MAX)), secs(600));
    }

    #[test]
    fn without_retry_after_the_pauses_double_from_one_second_to_thirty() {
        let mut now = Instant::now();
        let mut throttle = throttle();
        let mut next = |throttle: &mut Throttle| {
            now += secs(60);
            (throttle.on_throttled(refusal(now, 9), now, None) - now, now)
        };
        let pauses = [(); 7].map(|()| next(&mut throttle).0.as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        let (_, began) = next(&mut throttle);
        throttle.on_answered(began, false);
        assert_eq!(next(&mut throttle).0, secs(30), "that request was sent before the pause");
        throttle.on_answered(began + secs(90), false);
        assert_eq!(next(&mut throttle).0, secs(1));
    }

    #[test]
    fn many_429s_of_one_window_shrink_the_share_once() {
        let start = Instant::now();
        let mut throttle = throttle();
        for n_held in [500, 480, 460] {
            throttle.on_throttled(refusal(start, n_held), start, None);
            throttle.on_answered(start, false);
        }
        assert_limit(&throttle, start, 500.0 * PLATEAU * START);
        let pause = throttle.on_throttled(refusal(start, 450), start, None) - start;
        assert_eq!(pause, secs(1), "the same pause");
    }

    #[test]
    fn the_share_approaches_the_level_that_failed_slowly_and_probes_beyond_it_later() {
        let start = Instant::now();
        let mut throttle = throttle();
        throttle.on_throttled(refusal(start, 400), start, Some(secs(1)));
        let levels: Vec<u32> = [0_u64, 25, 50, 100, 125, 150, 200, 250]
            .iter()
            .map(|&at| throttle.limit(start + secs(1 + at)).round())
            .map(|level| format!("{level}").parse().unwrap())
            .collect();
        assert_eq!(levels, [306, 337, 353, 360, 364, 391, 500, 500]);
    }

    #[test]
    fn a_level_that_fails_again_is_approached_more_slowly() {
        let start = Instant::now();
        let mut throttle = throttle();
        let mut growth = Vec::new();
        for (at, n_held) in [(0, 300), (150, 300), (500, 310), (1_500, 480)] {
            let at = start + secs(at);
            throttle.on_throttled(refusal(at, n_held), at, Some(secs(1)));
            growth.push(throttle.learned().unwrap().growth.as_secs());
        }
        assert_eq!(growth, [100, 200, 300, 100]);
    }

    #[test]
    fn a_429_at_the_start_leaves_most_of_the_share_and_many_leave_what_was_in_the_window() {
        let start = Instant::now();
        let mut throttle = throttle();
        throttle.on_throttled(refusal(start, 100), start, Some(secs(1)));
        assert_limit(&throttle, start, 300.0);
        for _ in 0..2 {
            throttle.on_throttled(refusal(start, 95), start, Some(secs(1)));
        }
        assert_limit(&throttle, start, 300.0);
        throttle.on_throttled(refusal(start, 95), start, Some(secs(1)));
        assert_limit(&throttle, start, 100.0 * PLATEAU * START);
    }

    #[test]
    fn three_refused_probes_in_a_row_count_like_many_429s() {
        let start = Instant::now();
        let mut throttle = throttle();
        throttle.on_throttled(refusal(start, 100), start, Some(secs(1)));
        for second in 1..=3 {
            assert_limit(&throttle, start, 300.0);
            let at = start + secs(second);
            let probe = Refusal { is_probe: true, ..refusal(at, 100) };
            throttle.on_throttled(probe, at, Some(secs(1)));
        }
        assert_limit(&throttle, start, 100.0 * PLATEAU * START);
    }

    #[test]
    fn the_share_has_a_floor() {
        let mut now = Instant::now();
        let mut throttle = throttle();
        for _ in 0..40 {
            throttle.on_throttled(refusal(now, 0), now, Some(secs(1)));
            now += secs(30);
        }
        assert!(throttle.limit(now) >= 500.0 * FLOOR);
        let tiny = Throttle::new(WINDOW, 1.0);
        assert_limit(&tiny, now, 1.0);
    }

    #[test]
    fn newer_knowledge_of_another_run_replaces_older() {
        let start = Instant::now();
        let (mut one, mut other) = (throttle(), throttle());
        one.on_throttled(refusal(start, 400), start, Some(secs(1)));
        let later = start + secs(20);
        other.on_throttled(refusal(later, 450), later, Some(secs(1)));
        other.adopt(one.learned().unwrap());
        assert_limit(&other, later, 450.0 * PLATEAU * START);
        one.adopt(other.learned().unwrap());
        assert_limit(&one, later, 450.0 * PLATEAU * START);
    }
}
