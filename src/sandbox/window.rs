//! The sliding window: what Clerk's limit is taken to be.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::RateLimit;

/// A limit that holds for every window, wherever it starts.
pub(super) struct SlidingWindow {
    limit: RateLimit,
    admitted: VecDeque<Instant>,
}

impl SlidingWindow {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, admitted: VecDeque::new() }
    }

    /// Lets a request in, or says how long until there is room. Who is turned away does not count.
    ///
    /// `now` never goes back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        drop_before(&mut self.admitted, now, self.limit.per);
        let is_full = self.admitted.len() >= self.limit.n.get() as usize;
        if let Some(oldest) = self.admitted.front()
            && is_full
        {
            return Err(*oldest + self.limit.per - now);
        }
        self.admitted.push_back(now);
        Ok(())
    }
}

/// The most arrivals in any window so far, kept up to date as they come.
pub(super) struct BusiestWindow {
    per: Duration,
    recent: VecDeque<Instant>,
    most: usize,
}

impl BusiestWindow {
    pub(super) fn new(per: Duration) -> Self {
        Self { per, recent: VecDeque::new(), most: 0 }
    }

    pub(super) fn count(&mut self, now: Instant) {
        drop_before(&mut self.recent, now, self.per);
        self.recent.push_back(now);
        self.most = self.most.max(self.recent.len());
    }

    pub(super) fn most(&self) -> usize {
        self.most
    }
}

/// Whole seconds, rounded up, at least one: what `Retry-After` can say.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// How many of these moments, in order of time, lie in the fullest window. A window holds its
/// first moment and not its last.
pub(super) fn max_in_any(moments: impl Iterator<Item = Instant>, window: Duration) -> usize {
    let mut busiest = BusiestWindow::new(window);
    moments.for_each(|moment| busiest.count(moment));
    busiest.most()
}

fn drop_before(moments: &mut VecDeque<Instant>, now: Instant, per: Duration) {
    while moments.front().is_some_and(|&moment| now.duration_since(moment) >= per) {
        moments.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limit(text: &str) -> SlidingWindow {
        SlidingWindow::new(text.parse().unwrap())
    }

    proptest! {
        #[test]
        fn no_window_lets_more_than_its_limit_in(
            n in 1_u32..20,
            gaps in prop::collection::vec(0_u64..400, 1..300),
        ) {
            let mut window = limit(&format!("{n}/1s"));
            let mut now = Instant::now();
            let mut admitted = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if window.admit(now).is_ok() {
                    admitted.push(now);
                }
            }
            let fullest = admitted.iter().map(|&from| {
                let is_inside = |&&it: &&Instant| from <= it && it < from + Duration::from_secs(1);
                admitted.iter().filter(is_inside).count()
            }).max();
            prop_assert!(fullest <= Some(n as usize));
            prop_assert_eq!(fullest, Some(max_in_any(admitted.into_iter(), Duration::from_secs(1))));
        }

        #[test]
        fn the_wait_it_tells_is_exact(gaps in prop::collection::vec(0_u64..400, 1..100)) {
            let mut window = limit("3/1s");
            let mut now = Instant::now();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if let Err(wait) = window.admit(now) {
                    let just_before = now + wait.saturating_sub(Duration::from_nanos(1));
                    prop_assert!(window.admit(just_before).is_err());
                    now += wait;
                    prop_assert!(window.admit(now).is_ok());
                }
            }
        }
    }

    #[test]
    fn who_is_turned_away_does_not_prolong_the_wait() {
        let mut window = limit("1/10s");
        let start = Instant::now();
        assert_eq!(window.admit(start), Ok(()));
        for second in 1..10 {
            let now = start + Duration::from_secs(second);
            assert_eq!(window.admit(now), Err(Duration::from_secs(10 - second)));
        }
        assert_eq!(window.admit(start + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn retry_after_is_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_secs(3)), 3);
        assert_eq!(whole_seconds(Duration::from_millis(3001)), 4);
    }
}
