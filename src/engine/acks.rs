//! How many rows the recorder is done with: what a worker waits for before it takes its next task.

use tokio::sync::watch;

/// Counts the rows that were recorded, counted, told and judged.
///
/// A worker whose row is not among them yet takes no new task. So whatever happens to the disk,
/// at most as many users as there are workers were asked and have no row; and a guard that trips
/// is acks before anybody goes on.
#[derive(Debug, Default)]
pub struct AckCounter {
    n_rows: watch::Sender<u64>,
}

impl AckCounter {
    /// The recorder is done with so many more rows.
    pub(super) fn add(&self, n_rows: u64) {
        self.n_rows.send_modify(|n| *n = n.saturating_add(n_rows));
    }

    /// For worker pools whose events are drained by hand: nobody waits.
    #[cfg(test)]
    pub(super) fn at_once() -> Self {
        Self { n_rows: watch::Sender::new(u64::MAX) }
    }

    /// Comes back when it is done with so many in all.
    pub(super) async fn reached(&self, n_rows: u64) {
        // The sender lives in `self`, so waiting can't fail.
        let _ = self.n_rows.subscribe().wait_for(|n| *n >= n_rows).await;
    }
}
