//! The guards that count users before anybody is unlocked.

use super::Spec;
use crate::cli::failure::Failure;

/// `--expect-count` and `--max-users`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Guards {
    expect_count: Option<u64>,
    max_users: Option<u64>,
}

impl Guards {
    /// `n_done` users were unlocked, or tried, by the run that is resumed: the number that is
    /// expected is that of the whole job.
    pub(super) fn new(spec: &Spec, n_done: u64) -> Self {
        let expect_count = spec.expect_count.map(|n| n.saturating_sub(n_done));
        Self { expect_count, max_users: spec.max_users }
    }

    /// Checks the number of users that are to be unlocked.
    pub(super) fn check(self, n_users: u64) -> Result<(), Failure> {
        if let Some(expected) = self.expect_count.filter(|&expected| expected != n_users) {
            return Err(Failure::usage(format!(
                "the number of users to unlock is {n_users}, and --expect-count says {expected}; \
                 no user was unlocked"
            )));
        }
        if let Some(most) = self.max_users.filter(|&most| n_users > most) {
            return Err(Failure::usage(format!(
                "the number of users to unlock is {n_users}, and --max-users allows {most}; \
                 no user was unlocked"
            )));
        }
        Ok(())
    }

    /// Checks what can be known before a look-up: it makes users fewer and never more.
    pub(super) fn check_at_most(self, n_users: u64) -> Result<(), Failure> {
        match self.expect_count {
            Some(expected) if n_users < expected => self.check(n_users),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_number_than_expected_is_refused() {
        let guards = Guards { expect_count: Some(5), max_users: None };
        assert!(guards.check(5).is_ok());
        assert!(guards.check(4).is_err() && guards.check(6).is_err());
        assert!(guards.check_at_most(4).is_err() && guards.check_at_most(6).is_ok());
    }

    #[test]
    fn more_than_the_most_is_refused() {
        let guards = Guards { expect_count: None, max_users: Some(5) };
        assert!(guards.check(5).is_ok() && guards.check(0).is_ok());
        assert!(guards.check(6).is_err());
    }

    #[test]
    fn each_refusal_is_told_in_these_words() {
        let told = [(Some(5), None), (None, Some(5)), (Some(9), Some(5))].map(|it| {
            let guards = Guards { expect_count: it.0, max_users: it.1 };
            guards.check(7).map_err(|failure| failure.to_string()).unwrap_err()
        });
        insta::assert_snapshot!(told.join("\n"), @"
        the number of users to unlock is 7, and --expect-count says 5; no user was unlocked
        the number of users to unlock is 7, and --max-users allows 5; no user was unlocked
        the number of users to unlock is 7, and --expect-count says 9; no user was unlocked
        ");
    }
}
