//! How things stand with a user before anybody changes them.

use std::time::Duration;

use super::mix::Rolls;

/// How things stand with a user when the sandbox starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truth {
    /// Whether there is such a user; all else is blank if not.
    pub exists: bool,
    /// Whether the user is banned. An unlock does not change it.
    pub banned: bool,
    /// Whether and how the user is locked.
    pub lock: Lock,
}

/// Whether and how a user is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Not locked.
    Open {
        /// How many sign-ins may yet fail.
        attempts_left: u8,
    },
    /// Locked by failed sign-ins: no attempts are left.
    ByAttempts {
        /// How long the lock lasts from the sandbox's start; `None`: for ever.
        expires_in: Option<Duration>,
    },
    /// Locked by somebody: attempts are left.
    OnPurpose {
        /// How many sign-ins might yet fail.
        attempts_left: u8,
        /// How long the lock lasts from the sandbox's start; `None`: for ever.
        expires_in: Option<Duration>,
    },
}

/// How many sign-ins may fail before a user is locked.
pub(in crate::sandbox) const ALL_ATTEMPTS: u8 = 10;
/// How long a lock lasts.
pub(in crate::sandbox) const LOCKOUT: Duration = Duration::from_secs(3600);
/// No lock ends sooner after the start, so that a rehearsal finds what the truth says.
const SHORTEST_LOCKOUT: Duration = Duration::from_secs(900);
const LOCKOUT_SPAN: Duration = LOCKOUT.saturating_sub(SHORTEST_LOCKOUT);

impl Truth {
    /// What is true of a user who does not exist.
    pub(super) const MISSING: Self =
        Self { exists: false, banned: false, lock: Lock::Open { attempts_left: 0 } };

    /// Whether the user is locked, on purpose or not.
    pub fn locked(&self) -> bool {
        !matches!(self.lock, Lock::Open { .. })
    }

    /// Whether the user was locked on purpose.
    pub fn admin_locked(&self) -> bool {
        matches!(self.lock, Lock::OnPurpose { .. })
    }

    pub(super) fn roll(rolls: &mut Rolls) -> Self {
        let banned = rolls.percent(2);
        let lock = match rolls.below(100) {
            0..80 => Lock::ByAttempts { expires_in: lasting(rolls, 5) },
            80..83 => Lock::OnPurpose {
                attempts_left: some_attempts(rolls),
                expires_in: lasting(rolls, 50),
            },
            _ => Lock::Open { attempts_left: some_attempts(rolls) },
        };
        Self { exists: true, banned, lock }
    }
}

fn some_attempts(rolls: &mut Rolls) -> u8 {
    // Most users have not failed at all.
    if rolls.percent(60) { ALL_ATTEMPTS } else { 1 + (rolls.next() % 9) as u8 }
}

fn lasting(rolls: &mut Rolls, percent_for_ever: u64) -> Option<Duration> {
    let for_ever = rolls.percent(percent_for_ever);
    let expires_in =
        SHORTEST_LOCKOUT + Duration::from_secs(rolls.below(LOCKOUT_SPAN.as_secs() + 1));
    (!for_ever).then_some(expires_in)
}
