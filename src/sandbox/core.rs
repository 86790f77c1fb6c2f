//! Decides what each request is answered with. Knows nothing of HTTP's wire.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::answer::Answer;
use super::call::Call;
use super::ledger::{LoggedRequest, Stats};
use super::office::Office;
use super::refusal::Refusal;
use super::state::State;
use super::window::whole_seconds;
use super::world::mix::hash;
use super::{Mode, SandboxConfig};

/// One request as it arrives.
pub(super) struct Request<'a> {
    pub(super) method: &'a str,
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) authorization: Option<&'a str>,
}

/// A request that was let in.
pub(super) struct Admitted {
    pub(super) call: Call,
    /// The same for the same request.
    pub(super) fingerprint: u64,
    /// How long its answer is to take.
    pub(super) latency: Duration,
}

/// What all connections share.
pub(super) struct Core {
    bearer: String,
    office: Office,
    state: Mutex<State>,
}

impl Core {
    pub(super) fn new(config: SandboxConfig) -> Self {
        Self {
            bearer: format!("Bearer {}", config.key),
            office: Office::new(config.seed, config.n_users),
            state: Mutex::new(State::new(config)),
        }
    }

    /// Lets a request in, or answers it at once. Also numbers it.
    pub(super) fn receive(&self, request: &Request<'_>) -> (u64, Result<Admitted, Answer>) {
        let now = Instant::now();
        let call = Call::read(request.method, request.path, request.query);
        let mut state = self.state();
        let serial = state.ledger.arrived(request.method, now, || request.entry(now, &call));
        let admitted = self.admit(&mut state, request, now, serial).and_then(|()| {
            let call = call.map_err(|refusal| Answer::refusal(&refusal, serial))?;
            let fingerprint = hash(hash(0, request.path), request.query);
            Ok(Admitted { call, fingerprint, latency: state.pick_latency() })
        });
        (serial, admitted)
    }

    /// What the call is answered with; does what it asks for.
    pub(super) fn act(&self, admitted: &Admitted, serial: u64) -> Answer {
        let state = &mut *self.state();
        let Admitted { call, fingerprint, .. } = admitted;
        if let Call::Unlock(id) = call
            && let Some(scripted) = state.next_scripted(id)
        {
            return self.office.play(scripted, call, state, serial);
        }
        match state.dice.roll(*fingerprint) {
            Some(fault) => self.office.spoil(fault, call, state, serial),
            None => self.office.obey(call, state, serial),
        }
    }

    pub(super) fn answered(&self, serial: u64, answer: &Answer) {
        self.state().ledger.answered(serial, answer.sent_status());
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.state().mode = mode;
    }

    pub(super) fn mode(&self) -> Mode {
        self.state().mode
    }

    pub(super) fn stats(&self) -> Stats {
        self.state().ledger.stats()
    }

    pub(super) fn log(&self) -> Vec<LoggedRequest> {
        self.state().ledger.log()
    }

    pub(super) fn office(&self) -> &Office {
        &self.office
    }

    /// A panic elsewhere does not make the numbers worse.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Mode, key and quota, in this order: only who may come in uses the quota up.
    fn admit(
        &self,
        state: &mut State,
        request: &Request<'_>,
        now: Instant,
        serial: u64,
    ) -> Result<(), Answer> {
        let refused = |refusal: Refusal| Err(Answer::refusal(&refusal, serial));
        match state.mode {
            Mode::Normal => {}
            Mode::AllStatus(status) => return refused(Refusal::plain(status)),
            Mode::Refuse => return Err(Answer::closed()),
            Mode::Revoked => return refused(Refusal::unauthorized()),
        }
        if request.authorization != Some(self.bearer.as_str()) {
            return refused(Refusal::unauthorized());
        }
        let admission = state.window.as_mut().map_or(Ok(()), |window| window.admit(now));
        if let Err(wait) = admission {
            state.ledger.throttled();
            return refused(Refusal::throttled(whole_seconds(wait)));
        }
        Ok(())
    }
}

impl Request<'_> {
    fn entry(&self, at: Instant, call: &Result<Call, Refusal>) -> LoggedRequest {
        let question_mark = if self.query.is_empty() { "" } else { "?" };
        LoggedRequest {
            at,
            method: self.method.to_owned(),
            path_and_query: format!("{}{question_mark}{}", self.path, self.query),
            user_ids: call.as_ref().map(Call::user_ids).unwrap_or_default(),
            status: None,
        }
    }
}
