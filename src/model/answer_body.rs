//! Reading the bodies of answers: nothing in them is trusted, whatever the status was.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{UserView, mask_keys};

/// What the API says of an error. Each part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiError {
    /// Clerk's own code, such as `resource_not_found`.
    pub code: Option<String>,
    /// For people: the long message, else the short one.
    pub message: Option<String>,
    /// `clerk_trace_id`: what Clerk's support can find the request by.
    pub trace_id: Option<String>,
}

/// The longest error body that is looked at: Clerk's are below 1 KiB.
const MAX_ERROR_BODY: usize = 64 << 10;
/// The longest code or trace id that is kept, in characters.
const MAX_WORD: usize = 100;
/// The longest message that is kept, in characters.
const MAX_MESSAGE: usize = 1_000;
/// No list is longer: the API's largest page.
const MAX_USERS: usize = 500;

/// No user is larger, in bytes: as much as a single answer may have, and what a row of the results
/// can hold and be read back from.
const MAX_USER: usize = 4 << 20;

/// What an error body says: the first of its errors that says anything, and the trace id.
///
/// `None` where it says nothing readable: no JSON, another shape, larger than 64 KiB. The texts
/// are cut to a sane length and may hold any character.
pub fn error_of(body: &[u8]) -> Option<ApiError> {
    let text = text_of(body).filter(|text| text.len() <= MAX_ERROR_BODY && is_object(text))?;
    let wire: WireBody<'_> = serde_json::from_str(text).ok()?;
    let errors: Vec<&RawValue> = decode(wire.errors).unwrap_or_default();
    let said = errors.into_iter().filter_map(one_error).find(|it| *it != ApiError::default());
    let error = ApiError { trace_id: word(wire.clerk_trace_id), ..said.unwrap_or_default() };
    Some(error).filter(|it| *it != ApiError::default())
}

/// The users of a list answer, in its order.
///
/// # Errors
///
/// When it is no JSON array of at most 500 user objects with an id each (nor `{"data":[…]}` of
/// them): then none of it can be trusted.
pub fn users_of(body: &[u8]) -> Result<Vec<UserView>, NotAUserList> {
    let text = std::str::from_utf8(body).map_err(serde_json::Error::custom)?;
    if is_object(text) {
        let Wrapped { data: Users(users) } = serde_json::from_str(text)?;
        return Ok(users);
    }
    let Users(users) = serde_json::from_str(text)?;
    Ok(users)
}

/// The number that `GET /v1/users/count` answers; `None` where the body has none.
pub fn count_of(body: &[u8]) -> Option<u64> {
    let text = text_of(body).filter(|text| is_object(text))?;
    let wire: WireCount<'_> = serde_json::from_str(text).ok()?;
    decode(wire.total_count)
}

/// An answer that should be a list of users and is none.
#[derive(Debug, thiserror::Error)]
#[error("the answer is no list of users: {0}")]
pub struct NotAUserList(#[from] serde_json::Error);

/// The wanted properties, undecoded: one of an unexpected type must not cost the others.
#[derive(Deserialize)]
struct WireBody<'a> {
    #[serde(borrow)]
    errors: Option<&'a RawValue>,
    #[serde(borrow)]
    clerk_trace_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireError<'a> {
    #[serde(borrow)]
    code: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    long_message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct WireCount<'a> {
    #[serde(borrow)]
    total_count: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Wrapped {
    data: Users,
}

/// Read one by one, so that a list of millions of somethings costs no memory.
struct Users(Vec<UserView>);

impl<'de> Deserialize<'de> for Users {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(UsersVisitor).map(Self)
    }
}

struct UsersVisitor;

impl<'de> Visitor<'de> for UsersVisitor {
    type Value = Vec<UserView>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of users")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut users = Vec::new();
        while let Some(raw) = elements.next_element::<&RawValue>()? {
            if users.len() == MAX_USERS {
                return Err(A::Error::custom("more than 500 users"));
            }
            if raw.get().len() > MAX_USER {
                return Err(A::Error::custom("a user larger than 4 MiB"));
            }
            let user = UserView::parse(raw.get()).map_err(A::Error::custom)?;
            if user.id.is_empty() {
                return Err(A::Error::custom("a user without an id"));
            }
            users.push(user);
        }
        Ok(users)
    }
}

fn one_error(raw: &RawValue) -> Option<ApiError> {
    let wire: WireError<'_> =
        Some(raw.get()).filter(|it| is_object(it)).and_then(|it| serde_json::from_str(it).ok())?;
    let message = text(wire.long_message, MAX_MESSAGE).or_else(|| text(wire.message, MAX_MESSAGE));
    Some(ApiError { code: word(wire.code), message, trace_id: None })
}

fn word(raw: Option<&RawValue>) -> Option<String> {
    text(raw, MAX_WORD)
}

/// A text that says something, cut to so many characters. Here it is free of escapes, and whatever
/// looks like a key in it shows.
fn text(raw: Option<&RawValue>, max_chars: usize) -> Option<String> {
    let mut text = mask_keys(&decode::<String>(raw)?).into_owned();
    if let Some((end, _)) = text.char_indices().nth(max_chars) {
        text.truncate(end);
    }
    (!text.trim().is_empty()).then_some(text)
}

fn decode<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

fn text_of(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok()
}

/// Serde would also read a struct from an array.
fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

#[cfg(test)]
mod tests;
