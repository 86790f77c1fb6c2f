//! The user object in a cell: on one line, and with redacted fields replaced.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::is_separator;

/// The top-level fields of a user object, as Clerk documents them.
pub const USER_FIELDS: [&str; 46] = [
    "backup_code_enabled",
    "banned",
    "bypass_client_trust",
    "create_organization_enabled",
    "create_organizations_limit",
    "created_at",
    "delete_self_enabled",
    "deprovisioned",
    "email_addresses",
    "enterprise_accounts",
    "external_accounts",
    "external_id",
    "first_name",
    "has_image",
    "id",
    "image_url",
    "last_active_at",
    "last_name",
    "last_sign_in_at",
    "legal_accepted_at",
    "locale",
    "locked",
    "lockout_expires_in_seconds",
    "mfa_disabled_at",
    "mfa_enabled_at",
    "object",
    "organization_memberships",
    "passkeys",
    "password_enabled",
    "password_last_updated_at",
    "phone_numbers",
    "primary_email_address_id",
    "primary_phone_number_id",
    "primary_web3_wallet_id",
    "private_metadata",
    "profile_image_url",
    "public_metadata",
    "saml_accounts",
    "scim",
    "totp_enabled",
    "two_factor_enabled",
    "unsafe_metadata",
    "updated_at",
    "username",
    "verification_attempts_remaining",
    "web3_wallets",
];

/// Replaces a redacted value.
pub(super) const REDACTED: &str = "[redacted]";
const REDACTED_JSON: &str = "\"[redacted]\"";

/// How much of the returned user is recorded (`--snapshot`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SnapshotMode {
    /// The columns and the whole object.
    #[default]
    Full,
    /// The columns alone.
    Summary,
    /// Neither.
    None,
}

/// The top-level fields of the user object whose values are replaced (`--redact`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Redaction {
    fields: Vec<String>,
}

impl Redaction {
    /// Replaces the values of these fields.
    pub fn new(fields: impl IntoIterator<Item = String>) -> Self {
        Self { fields: fields.into_iter().collect() }
    }

    /// Whether the value of this field is replaced.
    pub fn hides(&self, field: &str) -> bool {
        self.fields.iter().any(|it| it == field)
    }

    /// The object with the values replaced; every other byte is unchanged. JSON that is not an
    /// object is replaced as a whole.
    pub(super) fn apply<'a>(&self, json: &'a str) -> Cow<'a, str> {
        if self.fields.is_empty() {
            return Cow::Borrowed(json);
        }
        match serde_json::from_str::<Fields<'_>>(json) {
            Ok(fields) => self.splice(json, &fields),
            Err(_) => Cow::Borrowed(REDACTED_JSON),
        }
    }

    fn splice<'a>(&self, json: &'a str, fields: &Fields<'_>) -> Cow<'a, str> {
        let mut out = String::new();
        let mut kept_from = 0;
        for (key, value) in &fields.0 {
            if self.hides(&key.0) {
                let start = value.get().as_ptr().addr() - json.as_ptr().addr();
                out.push_str(&json[kept_from..start]);
                out.push_str(REDACTED_JSON);
                kept_from = start + value.get().len();
            }
        }
        if kept_from == 0 {
            return Cow::Borrowed(json);
        }
        out.push_str(&json[kept_from..]);
        Cow::Owned(out)
    }
}

/// The fields in their order, repeated ones included: a map would keep only one of them, and the
/// other would not be redacted.
struct Fields<'a>(Vec<(Key<'a>, &'a RawValue)>);

/// A name that may contain escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(entry) = map.next_entry()? {
            fields.push(entry);
        }
        Ok(Fields(fields))
    }
}

/// The same JSON on one line, without white space between tokens; every token is unchanged.
/// Invalid JSON is accepted and may lose white space.
pub(super) fn compact(json: &str) -> Cow<'_, str> {
    match without_white_space(json) {
        // Unicode's line and paragraph separators occur only in strings, where an escape is
        // equivalent.
        json if !json.is_ascii() && json.contains(is_separator) => {
            Cow::Owned(json.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029"))
        }
        json => json,
    }
}

fn without_white_space(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut out = String::new();
    let (mut kept_from, mut at) = (0, 0);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = after_string(bytes, at),
            b' ' | b'\t' | b'\n' | b'\r' => {
                out.push_str(&json[kept_from..at]);
                at += 1;
                kept_from = at;
            }
            _ => at += 1,
        }
    }
    if kept_from == 0 {
        return Cow::Borrowed(json);
    }
    out.push_str(&json[kept_from..]);
    Cow::Owned(out)
}

/// The index after the string whose opening quote is at `open`.
fn after_string(bytes: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::testing::json;
    use super::*;

    #[track_caller]
    fn check_redacted(field: &str, json: &str, expected: &str) {
        assert_eq!(Redaction::new([field.to_owned()]).apply(json), expected);
    }

    #[test]
    fn only_the_value_of_the_top_level_field_is_replaced() {
        check_redacted(
            "a",
            r#"{"b":1.50,"a":{"a":[1]},"c":{"a":2}}"#,
            r#"{"b":1.50,"a":"[redacted]","c":{"a":2}}"#,
        );
        check_redacted("a", r#"{"a":null}"#, r#"{"a":"[redacted]"}"#);
        check_redacted("x", r#"{"a":"x"}"#, r#"{"a":"x"}"#);
    }

    #[test]
    fn a_repeated_field_is_redacted_each_time() {
        check_redacted("a", r#"{"a":1,"a":2}"#, r#"{"a":"[redacted]","a":"[redacted]"}"#);
    }

    #[test]
    fn a_field_name_with_escapes_is_the_same_name() {
        check_redacted("a_b", r#"{"a\u005fb":1}"#, r#"{"a\u005fb":"[redacted]"}"#);
    }

    #[test]
    fn json_that_is_not_an_object_is_redacted_as_a_whole() {
        for text in ["", "[]", r#"{"a":"#, r#"{"a":1} x"#] {
            check_redacted("a", text, r#""[redacted]""#);
        }
    }

    #[test]
    fn deep_nesting_is_redacted_too() {
        let nest = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        check_redacted("a", &format!(r#"{{"a":{nest}}}"#), r#"{"a":"[redacted]"}"#);
    }

    #[track_caller]
    fn check_compact(json: &str, expected: &str) {
        assert_eq!(compact(json), expected);
    }

    #[test]
    fn white_space_is_removed_between_tokens_and_kept_in_strings() {
        check_compact("{ \"a\" : [ 1 ,\r\n\t2 ] }", r#"{"a":[1,2]}"#);
        check_compact(r#"{ "a b" : " c " }"#, r#"{"a b":" c "}"#);
        check_compact(r#"{"q\" \\" : "\\\" x"}"#, r#"{"q\" \\":"\\\" x"}"#);
        check_compact(r#" "\\" "#, r#""\\""#);
    }

    #[test]
    fn numbers_keep_their_text() {
        check_compact(
            "[ 1.50 , -0.0, 1E+400,12345678901234567890123 ]",
            "[1.50,-0.0,1E+400,12345678901234567890123]",
        );
    }

    #[test]
    fn unicode_line_breaks_are_escaped() {
        let json = "{\"a\u{2028}\":\"b\u{2029}c\"}";
        check_compact(json, r#"{"a\u2028":"b\u2029c"}"#);
        let value: Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&compact(json)).unwrap(), value);
    }

    #[test]
    fn compact_json_is_not_copied() {
        assert!(matches!(compact(r#"{"a":"b c"}"#), Cow::Borrowed(_)));
    }

    #[test]
    fn invalid_json_does_not_panic() {
        for text in ["", "\"", "\"\\", "\"\\é", " é \" é", "\\ \""] {
            compact(text);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn only_the_named_field_differs(mut value in json(), at in 0..8_usize) {
            let fields = value.as_object_mut().unwrap();
            let Some(name) = fields.keys().nth(at).cloned() else { return Ok(()) };
            let sent = serde_json::to_string(fields).unwrap();
            fields.insert(name.clone(), json!(REDACTED));
            let redacted = Redaction::new([name]).apply(&sent).into_owned();
            prop_assert_eq!(serde_json::from_str::<Value>(&redacted).unwrap(), value);
        }

        #[test]
        fn compact_json_has_the_same_value_and_no_white_space(value in json()) {
            let pretty = serde_json::to_string_pretty(&value).unwrap();
            let small = compact(&pretty);
            prop_assert_eq!(serde_json::from_str::<Value>(&small).unwrap(), value.clone());
            prop_assert!(!small.contains(is_separator));
            prop_assert!(small.contains("\\u202") || small == serde_json::to_string(&value).unwrap());
        }
    }
}
