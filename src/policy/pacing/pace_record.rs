//! What the runs with one key on one machine share: the content of the pace file.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::ledger::Places;
use super::throttle::Learned;

/// The requests of all runs that still hold a place, and what was learned from 429s.
///
/// Times are milliseconds since the Unix epoch; runs do not share any other clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PaceRecord {
    /// Runs that have not ended, as far as is known.
    runs: Vec<RunRecord>,
    /// Requests of runs that have ended.
    ended: PlacesRecord,
    /// The longest window that any of them counts in.
    window_ms: u64,
    paused_until: u64,
    learned: Option<LearnedRecord>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct RunRecord {
    id: String,
    /// When it last wanted to send a request.
    active_at: u64,
    /// Whether it shares the pace with the others: `--rate` does not.
    shares: bool,
    places: PlacesRecord,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct PlacesRecord {
    /// Sent or reserved, and without a reply.
    in_flight: u32,
    /// Given up without a reply: when they were sent, and how many.
    given_up: Vec<(u64, u32)>,
    gave_up_at: u64,
    /// With a reply: when it came, and how many.
    answered: Vec<(u64, u32)>,
    /// Send time of the latest request with a reply.
    replied_to: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct LearnedRecord {
    failed_at: u64,
    failed_per_second: f64,
    plateau_per_second: f64,
    grows_from: u64,
    growth_ms: u64,
}

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The process's own clock.
    pub now: Instant,
    /// Milliseconds since the Unix epoch.
    pub wall_ms: u64,
}

/// How far ahead a pause may lie; anything else lies in the past, or the clock was set back.
const LONGEST_PAUSE_MS: u64 = 600_000;

/// A run that wanted to send within this time is active.
const ACTIVE_MS: u64 = 2_000;

impl PaceRecord {
    /// The record to assume if the real one is lost: other runs have used any share just now.
    pub fn unknown(moment: Moment) -> Self {
        const MORE_THAN_ANY_SHARE: u32 = u32::MAX / 2;
        let answered = vec![(moment.wall_ms, MORE_THAN_ANY_SHARE)];
        Self { ended: PlacesRecord { answered, ..PlacesRecord::default() }, ..Self::default() }
    }

    /// The runs that have not ended, as far as is known.
    pub fn run_ids(&self) -> impl Iterator<Item = &str> {
        self.runs.iter().map(|run| run.id.as_str())
    }

    /// Notes that a run has ended. What it had in flight may still reach the server.
    pub fn end_run(&mut self, id: &str, moment: Moment) {
        while let Some(place) = self.runs.iter().position(|run| run.id == id) {
            let mut places = self.runs.swap_remove(place).places;
            if places.in_flight > 0 {
                places.given_up.push((moment.wall_ms, std::mem::take(&mut places.in_flight)));
                places.gave_up_at = moment.wall_ms;
            }
            self.ended.add(places);
        }
    }

    /// Drops what holds no place any more. Times in the future, as a clock that was set back
    /// leaves them, become now.
    pub(super) fn refresh(&mut self, moment: Moment, window: Duration) {
        let now = moment.wall_ms;
        self.window_ms = self.window_ms.max(millis(window)).max(1);
        let window_ms = self.window_ms;
        let all = self.runs.iter_mut().map(|run| &mut run.places);
        all.chain([&mut self.ended]).for_each(|places| places.refresh(now, window_ms));
        for run in &mut self.runs {
            run.active_at = run.active_at.min(now);
        }
        self.paused_until = self.paused_until.min(now.saturating_add(LONGEST_PAUSE_MS));
        if let Some(learned) = &mut self.learned {
            learned.failed_at = learned.failed_at.min(now);
            learned.grows_from = learned.grows_from.min(now.saturating_add(LONGEST_PAUSE_MS));
        }
        // A reply to a later request shows that the server has read everything before it.
        let replied_to = self.replied_to();
        self.ended.release_given_up(replied_to, now);
        self.ended.coarsen(window_ms);
        if self.runs.is_empty() && self.ended.is_free() {
            self.window_ms = millis(window).max(1);
        }
    }

    /// Replaces the entry of a run.
    pub(super) fn set_own(
        &mut self,
        id: &str,
        shares: bool,
        places: &Places,
        moment: Moment,
        window: Duration,
    ) {
        let mut places = PlacesRecord::of(places, moment);
        places.coarsen(self.window_ms);
        let run = RunRecord { id: id.to_owned(), active_at: moment.wall_ms, shares, places };
        match self.runs.iter_mut().find(|it| it.id == id) {
            Some(known) => *known = run,
            None => self.runs.push(run),
        }
        self.refresh(moment, window);
    }

    /// The places that all runs but this one hold.
    pub(super) fn others(&self, id: &str, moment: Moment, window: Duration) -> Vec<Places> {
        let window_ms = millis(window);
        let others = self.runs.iter().filter(|run| run.id != id).map(|run| &run.places);
        others.chain([&self.ended]).map(|it| it.to_places(moment, window_ms)).collect()
    }

    /// How many runs share the pace at the moment, this one included.
    pub(super) fn n_active(&self, id: &str, moment: Moment) -> u32 {
        let is_active = |run: &&RunRecord| run.active_at.saturating_add(ACTIVE_MS) > moment.wall_ms;
        let others = self.runs.iter().filter(|run| run.id != id && run.shares).filter(is_active);
        u32::try_from(others.count()).unwrap_or(u32::MAX).saturating_add(1)
    }

    /// Send time of the latest request with a reply, of all runs.
    pub(super) fn last_replied_to(&self, moment: Moment) -> Option<Instant> {
        let at = self.replied_to();
        (at > 0).then(|| moment.instant(at))
    }

    /// The end of the pause that a 429 began.
    pub(super) fn paused_until(&self, moment: Moment) -> Option<Instant> {
        (self.paused_until > moment.wall_ms).then(|| moment.instant(self.paused_until))
    }

    pub(super) fn pause_until(&mut self, until: Instant, moment: Moment) {
        self.paused_until = self.paused_until.max(moment.wall(until));
    }

    pub(super) fn learned(&self, moment: Moment, window: Duration) -> Option<Learned> {
        let window = window.as_secs_f64();
        let it = self.learned.filter(|it| it.failed_per_second.is_finite())?;
        Some(Learned {
            failed_at: moment.instant(it.failed_at),
            failed_level: it.failed_per_second.max(0.0) * window,
            plateau: it.plateau_per_second.max(0.0) * window,
            grows_from: moment.instant(it.grows_from),
            growth: Duration::from_millis(it.growth_ms),
        })
    }

    pub(super) fn set_learned(&mut self, learned: Learned, moment: Moment, window: Duration) {
        let window = window.as_secs_f64();
        self.learned = Some(LearnedRecord {
            failed_at: moment.wall(learned.failed_at),
            failed_per_second: learned.failed_level / window,
            plateau_per_second: learned.plateau / window,
            grows_from: moment.wall(learned.grows_from),
            growth_ms: millis(learned.growth),
        });
    }

    fn replied_to(&self) -> u64 {
        let all = self.runs.iter().map(|run| &run.places).chain([&self.ended]);
        all.map(|places| places.replied_to).max().unwrap_or_default()
    }
}

impl PlacesRecord {
    fn of(places: &Places, moment: Moment) -> Self {
        let times = |at: Option<Instant>| at.map_or(0, |at| moment.wall(at));
        Self {
            in_flight: places.n_in_flight,
            given_up: places.given_up.iter().map(|it| (moment.wall(it.last), it.n)).collect(),
            gave_up_at: times(places.gave_up_at),
            answered: places.answered.iter().map(|it| (moment.wall(it.last), it.n)).collect(),
            replied_to: times(places.replied_to),
        }
    }

    fn to_places(&self, moment: Moment, window_ms: u64) -> Places {
        let is_held = |at: u64| at.saturating_add(window_ms) > moment.wall_ms;
        let mut places = Places { n_in_flight: self.in_flight, ..Places::default() };
        for &(at, n) in self.answered.iter().filter(|(at, _)| is_held(*at)) {
            places.add_answered(moment.instant(at), n, Duration::ZERO);
        }
        let gave_up_at = moment.instant(self.gave_up_at);
        for &(sent_at, n) in &self.given_up {
            places.add_given_up(moment.instant(sent_at), n, gave_up_at);
        }
        places.replied_to = (self.replied_to > 0).then(|| moment.instant(self.replied_to));
        places
    }

    fn add(&mut self, other: Self) {
        self.given_up.extend(other.given_up);
        self.given_up.sort_unstable();
        self.answered.extend(other.answered);
        self.answered.sort_unstable();
        self.gave_up_at = self.gave_up_at.max(other.gave_up_at);
        self.replied_to = self.replied_to.max(other.replied_to);
    }

    fn refresh(&mut self, now: u64, window_ms: u64) {
        let times = self.given_up.iter_mut().chain(&mut self.answered).map(|(at, _)| at);
        for at in times.chain([&mut self.gave_up_at, &mut self.replied_to]) {
            *at = (*at).min(now);
        }
        self.answered.retain(|(at, _)| at.saturating_add(window_ms) > now);
    }

    fn release_given_up(&mut self, replied_to: u64, now: u64) {
        let is_released = |(sent_at, _): &(u64, u32)| *sent_at < replied_to;
        let released = self.given_up.iter().filter(|it| is_released(it));
        let n_released = released.fold(0_u32, |sum, (_, n)| sum.saturating_add(*n));
        self.given_up.retain(|it| !is_released(it));
        if n_released > 0 {
            self.answered.push((now, n_released));
        }
    }

    /// Merges neighbours, so that a window has about a hundred entries. The later time counts.
    fn coarsen(&mut self, window_ms: u64) {
        let width = window_ms / 100;
        let mut first = 0;
        let mut merged: Vec<(u64, u32)> = Vec::new();
        for &(at, n) in &self.answered {
            match merged.last_mut() {
                Some((last, sum)) if at < width.saturating_add(first) => {
                    (*last, *sum) = (at, sum.saturating_add(n));
                }
                _ => {
                    first = at;
                    merged.push((at, n));
                }
            }
        }
        self.answered = merged;
    }

    fn is_free(&self) -> bool {
        self.in_flight == 0 && self.given_up.is_empty() && self.answered.is_empty()
    }
}

impl Moment {
    /// A time of the record on the process's own clock. What its clock cannot express counts as
    /// now: too late rather than too early.
    fn instant(self, wall_ms: u64) -> Instant {
        let at = match wall_ms.checked_sub(self.wall_ms) {
            Some(ahead) => self.now.checked_add(Duration::from_millis(ahead)),
            None => self.now.checked_sub(Duration::from_millis(self.wall_ms - wall_ms)),
        };
        at.unwrap_or(self.now)
    }

    /// A time of the process for the record, rounded up.
    fn wall(self, at: Instant) -> u64 {
        match at.checked_duration_since(self.now) {
            Some(ahead) => self.wall_ms.saturating_add(millis(ahead)),
            None => self
                .wall_ms
                .saturating_sub(u64::try_from((self.now - at).as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

/// Whole milliseconds, rounded up.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
