//! The facts of a user object that a bulk job decides by and records.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::UserId;
use super::body::is_object;

/// A user object as one response showed it: the facts that the results file has columns for, and
/// the object as it was sent. Cheaper to read than [`User`](super::User), which has every property.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct UserSnapshot {
    /// `id`; empty if the object has none.
    pub id: String,
    /// `locked`; `None` if the object does not say: it is missing, or neither true nor false.
    pub locked: Option<bool>,
    /// `locked` is present, not `null`, and neither true nor false.
    pub is_locked_garbled: bool,
    /// `banned`.
    pub banned: Option<bool>,
    /// `lockout_expires_in_seconds`; `None` on a locked user: the lock never expires.
    pub lockout_expires_in_seconds: Option<i64>,
    /// `verification_attempts_remaining`; above zero on a locked user: locked on purpose.
    pub verification_attempts_remaining: Option<i64>,
    /// `username`.
    pub username: Option<String>,
    /// The email address that `primary_email_address_id` names.
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
    /// `password_last_updated_at`, Unix milliseconds.
    pub password_last_updated_at: Option<i64>,
    /// `updated_at`, Unix milliseconds.
    pub updated_at: Option<i64>,
    /// The object, byte for byte as the server sent it.
    pub json: String,
}

impl UserSnapshot {
    /// Reads one user object. A property of another type than documented counts as absent.
    ///
    /// # Errors
    ///
    /// When the text is not one JSON object.
    pub fn parse(json: &str) -> serde_json::Result<Self> {
        if !is_object(json) {
            return Err(serde::de::Error::custom("expected an object"));
        }
        let wire: Wire<'_> = serde_json::from_str(json)?;
        Ok(wire.into_snapshot(json.trim()))
    }

    /// Whether this is the object of that user.
    pub fn is_of(&self, user: &UserId) -> bool {
        self.id == user.as_str()
    }

    /// Whether the object says `locked: true`.
    pub fn is_locked(&self) -> bool {
        self.locked == Some(true)
    }

    /// Whether the user looks locked on purpose: locked with verification attempts left. A lock by
    /// failed sign-ins leaves none; one set through the API or the dashboard does not change the
    /// count (Clerk's specification of `verification_attempts_remaining`).
    pub fn is_admin_locked(&self) -> bool {
        self.is_locked() && self.verification_attempts_remaining.is_some_and(|left| left > 0)
    }
}

/// The properties that are read, not yet decoded: one of an unexpected type must not cost the whole
/// object.
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
    password_last_updated_at: Field<'a>,
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
    fn into_snapshot(self, json: &str) -> UserSnapshot {
        let emails: Vec<WireEmail> = decode_elements(self.email_addresses);
        let phones: Vec<WirePhone> = decode_elements(self.phone_numbers);
        let primary: Option<String> = decode(self.primary_email_address_id);
        let email = primary.and_then(|id| {
            let is_primary = |it: &&WireEmail| it.id.as_deref() == Some(id.as_str());
            emails.iter().find(is_primary).map(|it| it.email_address.clone())
        });
        let is_garbled = |raw: &RawValue| !matches!(raw.get(), "true" | "false" | "null");
        UserSnapshot {
            id: decode(self.id).unwrap_or_default(),
            locked: decode(self.locked),
            is_locked_garbled: self.locked.is_some_and(is_garbled),
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
            password_last_updated_at: decode(self.password_last_updated_at),
            updated_at: decode(self.updated_at),
            json: json.to_owned(),
        }
    }
}

fn decode<'a, T: Deserialize<'a>>(field: Field<'a>) -> Option<T> {
    field.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

/// The elements that can be read: an odd one must not hide the others from an exclude list.
fn decode_elements<'a, T: Deserialize<'a>>(field: Field<'a>) -> Vec<T> {
    let elements: Vec<&RawValue> = decode(field).unwrap_or_default();
    elements.into_iter().filter_map(|raw| serde_json::from_str(raw.get()).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_email_is_the_one_that_the_primary_id_names() {
        let user = UserSnapshot::parse(
            r#"{"id":"user_a","primary_email_address_id":"e2","email_addresses":[
                {"id":"e1","email_address":"old@x.org"},{"id":"e2","email_address":"new@x.org"}]}"#,
        )
        .unwrap();
        assert_eq!(user.email.as_deref(), Some("new@x.org"));
        assert_eq!(user.emails, ["old@x.org", "new@x.org"]);
    }

    #[test]
    fn a_property_of_another_type_counts_as_absent() {
        let user = UserSnapshot::parse(r#"{"id":"user_a","locked":"yes","username":7}"#).unwrap();
        assert_eq!((user.locked, user.username), (None, None));
        assert!(user.is_locked_garbled);
        assert_eq!(user.id, "user_a");
    }

    #[test]
    fn an_odd_element_of_a_list_does_not_hide_the_others() {
        let user = UserSnapshot::parse(
            r#"{"id":"user_a","email_addresses":[null,{"email_address":"a@x.org"},{"id":"e"}],
                "phone_numbers":[7,{"phone_number":"+15551234"}]}"#,
        )
        .unwrap();
        assert_eq!((user.emails, user.phones), (vec!["a@x.org".into()], vec!["+15551234".into()]));
    }

    #[test]
    fn text_that_is_not_an_object_is_refused() {
        for text in ["", "[]", "null", "<html>", "{\"id\":", "\"user_a\"", "{}{}"] {
            assert!(UserSnapshot::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn deep_nesting_costs_neither_the_stack_nor_the_object() {
        let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        let user = UserSnapshot::parse(&format!(
            r#"{{"id":"user_a","x":{nest},"locked":{nest},"email_addresses":{nest}}}"#
        ));
        assert_eq!(user.unwrap().locked, None);
    }

    #[test]
    fn a_locked_user_with_attempts_left_was_locked_on_purpose() {
        let of = |json| UserSnapshot::parse(json).unwrap().is_admin_locked();
        assert!(of(r#"{"locked":true,"verification_attempts_remaining":3}"#));
        assert!(!of(r#"{"locked":true,"verification_attempts_remaining":0}"#));
        assert!(!of(r#"{"locked":true,"verification_attempts_remaining":null}"#));
        assert!(!of(r#"{"locked":false,"verification_attempts_remaining":3}"#));
    }
}
