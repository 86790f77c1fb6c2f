//! What a 429 does: it sets a time, and shrinks the share for a while.

use std::time::{Duration, Instant};

/// The shared answer to 429s.
///
/// Many workers may report the same one: only the first of an episode shrinks the share. What had
/// left before the pause began belongs to the episode that began it.
#[derive(Clone, Debug)]
pub struct Throttle {
    window: Duration,
    fraction: f64,
    /// When the present episode began, or the last step was given back.
    changed_at: Option<Instant>,
    /// When the last pause ends, or the last step was given back.
    calm_since: Option<Instant>,
    n_unhinted: u32,
}

impl Throttle {
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(600);
    const LONGEST_UNHINTED: Duration = Duration::from_secs(30);
    const SMALLEST: f64 = 1.0 / 64.0;
    const STEP: f64 = 1.0 / 8.0;

    /// Nothing throttled yet. `window` is the length of the server's window.
    pub fn new(window: Duration) -> Self {
        Self { window, fraction: 1.0, changed_at: None, calm_since: None, n_unhinted: 0 }
    }

    /// A request that left at `sent_at` was answered 429. Gives the moment before which nobody
    /// may send.
    ///
    /// `Retry-After` is kept between 1 s and 10 min. Without one the pauses double from 1 s to
    /// 30 s, by episode and not by caller.
    pub fn on_throttled(
        &mut self,
        sent_at: Instant,
        now: Instant,
        retry_after: Option<Duration>,
    ) -> Instant {
        let is_new_episode = self.changed_at.is_none_or(|at| sent_at > at);
        if is_new_episode {
            self.fraction = (self.fraction / 2.0).max(Self::SMALLEST);
            self.changed_at = Some(now);
            if retry_after.is_none() {
                self.n_unhinted = self.n_unhinted.saturating_add(1);
            }
        }
        let until = now
            + match retry_after {
                Some(wait) => wait.clamp(Self::SHORTEST, Self::LONGEST),
                None => self.unhinted(),
            };
        self.calm_since = self.calm_since.max(Some(until));
        until
    }

    /// A request that left at `sent_at` was answered otherwise: a window without a 429, pauses not
    /// counted, gives a step of the share back.
    ///
    /// What had left before the pause does not say that the API is well again.
    pub fn on_answered(&mut self, sent_at: Instant, now: Instant) {
        if self.changed_at.is_none_or(|at| sent_at > at) {
            self.n_unhinted = 0;
        }
        let is_due = |at: Instant| now >= at + self.window;
        if self.fraction < 1.0 && self.calm_since.is_some_and(is_due) {
            self.fraction = (self.fraction + Self::STEP).min(1.0);
            self.changed_at = Some(now);
            self.calm_since = Some(now);
        }
    }

    /// How much of the share may be used now, above 0 and at most 1.
    pub fn fraction(&self) -> f64 {
        self.fraction
    }

    fn unhinted(&self) -> Duration {
        let doublings = 1_u32.checked_shl(self.n_unhinted.saturating_sub(1)).unwrap_or(u32::MAX);
        Self::SHORTEST.saturating_mul(doublings).min(Self::LONGEST_UNHINTED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(10);

    fn pause(retry_after: Option<Duration>) -> Duration {
        let now = Instant::now();
        Throttle::new(WINDOW).on_throttled(now, now, retry_after) - now
    }

    #[test]
    fn retry_after_is_kept_between_a_second_and_ten_minutes() {
        assert_eq!(pause(Some(Duration::ZERO)), Duration::from_secs(1));
        assert_eq!(pause(Some(Duration::from_millis(2_500))), Duration::from_millis(2_500));
        assert_eq!(pause(Some(Duration::MAX)), Duration::from_secs(600));
    }

    #[test]
    fn without_it_the_pauses_double_from_one_second_to_thirty() {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(WINDOW);
        let pauses = [(); 7].map(|()| {
            now += Duration::from_secs(60);
            (throttle.on_throttled(now, now, None) - now).as_secs()
        });
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        throttle.on_answered(now, now);
        assert_eq!(throttle.unhinted(), Duration::from_secs(30), "it had left before the pause");
        now += Duration::from_secs(60);
        throttle.on_answered(now, now);
        now += Duration::from_secs(60);
        assert_eq!(throttle.on_throttled(now, now, None) - now, Duration::from_secs(1));
    }

    #[test]
    fn many_reports_of_one_429_shrink_the_share_once() {
        let sent_at = Instant::now();
        let now = sent_at + Duration::from_millis(50);
        let mut throttle = Throttle::new(WINDOW);
        for _ in 0..64 {
            throttle.on_throttled(sent_at, now, None);
        }
        assert!((throttle.fraction() - 0.5).abs() < f64::EPSILON);
        assert_eq!(throttle.on_throttled(sent_at, now, None) - now, Duration::from_secs(1));
    }

    #[test]
    fn the_share_never_shrinks_to_nothing_and_comes_back_step_by_step() {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(WINDOW);
        for _ in 0..20 {
            now += Duration::from_secs(1);
            throttle.on_throttled(now, now, None);
        }
        assert!(throttle.fraction() > 0.0);
        now += Throttle::LONGEST_UNHINTED;
        throttle.on_answered(now, now + WINDOW / 2);
        assert!(throttle.fraction() < 0.1, "not before a window after the pause is over");
        let mut n_steps = 0;
        while throttle.fraction() < 1.0 {
            now += WINDOW;
            throttle.on_answered(now, now);
            n_steps += 1;
        }
        assert_eq!(n_steps, 8);
    }
}
