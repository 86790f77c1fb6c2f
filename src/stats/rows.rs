//! The statistics of rows: outcomes, errors, durations and banned users, for the rows of a running
//! job and of finished files alike.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Serialize, Serializer};

use crate::model::{ErrorCode, Outcome, Row, UserView};

/// The statistics of a set of rows.
#[derive(Clone, Debug, Default)]
pub struct RowStats {
    /// Number of rows by outcome.
    pub counts: Counts,
    /// Why rows did not end well.
    pub errors: ErrorCounts,
    /// The durations of records for which requests were made, retries included.
    pub durations: Latency,
    /// Number of users whom the plan would unlock and who are banned.
    pub n_banned: u64,
    n_failed_unlocks: u64,
}

impl RowStats {
    /// Counts one more row.
    pub fn add(&mut self, row: &Row) {
        self.counts.add(row.outcome);
        let is_banned = row.user.as_ref().is_some_and(|user| user.banned == Some(true));
        self.n_banned += u64::from(is_banned && row.outcome.is_unlocked());
        let was_looked_up = row.was_locked.is_some();
        self.n_failed_unlocks += u64::from(was_looked_up && row.outcome.counts_as_failure());
        if row.attempts > 0 {
            self.durations.add(row.duration);
        }
        // An outcome such as "admin_locked" needs no explanation and has none.
        let is_explained = row.error_code.is_some() || row.error_message.is_some();
        if is_explained && !row.outcome.ended_well() {
            let code = row.error_code.clone().unwrap_or(row.outcome.code().into());
            self.errors.add(&code, || Example::of(row));
        }
    }

    /// Number of users whom a job unlocked or locked again, or failed to. If the job looks users up,
    /// a failed user counts only if found locked: otherwise the look-up itself failed.
    pub fn n_tried(&self, looks_up: bool) -> u64 {
        let n_failed = self.counts.n_where(Outcome::counts_as_failure);
        let n_failed = if looks_up { self.n_failed_unlocks } else { n_failed };
        self.counts.get(Outcome::Unlocked) + self.counts.get(Outcome::Relocked) + n_failed
    }

    /// Counts listed users, who have no rows.
    pub(super) fn add_listed(&mut self, users: &[UserView]) {
        for user in users {
            let is_locked = user.is_locked();
            let outcome = if is_locked { Outcome::WouldUnlock } else { Outcome::AlreadyUnlocked };
            self.counts.add(outcome);
        }
    }
}

/// Number of rows by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts([u64; Outcome::ALL.len()]);

impl Counts {
    /// Counts one more row.
    pub fn add(&mut self, outcome: Outcome) {
        self.0[outcome as usize] += 1;
    }

    /// Number of rows with this outcome.
    pub fn get(&self, outcome: Outcome) -> u64 {
        self.0[outcome as usize]
    }

    /// Number of all rows.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Number of rows whose outcome matches: `counts.n_where(Outcome::counts_as_failure)`.
    pub fn n_where(&self, matches: impl Fn(Outcome) -> bool) -> u64 {
        self.iter().filter(|(outcome, _)| matches(*outcome)).map(|(_, n)| n).sum()
    }

    /// Number of rows that did not end well.
    pub fn n_not_well(&self) -> u64 {
        self.n_where(|outcome| !outcome.ended_well())
    }

    /// The outcomes that occurred, in the order in which summaries list them.
    pub fn iter(&self) -> impl Iterator<Item = (Outcome, u64)> {
        Outcome::ALL.into_iter().map(|outcome| (outcome, self.get(outcome))).filter(|(_, n)| *n > 0)
    }
}

/// A map from the code of an outcome to its number, in the order of summaries.
impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(outcome, n)| (outcome.code(), n)))
    }
}

impl FromIterator<(Outcome, u64)> for Counts {
    fn from_iter<T: IntoIterator<Item = (Outcome, u64)>>(each: T) -> Self {
        let mut counts = Self::default();
        each.into_iter().for_each(|(outcome, n)| counts.0[outcome as usize] += n);
        counts
    }
}

impl FromIterator<Outcome> for Counts {
    fn from_iter<T: IntoIterator<Item = Outcome>>(outcomes: T) -> Self {
        outcomes.into_iter().map(|outcome| (outcome, 1)).collect()
    }
}

/// Errors by code, with the first example of each. Codes come from the server, so their number is
/// bounded.
#[derive(Clone, Debug, Default)]
pub struct ErrorCounts {
    groups: BTreeMap<ErrorCode, (u64, Example)>,
}

/// All errors with one code. The texts are as the server sent them: not safe for a console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ErrorGroup {
    /// The code.
    pub code: String,
    /// Number of errors.
    #[serde(rename = "count")]
    pub n: u64,
    /// The first of them.
    pub example: Example,
}

/// One error. The texts are as the server sent them: not safe for a console.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Example {
    /// The record's line in the input.
    pub line: u64,
    /// The user's ID where it is known, else the cell of the input.
    pub user: String,
    /// The message, at most [`ErrorCounts::MAX_MESSAGE`] characters of it.
    pub message: String,
}

impl Example {
    fn of(row: &Row) -> Self {
        let message = row.error_message.as_deref().unwrap_or(row.outcome.meaning());
        let user = row.user_id.as_ref().map_or(&*row.input, |id| id.as_str());
        Self {
            line: row.line,
            user: user.to_owned(),
            message: message.chars().take(ErrorCounts::MAX_MESSAGE).collect(),
        }
    }
}

impl ErrorCounts {
    /// The maximum number of codes that are counted separately.
    pub const MAX_CODES: usize = 100;
    /// The maximum length of a code, in characters.
    pub const MAX_CODE: usize = 64;
    /// The maximum length of a message, in characters.
    pub const MAX_MESSAGE: usize = 300;

    pub(super) fn add(&mut self, code: &ErrorCode, example: impl FnOnce() -> Example) {
        let code = shortened(code);
        if let Some((n, _)) = self.groups.get_mut(&code) {
            *n += 1;
        } else if self.groups.len() < Self::MAX_CODES {
            self.groups.insert(code, (1, example()));
        }
    }

    /// The codes, the most frequent first.
    pub fn most_frequent_first(&self) -> Vec<ErrorGroup> {
        let group = |(code, (n, example)): (&ErrorCode, &(u64, Example))| ErrorGroup {
            code: code.to_string(),
            n: *n,
            example: example.clone(),
        };
        let mut groups: Vec<_> = self.groups.iter().map(group).collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.n));
        groups
    }
}

fn shortened(code: &ErrorCode) -> ErrorCode {
    match code.char_indices().nth(ErrorCounts::MAX_CODE) {
        Some((end, _)) => code[..end].to_owned().into(),
        None => code.clone(),
    }
}

/// A histogram of durations, to two significant digits, in constant memory.
#[derive(Clone, Debug)]
pub struct Latency {
    micros: Histogram<u64>,
    /// The sum of the durations.
    pub sum: Duration,
    /// The maximum; zero without durations.
    pub max: Duration,
}

/// An hour; anything longer counts as an hour.
const LONGEST_MICROS: u64 = 3_600_000_000;

impl Default for Latency {
    fn default() -> Self {
        match Histogram::new_with_bounds(1, LONGEST_MICROS, 2) {
            Ok(micros) => Self { micros, sum: Duration::ZERO, max: Duration::ZERO },
            Err(why) => unreachable!("hdrhistogram accepts these constant bounds: {why}"),
        }
    }
}

impl Latency {
    /// Adds a duration.
    pub fn add(&mut self, took: Duration) {
        self.micros.saturating_record(micros(took));
        self.sum = self.sum.saturating_add(took);
        self.max = self.max.max(took);
    }

    /// Number of durations.
    pub fn n(&self) -> u64 {
        self.micros.len()
    }

    /// Number of durations up to this limit.
    pub fn n_up_to(&self, limit: Duration) -> u64 {
        self.micros.count_between(0, micros(limit))
    }

    /// The quantile of this share (0 to 1); zero without durations.
    pub fn quantile(&self, share: f64) -> Duration {
        // The histogram rounds up to the end of a bin, which may exceed the maximum.
        Duration::from_micros(self.micros.value_at_quantile(share)).min(self.max)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(LONGEST_MICROS).min(LONGEST_MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::testing::Story;

    #[test]
    fn each_outcome_is_counted_separately() {
        let counts: Counts = Outcome::ALL.into_iter().collect();
        assert!(Outcome::ALL.into_iter().all(|outcome| counts.get(outcome) == 1));
        assert_eq!(counts.total(), Outcome::ALL.len() as u64);
        assert_eq!(counts.n_not_well() + counts.n_where(Outcome::ended_well), counts.total());
    }

    #[test]
    fn outcomes_that_did_not_occur_are_not_listed() {
        let counts: Counts =
            [Outcome::Failed, Outcome::Unlocked, Outcome::Failed].into_iter().collect();
        let listed: Vec<_> = counts.iter().collect();
        assert_eq!(listed, [(Outcome::Unlocked, 1), (Outcome::Failed, 2)]);
        assert_eq!(listed.into_iter().collect::<Counts>(), counts);
    }

    #[test]
    fn the_most_frequent_error_comes_first_with_its_first_example() {
        let mut errors = ErrorCounts::default();
        for (line, code) in (1..).zip(["b", "a", "c", "c"]) {
            errors.add(&code.into(), || Example { line, ..Example::default() });
        }
        let groups = errors.most_frequent_first();
        let listed: Vec<_> =
            groups.iter().map(|it| (it.code.as_str(), it.n, it.example.line)).collect();
        assert_eq!(listed, [("c", 2, 3), ("a", 1, 2), ("b", 1, 1)]);
    }

    #[test]
    fn the_number_and_length_of_error_codes_are_bounded() {
        let mut stats = RowStats::default();
        for n in 0..1000 {
            for code in [format!("{n:0>999}"), format!("code_{n}")] {
                let story = Story::of(1).failed_row(Outcome::Failed, 500, "x", "");
                let Some(crate::model::Event::JobFinished { row, .. }) = story.events.last() else {
                    panic!("a row")
                };
                let row = Row {
                    error_code: Some(code.into()),
                    error_message: Some("é".repeat(10_000)),
                    ..(**row).clone()
                };
                stats.add(&row);
            }
        }
        // All long codes have the same first 64 characters, so they are one code.
        let groups = stats.errors.most_frequent_first();
        assert_eq!((groups.len(), groups[0].n), (100, 1000));
        assert!(groups.iter().all(|it| it.code.len() <= 64 && it.example.message.len() <= 600));
    }

    #[test]
    fn quantiles_are_right_to_two_digits() {
        let mut latency = Latency::default();
        (1..=100).for_each(|n| latency.add(Duration::from_millis(n)));
        let is_near = |is: Duration, millis: u64| {
            is.abs_diff(Duration::from_millis(millis)) <= Duration::from_micros(millis * 10)
        };
        assert!(is_near(latency.quantile(0.5), 50), "{:?}", latency.quantile(0.5));
        assert!(is_near(latency.quantile(0.99), 99), "{:?}", latency.quantile(0.99));
        assert_eq!(latency.max, Duration::from_millis(100));
        assert_eq!((latency.n(), latency.sum), (100, Duration::from_millis(5050)));
        assert_eq!(latency.n_up_to(Duration::from_millis(25)), 25);
    }

    #[test]
    fn zero_and_the_longest_duration_are_counted() {
        let mut latency = Latency::default();
        assert_eq!(latency.max, Duration::ZERO);
        latency.add(Duration::ZERO);
        latency.add(Duration::MAX);
        assert_eq!(latency.n(), 2);
        assert_eq!(latency.n_up_to(Duration::MAX), 2);
    }
}
