//! All that changes while the sandbox runs.

use std::time::{Duration, Instant};

use crate::model::UserId;

use super::changes::Changes;
use super::dice::Dice;
use super::ledger::Ledger;
use super::window::SlidingWindow;
use super::{Latency, Mode, SandboxConfig, Script, Scripted};

/// The window in which arrivals are counted where there is no quota: Clerk's own.
const USUAL_WINDOW: Duration = Duration::from_secs(10);

/// All that changes while the sandbox runs.
pub(super) struct State {
    pub(super) mode: Mode,
    pub(super) window: Option<SlidingWindow>,
    pub(super) ledger: Ledger,
    pub(super) dice: Dice,
    pub(super) changes: Changes,
    script: Script,
    latency: Latency,
    rng: fastrand::Rng,
    started_at: Instant,
}

impl State {
    pub(super) fn new(config: SandboxConfig) -> Self {
        let per = config.quota.map_or(USUAL_WINDOW, |limit| limit.per);
        Self {
            mode: Mode::Normal,
            window: config.quota.map(SlidingWindow::new),
            ledger: Ledger::new(per, config.log_requests),
            dice: Dice::new(config.faults, config.seed),
            changes: Changes::default(),
            script: config.script,
            latency: config.latency,
            rng: fastrand::Rng::with_seed(!config.seed),
            started_at: Instant::now(),
        }
    }

    pub(super) fn pick_latency(&mut self) -> Duration {
        self.latency.pick(self.rng.f64())
    }

    /// What the script says about the user's next unlock call.
    pub(super) fn next_scripted(&mut self, id: &UserId) -> Option<Scripted> {
        if self.script.is_empty() {
            return None;
        }
        self.script.get_mut(id)?.pop_front()
    }

    /// The time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }
}
