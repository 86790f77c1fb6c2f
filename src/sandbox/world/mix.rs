//! Chance without a generator's state: the same seed and text always give the same numbers.
//!
//! Written out here rather than taken from a crate, so that the world stays the same whatever is
//! updated.

/// Scatters a number over all numbers, one to one (the finaliser of splitmix64).
pub(in crate::sandbox) fn mix(number: u64) -> u64 {
    let x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A number for a text (FNV-1a, scattered).
pub(in crate::sandbox) fn hash(seed: u64, text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    mix(text.bytes().fold(0xcbf2_9ce4_8422_2325 ^ mix(seed), step))
}

/// A row of numbers that follow from a first one.
pub(super) struct Rolls(u64);

impl Rolls {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// A number in `0..n`; `n` is above zero.
    pub(super) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// True so many times of a hundred.
    pub(super) fn percent(&mut self, share: u64) -> bool {
        self.below(100) < share
    }

    pub(super) fn one_of<T: Copy>(&mut self, choice: &[T; 16]) -> T {
        choice[(self.next() % 16) as usize]
    }
}
