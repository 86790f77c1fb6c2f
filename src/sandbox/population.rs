//! The users of a sandbox: a pure function of seed and ID, so that no user takes memory until a
//! request changes it.

use std::time::Duration;

use crate::clerk::UserId;

/// The users of a sandbox as they are before any request changes them.
///
/// Every well-formed ID is a user, except 2 % of the IDs that the instance does not list. About
/// 80 % of the users are locked by failed sign-ins (one in 20 of them forever), 3 % are locked on
/// purpose, 17 % are not locked; 2 % are banned; one in eight has an awkward name.
///
/// Every user has an email address; most have a username and an external ID (`ext_` and the ID
/// without `user_`); listed users may have a phone number. Of every hundred listed users, number 51
/// has the phone number of number 50, and number 53 has the address of number 52 as a second one:
/// these identifiers are ambiguous.
///
/// ```
/// use bulk_unlock::sandbox::Population;
///
/// let population = Population::new(1);
/// assert!(population.user(&population.listed_id(0)).is_some());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Population {
    seed: u64,
}

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

impl Population {
    /// The most users that an instance can list.
    pub const MAX_LISTED: u32 = 10_000_000;
    /// The organizations that users are members of.
    const ORGANIZATIONS: [&str; 4] = ["org_acme", "org_globex", "org_initech", "org_umbrella"];

    /// The population of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// ID of the listed user with this index. An instance lists the users 0 to `n_users` - 1, by
    /// their time of creation.
    pub fn listed_id(&self, index: u32) -> UserId {
        let id = id_with_tail(&ksuid(scramble(self.seed, index.into())));
        id.unwrap_or_else(|| unreachable!("base62 digits make a user ID"))
    }

    /// The user with this ID, if it exists.
    ///
    /// The order of the rolls decides who a user of a seed is; new ones come last.
    pub fn user(&self, id: &UserId) -> Option<FakeUser> {
        let index = self.index_of(id);
        let mut rolls = Rolls(hash(self.seed, id.as_str()));
        if rolls.percent(2) && index.is_none() {
            return None;
        }
        let banned = rolls.percent(2);
        let lock = Lock::generate(&mut rolls);
        let (mut rolls, plain) = self.details(id);
        let awkward = rolls.pick(&AWKWARD);
        let (first_name, last_name) =
            if rolls.percent(12) { awkward } else { (Some(plain.0), Some(plain.1)) };
        let created_at = match index {
            Some(index) => self.created_at(index),
            None => moment(rolls.next() >> 8),
        };
        let signed_in_at = created_at + rolls.below(YEAR / 4);
        let (has_username, has_phone) = (!rolls.percent(15), rolls.percent(60));
        let has_second_email = rolls.percent(20);
        // Each identifier contains the index or the tail, and so leads back to the user.
        let (username, email, second_email, phone) = if let Some(index) = index {
            let name = plain.0.to_ascii_lowercase();
            let second_email = format!("{name}+{index}@work.example");
            let phone = listed_phone(index, has_phone);
            (format!("{name}_{index}"), self.listed_email(index), second_email, phone)
        } else {
            let handle = tail_to_handle(tail_of(id));
            let email = format!("{handle}@sandbox.example");
            let second_email = format!("{handle}@work.example");
            (handle, email, second_email, None)
        };
        let second_email = match index {
            Some(index) if index % 100 == 53 => Some(self.listed_email(index - 1)),
            _ => has_second_email.then_some(second_email),
        };
        let external_id = (!rolls.percent(10)).then(|| format!("ext_{}", tail_of(id)));
        let last_sign_in_at = (!rolls.percent(5)).then_some(signed_in_at);
        let salt = rolls.next();
        let mut organizations = Vec::new();
        for percent in [40, 10] {
            if rolls.percent(percent) {
                organizations.push(rolls.pick(&Self::ORGANIZATIONS));
            }
        }
        organizations.dedup();
        let password_changed_at = if rolls.percent(25) { rolls.below(YEAR / 4) } else { 0 };
        let has_password = !rolls.percent(20);
        Some(FakeUser {
            id: id.clone(),
            lock,
            banned,
            first_name,
            last_name,
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
        })
    }

    /// Users that have this identifier; `parameter` names its kind as the API does.
    pub(super) fn find(self, parameter: &str, value: &str) -> Vec<FakeUser> {
        let name = value.split('@').next().unwrap_or_default();
        let (index, id) = match parameter {
            "user_id" => (None, value.parse().ok()),
            "external_id" => (None, value.strip_prefix("ext_").and_then(id_with_tail)),
            "phone_number" => (value.strip_prefix("+1555"), None),
            _ => match name.split_once(if parameter == "username" { '_' } else { '+' }) {
                Some((_, index)) => (Some(index), None),
                None => (None, handle_to_tail(name).as_deref().and_then(id_with_tail)),
            },
        };
        // The user with the next index may share an identifier with this one.
        let index = index.and_then(|it| it.parse().ok()).filter(|it| *it < Self::MAX_LISTED);
        let listed = index.into_iter().flat_map(|it: u32| [it, it + 1]);
        let ids = listed.map(|index| self.listed_id(index)).chain(id);
        ids.filter_map(|id| self.user(&id)).filter(|user| user.has(parameter, value)).collect()
    }

    /// Time of creation of a listed user, in Unix milliseconds.
    ///
    /// The step is near the golden ratio of a year and shares no divisor with it: any number of
    /// users is spread evenly over the year, and no two share a moment.
    pub(super) fn created_at(self, index: u32) -> u64 {
        const STEP: u64 = 19_490_295_581;
        moment(mix(self.seed) % YEAR + u64::from(index) * STEP)
    }

    fn index_of(self, id: &UserId) -> Option<u32> {
        let number = number_in(tail_of(id))?;
        let index = u32::try_from(unscramble(self.seed, number)).ok()?;
        (index < Self::MAX_LISTED).then_some(index)
    }

    /// Rolls for the details of a user, and the first and last name in ASCII.
    fn details(self, id: &UserId) -> (Rolls, (&'static str, &'static str)) {
        let mut rolls = Rolls(!hash(self.seed, id.as_str()));
        let plain = (rolls.pick(&FIRST), rolls.pick(&LAST));
        (rolls, plain)
    }

    fn listed_email(self, index: u32) -> String {
        let (_, (first, last)) = self.details(&self.listed_id(index));
        format!("{first}.{last}+{index}@example.com").to_ascii_lowercase()
    }
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

    /// Whether the user has this identifier or membership; `parameter` names its kind as the API
    /// does.
    pub(super) fn has(&self, parameter: &str, value: &str) -> bool {
        match parameter {
            "user_id" => self.id.as_str() == value,
            "email_address" => self.emails.iter().any(|it| it.eq_ignore_ascii_case(value)),
            "phone_number" => self.phone.as_deref() == Some(value),
            "username" => self.username.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(value)),
            "external_id" => self.external_id.as_deref() == Some(value),
            _ => self.organizations.contains(&value),
        }
    }
}

impl Lock {
    const MAX_ATTEMPTS: u8 = 10;

    /// Not locked, with all attempts left.
    pub(super) const OPEN: Self =
        Self { locked: false, attempts_left: Self::MAX_ATTEMPTS, expires_in: None };

    fn generate(rolls: &mut Rolls) -> Self {
        // Most users have not failed at all.
        let some_attempts = |rolls: &mut Rolls| {
            if rolls.percent(60) { Self::MAX_ATTEMPTS } else { 1 + (rolls.next() % 9) as u8 }
        };
        let (attempts_left, percent_forever) = match rolls.below(100) {
            0..80 => (0, 5),
            80..83 => (some_attempts(rolls), 50),
            _ => return Self { attempts_left: some_attempts(rolls), ..Self::OPEN },
        };
        // No lock ends within 15 minutes of the start, so that a short rehearsal is deterministic.
        let is_forever = rolls.percent(percent_forever);
        let expires_in = Duration::from_secs(900 + rolls.below(2_701));
        Self { locked: true, attempts_left, expires_in: (!is_forever).then_some(expires_in) }
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

/// Number 51 of every hundred has the phone number of number 50, who therefore has one.
fn listed_phone(index: u32, has_phone: bool) -> Option<String> {
    let owner = if index % 100 == 51 { index - 1 } else { index };
    (has_phone || matches!(index % 100, 50 | 51)).then(|| format!("+1555{owner:07}"))
}

fn tail_of(id: &UserId) -> &str {
    &id.as_str()[UserId::PREFIX.len()..]
}

fn id_with_tail(tail: &str) -> Option<UserId> {
    format!("{}{tail}", UserId::PREFIX).parse().ok()
}

/// Writes the tail of an ID in lower case, followed by `-` and a hexadecimal mask of its capitals:
/// email addresses and usernames are compared without regard to case.
fn tail_to_handle(tail: &str) -> String {
    let capitals = tail
        .bytes()
        .rev()
        .fold(0_u64, |mask, byte| (mask << 1) | u64::from(byte.is_ascii_uppercase()));
    let lower_case = tail.to_ascii_lowercase();
    if capitals == 0 { lower_case } else { format!("{lower_case}-{capitals:x}") }
}

fn handle_to_tail(handle: &str) -> Option<String> {
    let (lower_case, mask) = handle.split_once('-').unwrap_or((handle, "0"));
    let capitals = u64::from_str_radix(mask, 16).ok()?;
    let restore = |(at, c): (usize, char)| {
        if capitals >> at & 1 == 1 { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    let is_tail = lower_case.is_ascii() && lower_case.len() <= UserId::MAX_TAIL;
    is_tail.then(|| lower_case.chars().enumerate().map(restore).collect())
}

const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

/// A moment in the year from July 2024 in which all users were created, in Unix milliseconds.
fn moment(offset: u64) -> u64 {
    1_719_792_000_000 + offset % YEAR
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Number of base62 digits that hold any `u64`.
const WIDTH: u32 = 11;

/// 27 base62 characters, as in Clerk's IDs, that contain `number`.
pub(super) fn ksuid(number: u64) -> String {
    // Clerk's IDs of these years begin with a 2.
    let mut text = "2".to_owned();
    for (number, width) in [(number, WIDTH), (mix(number), WIDTH), (mix(!number), 4)] {
        let digit = |place| DIGITS[(number / 62_u64.pow(place) % 62) as usize];
        text.extend((0..width).rev().map(|place| char::from(digit(place))));
    }
    text
}

/// The number in a text that [`ksuid`] wrote.
fn number_in(text: &str) -> Option<u64> {
    let number =
        text.as_bytes().get(1..=WIDTH as usize)?.iter().try_fold(0_u64, |number, byte| {
            let digit = DIGITS.iter().position(|digit| digit == byte)?;
            number.checked_mul(62)?.checked_add(digit as u64)
        })?;
    (ksuid(number) == text).then_some(number)
}

/// A permutation of all numbers: four rounds of a Feistel network.
fn scramble(seed: u64, number: u64) -> u64 {
    (0..4).fold(number, |n, round| (n << 32) | ((n >> 32) ^ scrambled_half(seed, round, n)))
}

fn unscramble(seed: u64, number: u64) -> u64 {
    (0..4)
        .rev()
        .fold(number, |n, round| ((n ^ scrambled_half(seed, round, n >> 32)) << 32) | (n >> 32))
}

/// 32 bits from the lower 32 bits of `half`.
fn scrambled_half(seed: u64, round: u64, half: u64) -> u64 {
    mix(seed ^ mix((round << 32) | (half & 0xffff_ffff))) >> 32
}

/// Maps each number to another one (the finalizer of splitmix64). Not taken from a crate, so that
/// an update cannot change the population of a seed.
pub(super) fn mix(number: u64) -> u64 {
    let x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// FNV-1a, mixed.
fn hash(seed: u64, text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ mix(seed), step))
}

/// A sequence of pseudo-random numbers.
struct Rolls(u64);

impl Rolls {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`, which must not be zero.
    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True in `share` of 100 cases.
    fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        choices[usize::try_from(self.below(N as u64)).unwrap_or_default()]
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
    (Some(LONG_NAME), Some("Long")),
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
const LONG_NAME: &str = "Wolfeschlegelsteinhausenbergerdorff\
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
    use std::collections::HashSet;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn id(tail: impl std::fmt::Display) -> UserId {
        format!("user_{tail}").parse().unwrap()
    }

    fn find(is_wanted: impl Fn(&FakeUser) -> bool) -> FakeUser {
        let population = Population::new(1);
        let mut users = (0..).filter_map(|index| population.user(&population.listed_id(index)));
        users.find(is_wanted).unwrap()
    }

    /// Percentage of 20,000 unlisted IDs for which this is true.
    fn percentage(is_true: impl Fn(Option<&FakeUser>) -> bool) -> usize {
        let population = Population::new(1);
        let n = (0..20_000).filter(|n| is_true(population.user(&id(n)).as_ref())).count();
        (n + 100) / 200
    }

    #[test]
    fn the_users_of_a_seed_stay_the_same() {
        let population = Population::new(1);
        let mut text = String::new();
        let ids =
            [population.listed_id(0), population.listed_id(1), id("2NNEqL2nrIRdJ194ndJqAHwEfxC")];
        for user in ids.iter().filter_map(|id| population.user(id)) {
            writeln!(text, "{} {} {:?}", user.id, user.emails[0], user.lock).unwrap();
        }
        insta::assert_snapshot!(text, @"
        user_20CQupOStJJy6OYXwzhWVfF8nV2 amara.garcia+0@example.com Lock { locked: true, attempts_left: 0, expires_in: Some(2695s) }
        user_28ZNHSX6sBCi4YaPju4wpmt2UKw luca.weber+1@example.com Lock { locked: false, attempts_left: 9, expires_in: None }
        user_2NNEqL2nrIRdJ194ndJqAHwEfxC 2nneql2nrirdj194ndjqahwefxc-4b4162e@sandbox.example Lock { locked: false, attempts_left: 10, expires_in: None }
        ");
    }

    #[test]
    fn each_state_has_its_share() {
        let holds = |is_true: fn(&FakeUser) -> bool| percentage(|user| user.is_some_and(is_true));
        assert_eq!(percentage(|user| user.is_none()), 2);
        assert_eq!(holds(|user| user.lock.locked), 81);
        assert_eq!(holds(|user| user.lock.locked && user.lock.expires_in.is_none()), 5);
        assert_eq!(holds(FakeUser::is_admin_locked), 3);
        assert_eq!(holds(|user| user.banned), 2);
        assert_eq!(holds(|user| user.last_sign_in_at.is_none()), 5);
        assert_eq!(holds(|user| !user.organizations.is_empty()), 46);
    }

    #[test]
    fn every_listed_user_exists() {
        let population = Population::new(7);
        assert!((0..5_000).all(|index| population.user(&population.listed_id(index)).is_some()));
    }

    #[test]
    fn every_user_is_found_by_each_identifier() {
        let population = Population::new(3);
        let listed = (0..500).map(|index| population.listed_id(index));
        let unlisted = (0..500).map(|n| id(format!("2aB{n}zZ")));
        for user in listed.chain(unlisted).filter_map(|id| population.user(&id)) {
            let emails = user.emails.iter().map(|it| ("email_address", it));
            let phone = user.phone.iter().map(|it| ("phone_number", it));
            let username = user.username.iter().map(|it| ("username", it));
            let external_id = user.external_id.iter().map(|it| ("external_id", it));
            for (parameter, value) in emails.chain(phone).chain(username).chain(external_id) {
                let found = population.find(parameter, value);
                assert!(found.iter().any(|it| it.id == user.id), "{parameter} {value}");
            }
        }
    }

    #[test]
    fn identifiers_of_two_users_are_the_documented_ones() {
        let population = Population::new(3);
        for index in 0..200 {
            let user = population.user(&population.listed_id(index)).unwrap();
            let n_by_email = population.find("email_address", &user.emails[0]).len();
            assert_eq!(n_by_email, if index % 100 == 52 { 2 } else { 1 }, "{index}");
            let n_by_phone = user.phone.map_or(0, |it| population.find("phone_number", &it).len());
            let is_shared = matches!(index % 100, 50 | 51);
            assert!(if is_shared { n_by_phone == 2 } else { n_by_phone <= 1 }, "{index}");
        }
    }

    #[test]
    fn an_unknown_identifier_finds_no_user() {
        let population = Population::new(3);
        for value in ["", "x", "+1555", "+15559999999x", "a+99999999999@example.com", "ext_", "é-1"]
        {
            for parameter in ["user_id", "email_address", "phone_number", "external_id"] {
                assert!(population.find(parameter, value).is_empty(), "{parameter} {value}");
            }
        }
    }

    #[test]
    fn email_addresses_ignore_case() {
        let population = Population::new(3);
        let user = population.user(&id("2aBcDeF")).unwrap();
        assert_eq!(population.find("email_address", &user.emails[0].to_uppercase()).len(), 1);
    }

    #[test]
    fn listed_users_are_created_at_different_moments_of_a_year() {
        let population = Population::new(1);
        let moments: HashSet<u64> = (0..50_000).map(|index| population.created_at(index)).collect();
        assert_eq!(moments.len(), 50_000);
        let mut per_tenth = [0; 10];
        for index in 0..1_000 {
            per_tenth[((population.created_at(index) - moment(0)) * 10 / YEAR) as usize] += 1;
        }
        assert!(per_tenth.iter().all(|n| (90..110).contains(n)), "{per_tenth:?}");
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
    fn the_long_name_has_300_characters() {
        assert_eq!(LONG_NAME.len(), 300);
    }

    proptest! {
        #[test]
        fn the_index_is_read_back_with_the_same_seed_only(
            seed: u64,
            index in 0..Population::MAX_LISTED,
        ) {
            let id = Population::new(seed).listed_id(index);
            prop_assert_eq!(id.as_str().len(), 32);
            prop_assert_eq!(Population::new(seed).index_of(&id), Some(index));
            prop_assert_eq!(Population::new(seed ^ 1).index_of(&id), None);
        }

        #[test]
        fn the_tail_is_recovered_from_its_handle_in_any_case(tail in "[A-Za-z0-9]{1,64}") {
            let handle = tail_to_handle(&tail);
            prop_assert_eq!(handle_to_tail(&handle), Some(tail.clone()));
            prop_assert_eq!(handle_to_tail(&handle.to_uppercase()), Some(tail));
        }

        #[test]
        fn any_text_is_looked_up_without_a_panic(text: String) {
            for parameter in ["user_id", "email_address", "phone_number", "username", "external_id"] {
                Population::new(1).find(parameter, &text);
            }
        }
    }
}
