//! Answers come in any order; "an earlier line" needs the order of the input.

use std::collections::BTreeMap;

/// Holds what came too early until all before it has come.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    next: usize,
    /// By the place of the first: how many places they are, and what stands there.
    early: BTreeMap<usize, (usize, Vec<T>)>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { next: 0, early: BTreeMap::new() }
    }
}

impl<T> InOrder<T> {
    /// Takes in this many places, from that one on, and the values that stand there; some of the
    /// places may have none.
    pub(super) fn put(&mut self, first: usize, n_places: usize, values: Vec<T>) {
        self.early.insert(first, (n_places, values));
    }

    /// All values whose turn has come.
    pub(super) fn take_ready(&mut self) -> Vec<T> {
        let mut ready = Vec::new();
        while let Some((n_places, values)) = self.early.remove(&self.next) {
            self.next += n_places;
            ready.extend(values);
        }
        ready
    }

    /// How many places there are from the first that has not come to this one.
    pub(super) fn n_ahead(&self, place: usize) -> usize {
        place.saturating_sub(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_early_waits_for_what_is_before_it() {
        let mut in_order = InOrder::default();
        in_order.put(2, 3, vec!['c', 'd']);
        assert!(in_order.take_ready().is_empty());
        assert_eq!(in_order.n_ahead(7), 7);
        in_order.put(0, 2, vec!['a', 'b']);
        assert_eq!(in_order.take_ready(), ['a', 'b', 'c', 'd']);
        assert_eq!((in_order.n_ahead(7), in_order.n_ahead(0)), (2, 0));
        in_order.put(5, 1, vec!['e']);
        assert_eq!(in_order.take_ready(), ['e']);
    }
}
