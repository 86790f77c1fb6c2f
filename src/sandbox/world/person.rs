//! Who a user is: all that follows from the id and never changes.

use crate::model::{IdentifierKind, UserId};

use super::mix::Rolls;
use super::names::Names;
use super::{Truth, World, handle, listed};

/// All that follows from a user's id and never changes.
pub(in crate::sandbox) struct Person {
    pub(in crate::sandbox) id: UserId,
    pub(in crate::sandbox) truth: Truth,
    pub(in crate::sandbox) first_name: Option<&'static str>,
    pub(in crate::sandbox) last_name: Option<&'static str>,
    pub(in crate::sandbox) username: Option<String>,
    pub(in crate::sandbox) external_id: Option<String>,
    /// At least one; the first is the primary one.
    pub(in crate::sandbox) emails: Vec<String>,
    pub(in crate::sandbox) phone: Option<String>,
    /// Unix milliseconds.
    pub(in crate::sandbox) created_at: u64,
    /// Unix milliseconds.
    pub(in crate::sandbox) last_sign_in_at: Option<u64>,
    /// For the details that nobody looks at.
    pub(in crate::sandbox) salt: u64,
}

impl Person {
    pub(super) fn new(world: &World, id: &UserId, truth: Truth, rolls: &mut Rolls) -> Self {
        let index = listed::index_of(world.seed, id);
        let names = Names::roll(rolls);
        let created_at = match index {
            Some(index) => listed::created_at(world.seed, index),
            None => listed::moment(rolls.next() >> 8),
        };
        let signed_in = created_at + rolls.below(listed::YEAR / 4);
        let contacts = Contacts::new(world, id, index, names.plain, rolls);
        Self {
            id: id.clone(),
            truth,
            first_name: names.first,
            last_name: names.last,
            username: contacts.username,
            external_id: (!rolls.percent(10)).then(|| format!("ext_{}", tail_of(id))),
            emails: contacts.emails,
            phone: contacts.phone,
            created_at,
            last_sign_in_at: (!rolls.percent(5)).then_some(signed_in),
            salt: rolls.next(),
        }
    }

    /// Whether this is one of those whom the identifier names.
    pub(in crate::sandbox) fn is_named(&self, kind: IdentifierKind, value: &str) -> bool {
        match kind {
            IdentifierKind::UserId => self.id.as_str() == value,
            IdentifierKind::Email => self.emails.iter().any(|it| it.eq_ignore_ascii_case(value)),
            IdentifierKind::Phone => self.phone.as_deref() == Some(value),
            IdentifierKind::Username => {
                self.username.as_deref().is_some_and(|it| it.eq_ignore_ascii_case(value))
            }
            IdentifierKind::ExternalId => self.external_id.as_deref() == Some(value),
        }
    }
}

pub(super) fn tail_of(id: &UserId) -> &str {
    &id.as_str()[UserId::PREFIX.len()..]
}

/// What a user can be looked up by; each holds the index or the tail of the id.
struct Contacts {
    username: Option<String>,
    emails: Vec<String>,
    phone: Option<String>,
}

impl Contacts {
    fn new(
        world: &World,
        id: &UserId,
        index: Option<u32>,
        plain: (&str, &str),
        rolls: &mut Rolls,
    ) -> Self {
        let has_username = !rolls.percent(15);
        let has_phone = rolls.percent(60);
        let has_second_email = rolls.percent(20);
        match index {
            Some(index) => {
                let first = plain.0.to_ascii_lowercase();
                let mut emails = vec![primary_email(world, index)];
                if let Some(twin) = twin_by_email(index) {
                    emails.push(primary_email(world, twin));
                } else if has_second_email {
                    emails.push(format!("{first}+{index}@work.example"));
                }
                Self {
                    username: has_username.then(|| format!("{first}_{index}")),
                    emails,
                    phone: phone(index, has_phone),
                }
            }
            None => Self::unlisted(tail_of(id), has_username, has_second_email),
        }
    }

    /// A phone number has no room for a whole id, so nobody outside the list has one.
    fn unlisted(tail: &str, has_username: bool, has_second_email: bool) -> Self {
        let handle = handle::from_tail(tail);
        let mut emails = vec![format!("{handle}@sandbox.example")];
        if has_second_email {
            emails.push(format!("{handle}@work.example"));
        }
        Self { username: has_username.then_some(handle), emails, phone: None }
    }
}

fn primary_email(world: &World, index: u32) -> String {
    let (first, last) = world.plain_names(&world.listed_id(index));
    format!("{first}.{last}+{index}@example.com").to_ascii_lowercase()
}

fn phone(index: u32, has_phone: bool) -> Option<String> {
    let number = |index: u32| format!("+1555{index:07}");
    match twin_by_phone(index) {
        Some(twin) => Some(number(twin)),
        None => (has_phone || twin_by_phone(index + 1).is_some()).then(|| number(index)),
    }
}

/// Of every hundred listed users the one numbered 51 has the phone of number 50.
fn twin_by_phone(index: u32) -> Option<u32> {
    (index % 100 == 51).then(|| index - 1)
}

/// Of every hundred listed users the one numbered 53 has number 52's address as a second one.
fn twin_by_email(index: u32) -> Option<u32> {
    (index % 100 == 53).then(|| index - 1)
}
