//! The marks of an axis.

/// Rates in thousandths of a request per second, from 0 to a round number.
pub(super) struct Axis {
    step: u64,
    n_steps: u64,
}

impl Axis {
    /// An axis with room for that rate and about four marks.
    pub(super) fn for_rates_up_to(max: u64) -> Self {
        let at_least = max.div_ceil(4).max(1);
        let magnitude = 10u64.saturating_pow(at_least.ilog10());
        // A step of 2.5 needs another digit.
        let steps = [10, 20, 25, 50, 100].map(|it: u64| it.saturating_mul(magnitude) / 10);
        let step = steps.into_iter().find(|it| *it >= at_least).unwrap_or(at_least);
        Self { step, n_steps: max.div_ceil(step).max(1) }
    }

    /// The highest mark.
    pub(super) fn top(&self) -> u64 {
        self.step.saturating_mul(self.n_steps)
    }

    /// All marks, 0 included.
    pub(super) fn marks(&self) -> impl Iterator<Item = u64> {
        (0..=self.n_steps).map(|it| self.step.saturating_mul(it))
    }
}

/// A rate per second: `80`, `0.25`.
pub(super) fn rate(thousandths: u64) -> String {
    let whole = crate::report::text::number(thousandths / 1000);
    match thousandths % 1000 {
        0 => whole,
        part => format!("{whole}.{part:03}").trim_end_matches('0').to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(max: u64) -> String {
        Axis::for_rates_up_to(max).marks().map(rate).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn marks_are_round_and_few() {
        assert_eq!(marks(0), "0 0.001");
        assert_eq!(marks(250), "0 0.1 0.2 0.3");
        assert_eq!(marks(7_000), "0 2 4 6 8");
        assert_eq!(marks(80_000), "0 20 40 60 80");
        assert_eq!(marks(92_000), "0 25 50 75 100");
        assert_eq!(marks(812_000), "0 250 500 750 1,000");
    }

    proptest! {
        #[test]
        fn the_highest_mark_is_not_below_the_rate_and_not_far_above(max in 1u64..u64::MAX / 16) {
            let axis = Axis::for_rates_up_to(max);
            prop_assert!(axis.top() >= max);
            prop_assert!(axis.top() - max < axis.step);
            prop_assert!(axis.marks().count() <= 5);
        }
    }
}
