//! Decides which request meets a fault.

use std::collections::HashMap;

use super::{FaultKind, Faults};

/// Decides which request meets a fault, by a seeded generator in the order of arrival.
///
/// The same request meets at most [`Dice::MOST_IN_A_ROW`] faults one after the other: whoever
/// tries four times gets through.
pub(super) struct Dice {
    faults: Faults,
    rng: fastrand::Rng,
    in_a_row: HashMap<u64, u8>,
}

impl Dice {
    pub(super) const MOST_IN_A_ROW: u8 = 3;

    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        Self { faults, rng: fastrand::Rng::with_seed(seed), in_a_row: HashMap::new() }
    }

    /// The fault that this request meets. `request` is the same number for the same request.
    pub(super) fn roll(&mut self, request: u64) -> Option<FaultKind> {
        let n = self.in_a_row.get(&request).copied().unwrap_or(0);
        let fault = self.faults.pick(self.rng.f64()).filter(|_| n < Self::MOST_IN_A_ROW);
        match fault {
            Some(_) => self.in_a_row.insert(request, n + 1),
            None => self.in_a_row.remove(&request),
        };
        fault
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fourth_try_gets_through_however_bad_the_day() {
        let mut dice = Dice::new(Faults::only(FaultKind::Reset, 1.0), 1);
        let rolls: Vec<bool> = (0..8).map(|_| dice.roll(7).is_some()).collect();
        assert_eq!(rolls, [true, true, true, false, true, true, true, false]);
    }

    #[test]
    fn a_share_of_the_requests_meets_a_fault() {
        let mut dice = Dice::new(Faults::mix(0.2), 1);
        let n = (0..10_000).filter(|&request| dice.roll(request).is_some()).count();
        assert!((1_800..2_200).contains(&n), "{n}");
    }

    #[test]
    fn the_same_seed_rolls_the_same_faults() {
        let rolls = |seed| {
            let mut dice = Dice::new(Faults::mix(0.5), seed);
            (0..100).map(|request| dice.roll(request)).collect::<Vec<_>>()
        };
        assert_eq!(rolls(1), rolls(1));
        assert_ne!(rolls(1), rolls(2));
    }
}
