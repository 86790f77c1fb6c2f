//! Answers come in any order; "an earlier line" needs the order of the input.

use std::collections::BTreeMap;

/// Holds what came too early until all before it has come.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    next: usize,
    early: BTreeMap<usize, Vec<T>>,
}

impl<T> Default for InOrder<T> {
    fn default() -> Self {
        Self { next: 0, early: BTreeMap::new() }
    }
}

impl<T> InOrder<T> {
    /// Takes in a run of values, the first of which has that place.
    pub(super) fn put(&mut self, first: usize, values: Vec<T>) {
        self.early.insert(first, values);
    }

    /// All values whose turn has come.
    pub(super) fn take_ready(&mut self) -> Vec<T> {
        let mut ready = Vec::new();
        while let Some(values) = self.early.remove(&self.next) {
            self.next += values.len();
            ready.extend(values);
        }
        ready
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_early_waits_for_what_is_before_it() {
        let mut in_order = InOrder::default();
        in_order.put(2, vec!['c', 'd']);
        assert!(in_order.take_ready().is_empty());
        in_order.put(0, vec!['a', 'b']);
        assert_eq!(in_order.take_ready(), ['a', 'b', 'c', 'd']);
        in_order.put(4, vec!['e']);
        assert_eq!(in_order.take_ready(), ['e']);
    }
}
