//! `--canary N`: a few users first, all of them, and the rest only if those ended well.

/// Holds everybody else back until the first few ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canary {
    n_wanted: usize,
    n_started: usize,
    n_ended: usize,
    all_well: bool,
}

impl Canary {
    /// Without a canary nobody is held back.
    pub(super) fn new(n_wanted: Option<usize>) -> Self {
        Self { n_wanted: n_wanted.unwrap_or(0), n_started: 0, n_ended: 0, all_well: true }
    }

    /// Whether one more user may be started.
    pub(super) fn may_start(&self) -> bool {
        self.n_started < self.n_wanted || self.n_ended >= self.n_wanted
    }

    pub(super) fn on_started(&mut self) {
        self.n_started += 1;
    }

    /// Whether the run should stop here.
    #[must_use]
    pub(super) fn on_ended(&mut self, well: bool) -> bool {
        let is_canary = self.n_ended < self.n_wanted;
        self.n_ended += 1;
        self.all_well &= well || !is_canary;
        !self.all_well && self.n_ended >= self.n_wanted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_waits_until_the_first_ended_well() {
        let mut canary = Canary::new(Some(2));
        for _ in 0..2 {
            assert!(canary.may_start());
            canary.on_started();
        }
        assert!(!canary.may_start());
        assert!(!canary.on_ended(true));
        assert!(!canary.may_start());
        assert!(!canary.on_ended(true));
        assert!(canary.may_start());
        assert!(!canary.on_ended(false), "the canary is over");
    }

    #[test]
    fn one_bad_end_stops_the_run_when_all_of_the_first_ended() {
        let mut canary = Canary::new(Some(3));
        assert!(!canary.on_ended(true));
        assert!(!canary.on_ended(false));
        assert!(canary.on_ended(true));
    }

    #[test]
    fn without_a_canary_nobody_waits_and_nothing_stops() {
        let mut canary = Canary::new(None);
        assert!(canary.may_start());
        assert!(!canary.on_ended(false));
    }
}
