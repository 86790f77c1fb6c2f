//! What a look-up decides about a user.

use crate::model::{Outcome, UserSnapshot};

/// Whether `--include-admin-locked` was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AdminLocked {
    /// Leave users alone who look locked on purpose.
    #[default]
    LeaveAlone,
    /// Unlock them too.
    Include,
}

/// What should be done with a user as a look-up just showed them; `None` if the answer does not say
/// whether the user is locked: then nobody may be unlocked or passed over.
///
/// [`Outcome::WouldUnlock`] stands for "make the call".
pub fn decide(user: &UserSnapshot, admin_locked: AdminLocked) -> Option<Outcome> {
    let is_left_alone = admin_locked == AdminLocked::LeaveAlone && user.is_admin_locked();
    user.locked.map(|is_locked| match is_locked {
        false => Outcome::AlreadyUnlocked,
        true if is_left_alone => Outcome::AdminLocked,
        true => Outcome::WouldUnlock,
    })
}

/// The same for a user who is to be locked again. [`Outcome::WouldRelock`] stands for "make the
/// call".
pub fn decide_relock(user: &UserSnapshot) -> Option<Outcome> {
    let outcome = |is_locked| if is_locked { Outcome::AlreadyLocked } else { Outcome::WouldRelock };
    user.locked.map(outcome)
}

/// What a look-up after an unlock shows; `None`: no such user.
pub fn read_back(user: Option<&UserSnapshot>) -> Outcome {
    match user.map(|user| user.locked) {
        None => Outcome::Gone,
        Some(Some(true)) => Outcome::LockedAgain,
        Some(Some(false)) => Outcome::StillUnlocked,
        Some(None) => Outcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, admin_locked: AdminLocked, expected: Option<Outcome>) {
        let user = UserSnapshot::parse(json).unwrap();
        assert_eq!(decide(&user, admin_locked), expected, "{json}");
    }

    #[test]
    fn only_the_locked_are_unlocked_and_those_locked_on_purpose_only_when_asked() {
        use AdminLocked::{Include, LeaveAlone};
        let by_attempts = r#"{"locked":true,"verification_attempts_remaining":0}"#;
        let on_purpose = r#"{"locked":true,"verification_attempts_remaining":9}"#;
        check(r#"{"locked":false}"#, Include, Some(Outcome::AlreadyUnlocked));
        check(by_attempts, LeaveAlone, Some(Outcome::WouldUnlock));
        check(on_purpose, LeaveAlone, Some(Outcome::AdminLocked));
        check(on_purpose, Include, Some(Outcome::WouldUnlock));
    }

    /// Everything but `true` and `false`.
    const UNDECIDED: [&str; 6] = [
        "{}",
        r#"{"locked":null}"#,
        r#"{"locked":"true"}"#,
        r#"{"locked":"false"}"#,
        r#"{"locked":1}"#,
        r#"{"locked":{}}"#,
    ];

    #[test]
    fn an_answer_that_does_not_say_whether_a_user_is_locked_decides_nothing() {
        for json in UNDECIDED {
            check(json, AdminLocked::LeaveAlone, None);
            check(json, AdminLocked::Include, None);
            assert_eq!(decide_relock(&UserSnapshot::parse(json).unwrap()), None, "{json}");
            assert_eq!(read_back(Some(&UserSnapshot::parse(json).unwrap())), Outcome::Unknown);
        }
    }

    #[test]
    fn only_those_who_are_not_locked_are_locked_again() {
        let of = |json| decide_relock(&UserSnapshot::parse(json).unwrap());
        assert_eq!(of(r#"{"locked":false}"#), Some(Outcome::WouldRelock));
        assert_eq!(of(r#"{"locked":true}"#), Some(Outcome::AlreadyLocked));
    }

    #[test]
    fn a_read_back_says_only_what_the_response_says() {
        let of = |json| read_back(Some(&UserSnapshot::parse(json).unwrap()));
        assert_eq!(of(r#"{"locked":false}"#), Outcome::StillUnlocked);
        assert_eq!(of(r#"{"locked":true}"#), Outcome::LockedAgain);
        for garbled in ["{}", r#"{"locked":null}"#, r#"{"locked":"true"}"#, r#"{"locked":1}"#] {
            assert_eq!(of(garbled), Outcome::Unknown, "{garbled}");
        }
        assert_eq!(read_back(None), Outcome::Gone);
    }
}
