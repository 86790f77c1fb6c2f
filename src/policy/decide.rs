//! What a look-up says should be done with a user.

use crate::model::{Outcome, UserView};

/// Whether `--include-admin-locked` was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminLocked {
    /// Users who look locked on purpose are left alone.
    #[default]
    LeaveAlone,
    /// They are unlocked like everybody else.
    Include,
}

/// What should be done with a user as it was just looked up.
///
/// [`Outcome::WouldUnlock`] stands for "make the call". An answer that does not say whether the
/// user is locked (old API versions) is no reason to leave the user out.
pub fn decide(user: &UserView, admin_locked: AdminLocked) -> Outcome {
    match user.locked {
        Some(false) => Outcome::AlreadyUnlocked,
        Some(true) if user.is_admin_locked() && admin_locked == AdminLocked::LeaveAlone => {
            Outcome::AdminLocked
        }
        Some(true) | None => Outcome::WouldUnlock,
    }
}

/// What reading a user back after an unlock says.
pub fn read_back(user: Option<&UserView>) -> Outcome {
    match user {
        None => Outcome::Gone,
        Some(user) => match user.locked {
            Some(true) => Outcome::LockedAgain,
            Some(false) => Outcome::StillUnlocked,
            None => Outcome::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, admin_locked: AdminLocked, expected: Outcome) {
        let user = UserView::parse(json).unwrap();
        assert_eq!(decide(&user, admin_locked), expected, "{json}");
    }

    #[test]
    fn only_the_locked_are_unlocked_and_those_locked_on_purpose_only_when_asked() {
        use AdminLocked::{Include, LeaveAlone};
        let by_attempts = r#"{"locked":true,"verification_attempts_remaining":0}"#;
        let on_purpose = r#"{"locked":true,"verification_attempts_remaining":9}"#;
        check(r#"{"locked":false}"#, Include, Outcome::AlreadyUnlocked);
        check(by_attempts, LeaveAlone, Outcome::WouldUnlock);
        check(on_purpose, LeaveAlone, Outcome::AdminLocked);
        check(on_purpose, Include, Outcome::WouldUnlock);
        check("{}", LeaveAlone, Outcome::WouldUnlock);
    }

    #[test]
    fn a_read_back_says_only_what_the_response_says() {
        let of = |json| read_back(Some(&UserView::parse(json).unwrap()));
        assert_eq!(of(r#"{"locked":false}"#), Outcome::StillUnlocked);
        assert_eq!(of(r#"{"locked":true}"#), Outcome::LockedAgain);
        for garbled in ["{}", r#"{"locked":null}"#, r#"{"locked":"true"}"#, r#"{"locked":1}"#] {
            assert_eq!(of(garbled), Outcome::Unknown, "{garbled}");
        }
        assert_eq!(read_back(None), Outcome::Gone);
    }
}
