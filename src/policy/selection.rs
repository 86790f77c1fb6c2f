//! Which locked users a walk selects.

use std::fmt;
use std::time::Duration;

use crate::clerk::UserFilter;
use crate::model::UserSnapshot;

/// The conditions that a user must meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// In the order in which they are checked.
    pub conditions: Vec<Condition>,
}

/// A condition that a user must meet. Moments are Unix milliseconds, exclusive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The user is a member of this organization. Only the API can check it.
    Organization(String),
    /// The primary email address has this domain, in lower case.
    EmailDomain(String),
    /// The user last signed in after this moment.
    LastSignInAfter(i64),
    /// The user last signed in before this moment, but has signed in.
    LastSignInBefore(i64),
    /// The user was created after this moment.
    CreatedAfter(i64),
    /// The user was created before this moment.
    CreatedBefore(i64),
    /// The password was last changed after this moment.
    PasswordChangedAfter(i64),
    /// More than this is left of the lock, or it never expires.
    LockEndsAfter(Duration),
    /// The user is not banned.
    NotBanned,
    /// The user does not look locked on purpose.
    NotAdminLocked,
}

impl Selection {
    /// The index of the first condition that a locked user does not meet.
    ///
    /// Conditions that the API filters by are checked again where the user object shows them: a
    /// parameter that a server ignores must not widen the list.
    pub fn left_out_by(&self, user: &UserSnapshot) -> Option<usize> {
        self.conditions.iter().position(|condition| !condition.is_met_by(user))
    }

    /// The part that the API can filter.
    pub fn filter(&self) -> UserFilter {
        let mut filter = UserFilter::default();
        self.conditions.iter().for_each(|condition| condition.narrow(&mut filter));
        filter
    }
}

impl Condition {
    /// The condition as a filter of the API; `None` where the API does not have it.
    pub fn filter(&self) -> Option<UserFilter> {
        let mut filter = UserFilter::default();
        self.narrow(&mut filter);
        (filter != UserFilter::default()).then_some(filter)
    }

    fn narrow(&self, filter: &mut UserFilter) {
        match self {
            Self::Organization(id) => filter.organization_ids = vec![id.clone()],
            Self::LastSignInAfter(at) => filter.last_sign_in_at.after = Some(*at),
            Self::LastSignInBefore(at) => filter.last_sign_in_at.before = Some(*at),
            Self::CreatedAfter(at) => filter.created_at.after = Some(*at),
            Self::CreatedBefore(at) => filter.created_at.before = Some(*at),
            Self::NotBanned => filter.banned = Some(false),
            Self::EmailDomain(_)
            | Self::PasswordChangedAfter(_)
            | Self::LockEndsAfter(_)
            | Self::NotAdminLocked => {}
        }
    }

    fn is_met_by(&self, user: &UserSnapshot) -> bool {
        let after = |date: Option<i64>, at: i64| date.is_some_and(|date| date > at);
        let before = |date: Option<i64>, at: i64| date.is_some_and(|date| date < at);
        match self {
            // The object does not show its organizations.
            Self::Organization(_) => true,
            Self::EmailDomain(domain) => {
                let email = user.email.as_deref().and_then(|email| email.rsplit_once('@'));
                email.is_some_and(|(_, it)| it.to_lowercase() == *domain)
            }
            Self::LastSignInAfter(at) => after(user.last_sign_in_at, *at),
            Self::LastSignInBefore(at) => before(user.last_sign_in_at, *at),
            Self::CreatedAfter(at) => after(user.created_at, *at),
            Self::CreatedBefore(at) => before(user.created_at, *at),
            Self::PasswordChangedAfter(at) => after(user.password_last_updated_at, *at),
            Self::LockEndsAfter(least) => {
                let left = user.lockout_expires_in_seconds.map(|left| i128::from(left) * 1_000);
                user.never_expires() || left.is_some_and(|left| left > as_millis(*least))
            }
            // An answer without `banned` may hide a ban.
            Self::NotBanned => user.banned == Some(false),
            Self::NotAdminLocked => user.is_admin_locked() != Some(true),
        }
    }
}

fn as_millis(duration: Duration) -> i128 {
    i128::try_from(duration.as_millis()).unwrap_or(i128::MAX)
}

impl fmt::Display for Condition {
    /// The flag that sets it, or why users are left out by default.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Organization(_) => "--organization",
            Self::EmailDomain(_) => "--email-domain",
            Self::LastSignInAfter(_) => "--last-sign-in-after",
            Self::LastSignInBefore(_) => "--last-sign-in-before",
            Self::CreatedAfter(_) => "--created-after",
            Self::CreatedBefore(_) => "--created-before",
            Self::PasswordChangedAfter(_) => "--password-changed-after",
            Self::LockEndsAfter(_) => "--lock-ends-after",
            Self::NotBanned => "--skip-banned",
            Self::NotAdminLocked => "locked on purpose",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = r#"{"id":"user_a","locked":true,"banned":true,"created_at":1000,
        "last_sign_in_at":2000,"password_last_updated_at":3000,"lockout_expires_in_seconds":60,
        "verification_attempts_remaining":0,"primary_email_address_id":"e1","email_addresses":[
        {"id":"e1","email_address":"a@Acme.com"},{"id":"e2","email_address":"a@other.org"}]}"#;

    #[track_caller]
    fn check(condition: Condition, user: &str, is_met: bool) {
        let user = UserSnapshot::parse(user).unwrap();
        let selection = Selection { conditions: vec![condition] };
        assert_eq!(selection.left_out_by(&user).is_none(), is_met, "{selection:?}");
    }

    #[test]
    fn a_moment_is_neither_before_nor_after_itself() {
        for (condition, at) in [
            (Condition::CreatedAfter as fn(i64) -> Condition, 1_000),
            (Condition::LastSignInAfter, 2_000),
            (Condition::PasswordChangedAfter, 3_000),
        ] {
            check(condition(at - 1), USER, true);
            check(condition(at), USER, false);
        }
        for (condition, at) in [
            (Condition::CreatedBefore as fn(i64) -> Condition, 1_000),
            (Condition::LastSignInBefore, 2_000),
        ] {
            check(condition(at + 1), USER, true);
            check(condition(at), USER, false);
        }
    }

    #[test]
    fn a_user_without_the_date_is_neither_before_nor_after() {
        for condition in [
            Condition::CreatedAfter as fn(i64) -> Condition,
            Condition::CreatedBefore,
            Condition::LastSignInAfter,
            Condition::LastSignInBefore,
            Condition::PasswordChangedAfter,
        ] {
            for at in [i64::MIN, 0, i64::MAX] {
                check(condition(at), r#"{"id":"user_a","locked":true}"#, false);
            }
        }
    }

    #[test]
    fn only_the_whole_domain_of_the_primary_address_counts() {
        let of = |domain: &str| Condition::EmailDomain(domain.to_owned());
        check(of("acme.com"), USER, true);
        for domain in ["other.org", "cme.com", "com", "a@acme.com", ""] {
            check(of(domain), USER, false);
        }
        check(of("acme.com"), r#"{"id":"user_a","locked":true}"#, false);
    }

    #[test]
    fn an_endless_lock_ends_after_any_duration() {
        let of = |seconds| Condition::LockEndsAfter(Duration::from_secs(seconds));
        check(of(59), USER, true);
        check(of(60), USER, false);
        check(of(u64::MAX), USER, false);
        check(of(u64::MAX), r#"{"locked":true,"lockout_expires_in_seconds":null}"#, true);
        for garbled in ["\"60\"", "60.5", "[]"] {
            let user = format!(r#"{{"locked":true,"lockout_expires_in_seconds":{garbled}}}"#);
            check(of(0), &user, false);
        }
    }

    #[test]
    fn the_first_condition_that_is_not_met_leaves_a_user_out() {
        let conditions = vec![Condition::CreatedAfter(0), Condition::NotBanned];
        let selection = Selection { conditions };
        let left_out_by = |json: &str| selection.left_out_by(&UserSnapshot::parse(json).unwrap());
        assert_eq!(left_out_by(r#"{"created_at":1,"banned":false}"#), None);
        assert_eq!(left_out_by(r#"{"created_at":1,"banned":true}"#), Some(1));
        assert_eq!(left_out_by(r#"{"created_at":0,"banned":true}"#), Some(0));
        check(Condition::NotAdminLocked, USER, true);
        let on_purpose = r#"{"locked":true,"verification_attempts_remaining":3}"#;
        check(Condition::NotAdminLocked, on_purpose, false);
    }

    #[test]
    fn the_filter_has_the_conditions_that_the_api_supports() {
        let conditions = vec![
            Condition::Organization("org_a".to_owned()),
            Condition::EmailDomain("acme.com".to_owned()),
            Condition::LastSignInBefore(2),
            Condition::CreatedAfter(1),
            Condition::LockEndsAfter(Duration::from_secs(1)),
            Condition::NotBanned,
        ];
        let known = conditions.iter().filter(|it| it.filter().is_some()).count();
        assert_eq!(known, 4);
        let filter = Selection { conditions }.filter();
        assert_eq!(filter.organization_ids, ["org_a"]);
        assert_eq!(filter.last_sign_in_at.before, Some(2));
        assert_eq!(filter.created_at.after, Some(1));
        assert_eq!(filter.banned, Some(false));
    }
}
