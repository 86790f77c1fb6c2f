//! Answers that say no, in the shape of Clerk's error bodies.

use std::borrow::Cow;
use std::fmt::Write;

use super::json::Text;
use super::world::mix::mix;

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) code: &'static str,
    pub(super) message: Cow<'static, str>,
    pub(super) long_message: Cow<'static, str>,
    /// The parameter that is wrong.
    pub(super) parameter: Option<String>,
    pub(super) retry_after: Option<u64>,
}

impl Refusal {
    /// `serial` makes the trace id.
    pub(super) fn body(&self, serial: u64) -> String {
        let mut body = format!(
            r#"{{"errors":[{{"message":{},"long_message":{},"code":"{}","meta":{{"#,
            Text(&self.message),
            Text(&self.long_message),
            self.code
        );
        if let Some(parameter) = &self.parameter {
            // Writing to a string can't fail.
            let _ = write!(body, r#""param_name":{}"#, Text(parameter));
        }
        let _ = write!(body, r#"}}}}],"clerk_trace_id":"{}"}}"#, trace_id(serial));
        body
    }

    pub(super) fn new(status: u16, code: &'static str, message: &'static str) -> Self {
        Self {
            status,
            code,
            message: Cow::Borrowed(message),
            long_message: Cow::Borrowed(message),
            parameter: None,
            retry_after: None,
        }
    }

    pub(super) fn unauthorized() -> Self {
        let why = "The sandbox takes the secret key that it printed, as a bearer token.";
        Self {
            long_message: Cow::Borrowed(why),
            ..Self::new(401, "authentication_invalid", "Invalid authentication")
        }
    }

    pub(super) fn no_user(id: &str) -> Self {
        let long = format!("No user was found with id {id}.");
        Self { long_message: Cow::Owned(long), ..Self::new(404, "resource_not_found", "not found") }
    }

    pub(super) fn no_such_path() -> Self {
        Self::new(404, "resource_not_found", "The sandbox has no such path.")
    }

    pub(super) fn wrong_method() -> Self {
        Self::new(405, "method_not_allowed", "The path does not take this method.")
    }

    pub(super) fn parameter(name: &str, message: &'static str) -> Self {
        Self {
            parameter: Some(name.to_owned()),
            ..Self::new(422, "form_param_value_invalid", message)
        }
    }

    pub(super) fn unknown_parameter(name: &str) -> Self {
        let message = "The sandbox has no such parameter.";
        Self { parameter: Some(name.to_owned()), ..Self::new(422, "form_param_unknown", message) }
    }

    pub(super) fn throttled(retry_after: u64) -> Self {
        let long = "Too many requests. Please try again in a bit.";
        Self {
            long_message: Cow::Borrowed(long),
            retry_after: Some(retry_after),
            ..Self::new(429, "rate_limit_exceeded", "Too many requests")
        }
    }

    /// Any status, without a story.
    pub(super) fn plain(status: u16) -> Self {
        match status {
            401 => Self::unauthorized(),
            403 => Self::new(403, "authorization_invalid", "Unauthorized request"),
            404 => Self::new(404, "resource_not_found", "not found"),
            429 => Self::throttled(1),
            500.. => {
                Self::new(status, "internal_clerk_error", "Oops, an unexpected error occurred")
            }
            _ => Self::new(status, "sandbox_refusal", "The sandbox was told to refuse this."),
        }
    }
}

/// What Clerk's support would ask for.
fn trace_id(serial: u64) -> String {
    format!("{:016x}{:016x}", mix(serial), mix(!serial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_of_clerks_shape() {
        insta::assert_snapshot!(
            Refusal::no_user("user_a").body(1),
            @r#"{"errors":[{"message":"not found","long_message":"No user was found with id user_a.","code":"resource_not_found","meta":{}}],"clerk_trace_id":"910a2dec89025cc1f3203e9039f4a821"}"#
        );
        insta::assert_snapshot!(
            Refusal::parameter("limit", "is no number").body(1),
            @r#"{"errors":[{"message":"is no number","long_message":"is no number","code":"form_param_value_invalid","meta":{"param_name":"limit"}}],"clerk_trace_id":"910a2dec89025cc1f3203e9039f4a821"}"#
        );
    }
}
