//! Who exists in the sandbox, and how things stand with them: pure functions of seed and id.

mod handle;
pub(super) mod ksuid;
mod listed;
pub(super) mod mix;
mod names;
mod person;
mod truth;

pub(super) use listed::MAX_LISTED;
pub(super) use person::Person;
pub(super) use truth::{ALL_ATTEMPTS, LOCKOUT};
pub use truth::{Lock, Truth};

use crate::model::{IdentifierKind, UserId};

use mix::Rolls;
use names::Names;

/// All users that there might be, as they are before anybody changes them.
///
/// Any well-formed id is a user, but for two of a hundred who are missing; the users that the
/// instance lists all exist. Of those who exist, about 80 % are locked by failed sign-ins (one in
/// twenty of them for ever), 3 % are locked on purpose, 17 % are open; 2 % are banned; one in eight
/// has an awkward name.
///
/// ```
/// use bulk_unlock::sandbox::World;
///
/// let world = World::new(1);
/// assert!(world.state_of(&world.listed_id(0)).exists);
/// ```
#[derive(Clone, Debug)]
pub struct World {
    seed: u64,
}

impl World {
    /// The world of that seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// How things stand with a user before anybody changes them.
    pub fn state_of(&self, id: &UserId) -> Truth {
        let mut rolls = self.rolls(id);
        let is_missing = rolls.percent(2) && listed::index_of(self.seed, id).is_none();
        if is_missing { Truth::MISSING } else { Truth::roll(&mut rolls) }
    }

    /// The id of the user with that place, from 0, among those that an instance lists. An instance
    /// lists the first `n_users` of them, newest first.
    ///
    /// The first ten million are recognised as listed; the ids beyond are as any other.
    pub fn listed_id(&self, index: u32) -> UserId {
        let id = format!("{}{}", UserId::PREFIX, listed::tail(self.seed, index));
        id.parse().unwrap_or_else(|_| unreachable!("base62 digits make an id"))
    }

    /// The user, where there is one.
    pub(super) fn person(&self, id: &UserId) -> Option<Person> {
        let truth = self.state_of(id);
        truth.exists.then(|| Person::new(self, id, truth, &mut self.detail_rolls(id)))
    }

    /// When the listed user with that index was created, in Unix milliseconds.
    pub(super) fn created_at(&self, index: u32) -> u64 {
        listed::created_at(self.seed, index)
    }

    /// Everybody whom the identifier names.
    pub(super) fn named(&self, kind: IdentifierKind, value: &str) -> Vec<Person> {
        let mut people: Vec<_> =
            self.candidates(kind, value).iter().filter_map(|id| self.person(id)).collect();
        people.retain(|person| person.is_named(kind, value));
        people
    }

    /// Those whom the identifier may name: it holds an index or the tail of an id.
    fn candidates(&self, kind: IdentifierKind, value: &str) -> Vec<UserId> {
        match kind {
            IdentifierKind::UserId => value.parse().into_iter().collect(),
            IdentifierKind::ExternalId => by_tail(value.strip_prefix("ext_")),
            IdentifierKind::Phone => self.by_index(value.strip_prefix("+1555")),
            IdentifierKind::Email => {
                let name = value.split_once('@').map(|(name, _)| name);
                match name.and_then(|name| name.split_once('+')) {
                    Some((_, index)) => self.by_index(Some(index)),
                    None => by_tail(name.and_then(handle::to_tail).as_deref()),
                }
            }
            IdentifierKind::Username => match value.split_once('_') {
                Some((_, index)) => self.by_index(Some(index)),
                None => by_tail(handle::to_tail(value).as_deref()),
            },
        }
    }

    /// The user and the next one, who may share it.
    fn by_index(&self, digits: Option<&str>) -> Vec<UserId> {
        let index = digits.and_then(|it| it.parse::<u32>().ok()).filter(|&it| it < MAX_LISTED);
        index.into_iter().flat_map(|it| [self.listed_id(it), self.listed_id(it + 1)]).collect()
    }

    fn plain_names(&self, id: &UserId) -> (&'static str, &'static str) {
        Names::roll(&mut self.detail_rolls(id)).plain
    }

    /// What decides how things stand with a user.
    fn rolls(&self, id: &UserId) -> Rolls {
        Rolls::new(mix::hash(self.seed, id.as_str()))
    }

    /// What decides who the user is.
    fn detail_rolls(&self, id: &UserId) -> Rolls {
        Rolls::new(!mix::hash(self.seed, id.as_str()))
    }
}

fn by_tail(tail: Option<&str>) -> Vec<UserId> {
    let id = tail.and_then(|tail| format!("{}{tail}", UserId::PREFIX).parse().ok());
    id.into_iter().collect()
}

#[cfg(test)]
mod tests;
