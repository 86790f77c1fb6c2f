//! One user of the sandbox.

use std::time::Duration;

use crate::model::UserId;

use super::Population;
use super::population::{Rolls, YEAR, moment, tail_of, tail_to_handle};

/// A user of the sandbox. Times are in Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FakeUser {
    /// User ID.
    pub id: UserId,
    /// Whether the user is locked.
    pub lock: Lock,
    /// Whether the user is banned. Unlocking does not change it.
    pub banned: bool,
    /// First name.
    pub first_name: Option<&'static str>,
    /// Last name.
    pub last_name: Option<&'static str>,
    /// Username; compared without regard to case.
    pub username: Option<String>,
    /// Customer's own ID.
    pub external_id: Option<String>,
    /// Email addresses, at least one and the primary one first; compared without regard to case.
    pub emails: Vec<String>,
    /// Phone number in E.164 format.
    pub phone: Option<String>,
    /// IDs of the organizations that the user is a member of.
    pub organizations: Vec<&'static str>,
    /// Time of creation.
    pub created_at: u64,
    /// Time of the last change.
    pub updated_at: u64,
    /// Time of the last sign-in.
    pub last_sign_in_at: Option<u64>,
    /// Time of the last change of the password; `None` without a password.
    pub password_last_updated_at: Option<u64>,
    /// Decides the details that no test depends on.
    pub(super) salt: u64,
}

/// Lock of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lock {
    /// Whether the user is locked.
    pub locked: bool,
    /// Sign-ins that may still fail. A user who is locked with attempts left was locked on purpose.
    pub attempts_left: u8,
    /// Time until a lock ends, from the start of the sandbox; `None` if it never does.
    pub expires_in: Option<Duration>,
}

impl Lock {
    const MAX_ATTEMPTS: u8 = 10;

    /// Not locked, with all attempts left.
    pub(super) const OPEN: Self =
        Self { locked: false, attempts_left: Self::MAX_ATTEMPTS, expires_in: None };

    fn generate(rolls: &mut Rolls) -> Self {
        let (locked, attempts_left, percent_forever) = match rolls.below(100) {
            0..80 => (true, 0, 5),
            80..83 => (true, some_attempts(rolls), 50),
            _ => return Self { attempts_left: some_attempts(rolls), ..Self::OPEN },
        };
        // No lock ends within 15 minutes of the start, so that a short rehearsal is deterministic.
        let is_forever = rolls.percent(percent_forever);
        let expires_in = Duration::from_secs(900 + rolls.below(2_701));
        Self { locked, attempts_left, expires_in: (!is_forever).then_some(expires_in) }
    }

    /// This lock some time later.
    pub(super) fn after(self, elapsed: Duration) -> Self {
        match self.expires_in {
            Some(expires_in) if expires_in <= elapsed => Self::OPEN,
            expires_in => {
                Self { expires_in: expires_in.map(|it| it.saturating_sub(elapsed)), ..self }
            }
        }
    }
}

fn some_attempts(rolls: &mut Rolls) -> u8 {
    // Most users have not failed at all.
    if rolls.percent(60) { Lock::MAX_ATTEMPTS } else { 1 + (rolls.next() % 9) as u8 }
}

impl FakeUser {
    /// Whether the user is locked, on purpose or not.
    pub fn is_locked(&self) -> bool {
        self.lock.locked
    }

    /// Whether the user looks locked on purpose: locked, with attempts left.
    pub fn is_admin_locked(&self) -> bool {
        self.lock.locked && self.lock.attempts_left > 0
    }

    /// Time of the last activity, with the precision of a day as in Clerk's API.
    pub(super) fn last_active_at(&self) -> Option<u64> {
        const DAY: u64 = 24 * 60 * 60 * 1000;
        self.last_sign_in_at.map(|at| at / DAY * DAY)
    }

    /// Whether the user has this identifier or membership; `parameter` names its kind as the API
    /// does.
    pub(super) fn has(&self, parameter: &str, value: &str) -> bool {
        match parameter {
            "user_id" => self.id.as_str() == value,
            "email_address" => self.emails.iter().any(|it| it.eq_ignore_ascii_case(value)),
            "phone_number" => self.phone.as_deref() == Some(value),
            "username" => self.username.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(value)),
            "external_id" => self.external_id.as_deref() == Some(value),
            "organization_id" => self.organizations.contains(&value),
            _ => false,
        }
    }

    /// Whether a text of the user contains `needle`, which is in lower case; `parameter` is one of
    /// the API's parameters for partial matches.
    pub(super) fn contains(&self, parameter: &str, needle: &str) -> bool {
        let is_asked = |name: &str| parameter == "query" || parameter == name;
        let emails = self.emails.iter().map(String::as_str);
        let texts = emails
            .map(|it| ("email_address_query", Some(it)))
            .chain([("phone_number_query", self.phone.as_deref())])
            .chain([("username_query", self.username.as_deref())])
            .chain([("name_query", self.first_name), ("name_query", self.last_name)])
            .chain([("query", Some(self.id.as_str()))]);
        texts
            .filter(|(name, _)| is_asked(name))
            .any(|(_, text)| text.is_some_and(|it| it.to_lowercase().contains(needle)))
    }

    /// The order of the rolls decides who a user of a seed is; new ones come last.
    pub(super) fn generate(
        population: &Population,
        id: &UserId,
        index: Option<u32>,
        mut rolls: Rolls,
    ) -> Self {
        let banned = rolls.percent(2);
        let lock = Lock::generate(&mut rolls);
        let mut rolls = population.detail_rolls(id);
        let names = Names::generate(&mut rolls);
        let created_at = match index {
            Some(index) => population.created_at(index),
            None => moment(rolls.next() >> 8),
        };
        let signed_in_at = created_at + rolls.below(YEAR / 4);
        let (has_username, has_phone) = (!rolls.percent(15), rolls.percent(60));
        let has_second_email = rolls.percent(20);
        // Each identifier contains the index or the tail, and so leads back to the user.
        let (username, email, second_email, phone) = if let Some(index) = index {
            let first_name = names.plain.0.to_ascii_lowercase();
            let second_email = format!("{first_name}+{index}@work.example");
            let phone = listed_phone(index, has_phone);
            let email = listed_email(population, index);
            (format!("{first_name}_{index}"), email, second_email, phone)
        } else {
            let handle = tail_to_handle(tail_of(id));
            let second_email = format!("{handle}@work.example");
            let email = format!("{handle}@sandbox.example");
            (handle, email, second_email, None)
        };
        let shared_email =
            index.filter(|it| it % 100 == 53).map(|it| listed_email(population, it - 1));
        let second_email = shared_email.or_else(|| has_second_email.then_some(second_email));
        let external_id = (!rolls.percent(10)).then(|| format!("ext_{}", tail_of(id)));
        let last_sign_in_at = (!rolls.percent(5)).then_some(signed_in_at);
        let salt = rolls.next();
        let mut organizations = Vec::new();
        if rolls.percent(40) {
            organizations.push(rolls.pick(&Population::ORGANIZATIONS));
        }
        if rolls.percent(10) {
            organizations.push(rolls.pick(&Population::ORGANIZATIONS));
            organizations.dedup();
        }
        let password_changed_at = if rolls.percent(25) { rolls.below(YEAR / 4) } else { 0 };
        let has_password = !rolls.percent(20);
        Self {
            id: id.clone(),
            lock,
            banned,
            first_name: names.first,
            last_name: names.last,
            username: has_username.then_some(username),
            external_id,
            emails: [email].into_iter().chain(second_email).collect(),
            phone,
            organizations,
            created_at,
            updated_at: created_at,
            last_sign_in_at,
            password_last_updated_at: has_password.then_some(created_at + password_changed_at),
            salt,
        }
    }
}

fn listed_email(population: &Population, index: u32) -> String {
    let id = population.listed_id(index);
    let (first, last) = Names::generate(&mut population.detail_rolls(&id)).plain;
    format!("{first}.{last}+{index}@example.com").to_ascii_lowercase()
}

/// Number 51 of every hundred has the phone number of number 50, who therefore has one.
fn listed_phone(index: u32, has_phone: bool) -> Option<String> {
    let owner = if index % 100 == 51 { index - 1 } else { index };
    (has_phone || matches!(index % 100, 50 | 51)).then(|| format!("+1555{owner:07}"))
}

/// Names of a user.
struct Names {
    first: Option<&'static str>,
    last: Option<&'static str>,
    /// First and last name in ASCII, for email addresses.
    plain: (&'static str, &'static str),
}

impl Names {
    /// One in eight is awkward.
    fn generate(rolls: &mut Rolls) -> Self {
        let plain = (rolls.pick(&FIRST), rolls.pick(&LAST));
        let awkward = rolls.pick(&AWKWARD);
        let (first, last) =
            if rolls.percent(12) { awkward } else { (Some(plain.0), Some(plain.1)) };
        Self { first, last, plain }
    }
}

const FIRST: [&str; 16] = [
    "Olivia", "Noah", "Amara", "Luca", "Priya", "Mateo", "Hana", "Elias", "Zoe", "Kwame", "Ingrid",
    "Tariq", "Maeve", "Diego", "Yuki", "Sofia",
];
const LAST: [&str; 16] = [
    "Martin", "Okafor", "Silva", "Novak", "Sharma", "Garcia", "Tanaka", "Weber", "Rossi", "Mensah",
    "Larsen", "Haddad", "Murphy", "Torres", "Kimura", "Petrov",
];

/// First and last names that have broken programs.
const AWKWARD: [(Option<&str>, Option<&str>); 16] = [
    (Some("Miles"), Some("O'Brien")),
    (Some("<script>alert(1)</script>"), Some("Tables")),
    (Some("=HYPERLINK(\"http://x\")"), Some("+1+1")),
    (Some("\"quoted\", comma"), Some("semi;colon|pipe")),
    (Some("😀👩‍👩‍👧‍👦"), Some("Ünïcödé")),
    (Some("\u{202e}evets"), Some("\u{200b}invisible")),
    (Some("Line\nbreak"), Some("carriage\r\nreturn")),
    (Some(LONG), Some("Long")),
    (Some(""), Some("")),
    (None, None),
    (Some("null"), Some("NaN")),
    (Some("{{7*7}}"), Some("%s%n${HOME}")),
    (Some("\u{1b}[31mred\u{1b}[0m"), Some("tab\there")),
    (Some("محمد"), Some("李小龍")),
    (Some("@SUM(A1)"), Some("-2+3")),
    (Some("  padded  "), Some("back\\slash")),
];

/// 300 characters.
const LONG: &str = "Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinhausenbergerdorff\
    Wolfeschlegelsteinha";

#[cfg(test)]
mod tests {
    use super::*;

    fn find(is_wanted: impl Fn(&FakeUser) -> bool) -> FakeUser {
        let population = Population::new(1);
        let mut users = (0..).filter_map(|index| population.user(&population.listed_id(index)));
        users.find(is_wanted).unwrap()
    }

    #[test]
    fn a_lock_counts_down_and_ends() {
        let lock = find(|user| user.lock.expires_in.is_some()).lock;
        let expires_in = lock.expires_in.unwrap();
        let minute = Duration::from_secs(60);
        assert_eq!(lock.after(Duration::ZERO), lock);
        let expected = Lock { expires_in: expires_in.checked_sub(minute), ..lock };
        assert_eq!(lock.after(minute), expected);
        assert_eq!(lock.after(expires_in), Lock::OPEN);
    }

    #[test]
    fn a_lock_without_an_end_stays() {
        let lock = find(|user| user.lock.locked && user.lock.expires_in.is_none()).lock;
        assert_eq!(lock.after(Duration::from_secs(1_000_000)), lock);
    }

    #[test]
    fn partial_matches_ignore_case_and_keep_to_their_texts() {
        let user = find(|user| user.username.is_some() && user.first_name == Some("Noah"));
        assert!(user.contains("query", "noah") && user.contains("name_query", "oah"));
        assert!(user.contains("query", &user.id.as_str()[5..].to_lowercase()));
        assert!(user.contains("email_address_query", "@example"));
        assert!(!user.contains("username_query", "@example") && !user.contains("query", "nobody"));
    }

    #[test]
    fn the_long_name_has_300_characters() {
        assert_eq!(LONG.len(), 300);
    }
}
