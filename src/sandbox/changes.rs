//! What was changed since the sandbox started.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::model::UserId;

use super::world::{ALL_ATTEMPTS, LOCKOUT, Lock, Person};

/// The users who were unlocked or locked since the sandbox started. All others are as the world
/// says.
#[derive(Default)]
pub(super) struct Changes(HashMap<UserId, Change>);

#[derive(Clone, Copy)]
struct Change {
    lock: Lock,
    at: u64,
}

/// How things stand with a user now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) is_locked: bool,
    /// `None` on a locked user: never.
    pub(super) expires_in_seconds: Option<u64>,
    pub(super) attempts_left: u8,
    /// Unix milliseconds; `None`: not changed since the start.
    pub(super) changed_at: Option<u64>,
}

impl Changes {
    /// Lifts the lock, whatever its kind.
    pub(super) fn unlock(&mut self, person: &Person, now: SystemTime) {
        self.note(person, Lock::Open { attempts_left: ALL_ATTEMPTS }, now);
    }

    /// Locks on purpose: the attempts left stay as they are. `elapsed` is the time since the start.
    pub(super) fn lock(&mut self, person: &Person, elapsed: Duration, now: SystemTime) {
        let attempts_left = self.standing_of(person, elapsed).attempts_left;
        let expires_in = Some(elapsed + LOCKOUT);
        self.note(person, Lock::OnPurpose { attempts_left, expires_in }, now);
    }

    /// How things stand with a user, so long after the start.
    pub(super) fn standing_of(&self, person: &Person, elapsed: Duration) -> Standing {
        let change = self.0.get(&person.id);
        let lock = change.map_or(person.truth.lock, |change| change.lock);
        Standing { changed_at: change.map(|change| change.at), ..Standing::of(lock, elapsed) }
    }

    fn note(&mut self, person: &Person, lock: Lock, now: SystemTime) {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let at = u64::try_from(since_epoch.as_millis()).unwrap_or_default();
        self.0.insert(person.id.clone(), Change { lock, at });
    }
}

impl Standing {
    fn of(lock: Lock, elapsed: Duration) -> Self {
        match lock {
            Lock::Open { attempts_left } => Self::open(attempts_left),
            Lock::ByAttempts { expires_in } => Self::locked(0, expires_in, elapsed),
            Lock::OnPurpose { attempts_left, expires_in } => {
                Self::locked(attempts_left, expires_in, elapsed)
            }
        }
    }

    fn open(attempts_left: u8) -> Self {
        Self { is_locked: false, expires_in_seconds: None, attempts_left, changed_at: None }
    }

    /// Locked, or open again once the time is over.
    fn locked(attempts_left: u8, expires_in: Option<Duration>, elapsed: Duration) -> Self {
        match expires_in.map(|it| it.saturating_sub(elapsed)) {
            Some(Duration::ZERO) => Self::open(ALL_ATTEMPTS),
            left => Self {
                is_locked: true,
                expires_in_seconds: left.map(|left| left.as_secs()),
                attempts_left,
                changed_at: None,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::World;

    fn find(holds: impl Fn(&Lock) -> bool) -> Person {
        let world = World::new(1);
        let mut people = (0..).map(|index| world.person(&world.listed_id(index)).unwrap());
        people.find(|person| holds(&person.truth.lock)).unwrap()
    }

    fn check(standing: Standing, is_locked: bool, expires_in: Option<u64>, attempts_left: u8) {
        let found = (standing.is_locked, standing.expires_in_seconds, standing.attempts_left);
        assert_eq!(found, (is_locked, expires_in, attempts_left));
    }

    #[test]
    fn a_lock_counts_down_and_ends() {
        let person = find(|it| matches!(it, Lock::ByAttempts { expires_in: Some(_) }));
        let Lock::ByAttempts { expires_in: Some(expires_in) } = person.truth.lock else { panic!() };
        let changes = Changes::default();
        let seconds = expires_in.as_secs();
        check(changes.standing_of(&person, Duration::ZERO), true, Some(seconds), 0);
        let later = Duration::from_secs(60);
        check(changes.standing_of(&person, later), true, Some(seconds - 60), 0);
        check(changes.standing_of(&person, expires_in), false, None, 10);
    }

    #[test]
    fn a_lock_for_ever_has_no_end() {
        let person = find(|it| *it == Lock::ByAttempts { expires_in: None });
        let later = Duration::from_secs(1_000_000);
        check(Changes::default().standing_of(&person, later), true, None, 0);
    }

    #[test]
    fn an_unlocked_user_has_all_attempts_again() {
        let person = find(|it| matches!(it, Lock::OnPurpose { .. }));
        let mut changes = Changes::default();
        changes.unlock(&person, SystemTime::now());
        let standing = changes.standing_of(&person, Duration::ZERO);
        check(standing, false, None, 10);
        assert!(standing.changed_at.is_some());
    }

    #[test]
    fn a_user_locked_on_purpose_keeps_the_attempts() {
        let person = find(|it| *it == Lock::Open { attempts_left: 10 });
        let mut changes = Changes::default();
        changes.lock(&person, Duration::from_secs(5), SystemTime::now());
        check(changes.standing_of(&person, Duration::from_secs(5)), true, Some(3600), 10);
    }
}
