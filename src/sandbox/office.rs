//! Does what a call asks for, and answers it: as Clerk would, as scripted, or with a fault.

use std::fmt::Write;
use std::time::SystemTime;

use crate::model::UserId;

use super::answer::{Answer, Delivery};
use super::call::Call;
use super::changes::Standing;
use super::directory::Directory;
use super::refusal::Refusal;
use super::state::State;
use super::user_json::{USUAL_SIZE, UserJson};
use super::world::{Person, World};
use super::{FaultKind, Scripted, spoilt};

/// Does what a call asks for, and answers it.
pub(super) struct Office {
    world: World,
    directory: Directory,
}

impl Office {
    pub(super) fn new(seed: u64, n_users: u32) -> Self {
        let world = World::new(seed);
        Self { directory: Directory::new(world.clone(), n_users), world }
    }

    pub(super) fn world(&self) -> &World {
        &self.world
    }

    /// Whether the user is locked now.
    pub(super) fn is_locked(&self, id: &UserId, state: &State) -> bool {
        let person = self.world.person(id);
        person.is_some_and(|it| state.changes.standing_of(&it, state.elapsed()).is_locked)
    }

    /// The right answer.
    pub(super) fn obey(&self, call: &Call, state: &mut State, serial: u64) -> Answer {
        match self.work(call, state) {
            Ok(body) => Answer::json(body),
            Err(refusal) => Answer::refusal(&refusal, serial),
        }
    }

    /// What the script says.
    pub(super) fn play(
        &self,
        scripted: Scripted,
        call: &Call,
        state: &mut State,
        serial: u64,
    ) -> Answer {
        let (status, body, headers) = match scripted {
            Scripted::Fault(fault) => return self.spoil(fault, call, state, serial),
            Scripted::Answer { status, body, headers } => (status, body, headers),
        };
        let mut answer = match body {
            Some(body) => Answer::with_type(status, "application/json", body.into_bytes()),
            None if (200..300).contains(&status) => {
                Answer { status, ..self.obey(call, state, serial) }
            }
            None => Answer::refusal(&Refusal::plain(status), serial),
        };
        // A scripted header stands in place of the one that would be sent.
        answer.headers.retain(|(name, _)| {
            !headers.iter().any(|(scripted, _)| scripted.as_str().eq_ignore_ascii_case(name))
        });
        answer.headers.extend(headers);
        answer
    }

    /// The answer with a fault; the table in the module's documentation says which are given
    /// after the work is done.
    pub(super) fn spoil(
        &self,
        fault: FaultKind,
        call: &Call,
        state: &mut State,
        serial: u64,
    ) -> Answer {
        match fault {
            FaultKind::Truncated => self.obey(call, state, serial).delivered(Delivery::CutOff),
            FaultKind::Slow => self.obey(call, state, serial).delivered(Delivery::Trickled),
            FaultKind::OtherUser if call.names_users() => self.somebody_else(call, state),
            FaultKind::StillLocked => match call {
                Call::Unlock(id) => self.still_locked(id, serial),
                _ => self.obey(call, state, serial),
            },
            FaultKind::OtherUser => self.obey(call, state, serial),
            FaultKind::GatewayTimeout | FaultKind::ResetAfter | FaultKind::Empty => {
                // The answer is lost on the way, the work is not.
                let _ = self.work(call, state);
                spoilt::answer(fault, serial)
            }
            _ => spoilt::answer(fault, serial),
        }
    }

    fn work(&self, call: &Call, state: &mut State) -> Result<String, Refusal> {
        match call {
            Call::Get(id) => Ok(show(&[self.person(id)?], state, One)),
            Call::Unlock(id) => {
                let person = self.person(id)?;
                state.changes.unlock(&person, SystemTime::now());
                state.ledger.unlocked();
                Ok(show(&[person], state, One))
            }
            Call::Lock(id) => {
                let person = self.person(id)?;
                state.changes.lock(&person, state.elapsed(), SystemTime::now());
                Ok(show(&[person], state, One))
            }
            Call::List(query) => Ok(show(&self.directory.page(query)?, state, Many)),
            Call::Count(query) => {
                let n = self.directory.count(query)?;
                Ok(format!(r#"{{"object":"total_count","total_count":{n}}}"#))
            }
        }
    }

    fn person(&self, id: &UserId) -> Result<Person, Refusal> {
        self.world.person(id).ok_or_else(|| Refusal::no_user(id.as_str()))
    }

    /// The object of a user whom nobody asked for.
    fn somebody_else(&self, call: &Call, state: &State) -> Answer {
        let asked = call.user_ids();
        let strangers = (0..).map(|index| self.world.listed_id(index));
        let stranger = strangers.into_iter().find(|id| !asked.iter().any(|it| it == id.as_str()));
        let people: Vec<_> = stranger.and_then(|id| self.world.person(&id)).into_iter().collect();
        let shape = if matches!(call, Call::List(_)) { Many } else { One };
        Answer::json(show(&people, state, shape))
    }

    fn still_locked(&self, id: &UserId, serial: u64) -> Answer {
        let standing = Standing {
            is_locked: true,
            expires_in_seconds: Some(1800),
            attempts_left: 0,
            changed_at: None,
        };
        match self.person(id) {
            Ok(person) => {
                Answer::json(UserJson { person: &person, standing: &standing }.to_string())
            }
            Err(refusal) => Answer::refusal(&refusal, serial),
        }
    }
}

/// One object, or an array of them.
#[derive(Clone, Copy, PartialEq)]
enum Shape {
    One,
    Many,
}
use Shape::{Many, One};

fn show(people: &[Person], state: &State, shape: Shape) -> String {
    let elapsed = state.elapsed();
    let mut json = String::with_capacity(people.len() * USUAL_SIZE + 2);
    if shape == Many {
        json.push('[');
    }
    for (n, person) in people.iter().enumerate() {
        if n > 0 {
            json.push(',');
        }
        let standing = state.changes.standing_of(person, elapsed);
        // Writing to a string can't fail.
        let _ = write!(json, "{}", UserJson { person, standing: &standing });
    }
    if shape == Many {
        json.push(']');
    }
    json
}
