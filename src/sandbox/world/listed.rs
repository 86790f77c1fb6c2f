//! The users that the instance lists: their ids hold their index, scrambled by the seed.

use crate::model::UserId;

use super::ksuid;
use super::mix::mix;

/// The most users that an instance can list.
pub(in crate::sandbox) const MAX_LISTED: u32 = 10_000_000;

/// First of July 2024, in Unix milliseconds.
const FIRST_CREATED_AT: u64 = 1_719_792_000_000;
pub(super) const YEAR: u64 = 365 * 24 * 60 * 60 * 1000;
/// Near the golden section of a year and without a common divisor: whatever the number of users,
/// they are spread evenly over the year and no two are of one moment.
const STEP: u64 = 19_490_295_581;

/// The tail of the id of the listed user with that index.
pub(super) fn tail(seed: u64, index: u32) -> String {
    ksuid::ksuid(scramble(seed, u64::from(index)))
}

/// The index in the id of a listed user.
pub(super) fn index_of(seed: u64, id: &UserId) -> Option<u32> {
    let number = ksuid::number_of(&id.as_str()[UserId::PREFIX.len()..])?;
    let index = u32::try_from(unscramble(seed, number)).ok()?;
    (index < MAX_LISTED).then_some(index)
}

/// When the listed user with that index was created, in Unix milliseconds.
pub(super) fn created_at(seed: u64, index: u32) -> u64 {
    moment(mix(seed) % YEAR + u64::from(index) * STEP)
}

/// A moment in the year in which all users were created.
pub(super) fn moment(offset: u64) -> u64 {
    FIRST_CREATED_AT + offset % YEAR
}

/// A permutation of all numbers: four rounds of a Feistel network.
fn scramble(seed: u64, number: u64) -> u64 {
    let (left, right) = (0..4).fold(halves(number), |(left, right), round| {
        (right, left ^ scrambled_half(seed, round, right))
    });
    joined(left, right)
}

fn unscramble(seed: u64, number: u64) -> u64 {
    let (left, right) = (0..4).rev().fold(halves(number), |(left, right), round| {
        (right ^ scrambled_half(seed, round, left), left)
    });
    joined(left, right)
}

fn scrambled_half(seed: u64, round: u64, half: u32) -> u32 {
    (mix(seed ^ mix(round << 32 | u64::from(half))) >> 32) as u32
}

fn halves(number: u64) -> (u32, u32) {
    ((number >> 32) as u32, (number & 0xffff_ffff) as u32)
}

fn joined(left: u32, right: u32) -> u64 {
    u64::from(left) << 32 | u64::from(right)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_index_is_read_back_with_the_same_seed_alone(seed: u64, index in 0..MAX_LISTED) {
            let id: UserId = format!("user_{}", tail(seed, index)).parse().unwrap();
            prop_assert_eq!(index_of(seed, &id), Some(index));
            prop_assert_eq!(index_of(seed ^ 1, &id), None);
        }
    }

    #[test]
    fn no_two_users_are_of_one_moment() {
        let moments: HashSet<u64> = (0..50_000).map(|index| created_at(1, index)).collect();
        assert_eq!(moments.len(), 50_000);
    }

    #[test]
    fn users_are_spread_over_the_year() {
        let per_tenth = (0..1000).fold([0; 10], |mut counts, index| {
            counts[((created_at(1, index) - FIRST_CREATED_AT) * 10 / YEAR) as usize] += 1;
            counts
        });
        assert!(per_tenth.iter().all(|n| (90..110).contains(n)), "{per_tenth:?}");
    }
}
