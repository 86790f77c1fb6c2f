//! The attempts of the last minute, in slots of half a second.

use std::time::Duration;

const N_SLOTS: u64 = 128;
const N_PLACES: usize = 128;
const SLOT: Duration = Duration::from_millis(500);

/// How many attempts there were in some time, and how long they waited and took in all.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Flow {
    pub(super) n: u64,
    pub(super) waited: Duration,
    pub(super) took: Duration,
}

/// The attempts that ended lately.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    slots: [Flow; N_PLACES],
    newest: u64,
}

impl Default for Recent {
    fn default() -> Self {
        Self { slots: [Flow::default(); N_PLACES], newest: 0 }
    }
}

impl Recent {
    /// How far back it reaches.
    pub(super) const SPAN: Duration = Duration::from_secs(64);

    pub(super) fn add(&mut self, elapsed: Duration, waited: Duration, took: Duration) {
        let number = slot_number(elapsed);
        self.forget_up_to(number);
        let slot = &mut self.slots[place(self.newest)];
        slot.n += 1;
        slot.waited += waited;
        slot.took += took;
    }

    /// The attempts of the last `span`, to half a second.
    pub(super) fn within(&self, span: Duration, elapsed: Duration) -> Flow {
        self.slots_within(span, elapsed).fold(Flow::default(), |sum, (_, slot)| Flow {
            n: sum.n + slot.n,
            waited: sum.waited + slot.waited,
            took: sum.took + slot.took,
        })
    }

    /// How long until the `nth` of the attempts of the last `span`, counted from 0 and from the
    /// oldest on, is older than that.
    pub(super) fn until_older(&self, span: Duration, elapsed: Duration, nth: u64) -> Duration {
        let mut n_ended = 0;
        let slot = self.slots_within(span, elapsed).find(|(_, slot)| {
            n_ended += slot.n;
            n_ended > nth
        });
        slot.map(|(number, _)| (begin(number) + span).saturating_sub(elapsed)).unwrap_or_default()
    }

    /// The slots of the last `span` with their numbers, from the oldest on.
    fn slots_within(&self, span: Duration, elapsed: Duration) -> impl Iterator<Item = (u64, Flow)> {
        let newest = slot_number(elapsed);
        let n_slots = slot_number(span).clamp(1, N_SLOTS);
        let oldest = (newest + 1).saturating_sub(n_slots);
        let kept_from = (self.newest + 1).saturating_sub(N_SLOTS);
        (oldest.max(kept_from)..=self.newest).map(|number| (number, self.slots[place(number)]))
    }

    /// How much of the last `span` has passed since the start: the divisor of a rate. At least a
    /// slot, so that the first few attempts do not look like a rush.
    pub(super) fn covered(span: Duration, elapsed: Duration) -> Duration {
        let in_newest = elapsed.saturating_sub(begin(slot_number(elapsed)));
        (span.saturating_sub(SLOT) + in_newest).min(elapsed).max(SLOT)
    }

    fn forget_up_to(&mut self, number: u64) {
        let from = (self.newest + 1).max((number + 1).saturating_sub(N_SLOTS));
        (from..=number).for_each(|it| self.slots[place(it)] = Flow::default());
        self.newest = self.newest.max(number);
    }
}

fn slot_number(elapsed: Duration) -> u64 {
    u64::try_from(elapsed.as_millis() / SLOT.as_millis()).unwrap_or(u64::MAX / 2)
}

/// When a slot begins.
fn begin(number: u64) -> Duration {
    SLOT.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX))
}

fn place(number: u64) -> usize {
    usize::try_from(number % N_SLOTS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    proptest! {
        /// Against a list that forgets nothing.
        #[test]
        fn the_attempts_of_the_last_slots_are_counted_and_no_others(
            steps in prop::collection::vec(0u64..4000, 0..90), after in 0u64..80_000, span in 1u64..129
        ) {
            let (mut recent, mut ends, mut now) = (Recent::default(), Vec::new(), 0);
            for step in steps {
                now += step;
                recent.add(ms(now), ms(1), ms(2));
                ends.push(now);
            }
            now += after;
            let oldest = (now / 500 + 1).saturating_sub(span);
            let n = ends.iter().filter(|end| *end / 500 >= oldest).count() as u64;
            let flow = recent.within(ms(span * 500), ms(now));
            prop_assert_eq!(flow, Flow { n, waited: ms(n), took: ms(2 * n) });
        }
    }

    #[test]
    fn the_oldest_attempts_leave_a_span_first() {
        let mut recent = Recent::default();
        for at in [100, 200, 2_600] {
            recent.add(ms(at), ms(0), ms(0));
        }
        for (nth, expected) in [(0, 7_000), (1, 7_000), (2, 9_500), (3, 0)] {
            let left = recent.until_older(ms(10_000), ms(3_000), nth);
            assert_eq!(left, ms(expected), "{nth}");
        }
        assert_eq!(recent.until_older(ms(10_000), ms(10_500), 0), ms(2_000));
    }

    #[test]
    fn a_rate_counts_only_the_time_since_the_start() {
        assert_eq!(Recent::covered(ms(5000), ms(100)), ms(500));
        assert_eq!(Recent::covered(ms(5000), ms(2000)), ms(2000));
        assert_eq!(Recent::covered(ms(5000), ms(60_200)), ms(4700));
    }
}
