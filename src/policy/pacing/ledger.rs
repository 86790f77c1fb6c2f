//! The window ledger: who has left, and who was answered less than a window ago.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Keeps the promise "in no window do more than the share reach the server".
///
/// A request may leave while fewer than the share are in flight or were answered less than a
/// window ago. The server counted each of those somewhere between its sending and its answer, so
/// the promise holds for a sliding and for a fixed window alike, whatever the latency; and a call
/// that hangs holds one place, not the line.
#[derive(Clone, Debug)]
pub struct Ledger {
    window: Duration,
    n_in_flight: usize,
    answered: VecDeque<Instant>,
}

/// Whether there is room for one more request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It may leave now.
    Now,
    /// Not before then.
    At(Instant),
    /// Not before one of those in flight is answered.
    AfterAnswer,
}

impl Ledger {
    /// An empty ledger. `window` is the length of the server's window.
    pub fn new(window: Duration) -> Self {
        Self { window, n_in_flight: 0, answered: VecDeque::new() }
    }

    /// Whether one more may leave, when at most `share` may be seen in a window.
    pub fn room(&mut self, now: Instant, share: usize) -> Room {
        while self.answered.front().is_some_and(|&at| at + self.window <= now) {
            self.answered.pop_front();
        }
        let n_held = self.n_in_flight + self.answered.len();
        let Some(n_too_many) = (n_held + 1).checked_sub(share) else {
            return Room::Now;
        };
        if n_too_many == 0 {
            return Room::Now;
        }
        match self.answered.get(n_too_many - 1) {
            Some(&at) => Room::At(at + self.window),
            None => Room::AfterAnswer,
        }
    }

    /// So many requests were answered that long ago, by an earlier run. Told the oldest first.
    pub fn remember(&mut self, now: Instant, n_requests: usize, age: Duration) {
        let Some(at) = now.checked_sub(age) else { return };
        if at + self.window > now {
            self.answered.extend(std::iter::repeat_n(at, n_requests));
        }
    }

    /// A request left.
    pub fn leave(&mut self) {
        self.n_in_flight += 1;
    }

    /// A request was answered or given up. Its place comes back one window from now.
    pub fn come_back(&mut self, now: Instant) {
        self.n_in_flight = self.n_in_flight.saturating_sub(1);
        self.answered.push_back(now);
    }
}

#[cfg(test)]
mod tests;
