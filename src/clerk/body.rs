//! Parses response bodies, which may be anything, with any status.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{User, UserId, UserSnapshot};

/// The error in the body of a response. Each part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ApiError {
    /// Clerk's error code, such as `resource_not_found`.
    pub code: Option<String>,
    /// The long message, else the short one. May contain any character.
    pub message: Option<String>,
    /// The id by which Clerk's support can find the request: `clerk_trace_id`, else the `CF-Ray`
    /// header.
    pub trace_id: Option<String>,
}

/// The maximum size of an error body that is parsed. Clerk's are smaller than 1 KiB.
pub(super) const MAX_ERROR_BODY: usize = 64 << 10;

/// The maximum number of users in a list: the largest page of the API.
const MAX_USERS: usize = 500;

/// The maximum size of a user in a list, in bytes: that of the body of a single user, which is also
/// the maximum in a row of the results.
const MAX_USER: usize = 4 << 20;

/// A type that a user object is parsed into.
pub(crate) trait UserObject: Sized {
    fn parse(json: Cow<'_, str>) -> serde_json::Result<Self>;
    fn id(&self) -> &str;
}

impl UserObject for User {
    fn parse(json: Cow<'_, str>) -> serde_json::Result<Self> {
        Self::from_json(&json)
    }

    fn id(&self) -> &str {
        &self.id
    }
}

impl UserObject for UserSnapshot {
    fn parse(json: Cow<'_, str>) -> serde_json::Result<Self> {
        UserSnapshot::parse(json)
    }

    fn id(&self) -> &str {
        &self.id
    }
}

/// The first error in an error body that has a code or message, and the trace id of the body.
///
/// `None` if the body has neither, is not JSON, or is larger than 64 KiB.
pub(crate) fn error_of(body: &[u8]) -> Option<ApiError> {
    let text = text_of(body).filter(|text| text.len() <= MAX_ERROR_BODY && is_object(text))?;
    let wire: WireBody<'_> = serde_json::from_str(text).ok()?;
    let errors: Vec<&RawValue> = decode(wire.errors).unwrap_or_default();
    let first = errors.into_iter().filter_map(one_error).find(|it| *it != ApiError::default());
    let error = ApiError { trace_id: non_blank(wire.clerk_trace_id), ..first.unwrap_or_default() };
    Some(error).filter(|it| *it != ApiError::default())
}

/// This user's object, or why the body is not.
pub(crate) fn user_of<T: UserObject>(body: Vec<u8>, user: &UserId) -> Result<T, String> {
    if body.is_empty() {
        return Err("the response is empty".to_owned());
    }
    let text = String::from_utf8(body).map_err(|_| "the response is not UTF-8".to_owned())?;
    let found = T::parse(text.into()).map_err(|error| format!("not a user object: {error}"))?;
    if found.id() != user.as_str() {
        return Err("the response is another user's object".to_owned());
    }
    Ok(found)
}

/// The users of a list response, or why the body is not a JSON array of at most 500 user objects
/// with an id (or `{"data":[…]}` with such an array).
pub(crate) fn users_of<T: UserObject>(body: &[u8]) -> Result<Vec<T>, String> {
    let not_a_list = |error: serde_json::Error| format!("not a list of users: {error}");
    let text = text_of(body).ok_or_else(|| "the response is not UTF-8".to_owned())?;
    if is_object(text) {
        let wrapped: Wrapped<T> = serde_json::from_str(text).map_err(not_a_list)?;
        return Ok(wrapped.data.0);
    }
    let users: Users<T> = serde_json::from_str(text).map_err(not_a_list)?;
    Ok(users.0)
}

/// The number in a response of `GET /v1/users/count`; `None` if the body has none.
pub(crate) fn count_of(body: &[u8]) -> Option<u64> {
    let text = text_of(body).filter(|text| is_object(text))?;
    let wire: WireCount<'_> = serde_json::from_str(text).ok()?;
    decode(wire.total_count)
}

/// Whether JSON may be an object. Serde would also parse a struct from an array.
pub(super) fn is_object(json: &str) -> bool {
    json.trim_start().starts_with('{')
}

/// Properties before they are decoded one by one, so that one of an unexpected type does not affect
/// the others.
#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct WireBody<'a> {
    errors: Option<&'a RawValue>,
    clerk_trace_id: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct WireError<'a> {
    code: Option<&'a RawValue>,
    message: Option<&'a RawValue>,
    long_message: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "'de: 'a"))]
struct WireCount<'a> {
    total_count: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(bound = "T: UserObject")]
struct Wrapped<T> {
    data: Users<T>,
}

/// Parsed one by one, so that memory is bounded even for a very long list.
struct Users<T>(Vec<T>);

impl<'de, T: UserObject> Deserialize<'de> for Users<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(UsersVisitor(PhantomData)).map(Self)
    }
}

struct UsersVisitor<T>(PhantomData<T>);

impl<'de, T: UserObject> Visitor<'de> for UsersVisitor<T> {
    type Value = Vec<T>;

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
            let user = T::parse(raw.get().into()).map_err(A::Error::custom)?;
            if user.id().is_empty() {
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
    let message = non_blank(wire.long_message).or_else(|| non_blank(wire.message));
    Some(ApiError { code: non_blank(wire.code), message, trace_id: None })
}

fn non_blank(raw: Option<&RawValue>) -> Option<String> {
    decode::<String>(raw).filter(|text| !text.trim().is_empty())
}

fn decode<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Option<T> {
    raw.and_then(|raw| serde_json::from_str(raw.get()).ok())
}

fn text_of(body: &[u8]) -> Option<&str> {
    std::str::from_utf8(body).ok()
}

#[cfg(test)]
mod tests;
