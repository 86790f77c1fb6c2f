//! The strict sliding-window quota, and the live application that shares it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::config::parse_duration;
use super::{InvalidSetting, LoggedRequest};

/// A number of requests per length of time. Written `1000/10s` or `25/s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    n: NonZeroU32,
    per: Duration,
}

impl Rate {
    /// Quota of a production instance at Clerk: 1,000 requests per 10 s.
    pub const PRODUCTION_QUOTA: Self = Self::per_10_seconds(1_000);
    /// Quota of a development instance at Clerk: 100 requests per 10 s.
    pub const DEVELOPMENT_QUOTA: Self = Self::per_10_seconds(100);

    const fn per_10_seconds(n: u32) -> Self {
        let n = match NonZeroU32::new(n) {
            Some(n) => n,
            None => NonZeroU32::MIN,
        };
        Self { n, per: Duration::from_secs(10) }
    }

    /// Number of requests.
    pub fn n(self) -> NonZeroU32 {
        self.n
    }

    /// Length of time; never zero.
    pub fn per(self) -> Duration {
        self.per
    }
}

impl FromStr for Rate {
    type Err = InvalidSetting;

    fn from_str(text: &str) -> Result<Self, InvalidSetting> {
        let parse = || {
            let (n, per) = text.split_once('/')?;
            let per = parse_duration(per).filter(|per| !per.is_zero())?;
            Some(Self { n: n.trim().parse().ok()?, per })
        };
        parse().ok_or_else(|| {
            let expected = "expected requests per time, such as 1000/10s";
            InvalidSetting(format!("invalid rate {text:?}: {expected}"))
        })
    }
}

/// Admits requests and the calls of the live application.
pub(super) struct Quota {
    limit: Option<Rate>,
    admitted: VecDeque<Instant>,
    live_app: Option<LiveApp>,
}

/// Calls are not scheduled but accounted for, each at its exact time, before anything else is
/// counted: their spacing does not depend on how busy the server is.
struct LiveApp {
    spacing: Duration,
    next_call: Option<Instant>,
    n_calls: u64,
    n_refused: u64,
}

impl Quota {
    pub(super) fn new(limit: Option<Rate>, live_app: Option<Rate>, now: Instant) -> Self {
        let live_app = live_app.map(|rate| {
            // The lower bound keeps the number of calls to account for small.
            let spacing = (rate.per / rate.n.get()).max(Duration::from_micros(1));
            LiveApp { spacing, next_call: now.checked_add(spacing), n_calls: 0, n_refused: 0 }
        });
        Self { limit, admitted: VecDeque::new(), live_app }
    }

    /// Counts a request at `now`, or returns the time until the quota has room for it. `now` must
    /// not go back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        self.catch_up(now);
        self.admit_call(now)
    }

    /// Calls of the live application until `now`, and how many of them were refused.
    pub(super) fn live_calls(&mut self, now: Instant) -> (u64, u64) {
        self.catch_up(now);
        self.live_app.as_ref().map_or((0, 0), |app| (app.n_calls, app.n_refused))
    }

    fn catch_up(&mut self, now: Instant) {
        let Some(mut app) = self.live_app.take() else { return };
        while let Some(call) = app.next_call.filter(|call| *call <= now) {
            app.n_calls += 1;
            app.n_refused += u64::from(self.admit_call(call).is_err());
            app.next_call = call.checked_add(app.spacing);
        }
        self.live_app = Some(app);
    }

    /// Refused calls do not count.
    fn admit_call(&mut self, now: Instant) -> Result<(), Duration> {
        let Some(limit) = self.limit else { return Ok(()) };
        forget_before(&mut self.admitted, now, limit.per);
        match self.admitted.front() {
            Some(oldest) if self.admitted.len() >= limit.n.get() as usize => {
                Err(limit.per.saturating_sub(now.duration_since(*oldest)))
            }
            _ => {
                self.admitted.push_back(now);
                Ok(())
            }
        }
    }
}

/// Number of requests that arrived in the fullest window of that length, wherever it starts. A
/// window includes its first moment but not its last.
///
/// The requests must be in the order of arrival, as [`Sandbox::requests`] returns them.
///
/// [`Sandbox::requests`]: super::Sandbox::requests
pub fn max_in_any(requests: &[LoggedRequest], window: Duration) -> usize {
    max_in_window(requests.iter().map(|request| request.at), window)
}

fn max_in_window(moments: impl Iterator<Item = Instant>, length: Duration) -> usize {
    let mut recent = VecDeque::new();
    let counts = moments.map(|now| {
        forget_before(&mut recent, now, length);
        recent.push_back(now);
        recent.len()
    });
    counts.max().unwrap_or(0)
}

fn forget_before(moments: &mut VecDeque<Instant>, now: Instant, length: Duration) {
    while moments.front().is_some_and(|&moment| now.duration_since(moment) >= length) {
        moments.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quota(limit: &str, live_app: Option<&str>, start: Instant) -> Quota {
        Quota::new(limit.parse().ok(), live_app.map(|it| it.parse().unwrap()), start)
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_the_limit(
            n in 1_u32..20,
            gaps in prop::collection::vec(0_u64..400, 1..300),
        ) {
            let mut now = Instant::now();
            let mut quota = quota(&format!("{n}/1s"), None, now);
            let mut admitted = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                if quota.admit(now).is_ok() {
                    admitted.push(now);
                }
            }
            let fullest = admitted.iter().map(|&from| {
                let is_inside = |&&it: &&Instant| from <= it && it < from + Duration::from_secs(1);
                admitted.iter().filter(is_inside).count()
            }).max();
            prop_assert!(fullest <= Some(n as usize));
            let counted = max_in_window(admitted.iter().copied(), Duration::from_secs(1));
            prop_assert_eq!(fullest, Some(counted));
        }

        #[test]
        fn the_returned_wait_is_exact(gaps in prop::collection::vec(0_u64..400, 1..100)) {
            let mut now = Instant::now();
            let mut quota = quota("3/1s", None, now);
            for gap in gaps {
                now += Duration::from_millis(gap);
                if let Err(wait) = quota.admit(now) {
                    let just_before = now + wait.saturating_sub(Duration::from_nanos(1));
                    prop_assert!(quota.admit(just_before).is_err());
                    now += wait;
                    prop_assert!(quota.admit(now).is_ok());
                }
            }
        }
    }

    #[test]
    fn refused_requests_do_not_prolong_the_wait() {
        let start = Instant::now();
        let mut quota = quota("1/10s", None, start);
        assert_eq!(quota.admit(start), Ok(()));
        for second in 1..10 {
            let now = start + Duration::from_secs(second);
            assert_eq!(quota.admit(now), Err(Duration::from_secs(10 - second)));
        }
        assert_eq!(quota.admit(start + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn a_live_application_and_the_requests_share_one_quota() {
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut quota = quota("10/1s", Some("5/s"), start);
        assert_eq!(quota.live_calls(at(199)), (0, 0));
        // Calls at 200, 400, 600, 800 and 1,000 ms, beside five requests.
        for _ in 0..5 {
            assert_eq!(quota.admit(at(1_000)), Ok(()));
        }
        assert_eq!(quota.live_calls(at(1_000)), (5, 0));
        assert_eq!(quota.admit(at(1_000)), Err(Duration::from_millis(200)));
        // One request takes the place of the call at 200 ms, so the call at 1,200 ms has its own.
        assert_eq!(quota.live_calls(at(1_200)), (6, 0));
        assert_eq!(quota.admit(at(1_399)), Err(Duration::from_millis(1)));
        assert_eq!(quota.live_calls(at(3_000)), (15, 0));
    }

    #[test]
    fn calls_of_the_live_application_are_refused_when_requests_use_the_quota() {
        let start = Instant::now();
        let mut quota = quota("10/1s", Some("5/s"), start);
        for _ in 0..10 {
            assert_eq!(quota.admit(start), Ok(()));
        }
        // 200 to 800 ms are refused; the window is free again from 1,000 ms.
        assert_eq!(quota.live_calls(start + Duration::from_secs(2)), (10, 4));
    }

    #[track_caller]
    fn check(text: &str, n_and_millis: Option<(u32, u64)>) {
        let rate = text.parse::<Rate>().ok().map(|it| (it.n.get(), it.per));
        let expected = n_and_millis.map(|(n, millis)| (n, Duration::from_millis(millis)));
        assert_eq!(rate, expected, "{text:?}");
    }

    #[test]
    fn a_rate_is_requests_per_time() {
        check("100/10s", Some((100, 10_000)));
        check(" 5 / 500ms", Some((5, 500)));
        check("100/s", Some((100, 1_000)));
        check("100/10m", Some((100, 600_000)));
        for text in ["", "100", "0/10s", "-1/10s", "100/0", "100/", "/10s", "many/10s"] {
            check(text, None);
        }
    }
}
