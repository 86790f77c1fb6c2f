//! Flags that select users of the instance: for `locked`, and for `--all-locked`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::values::{Moment, duration, email_domain, moment, organization};
use crate::policy::selection::{Condition, Selection};

/// The heading in the help.
pub(super) const HEADING: &str = "Filters";

/// Conditions that a locked user must meet.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = HEADING)]
pub(super) struct FilterArgs {
    /// Only members of this organization
    ///
    /// The API checks it; the user objects that it returns do not show it
    #[arg(long, value_name = "ID", value_parser = organization, hide_short_help = true)]
    pub(super) organization: Option<String>,
    /// Only users whose primary email address has this domain
    ///
    /// Its subdomains are other domains
    #[arg(long, value_name = "DOMAIN", value_parser = email_domain, hide_short_help = true)]
    pub(super) email_domain: Option<String>,
    /// Only users who last signed in after this time, or less than this long ago
    ///
    /// A time is written with its zone, such as 2026-07-06T22:00:00Z, or as an age, such as 7d. This filter leaves out users who never signed in
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) last_sign_in_after: Option<Moment>,
    /// Only users who last signed in before this time, or longer ago
    ///
    /// This filter leaves out users who never signed in
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) last_sign_in_before: Option<Moment>,
    /// Only users who were created after this time, or less than this long ago
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) created_after: Option<Moment>,
    /// Only users who were created before this time, or longer ago
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) created_before: Option<Moment>,
    /// Only users who last changed their password after this time
    ///
    /// This filter leaves out users whose last change is not known
    #[arg(long, value_name = "TIME", value_parser = moment, hide_short_help = true)]
    pub(super) password_changed_after: Option<Moment>,
    /// Only users whose lock lasts longer than this from now, or never ends
    #[arg(long, value_name = "DURATION", value_parser = duration, hide_short_help = true)]
    pub(super) lock_ends_after: Option<Duration>,
    /// Leave out banned users
    #[arg(long, hide_short_help = true)]
    pub(super) skip_banned: bool,
}

impl FilterArgs {
    /// The conditions; an age counts from `now` on.
    pub(super) fn selection(&self, now: SystemTime) -> Selection {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = |moment: &Option<Moment>| Some(moment.as_ref()?.unix_ms(now));
        let conditions = [
            self.organization.clone().map(Condition::Organization),
            at(&self.created_after).map(Condition::CreatedAfter),
            at(&self.created_before).map(Condition::CreatedBefore),
            at(&self.last_sign_in_after).map(Condition::LastSignInAfter),
            at(&self.last_sign_in_before).map(Condition::LastSignInBefore),
            at(&self.password_changed_after).map(Condition::PasswordChangedAfter),
            self.email_domain.clone().map(Condition::EmailDomain),
            self.lock_ends_after.map(Condition::LockEndsAfter),
            self.skip_banned.then_some(Condition::NotBanned),
        ];
        Selection { conditions: conditions.into_iter().flatten().collect() }
    }
}
