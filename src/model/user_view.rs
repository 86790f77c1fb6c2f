//! The few facts of a user object that decide and that stand in the results' columns.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{Identifier, IdentifierKind, UserId};

/// The last user object seen: the facts that stand in columns, and the object as it was sent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserView {
    /// `id`; empty where the answer has none.
    pub id: String,
    /// `locked`; `None` in API versions that leave it out.
    pub locked: Option<bool>,
    /// `locked` is there and is neither true nor false: whether the user is locked can't be told.
    pub is_locked_garbled: bool,
    /// `banned`.
    pub banned: Option<bool>,
    /// `lockout_expires_in_seconds`; `None` on a locked user: never.
    pub lockout_expires_in_seconds: Option<i64>,
    /// `verification_attempts_remaining`; above zero on a locked user: locked on purpose.
    pub verification_attempts_remaining: Option<i64>,
    /// `username`.
    pub username: Option<String>,
    /// The address that `primary_email_address_id` names.
    pub email: Option<String>,
    /// All email addresses, the primary one included.
    pub emails: Vec<String>,
    /// All phone numbers.
    pub phones: Vec<String>,
    /// `external_id`.
    pub external_id: Option<String>,
    /// `first_name`.
    pub first_name: Option<String>,
    /// `last_name`.
    pub last_name: Option<String>,
    /// `last_sign_in_at`, Unix milliseconds.
    pub last_sign_in_at: Option<i64>,
    /// `created_at`, Unix milliseconds.
    pub created_at: Option<i64>,
    /// `updated_at`, Unix milliseconds.
    pub updated_at: Option<i64>,
    /// The object as the server sent it, to the byte.
    pub json: String,
}

impl UserView {
    /// Reads one user object.
    ///
    /// Fields of another type than documented count as absent: an API may change, and a snapshot
    /// is worth more than a complaint.
    ///
    /// # Errors
    ///
    /// When the text is not one JSON object.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        // Serde would also read a struct from an array.
        if !json.trim_start().starts_with('{') {
            return Err(serde::de::Error::custom("not an object"));
        }
        let wire: Wire<'_> = serde_json::from_str(json)?;
        Ok(wire.into_view(json.trim()))
    }

    /// Whether this is the object of that user.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.id == user.as_str()
    }

    /// What else names this user, in the form in which identifiers are compared.
    pub fn other_identifiers(&self) -> impl Iterator<Item = Identifier> {
        use IdentifierKind::{Email, ExternalId, Phone, Username};

        let each = |kind, texts| std::iter::zip(std::iter::repeat(kind), texts);
        let emails = each(Email, self.emails.as_slice());
        let phones = each(Phone, self.phones.as_slice());
        let username = each(Username, self.username.as_slice());
        let external_id = each(ExternalId, self.external_id.as_slice());
        let all = emails.chain(phones).chain(username).chain(external_id);
        all.filter_map(|(kind, text)| Identifier::parse(kind, &Arc::from(text.as_str())).ok())
    }

    /// Whether it says `locked: true`.
    pub fn is_locked(&self) -> bool {
        self.locked == Some(true)
    }

    /// Whether it looks locked on purpose: locked with verification attempts left. A lock by
    /// failed sign-ins leaves none; one set by the API or the dashboard leaves the count alone
    /// (Clerk's specification of `verification_attempts_remaining`).
    pub fn is_admin_locked(&self) -> bool {
        self.is_locked() && self.verification_attempts_remaining.is_some_and(|left| left > 0)
    }
}

/// The wanted fields, undecoded: an unexpected type must not cost the whole object.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Field<'a>,
    #[serde(borrow)]
    locked: Field<'a>,
    #[serde(borrow)]
    banned: Field<'a>,
    #[serde(borrow)]
    lockout_expires_in_seconds: Field<'a>,
    #[serde(borrow)]
    verification_attempts_remaining: Field<'a>,
    #[serde(borrow)]
    username: Field<'a>,
    #[serde(borrow)]
    primary_email_address_id: Field<'a>,
    #[serde(borrow)]
    email_addresses: Field<'a>,
    #[serde(borrow)]
    phone_numbers: Field<'a>,
    #[serde(borrow)]
    external_id: Field<'a>,
    #[serde(borrow)]
    first_name: Field<'a>,
    #[serde(borrow)]
    last_name: Field<'a>,
    #[serde(borrow)]
    last_sign_in_at: Field<'a>,
    #[serde(borrow)]
    created_at: Field<'a>,
    #[serde(borrow)]
    updated_at: Field<'a>,
}

type Field<'a> = Option<&'a RawValue>;

#[derive(Deserialize)]
struct WireEmail {
    #[serde(default)]
    id: Option<String>,
    email_address: String,
}

#[derive(Deserialize)]
struct WirePhone {
    phone_number: String,
}

impl Wire<'_> {
    fn into_view(self, json: &str) -> UserView {
        let emails: Vec<WireEmail> = decode(self.email_addresses).unwrap_or_default();
        let phones: Vec<WirePhone> = decode(self.phone_numbers).unwrap_or_default();
        let primary: Option<String> = decode(self.primary_email_address_id);
        let email = primary.and_then(|id| {
            let is_primary = |it: &&WireEmail| it.id.as_deref() == Some(id.as_str());
            emails.iter().find(is_primary).map(|it| it.email_address.clone())
        });
        UserView {
            id: decode(self.id).unwrap_or_default(),
            locked: decode(self.locked),
            is_locked_garbled: self.locked.is_some_and(is_no_bool),
            banned: decode(self.banned),
            lockout_expires_in_seconds: decode(self.lockout_expires_in_seconds),
            verification_attempts_remaining: decode(self.verification_attempts_remaining),
            username: decode(self.username),
            email,
            emails: emails.into_iter().map(|it| it.email_address).collect(),
            phones: phones.into_iter().map(|it| it.phone_number).collect(),
            external_id: decode(self.external_id),
            first_name: decode(self.first_name),
            last_name: decode(self.last_name),
            last_sign_in_at: decode(self.last_sign_in_at),
            created_at: decode(self.created_at),
            updated_at: decode(self.updated_at),
            json: json.to_owned(),
        }
    }
}

fn is_no_bool(raw: &RawValue) -> bool {
    !matches!(raw.get(), "true" | "false" | "null")
}

fn decode<'a, T: Deserialize<'a>>(field: Field<'a>) -> Option<T> {
    field.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_address_is_the_one_that_is_named_so() {
        let view = UserView::parse(
            r#"{"id":"user_a","primary_email_address_id":"e2","email_addresses":[
                {"id":"e1","email_address":"old@x.org"},{"id":"e2","email_address":"new@x.org"}]}"#,
        )
        .unwrap();
        assert_eq!(view.email.as_deref(), Some("new@x.org"));
        assert_eq!(view.emails, ["old@x.org", "new@x.org"]);
    }

    #[test]
    fn a_field_of_another_type_counts_as_absent() {
        let view = UserView::parse(r#"{"id":"user_a","locked":"yes","username":7}"#).unwrap();
        assert_eq!((view.locked, view.username), (None, None));
        assert!(view.is_locked_garbled);
        assert_eq!(view.id, "user_a");
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for text in ["", "[]", "null", "<html>", "{\"id\":", "\"user_a\"", "{}{}"] {
            assert!(UserView::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn deep_nesting_costs_neither_the_stack_nor_the_object() {
        let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let view = UserView::parse(&format!(
            r#"{{"id":"user_a","x":{nest},"locked":{nest},"email_addresses":{nest}}}"#
        ));
        assert_eq!(view.unwrap().locked, None);
    }

    #[test]
    fn a_locked_user_with_attempts_left_was_locked_on_purpose() {
        let of = |json| UserView::parse(json).unwrap().is_admin_locked();
        assert!(of(r#"{"locked":true,"verification_attempts_remaining":3}"#));
        assert!(!of(r#"{"locked":true,"verification_attempts_remaining":0}"#));
        assert!(!of(r#"{"locked":true,"verification_attempts_remaining":null}"#));
        assert!(!of(r#"{"locked":false,"verification_attempts_remaining":3}"#));
    }
}
