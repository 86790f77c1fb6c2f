//! When a job that goes wrong stops itself.

use crate::model::{Outcome, StopReason};
use crate::stats::Stats;

/// `--max-fail`: how many users may fail before the run stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxFail {
    /// This number of users.
    Count(u64),
    /// This percentage of users, checked once [`MaxFail::ENOUGH`] users ended, or all of a smaller job.
    Percent(f64),
}

impl MaxFail {
    /// How many users must have ended before a percentage counts.
    pub const ENOUGH: u64 = 100;
}

/// The key counts as forbidden once this number of users ended and all of them were refused.
const FORBIDDEN: u64 = 5;

/// The guards that depend on the running stats.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StopRule {
    /// `--max-fail`.
    pub max_fail: Option<MaxFail>,
    /// How many users this run sends requests for.
    pub n_jobs: u64,
}

impl StopRule {
    /// Whether the run should stop, and why.
    pub fn check(&self, stats: &Stats) -> Option<StopReason> {
        let n_ended = stats.n_asked;
        if n_ended >= FORBIDDEN && stats.n_forbidden == n_ended {
            return Some(StopReason::Forbidden);
        }
        let n_failed: u64 = Outcome::ALL
            .into_iter()
            .filter(|outcome| outcome.counts_as_failure())
            .map(|outcome| stats.count_now(outcome))
            .sum();
        self.too_many(n_failed, n_ended).then_some(StopReason::MaxFail)
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of users are far below 2^52")]
    fn too_many(&self, n_failed: u64, n_ended: u64) -> bool {
        match self.max_fail {
            None => false,
            Some(MaxFail::Count(most)) => n_failed >= most,
            Some(MaxFail::Percent(percent)) => {
                let is_enough = n_ended >= MaxFail::ENOUGH || n_ended >= self.n_jobs;
                n_failed > 0 && is_enough && n_failed as f64 * 100.0 >= percent * n_ended as f64
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use super::*;
    use crate::model::{Event, Row};
    use crate::stats::Size;
    use crate::stats::testing::records;

    fn stats(rows: &[(Outcome, u16, u64)]) -> Stats {
        let mut stats = Stats::new(Size::default(), Instant::now(), SystemTime::UNIX_EPOCH);
        for &(outcome, status, n) in rows {
            for record in 0..usize::try_from(n).unwrap() {
                let row = Row {
                    http_status: Some(status),
                    attempts: 1,
                    ..Row::new(&records(1)[0], outcome, SystemTime::UNIX_EPOCH)
                };
                let row = Box::new(row);
                stats.on_event(&Event::JobFinished { record, row, attempt: None });
            }
        }
        stats
    }

    #[track_caller]
    fn check(
        max_fail: Option<MaxFail>,
        n_jobs: u64,
        rows: &[(Outcome, u16, u64)],
        expected: Option<StopReason>,
    ) {
        assert_eq!(StopRule { max_fail, n_jobs }.check(&stats(rows)), expected, "{rows:?}");
    }

    #[test]
    fn max_fail_stops_the_run_at_the_limit() {
        let most = Some(MaxFail::Count(3));
        check(most, 1_000, &[(Outcome::Failed, 503, 2)], None);
        let rows = [(Outcome::Failed, 503, 2), (Outcome::NotFound, 404, 1)];
        check(most, 1_000, &rows, Some(StopReason::MaxFail));
        check(most, 1_000, &[(Outcome::AdminLocked, 200, 50)], None);
    }

    #[test]
    fn a_percentage_waits_for_a_hundred_users_or_all_of_a_smaller_job() {
        let tenth = Some(MaxFail::Percent(10.0));
        check(tenth, 1_000, &[(Outcome::Failed, 503, 99)], None);
        let rows = [(Outcome::Failed, 503, 10), (Outcome::Unlocked, 200, 90)];
        check(tenth, 1_000, &rows, Some(StopReason::MaxFail));
        let rows = [(Outcome::Failed, 503, 9), (Outcome::Unlocked, 200, 91)];
        check(tenth, 1_000, &rows, None);
        let rows = [(Outcome::Failed, 503, 1), (Outcome::Unlocked, 200, 4)];
        check(tenth, 5, &rows, Some(StopReason::MaxFail));
        check(tenth, 6, &rows, None);
    }

    #[test]
    fn five_forbidden_users_stop_the_run_unless_any_other_user_ended() {
        check(None, 100, &[(Outcome::Rejected, 403, 4)], None);
        check(None, 100, &[(Outcome::Rejected, 403, 5)], Some(StopReason::Forbidden));
        check(None, 100, &[(Outcome::Rejected, 402, 5)], Some(StopReason::Forbidden));
        check(None, 100, &[(Outcome::Unlocked, 200, 1), (Outcome::Rejected, 403, 50)], None);
        check(None, 100, &[(Outcome::Rejected, 422, 50)], None);
    }
}
