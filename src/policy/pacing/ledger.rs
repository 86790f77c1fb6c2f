//! The window ledger: which requests hold a place in the server's window.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Keeps the promise "in no window do more than the share reach the server".
///
/// A request holds a place from its reservation until one window after its reply. The server
/// counted it somewhere in between, so the promise holds for a sliding and for a fixed window,
/// whatever the latency; a request that hangs holds one place and not the queue.
///
/// A request that was given up may still be waiting in a stalled server. It holds its place until
/// one window after the server replied to a request that was sent later.
#[derive(Clone, Debug)]
pub struct Ledger {
    window: Duration,
    own: Places,
    n_reserved: u32,
    others: Vec<Places>,
    /// When a request last left although requests that were given up hold all places.
    exceeded_at: Option<Instant>,
}

/// The places that the requests of one run hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places {
    /// Sent or reserved, and without a reply.
    pub(super) n_in_flight: u32,
    /// Given up without a reply, by when they were sent.
    pub(super) given_up: VecDeque<Batch>,
    /// When a request was last given up.
    pub(super) gave_up_at: Option<Instant>,
    /// With a reply, by when it came.
    pub(super) answered: VecDeque<Batch>,
    pub(super) n_answered: u32,
    /// Send time of the latest request with a reply.
    pub(super) replied_to: Option<Instant>,
}

/// Requests of about the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) n: u32,
}

/// Whether one more request may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It may leave now.
    Ready,
    /// Not before then.
    At(Instant),
    /// Not before the reply to a request in flight.
    AfterReply,
}

/// How many requests may be seen in a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of all runs on this machine together.
    pub all: u32,
    /// Of this run: less where it is one of several shards, which may run on other machines.
    pub own: u32,
}

impl Ledger {
    /// An empty ledger. `window` is the length of the server's window.
    pub fn new(window: Duration) -> Self {
        let own = Places::default();
        Self { window, own, n_reserved: 0, others: Vec::new(), exceeded_at: None }
    }

    /// Whether one more may leave, if no more than these may be seen in a window.
    ///
    /// Some of the places are kept for probes: if the server stalls, every request in flight may
    /// have to be given up, and without a free place no later request could find out that the
    /// server is back. Where nothing is in flight, the next request is used as a probe.
    pub fn room(&mut self, now: Instant, limits: Limits, is_probe: bool) -> Entry {
        self.own.expire(now, self.window);
        let Limits { all, own } = limits;
        let among_all = self.room_among(&self.all().collect::<Vec<_>>(), now, all, is_probe);
        if own >= all {
            return among_all;
        }
        match (among_all, self.room_among(&[&self.own], now, own, is_probe)) {
            (Entry::AfterReply, _) | (_, Entry::AfterReply) => Entry::AfterReply,
            (Entry::At(one), Entry::At(other)) => Entry::At(one.max(other)),
            (Entry::Ready, room) | (room, Entry::Ready) => room,
        }
    }

    fn room_among(&self, runs: &[&Places], now: Instant, limit: u32, is_probe: bool) -> Entry {
        let n_held = held(runs);
        if n_held < limit {
            let is_probe = is_probe || runs.iter().all(|it| it.n_in_flight == 0);
            let n_for_others = if is_probe { limit } else { limit - limit / 8 };
            let n_unanswered = runs.iter().map(|it| it.unanswered()).fold(0, u32::saturating_add);
            return if n_unanswered < n_for_others { Entry::Ready } else { Entry::AfterReply };
        }
        let nth = n_held + 1 - limit;
        match self.nth_release(runs, nth).or_else(|| self.may_exceed_at(runs)) {
            Some(at) if at <= now => Entry::Ready,
            Some(at) => Entry::At(at),
            None => Entry::AfterReply,
        }
    }

    /// Takes a place for a request that leaves now, a reserved one if there is any.
    pub fn send(&mut self, now: Instant, limits: Limits) {
        if self.held() >= limits.all || self.own.held() >= limits.own {
            self.exceeded_at = Some(now);
        }
        self.n_reserved = self.n_reserved.saturating_sub(1);
        self.own.n_in_flight += 1;
    }

    /// Reserves up to `n` places, as far as there is room. Those reserved before are among them.
    pub fn reserve(&mut self, now: Instant, limits: Limits, is_probe: bool, n: u32) -> u32 {
        self.n_reserved = match self.room(now, limits, is_probe) {
            Entry::Ready => {
                let n_free = limits.all.saturating_sub(self.held());
                let n_own_free = limits.own.saturating_sub(self.own.held());
                n.min(n_free.min(n_own_free).max(1))
            }
            Entry::At(_) | Entry::AfterReply => 0,
        };
        self.n_reserved
    }

    /// A reply came: the place is free one window later. So are the places of requests that were
    /// given up and had been sent earlier.
    pub fn on_reply(&mut self, sent_at: Instant, now: Instant) {
        self.own.n_in_flight = self.own.n_in_flight.saturating_sub(1);
        self.own.add_answered(now, 1, self.window);
        self.own.replied_to = self.own.replied_to.max(Some(sent_at));
        self.on_replied_to(sent_at, now);
    }

    /// The server replied to a request that this or another run sent then.
    pub fn on_replied_to(&mut self, sent_at: Instant, now: Instant) {
        self.own.release_given_up(sent_at, now, self.window);
    }

    /// The request failed in a way that leaves nothing on its way to the server.
    pub fn on_lost(&mut self, now: Instant) {
        self.own.n_in_flight = self.own.n_in_flight.saturating_sub(1);
        self.own.add_answered(now, 1, self.window);
    }

    /// The request was given up and may still reach the server.
    pub fn on_given_up(&mut self, sent_at: Instant, now: Instant) {
        let last_reply = self.all().filter_map(|it| it.replied_to).max();
        if last_reply.is_some_and(|it| it > sent_at) {
            return self.on_lost(now);
        }
        self.own.n_in_flight = self.own.n_in_flight.saturating_sub(1);
        self.own.add_given_up(sent_at, 1, now);
    }

    /// How many places are held by this and the other runs, its reserved ones not counted.
    pub fn held(&self) -> u32 {
        held(&self.all().collect::<Vec<_>>())
    }

    /// How many places are reserved and not used yet.
    pub fn n_reserved(&self) -> u32 {
        self.n_reserved
    }

    /// The places of this run, reserved ones included.
    pub(super) fn own(&self) -> Places {
        let mut own = self.own.clone();
        own.n_in_flight += self.n_reserved;
        own
    }

    /// Replaces what is known of the other runs.
    pub(super) fn set_others(&mut self, others: Vec<Places>) {
        self.others = others;
    }

    fn all(&self) -> impl Iterator<Item = &Places> {
        self.others.iter().chain([&self.own])
    }

    /// If requests that were given up hold the places and nothing is in flight, no reply would
    /// ever free one. Then one request per window may leave all the same.
    fn may_exceed_at(&self, runs: &[&Places]) -> Option<Instant> {
        if runs.iter().any(|it| it.n_in_flight > 0) {
            return None;
        }
        let replies = runs.iter().flat_map(|it| &it.answered).map(|batch| batch.last);
        let given_up = runs.iter().filter_map(|it| it.gave_up_at);
        replies.chain(given_up).chain(self.exceeded_at).max().map(|at| at + self.window)
    }

    /// When that many of the places will be free.
    fn nth_release(&self, runs: &[&Places], nth: u32) -> Option<Instant> {
        let mut all: Vec<&Batch> = runs.iter().flat_map(|it| &it.answered).collect();
        all.sort_unstable_by_key(|batch| batch.last);
        let mut n_free = 0_u32;
        let batch = all.into_iter().find(|batch| {
            n_free = n_free.saturating_add(batch.n);
            n_free >= nth
        })?;
        Some(batch.last + self.window)
    }
}

fn held(runs: &[&Places]) -> u32 {
    runs.iter().map(|it| it.held()).fold(0, u32::saturating_add)
}

impl Places {
    fn held(&self) -> u32 {
        self.unanswered().saturating_add(self.n_answered)
    }

    fn unanswered(&self) -> u32 {
        self.given_up.iter().map(|batch| batch.n).fold(self.n_in_flight, u32::saturating_add)
    }

    fn expire(&mut self, now: Instant, window: Duration) {
        while let Some(batch) = self.answered.front()
            && batch.last + window <= now
        {
            self.n_answered -= batch.n;
            self.answered.pop_front();
        }
    }

    /// Replies within a thousandth of the window share an entry and are free when its last one is.
    pub(super) fn add_answered(&mut self, at: Instant, n: u32, window: Duration) {
        let n = n.min(u32::MAX - self.n_answered);
        self.n_answered += n;
        match self.answered.back_mut() {
            Some(batch) if at < batch.first + window / 1000 => {
                batch.last = at.max(batch.last);
                batch.n += n;
            }
            _ => self.answered.push_back(Batch { first: at, last: at, n }),
        }
    }

    pub(super) fn add_given_up(&mut self, sent_at: Instant, n: u32, now: Instant) {
        self.gave_up_at = self.gave_up_at.max(Some(now));
        let place = self.given_up.partition_point(|batch| batch.last <= sent_at);
        self.given_up.insert(place, Batch { first: sent_at, last: sent_at, n });
    }

    fn release_given_up(&mut self, sent_at: Instant, now: Instant, window: Duration) {
        while let Some(batch) = self.given_up.front()
            && batch.last < sent_at
        {
            let n = batch.n;
            self.given_up.pop_front();
            self.add_answered(now, n, window);
        }
    }
}

#[cfg(test)]
mod tests;
