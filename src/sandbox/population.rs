//! Which users exist: a pure function of seed and ID, so that no user takes memory until a request
//! changes it.

use crate::model::UserId;

use super::FakeUser;

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
#[derive(Clone, Debug)]
pub struct Population {
    seed: u64,
}

impl Population {
    /// The most users that an instance can list.
    pub const MAX_LISTED: u32 = 10_000_000;
    /// The organizations that users are members of.
    pub const ORGANIZATIONS: [&str; 4] = ["org_acme", "org_globex", "org_initech", "org_umbrella"];

    /// The population of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// ID of the listed user with this index. An instance lists the users 0 to `n_users` - 1, by
    /// their time of creation.
    pub fn listed_id(&self, index: u32) -> UserId {
        let tail = ksuid(scramble(self.seed, index.into()));
        let id = format!("{}{tail}", UserId::PREFIX);
        id.parse().unwrap_or_else(|_| unreachable!("base62 digits make a user ID"))
    }

    /// The user with this ID, if there is one.
    pub fn user(&self, id: &UserId) -> Option<FakeUser> {
        let mut rolls = self.rolls(id);
        let index = self.index_of(id);
        let is_missing = rolls.percent(2) && index.is_none();
        (!is_missing).then(|| FakeUser::generate(self, id, index, rolls))
    }

    /// Users that have this identifier; `parameter` names its kind as the API does.
    pub(super) fn find(&self, parameter: &str, value: &str) -> Vec<FakeUser> {
        let candidates = match parameter {
            "user_id" => value.parse().into_iter().collect(),
            "external_id" => with_tail(value.strip_prefix("ext_")),
            "phone_number" => self.with_index(value.strip_prefix("+1555")),
            "username" => match value.split_once('_') {
                Some((_, index)) => self.with_index(Some(index)),
                None => with_tail(handle_to_tail(value).as_deref()),
            },
            _ => {
                let name = value.split('@').next().unwrap_or_default();
                match name.split_once('+') {
                    Some((_, index)) => self.with_index(Some(index)),
                    None => with_tail(handle_to_tail(name).as_deref()),
                }
            }
        };
        let mut users: Vec<_> = candidates.iter().filter_map(|id| self.user(id)).collect();
        users.retain(|user| user.has(parameter, value));
        users
    }

    /// Time of creation of a listed user, in Unix milliseconds.
    ///
    /// The step is near the golden ratio of a year and shares no divisor with it: any number of
    /// users is spread evenly over the year, and no two share a moment.
    pub(super) fn created_at(&self, index: u32) -> u64 {
        const STEP: u64 = 19_490_295_581;
        moment(mix(self.seed) % YEAR + u64::from(index) * STEP)
    }

    /// Numbers that decide the state of a user.
    fn rolls(&self, id: &UserId) -> Rolls {
        Rolls(hash(self.seed, id.as_str()))
    }

    /// Numbers that decide the names and identifiers of a user.
    pub(super) fn detail_rolls(&self, id: &UserId) -> Rolls {
        Rolls(!hash(self.seed, id.as_str()))
    }

    fn index_of(&self, id: &UserId) -> Option<u32> {
        let number = number_in(tail_of(id))?;
        let index = u32::try_from(unscramble(self.seed, number)).ok()?;
        (index < Self::MAX_LISTED).then_some(index)
    }

    /// The user with this index, and the next one, who may share an identifier with it.
    fn with_index(&self, digits: Option<&str>) -> Vec<UserId> {
        let index = digits.and_then(|it| it.parse().ok()).filter(|it| *it < Self::MAX_LISTED);
        index.into_iter().flat_map(|it| [self.listed_id(it), self.listed_id(it + 1)]).collect()
    }
}

pub(super) fn tail_of(id: &UserId) -> &str {
    &id.as_str()[UserId::PREFIX.len()..]
}

fn with_tail(tail: Option<&str>) -> Vec<UserId> {
    let id = tail.and_then(|tail| format!("{}{tail}", UserId::PREFIX).parse().ok());
    id.into_iter().collect()
}

/// Writes the tail of an ID in lower case, followed by `-` and a hexadecimal mask of its capitals:
/// email addresses and usernames are compared without regard to case.
pub(super) fn tail_to_handle(tail: &str) -> String {
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

pub(super) const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;

/// A moment in the year from July 2024 in which all users were created, in Unix milliseconds.
pub(super) fn moment(offset: u64) -> u64 {
    1_719_792_000_000 + offset % YEAR
}

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Number of base62 digits that hold any `u64`.
const WIDTH: usize = 11;

/// 27 base62 characters, as in Clerk's IDs, that contain `number`.
pub(super) fn ksuid(number: u64) -> String {
    // Clerk's IDs of these years begin with a 2.
    let mut text = "2".to_owned();
    for (mut number, width) in [(number, WIDTH), (mix(number), WIDTH), (mix(!number), 4)] {
        let mut digits = [0; WIDTH];
        for digit in digits[..width].iter_mut().rev() {
            *digit = DIGITS[(number % 62) as usize];
            number /= 62;
        }
        text.extend(digits[..width].iter().copied().map(char::from));
    }
    text
}

/// The number in a text that [`ksuid`] wrote.
fn number_in(text: &str) -> Option<u64> {
    let number = text.as_bytes().get(1..=WIDTH)?.iter().try_fold(0_u64, |number, byte| {
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
pub(super) fn hash(seed: u64, text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ mix(seed), step))
}

/// A sequence of pseudo-random numbers.
pub(super) struct Rolls(u64);

impl Rolls {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number below `n`, which must not be zero.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True in `share` of 100 cases.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(super) fn pick<T: Copy, const N: usize>(&mut self, choices: &[T; N]) -> T {
        choices[usize::try_from(self.below(N as u64)).unwrap_or_default()]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn id(tail: impl std::fmt::Display) -> UserId {
        format!("user_{tail}").parse().unwrap()
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
    fn a_foreign_identifier_finds_no_user() {
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
