//! The strict sliding-window quota, and the live application that shares it.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::{Duration, Instant};

use super::config::parse_duration;
use super::{InvalidSetting, LoggedRequest, SandboxConfig};

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
pub(super) struct Admission {
    window: Option<SlidingWindow>,
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

impl Admission {
    pub(super) fn new(config: &SandboxConfig, now: Instant) -> Self {
        let live_app = config.live_app.map(|rate| {
            // The lower bound keeps the number of calls to account for small.
            let spacing = (rate.per / rate.n.get()).max(Duration::from_micros(1));
            LiveApp { spacing, next_call: now.checked_add(spacing), n_calls: 0, n_refused: 0 }
        });
        Self { window: config.quota.map(SlidingWindow::new), live_app }
    }

    /// Counts a request at `now`, or returns the time until the quota has room for it. `now` must
    /// not go back.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        self.catch_up(now);
        self.window.as_mut().map_or(Ok(()), |window| window.admit(now))
    }

    /// Calls of the live application until `now`, and how many of them were refused.
    pub(super) fn live_calls(&mut self, now: Instant) -> (u64, u64) {
        self.catch_up(now);
        self.live_app.as_ref().map_or((0, 0), |app| (app.n_calls, app.n_refused))
    }

    fn catch_up(&mut self, now: Instant) {
        let Some(app) = &mut self.live_app else { return };
        while let Some(call) = app.next_call.filter(|call| *call <= now) {
            app.n_calls += 1;
            if let Some(window) = &mut self.window {
                app.n_refused += u64::from(window.admit(call).is_err());
            }
            app.next_call = call.checked_add(app.spacing);
        }
    }
}

/// A limit on every window, wherever the window starts.
struct SlidingWindow {
    limit: Rate,
    admitted: VecDeque<Instant>,
}

impl SlidingWindow {
    fn new(limit: Rate) -> Self {
        Self { limit, admitted: VecDeque::new() }
    }

    /// Refused requests do not count.
    fn admit(&mut self, now: Instant) -> Result<(), Duration> {
        forget_before(&mut self.admitted, now, self.limit.per);
        match self.admitted.front() {
            Some(oldest) if self.admitted.len() >= self.limit.n.get() as usize => {
                Err(self.limit.per.saturating_sub(now.duration_since(*oldest)))
            }
            _ => {
                self.admitted.push_back(now);
                Ok(())
            }
        }
    }
}

/// Counts the requests in the fullest window so far.
pub(super) struct FullestWindow {
    length: Duration,
    recent: VecDeque<Instant>,
    pub(super) n_max: usize,
}

impl FullestWindow {
    pub(super) fn new(length: Duration) -> Self {
        Self { length, recent: VecDeque::new(), n_max: 0 }
    }

    pub(super) fn count(&mut self, now: Instant) {
        forget_before(&mut self.recent, now, self.length);
        self.recent.push_back(now);
        self.n_max = self.n_max.max(self.recent.len());
    }
}

/// Number of requests that arrived in the fullest window of that length, wherever it starts. A
/// window includes its first moment but not its last.
///
/// The requests must be in the order of arrival, as [`Sandbox::requests`] returns them.
///
/// [`Sandbox::requests`]: super::Sandbox::requests
pub fn max_in_any(requests: &[LoggedRequest], window: Duration) -> usize {
    let mut fullest = FullestWindow::new(window);
    for request in requests {
        fullest.count(request.at);
    }
    fullest.n_max
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

    fn window(limit: &str) -> SlidingWindow {
        SlidingWindow::new(limit.parse().unwrap())
    }

    proptest! {
        #[test]
        fn no_window_admits_more_than_the_limit(
            n in 1_u32..20,
            gaps in prop::collection::vec(0_u64..400, 1..300),
        ) {
            let mut window = window(&format!("{n}/1s"));
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
            let mut counted = FullestWindow::new(Duration::from_secs(1));
            for now in admitted {
                counted.count(now);
            }
            prop_assert_eq!(fullest, Some(counted.n_max));
        }

        #[test]
        fn the_returned_wait_is_exact(gaps in prop::collection::vec(0_u64..400, 1..100)) {
            let mut window = window("3/1s");
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
    fn refused_requests_do_not_prolong_the_wait() {
        let mut window = window("1/10s");
        let start = Instant::now();
        assert_eq!(window.admit(start), Ok(()));
        for second in 1..10 {
            let now = start + Duration::from_secs(second);
            assert_eq!(window.admit(now), Err(Duration::from_secs(10 - second)));
        }
        assert_eq!(window.admit(start + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn a_live_application_and_the_requests_share_one_quota() {
        let config =
            SandboxConfig::default().quota("10/1s".parse().ok()).live_app("5/s".parse().ok());
        let start = Instant::now();
        let at = |millis| start + Duration::from_millis(millis);
        let mut admission = Admission::new(&config, start);
        assert_eq!(admission.live_calls(at(199)), (0, 0));
        // Calls at 200, 400, 600, 800 and 1,000 ms, beside five requests.
        for _ in 0..5 {
            assert_eq!(admission.admit(at(1_000)), Ok(()));
        }
        assert_eq!(admission.live_calls(at(1_000)), (5, 0));
        assert_eq!(admission.admit(at(1_000)), Err(Duration::from_millis(200)));
        // One request takes the place of the call at 200 ms, so the call at 1,200 ms has its own.
        assert_eq!(admission.live_calls(at(1_200)), (6, 0));
        assert_eq!(admission.admit(at(1_399)), Err(Duration::from_millis(1)));
        assert_eq!(admission.live_calls(at(3_000)), (15, 0));
    }

    #[test]
    fn calls_of_the_live_application_are_refused_when_requests_use_the_quota() {
        let config =
            SandboxConfig::default().quota("10/1s".parse().ok()).live_app("5/s".parse().ok());
        let start = Instant::now();
        let mut admission = Admission::new(&config, start);
        for _ in 0..10 {
            assert_eq!(admission.admit(start), Ok(()));
        }
        // 200 to 800 ms are refused; the window is free again from 1,000 ms.
        assert_eq!(admission.live_calls(start + Duration::from_secs(2)), (10, 4));
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
